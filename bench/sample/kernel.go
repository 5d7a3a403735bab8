package sample

import (
	"bufio"
	"bytes"
	"io"
	"os"
	"path/filepath"
	"slices"

	"github.com/prometheus/procfs"
)

// socketSlabs are the slabs in which the kernel keeps sockets and what belongs to them. SLUB lays caches
// of the same size together under the name of the one that came first: a name may be missing, and another
// may hold more than its own objects. Kernel.SlabBytes counts them all, each once.
func socketSlabs() []string {
	return []string{
		"TCP", "TCPv6", "sock_inode_cache", "dentry", "filp", // what a socket is to its process
		"eventpoll_epi", "eventpoll_pwq",
		"tcp_bind_bucket", "tcp_bind2_bucket", // its port
		"request_sock_TCP", "request_sock_TCPv6", "tw_sock_TCP", "tw_sock_TCPv6", // before and after it
		"skbuff_head_cache", "skbuff_small_head", "skbuff_fclone_cache", // its buffers, without their pages
		"lsm_inode_cache", "lsm_file_cache", // labels of security modules
		"nf_conntrack",
	}
}

// ReadKernel reads what the kernel holds. What cannot be read is 0, and Slabs nil: slabinfo(5) is for root
// alone. Sockets are those of this network namespace. It costs some tenths of a millisecond.
func ReadKernel() Kernel {
	return readKernel(procfs.DefaultMountPoint)
}

func readKernel(mount string) Kernel {
	var k Kernel
	f, err := procfs.NewFS(mount)
	if err != nil {
		return k
	}
	k.Slabs = readSlabs(mount)
	if m, err := f.Meminfo(); err == nil {
		k.SlabBytes, k.Free, k.Available = bytesOf(m.SlabBytes), bytesOf(m.MemFreeBytes), bytesOf(m.MemAvailableBytes)
	}
	k.readSockets(f)
	k.Conntrack, k.ConntrackLimit = sysctl(f, "net.netfilter.nf_conntrack_count"), sysctl(f, "net.netfilter.nf_conntrack_max")
	return k
}

func readSlabs(mount string) map[string]Slab {
	f, err := os.Open(filepath.Join(mount, "slabinfo"))
	if err != nil {
		return nil
	}
	defer f.Close()
	return parseSlabs(f)
}

// parseSlabs reads slabinfo, version 2.1: name, active_objs, num_objs, objsize, objperslab, pagesperslab, the
// tunables, and behind a second colon the word slabdata, active_slabs and num_slabs.
func parseSlabs(r io.Reader) map[string]Slab {
	names := socketSlabs()
	page := int64(os.Getpagesize())
	var slabs map[string]Slab
	for lines := bufio.NewScanner(r); lines.Scan(); {
		line := lines.Bytes()
		name, _, _ := bytes.Cut(line, []byte(" "))
		if !slices.ContainsFunc(names, func(n string) bool { return n == string(name) }) {
			continue
		}
		active, ok := field(line, 1)
		pages, ok2 := field(line, 5)
		number, ok3 := field(line, 14)
		if !ok || !ok2 || !ok3 {
			continue
		}
		if slabs == nil {
			slabs = map[string]Slab{}
		}
		slabs[string(name)] = Slab{Active: active, Bytes: number * pages * page}
	}
	return slabs
}

// readSockets reads /proc/net/sockstat and sockstat6. Orphans, TIME-WAIT and mem are of both families in
// the first.
func (k *Kernel) readSockets(f procfs.FS) {
	for _, read := range []func() (*procfs.NetSockstat, error){f.NetSockstat, f.NetSockstat6} {
		stat, err := read()
		if err != nil {
			continue
		}
		for _, p := range stat.Protocols {
			switch p.Protocol {
			case "TCP":
				k.TCPInUse += p.InUse
				k.TCPOrphans, k.TCPWaiting = countOf(p.Orphan), countOf(p.TW)
				k.TCPBytes = int64(countOf(p.Mem)) * int64(os.Getpagesize())
			case "TCP6":
				k.TCPInUse += p.InUse
			}
		}
	}
}

func sysctl(f procfs.FS, name string) int64 {
	v, err := f.SysctlInts(name)
	if err != nil || len(v) != 1 {
		return 0
	}
	return int64(v[0])
}

func bytesOf(n *uint64) int64 {
	if n == nil {
		return 0
	}
	return int64(*n)
}

func countOf(n *int) int {
	if n == nil {
		return 0
	}
	return *n
}
