package bench

import (
	"bytes"
	"crypto/sha1"
	"encoding/base64"
	"fmt"
	"strconv"
)

// maxUpgradeHead bounds the head of the response to an upgrade.
const maxUpgradeHead = 8 << 10

// An upgradeError says why the response to an upgrade is not the one that RFC 6455 section 4.1 asks for.
type upgradeError struct {
	kind   upgradeKind
	status int    // of upgradeRefused
	detail string // of upgradeRefused, what follows the status, or a redirection's Location; of upgradeWrong, what is wrong
	retry  string // of upgradeRefused: its Retry-After
}

type upgradeKind uint8

const (
	upgradeRefused     upgradeKind = iota + 1 // an answer of HTTP that is no 101
	upgradeNotHTTP                            // not HTTP/1 at all
	upgradeTooLong                            // no end within maxUpgradeHead
	upgradeWrong                              // a 101 that breaks a rule
	upgradeWrongAccept                        // a 101 to another key
)

func (e *upgradeError) Error() string {
	switch e.kind {
	case upgradeNotHTTP:
		return "the answer to the upgrade is not HTTP"
	case upgradeTooLong:
		return fmt.Sprintf("the answer to the upgrade has a head of more than %d bytes", maxUpgradeHead)
	case upgradeWrongAccept:
		return "the answer to the upgrade has a Sec-WebSocket-Accept that does not belong to the key"
	case upgradeWrong:
		return "the answer to the upgrade is no WebSocket: " + e.detail
	}
	said := "the upgrade was answered with " + strconv.Itoa(e.status) + " " + printable(e.detail)
	if e.retry != "" {
		said += ", and Retry-After: " + printable(e.retry)
	}
	return said
}

// readUpgrade reads the response to an upgrade with key. head is all that came so far. n is where frames
// begin in it, once the response is whole and right; 0 without an error: more is needed. An error is an
// *upgradeError, and however head was cut on its way it is the same.
func readUpgrade(head []byte, key [24]byte) (n int, err error) {
	if start := "HTTP/1."; string(head[:min(len(head), len(start))]) != start[:min(len(head), len(start))] {
		return 0, &upgradeError{kind: upgradeNotHTTP}
	}
	text := head[:min(len(head), maxUpgradeHead)]
	var r upgradeResponse
	for first := true; ; {
		// RFC 9112 section 2.2 lets a recipient take a bare LF for the end of a line.
		end := bytes.IndexByte(text[n:], '\n')
		if end < 0 {
			break
		}
		line := bytes.TrimSuffix(text[n:n+end], []byte{'\r'})
		n += end + 1
		switch {
		case first:
			first = false
			if r = (upgradeResponse{}); !r.statusLine(line) {
				return 0, &upgradeError{kind: upgradeNotHTTP}
			}
		case len(line) > 0:
			r.field(line, key)
		case r.status/100 == 1 && r.status != 101:
			first = true // an interim response, RFC 9110 section 15.2
		default:
			if err := r.check(); err != nil {
				return 0, err
			}
			return n, nil
		}
	}
	if len(head) >= maxUpgradeHead {
		return 0, &upgradeError{kind: upgradeTooLong}
	}
	return 0, nil
}

// An upgradeResponse is what matters of a response. Its slices lie in the head.
type upgradeResponse struct {
	status   int
	reason   []byte
	location []byte
	retry    []byte // Retry-After: a number of seconds, or a date

	minor      byte // of the version, in ASCII
	upgrade    bool
	connection bool
	accepts    int  // Sec-WebSocket-Accept lines
	accepted   bool // the last of them is right
	extension  bool
	protocol   bool
	malformed  bool // a line is no field
}

// statusLine reads HTTP/1.1 101 Switching Protocols.
func (r *upgradeResponse) statusLine(line []byte) bool {
	const version = len("HTTP/1.1")
	if !bytes.HasPrefix(line, []byte("HTTP/1.")) || len(line) < version+len(" 101") || line[version] != ' ' {
		return false
	}
	r.minor = line[version-1]
	for _, c := range line[version+1 : version+4] {
		if c < '0' || c > '9' {
			return false
		}
		r.status = 10*r.status + int(c-'0')
	}
	rest := line[version+4:]
	if r.status < 100 || len(rest) > 0 && rest[0] != ' ' {
		return false
	}
	r.reason = bytes.TrimSpace(rest)
	return true
}

