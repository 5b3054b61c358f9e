//! Links, addresses, ARP and NDP of this node; knows nothing of Kubernetes.
