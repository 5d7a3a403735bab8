package frame

import (
	"encoding/binary"

	"github.com/gobwas/ws"
)

// RFC 6455 section 5.2:
//
//	 0                   1                   2                   3
//	 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1
//	+-+-+-+-+-------+-+-------------+-------------------------------+
//	|F|R|R|R| opcode|M| Payload len | 16 or 64 bits of length if    |
//	|I|S|S|S|  (4)  |A|     (7)     | payload len is 126 or 127,    |
//	|N|V|V|V|       |S|             | then 4 bytes of masking key   |
//	| |1|2|3|       |K|             | if MASK is set                |
//	+-+-+-+-+-------+-+-------------+-------------------------------+
const (
	bitFin        = 0x80
	bitsRsv       = 0x70
	bitRsv1       = 0x40
	bitsOpCode    = 0x0f
	bitMask       = 0x80
	bitsLength    = 0x7f
	length16      = 126 // a 16-bit length follows
	length64      = 127 // a 64-bit length follows
	maxLength16   = 1<<16 - 1
	maxControl    = ws.MaxControlFramePayloadSize
	headerMaxSize = ws.MaxHeaderSize
)

// rules is what a header is judged against besides the RFC's constants.
type rules struct {
	client     bool  // the frames come from a server
	deflate    bool  // permessage-deflate was negotiated
	fragmented bool  // a message has begun and not ended
	room       int64 // payload bytes that the message may still announce
}

// check judges a header of which b is the beginning or the whole: it returns the first violation
// that these bytes show, or 0. The verdict over the whole header is the one that its shortest
// condemned beginning gets: each clause needs no byte later than those of the clauses after it.
func (r rules) check(b []byte) Error {
	if len(b) == 0 {
		return 0
	}
	op := ws.OpCode(b[0] & bitsOpCode)
	rsv1 := b[0]&bitRsv1 != 0
	switch {
	case op.IsReserved():
		return ErrReservedOpCode
	case b[0]&bitsRsv&^bitRsv1 != 0, rsv1 && !r.deflate:
		return ErrReservedBits
	case rsv1 && (op.IsControl() || op == ws.OpContinuation):
		return ErrCompressedBit
	case op.IsControl() && b[0]&bitFin == 0:
		return ErrControlFragmented
	case op == ws.OpContinuation && !r.fragmented:
		return ErrNothingToContinue
	case op.IsData() && op != ws.OpContinuation && r.fragmented:
		return ErrNotContinued
	}
	if len(b) < 2 {
		return 0
	}
	masked := b[1]&bitMask != 0
	switch {
	case !masked && !r.client:
		return ErrNotMasked
	case masked && r.client:
		return ErrMasked
	case op.IsControl():
		if b[1]&bitsLength > maxControl {
			return ErrControlTooLong
		}
		return 0
	}
	return r.checkLength(b)
}

// checkLength judges the length of a data frame. The bytes of it that b does not show yet may be
// anything between 0x00 and 0xff, so the length is somewhere from least to most.
func (r rules) checkLength(b []byte) Error {
	var shortest, least, most uint64
	size := 0
	switch n := b[1] & bitsLength; n {
	case length16:
		size, shortest = 2, maxControl+1
	case length64:
		size, shortest = 8, maxLength16+1
	default:
		least, most = uint64(n), uint64(n)
	}
	for i := range size {
		least, most = least<<8, most<<8|0xff
		if 2+i < len(b) {
			c := uint64(b[2+i])
			least, most = least|c, most&^0xff|c
		}
	}
	switch {
	case least>>63 != 0:
		return ErrLengthTopBit
	case most < shortest:
		return ErrLengthNotMinimal
	case least > uint64(r.room):
		return ErrMessageTooBig
	}
	return 0
}

// headerSize returns how many bytes the header has that begins with b, or 2 while b is shorter than that.
func headerSize(b []byte) int {
	n := ws.MinHeaderSize
	if len(b) < n {
		return n
	}
	switch b[1] & bitsLength {
	case length16:
		n += 2
	case length64:
		n += 8
	}
	if b[1]&bitMask != 0 {
		n += 4
	}
	return n
}

// parseHeader reads b, which is a whole header that has passed check, into h.
func parseHeader(h *ws.Header, b []byte) {
	h.Fin = b[0]&bitFin != 0
	h.Rsv = b[0] & bitsRsv >> 4
	h.OpCode = ws.OpCode(b[0] & bitsOpCode)
	h.Masked = b[1]&bitMask != 0
	switch n := b[1] & bitsLength; n {
	case length16:
		h.Length = int64(binary.BigEndian.Uint16(b[2:]))
	case length64:
		h.Length = int64(binary.BigEndian.Uint64(b[2:]))
	default:
		h.Length = int64(n)
	}
	if h.Masked {
		h.Mask = [4]byte(b[len(b)-4:])
	}
}
