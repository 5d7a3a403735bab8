package hub

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"unicode/utf8"
)

// The encoded form of a [PresenceDelta]. Numbers are unsigned varints of the least length, strings a
// length and the bytes.
//
//	version  1 byte
//	parts    number, then for each, in rising order of the names:
//	  name     string
//	  epoch    number
//	  seen     number of spans, then for each: clocks since the end of the last, length - 1
//	  entries  number, then for each: clocks since the last, prev,
//	           topic: 0 if that of the last entry, else length + 1 and the bytes; key, meta: strings
//
// Every delta has one form, and nothing else is decoded.
const presenceVersion = 1

// The longest names, topics, keys and metas that are decoded.
const (
	maxReplicaName   = 255
	maxDecodedString = 1 << 20
)

// ErrPresenceEncoding says that bytes are not an encoded PresenceDelta.
var ErrPresenceEncoding = errors.New("hub: not an encoded PresenceDelta")

// AppendBinary appends the encoded form of d. It never fails.
func (d PresenceDelta) AppendBinary(dst []byte) ([]byte, error) {
	dst = append(dst, presenceVersion)
	dst = binary.AppendUvarint(dst, uint64(len(d.parts)))
	for i := range d.parts {
		dst = d.parts[i].append(dst)
	}
	return dst, nil
}

// MarshalBinary returns the encoded form of d. It never fails.
func (d PresenceDelta) MarshalBinary() ([]byte, error) { return d.AppendBinary(nil) }

func (p *presencePart) append(dst []byte) []byte {
	dst = appendString(dst, p.Name)
	dst = binary.AppendUvarint(dst, p.Epoch)
	dst = binary.AppendUvarint(dst, uint64(len(p.seen)))
	last := uint64(0)
	for _, s := range p.seen {
		dst = binary.AppendUvarint(dst, s.from-last)
		dst = binary.AppendUvarint(dst, s.to-s.from)
		last = s.to
	}
	dst = binary.AppendUvarint(dst, uint64(len(p.entries)))
	last = 0
	for i := range p.entries {
		it := &p.entries[i]
		dst = binary.AppendUvarint(dst, it.clock-last)
		dst = binary.AppendUvarint(dst, it.prev)
		if i > 0 && it.topic == p.entries[i-1].topic {
			dst = append(dst, 0)
		} else {
			dst = append(binary.AppendUvarint(dst, uint64(len(it.topic))+1), it.topic...)
		}
		dst = appendString(dst, it.key)
		dst = appendString(dst, it.meta)
		last = it.clock
	}
	return dst
}

func appendString(dst []byte, s string) []byte {
	return append(binary.AppendUvarint(dst, uint64(len(s))), s...)
}

// UnmarshalBinary makes d what data says. It keeps no reference to data. Anything but what AppendBinary
// appends is refused with an error that wraps [ErrPresenceEncoding], and d is left as it is.
func (d *PresenceDelta) UnmarshalBinary(data []byte) error {
	r := presenceReader{rest: data}
	if len(data) == 0 || data[0] != presenceVersion {
		return fmt.Errorf("%w: no version %d", ErrPresenceEncoding, presenceVersion)
	}
	r.rest = data[1:]
	var parts []presencePart
	for n := r.number(); n > 0 && r.err == ""; n-- {
		p := r.part()
		if len(parts) > 0 && p.Name <= parts[len(parts)-1].Name {
			r.fail("names out of order")
		}
		parts = append(parts, p)
	}
	if len(r.rest) > 0 {
		r.fail("bytes at the end")
	}
	if r.err != "" {
		return fmt.Errorf("%w: %s, %d bytes before the end", ErrPresenceEncoding, r.err, len(r.rest))
	}
	d.parts = parts
	return nil
}

// presenceReader takes an encoded delta apart. After a failure all that it reads is zero. It makes
// nothing of the size that a number announces, only of that of bytes that are there.
type presenceReader struct {
	rest []byte
	err  string // of the first failure
}

func (r *presenceReader) fail(why string) {
	if r.err == "" {
		r.err = why
	}
}

func (r *presenceReader) number() uint64 {
	if r.err != "" {
		return 0
	}
	v, n := binary.Uvarint(r.rest)
	if n <= 0 || n > 1 && r.rest[n-1] == 0 {
		r.fail("a number cut short, too large or too long")
		return 0
	}
	r.rest = r.rest[n:]
	return v
}

func (r *presenceReader) bytes(n, limit uint64) []byte {
	if r.err == "" && (n > limit || n > uint64(len(r.rest))) {
		r.fail("a string cut short or too long")
	}
	if r.err != "" {
		return nil
	}
	b := r.rest[:n]
	r.rest = r.rest[n:]
	if !utf8.Valid(b) {
		r.fail("a string that is no UTF-8")
	}
	return b
}

func (r *presenceReader) string(limit uint64) string { return string(r.bytes(r.number(), limit)) }

func (r *presenceReader) part() (p presencePart) {
	p.Name = r.string(maxReplicaName)
	p.Epoch = r.number()
	last := uint64(0)
	for n := r.number(); n > 0 && r.err == ""; n-- {
		from := last + r.number()
		to := from + r.number()
		p.seen = append(p.seen, clockSpan{from, to})
		if from < last {
			r.fail("clocks that run over")
		}
		last = to
	}
	if !p.seen.valid() {
		r.fail("spans of clocks that run over or touch")
	}
	last = 0
	for n := r.number(); n > 0 && r.err == ""; n-- {
		it := r.item(last, p.entries)
		if it.clock <= last || !p.seen.has(it.clock) {
			r.fail("an entry whose clock is out of order or not seen")
		}
		last = it.clock
		p.entries = append(p.entries, it)
	}
	return p
}

// item reads the entry after those in before, of which the last came at the clock last.
func (r *presenceReader) item(last uint64, before []presenceItem) (it presenceItem) {
	it.clock = last + r.number()
	it.prev = r.number()
	former := ""
	if len(before) > 0 {
		former = before[len(before)-1].topic
	}
	if n := r.number(); n > 0 {
		it.topic = string(r.bytes(n-1, maxDecodedString))
		if len(before) > 0 && it.topic == former {
			r.fail("a topic that is said twice")
		}
	} else {
		it.topic = former
		if len(before) == 0 {
			r.fail("no topic")
		}
	}
	it.key = r.string(maxDecodedString)
	meta := r.bytes(r.number(), maxDecodedString)
	if !compactObject(meta) {
		r.fail("a meta that is no compact JSON object")
	}
	it.meta = string(meta)
	return it
}

// compactObject reports whether b is a JSON object in UTF-8 without white space between its parts.
func compactObject(b []byte) bool {
	if len(b) < 2 || b[0] != '{' || !utf8.Valid(b) {
		return false
	}
	var c bytes.Buffer
	return json.Compact(&c, b) == nil && bytes.Equal(c.Bytes(), b)
}

// checkTopics reports whether all topics of d are as ok wants them.
func (d PresenceDelta) checkTopics(ok func(topic string) bool) error {
	for _, p := range d.parts {
		for i := range p.entries {
			if !ok(p.entries[i].topic) {
				return fmt.Errorf("%w: topic %.100q belongs to another part", ErrPresenceEncoding, strings.ToValidUTF8(p.entries[i].topic, "?"))
			}
		}
	}
	return nil
}
