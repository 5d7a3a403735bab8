package server

import (
	"fmt"
	"strings"
	"unicode/utf8"
)

// A mountPath is the path of a mount with that of a transport behind it, as "/socket/websocket" or
// "/custom/:room/websocket" (section 1.1).
type mountPath struct {
	segments []pathSegment
}

// A pathSegment is a literal, or the name of a variable.
type pathSegment struct {
	text     string
	variable bool
}

// parseMountPath joins the parts. A segment that begins with ":" is a variable, named like an
// identifier; a name that begins with "_" matches without becoming a parameter. Segments with a ":"
// or "*" elsewhere are errors.
func parseMountPath(parts ...string) (mountPath, error) {
	var m mountPath
	joined := strings.Join(parts, "/")
	for segment := range strings.SplitSeq(joined, "/") {
		if segment == "" {
			continue
		}
		name, variable := strings.CutPrefix(segment, ":")
		if variable && !isIdentifier(name) || !variable && strings.ContainsAny(segment, ":*?#% ") {
			return mountPath{}, fmt.Errorf("server: mount path %q: the segment %q is neither a plain name nor a variable such as :name",
				joined, segment)
		}
		m.segments = append(m.segments, pathSegment{name, variable})
	}
	if len(m.segments) == 0 && !strings.HasPrefix(joined, "/") {
		return mountPath{}, fmt.Errorf("server: mount path %q: it is empty; the root is \"/\"", joined)
	}
	return m, nil
}

func isIdentifier(s string) bool {
	for i := range len(s) {
		letter := lower(s[i]) >= 'a' && lower(s[i]) <= 'z' || s[i] == '_'
		if !letter && (i == 0 || !isDigit(s[i])) {
			return false
		}
	}
	return s != ""
}

// match reports whether a request's path, percent-encoded as head.path holds it, is this one. Empty
// segments are skipped on both sides, as Plug does, so "/socket//websocket/" is "/socket/websocket".
// It does not allocate.
func (m mountPath) match(path string) bool {
	for _, want := range m.segments {
		var got string
		got, path = cutSegment(path)
		if got == "" || !want.variable && got != want.text {
			return false
		}
	}
	last, _ := cutSegment(path)
	return last == ""
}

// mergeVars puts the variables of a matching path, percent-decoded, into p, above what the query has
// under the same names. Error: 400 for a segment that is not UTF-8 once decoded.
func (m mountPath) mergeVars(path string, p Params) *httpError {
	for _, want := range m.segments {
		var got string
		got, path = cutSegment(path)
		if !want.variable || want.text[0] == '_' {
			continue
		}
		value := unescape(got, false)
		if !utf8.ValidString(value) {
			return badRequest("the path is not UTF-8")
		}
		p[want.text] = value
	}
	return nil
}

// cutSegment returns the first segment that is not empty, and what follows it.
func cutSegment(path string) (segment, rest string) {
	path = strings.TrimLeft(path, "/")
	if i := strings.IndexByte(path, '/'); i >= 0 {
		return path[:i], path[i:]
	}
	return path, ""
}

// String returns the path with its variables as they were declared.
func (m mountPath) String() string {
	if len(m.segments) == 0 {
		return "/"
	}
	var b strings.Builder
	for _, s := range m.segments {
		b.WriteByte('/')
		if s.variable {
			b.WriteByte(':')
		}
		b.WriteString(s.text)
	}
	return b.String()
}
