package server

import (
	"strings"
	"unicode/utf8"
)

// The limits of a query string. The first is Plug's. The others are ours, and far above what a client
// has reason to send: they keep the cost of a hostile query in proportion to its length.
const (
	maxQueryBytes = 1_000_000
	maxQueryPairs = 4096
	maxQueryDepth = 32 // of keys: a[b][c] has three levels
)

// Params are the parameters with which a client connects: those of the query string, and above them the
// variables of the mount's path. A value is a string, Params (`a[b]=c`, also for indexed keys as
// `a[0]=c`), or a list of those, []any (`a[]=b`).
type Params map[string]any

// Get returns the string under name, or "" when there is none or the value is not a string.
func (p Params) Get(name string) string {
	s, _ := p[name].(string)
	return s
}

// parseQuery decodes a query string as Plug.Conn.Query does (section 1.1): the last of several equal keys
// counts, a key without "=" has the value "", empty pieces are skipped. A percent sign that does not
// begin an escape stands for itself, as in Elixir's URI.decode_www_form. The result is never nil and
// refers to nothing of raw. Errors: 400 for what is not UTF-8 once decoded and for keys nested or
// repeated beyond the limits, 414 for too long a string.
func parseQuery(raw string) (Params, *httpError) {
	if len(raw) > maxQueryBytes {
		return nil, &httpError{414, "the query string is too long"}
	}
	d := queryDecoder{}
	for pairs, rest := 0, raw; rest != ""; {
		var piece string
		piece, rest, _ = strings.Cut(rest, "&")
		if piece == "" {
			continue
		}
		if pairs++; pairs > maxQueryPairs {
			return nil, badRequest("the query string has too many parameters")
		}
		rawKey, rawValue, _ := strings.Cut(piece, "=")
		key, value := unescape(rawKey, true), unescape(rawValue, true)
		if !utf8.ValidString(key) || !utf8.ValidString(value) {
			return nil, badRequest("the query string is not UTF-8")
		}
		if !d.add(key, value) {
			return nil, badRequest("a key of the query string is nested too deeply")
		}
	}
	return d.root.params(), nil
}

// A queryDecoder collects pairs in levels: the root, and one for each prefix of a key before a "[".
// An entry of a level is a value or the level below it. Values are settled at the end, where the last
// entry of a name counts: the way in which Plug resolves `a=1&a[b]=2` and the like.
type queryDecoder struct {
	root   queryLevel
	levels map[string]*queryLevel
}

type queryLevel struct {
	entries []queryEntry
}

type queryEntry struct {
	key   string
	list  bool // the key was empty: an item of a list
	value string
	child *queryLevel // if not nil, this is the value
}

// add puts one decoded pair in place. It reports whether the key was within maxQueryDepth.
func (d *queryDecoder) add(key, value string) bool {
	level := &d.root
	open := strings.IndexByte(key, '[')
	if open <= 0 || key[len(key)-1] != ']' {
		level.entries = append(level.entries, queryEntry{key: key, value: value})
		return true
	}
	level = d.below(level, key[:open], false, key[:open])
	for start, depth := open+1, 2; ; depth++ {
		if depth > maxQueryDepth {
			return false
		}
		size := strings.Index(key[start:], "][")
		if size < 0 {
			name := key[start : len(key)-1]
			level.entries = append(level.entries, queryEntry{key: name, list: name == "", value: value})
			return true
		}
		name := key[start : start+size]
		level = d.below(level, name, name == "", key[:start+size+1])
		start += size + 2
	}
}

// below returns the level of a prefix. When it is new it becomes the latest entry of its parent.
func (d *queryDecoder) below(parent *queryLevel, name string, list bool, prefix string) *queryLevel {
	if level := d.levels[prefix]; level != nil {
		return level
	}
	if d.levels == nil {
		d.levels = make(map[string]*queryLevel)
	}
	level := &queryLevel{}
	d.levels[prefix] = level
	parent.entries = append(parent.entries, queryEntry{key: name, list: list, child: level})
	return level
}

func (l *queryLevel) params() Params {
	p := make(Params, len(l.entries))
	for _, e := range l.entries {
		if !e.list {
			p[e.key] = e.settle()
		}
	}
	return p
}

// settle returns the entry's value. A level is a list when its latest entry is an item of one, else it
// is a map; entries of the other sort are dropped.
func (e *queryEntry) settle() any {
	if e.child == nil {
		return e.value
	}
	entries := e.child.entries
	if !entries[len(entries)-1].list {
		return e.child.params()
	}
	list := []any{}
	for _, item := range entries {
		if item.list {
			list = append(list, item.settle())
		}
	}
	return list
}

// unescape undoes percent-encoding, and with plus also the form encoding of spaces. It returns a string
// of its own, which refers to nothing of s.
func unescape(s string, plus bool) string {
	if s == "" {
		return ""
	}
	out := make([]byte, 0, len(s))
	for i := 0; i < len(s); i++ {
		c := s[i]
		switch {
		case c == '+' && plus:
			c = ' '
		case c == '%' && i+2 < len(s) && unhex(s[i+1]) >= 0 && unhex(s[i+2]) >= 0:
			c = byte(unhex(s[i+1])<<4 | unhex(s[i+2]))
			i += 2
		}
		out = append(out, c)
	}
	return string(out)
}
