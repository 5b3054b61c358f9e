// SPDX-License-Identifier: Apache-2.0
//
// The fence inside the kernel: past the deadline of its node nothing is said on the wire for a guarded address, and before it
// nothing for one whose gate is shut.
//
// It stands on the way out and on the way in of each interface that carries such addresses. On the way out it stops
// what an owner says: ARP whose sender is a guarded address (answers, announcements, questions), neighbour
// advertisements whose target is one, IP packets that come from one. On the way in it stops IP packets to one, so that
// clients which still know the old way get no service either. Packets of this node to the address, and back, pass: once
// the kernel has removed the address they go to its new owner. Everything else goes on to the programs behind this one.
//
// The program decides by itself at each packet, so nothing that happens to the agent (killed, stopped, asleep between
// a check and a call) makes an address answer for longer.

#include <linux/bpf.h>
#include <linux/if_ether.h>
#include <linux/in6.h>
#include <linux/pkt_cls.h>
#include <stdbool.h>
#include <bpf/bpf_endian.h>
#include <bpf/bpf_helpers.h>

// Guarded addresses, as they are on the wire, each with its gate. What is not in here is not ours to judge.
enum gate { OPEN = 0, SHUT = 1 };

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

// A bit for the last digits of each guarded address: most packets are for none, and are known by it without a search.
enum { SIEVE_BITS = 8192, WORD_BITS = 64 };
struct bits {
	__u64 words[SIEVE_BITS / WORD_BITS];
};

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct bits);
} sieve SEC(".maps");

// Until when all of them may answer, on CLOCK_BOOTTIME in nanoseconds; 0: not at all.
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, __u64);
} deadlines SEC(".maps");

// How many of them are shut. Nearly always none: then no map is searched before the deadline.
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, __u32);
} shut SEC(".maps");

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

// Keys of maps are read where they are, and nothing is put on the stack: in a program that was loaded without
// CAP_PERFMON the kernel makes each first write to it wait for all before (Spectre, variant 4).
const volatile __u32 first = 0;

static __always_inline bool reaches(struct __sk_buff *skb, __u32 length)
{
	// It nearly always does: what we look at is in the first part of the packet.
	return (void *)(long)skb->data + length <= (void *)(long)skb->data_end || !bpf_skb_pull_data(skb, length);
}

// Points `field` at what is at `offset`; false where the frame is too short: then it says nothing about an address.
#define FIND(skb, offset, field)                                                                   \
	({                                                                                         \
		bool found = false;                                                                \
		if (reaches(skb, (offset) + sizeof(*(field)))) {                                   \
			(field) = (void *)(long)(skb)->data + (offset);                            \
			found = (void *)((field) + 1) <= (void *)(long)(skb)->data_end;            \
		}                                                                                  \
		found;                                                                             \
	})

static __always_inline bool may_be_guarded(__be32 last_digits)
{
	__u32 bit = bpf_ntohl(last_digits) % SIEVE_BITS;
	struct bits *bits = bpf_map_lookup_elem(&sieve, (const void *)&first);
	return bits && bits->words[bit / WORD_BITS] >> bit % WORD_BITS & 1;
}

// Reading the clock costs most of all this, and searching a map most of the rest: the one is done only for what may be
// guarded, the other only when there is no right, or some gate is shut.
static __always_inline bool without_right(void)
{
	__u64 *deadline = bpf_map_lookup_elem(&deadlines, (const void *)&first);
	return !deadline || bpf_ktime_get_boot_ns() >= *deadline;
}

static __always_inline bool all_are_open(void)
{
	__u32 *count = bpf_map_lookup_elem(&shut, (const void *)&first);
	return count && !*count;
}

static __always_inline bool stops(const __u32 *gate, bool right)
{
	return gate && !(right && *gate == OPEN);
}

static __always_inline int judge_ipv4(struct __sk_buff *skb, int offset)
{
	__be32 *address;
	if (!FIND(skb, offset, address) || !may_be_guarded(*address))
		return TC_ACT_UNSPEC;
	bool right = !without_right();
	if (right && all_are_open())
		return TC_ACT_UNSPEC;
	return stops(bpf_map_lookup_elem(&guarded4, address), right) ? TC_ACT_SHOT : TC_ACT_UNSPEC;
}

static __always_inline bool may_be_guarded6(struct __sk_buff *skb, int offset)
{
	struct in6_addr *address;
	return FIND(skb, offset, address) && may_be_guarded(address->s6_addr32[3]);
}

static __always_inline bool stops6(struct __sk_buff *skb, int offset, bool right)
{
	struct in6_addr *address;
	return FIND(skb, offset, address) && stops(bpf_map_lookup_elem(&guarded6, address), right);
}

static __always_inline int judge_ipv6(struct __sk_buff *skb, int offset)
{
	if (!may_be_guarded6(skb, offset))
		return TC_ACT_UNSPEC;
	bool right = !without_right();
	if (right && all_are_open())
		return TC_ACT_UNSPEC;
	return stops6(skb, offset, right) ? TC_ACT_SHOT : TC_ACT_UNSPEC;
}

// The kernel sends none with extension headers.
static __always_inline bool is_advertisement(struct __sk_buff *skb)
{
	__u8 *byte;
	return FIND(skb, IPV6_NEXT_HEADER, byte) && *byte == NEXT_HEADER_ICMPV6 &&
	       FIND(skb, ICMPV6_TYPE, byte) && *byte == NEIGHBOUR_ADVERTISEMENT;
}

// An advertisement may come from another address of the node (RFC 4861, 4.4): its target counts as well.
static __always_inline int judge_ipv6_out(struct __sk_buff *skb)
{
	if (!is_advertisement(skb))
		return judge_ipv6(skb, IPV6_SOURCE);
	if (!(may_be_guarded6(skb, IPV6_SOURCE) || may_be_guarded6(skb, NA_TARGET)))
		return TC_ACT_UNSPEC;
	bool right = !without_right();
	if (right && all_are_open())
		return TC_ACT_UNSPEC;
	return stops6(skb, IPV6_SOURCE, right) || stops6(skb, NA_TARGET, right) ? TC_ACT_SHOT : TC_ACT_UNSPEC;
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
		return judge_ipv6_out(skb);
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
