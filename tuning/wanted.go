package tuning

import (
	"cmp"
	"errors"
	"path"
	"slices"
	"strconv"
	"strings"
)

// A wanted is a Setting with what it takes to merge it with what is there.
type wanted struct {
	Setting
	name  string // for people
	order order
	text  bool   // it is no number, so there is no more or less
	bad   bool   // the Finding says that it is to be written
	need  string // what the goal needs; the Setting's value, which may be more as it is more already, where that is no value
	why   string
}

// settingsOf returns the Settings of a Report, each file once, in the order in which they are written: first
// fs.nr_open, which bounds the limits, then that of the table, which the same goal always has.
func settingsOf(r *Report) []wanted {
	orders, rank := map[string]order{}, map[string]int{}
	for i, c := range Checks() {
		rank[c.Name] = i + 1
		if c.setting != nil {
			orders[c.setting.key] = c.setting.order
		}
	}
	var all []wanted
	findings := slices.Clone(r.Findings)
	slices.SortStableFunc(findings, func(a, b Finding) int { return cmp.Compare(rank[a.Name], rank[b.Name]) })
	for i := range findings {
		f := &findings[i]
		for _, s := range f.Settings {
			w := wanted{Setting: s, name: cmp.Or(s.Key, s.Path), bad: f.bad(), why: f.Why}
			o, known := orders[s.Key]
			if w.order = o; !known && f.Verdict == Set {
				w.order = exactly
			}
			_, err := integers(s.Value)
			w.text = err != nil || w.isMask()
			if w.need = s.Value; !w.text && len(strings.Fields(f.Needed)) == len(strings.Fields(s.Value)) {
				if _, err := integers(f.Needed); err == nil {
					w.need = f.Needed
				}
			}
			if other := entry(all, func(o *wanted) bool { return o.Path == w.Path }); other != nil {
				other.Value, other.bad = w.merged(other.Value), other.bad || w.bad
				continue
			}
			all = append(all, w)
		}
	}
	slices.SortStableFunc(all, func(a, b wanted) int { return cmp.Compare(nrOpenFirst(a.Path), nrOpenFirst(b.Path)) })
	return all
}

const nrOpenFile = "/proc/sys/fs/nr_open"

func nrOpenFirst(name string) int {
	if name == nrOpenFile {
		return 0
	}
	return 1
}

// isMask reports whether it is a set of processors, in hexadecimal: no number, though it may look like one.
func (w *wanted) isMask() bool { return among(path.Base(w.Path), masks()...) }

// masks returns the names of the files below /sys that hold sets of processors or queues.
func masks() []string { return []string{"rps_cpus", "xps_cpus", "xps_rxqs"} }

// merged returns what is to be written where now is there: enough for both. It is now where that is enough.
func (w *wanted) merged(now string) string {
	if w.Key == reservedKey {
		return mergedPorts(now, w.Value)
	}
	have, err := integers(now)
	if w.text || err != nil {
		if same(w.Path, now, w.Value) {
			return now
		}
		return w.Value
	}
	want, _ := integers(w.Value)
	if w.order.enough(have, want) {
		return now
	}
	return row(w.order.merge(have, want))
}

// mergedPorts is all ports of two lists. It is now if that has them.
func mergedPorts(now, want string) string {
	have, ok := parsePorts(now)
	more, okMore := parsePorts(want)
	if !ok || !okMore {
		return want
	}
	all := append(slices.Clone(have), more...).normal().String()
	if all == have.String() {
		return now
	}
	return all
}

// integers reads numbers in a row, of which those that do not fit are the nearest that do.
func integers(s string) ([]int64, error) {
	fields := strings.Fields(s)
	if len(fields) == 0 {
		return nil, strconv.ErrSyntax
	}
	values := make([]int64, len(fields))
	for i, f := range fields {
		v, err := strconv.ParseInt(f, 10, 64)
		if err != nil && !errors.Is(err, strconv.ErrRange) {
			return nil, err
		}
		values[i] = v
	}
	return values, nil
}
