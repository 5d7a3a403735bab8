package proxy

import (
	"encoding/binary"
	"hash/crc32"
	"net/netip"
)

const v2Signature = "\r\n\r\n\x00\r\nQUIT\n"

// The fixed part, section 2.2: the signature, version and command, family and protocol, and the number
// of bytes that follow.
const (
	v2Command = 12
	v2Family  = 13
	v2Length  = 14
	v2Fixed   = 16
)

// The TLVs that are looked into, and what their values may be. Others are skipped.
const (
	tlvCRC32C       = 0x03
	tlvUniqueID     = 0x05
	tlvHeader       = 3 // type, and two bytes of length
	crc32cSize      = 4
	maxUniqueIDSize = 128 // section 2.2.5
)

// parseV2 follows section 2.2. The addresses are looked at when the whole header is there.
func parseV2(b []byte) (Header, int, error) {
	if err := begins(b, v2Signature); err != nil {
		return Header{}, 0, err
	}
	if err := checkV2(b); err != nil {
		return Header{}, 0, err
	}
	if len(b) < v2Fixed {
		return Header{}, 0, ErrMore
	}
	n := v2Fixed + int(binary.BigEndian.Uint16(b[v2Length:]))
	if len(b) < n {
		return Header{}, 0, ErrMore
	}
	h := Header{Version: 2, Local: b[v2Command]&0x0f == 0}
	if !h.Local {
		h.Family, h.Transport = Family(b[v2Family]>>4), Transport(b[v2Family]&0x0f)
	}
	size, known := h.addressSize()
	if known {
		h.parseAddresses(b[v2Fixed:])
	}
	if known || b[v2Family] == 0 {
		err := checkTLVs(b[:n], v2Fixed+size)
		if err == ErrChecksum || known && err != nil {
			return Header{}, 0, err
		}
	}
	return h, n, nil
}

// checkV2 judges the fixed part as far as it is there. The family of LOCAL is ignored.
func checkV2(b []byte) error {
	if len(b) <= v2Command {
		return nil
	}
	local := b[v2Command]&0x0f == 0
	switch {
	case b[v2Command]>>4 != 2:
		return ErrVersion
	case b[v2Command]&0x0f > 1:
		return ErrCommand
	}
	if len(b) <= v2Family {
		return nil
	}
	family, transport := Family(b[v2Family]>>4), Transport(b[v2Family]&0x0f)
	if !local && (family > Unix || transport > Dgram) {
		return ErrFamily
	}
	if len(b) < v2Fixed {
		return nil
	}
	length := int(binary.BigEndian.Uint16(b[v2Length:]))
	if v2Fixed+length > MaxSize {
		return ErrTooLong
	}
	h := Header{Family: family, Transport: transport}
	if size, known := h.addressSize(); !local && known && length < size {
		return ErrLength
	}
	return nil
}

// addressSize returns how many bytes the addresses take, or false if the specification does not say:
// where family or protocol is unspecified, and for LOCAL. The block is then to be skipped whatever it
// is; only if both are unspecified, so that it has no addresses, a checksum in it is honoured.
func (h *Header) addressSize() (n int, known bool) {
	if h.Transport == UnspecTransport {
		return 0, false
	}
	switch h.Family {
	case Inet:
		return 2*4 + 2*2, true
	case Inet6:
		return 2*16 + 2*2, true
	case Unix:
		return 2 * 108, true
	}
	return 0, false
}

// parseAddresses takes those of TCP. Others a receiver may leave, if it "automatically falls back to
// the UNSPEC mode for the valid combinations above that it does not support".
func (h *Header) parseAddresses(b []byte) {
	var src, dst netip.Addr
	switch {
	case h.Transport != Stream:
		return
	case h.Family == Inet:
		src, dst, b = netip.AddrFrom4([4]byte(b)), netip.AddrFrom4([4]byte(b[4:])), b[8:]
	case h.Family == Inet6:
		src, dst, b = netip.AddrFrom16([16]byte(b)), netip.AddrFrom16([16]byte(b[16:])), b[32:]
	default:
		return
	}
	h.Source, h.Destination = connection(src, dst, binary.BigEndian.Uint16(b), binary.BigEndian.Uint16(b[2:]))
}

// checkTLVs walks over the TLVs that begin at b[at], of the whole header b, and verifies the checksum
// if there is one, as section 2.2.3 says.
func checkTLVs(b []byte, at int) error {
	sum := 0 // where the checksum is
	for at < len(b) {
		if len(b)-at < tlvHeader {
			return ErrTLV
		}
		kind, size := b[at], int(binary.BigEndian.Uint16(b[at+1:]))
		at += tlvHeader
		switch {
		case size > len(b)-at,
			kind == tlvUniqueID && size > maxUniqueIDSize,
			kind == tlvCRC32C && (size != crc32cSize || sum != 0):
			return ErrTLV
		case kind == tlvCRC32C:
			sum = at
		}
		at += size
	}
	if sum != 0 && binary.BigEndian.Uint32(b[sum:]) != checksum(b, sum) {
		return ErrChecksum
	}
	return nil
}

// checksum is the CRC32c of b with zeroes in place of the four bytes at sum.
func checksum(b []byte, sum int) uint32 {
	table := crc32.MakeTable(crc32.Castagnoli)
	crc := ^crc32.Update(0, table, b[:sum])
	for range crc32cSize {
		crc = table[byte(crc)] ^ crc>>8
	}
	return crc32.Update(^crc, table, b[sum+crc32cSize:])
}
