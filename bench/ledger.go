package bench

import (
	"fmt"

	"github.com/dormouse-ws/dormouse/bench/sample"
)

// A size is what all have at one number of connections.
type size struct {
	conns     int64
	target    *sample.Process // nil: it could not be sampled
	kernel    *sample.Kernel
	generator sample.Process // sums over all generators
}

// ledgerConns is the difference of two sizes from which a slope says something about one connection: below
// it the pages that the runtime and the slabs have in stock weigh more.
const ledgerConns = 1000

// newLedger returns what each connection costs between two sizes, nil if there is none between them. With
// bothEnds each connection is in the kernel twice.
func newLedger(from, to size, bothEnds bool, targets int) *Ledger {
	n := to.conns - from.conns
	if n <= 0 {
		return nil
	}
	l := &Ledger{FromConns: from.conns, ToConns: to.conns, BothEnds: bothEnds}
	if n < ledgerConns {
		l.Note = fmt.Sprintf("Only %s connections are between the two sizes: from %s on, what is in stock weighs little.", grouped(n), grouped(ledgerConns))
	}
	if targets > 1 {
		l.unknown("target", "resident memory", "of several targets only the first is sampled", true)
	} else {
		l.addProcess("target", from.target, to.target, "the target is not sampled: give its --pid or --metrics")
	}
	l.addKernel(from.kernel, to.kernel)
	l.addProcess("generator", known(from.generator), known(to.generator), "there is no /proc")
	return l
}

// known returns nil for a process of which nothing could be read.
func known(p sample.Process) *sample.Process {
	if p.RSS == 0 {
		return nil
	}
	return &p
}

// add adds a part that has grown by so many bytes in all.
func (l *Ledger) add(where, name string, grown int64, total bool) {
	each := float64(grown) / float64(l.ToConns-l.FromConns)
	if l.BothEnds && where == "kernel" {
		each /= 2
	}
	l.Parts = append(l.Parts, Part{Where: where, Name: name, Bytes: each, Total: total})
}

func (l *Ledger) unknown(where, name, why string, total bool) {
	l.Parts = append(l.Parts, Part{Where: where, Name: name, Why: why, Total: total})
}

func (l *Ledger) addProcess(where string, from, to *sample.Process, why string) {
	const total = "resident memory"
	if from == nil || to == nil || from.RSS == 0 || to.RSS == 0 {
		l.unknown(where, total, why, true)
		return
	}
	resident := to.RSS - from.RSS
	l.add(where, total, resident, true)
	if from.Go == nil || to.Go == nil {
		l.unknown(where, "Go heap and stacks", "it does not tell; a Go program may by its --metrics", false)
		return
	}
	heap, stacks := to.Go.HeapInuse-from.Go.HeapInuse, to.Go.StackInuse-from.Go.StackInuse
	l.add(where, "Go heap", heap, false)
	l.add(where, "Go stacks", stacks, false)
	l.add(where, "other", resident-heap-stacks, false)
}

// A ledgerSlab is a part of the kernel's memory for sockets: slabs of a kind.
type ledgerSlab struct {
	name  string
	slabs []string
	why   string // why it may be missing; "": then it is left out
}

func ledgerSlabs() []ledgerSlab {
	const merged = "this kernel keeps it in another slab, together with objects of the same size"
	return []ledgerSlab{
		{"TCP", []string{"TCP", "TCPv6"}, merged},
		{"sock_inode_cache", []string{"sock_inode_cache"}, merged},
		{"dentry", []string{"dentry"}, merged},
		{"filp", []string{"filp"}, merged},
		{"eventpoll", []string{"eventpoll_epi", "eventpoll_pwq"}, merged},
		{"ports", []string{"tcp_bind_bucket", "tcp_bind2_bucket"}, ""},
		{"security labels", []string{"lsm_inode_cache", "lsm_file_cache"}, ""},
		{"skbuff", []string{"skbuff_head_cache", "skbuff_small_head", "skbuff_fclone_cache"}, ""},
		{"handshakes and TIME-WAIT", []string{"request_sock_TCP", "request_sock_TCPv6", "tw_sock_TCP", "tw_sock_TCPv6"}, ""},
		{"conntrack", []string{"nf_conntrack"}, ""},
	}
}

// addKernel adds the slabs, whose sum is of all that there are on the host: what another program does
// meanwhile is in it.
func (l *Ledger) addKernel(from, to *sample.Kernel) {
	const where = "kernel"
	if from == nil || to == nil || from.SlabBytes == 0 || to.SlabBytes == 0 {
		l.unknown(where, "slabs and socket buffers", "/proc/meminfo cannot be read", true)
		return
	}
	if l.ToConns-l.FromConns < ledgerConns {
		l.unknown(where, "slabs and socket buffers", fmt.Sprintf("it needs %s connections or more between the two sizes", grouped(ledgerConns)), true)
		return
	}
	slabs, buffers := to.SlabBytes-from.SlabBytes, to.TCPBytes-from.TCPBytes
	l.add(where, "slabs and socket buffers", slabs+buffers, true)
	if from.Slabs == nil || to.Slabs == nil {
		l.unknown(where, "slabs by object", "/proc/slabinfo is for root alone", false)
	} else {
		l.addSlabs(from.Slabs, to.Slabs, slabs)
	}
	l.add(where, "socket buffers", buffers, false)
}

func (l *Ledger) addSlabs(from, to map[string]sample.Slab, all int64) {
	rest := all
	for _, part := range ledgerSlabs() {
		grown, found := int64(0), false
		for _, name := range part.slabs {
			after, ok := to[name]
			if ok {
				grown, found = grown+after.Bytes-from[name].Bytes, true
			}
		}
		rest -= grown
		switch {
		case found && (grown != 0 || part.why != ""):
			l.add("kernel", part.name, grown, false)
		case !found && part.why != "":
			l.unknown("kernel", part.name, part.why, false)
		}
	}
	l.add("kernel", "other slabs", rest, false)
}
