// Package frame is RFC 6455 sections 5 to 7 as small values and pure functions: frames from bytes
// ([Decoder]), messages from frames ([Message]), bytes from frames (the Append functions), close
// payloads ([ParseClose]), and permessage-deflate (RFC 7692). It knows no connection and does no I/O.
//
// The way in is
//
//	d.Push(data)
//	for {
//		part, ok, err := d.Next()
//		switch {
//		case err != nil: // a frame.Error: close with its Code
//		case !ok:        // data is used up; drop d if d.Idle
//		case part.Header.OpCode.IsControl(): // answer it; it is whole
//		default:
//			whole, err := m.Add(part) // m.OpCode, m.Payload; then m.Reset
//		}
//	}
//
// # Promises
//
//  1. Nothing blocks and nothing reads. Bytes are pushed in as they come and parts are taken out as
//     far as the bytes go, so a loop is never held by half a frame.
//  2. The result does not depend on how the bytes were cut: the same messages and the same error
//     come out of one push and of one push per byte.
//  3. A violation is reported with the first byte that shows it, before what follows it is kept. It
//     is an [Error]: a constant, with the close code and the clause.
//  4. A Decoder keeps at most one cut header (14 bytes) or one cut control payload (125 bytes), both
//     inside itself. It never keeps payload of a data frame.
//  5. A Message takes memory for what has arrived, not for what a header announces. A message that
//     comes in one part is handed out in place, without a copy and without an allocation.
//  6. Idle means nothing: a Decoder that is Idle and a Message that is Idle hold no state of the
//     connection and may be dropped, so that a sleeping connection has neither. For that reason
//     permessage-deflate is spoken without context takeover in both directions: the window of a
//     context would be 32 KiB for as long as the connection lives.
//  7. Every size has a limit that is applied before memory is spent: the message on the wire by its
//     headers, the inflated message while it is being inflated.
//  8. Whole frames of up to one read are decoded and encoded without allocation when the
//     destination has room. Collected messages, compression and decompression use pools.
//
// # Lifetimes
//
// Bytes lent by Push belong to the Decoder until Next has reported false or an error, or Rest has
// been called; it unmasks them in place. [Part].Payload lies in those bytes, or in the Decoder when
// a control frame was cut: use it before the next call of any method of the Decoder, and before the
// bytes are reused. [Message.Payload] lies in the last part or in pooled memory: use it before the
// next Add, Reset or Take. [Message.Take] gives memory that outlives both.
//
// # Who may call
//
// Decoder, Message, UTF8 and Buffer belong to one goroutine at a time and take no lock. Functions
// may be called from any goroutine. The pools are the only state of the package.
package frame
