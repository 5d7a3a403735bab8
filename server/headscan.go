package server

// maxMethodBytes bounds the method, so that a stream without spaces is refused early. The longest
// registered one, UPDATEREDIRECTREF, has 17 letters.
const maxMethodBytes = 32

type headState uint8

const (
	headBlank      headState = iota // before the request line: empty lines are skipped (RFC 9112 section 2.2)
	headBlankLF                     // in such an empty line, after CR
	headMethod                      // in the method
	headLine                        // in the rest of the request line
	headEOL                         // after the CR that ends a line
	headFieldStart                  // at the first byte of a header line or of the final empty line
	headName                        // in a header's name
	headValue                       // in a header's value
	headEndLF                       // after the CR of the final empty line
)

// A headScanner finds the end of a request head in bytes that come in pieces. It looks at every byte
// once, however they are cut, and refuses at the first byte that no valid head could have there.
//
// Lines end in CRLF. RFC 9112 section 2.2 lets a recipient take a bare LF for a line end; this one does
// not, since two parties that disagree on where a line ends are how requests are smuggled. Folded
// lines and control characters are refused for the same reason (RFC 9112 sections 5.1, 5.2; RFC 9110
// section 5.5).
type headScanner struct {
	next   int // how many bytes have been looked at
	start  int // where the request line begins
	fields int
	state  headState
}

// scan looks at what is new in buf, which holds all bytes since the connection or the last head began.
// end is 0 while the head is incomplete, else its length: the head is buf[s.start:end], and what
// follows belongs to others. After an error or an end the scanner must be set to its zero value.
func (s *headScanner) scan(buf []byte, limits headLimits) (end int, err *httpError) {
	limits = limits.orDefaults()
	for ; s.next < len(buf); s.next++ {
		if s.state == headLine || s.state == headValue {
			s.next = skipText(buf, s.next)
		}
		if s.next >= limits.bytes {
			return 0, s.tooLarge()
		}
		if s.next == len(buf) {
			break
		}
		c := buf[s.next]
		if s.state == headEndLF && c == '\n' {
			return s.next + 1, nil
		}
		if err := s.step(c); err != nil {
			return 0, err
		}
		if s.fields > limits.fields {
			return 0, &httpError{431, "the request has too many header fields"}
		}
	}
	return 0, nil
}

// skipText returns the index of the first control character at or after i, or len(buf).
func skipText(buf []byte, i int) int {
	for i < len(buf) && !isControl(buf[i]) {
		i++
	}
	return i
}

func (s *headScanner) tooLarge() *httpError {
	if s.state == headMethod || s.state == headLine {
		return &httpError{414, "the request target is too long"} // RFC 9112 section 3: a MUST
	}
	return &httpError{431, "the request head is too large"}
}

func (s *headScanner) step(c byte) *httpError {
	switch s.state {
	case headBlank, headBlankLF, headMethod:
		return s.stepMethod(c)
	case headLine:
		if c == '\r' {
			s.state = headEOL
		} else if isControl(c) {
			return badRequest("a control character in the request line")
		}
	case headEOL:
		if c != '\n' {
			return badRequest("a line ends in CR without LF")
		}
		s.state = headFieldStart
	case headEndLF: // scan has seen to LF
		return badRequest("a line ends in CR without LF")
	default:
		return s.stepField(c)
	}
	return nil
}

// stepMethod is where what is no HTTP at all is told apart.
func (s *headScanner) stepMethod(c byte) *httpError {
	switch {
	case s.state == headBlankLF && c == '\n':
		s.state = headBlank
	case s.state == headBlankLF:
		return badRequest("a line ends in CR without LF")
	case s.state == headBlank && c == '\r':
		s.state = headBlankLF
	case s.state == headBlank && isTokenByte(c):
		s.state, s.start = headMethod, s.next
	case s.state == headBlank && c == 0x16: // the record type of a ClientHello, RFC 8446 section 5.1
		return badRequest("a TLS handshake came to a port that speaks plain HTTP")
	case s.state == headMethod && c == ' ':
		s.state = headLine
	case s.state == headMethod && isTokenByte(c):
		if s.next-s.start >= maxMethodBytes {
			return &httpError{501, "no method has such a long name"} // RFC 9112 section 3
		}
	default:
		return badRequest("this is not HTTP")
	}
	return nil
}

func (s *headScanner) stepField(c byte) *httpError {
	switch {
	case s.state == headValue && c == '\r':
		s.state = headEOL
	case s.state == headValue:
		if isControl(c) && c != '\t' {
			return badRequest("a control character in a header value")
		}
	case s.state == headName && c == ':':
		s.state = headValue
	case s.state == headFieldStart && c == '\r':
		s.state = headEndLF
	case isTokenByte(c):
		if s.state == headFieldStart {
			s.fields++
		}
		s.state = headName
	case s.state == headFieldStart && (c == ' ' || c == '\t'):
		return badRequest("a header line begins with white space")
	case s.state == headName && (c == ' ' || c == '\t'):
		return badRequest("white space between a header's name and its colon")
	default:
		return badRequest("a header name holds a character that is not allowed")
	}
	return nil
}

// The classes of bytes in a head.
const (
	tokenByte = 1 << iota // RFC 9110 section 5.6.2
	hostByte              // reg-name and IPv4 address of RFC 3986 section 3.2.2, not percent-encoded
)

var byteClasses = func() (table [256]byte) {
	const alnum = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
	for _, c := range []byte(alnum + "!#$%&'*+-.^_`|~") {
		table[c] |= tokenByte
	}
	for _, c := range []byte(alnum + "-._~!$&'()*+,;=") {
		table[c] |= hostByte
	}
	return table
}()

func isTokenByte(c byte) bool { return byteClasses[c]&tokenByte != 0 }
func isHostByte(c byte) bool  { return byteClasses[c]&hostByte != 0 }
func isControl(c byte) bool   { return c < ' ' || c == 0x7f }
func isDigit(c byte) bool     { return c-'0' <= 9 }

// unhex returns the value of a hexadecimal digit, or -1.
func unhex(c byte) int {
	switch {
	case isDigit(c):
		return int(c - '0')
	case c|0x20 >= 'a' && c|0x20 <= 'f':
		return int(c|0x20-'a') + 10
	}
	return -1
}

// equalFold compares without regard to the case of ASCII letters, and of no others: Unicode folding
// would take the Kelvin sign for a k.
func equalFold(a, b string) bool {
	if len(a) != len(b) {
		return false
	}
	for i := range len(a) {
		if x, y := a[i], b[i]; x != y && (lower(x) != lower(y)) {
			return false
		}
	}
	return true
}

func lower(c byte) byte {
	if c-'A' < 26 {
		c |= 0x20
	}
	return c
}
