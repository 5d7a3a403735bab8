package tuning

import (
	"strconv"
	"strings"
)

// slabs is what one object of a kind costs in bytes, with its share of the rest of its slab.
type slabs map[string]int64

// parseSlabs reads /proc/slabinfo, version 2.1 (slabinfo(5)): name, active_objs, num_objs, objsize, objperslab,
// pagesperslab. A line that is not like that is left out.
func parseSlabs(s string, page int64) slabs {
	// A slab is of order 10 at most (MAX_PAGE_ORDER): more pages are garbage.
	const mostPages = 1 << 10
	costs := slabs{}
	for line := range strings.Lines(s) {
		fields := strings.Fields(line)
		if len(fields) < 6 || fields[0] == "#" {
			continue
		}
		size, err1 := strconv.ParseInt(fields[3], 10, 32)
		objects, err2 := strconv.ParseInt(fields[4], 10, 32)
		pages, err3 := strconv.ParseInt(fields[5], 10, 32)
		if err1 != nil || err2 != nil || err3 != nil || pages < 1 || pages > mostPages ||
			objects < 1 || size < 1 || size*objects > pages*page {
			continue
		}
		costs[fields[0]] = roundUp(pages*page, objects)
	}
	return costs
}

// tableOfSlabs is what objects cost on x86-64 where slabinfo cannot be read, or does not name them: SLUB lays
// caches of the same size together under the name of the one that came first (find_mergeable in
// mm/slab_common.c). Sizes, and objects in so many pages, are of slabinfo under Linux 6.18: TCP of 2,368 B, 13 in
// 8 pages; TCPv6 of 2,496 B, the same; sock_inode_cache of 832 B, 19 in 4; dentry and filp of 192 B, 21 in 1 (under
// 6.1 filp has 256 B); what is smaller leaves nothing over. The security labels are those of a kernel with AppArmor.
func tableOfSlabs() slabs {
	return slabs{
		"TCP":              2521,
		"TCPv6":            2521,
		"sock_inode_cache": 863,
		"dentry":           196,
		"filp":             196,
		"eventpoll_epi":    128,
		"eventpoll_pwq":    64,
		"ep_head":          16,
		"tcp_bind_bucket":  128,
		"tcp_bind2_bucket": 128,
		"lsm_file_cache":   24,
		"lsm_inode_cache":  32,
		"nf_conntrack":     256,
	}
}

// slabs reads slabinfo, which is for root alone; false if it cannot.
func (h *Host) slabs() (slabs, bool) {
	s, err := h.text("proc/slabinfo")
	if err != nil {
		return nil, false
	}
	costs := parseSlabs(s, h.page)
	return costs, len(costs) > 0
}

// cost returns what an object costs and whether that is from slabinfo or the table.
func (s slabs) cost(name string) (int64, string) {
	if c, ok := s[name]; ok {
		return c, "slabinfo"
	}
	return tableOfSlabs()[name], "table"
}

// roundUp is a divided by b, the next whole number. a is not negative and b positive.
func roundUp(a, b int64) int64 {
	n := a / b
	if a%b > 0 {
		n++
	}
	return n
}
