package server

import (
	"net/netip"
	"strconv"
	"strings"
)

// The limits of a request head when the configuration names none. A browser's handshake takes 500 to
// 900 bytes and 12 to 18 fields; the rest of the room is for cookies and for tokens in the query.
const (
	defaultHeadBytes  = 8 << 10
	defaultHeadFields = 64
)

// headLimits bounds a request head. The zero value means the defaults.
type headLimits struct {
	bytes  int // the whole head, with its final empty line
	fields int // header lines
}

func (l headLimits) orDefaults() headLimits {
	if l.bytes <= 0 {
		l.bytes = defaultHeadBytes
	}
	if l.fields <= 0 {
		l.fields = defaultHeadFields
	}
	return l
}

// An httpError is a request refused with an HTTP status. reason is one line of text for the person
// who debugs the client; it holds nothing of what the client sent.
type httpError struct {
	status int
	reason string
}

func (e *httpError) Error() string {
	return "server: " + strconv.Itoa(e.status) + " " + e.reason
}

func badRequest(reason string) *httpError { return &httpError{400, reason} }

// A headField is one header line: the name as it was sent, the value without the white space around it.
type headField struct {
	name, value string
}

// A head is a parsed request head. Its strings are parts of one copy of the bytes, made by parse: they
// stay valid for ever, but each keeps that whole copy alive, so what outlives the handshake must be
// cloned (parseQuery, mountPath.match and connectInfo do). A head may live in a sync.Pool.
type head struct {
	method string
	target string // the request target as it was sent
	path   string // its path, percent-encoded as sent; "/" where an absolute target has none; "*"
	query  string // its query without the "?", as sent
	minor  int    // of HTTP/1.x: 0 or 1
	host   string // with its port: from an absolute target, else from the Host field; may be empty
	fields []headField
}

// Reset forgets everything but the room for fields.
func (h *head) Reset() {
	clear(h.fields)
	*h = head{fields: h.fields[:0]}
}

// parse fills h from a complete head that a headScanner has accepted, beginning at the scanner's start
// and ending at the end it returned. raw may be reused afterwards. What h held before is forgotten.
func (h *head) parse(raw []byte) *httpError {
	h.Reset()
	line, rest, ok := strings.Cut(string(raw), "\r\n")
	if !ok {
		return badRequest("the request line has no end")
	}
	if err := h.parseRequestLine(line); err != nil {
		return err
	}
	hosts := 0
	for rest != "" && rest != "\r\n" {
		line, rest, _ = strings.Cut(rest, "\r\n")
		name, value, ok := strings.Cut(line, ":")
		if !ok {
			return badRequest("a header line has no colon")
		}
		f := headField{name, strings.Trim(value, " \t")}
		h.fields = append(h.fields, f)
		if !equalFold(name, "host") {
			continue
		}
		if hosts++; hosts == 1 && h.host == "" {
			h.host = f.value
		}
		if !validHost(f.value) {
			return badRequest("the Host header is not a host and port")
		}
	}
	switch {
	case hosts > 1:
		return badRequest("more than one Host header")
	case hosts == 0 && h.minor == 1:
		return badRequest("no Host header")
	}
	return nil
}

// parseRequestLine follows RFC 9112 section 3 without its leave to accept other white space.
func (h *head) parseRequestLine(line string) *httpError {
	method, rest, _ := strings.Cut(line, " ")
	target, proto, ok := strings.Cut(rest, " ")
	if !ok || method == "" || target == "" {
		return badRequest("the request line is not: method, target, version")
	}
	switch {
	case proto == "HTTP/1.1":
		h.minor = 1
	case proto == "HTTP/1.0":
		h.minor = 0
	case len(proto) == 8 && strings.HasPrefix(proto, "HTTP/") &&
		isDigit(proto[5]) && proto[6] == '.' && isDigit(proto[7]):
		return &httpError{505, "only HTTP/1.0 and HTTP/1.1 are spoken here"}
	default:
		return badRequest("the request line does not end in an HTTP version")
	}
	h.method, h.target = method, target
	return h.parseTarget()
}

// parseTarget takes the origin and absolute forms of RFC 9112 section 3.2, and "*" for OPTIONS.
func (h *head) parseTarget() *httpError {
	if h.method == "CONNECT" {
		return &httpError{501, "CONNECT is not implemented: this is no proxy"}
	}
	if strings.IndexByte(h.target, '#') >= 0 {
		return badRequest("the request target has a fragment")
	}
	if h.target == "*" {
		h.path = "*"
		if h.method != "OPTIONS" {
			return badRequest("the target * is for OPTIONS only")
		}
		return nil
	}
	rest := h.target
	if rest[0] != '/' {
		scheme, after, ok := strings.Cut(rest, "://")
		if !ok || !equalFold(scheme, "http") && !equalFold(scheme, "https") {
			return badRequest("the request target is neither a path nor an http URL")
		}
		end := strings.IndexAny(after, "/?")
		if end < 0 {
			end = len(after)
		}
		h.host, rest = after[:end], after[end:]
		if h.host == "" || !validHost(h.host) {
			return badRequest("the request target has no valid host")
		}
	}
	h.path, h.query, _ = strings.Cut(rest, "?")
	if h.path == "" {
		h.path = "/"
	}
	if !validEscapes(h.path) {
		return badRequest("a percent sign in the path is not followed by two hexadecimal digits")
	}
	return nil
}

