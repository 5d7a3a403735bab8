package tuning

import (
	"fmt"
	"slices"
	"strings"
)

// A section is a part of the sysctl fragment.
type section struct {
	title  string
	checks []Check
}

// sections has the table of Checks in its order.
func sections() []section {
	return []section{
		{"Descriptors", fileChecks()},
		{"Ports", portChecks()},
		{"Connection tracking", conntrackChecks()},
		{"Memory", memoryChecks()},
		{"Buffers", bufferChecks()},
		{"Control groups", cgroupChecks()},
		{"Listening", listenChecks()},
		{"Closing", closeChecks()},
		{"The Go runtime", goChecks()},
		{"Processors", processorChecks()},
	}
}

// fragmentPage is the size of a page in bytes for settings in pages, which tcp_mem has: that of x86-64 and of
// most arm64 kernels. Where pages are larger, as many of them are more memory than was meant.
const fragmentPage = 4096

// sysctlText writes what the sections want as a file of sysctl.d(5), which is also one for procps's sysctl(8).
// What is left out stands there as a comment, so that whoever looks for it finds the reason.
func sysctlText(g Goal, sections []section) string {
	w := made(g, "sysctl")
	w.sysctlHeader(g, sections)
	for _, s := range sections {
		begun := false
		for _, c := range s.checks {
			if c.setting == nil || c.Role&g.Role == 0 {
				continue
			}
			if !begun {
				w.gap()
				w.comment("== " + s.title + " ==")
				begun = true
			}
			w.gap()
			w.setting(&c, g)
		}
	}
	w.myths(g, sections)
	return w.String()
}

func (w *commented) sysctlHeader(g Goal, sections []section) {
	w.comment("Load it: install it as " + sysctlConf + ", then `sysctl --system`; at boot systemd-sysctl(8) does.")
	w.gap()
	w.comment("A file of sysctl.d(5) sets what it names, also where that lowers it, and files that sort later win. " +
		"`dormouse tune apply` never lowers a value, leaves out what this host does not need, and can be reverted.")
	if anySet(g, sections, func(s *sysctl) bool { return s.optional }) {
		w.gap()
		w.comment("A key with a - in front is not there on every host. systemd-sysctl(8) knows the mark since version 243, and goes on " +
			"without a missing key in any case. sysctl(8) of procps 4.0.2 goes on too, but names the key and exits 1, " +
			"mark or not: `sysctl -e --system` does not.")
	}
	if anySet(g, sections, func(s *sysctl) bool { return strings.HasPrefix(s.key, "net.netfilter.") }) {
		w.gap()
		w.comment("The keys of net.netfilter are there once nf_conntrack is loaded. At boot that is mostly after this file was read, and then " +
			"they do nothing, unless a file of modules-load.d(5) has a line nf_conntrack.")
	}
}

// anySet reports whether the file sets, not only mentions, a setting that is so.
func anySet(g Goal, sections []section, so func(*sysctl) bool) bool {
	for _, s := range sections {
		for _, c := range s.checks {
			if c.setting == nil || c.Role&g.Role == 0 || !so(c.setting) {
				continue
			}
			if _, _, leave := c.setting.printed(g); leave == "" {
				return true
			}
		}
	}
	return false
}

// setting writes a row: why it matters, the arithmetic, where that is written, bad advice, and the line itself.
func (w *commented) setting(c *Check, g Goal) {
	s := c.setting
	values, because, leave := s.printed(g)
	w.comment(sentence(c.Why))
	if because != "" {
		w.comment("Value: " + sentence(because))
	}
	if c.Source != "" {
		w.comment("Source: " + sentence(c.Source))
	}
	if c.Myth != "" {
		w.comment("Myth: " + sentence(c.Myth))
	}
	line := s.key + " = " + row(values)
	switch {
	case leave != "":
		w.comment("Not set: " + sentence(leave))
		w.line("#" + line)
	case s.optional:
		w.line("-" + line)
	default:
		w.line(line)
	}
}

