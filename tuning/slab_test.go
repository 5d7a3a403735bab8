package tuning

import (
	"maps"
	"strings"
	"testing"
)

const slabHead = `slabinfo - version: 2.1
# name            <active_objs> <num_objs> <objsize> <objperslab> <pagesperslab> : tunables <limit> <batchcount> <sharedfactor> : slabdata <active_slabs> <num_slabs> <sharedavail>
`

func TestParseSlabs(t *testing.T) {
	const tail = " : tunables 0 0 0 : slabdata 2 2 0\n"
	for _, c := range []struct {
		name, content string
		want          slabs
	}{
		{"empty", "", slabs{}},
		{"no objects", slabHead, slabs{}},
		{"the rest of a slab counts", slabHead + "TCP 79 130 2368 13 8" + tail, slabs{"TCP": 2521}},
		{"nothing is left over", slabHead + "eventpoll_epi 0 0 128 32 1" + tail, slabs{"eventpoll_epi": 128}},
		{"two", slabHead + "a 0 0 192 21 1" + tail + "b 0 0 832 19 4" + tail, slabs{"a": 196, "b": 863}},
		{"without tunables", "a 1 1 192 21 1", slabs{"a": 196}},
		{"cut off", "a 1 1 192 21", slabs{}},
		{"objects larger than their slab", "a 1 1 4097 1 1" + tail, slabs{}},
		{"objects as large as their slab", "a 1 1 4096 1 1" + tail, slabs{"a": 4096}},
		{"no objects in a slab", "a 1 1 192 0 1" + tail, slabs{}},
		{"negative", "a 1 1 -192 21 1" + tail, slabs{}},
		{"no pages", "a 1 1 192 1 0" + tail, slabs{}},
		{"the largest slab", "a 1 1 4096 1024 1024" + tail, slabs{"a": 4096}},
		{"larger than any slab", "a 1 1 4096 1025 1025" + tail, slabs{}},
		{"no number", "a 1 1 x 1 1" + tail, slabs{}},
	} {
		t.Run(c.name, func(t *testing.T) {
			if got := parseSlabs(c.content, 4096); !maps.Equal(got, c.want) {
				t.Errorf("got %v, want %v", got, c.want)
			}
		})
	}
}

func TestTableOfSlabs(t *testing.T) {
	const shapes = `TCP 0 0 2368 13 8
TCPv6 0 0 2496 13 8
sock_inode_cache 0 0 832 19 4
dentry 0 0 192 21 1
filp 0 0 192 21 1
eventpoll_epi 0 0 128 32 1
eventpoll_pwq 0 0 64 64 1
ep_head 0 0 16 256 1
tcp_bind_bucket 0 0 128 32 1
tcp_bind2_bucket 0 0 128 32 1
lsm_inode_cache 0 0 32 128 1
nf_conntrack 0 0 256 16 1
`
	want := parseSlabs(shapes, 4096)
	got := tableOfSlabs()
	want["lsm_file_cache"] = got["lsm_file_cache"] // its size depends on the modules
	if !maps.Equal(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
}

func TestCostFallsBackByObject(t *testing.T) {
	h := hostOf(t, map[string]string{"proc/slabinfo": slabHead + "TCP 0 0 2048 2 1\n"})
	s, ok := h.slabs()
	if !ok {
		t.Fatal("slabinfo was not read")
	}
	if bytes, from := s.cost("TCP"); bytes != 2048 || from != "slabinfo" {
		t.Errorf("TCP: got %d from %s, want 2048 from slabinfo", bytes, from)
	}
	if bytes, from := s.cost("eventpoll_pwq"); bytes != 64 || from != "table" {
		t.Errorf("eventpoll_pwq: got %d from %s, want 64 from table", bytes, from)
	}
}

func TestSlabsUnread(t *testing.T) {
	for _, content := range []string{"", "!EACCES", slabHead} {
		if s, ok := hostOf(t, map[string]string{"proc/slabinfo": content}).slabs(); ok {
			t.Errorf("%q: got %v, want nothing", content, s)
		}
	}
}

func FuzzParseSlabs(f *testing.F) {
	f.Add(slabHead + "TCP 79 130 2368 13 8 : tunables 0 0 0 : slabdata 10 10 0\n")
	f.Add("a 1 1 9223372036854775807 1 1")
	f.Fuzz(func(t *testing.T, s string) {
		for name, bytes := range parseSlabs(s, 4096) {
			if bytes < 1 || bytes > 4096<<10 {
				t.Errorf("an object %s of %d bytes", name, bytes)
			}
			if strings.ContainsAny(name, " \n") {
				t.Errorf("an object is called %q", name)
			}
		}
	})
}

func TestRoundUp(t *testing.T) {
	for _, c := range []struct{ a, b, want int64 }{{0, 1, 0}, {1, 1, 1}, {4095, 4096, 1}, {4096, 4096, 1}, {4097, 4096, 2}} {
		if got := roundUp(c.a, c.b); got != c.want {
			t.Errorf("%d / %d: got %d, want %d", c.a, c.b, got, c.want)
		}
	}
}
