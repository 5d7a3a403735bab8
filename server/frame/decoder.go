package frame

import "github.com/gobwas/ws"

// DefaultLimitBytes bounds a message when the owner sets no limit: Phoenix's max_frame_size.
const DefaultLimitBytes = 10_000_000

// A Decoder takes frames out of a stream of bytes, in any cuts. Its zero value decodes what clients
// send, without extensions.
//
// After a turn in which Next reported false, a Decoder that is [Decoder.Idle] holds nothing and may
// serve another connection.
type Decoder struct {
	// Client makes this the client's end: frames come from a server and must not be masked.
	Client bool
	// Deflate says that permessage-deflate was negotiated: RSV1 is allowed where RFC 7692 allows it.
	Deflate bool
	// LimitBytes bounds the payload of a message, over all its frames and as it is on the wire.
	// 0 means DefaultLimitBytes.
	LimitBytes int64

	in    []byte // what was pushed and not taken yet
	seen  int64  // payload bytes that the frames of the open message have announced
	left  int64  // payload bytes of the open frame that no part has had yet
	frame ws.Header
	open  bool // frame's header is complete, its last part is not out
	more  bool // a data message has begun and its last frame has not
	err   Error
	n     uint8            // bytes in held
	held  [maxControl]byte // a cut header, then a cut control payload, raw
}

// A Part is a control frame, or a data frame, or a piece of a data frame that was cut by a read. A
// data frame is one or more parts; one that was pushed whole is exactly one.
type Part struct {
	// Header is that of the frame; Length is the whole frame's.
	Header ws.Header
	// Payload is unmasked. See the lifetimes in the package's documentation.
	Payload []byte
	// First and Last say where in its frame this part is.
	First, Last bool
}

// Push lends p to the Decoder, which changes it in place. The bytes pushed before must have been
// used up: Push panics between a Next that reported true and one that reported false, unless Rest
// took what remained. After an error p is ignored.
func (d *Decoder) Push(p []byte) {
	if len(d.in) > 0 {
		panic("frame: Push before Next reported false")
	}
	if d.err == 0 {
		d.in = p
	}
}

// Next returns the next part. It reports false when the bytes pushed are used up; then the Decoder
// refers to none of them. The error is an [Error], and the same again for every later call.
func (d *Decoder) Next() (Part, bool, error) {
	if !d.open {
		d.header()
	}
	switch {
	case d.err != 0:
		return Part{}, false, d.err
	case !d.open:
		return Part{}, false, nil
	}
	if d.frame.OpCode.IsControl() {
		part, ok := d.control()
		return part, ok, nil
	}
	part, ok := d.data()
	return part, ok, nil
}

// Rest returns the bytes that no part has covered, as they came, and forgets them: for an owner that
// has to stop between two parts and will push them again. Bytes of a header that was cut by the end
// of the push are not among them; they are in the Decoder.
func (d *Decoder) Rest() []byte {
	p := d.in
	d.in = nil
	return p
}

// Idle reports whether the Decoder holds nothing of the stream: no bytes, no part of a frame, and no
// message between two of its fragments. After an error it is not Idle.
func (d *Decoder) Idle() bool {
	return !d.open && !d.more && d.n == 0 && len(d.in) == 0 && d.err == 0
}

// Reset forgets the stream and its error. Client, Deflate and LimitBytes stay.
func (d *Decoder) Reset() {
	*d = Decoder{Client: d.Client, Deflate: d.Deflate, LimitBytes: d.LimitBytes}
}

// header opens the next frame if its header is complete, and keeps the piece if it is not.
func (d *Decoder) header() {
	b := d.in
	if d.n > 0 {
		b = append(d.held[:d.n], b[:min(len(b), headerMaxSize-int(d.n))]...)
	}
	size := headerSize(b)
	if err := d.rules().check(b[:min(len(b), size)]); err != 0 {
		d.err, d.in = err, nil
		return
	}
	if len(b) < size {
		d.n = uint8(copy(d.held[:], b))
		d.in = nil
		return
	}
	d.in = d.in[size-int(d.n):]
	d.n = 0
	parseHeader(&d.frame, b[:size])
	d.left = d.frame.Length
	d.open = true
	if d.frame.OpCode.IsControl() {
		return
	}
	if !d.more {
		d.seen = 0
	}
	d.seen += d.frame.Length
	d.more = !d.frame.Fin
}

func (d *Decoder) rules() rules {
	r := rules{client: d.Client, deflate: d.Deflate, fragmented: d.more, room: d.LimitBytes}
	if r.room <= 0 {
		r.room = DefaultLimitBytes
	}
	if d.more {
		r.room -= d.seen
	}
	return r
}

// control returns the open control frame once all of its payload is there.
func (d *Decoder) control() (Part, bool) {
	size := int(d.frame.Length)
	missing := size - int(d.n)
	if len(d.in) < missing {
		d.n += uint8(copy(d.held[d.n:], d.in))
		d.in = nil
		return Part{}, false
	}
	payload := d.in[:missing:missing]
	if d.n > 0 {
		payload = append(d.held[:d.n], payload...)
	}
	d.in = d.in[missing:]
	d.n = 0
	d.open = false
	return d.part(payload, 0), true
}

// data returns what there is of the open data frame.
func (d *Decoder) data() (Part, bool) {
	if len(d.in) == 0 && d.left > 0 {
		d.in = nil
		return Part{}, false
	}
	n := min(d.left, int64(len(d.in)))
	payload := d.in[:n:n]
	done := d.frame.Length - d.left
	d.in = d.in[n:]
	d.left -= n
	d.open = d.left > 0
	part := d.part(payload, done)
	part.First, part.Last = done == 0, d.left == 0
	return part, true
}

// part unmasks payload, which begins at offset of the frame's payload.
func (d *Decoder) part(payload []byte, offset int64) Part {
	if d.frame.Masked {
		// Cipher takes an int; the key repeats every four bytes.
		ws.Cipher(payload, d.frame.Mask, int(offset&3))
	}
	return Part{Header: d.frame, Payload: payload, First: true, Last: true}
}
