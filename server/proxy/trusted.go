package proxy

import (
	"fmt"
	"net/netip"
	"strings"
)

// What is looked at of a field: a chain of proxies is a few long, and an element of Forwarded with all
// its parameters has about 150 bytes. What is beyond is as if it were not there, or garbage.
const (
	maxElements     = 64
	maxElementBytes = 256
)

// Trusted is the networks whose proxies are believed. The zero value is none. It does not change, and
// any goroutine may use it.
type Trusted struct {
	prefixes []netip.Prefix
}

// ParseTrusted takes networks (10.0.0.0/8, fd00::/8) and addresses (192.0.2.1). A network with bits
// beyond its prefix is an error, as one of the two is not what was meant.
func ParseTrusted(networks []string) (Trusted, error) {
	var t Trusted
	for _, s := range networks {
		p, err := parsePrefix(s)
		if err != nil {
			return Trusted{}, fmt.Errorf("proxy: trusted network %q: %w", s, err)
		}
		t.prefixes = append(t.prefixes, p)
	}
	return t, nil
}

func parsePrefix(s string) (netip.Prefix, error) {
	if !strings.Contains(s, "/") {
		a, err := netip.ParseAddr(s)
		if err != nil {
			return netip.Prefix{}, err
		}
		a = a.Unmap().WithZone("")
		return netip.PrefixFrom(a, a.BitLen()), nil
	}
	p, err := netip.ParsePrefix(s)
	if err != nil {
		return netip.Prefix{}, err
	}
	if m := p.Masked(); m != p {
		return netip.Prefix{}, fmt.Errorf("it has bits beyond its prefix: %v is the network, %v the address", m, p.Addr())
	}
	if a := p.Addr(); a.Is4In6() {
		if p.Bits() < 96 {
			return netip.Prefix{}, fmt.Errorf("it is wider than the IPv4-mapped addresses, ::ffff:0.0.0.0/96")
		}
		p = netip.PrefixFrom(a.Unmap(), p.Bits()-96)
	}
	return p, nil
}

// Contains reports whether a proxy at addr is believed. An IPv4-mapped address is looked for as IPv4,
// and a zone does not count.
func (t *Trusted) Contains(addr netip.Addr) bool {
	addr = addr.Unmap().WithZone("")
	for _, p := range t.prefixes {
		if p.Contains(addr) {
			return true
		}
	}
	return false
}

// ClientAddr returns the client's address: peer, which is the other end of the connection, unless that
// is a trusted proxy. Then it is what the X-Forwarded-For fields of the request say; values has theirs
// in the order in which they came. They are read from the right, each element being the peer of the
// proxy after it, up to the first address that is not trusted. Where all are, it is the leftmost.
//
// An element is an address, alone or with a port (192.0.2.1:80, [2001:db8::1]:80), or in brackets. Empty
// ones are skipped (RFC 9110 section 5.6.1.2). Anything else ("unknown", a name, a zone, 0.0.0.0, more
// than 256 bytes) is garbage: the client is then the address to the right of it, that of the proxy that
// wrote it. So it is beyond 64 elements.
func (t *Trusted) ClientAddr(peer netip.Addr, values []string) netip.Addr {
	return t.walk(peer, values, false)
}

// Forwarded is ClientAddr by the Forwarded fields (RFC 7239): the for parameter of each element. An
// element without one, and an obfuscated identifier (section 6.3), is garbage.
func (t *Trusted) Forwarded(peer netip.Addr, values []string) netip.Addr {
	return t.walk(peer, values, true)
}

func (t *Trusted) walk(peer netip.Addr, values []string, forwarded bool) netip.Addr {
	client := peer.Unmap()
	left := maxElements
	for i := len(values) - 1; i >= 0; i-- {
		for rest, more := values[i], true; more; left-- {
			if left == 0 || !t.Contains(client) {
				return client
			}
			var element string
			element, rest, more = cutLast(rest, ',', forwarded)
			if len(element) > maxElementBytes {
				return client
			}
			if element = strings.Trim(element, " \t"); element == "" {
				continue
			}
			next, ok := parseElement(element, forwarded)
			if !ok {
				return client
			}
			client = next
		}
	}
	return client
}

// cutLast cuts s around its last separator that is not in quotes, counting quotes from the right. An
// element that is too long is returned in part, and too long still.
//
// From the right, because there a proxy wrote that is believed: a quote that the client left open
// cannot reach over what follows it. A quote after an odd number of backslashes is part of a quoted
// string: a proxy that writes the client's Host into its element has made it harmless that way.
func cutLast(s string, sep byte, quotes bool) (last, rest string, found bool) {
	quoted := false
	for i := len(s) - 1; i >= 0; i-- {
		switch {
		case len(s)-i > maxElementBytes+1:
			return s[i:], "", false
		case quotes && s[i] == '"':
			if escapes := len(s[:i]) - len(strings.TrimRight(s[:i], `\`)); escapes%2 == 0 {
				quoted = !quoted
			}
		case s[i] == sep && !quoted:
			return s[i+1:], s[:i], true
		}
	}
	return s, "", false
}

func parseElement(s string, forwarded bool) (netip.Addr, bool) {
	if forwarded {
		return parseForwarded(s)
	}
	return parseNode(s)
}

// parseForwarded finds the for parameter of an element, of which there may be one (RFC 7239 section 4).
func parseForwarded(s string) (addr netip.Addr, ok bool) {
	for more := true; more; {
		var pair string
		pair, s, more = cutLast(s, ';', true)
		name, value, assigned := strings.Cut(strings.Trim(pair, " \t"), "=")
		if !assigned || !strings.EqualFold(name, "for") {
			continue
		}
		if ok {
			return netip.Addr{}, false
		}
		if n := len(value); n >= 2 && value[0] == '"' && value[n-1] == '"' {
			value = value[1 : n-1]
		}
		if addr, ok = parseNode(value); !ok {
			return netip.Addr{}, false
		}
	}
	return addr, ok
}

// parseNode reads an address with or without brackets and port. It looks first for which it is, as
// errors of net/netip are allocated.
func parseNode(s string) (netip.Addr, bool) {
	bracketed, end := strings.HasPrefix(s, "["), len(s)-1
	switch {
	case bracketed && s[end] == ']':
		a, err := netip.ParseAddr(s[1:end])
		return usable(a, err == nil && a.Is6())
	case bracketed || strings.Count(s, ":") == 1:
		ap, err := netip.ParseAddrPort(s)
		return usable(ap.Addr(), err == nil)
	}
	a, err := netip.ParseAddr(s)
	return usable(a, err == nil)
}

// usable refuses what no peer of a proxy can be.
func usable(a netip.Addr, ok bool) (netip.Addr, bool) {
	if !ok || a.Zone() != "" || a.IsUnspecified() {
		return netip.Addr{}, false
	}
	return a.Unmap(), true
}
