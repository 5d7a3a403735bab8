package tuning

import (
	"math"
	"math/bits"
)

// An object is of a kind that the kernel keeps for idle connections.
type object struct {
	name, from string
	total      func(n int64) int64 // bytes for n connections over all ends on this host; never falls
}

// kernelObjects is what the kernel keeps. A server that listens on ":4000" is bound to both families, and what
// it accepts is TCPv6 whoever connects; a load generator's end is TCP. What is not counted: a client that speaks
// MPTCP, which Go's listeners offer since 1.24, has a second socket of 2,185 B, and more for each further path.
func kernelObjects(h *Host, g Goal) []object {
	k := kernelModel{ends: g.ends()}
	k.slabs, k.readable = h.slabs()
	for _, name := range []string{"sock_inode_cache", "dentry", "filp", "eventpoll_epi", "eventpoll_pwq", "ep_head"} {
		k.add(name, k.ends)
	}
	accounted := 7 * k.ends // those and the socket
	switch g.Role {
	case LoadGen:
		k.add("TCP", 1)
	case Both:
		k.addBothSockets()
	default:
		k.add("TCPv6", 1)
	}
	if g.Role&LoadGen != 0 {
		k.addPorts(h.localPorts())
		accounted++
	}
	k.addLabels()
	if count, err := h.number("proc/sys/net/netfilter/nf_conntrack_count"); err == nil && count > 0 {
		k.add("nf_conntrack", 1) // it stays 0 while no rule asks for it; on loopback both ends have one entry
	}
	if h.cgroupVersion() != "none" {
		k.addComputed("obj_cgroup", func(n int64) int64 { return n * accounted * cgroupPointerBytes })
	}
	// Each process has a table of its own.
	k.addComputed("fdtable", func(n int64) int64 { return k.ends * fdtableBytes(n) })
	return k.objects
}

// cgroupPointerBytes is for the pointer to its cgroup that each accounted object has, in a vector beside its slab
// (obj_exts in mm/slab.h): 8 bytes, and what the vector's own slab leaves over for 13 objects, 19 or 21.
const cgroupPointerBytes = 9

// A kernelModel collects objects.
type kernelModel struct {
	slabs    slabs
	readable bool // slabinfo
	ends     int64
	objects  []object
}

// add adds a kind of which each connection needs so many.
func (k *kernelModel) add(name string, each int64) {
	cost, from := k.slabs.cost(name)
	k.objects = append(k.objects, object{name, from, func(n int64) int64 { return n * each * cost }})
}

func (k *kernelModel) addComputed(name string, total func(n int64) int64) {
	k.objects = append(k.objects, object{name, "computed", total})
}

// addBothSockets adds the socket that is accepted and the one that connects.
func (k *kernelModel) addBothSockets() {
	four, from4 := k.slabs.cost("TCP")
	six, from6 := k.slabs.cost("TCPv6")
	if from6 != from4 {
		from4 = "table"
	}
	k.objects = append(k.objects, object{"TCP, TCPv6", from4, func(n int64) int64 { return n * (four + six) }})
}

// addPorts adds the buckets of the connecting end: one for each pair of address and port, and one for each of so
// many ports (__inet_hash_connect in net/ipv4/inet_hashtables.c). What is accepted shares the listener's
// (__inet_inherit_port), but for one bucket for each of the host's addresses.
func (k *kernelModel) addPorts(ports int64) {
	k.add("tcp_bind2_bucket", 1)
	cost, from := k.slabs.cost("tcp_bind_bucket")
	k.objects = append(k.objects, object{"tcp_bind_bucket", from, func(n int64) int64 { return min(n, ports) * cost }})
}

// addLabels adds those of the security modules, which not every kernel has.
func (k *kernelModel) addLabels() {
	for _, name := range []string{"lsm_file_cache", "lsm_inode_cache"} {
		if _, ok := k.slabs[name]; ok || !k.readable {
			k.add(name, k.ends)
		}
	}
}

// localPorts is how many ports there are to connect from.
func (h *Host) localPorts() int64 {
	const standard = 60999 - 32768 + 1
	r, err := h.numbers(sysctlFile("net.ipv4.ip_local_port_range"))
	if err != nil || len(r) != 2 || r[0] > r[1] || r[0] < 0 || r[1] > math.MaxUint16 {
		return standard
	}
	return r[1] - r[0] + 1
}

// fdtableBytes is a process's table of descriptors: a pointer for each, and three bitmaps, of which the third
// has a bit for a word of the others. Slots are a power of two, as of alloc_fdtable in fs/file.c; it grows when
// the highest descriptor does not fit.
func fdtableBytes(n int64) int64 {
	const (
		own     = 16 // the standard three, listener, epoll, eventfd, and what a program else has open
		minimum = 64 // lie in files_struct itself
	)
	slots := int64(1) << bits.Len64(uint64(n+own-1))
	if slots <= minimum {
		return 0
	}
	return 8*slots + 2*slots/8 + 8*roundUp(slots/64, 64)
}

// Messages on their way.
const (
	// messageOverhead is what the kernel needs to send a message beside its bytes: skbuff_small_head of
	// 640 B (MAX_TCP_HEADER of 320 and skb_shared_info of 320) and skbuff_fclone_cache of 512. What it
	// counts against tcp_mem, SKB_TRUESIZE, has 256 in place of the 512 (tcp_stream_alloc_skb).
	messageOverhead = 640 + 512

	// inFlightSeconds is for how long: until the other end has acknowledged it, a round trip across an ocean.
	inFlightSeconds = 0.2

	// sendBuffer is what a connection's first messages may fill: 2 x TCP_INIT_CWND (10) x (2048 + 256), by
	// tcp_sndbuf_expand in net/ipv4/tcp_input.c, with segments of 1,460 B.
	sendBuffer = 46_080
)

// messageBuffers is Prediction.Buffers, by Little's law: messages a second x seconds x bytes.
func messageBuffers(g Goal) int64 {
	const most = 1 << 60 // bytes: so much is nowhere, and sums with it do not overflow
	segments := math.Ceil(float64(max(g.MessageBytes, 1)) / (64 << 10))
	each := float64(g.MessageBytes) + segments*messageOverhead
	return int64(min(most, math.Ceil(g.MessageRate*inFlightSeconds*each*float64(g.ends()))))
}

// messagePages is in how many pages tcp_mem counts one message that is under way.
func messagePages(g Goal, page int64) int64 {
	return roundUp(min(g.MessageBytes+messageOverhead, sendBuffer), page)
}
