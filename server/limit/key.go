package limit

import (
	"encoding/binary"
	"fmt"
	"net/netip"
)

// keys makes the key of an address: what is limited together has one key.
//
// A key is the first 64 bits of an IPv6 address. IPv4 lies among them at 0:1::/32, which is in ::/8:
// reserved, and nobody's address (RFC 4291 section 4).
type keys struct {
	v4 uint64 // masks
	v6 uint64
}

const v4Key = 1 << 32

// newKeys takes the lengths of the prefixes; 0 stands for the defaults.
func newKeys(v4Bits, v6Bits, v4Default, v6Default int) (keys, error) {
	if v4Bits == 0 {
		v4Bits = v4Default
	}
	if v6Bits == 0 {
		v6Bits = v6Default
	}
	switch {
	case v4Bits < 1 || v4Bits > 32:
		return keys{}, fmt.Errorf("limit: an IPv4 prefix of %d bits is not between 1 and 32", v4Bits)
	case v6Bits < 1 || v6Bits > 64:
		return keys{}, fmt.Errorf("limit: an IPv6 prefix of %d bits is not between 1 and 64: whoever has a network has a /64", v6Bits)
	}
	return keys{v4: ^uint64(0) << (32 - v4Bits), v6: ^uint64(0) << (64 - v6Bits)}, nil
}

// of returns the key of a valid address. An IPv4-mapped IPv6 address (RFC 4291 section 2.5.5.2), as a
// dual-stack socket shows it, is the IPv4 address. A zone does not count.
func (k keys) of(addr netip.Addr) uint64 {
	addr = addr.Unmap()
	if addr.Is4() {
		b := addr.As4()
		return v4Key | uint64(binary.BigEndian.Uint32(b[:]))&k.v4
	}
	b := addr.As16()
	return binary.BigEndian.Uint64(b[:8]) & k.v6
}
