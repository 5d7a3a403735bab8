package server

import (
	"errors"

	"github.com/tinylib/msgp/msgp"
)

// Errors of payloads and MessagePack.
var (
	// ErrNoMessagePack is the error of a payload that a client of MessagePack cannot receive.
	ErrNoMessagePack = errors.New("server: the payload has no form in MessagePack: it is not JSON, or nested above 512")

	// ErrNotMessagePack is the error of a payload made by [MessagePack] of something else.
	ErrNotMessagePack = errors.New("server: the payload is not one value of MessagePack that can be passed on")
)

// MessagePack returns a payload of one value that is in that form already, and must not be changed afterwards.
// Clients of MessagePack receive it as it is, others as JSON, into which [Payload.Bytes] and [Payload.Decode]
// turn it too:
//
//   - integers keep every digit, floats are written as in JavaScript, NaN and the infinities are null;
//   - bytes (bin) are a string of base64, but a payload that is bytes as a whole is [Binary];
//   - a timestamp is a string as in RFC 3339, any other extension {"type":5,"data":"AQID"}, in base64;
//   - a key that is an integer is a string of its digits, and keys that repeat are repeated.
//
// The other way, from JSON, integers of up to 64 bits keep every digit and other numbers are floats of 64 bits:
// the nearest, or an infinity.
//
// Strings that are not UTF-8, other kinds of keys and a nesting above 512 are refused, of clients with close
// code 1011. Here the error, ErrNotMessagePack, comes up where the payload is sent, or before from [Payload.Err].
func MessagePack(value []byte) Payload {
	if rest, ok := skipPacked(value, maxPackedDepth); !ok || len(rest) > 0 {
		return Payload{err: ErrNotMessagePack}
	}
	return packedPayload(value)
}

// MessagePack returns the payload in that form: as it came, if it came so. It must not be changed. Errors:
// that of the payload, [ErrNoMessagePack].
func (p Payload) MessagePack() ([]byte, error) {
	if p.packed {
		return p.data, nil
	}
	return p.appendPacked(nil)
}

// packedPayload takes a value that has passed skipPacked.
func packedPayload(value []byte) Payload {
	if msgp.NextType(value) == msgp.BinType {
		data, _, _ := msgp.ReadBytesZC(value)
		return Payload{data: data, binary: true}
	}
	return Payload{data: value, packed: true}
}

// appendPacked appends the payload. Errors: that of [JSON], ErrNoMessagePack; dst is then as it was.
func (p Payload) appendPacked(dst []byte) ([]byte, error) {
	switch {
	case p.err != nil:
		return dst, p.err
	case p.packed:
		return append(dst, p.data...), nil
	case p.binary:
		return msgp.AppendBytes(dst, p.data), nil
	case len(p.data) == 0:
		return msgp.AppendMapHeader(dst, 0), nil
	}
	return appendJSONPacked(dst, p.data)
}
