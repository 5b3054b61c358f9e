#!/bin/sh
# Debian's own tests of IPaddr2 (ocft, package resource-agents) with our agent in its place: ocft.sh PROGRAM
#
# All of it happens in network and mount namespaces of its own, which vanish with it: eth0 and eth1, each connected to
# something; the agent's folder and the folder of the tests' scripts, mounted over.
set -eu

program=$(realpath "$1")
[ -x /usr/sbin/ocft ] || { echo 'ocft is missing: apt-get install --no-install-recommends resource-agents' >&2; exit 1; }
[ "$(id -u)" = 0 ] || { echo 'ocft makes namespaces: run this as root' >&2; exit 1; }

if [ -z "${OCFT_INSIDE:-}" ]; then
    OCFT_INSIDE=$(mktemp -d)
    export OCFT_INSIDE
    trap 'rm -rf "$OCFT_INSIDE"' EXIT
    unshare --net --mount "$0" "$program"
    exit
fi

ip link set lo up
for nic in eth0 eth1; do
    ip link add $nic type veth peer name $nic-other
    ip link set $nic-other up
    ip link set $nic up
done

mkdir "$OCFT_INSIDE/agents" "$OCFT_INSIDE/cases"
printf '#!/bin/sh\nexec %s ocf "$@"\n' "$program" > "$OCFT_INSIDE/agents/IPaddr2"
chmod +x "$OCFT_INSIDE/agents/IPaddr2"
mount --bind "$OCFT_INSIDE/agents" /usr/lib/ocf/resource.d/heartbeat
mkdir -p /var/lib/resource-agents/ocft/cases /run/resource-agents
mount --bind "$OCFT_INSIDE/cases" /var/lib/resource-agents/ocft/cases

ocft make IPaddr2 IPaddr2v4 IPaddr2v6 > /dev/null
for tests in IPaddr2 IPaddr2v4 IPaddr2v6; do
    ocft test $tests || true
done > "$OCFT_INSIDE/log" 2>&1
cat "$OCFT_INSIDE/log"

passed=$(grep -c 'OK' "$OCFT_INSIDE/log" || true)
# The stock agent fails this one too: it starts an IPv6 address with a narrower netmask.
known='IPaddr2v6: params with force cidr_netmask (base netmask < assigned netmask)'
failed=$(grep 'FAILED\|ERROR' "$OCFT_INSIDE/log" | grep -vcF "$known" || true)
echo "checks passed: $passed, failed beyond the known one: $failed"
[ "$failed" = 0 ]
