package server

import (
	"fmt"
	"net/url"
	"regexp"
	"strconv"
	"strings"
)

// An OriginPolicy decides from which origins browsers may connect to a mount (section 1.4). A request
// without an Origin header always passes: it does not come from a page. The zero value is
// [AllowPublicHost].
type OriginPolicy struct {
	mode    originMode
	entries []string // as given to AllowOrigins
	origins []origin // entries, once compiled
	allow   func(*url.URL) bool
}

type originMode uint8

const (
	originPublicHost originMode = iota
	originAny
	originList
	originSame
	originFunc
)

// AllowPublicHost accepts origins whose host is the server's configured public host, whatever their
// scheme and port. A server without a public host accepts every origin that has a host.
func AllowPublicHost() OriginPolicy { return OriginPolicy{} }

// AllowAnyOrigin turns the check off.
func AllowAnyOrigin() OriginPolicy { return OriginPolicy{mode: originAny} }

// AllowOrigins accepts the origins that match one of entries, as "https://example.com:8443",
// "//example.com" for every scheme and port, or "//*.example.com" for that host and all below it.
// Hosts are compared with regard to case. An entry with a scheme and without a port means the scheme's
// own port. An entry without a host is an error, which the server reports when it starts.
func AllowOrigins(entries ...string) OriginPolicy {
	return OriginPolicy{mode: originList, entries: entries}
}

// AllowSameOrigin accepts origins whose scheme, host and port are those of the request as this server
// sees it: behind a proxy that ends TLS the scheme is http.
func AllowSameOrigin() OriginPolicy { return OriginPolicy{mode: originSame} }

// AllowOriginFunc asks allow, on a worker; it may be called from several goroutines at once. The URL is never nil; an origin without a host, as "null", is asked about too.
func AllowOriginFunc(allow func(origin *url.URL) bool) OriginPolicy {
	return OriginPolicy{mode: originFunc, allow: allow}
}

// compile parses the entries. Errors name the entry.
func (p *OriginPolicy) compile() error {
	if p.mode == originFunc && p.allow == nil {
		return fmt.Errorf("server: AllowOriginFunc: the function is nil")
	}
	p.origins = nil
	for _, entry := range p.entries {
		o := parseOrigin(entry)
		if !o.hasHost {
			return fmt.Errorf("server: AllowOrigins: %q has no host; write it as \"https://example.com\", \"//example.com:888\" or \"//*.example.com\"", entry)
		}
		p.origins = append(p.origins, o)
	}
	return nil
}

// A requestURL is where a request went, as this server sees it.
type requestURL struct {
	scheme string // "http", "https"
	host   string // without port and brackets
	port   int
}

// requestURLOf takes a host as [head.host] and net/http's Request.Host hold it.
func requestURLOf(scheme, hostport string) requestURL {
	host, port := splitHostPort(hostport, scheme)
	return requestURL{scheme, host, port}
}

// allows reports whether a request may pass. header is its first Origin header, present whether it has
// one; publicHost is the server's, "" for none. The policy must have been compiled.
func (p *OriginPolicy) allows(header string, present bool, request requestURL, publicHost string) bool {
	if !present || p.mode == originAny {
		return true
	}
	if len(header) > maxOriginBytes {
		return false
	}
	o := parseOrigin(header)
	switch p.mode {
	case originFunc:
		return p.allow(o.url())
	case originSame:
		return o.hasHost && o.host == request.host && o.scheme == request.scheme && o.port == request.port
	case originPublicHost:
		return o.hasHost && (publicHost == "" || o.host == publicHost)
	}
	if !o.hasHost {
		return false
	}
	for i := range p.origins {
		if p.origins[i].matches(&o) {
			return true
		}
	}
	return false
}

// An origin is a URI as Elixir's URI.parse splits it, which takes any text: the table of section 1.4 is
// made of its outcomes, and net/url rejects some of them.
type origin struct {
	text     string
	scheme   string // in lower case
	userinfo string
	host     string // without brackets; its case is kept
	hasHost  bool   // there is a host, or an empty authority as in "file://"
	port     int    // the scheme's default when there is none; 0 for unknown
	rest     string // from the path on
}

// maxOriginBytes is far above the longest that a browser sends: a scheme, a host of 253 bytes at most (RFC 1035
// section 2.3.4), a port. A head full of one would take an event loop a third of a millisecond to take apart.
const maxOriginBytes = 1024

// The regular expressions of RFC 3986 appendix B and of URI.parse. They cannot take superlinear time.
var (
	uriParts  = regexp.MustCompile(`(?is)^(?:([a-z][a-z0-9+\-.]*):)?(?://([^/?#]*))?(.*)$`)
	authority = regexp.MustCompile(`(?s)^(?:(.*)@)?(\[[a-zA-Z0-9:.]*\]|[^:]*)(?::([0-9]*))?`)
)

func parseOrigin(text string) origin {
	parts := uriParts.FindStringSubmatchIndex(text)
	part := func(i int) string {
		if parts == nil || parts[2*i] < 0 {
			return ""
		}
		return text[parts[2*i]:parts[2*i+1]]
	}
	o := origin{text: text, scheme: strings.ToLower(part(1)), rest: part(3)}
	if parts != nil && parts[4] >= 0 {
		o.splitAuthority(part(2))
	}
	if o.port == 0 {
		o.port = defaultPort(o.scheme)
	}
	return o
}

func (o *origin) splitAuthority(s string) {
	m := authority.FindStringSubmatch(s)
	o.userinfo, o.host = m[1], strings.TrimSuffix(strings.TrimPrefix(m[2], "["), "]")
	o.hasHost = s == "" || m[2] != ""
	if port, err := strconv.ParseUint(m[3], 10, 16); err == nil && port > 0 {
		o.port = int(port)
	} else if m[3] != "" {
		o.port = -1 // no port at all: equal to none
	}
}

// matches reports whether the entry o of a list accepts other.
func (o *origin) matches(other *origin) bool {
	if o.scheme != "" && o.scheme != other.scheme || o.port != 0 && o.port != other.port {
		return false
	}
	domain, wild := strings.CutPrefix(o.host, "*.")
	if !wild {
		return o.host == other.host
	}
	sub, below := strings.CutSuffix(other.host, domain)
	return below && (sub == "" || strings.HasSuffix(sub, "."))
}

// url returns the origin as net/url has it. What has no host is a path there, as "null".
func (o *origin) url() *url.URL {
	if u, err := url.Parse(o.text); err == nil {
		return u
	}
	u := &url.URL{Scheme: o.scheme, Path: o.rest}
	if o.hasHost {
		u.Host = o.host
		if o.port > 0 {
			u.Host += ":" + strconv.Itoa(o.port)
		}
	}
	if o.userinfo != "" {
		u.User = url.User(o.userinfo)
	}
	return u
}

// defaultPort returns the port of a URL that names none, or 0 for schemes that origins do not have.
func defaultPort(scheme string) int {
	switch scheme {
	case "http", "ws":
		return 80
	case "https", "wss":
		return 443
	case "ftp":
		return 21
	}
	return 0
}
