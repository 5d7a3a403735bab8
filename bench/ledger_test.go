package bench

import (
	"fmt"
	"strings"
	"testing"

	"github.com/dormouse-ws/dormouse/bench/sample"
)

// at is a size in which everything is a base and so much for each connection.
func at(conns int64) size {
	kernel := sample.Kernel{
		Slabs: map[string]sample.Slab{
			"TCP": {Bytes: 1 << 20}, "TCPv6": {Bytes: 2400 * conns}, "sock_inode_cache": {Bytes: 800 * conns},
			"dentry": {Bytes: 90<<20 + 200*conns}, "filp": {Bytes: 300 * conns},
			"eventpoll_epi": {Bytes: 100 * conns}, "eventpoll_pwq": {Bytes: 50 * conns}, "tw_sock_TCP": {Bytes: 1 << 20},
		},
		SlabBytes: 200<<20 + 4000*conns, TCPBytes: 10 * conns,
	}
	target := sample.Process{
		RSS: 12<<20 + 300*conns,
		Go:  &sample.Go{HeapInuse: 4<<20 + 200*conns, StackInuse: 1<<20 + 20*conns},
	}
	return size{conns: conns, target: &target, kernel: &kernel, generator: sample.Process{RSS: 20<<20 + 350*conns}}
}

// lines writes a ledger's parts as where/name=bytes, with a star behind totals and a question mark for
// what is unknown.
func lines(l *Ledger) string {
	var b strings.Builder
	for _, p := range l.Parts {
		star, bytes := "", fmt.Sprint(p.Bytes)
		if p.Total {
			star = "*"
		}
		if p.Why != "" {
			bytes = "?"
		}
		fmt.Fprintf(&b, "%s/%s=%s%s\n", p.Where, p.Name, bytes, star)
	}
	return b.String()
}

func TestLedger(t *testing.T) {
	const target = `target/resident memory=300*
target/Go heap=200
target/Go stacks=20
target/other=80
`
	const kernel = `kernel/slabs and socket buffers=4010*
kernel/TCP=2400
kernel/sock_inode_cache=800
kernel/dentry=200
kernel/filp=300
kernel/eventpoll=150
kernel/other slabs=150
kernel/socket buffers=10
`
	const halved = `kernel/slabs and socket buffers=2005*
kernel/TCP=1200
kernel/sock_inode_cache=400
kernel/dentry=100
kernel/filp=150
kernel/eventpoll=75
kernel/other slabs=75
kernel/socket buffers=5
`
	const generator = "generator/resident memory=350*\ngenerator/Go heap and stacks=?\n"
	for _, row := range []struct {
		name   string
		both   bool
		change func(from, to *size)
		want   string
	}{
		{name: "one end", want: target + kernel + generator},
		{name: "both ends", both: true, want: target + halved + generator},
		{name: "no target", change: func(_, to *size) { to.target = nil }, want: "target/resident memory=?*\n" + kernel + generator},
		{name: "a target that could not be read", change: func(from, _ *size) { from.target = &sample.Process{} },
			want: "target/resident memory=?*\n" + kernel + generator},
		{name: "a target that is not in Go", change: func(from, _ *size) { from.target.Go = nil },
			want: "target/resident memory=300*\ntarget/Go heap and stacks=?\n" + kernel + generator},
		{name: "not root", change: func(from, to *size) { from.kernel.Slabs, to.kernel.Slabs = nil, nil },
			want: target + "kernel/slabs and socket buffers=4010*\nkernel/slabs by object=?\nkernel/socket buffers=10\n" + generator},
		{name: "no kernel", change: func(_, to *size) { to.kernel = nil },
			want: target + "kernel/slabs and socket buffers=?*\n" + generator},
		{name: "no generator", change: func(from, _ *size) { from.generator = sample.Process{} },
			want: target + kernel + "generator/resident memory=?*\n"},
		{name: "filp is merged, and conntrack is on", change: func(from, to *size) {
			for _, s := range []*size{from, to} {
				delete(s.kernel.Slabs, "filp")
				s.kernel.Slabs["nf_conntrack"] = sample.Slab{Bytes: 250 * s.conns}
			}
		}, want: target + strings.NewReplacer("filp=300", "filp=?", "eventpoll=150\n", "eventpoll=150\nkernel/conntrack=250\n",
			"other slabs=150", "other slabs=200").Replace(kernel) + generator},
	} {
		t.Run(row.name, func(t *testing.T) {
			from, to := at(1000), at(15_000)
			if row.change != nil {
				row.change(&from, &to)
			}
			l := newLedger(from, to, row.both, 1)
			if l.FromConns != 1000 || l.ToConns != 15_000 || l.BothEnds != row.both || l.Note != "" {
				t.Errorf("got %+v", l)
			}
			if got := lines(l); got != row.want {
				t.Errorf("got\n%swant\n%s", got, row.want)
			}
		})
	}
}

func TestLedgerOfTooLittle(t *testing.T) {
	for _, conns := range []int64{1000, 999} {
		if l := newLedger(at(1000), at(conns), false, 1); l != nil {
			t.Errorf("from 1,000 to %d connections: %+v", conns, l)
		}
	}
	if l := newLedger(at(100), at(1000), false, 1); l == nil || !strings.Contains(l.Note, "900") {
		t.Errorf("of 900 connections: %+v", l)
	}
}
