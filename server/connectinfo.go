package server

import (
	"encoding/json"
	"net/netip"
	"net/url"
	"slices"
	"strconv"
	"strings"
)

// ConnectInfoConfig says what of the connecting request a mount wants to see in its [ConnectInfo]
// (section 1.7). Nothing is the default, and costs nothing.
type ConnectInfoConfig struct {
	PeerData            bool
	TraceContextHeaders bool
	XHeaders            bool
	URI                 bool
	UserAgent           bool
	SecWebSocketHeaders bool

	// Custom is handed to every connect as it is. It must not be changed once the server has started.
	Custom map[string]any
}

// ConnectInfo is what the application may know of the request with which a client connects. Fields that
// the mount did not ask for are nil. It keeps nothing of the request alive.
type ConnectInfo struct {
	PeerData            *PeerData
	TraceContextHeaders Headers // traceparent and tracestate
	XHeaders            Headers // all that begin with x-
	URI                 *URI
	UserAgent           *string // nil also when the request has none
	SecWebSocketHeaders Headers // all that begin with sec-websocket-, without the auth token

	// AuthToken is the client's authToken option. It is nil when there is none and on mounts
	// without auth tokens.
	AuthToken *string

	Custom map[string]any
}

// PeerData is the other end of the connection, or the client if that is a proxy of [Proxies]. The port is 0
// when the proxy does not tell it.
type PeerData struct {
	Address netip.Addr
	Port    uint16
}

// A URI is where a request went, as this server sees it: behind a proxy these are not the parts of
// the URL that the client used.
type URI struct {
	Scheme string // "http" or "https"
	Host   string // without port; IPv6 without brackets
	Port   int
	Path   string // percent-encoded, as sent
	Query  string // as sent, without the question mark
}

// URL returns u as net/url has it.
func (u URI) URL() *url.URL {
	host := u.Host
	if strings.Contains(host, ":") {
		host = "[" + host + "]"
	}
	if u.Port != defaultPort(u.Scheme) {
		host += ":" + strconv.Itoa(u.Port)
	}
	path, err := url.PathUnescape(u.Path)
	if err != nil {
		path = u.Path
	}
	return &url.URL{Scheme: u.Scheme, Host: host, Path: path, RawPath: u.Path, RawQuery: u.Query}
}

// A Header is one header line, its name in lower case.
type Header struct {
	Name, Value string
}

// Headers are header lines in the order in which they came. As JSON they are an object in which the
// last of several lines with one name stands.
type Headers []Header

// Get returns the value of the first line of that name, which is in lower case, or "".
func (h Headers) Get(name string) string {
	for i := range h {
		if h[i].Name == name {
			return h[i].Value
		}
	}
	return ""
}

// Map returns the lines by name. The last of several with one name stands.
func (h Headers) Map() map[string]string {
	m := make(map[string]string, len(h))
	for _, line := range h {
		m[line.Name] = line.Value
	}
	return m
}

// MarshalJSON implements [json.Marshaler].
func (h Headers) MarshalJSON() ([]byte, error) { return json.Marshal(h.Map()) }

// A connectRequest is what a transport knows of the request that connects.
type connectRequest struct {
	headers *head
	peer    netip.AddrPort
	url     requestURL
	path    string
	query   string
	choice  subprotocolChoice // of WebSocket; long-poll sets only the token
}

// connectInfo picks from r what c asks for. The result refers to nothing of r.
func (c *ConnectInfoConfig) connectInfo(r *connectRequest) *ConnectInfo {
	info := &ConnectInfo{AuthToken: r.choice.token, Custom: c.Custom}
	if c.PeerData {
		info.PeerData = &PeerData{Address: r.peer.Addr().Unmap(), Port: r.peer.Port()}
	}
	if c.TraceContextHeaders {
		info.TraceContextHeaders = traceContext(r.headers)
	}
	if c.XHeaders {
		info.XHeaders = r.headers.headersWithPrefix("x-")
	}
	if c.URI {
		info.URI = &URI{Scheme: strings.Clone(r.url.scheme), Host: strings.Clone(r.url.host), Port: r.url.port,
			Path: strings.Clone(r.path), Query: strings.Clone(r.query)}
	}
	if c.UserAgent {
		if agent, ok := r.headers.header("user-agent"); ok {
			agent = strings.Clone(agent)
			info.UserAgent = &agent
		}
	}
	if c.SecWebSocketHeaders {
		info.SecWebSocketHeaders = r.choice.rewrite(r.headers.headersWithPrefix("sec-websocket-"))
	}
	return info
}

// traceContext returns the headers of W3C Trace Context.
func traceContext(h *head) Headers {
	list := h.headersWithPrefix("trace")
	return slices.DeleteFunc(list, func(line Header) bool {
		return line.Name != "traceparent" && line.Name != "tracestate"
	})
}

// rewrite puts what is left of the offered subprotocols in the place of the first line that carried
// them, and removes the others.
func (c *subprotocolChoice) rewrite(list Headers) Headers {
	if !c.rewritten {
		return list
	}
	kept := list[:0]
	done := c.hidden
	for _, line := range list {
		if line.Name == "sec-websocket-protocol" {
			if done {
				continue
			}
			line.Value, done = strings.Clone(c.offer), true
		}
		kept = append(kept, line)
	}
	return kept
}
