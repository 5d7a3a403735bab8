package tuning

import (
	"strconv"
	"strings"
)

// A sysctl is what is wanted of one file below /proc/sys: a number, or several in a row.
type sysctl struct {
	key string

	// want returns the numbers for a goal on a machine with this page size in bytes, which depend on
	// nothing else, and the arithmetic behind them.
	want func(g Goal, page int64) (values []int64, because string)

	order order

	// holds returns how many connections values allow; nil: they are no limit of that.
	holds func(values []int64, g Goal, page int64) int64

	// skip returns why it does not matter on this host, "" if it does; nil: it always does.
	skip func(h *Host, g Goal, values []int64) string

	// leave is why Fragments writes it as a comment alone; "": it is written as a setting.
	leave string

	// optional settings are written so that a host on which the file is missing does not mind.
	optional bool
}

// An order says which of two rows of numbers is enough for the other.
type order uint8

const (
	atLeast order = iota // each number at least
	widest               // a range: the first at most, the second at least
	exactly
)

// enough reports whether have is as good as want.
func (o order) enough(have, want []int64) bool {
	if len(have) != len(want) {
		return false
	}
	for i := range want {
		switch {
		case o == exactly && have[i] != want[i],
			o == widest && i == 0 && have[i] > want[i],
			o == widest && i > 0 && have[i] < want[i],
			o == atLeast && have[i] < want[i]:
			return false
		}
	}
	return true
}

// merge returns numbers that are enough for both.
func (o order) merge(have, want []int64) []int64 {
	if o == exactly || len(have) != len(want) {
		return want
	}
	merged := make([]int64, len(want))
	for i := range want {
		merged[i] = max(have[i], want[i])
		if o == widest && i == 0 {
			merged[i] = min(have[i], want[i])
		}
	}
	return merged
}

// check makes the row of the table. c has the words.
func (s sysctl) check(c Check) Check {
	c.Name, c.setting = s.key, &s
	c.examine = func(c *Check, h *Host, g Goal) Finding { return s.examine(c, h, g) }
	return c
}

func (s *sysctl) examine(c *Check, h *Host, g Goal) Finding {
	name := sysctlFile(s.key)
	have, err := h.numbers(name)
	if s.skip != nil {
		if reason := s.skip(h, g, have); reason != "" {
			return c.notNeeded(row(have), reason)
		}
	}
	if err != nil {
		return c.unreadable(h, name, err)
	}
	want, because := s.want(g, h.page)
	if len(have) != len(want) {
		text, _ := h.text(name)
		return c.unreadable(h, name, &GarbageError{Path: "/" + name, Content: clip(text)})
	}
	f := c.finding(OK)
	f.Value, f.Needed, f.Because = row(have), row(want), because
	if s.holds != nil {
		f.Holds = max(0, s.holds(notNegative(have), g, h.page))
	}
	value := row(s.order.merge(have, want))
	f.Settings = []Setting{{Key: s.key, Path: "/" + name, Value: value}}
	if s.order.enough(have, want) {
		return f
	}
	f.Verdict = Raise
	if s.order == exactly {
		f.Verdict = Set
	}
	f.Now, f.ForGood = sysctlNow(s.key, value), sysctlForGood(s.key, value)
	return f
}

// notNegative has 0 for what is below: as a bound of connections it is none at all, and arithmetic with the least
// numbers that there are would make the largest of them.
func notNegative(values []int64) []int64 {
	bounds := make([]int64, len(values))
	for i, v := range values {
		bounds[i] = max(v, 0)
	}
	return bounds
}

func sysctlNow(key, value string) string {
	if strings.Contains(value, " ") {
		value = "'" + value + "'"
	}
	return "sysctl -w " + key + "=" + value
}

func sysctlForGood(key, value string) string {
	return key + " = " + value + " in " + sysctlConf
}

// sysctlConf is our file of sysctl.d(5).
const sysctlConf = "/etc/sysctl.d/90-dormouse.conf"

// row writes numbers with a space between them.
func row(values []int64) string {
	var b []byte
	for i, v := range values {
		if i > 0 {
			b = append(b, ' ')
		}
		b = strconv.AppendInt(b, v, 10)
	}
	return string(b)
}
