package proxy

import (
	"bytes"
	"net/netip"
)

const v1Signature = "PROXY "

// parseV1 follows section 2.1. The line is looked at when its CRLF is there, and not before.
func parseV1(b []byte) (Header, int, error) {
	if err := begins(b, v1Signature); err != nil {
		return Header{}, 0, err
	}
	end := bytes.Index(b[:min(len(b), MaxV1)], []byte("\r\n"))
	switch {
	case end < 0 && len(b) >= MaxV1:
		return Header{}, 0, ErrTooLong
	case end < 0:
		return Header{}, 0, ErrMore
	}
	h := Header{Version: 1}
	protocol, rest, more := bytes.Cut(b[len(v1Signature):end], []byte(" "))
	switch string(protocol) {
	case "UNKNOWN":
		return h, end + 2, nil // "the receiver must ignore anything presented before the CRLF"
	case "TCP4":
		h.Family = Inet
	case "TCP6":
		h.Family = Inet6
	default:
		return Header{}, 0, ErrLine
	}
	if !more {
		return Header{}, 0, ErrLine
	}
	h.Transport = Stream
	if err := h.parseEndpoints(rest); err != nil {
		return Header{}, 0, err
	}
	return h, end + 2, nil
}

// parseEndpoints reads two addresses and two ports with exactly one space between each.
func (h *Header) parseEndpoints(b []byte) error {
	var fields [4][]byte
	for i := range fields {
		field, rest, more := bytes.Cut(b, []byte(" "))
		if more != (i < len(fields)-1) {
			return ErrLine
		}
		fields[i], b = field, rest
	}
	src, ok1 := h.parseAddr(fields[0])
	dst, ok2 := h.parseAddr(fields[1])
	if !ok1 || !ok2 {
		return ErrAddress
	}
	srcPort, ok1 := parsePort(fields[2])
	dstPort, ok2 := parsePort(fields[3])
	if !ok1 || !ok2 {
		return ErrPort
	}
	h.Source, h.Destination = connection(src, dst, srcPort, dstPort)
	return nil
}

// parseAddr reads an address of the header's family. netip.ParseAddr takes four decimal numbers
// without heading zeroes, and of IPv6 what section 2.1 asks for and two things more: the zone, which
// is refused, and the last 32 bits in decimal, which are accepted: it is how inet_ntop(3) writes
// IPv4-mapped addresses, and so how proxies do that listen on both families with one socket.
func (h *Header) parseAddr(b []byte) (netip.Addr, bool) {
	if len(b) > maxAddrText {
		return netip.Addr{}, false
	}
	a, err := netip.ParseAddr(string(b))
	if err != nil || a.Zone() != "" || a.Is4() != (h.Family == Inet) {
		return netip.Addr{}, false
	}
	return a, true
}

// maxAddrText is the longest text of an address, ffff:ffff:ffff:ffff:ffff:ffff:255.255.255.255.
const maxAddrText = 45

// parsePort reads a decimal number up to 65535 without heading zeroes.
func parsePort(b []byte) (port uint16, ok bool) {
	if len(b) == 0 || len(b) > 5 || b[0] == '0' && len(b) > 1 {
		return 0, false
	}
	n := 0
	for _, c := range b {
		if c < '0' || c > '9' {
			return 0, false
		}
		n = n*10 + int(c-'0')
	}
	return uint16(n), n <= 65535
}
