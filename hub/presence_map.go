package hub

// shrinkMap is a map that gives its memory back as it empties, which Go's do not; but a small one keeps
// it, so that what comes and goes alone does not allocate. The zero value is empty.
type shrinkMap[K comparable, V any] struct {
	m    map[K]V
	peak int // the most that m held since it was made
}

// shrinkSparse and shrinkMin say when m is made anew: when it holds less than one in shrinkSparse of
// its peak, and that was not small. To move an entry is then paid for by seven removals before it.
const (
	shrinkSparse = 8
	shrinkMin    = 64
	shrinkSmall  = 8 // the least that Go's map takes memory for
)

func (s *shrinkMap[K, V]) get(k K) V { return s.m[k] }

func (s *shrinkMap[K, V]) len() int { return len(s.m) }

func (s *shrinkMap[K, V]) set(k K, v V) {
	if s.m == nil {
		s.m = make(map[K]V)
	}
	s.m[k] = v
	s.peak = max(s.peak, len(s.m))
}

func (s *shrinkMap[K, V]) delete(k K) {
	delete(s.m, k)
	switch n := len(s.m); {
	case n == 0 && s.peak > shrinkSmall:
		*s = shrinkMap[K, V]{}
	case s.peak > shrinkMin && n*shrinkSparse < s.peak:
		m := make(map[K]V, n)
		for k, v := range s.m {
			m[k] = v
		}
		s.m, s.peak = m, n
	}
}