// header returns the value of the first field of that name. It does not allocate.
func (h *head) header(name string) (value string, ok bool) {
	for i := range h.fields {
		if equalFold(h.fields[i].name, name) {
			return h.fields[i].value, true
		}
	}
	return "", false
}

// repeats reports whether there is more than one field of that name.
func (h *head) repeats(name string) bool {
	n := 0
	for i := range h.fields {
		if equalFold(h.fields[i].name, name) {
			n++
		}
	}
	return n > 1
}

// headerList returns the values of all fields of that name as the one list they stand for (RFC 9110
// section 5.3). It allocates only if there are several.
func (h *head) headerList(name string) (value string, ok bool) {
	for i := range h.fields {
		switch {
		case !equalFold(h.fields[i].name, name):
		case ok:
			value += ", " + h.fields[i].value
		default:
			value, ok = h.fields[i].value, true
		}
	}
	return value, ok
}

// headersWithPrefix returns the fields whose name begins with prefix, which is in lower case, in the
// order in which they came. Nothing in the result refers to h.
func (h *head) headersWithPrefix(prefix string) Headers {
	list := Headers{}
	for _, f := range h.fields {
		if len(f.name) >= len(prefix) && equalFold(f.name[:len(prefix)], prefix) {
			list = append(list, Header{Name: strings.Clone(strings.ToLower(f.name)), Value: strings.Clone(f.value)})
		}
	}
	return list
}

// hasToken reports whether a comma separated list header, in any of its fields, contains token.
// Letter case does not count.
func (h *head) hasToken(name, token string) bool {
	for i := range h.fields {
		if !equalFold(h.fields[i].name, name) {
			continue
		}
		for rest, more := h.fields[i].value, true; more; {
			var item string
			item, rest, more = strings.Cut(rest, ",")
			if equalFold(strings.Trim(item, " \t"), token) {
				return true
			}
		}
	}
	return false
}

// hasBody reports whether the request announces a body, which no upgrade may have: its bytes would be
// taken for frames.
func (h *head) hasBody() bool {
	if _, ok := h.header("transfer-encoding"); ok {
		return true
	}
	for i := range h.fields { // of several, all: a proxy in front may believe another one than the first
		if equalFold(h.fields[i].name, "content-length") && h.fields[i].value != "0" {
			return true
		}
	}
	return false
}

// splitHostPort takes a host as head.host holds it apart. Without a port it is the scheme's: 443 for
// https, else 80. The brackets of an IPv6 address are dropped.
func splitHostPort(hostport, scheme string) (host string, port int) {
	host = hostport
	if i := strings.LastIndexByte(hostport, ':'); i >= 0 && strings.IndexByte(hostport[i:], ']') < 0 {
		host = hostport[:i]
		port, _ = strconv.Atoi(hostport[i+1:])
	}
	if port == 0 {
		port = defaultPort(scheme)
	}
	return strings.TrimSuffix(strings.TrimPrefix(host, "["), "]"), port
}

// validHost checks uri-host [ ":" port ] (RFC 9110 section 7.2), without percent-encoding. The empty
// host is valid: clients send it for URLs without authority.
func validHost(s string) bool {
	if strings.HasPrefix(s, "[") {
		end := strings.IndexByte(s, ']')
		if end < 0 || strings.IndexByte(s[:end], '%') >= 0 {
			return false
		}
		addr, err := netip.ParseAddr(s[1:end])
		return err == nil && addr.Is6() && validPort(s[end+1:])
	}
	end := strings.IndexByte(s, ':')
	if end < 0 {
		end = len(s)
	}
	for i := range end {
		if !isHostByte(s[i]) {
			return false
		}
	}
	return validPort(s[end:])
}

// validPort checks a ":" and a port, both of which may be missing.
func validPort(s string) bool {
	if s == "" || s == ":" {
		return true
	}
	if s[0] != ':' {
		return false
	}
	_, err := strconv.ParseUint(s[1:], 10, 16)
	return err == nil
}

func validEscapes(s string) bool {
	for i := 0; i < len(s); i++ {
		if s[i] == '%' && (i+2 >= len(s) || unhex(s[i+1]) < 0 || unhex(s[i+2]) < 0) {
			return false
		}
	}
	return true
}