// printed returns what a file for many hosts has of a setting, the arithmetic, and why it is a comment alone,
// "" if it is not. Such a file must not lower what the kernel sets by itself: fs.nr_open of a small goal, or
// buffers that are enough for small messages, would break other programs of the host.
func (s *sysctl) printed(g Goal) (values []int64, because, leave string) {
	values, because = s.want(g, fragmentPage)
	own, known := kernelsOwn()[s.key]
	if s.leave != "" || !known {
		return values, because, s.leave
	}
	merged := s.order.merge(own.values, values)
	switch {
	case !own.grows && slices.Equal(merged, own.values):
		return own.values, because, fmt.Sprintf("the goal needs %s. The kernel's own %s is enough, and as a line here it would lower what is higher",
			row(values), row(own.values))
	case own.grows && !slices.Equal(merged, values):
		because += "; no less than a large host has by itself"
	case !slices.Equal(merged, values):
		because += "; no less than the kernel's own"
	}
	if s.key == "net.ipv4.tcp_mem" {
		because += fmt.Sprintf("; the kernel's own is a sixteenth of the memory, so leave this out on a host of more than %s, and take less on one that "+
			"has not %s to spare, or stuck receivers use its memory up",
			byteCount(merged[1]*16*fragmentPage), byteCount(merged[2]*fragmentPage))
	}
	return merged, because, ""
}

// A defaultValue is what a setting is when nobody sets it. One that grows with memory is that of a large host.
type defaultValue struct {
	values []int64
	grows  bool
}

// kernelsOwn are the defaults that a goal's wants may be below, from Linux 6.12.
func kernelsOwn() map[string]defaultValue {
	own := map[string]defaultValue{
		"fs.nr_open":                   {values: []int64{nrOpenDefault}},
		"vm.max_map_count":             {values: []int64{65530}}, // DEFAULT_MAX_MAP_COUNT, include/linux/mm.h
		"net.core.somaxconn":           {values: []int64{4096}},  // SOMAXCONN, include/linux/socket.h; since 5.4
		"net.core.netdev_max_backlog":  {values: []int64{1000}},  // net/core/hotdata.c
		"net.ipv4.ip_local_port_range": {values: []int64{32768, 60999}},

		// tcp_init in net/ipv4/tcp.c, with 1 GiB of memory or more.
		"net.ipv4.tcp_rmem": {values: []int64{4096, 131072, 6 << 20}},
		"net.ipv4.tcp_wmem": {values: []int64{4096, 16 << 10, 4 << 20}},

		// net/netfilter/nf_conntrack_proto_tcp.c: 5 days.
		"net.netfilter.nf_conntrack_tcp_timeout_established": {values: []int64{5 * 24 * 3600}},

		// tcp_init_mem in net/ipv4/tcp.c: a sixteenth of 16 GiB, in pages.
		"net.ipv4.tcp_mem": {[]int64{192 << 10, 256 << 10, 384 << 10}, true},
	}
	// Half of the slots of the hash of connections, of which there are 512 Ki from 64 GiB on (tcp_init,
	// tcp_sk_init); and nf_conntrack_init_start, from 4 GiB on.
	for _, key := range []string{
		"net.ipv4.tcp_max_tw_buckets", "net.ipv4.tcp_max_orphans",
		"net.netfilter.nf_conntrack_max", "net.netfilter.nf_conntrack_buckets",
	} {
		own[key] = defaultValue{[]int64{256 << 10}, true}
	}
	return own
}

// myths writes what is advised elsewhere and is not in this file: of checks that have no setting, or
// another role's. What is said of several at once, is said once.
func (w *commented) myths(g Goal, sections []section) {
	var said []string // each once, in the order of the table
	names := map[string][]string{}
	for _, s := range sections {
		for _, c := range s.checks {
			if c.Myth == "" || c.setting != nil && c.Role&g.Role != 0 {
				continue
			}
			if names[c.Myth] == nil {
				said = append(said, c.Myth)
			}
			names[c.Myth] = append(names[c.Myth], c.Name)
		}
	}
	if len(said) > 0 {
		w.gap()
		w.comment("== Not here ==")
	}
	for _, myth := range said {
		w.gap()
		w.comment(strings.Join(names[myth], ", ") + ": " + sentence(myth))
	}
}
