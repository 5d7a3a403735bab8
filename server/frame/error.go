package frame

import "github.com/gobwas/ws"

// An Error is a violation of RFC 6455 or RFC 7692 by the peer, or of a limit of ours. It ends the
// connection: section 7.1.7, _Fail the WebSocket Connection_.
//
// Errors are constants; compare with == or errors.Is.
type Error uint8

// Violations that the header of a frame shows.
const (
	ErrReservedOpCode    Error = iota + 1 // opcodes 3-7 and 11-15
	ErrReservedBits                       // RSV2 or RSV3, or RSV1 with no extension negotiated
	ErrCompressedBit                      // RSV1 on a control frame or a continuation
	ErrControlFragmented                  // a control frame without FIN
	ErrControlTooLong                     // a control frame of more than 125 bytes
	ErrNotContinued                       // a new data frame inside a fragmented message
	ErrNothingToContinue                  // a continuation outside of a message
	ErrNotMasked                          // an unmasked frame from a client
	ErrMasked                             // a masked frame from a server
	ErrLengthNotMinimal                   // a length in more bytes than it needs
	ErrLengthTopBit                       // a 64-bit length with its top bit set
	ErrMessageTooBig                      // the frames of a message announce more than the limit
)

// Violations that the payload shows.
const (
	ErrInflatedTooBig Error = iota + 20 // a compressed message inflates to more than the limit
	ErrBadDeflate                       // compressed data that cannot be inflated
	ErrNotUTF8                          // a text message that is not UTF-8
	ErrCloseLength                      // a close payload of one byte
	ErrCloseCode                        // a close code that must not be on the wire
	ErrCloseReason                      // a close reason that is not UTF-8
)

// Error returns the text with its clause.
func (e Error) Error() string { return "frame: " + e.Reason() }

// Code returns the status code to close with.
func (e Error) Code() ws.StatusCode { return e.entry().code }

// Reason returns the text for the Close frame: the clause and what was wrong, within 123 bytes.
func (e Error) Reason() string { return e.entry().reason }

type errorEntry struct {
	code   ws.StatusCode
	reason string
}

// entry chooses code and text in one place.
//
// RFC 7692 names no code for data that cannot be inflated. 1007, data not consistent with the type
// of the message, is what it is; 1002 would blame the framing.
func (e Error) entry() errorEntry {
	switch e {
	case ErrReservedOpCode:
		return errorEntry{ws.StatusProtocolError, "RFC 6455 section 5.2: reserved opcode"}
	case ErrReservedBits:
		return errorEntry{ws.StatusProtocolError, "RFC 6455 section 5.2: reserved bit set with no extension that defines it"}
	case ErrCompressedBit:
		return errorEntry{ws.StatusProtocolError, "RFC 7692 section 6.1: compressed bit on a control frame or a continuation"}
	case ErrControlFragmented:
		return errorEntry{ws.StatusProtocolError, "RFC 6455 section 5.5: control frame is fragmented"}
	case ErrControlTooLong:
		return errorEntry{ws.StatusProtocolError, "RFC 6455 section 5.5: control frame is longer than 125 bytes"}
	case ErrNotContinued:
		return errorEntry{ws.StatusProtocolError, "RFC 6455 section 5.4: new data frame inside a fragmented message"}
	case ErrNothingToContinue:
		return errorEntry{ws.StatusProtocolError, "RFC 6455 section 5.4: continuation of no message"}
	case ErrNotMasked:
		return errorEntry{ws.StatusProtocolError, "RFC 6455 section 5.1: client frame is not masked"}
	case ErrMasked:
		return errorEntry{ws.StatusProtocolError, "RFC 6455 section 5.1: server frame is masked"}
	case ErrLengthNotMinimal:
		return errorEntry{ws.StatusProtocolError, "RFC 6455 section 5.2: payload length is not in its shortest form"}
	case ErrLengthTopBit:
		return errorEntry{ws.StatusProtocolError, "RFC 6455 section 5.2: top bit of the payload length is set"}
	case ErrMessageTooBig:
		return errorEntry{ws.StatusMessageTooBig, "RFC 6455 section 10.4: message is over the size limit"}
	case ErrInflatedTooBig:
		return errorEntry{ws.StatusMessageTooBig, "RFC 6455 section 10.4: inflated message is over the size limit"}
	case ErrBadDeflate:
		return errorEntry{ws.StatusInvalidFramePayloadData, "RFC 7692 section 7.2.2: message cannot be inflated"}
	case ErrNotUTF8:
		return errorEntry{ws.StatusInvalidFramePayloadData, "RFC 6455 section 8.1: text message is not UTF-8"}
	case ErrCloseLength:
		return errorEntry{ws.StatusProtocolError, "RFC 6455 section 5.5.1: close payload of one byte"}
	case ErrCloseCode:
		return errorEntry{ws.StatusProtocolError, "RFC 6455 section 7.4: close code must not be on the wire"}
	case ErrCloseReason:
		return errorEntry{ws.StatusInvalidFramePayloadData, "RFC 6455 section 8.1: close reason is not UTF-8"}
	}
	return errorEntry{ws.StatusInternalServerError, "unknown error"}
}
