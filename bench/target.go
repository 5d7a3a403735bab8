package bench

import (
	"context"
	"crypto/tls"
	"encoding/base64"
	"encoding/binary"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"net/netip"
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// A target is one URL to connect to.
type target struct {
	url   string           // as it was given
	addrs []netip.AddrPort // of one family; none before resolve
	host  string           // for the Host header
	path  string           // with the query: the target of the request
	tls   *tls.Config      // nil: ws

	name string // to be looked up, or an address
	port uint16
	head string // the upgrade request up to its key, which is last
}

// The version of the Phoenix protocol that wire.go speaks.
const phoenixVersion = "2.0.0"

// userinfo is that of a URL, which may be a malformed one (RFC 3986 section 3.2.1).
var userinfo = regexp.MustCompile(`//[^/?#]*@`)

// withoutPassword is how a URL is shown that was refused.
func withoutPassword(raw string) string { return userinfo.ReplaceAllString(raw, "//xxxxx@") }

// newTarget reads a URL of cfg. It looks nothing up.
func newTarget(cfg *Config, raw string) (*target, error) {
	if scheme, _, ok := strings.Cut(strings.ToLower(raw), "://"); !ok || scheme != "ws" && scheme != "wss" {
		return nil, fmt.Errorf("the URL %q does not begin with ws:// or wss://, as ws://localhost:4000/socket", withoutPassword(raw))
	}
	u, err := url.Parse(raw)
	if err != nil {
		if e, ok := errors.AsType[*url.Error](err); ok {
			err = e.Err // the rest of its text is the URL again
		}
		return nil, fmt.Errorf("the URL %q: %w", withoutPassword(raw), err)
	}
	t := &target{url: raw}
	if err := t.readHost(u); err != nil {
		return nil, fmt.Errorf("the URL %q %w", withoutPassword(raw), err)
	}
	if err := t.readPath(u, cfg.Protocol); err != nil {
		return nil, fmt.Errorf("the URL %q %w", withoutPassword(raw), err)
	}
	if u.Scheme == "wss" {
		t.tls = &tls.Config{ServerName: withoutZone(t.name), InsecureSkipVerify: cfg.Insecure, NextProtos: []string{"http/1.1"}}
	}
	if t.head, err = t.makeHead(cfg.Header); err != nil {
		return nil, err
	}
	return t, nil
}

// readHost takes what says where to connect to.
func (t *target) readHost(u *url.URL) error {
	t.name = u.Hostname()
	t.port = 80
	if u.Scheme == "wss" {
		t.port = 443
	}
	standard := t.port
	switch {
	case t.name == "":
		return errors.New("names no host, as ws://localhost:4000/socket")
	case u.User != nil:
		return errors.New("holds a user name: send a header instead, as --header 'Authorization: Basic ...'")
	case u.Fragment != "" || strings.HasSuffix(t.url, "#"):
		return errors.New("has a fragment, which RFC 6455 section 3 does not allow: write %23 for a number sign")
	case strings.ContainsFunc(t.name, func(r rune) bool { return r > '~' || r <= ' ' }):
		return errors.New("has a host that is not ASCII: write it in its ASCII form, which begins with xn--")
	}
	if p := u.Port(); p != "" {
		n, err := strconv.ParseUint(p, 10, 16)
		if err != nil || n == 0 {
			return errors.New("has the port " + p + ": want one between 1 and 65535")
		}
		t.port = uint16(n)
	}
	if t.host = withoutZone(t.name); strings.Contains(t.host, ":") {
		t.host = "[" + t.host + "]"
	}
	if t.port != standard {
		t.host += ":" + strconv.Itoa(int(t.port))
	}
	return nil
}

// withoutZone drops an IPv6 zone, which means nothing to anybody else (RFC 6874 section 4).
func withoutZone(name string) string {
	name, _, _ = strings.Cut(name, "%")
	return name
}

// readPath takes what is asked for there.
func (t *target) readPath(u *url.URL, p Protocol) error {
	t.path = u.EscapedPath()
	query := u.RawQuery
	if p == Phoenix {
		if t.path = strings.TrimSuffix(t.path, "/"); t.path == "" {
			t.path = "/socket"
		}
		if !strings.HasSuffix(t.path, "/websocket") {
			t.path += "/websocket"
		}
		var err error
		if query, err = withVersion(query); err != nil {
			return err
		}
	}
	if t.path == "" {
		t.path = "/"
	}
	if query != "" {
		t.path += "?" + escapeQuery(query)
	}
	return nil
}

// withVersion adds the protocol's version to a query that has none.
func withVersion(query string) (string, error) {
	asked := false
	for pair := range strings.SplitSeq(query, "&") {
		key, value, _ := strings.Cut(pair, "=")
		if k, err := url.QueryUnescape(key); err != nil || k != "vsn" {
			continue
		}
		if v, err := url.QueryUnescape(value); err != nil || v != phoenixVersion {
			return "", fmt.Errorf("asks for version %q of the Phoenix protocol: the bench speaks %s only", value, phoenixVersion)
		}
		asked = true
	}
	switch {
	case asked:
		return query, nil
	case query == "":
		return "vsn=" + phoenixVersion, nil
	}
	return query + "&vsn=" + phoenixVersion, nil
}

// escapeQuery makes a query safe for the request line: net/url leaves spaces in it as they are.
func escapeQuery(query string) string {
	var b strings.Builder
	for i := range len(query) {
		if c := query[i]; c <= ' ' || c >= 0x7f {
			fmt.Fprintf(&b, "%%%02X", c)
		} else {
			b.WriteByte(c)
		}
	}
	return b.String()
}

// resolve looks up the addresses.
func (t *target) resolve(ctx context.Context) error {
	var ips []netip.Addr
	if ip, err := netip.ParseAddr(t.name); err == nil {
		ips = []netip.Addr{ip}
	} else if ips, err = net.DefaultResolver.LookupNetIP(ctx, "ip", t.name); err != nil {
		return fmt.Errorf("the host of the URL %q is not found: check its spelling, or write an address: %w", t.url, err)
	}
	t.addrs = nil
	for _, ip := range oneFamily(ips) {
		t.addrs = append(t.addrs, netip.AddrPortFrom(ip, t.port))
	}
	return nil
}

// oneFamily returns the IPv4 addresses if there are any, else the IPv6 ones, each once: the share that
// each address gets of the connections must not depend on how its source addresses are chosen. The
// unspecified address, which servers print as where they listen, stands for loopback, as in connect(2).
func oneFamily(ips []netip.Addr) []netip.Addr {
	var four, six []netip.Addr
	for _, ip := range ips {
		switch ip = ip.Unmap(); {
		case ip == netip.IPv4Unspecified():
			ip = netip.AddrFrom4([4]byte{127, 0, 0, 1})
		case ip == netip.IPv6Unspecified():
			ip = netip.IPv6Loopback()
		}
		list := &six
		if ip.Is4() {
			list = &four
		}
		if !slices.Contains(*list, ip) {
			*list = append(*list, ip)
		}
	}
	if len(four) > 0 {
		return four
	}
	return six
}

// appendUpgrade appends the request for an upgrade (RFC 6455 section 4.1).
func (t *target) appendUpgrade(dst []byte, key [24]byte) []byte {
	dst = append(dst, t.head...)
	dst = append(dst, key[:]...)
	return append(dst, "\r\n\r\n"...)
}

// makeHead composes the request up to its key. A Host or User-Agent among lines replaces ours.
func (t *target) makeHead(lines []string) (string, error) {
	host, agent, others := t.host, "dormouse-bench", ""
	for _, line := range lines {
		name, value, err := headerLine(line)
		switch {
		case err != nil:
			return "", err
		case strings.EqualFold(name, "Host"):
			host = value
		case strings.EqualFold(name, "User-Agent"):
			agent = value
		default:
			others += name + ": " + value + "\r\n"
		}
	}
	return "GET " + t.path + " HTTP/1.1\r\nHost: " + host + "\r\nUser-Agent: " + agent + "\r\n" + others +
		"Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: ", nil
}

// headerLine reads a line of Config.Header.
func headerLine(line string) (name, value string, err error) {
	name, value, ok := strings.Cut(line, ":")
	value = strings.Trim(value, " \t")
	switch {
	case !ok || name == "" || strings.ContainsFunc(name, func(r rune) bool { return !isTokenRune(r) }):
		return "", "", fmt.Errorf("--header %q: want a name and a value, as 'Origin: http://localhost'", line)
	case strings.ContainsFunc(value, func(r rune) bool { return r < ' ' && r != '\t' || r == 0x7f }):
		return "", "", fmt.Errorf("--header %q: a value cannot hold control characters", line)
	}
	switch strings.ToLower(name) {
	case "upgrade", "connection", "sec-websocket-key", "sec-websocket-version", "sec-websocket-extensions",
		"sec-websocket-protocol", "sec-websocket-accept", "content-length", "transfer-encoding":
		return "", "", fmt.Errorf("--header %q: %s belongs to the upgrade itself, which the bench writes", line, name)
	}
	return name, value, nil
}

// isTokenRune is tchar of RFC 9110 section 5.6.2.
func isTokenRune(r rune) bool {
	return r >= '0' && r <= '9' || r|0x20 >= 'a' && r|0x20 <= 'z' || strings.ContainsRune("!#$%&'*+-.^_`|~", r)
}

// upgradeKey returns the Sec-WebSocket-Key of a user's attempt: the same whenever it is asked for, so that
// nobody has to keep it.
func upgradeKey(seed uint64, user uint32, attempt uint16) (key [24]byte) {
	p := rand.NewPCG(seed, uint64(user)<<16|uint64(attempt))
	var nonce [16]byte
	binary.LittleEndian.PutUint64(nonce[:8], p.Uint64())
	binary.LittleEndian.PutUint64(nonce[8:], p.Uint64())
	base64.StdEncoding.Encode(key[:], nonce[:])
	return key
}
