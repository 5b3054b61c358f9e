// SPDX-License-Identifier: Apache-2.0
//
// The fence inside the kernel: past the deadline of its node nothing is said on the wire for a guarded address.
//
// It stands on the way out and on the way in of each interface that carries such addresses. On the way out it stops
// what an owner says: ARP whose sender is a guarded address (answers, announcements, questions), neighbour
// advertisements whose target is one, IP packets that come from one. On the way in it stops IP packets to one, so that
// clients which still know the old way get no service either. Packets of this node to the address, and back, pass: once
// the kernel has removed the address they go to its new owner. Everything else, and everything before the deadline, goes
// on to the programs behind this one.
//
// The program decides by itself at each packet, so nothing that happens to the agent (killed, stopped, asleep between
// a check and a call) makes an address answer for longer.

#include <linux/bpf.h>
#include <linux/if_ether.h>
#include <linux/in6.h>
#include <linux/pkt_cls.h>
#include <bpf/bpf_endian.h>
#include <bpf/bpf_helpers.h>

// Guarded address, as it is on the wire -> slot. What is not in here is not ours to judge.
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 8192);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, __u32);
	__type(value, __u32);
} guarded4 SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 8192);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, struct in6_addr);
	__type(value, __u32);
} guarded6 SEC(".maps");

// Slot -> until when its addresses may answer, on CLOCK_BOOTTIME in nanoseconds; 0: not at all.
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, __u64);
} deadlines SEC(".maps");

// Interface index -> 1 if the clsact qdisc there is ours. For the agent only.
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 1024);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, __u32);
	__type(value, __u32);
} interfaces SEC(".maps");

// Offsets in a frame without VLAN tags: on the interface that has the address there are none.
enum {
	ARP_SENDER = ETH_HLEN + 14,
	IPV4_SOURCE = ETH_HLEN + 12,
	IPV4_DESTINATION = ETH_HLEN + 16,
	IPV6_NEXT_HEADER = ETH_HLEN + 6,
	IPV6_SOURCE = ETH_HLEN + 8,
	IPV6_DESTINATION = ETH_HLEN + 24,
	ICMPV6_TYPE = ETH_HLEN + 40,
	NA_TARGET = ETH_HLEN + 48,

	NEXT_HEADER_ICMPV6 = 58,
	NEIGHBOUR_ADVERTISEMENT = 136,
};

// The fields are nearly always in the first part of the packet, where reading them costs nothing.
static __always_inline int load(struct __sk_buff *skb, int offset, void *to, __u32 length)
{
	void *field = (void *)(long)skb->data + offset;
	if (field + length <= (void *)(long)skb->data_end) {
		__builtin_memcpy(to, field, length);
		return 0;
	}
	return bpf_skb_load_bytes(skb, offset, to, length);
}

static __always_inline int verdict(__u32 *slot)
{
	if (!slot)
		return TC_ACT_UNSPEC;
	__u32 index = *slot;
	__u64 *deadline = bpf_map_lookup_elem(&deadlines, &index);
	// A slot that does not exist gives no right.
	if (!deadline || bpf_ktime_get_boot_ns() >= *deadline)
		return TC_ACT_SHOT;
	return TC_ACT_UNSPEC;
}

// Frames that are too short for the field say nothing about an address.
static __always_inline int judge_ipv4(struct __sk_buff *skb, int offset)
{
	__u32 address;
	if (load(skb, offset, &address, sizeof(address)))
		return TC_ACT_UNSPEC;
	return verdict(bpf_map_lookup_elem(&guarded4, &address));
}

static __always_inline int judge_ipv6(struct __sk_buff *skb, int offset)
{
	struct in6_addr address;
	if (load(skb, offset, &address, sizeof(address)))
		return TC_ACT_UNSPEC;
	return verdict(bpf_map_lookup_elem(&guarded6, &address));
}

static __always_inline __u8 byte_at(struct __sk_buff *skb, int offset)
{
	__u8 byte;
	return load(skb, offset, &byte, sizeof(byte)) ? 0 : byte;
}

// An advertisement may come from another address of the node (RFC 4861, 4.4): its target counts as well. The kernel
// sends none with extension headers.
static __always_inline int judge_advertisement(struct __sk_buff *skb)
{
	if (byte_at(skb, IPV6_NEXT_HEADER) != NEXT_HEADER_ICMPV6)
		return TC_ACT_UNSPEC;
	if (byte_at(skb, ICMPV6_TYPE) != NEIGHBOUR_ADVERTISEMENT)
		return TC_ACT_UNSPEC;
	return judge_ipv6(skb, NA_TARGET);
}

SEC("classifier")
int vip_fence_out(struct __sk_buff *skb)
{
	switch (skb->protocol) {
	case bpf_htons(ETH_P_ARP):
		return judge_ipv4(skb, ARP_SENDER);
	case bpf_htons(ETH_P_IP):
		return judge_ipv4(skb, IPV4_SOURCE);
	case bpf_htons(ETH_P_IPV6):
		if (judge_ipv6(skb, IPV6_SOURCE) == TC_ACT_SHOT)
			return TC_ACT_SHOT;
		return judge_advertisement(skb);
	default:
		return TC_ACT_UNSPEC;
	}
}

SEC("classifier")
int vip_fence_in(struct __sk_buff *skb)
{
	switch (skb->protocol) {
	case bpf_htons(ETH_P_IP):
		return judge_ipv4(skb, IPV4_DESTINATION);
	case bpf_htons(ETH_P_IPV6):
		return judge_ipv6(skb, IPV6_DESTINATION);
	default:
		return TC_ACT_UNSPEC;
	}
}
