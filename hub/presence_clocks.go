package hub

import "sort"

// A clockSpan is the clocks from to to, both included.
type clockSpan struct{ from, to uint64 }

// clockSet is a set of clocks, which count from 1: spans in rising order, with a gap between any two.
// One set has one form, and what is seen without gaps takes one span however much it is: a causal
// context compacts itself.
type clockSet []clockSpan

func (s clockSet) has(c uint64) bool {
	i := s.search(c)
	return i < len(s) && s[i].from <= c
}

// search returns the first span that ends at c or later.
func (s clockSet) search(c uint64) int {
	return sort.Search(len(s), func(i int) bool { return s[i].to >= c })
}

// last returns the highest clock, or 0.
func (s clockSet) last() uint64 {
	if len(s) == 0 {
		return 0
	}
	return s[len(s)-1].to
}

// count returns how many clocks s has.
func (s clockSet) count() (n uint64) {
	for _, p := range s {
		n += p.to - p.from + 1
	}
	return n
}

// add puts c into s, which only its holder may have. The next clock in turn allocates nothing.
func (s *clockSet) add(c uint64) {
	if n := len(*s); n > 0 && (*s)[n-1].to+1 == c {
		(*s)[n-1].to = c
		return
	}
	if !s.has(c) {
		*s = s.union(clockSet{{c, c}})
	}
}

// union returns a new set of the clocks of both.
func (s clockSet) union(o clockSet) clockSet {
	u := make(clockSet, 0, len(s)+len(o))
	for len(s) > 0 || len(o) > 0 {
		if len(s) == 0 || len(o) > 0 && o[0].from < s[0].from {
			s, o = o, s
		}
		if n := len(u); n > 0 && s[0].from <= u[n-1].to+1 {
			u[n-1].to = max(u[n-1].to, s[0].to)
		} else {
			u = append(u, s[0])
		}
		s = s[1:]
	}
	return u
}

// covers reports whether s has every clock of o.
func (s clockSet) covers(o clockSet) bool {
	for _, p := range o {
		i := s.search(p.from)
		if i == len(s) || s[i].from > p.from || s[i].to < p.to {
			return false
		}
	}
	return true
}

// valid reports whether s has the one form that a set of clocks has.
func (s clockSet) valid() bool {
	for i, p := range s {
		if p.from == 0 || p.to < p.from || p.to == ^uint64(0) || i > 0 && p.from <= s[i-1].to+1 {
			return false
		}
	}
	return true
}
