package proxy

import (
	"errors"
	"net/netip"
)

// Errors of Parse. All but ErrMore must end the connection (section 2.1: "Any sequence which does not
// exactly match the protocol must be discarded and cause the receiver to abort the connection").
var (
	// ErrMore is a header that is good so far and not complete. A receiver waits "a few seconds (at
	// least 3 seconds to cover a TCP retransmit)", section 2.
	ErrMore = errors.New("proxy: the header is not complete")

	ErrSignature = errors.New("proxy: this is no PROXY protocol header")
	ErrLine      = errors.New("proxy: v1: the line is not: PROXY, protocol, two addresses, two ports, CRLF")
	ErrTooLong   = errors.New("proxy: the header is longer than allowed")
	ErrAddress   = errors.New("proxy: v1: not an address of the announced protocol")
	ErrPort      = errors.New("proxy: v1: not a port")
	ErrVersion   = errors.New("proxy: v2: the version is not 2")
	ErrCommand   = errors.New("proxy: v2: the command is neither LOCAL nor PROXY")
	ErrFamily    = errors.New("proxy: v2: the address family or the protocol is not one of the specification")
	ErrLength    = errors.New("proxy: v2: the length is less than that of the addresses")
	ErrTLV       = errors.New("proxy: v2: what follows the addresses is not made of whole TLVs")
	ErrChecksum  = errors.New("proxy: v2: the CRC32C checksum is wrong")
)

// The sizes that bound a header, in bytes.
const (
	// MaxV1 is the longest line with its CRLF, section 2.1: "worst case (optional fields set to 0xff)".
	MaxV1 = 107

	// MaxSize is the longest header that is read. The specification's own fit in 536 bytes; a TLV with
	// a client's certificate (PP2_SUBTYPE_SSL_CLIENT_CERT) takes one or two thousand more.
	MaxSize = 4096
)

// A Family is what the addresses of a header are, with the numbers of section 2.2.
type Family uint8

// The families.
const (
	Unspec Family = iota // none, or unknown
	Inet
	Inet6
	Unix
)

// A Transport is the protocol of the proxied connection, with the numbers of section 2.2.
type Transport uint8

// The transports. UnspecTransport is also that of a v1 line with UNKNOWN.
const (
	UnspecTransport Transport = iota
	Stream
	Dgram
)

// A Header says whose connection it is. Addresses of Unix sockets are skipped, not kept.
type Header struct {
	Version   int  // 1 or 2
	Local     bool // v2: the proxy speaks for itself, as in a health check
	Family    Family
	Transport Transport

	// Of TCP over IPv4 or IPv6, else zero. An IPv4-mapped IPv6 address is given as IPv4.
	Source, Destination netip.AddrPort
}

// Client returns the client's address and port, or false if the header names none that can be used:
// for LOCAL, UNKNOWN and UNSPEC, and for what is not TCP over IPv4 or IPv6. Then the connection is to
// be accepted and its real endpoints are to be used (sections 2.1 and 2.2).
func (h *Header) Client() (netip.AddrPort, bool) { return h.Source, h.Source.IsValid() }

// Parse reads the header that a connection begins with. b is all that has come so far; n is how many
// bytes the header has, and what follows them is the client's. While the header is not complete the
// error is ErrMore: call again with the same bytes and more. A violation is reported as soon as the
// bytes show it, so no more than MaxSize bytes need be kept.
func Parse(b []byte) (h Header, n int, err error) {
	switch {
	case len(b) == 0:
		return Header{}, 0, ErrMore
	case b[0] == v1Signature[0]:
		return parseV1(b)
	}
	return parseV2(b)
}

// begins reports whether b and signature agree as far as both go: an error if they do not, ErrMore if
// b is the shorter.
func begins(b []byte, signature string) error {
	n := min(len(b), len(signature))
	switch {
	case string(b[:n]) != signature[:n]:
		return ErrSignature
	case n < len(signature):
		return ErrMore
	}
	return nil
}

// connection returns source and destination as Header has them.
func connection(src, dst netip.Addr, srcPort, dstPort uint16) (source, destination netip.AddrPort) {
	return netip.AddrPortFrom(src.Unmap(), srcPort), netip.AddrPortFrom(dst.Unmap(), dstPort)
}
