package server

// A chunkDecoder takes a body in the chunked transfer coding (RFC 9112 section 7.1) out of bytes in any cuts.
// As the request head, its lines end in CRLF and nothing else: two parties that disagree on where a body ends
// are how requests are smuggled. Extensions and trailers are skipped.
type chunkDecoder struct {
	state chunkState
	left  int // bytes of the chunk that are to come; while its size comes, that
	line  int // bytes of this line, or of all trailers
}

type chunkState uint8

const (
	chunkSize      chunkState = iota // at or in the size
	chunkExtension                   // behind the size
	chunkSizeLF                      // after the CR that ends that line
	chunkData                        // in the data
	chunkCR                          // behind the data
	chunkLF
	chunkTrailer     // at the first byte of a trailer or of the final empty line
	chunkTrailerText // in a trailer
	chunkTrailerLF
	chunkEndLF
	chunkDone
)

const (
	maxChunk      = 1 << 30 // far above every MaxBodyBytes that there is
	maxChunkLine  = 256     // of a size with its extensions, which nobody is known to send
	maxChunkAfter = 4 << 10 // of all trailers
)

// done reports whether the body was whole: what follows is not of it.
func (d *chunkDecoder) done() bool { return d.state == chunkDone }

// next takes bytes of b, at least one, up to the first piece of data or the end of the body. piece is part of b.
func (d *chunkDecoder) next(b []byte) (n int, piece []byte, herr *httpError) {
	for n < len(b) && d.state != chunkDone {
		if d.state == chunkData {
			piece = b[n:min(len(b), n+d.left)]
			if d.left -= len(piece); d.left == 0 {
				d.state = chunkCR
			}
			return n + len(piece), piece, nil
		}
		if !d.step(b[n]) {
			return n, nil, badRequest("the body is not in the chunked transfer coding")
		}
		n++
	}
	return n, nil, nil
}

// step takes a byte that is no data and reports whether it may stand there.
func (d *chunkDecoder) step(c byte) bool {
	switch d.state {
	case chunkSize:
		return d.sizeByte(c)
	case chunkExtension:
		return d.textByte(c, chunkSizeLF, maxChunkLine)
	case chunkSizeLF:
		d.state = chunkData
		if d.left == 0 {
			d.state = chunkTrailer
		}
		d.line = 0
		return c == '\n'
	case chunkCR:
		d.state = chunkLF
		return c == '\r'
	case chunkLF:
		d.state = chunkSize
		return c == '\n'
	case chunkTrailer:
		if c == '\r' {
			d.state = chunkEndLF
			return true
		}
		d.state = chunkTrailerText
		return d.textByte(c, chunkTrailerLF, maxChunkAfter)
	case chunkTrailerText:
		return d.textByte(c, chunkTrailerLF, maxChunkAfter)
	case chunkTrailerLF:
		d.state = chunkTrailer
		return c == '\n'
	}
	d.state = chunkDone
	return c == '\n'
}

// sizeByte takes a byte of the size, or the first behind it. line counts its digits meanwhile.
func (d *chunkDecoder) sizeByte(c byte) bool {
	if digit := unhex(c); digit >= 0 {
		d.left = d.left<<4 | int(digit)
		d.line++
		return d.left <= maxChunk && d.line <= maxChunkLine
	}
	if d.line == 0 || c != '\r' && c != ';' {
		return false
	}
	d.state = chunkExtension
	return d.textByte(c, chunkSizeLF, maxChunkLine)
}

// textByte takes a byte of a line that is skipped.
func (d *chunkDecoder) textByte(c byte, atEnd chunkState, most int) bool {
	d.line++
	if c == '\r' {
		d.state = atEnd
		return true
	}
	return (c >= ' ' || c == '\t') && c != 0x7f && d.line <= most
}