// field reads a header line.
func (r *upgradeResponse) field(line []byte, key [24]byte) {
	colon := bytes.IndexByte(line, ':')
	if colon <= 0 || bytes.ContainsAny(line[:colon], " \t") {
		r.malformed = true
		return
	}
	name, value := line[:colon], bytes.Trim(line[colon+1:], " \t")
	switch {
	case isASCIIFold(name, "upgrade"):
		r.upgrade = r.upgrade || isASCIIFold(value, "websocket")
	case isASCIIFold(name, "connection"):
		r.connection = r.connection || listHas(value, "upgrade")
	case isASCIIFold(name, "sec-websocket-accept"):
		accept := acceptFor(key)
		r.accepts++
		r.accepted = bytes.Equal(value, accept[:])
	case isASCIIFold(name, "sec-websocket-extensions"):
		r.extension = r.extension || len(value) > 0
	case isASCIIFold(name, "sec-websocket-protocol"):
		r.protocol = true
	case isASCIIFold(name, "location"):
		r.location = value
	case isASCIIFold(name, "retry-after"):
		r.retry = value
	}
}

// check applies RFC 6455 section 4.1, its list of what the client must validate in the server's response.
func (r *upgradeResponse) check() error {
	wrong := ""
	switch {
	case r.status != 101:
		detail := r.reason
		if r.status/100 == 3 && len(r.location) > 0 {
			detail = r.location
		}
		return &upgradeError{kind: upgradeRefused, status: r.status, detail: string(detail), retry: string(r.retry)}
	case r.minor == '0':
		wrong = "a 101 of HTTP/1.0"
	case r.malformed:
		wrong = "a header line without a name and a colon"
	case !r.upgrade:
		wrong = "no header Upgrade: websocket"
	case !r.connection:
		wrong = "no header Connection: Upgrade"
	case r.accepts == 0:
		wrong = "no Sec-WebSocket-Accept"
	case r.accepts > 1:
		wrong = "more than one Sec-WebSocket-Accept"
	case !r.accepted:
		return &upgradeError{kind: upgradeWrongAccept}
	case r.extension:
		wrong = "an extension that was not asked for"
	case r.protocol:
		wrong = "a subprotocol that was not asked for"
	default:
		return nil
	}
	return &upgradeError{kind: upgradeWrong, detail: wrong}
}

// serverOf returns what the Server header of a response says, "" if there is none.
func serverOf(head []byte) string {
	for line := range bytes.Lines(head) {
		name, value, ok := bytes.Cut(line, []byte{':'})
		if ok && isASCIIFold(name, "server") {
			return printable(string(bytes.TrimSpace(value)))
		}
	}
	return ""
}

// acceptFor returns the Sec-WebSocket-Accept for a key (RFC 6455 section 4.2.2, step 5).
func acceptFor(key [24]byte) (accept [28]byte) {
	const guid = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
	var b [len(key) + len(guid)]byte
	copy(b[copy(b[:], key[:]):], guid)
	sum := sha1.Sum(b[:])
	base64.StdEncoding.Encode(accept[:], sum[:])
	return accept
}

// listHas reports whether a comma separated list holds token, whatever the case of its letters.
func listHas(list []byte, token string) bool {
	for more := true; more; {
		var item []byte
		item, list, more = bytes.Cut(list, []byte{','})
		if isASCIIFold(bytes.Trim(item, " \t"), token) {
			return true
		}
	}
	return false
}

// isASCIIFold reports whether b is s, which is in lower case, but for the case of its letters. Unicode's
// folding would take the Kelvin sign for a k.
func isASCIIFold(b []byte, s string) bool {
	if len(b) != len(s) {
		return false
	}
	for i, c := range b {
		if 'A' <= c && c <= 'Z' {
			c |= 0x20
		}
		if c != s[i] {
			return false
		}
	}
	return true
}
