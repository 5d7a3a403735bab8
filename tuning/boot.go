package tuning

import (
	"math"
	"path"
	"slices"
	"strings"
)

// What is enough at the next boot without a file of ours has no line in it: a line is somebody's decision from then on,
// and on a host that is given more memory it would lower what the kernel takes by itself. What is enough now
// need not be so then. It is, if another file of sysctl.d(5) or tmpfiles.d(5) says so, or if the kernel comes to such
// a value by itself. What neither explains was set by hand, by a program, or by a tune apply without --persist,
// and would be gone.

// lasts reports whether what is set now is enough and will be after a boot, whatever our files say.
func (t Tuner) lasts(w wanted, s *state) bool {
	now, err := t.get(w.Path)
	if w.bad || err != nil || w.merged(now) != now || s.value(w.Path) != nil {
		return false
	}
	w.Value = w.need
	if value, set := t.bootFiles().last(w.Path); set {
		return w.merged(value) == value
	}
	if w.Key == "" {
		return t.inTmpfiles(w)
	}
	if own, known := kernelsSwitches()[w.Key]; known {
		return w.merged(own) == own
	}
	if own, known := kernelsOwn()[w.Key]; known && !own.grows {
		return w.merged(row(own.values)) == row(own.values)
	}
	most, known := t.host().mostByItself(w.Key)
	have, err := integers(now)
	return known && err == nil && atLeast.enough(most, have)
}

// bootFiles are the files of sysctl.d(5) that are read at boot, in that order, but for ours and for those in
// /run, which a boot empties. /etc/sysctl.conf is one where systemd is not, or a link in sysctl.d leads to it.
func (t Tuner) bootFiles() sysctlFiles {
	files := t.sysctlFiles(func(name string) bool { return name != path.Base(sysctlConf) })
	linked := slices.ContainsFunc(files, func(f sysctlFileAt) bool { return path.Base(f.name) == "99-sysctl.conf" })
	return slices.DeleteFunc(files, func(f sysctlFileAt) bool {
		return strings.HasPrefix(f.name, "/run/") || f.name == "/etc/sysctl.conf" && !linked && !t.missing("/etc/systemd")
	})
}

// inTmpfiles reports whether another file of tmpfiles.d(5) writes what is wanted below /sys.
func (t Tuner) inTmpfiles(w wanted) bool {
	h := t.host()
	for _, dir := range []string{"etc/tmpfiles.d", "usr/lib/tmpfiles.d"} {
		for _, name := range h.dir(dir) {
			if !strings.HasSuffix(name, ".conf") || name == path.Base(tmpfilesConf) {
				continue
			}
			text, _ := h.text(dir + "/" + name)
			for _, s := range parseTmpfiles(text) {
				if s.Path == w.Path && same(w.Path, s.Value, w.Value) {
					return true
				}
			}
		}
	}
	return false
}

// kernelsSwitches are those that the kernel has so when nobody sets them. What it has of numbers, kernelsOwn says.
func kernelsSwitches() map[string]string {
	return map[string]string{
		"net.ipv4.tcp_syncookies":        "1",
		"net.ipv4.tcp_moderate_rcvbuf":   "1",
		"net.ipv4.tcp_abort_on_overflow": "0",
		"net.ipv4.tcp_tw_reuse":          "2", // since 4.19
	}
}

// mostByItself returns the most that the kernel makes of a setting on a machine as this one when nobody sets it: that
// of Linux 5.4 to 6.18, whichever is more. False: it is not known.
func (h *Host) mostByItself(key string) ([]int64, bool) {
	memory, _ := h.meminfo("MemTotal")
	hash, _ := h.number(sysctlFile("net.ipv4.tcp_ehash_entries"))
	hash = max(hash, -hash)
	switch key {
	case "net.ipv4.tcp_mem":
		limit := memory / h.page / 16 // tcp_init_mem in net/ipv4/tcp.c
		return []int64{limit / 4 * 3, limit, limit / 2 * 3}, memory > 0
	case "net.ipv4.tcp_max_tw_buckets", "net.ipv4.tcp_max_orphans":
		return []int64{hash / 2}, hash > 0 // tcp_init and tcp_sk_init
	case "net.ipv4.tcp_max_syn_backlog":
		return []int64{max(128, hash/128)}, hash > 0 // likewise
	case "fs.epoll.max_user_watches":
		return []int64{memory / 25 / 160}, memory > 0 // eventpoll_init in fs/eventpoll.c: 4 %, at 160 to 192 bytes each
	case "fs.file-max":
		if h.exists("etc/systemd") {
			return []int64{math.MaxInt64}, true // systemd sets it to this at boot
		}
		return []int64{memory >> 10 / 10}, memory > 0 // files_maxfiles_init in fs/file_table.c: 10 %, at 1 KiB each
	case "vm.min_free_kbytes":
		// calculate_min_free_kbytes in mm/page_alloc.c; set_recommended_min_free_kbytes in mm/khugepaged.c: 11
		// pageblocks of 2 MiB for each of three zones.
		return []int64{max(int64(math.Sqrt(float64(memory>>10)*16)), 3*11*2048)}, memory > 0
	case conntrackMax, conntrackBuckets:
		return []int64{mostTracked(memory)}, memory > 0
	}
	return nil, false
}

// mostTracked is nf_conntrack_init_start in net/netfilter/nf_conntrack_core.c: a bucket of 8 bytes for each 16,384 bytes
// of memory, or so many from 1 GiB and from 4 GiB on. Until Linux 5.14 the entries are four to a bucket.
func mostTracked(memory int64) int64 {
	switch {
	case memory > 4<<30:
		return 256 << 10
	case memory > 1<<30:
		return 64 << 10
	}
	return max(1024, memory/16384/8*4)
}
