package frame

import (
	"io"
	"sync"

	"github.com/gobwas/ws"
	"github.com/gobwas/ws/wsflate"
	"github.com/klauspost/compress/flate"
)

// MinDeflateBytes is the payload size below which AppendDeflated does not try. Without a context to
// refer to, a Phoenix broadcast of 121 bytes came out as 123, one of 165 as 146, one of 235 as 187,
// each for 5 µs: below this there is nothing to win that a packet would notice.
const MinDeflateBytes = 256

// deflateLevel: on chat-like JSON of 300 B to 64 KiB level 6 of this library took 13 to 78 % longer
// than level 1 for 3 to 20 % less output, and a third to a fifth of the time of level 6 of
// compress/flate. A message is compressed once, for all its receivers. A writer is about 1 MiB at
// any level; there are as many as goroutines compress at once.
const deflateLevel = 6

// AppendDeflated appends a whole server frame with payload compressed, RFC 7692 section 7.2.1: RSV1
// set, no context taken over. A payload shorter than MinDeflateBytes, or one that compression does
// not make shorter, goes out as AppendServer writes it, which the extension allows for any message.
// op must be ws.OpText or ws.OpBinary.
func AppendDeflated(dst []byte, op ws.OpCode, payload []byte) []byte {
	if len(payload) < MinDeflateBytes {
		return AppendServer(dst, op, payload)
	}
	// The size of the header depends on what comes out: it gets the room that the uncompressed
	// payload would need, and what it leaves is closed.
	h := ws.Header{Fin: true, OpCode: op, Length: int64(len(payload))}
	start := len(dst)
	dst = AppendHeader(dst, h)
	at := len(dst)
	dst, ok := appendDeflate(dst, payload)
	h.Rsv, h.Length = ws.Rsv(true, false, false), int64(len(dst)-at)
	if !ok || h.Length >= int64(len(payload)) {
		return AppendServer(dst[:start], op, payload)
	}
	body := dst[at:]
	dst = AppendHeader(dst[:start], h)
	return append(dst, body...)
}

// A deflater appends what its writer compresses to out.
type deflater struct {
	w   *wsflate.Writer
	out []byte
}

// Write implements io.Writer.
func (d *deflater) Write(p []byte) (int, error) {
	d.out = append(d.out, p...)
	return len(p), nil
}

var deflaters = sync.Pool{New: func() any {
	d := &deflater{}
	d.w = wsflate.NewWriter(d, func(w io.Writer) wsflate.Compressor {
		c, err := flate.NewWriter(w, deflateLevel)
		if err != nil {
			panic(err) // only for a level that does not exist
		}
		return c
	})
	return d
}}

// appendDeflate appends p compressed, without the 00 00 ff ff that ends the flush. It reports false
// if the compressor failed.
func appendDeflate(dst, p []byte) ([]byte, bool) {
	d := deflaters.Get().(*deflater)
	d.w.Reset(d)
	d.out = dst
	_, err := d.w.Write(p)
	if err == nil {
		err = d.w.Flush()
	}
	dst, d.out = d.out, nil
	deflaters.Put(d)
	return dst, err == nil
}

// inflateTail goes behind the payload of a message, RFC 7692 section 7.2.2: 00 00 ff ff completes the
// empty block that the sender flushed with, and an empty block with BFINAL set ends the stream.
const inflateTail = "\x00\x00\xff\xff" + "\x01\x00\x00\xff\xff"

// An inflater is a decompressor and what it reads: a payload and the tail. wsflate.Reader would be
// the same, but in gobwas/ws v1.5.0 its ReadByte finds a byte 00 between the two.
type inflater struct {
	r       io.ReadCloser
	payload []byte
	tail    string
}

// Read implements io.Reader.
func (z *inflater) Read(p []byte) (int, error) {
	n := copy(p, z.payload)
	z.payload = z.payload[n:]
	m := copy(p[n:], z.tail)
	z.tail = z.tail[m:]
	if n+m == 0 && len(p) > 0 {
		return 0, io.EOF
	}
	return n + m, nil
}

// ReadByte implements io.ByteReader; without it the decompressor would read through a buffer.
func (z *inflater) ReadByte() (byte, error) {
	var c byte
	switch {
	case len(z.payload) > 0:
		c, z.payload = z.payload[0], z.payload[1:]
	case len(z.tail) > 0:
		c, z.tail = z.tail[0], z.tail[1:]
	default:
		return 0, io.EOF
	}
	return c, nil
}

var inflaters = sync.Pool{New: func() any {
	z := &inflater{}
	z.r = flate.NewReader(z)
	return z
}}

// inflate returns src decompressed. It stops as soon as there is more than limit.
func inflate(src []byte, limit int64) (*Buffer, Error) {
	z := inflaters.Get().(*inflater)
	z.payload, z.tail = src, inflateTail
	// The error is that of a dictionary, and there is none.
	_ = z.r.(flate.Resetter).Reset(z, nil)
	b := newBuffer(min(4*len(src), 64<<10))
	b, err := z.readTo(b, limit)
	z.payload = nil
	inflaters.Put(z)
	if err != 0 {
		b.Free()
		return nil, err
	}
	return b, 0
}

func (z *inflater) readTo(b *Buffer, limit int64) (*Buffer, Error) {
	for {
		b = b.grown(1)
		n, err := z.r.Read(b.B[len(b.B):cap(b.B)])
		b.B = b.B[:len(b.B)+n]
		switch {
		case int64(len(b.B)) > limit:
			return b, ErrInflatedTooBig
		case err == io.EOF:
			return b, z.ended()
		case err != nil:
			return b, ErrBadDeflate
		}
	}
}

// ended judges what the decompressor has left over. It stops at a block with BFINAL set, behind
// which RFC 7692 section 7.2.3.4 has one byte, 00, that makes an empty block of the tail. More than
// that would be bytes of a message that nobody sees.
func (z *inflater) ended() Error {
	if len(z.payload) > 1 || len(z.payload) == 1 && z.payload[0] != 0 {
		return ErrBadDeflate
	}
	return 0
}
