package frame

import (
	"encoding/binary"
	"strings"
	"unicode/utf8"

	"github.com/gobwas/ws"
)

// maxReason is what a Close frame has left for the reason: 125 bytes less the code, in bytes.
const maxReason = maxControl - 2

// ParseClose reads the payload of a Close frame, RFC 6455 sections 5.5.1 and 7.4. An empty payload
// is ws.StatusNoStatusRcvd, 1005. reason lies in payload.
//
// code is in each case the one to answer with (section 5.5.1: an endpoint typically echoes it), and
// AppendClose takes 1005 for the empty answer to an empty payload. With an error it is the error's:
//
//   - ErrCloseLength, 1002: one byte is no code
//   - ErrCloseCode, 1002: the code must not be on the wire, see [SendableCode]
//   - ErrCloseReason, 1007: the reason is not UTF-8 (section 8.1, as for text messages)
func ParseClose(payload []byte) (code ws.StatusCode, reason []byte, err error) {
	switch len(payload) {
	case 0:
		return ws.StatusNoStatusRcvd, nil, nil
	case 1:
		return ErrCloseLength.Code(), nil, ErrCloseLength
	}
	code, reason = ws.StatusCode(binary.BigEndian.Uint16(payload)), payload[2:]
	switch {
	case !SendableCode(code):
		return ErrCloseCode.Code(), nil, ErrCloseCode
	case !utf8.Valid(reason):
		return ErrCloseReason.Code(), nil, ErrCloseReason
	}
	return code, reason, nil
}

// SendableCode reports whether a Close frame may carry code: 1000-1003 and 1007-1014, which are
// registered for it, and 3000-4999, which belong to libraries and applications. 1004 has no meaning
// yet, 1005, 1006 and 1015 are for reports inside an endpoint, the rest of 1000-2999 is not assigned
// (RFC 6455 section 7.4; 1012-1014: the IANA registry of close codes).
func SendableCode(code ws.StatusCode) bool {
	switch {
	case code >= 1000 && code <= 1003,
		code >= 1007 && code <= 1014,
		code >= 3000 && code <= 4999:
		return true
	}
	return false
}

// AppendClosePayload appends the payload of a Close frame, at most 125 bytes: the reason is cut
// after the last whole character that fits, and what in it is not UTF-8 becomes U+FFFD.
//
// 1005 stands for no payload, as ParseClose returns it. Any other code that is not a [SendableCode]
// is a mistake on this side, which must not become a protocol error at the peer: it goes out as 1011.
func AppendClosePayload(dst []byte, code ws.StatusCode, reason string) []byte {
	if code == ws.StatusNoStatusRcvd {
		return dst
	}
	if !SendableCode(code) {
		code = ws.StatusInternalServerError
	}
	dst = binary.BigEndian.AppendUint16(dst, uint16(code))
	return append(dst, cutReason(strings.ToValidUTF8(reason, "\uFFFD"))...)
}

// cutReason returns as much of reason, which is UTF-8, as a Close frame has room for.
func cutReason(reason string) string {
	if len(reason) <= maxReason {
		return reason
	}
	n := maxReason
	for !utf8.RuneStart(reason[n]) {
		n--
	}
	return reason[:n]
}
