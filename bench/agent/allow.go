package agent

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net/netip"
	"net/url"
	"slices"
	"strconv"
	"strings"
)

// An allowList is the targets that an agent may connect to. Its zero value allows none.
type allowList []pattern

// A pattern allows the addresses of a prefix, or the hosts of a name.
type pattern struct {
	prefix netip.Prefix
	name   string // in lower case; if it begins with a dot, all below it
	port   uint16 // 0: any
}

// parseAllow reads patterns, each a prefix (10.0.0.0/8), an address, a name, or with *. in front all names
// below it; each may have a port, as in [fd00::/8]:4000. None at all means loopback.
func parseAllow(patterns []string) (allowList, error) {
	if len(patterns) == 0 {
		patterns = []string{"localhost"}
	}
	var list allowList
	for _, s := range patterns {
		p, err := parsePattern(s)
		if err != nil {
			return nil, fmt.Errorf("--allow %q: %w", s, err)
		}
		list = append(list, p...)
	}
	return list, nil
}

func parsePattern(s string) ([]pattern, error) {
	host, portText, err := splitHostPort(s)
	if err != nil {
		return nil, fmt.Errorf("%w; targets are allowed as 10.0.0.0/8, 10.0.0.2:4000, example.com or *.example.com:443", err)
	}
	port, _ := strconv.ParseUint(portText, 10, 16) // "" is 0, the rest was checked
	p := pattern{port: uint16(port)}
	if prefix, err := netip.ParsePrefix(host); err == nil {
		p.prefix = prefix.Masked()
		return []pattern{p}, nil
	}
	if a, err := netip.ParseAddr(host); err == nil {
		a = plain(a)
		p.prefix = netip.PrefixFrom(a, a.BitLen())
		return []pattern{p}, nil
	}
	p.name = strings.TrimSuffix(strings.ToLower(host), ".")
	if p.name == "localhost" {
		v4, v6 := p, p
		v4.prefix, v4.name = netip.MustParsePrefix("127.0.0.0/8"), ""
		v6.prefix, v6.name = netip.MustParsePrefix("::1/128"), ""
		return []pattern{v4, v6}, nil
	}
	if below, wild := strings.CutPrefix(p.name, "*."); wild {
		p.name = "." + below
	}
	if strings.ContainsAny(p.name, "*/:") || strings.Trim(p.name, ".") == "" {
		return nil, errors.New("it is neither an address, nor a prefix as 10.0.0.0/8, nor a name; a * may stand for the first part of a name only, as *.example.com")
	}
	return []pattern{p}, nil
}

// plain returns an address without zone, an IPv4 address in IPv6 as the former.
func plain(a netip.Addr) netip.Addr { return a.Unmap().WithZone("") }

// A resolver finds the addresses of a host.
type resolver func(ctx context.Context, host string) ([]netip.Addr, error)

// check reports whether a target is allowed: its name and all the addresses that it stands for.
func (l allowList) check(ctx context.Context, resolve resolver, target string) error {
	u, err := url.Parse(target)
	if err != nil || u.Hostname() == "" {
		return fmt.Errorf("the target %q is no URL, as ws://10.0.0.2:4000/socket", target)
	}
	host, port := u.Hostname(), targetPort(u)
	var addrs []netip.Addr
	if a, err := netip.ParseAddr(host); err == nil {
		addrs = []netip.Addr{a}
	} else if addrs, err = resolve(ctx, host); err != nil || len(addrs) == 0 {
		return fmt.Errorf("the target %s cannot be looked up there: %w", u.Host, cmp.Or(err, errNoAddress))
	}
	for _, a := range addrs {
		if !l.allows(host, plain(a), port) {
			return &forbiddenError{host: u.Host, addr: a, port: port}
		}
	}
	return nil
}

var errNoAddress = errors.New("no address")

// targetPort is 0, which no connection has, if there is none.
func targetPort(u *url.URL) uint16 {
	switch p, err := strconv.ParseUint(u.Port(), 10, 16); {
	case err == nil:
		return uint16(p)
	case u.Port() != "":
		return 0
	case u.Scheme == "wss":
		return 443
	}
	return 80
}

// allows reports whether one of the patterns covers an address that host stands for.
func (l allowList) allows(host string, a netip.Addr, port uint16) bool {
	host = strings.TrimSuffix(strings.ToLower(host), ".")
	return slices.ContainsFunc(l, func(p pattern) bool {
		switch {
		case p.port != 0 && p.port != port:
			return false
		case p.prefix.IsValid():
			return p.prefix.Contains(a)
		case p.name[0] == '.':
			return strings.HasSuffix(host, p.name) && public(a)
		}
		return host == p.name && public(a)
	})
}

// public is false for addresses that an allowed name does not open, whatever it stands for: what listens on
// this machine alone, and the metadata of clouds on 169.254.169.254. They can be allowed as addresses.
func public(a netip.Addr) bool {
	return !a.IsLoopback() && !a.IsLinkLocalUnicast() && !a.IsUnspecified() && !a.IsMulticast()
}

// A forbiddenError says which target is not allowed, and how it could be.
type forbiddenError struct {
	host string
	addr netip.Addr
	port uint16
}

func (e *forbiddenError) Error() string {
	allow := netip.AddrPortFrom(plain(e.addr), e.port)
	return fmt.Sprintf("the target %s (%s) is not allowed there: start the agent with --allow %s", e.host, e.addr, allow)
}
