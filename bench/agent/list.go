package agent

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"strconv"
	"strings"
	"unicode"

	"github.com/dormouse-ws/dormouse/bench"
)

// DefaultPort is where an agent listens, and is looked for, unless told otherwise.
const DefaultPort = "9900"

// maxEntries bounds a list of agents.
const maxEntries = 1000

// An Entry is an agent of a list.
type Entry struct {
	Address string // host:port
	Weight  int    // 1 to bench.MaxWeight
}

// ParseList reads a list of agents, as a:9900,b:9900=2: addresses with weights, 1 if there is none. Without a
// port it is [DefaultPort].
func ParseList(list string) ([]Entry, error) {
	if strings.TrimSpace(list) == "" {
		return nil, errors.New("no agents: want addresses, as 10.0.0.2:9900,10.0.0.3:9900=2")
	}
	var entries []Entry
	known := map[string]bool{}
	for item := range strings.SplitSeq(list, ",") {
		e, err := parseEntry(strings.TrimSpace(item))
		switch {
		case err != nil:
			return nil, fmt.Errorf("the agent %q: %w", item, err)
		case known[e.Address]:
			return nil, fmt.Errorf("the agent %s is there twice: give it a weight, as %s=2", e.Address, e.Address)
		case len(entries) == maxEntries:
			return nil, fmt.Errorf("more than %d agents", maxEntries)
		}
		known[e.Address] = true
		entries = append(entries, e)
	}
	return entries, nil
}

func parseEntry(item string) (Entry, error) {
	address, weight, weighted := strings.Cut(item, "=")
	e := Entry{Weight: 1}
	if weighted {
		n, err := strconv.Atoi(weight)
		if err != nil || n < 1 || n > bench.MaxWeight {
			return e, fmt.Errorf("want a weight from 1 to %d behind the =", bench.MaxWeight)
		}
		e.Weight = n
	}
	host, port, err := splitHostPort(address)
	switch {
	case err != nil:
		return e, err
	case strings.Contains(host, "/") || strings.Contains(host, ":") && !isAddr(host):
		return e, errors.New("want host:port alone, as 10.0.0.2:9900")
	case port == "":
		port = DefaultPort
	case port == "0":
		return e, errors.New("want a port from 1 to 65535")
	}
	e.Address = net.JoinHostPort(host, port)
	return e, nil
}

func isAddr(host string) bool {
	_, err := netip.ParseAddr(host)
	return err == nil
}

// isForeign reports what is in no name, address or prefix. A name may be an internationalized one (RFC 5890).
func isForeign(r rune) bool {
	return !unicode.IsLetter(r) && !unicode.IsMark(r) && !unicode.IsDigit(r) && !strings.ContainsRune("-._:%*/", r)
}

// splitHostPort splits an address whose port may be missing. An IPv6 address needs brackets if it has one.
func splitHostPort(s string) (host, port string, err error) {
	host = s
	if bare := strings.TrimPrefix(s, "["); strings.Count(s, ":") == 1 || len(bare) < len(s) {
		if inner, closed := strings.CutSuffix(bare, "]"); closed && len(bare) < len(s) {
			host = inner
		} else if host, port, err = net.SplitHostPort(s); err != nil || port == "" {
			return "", "", errors.New("want host:port, an IPv6 address in brackets, as 10.0.0.2:9900 or [fd00::2]:9900")
		}
	}
	if host == "" || strings.ContainsFunc(host, isForeign) {
		return "", "", errors.New("it names no host, as 10.0.0.2:9900")
	}
	if port != "" {
		if n, err := strconv.ParseUint(port, 10, 16); err != nil || strconv.FormatUint(n, 10) != port {
			return "", "", errors.New("want a port from 1 to 65535")
		}
	}
	return host, port, nil
}
