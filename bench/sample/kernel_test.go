package sample

import (
	"maps"
	"os"
	"slices"
	"strings"
	"testing"
)

func TestReadKernel(t *testing.T) {
	page := int64(os.Getpagesize())
	k := readKernel(recorded(t))
	slabs := map[string]Slab{
		"TCP": {118, 13 * 8 * page}, "TCPv6": {26, 2 * 8 * page}, "sock_inode_cache": {212, 16 * 4 * page},
		"dentry": {118691, 5655 * page}, "filp": {777, 37 * page}, "eventpoll_epi": {352, 11 * page},
		"tw_sock_TCP": {176, 16 * page}, "nf_conntrack": {0, 0},
	}
	if !maps.Equal(k.Slabs, slabs) {
		t.Errorf("the slabs are %v, want %v", k.Slabs, slabs)
	}
	k.Slabs = nil
	want := Kernel{
		SlabBytes: 194580 << 10, Free: 24111660 << 10, Available: 24173376 << 10,
		TCPInUse: 15010, TCPOrphans: 2, TCPWaiting: 31, TCPBytes: 155 * page, Conntrack: 17, ConntrackLimit: 262144,
	}
	if !k.same(want) {
		t.Errorf("got  %+v\nwant %+v", k, want)
	}
}

// same compares all but the slabs.
func (k Kernel) same(o Kernel) bool {
	return k.SlabBytes == o.SlabBytes && k.Free == o.Free && k.Available == o.Available &&
		k.TCPInUse == o.TCPInUse && k.TCPOrphans == o.TCPOrphans && k.TCPWaiting == o.TCPWaiting && k.TCPBytes == o.TCPBytes &&
		k.Conntrack == o.Conntrack && k.ConntrackLimit == o.ConntrackLimit
}

// What is missing, or garbage, leaves the rest.
func TestReadKernelWithout(t *testing.T) {
	for _, file := range []string{"slabinfo", "meminfo", "net/sockstat", "net/sockstat6", "sys/net/netfilter/nf_conntrack_max", "sys"} {
		for _, garbage := range []bool{false, true} {
			mount := recorded(t)
			remove(t, mount, file)
			if garbage {
				write(t, "\x00 garbage\n\n1 2 3 4 5\n", mount, file)
			}
			k := readKernel(mount)
			missing := 0
			for _, none := range []bool{k.Slabs == nil, k.SlabBytes == 0, k.TCPInUse != 15010, k.ConntrackLimit == 0} {
				if none {
					missing++
				}
			}
			if missing != 1 {
				t.Errorf("without %s (garbage: %v) %d parts are missing: %+v", file, garbage, missing, k)
			}
		}
	}
	if k := readKernel(t.TempDir()); k.Slabs != nil || !k.same(Kernel{}) {
		t.Errorf("of nothing: %+v", k)
	}
}

func FuzzSlabs(f *testing.F) {
	b, err := os.ReadFile("testdata/proc/slabinfo")
	if err != nil {
		f.Fatal(err)
	}
	f.Add(string(b))
	f.Add("TCP 1 2 3 4 5 : tunables 0 0 0 : slabdata 1")
	f.Fuzz(func(t *testing.T, text string) {
		for name := range parseSlabs(strings.NewReader(text)) {
			if !slices.Contains(socketSlabs(), name) {
				t.Errorf("a slab %q from %q", name, text)
			}
		}
	})
}
