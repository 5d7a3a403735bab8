package bench

import (
	"context"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"sync"
	"time"

	"github.com/dormouse-ws/dormouse/poller"
)

// A link is what a user sends by: a [poller.Conn], or a tlsLink over one.
type link interface {
	Write(p []byte) error
	CloseWith(last []byte)
	Abort(reason error)
	SetDeadline(d time.Duration)
	Resume()
}

// A tlsLink is TLS on a connection of the engine, between that and the next handler: an idle one holds no
// goroutine, unlike a tls.Conn on which somebody waits in Read.
//
// That works because crypto/tls goes on after an error of its net.Conn that is a temporary net.Error: half
// a record stays in its buffer, and the next Read continues (readRecordOrCCS). So OnData lets it read
// until the bytes are used up, which is such an error. Only in the handshake it is not so, and that takes
// a goroutine.
//
// What an idle one costs beside a plain connection is what a tls.Conn keeps, its buffers above all: 6.7 KB
// of heap (TestTLSLinkMemory, TLS 1.3 with one small certificate, Go 1.26).
type tlsLink struct {
	conf  *tls.Config
	queue *handshakeQueue
	next  poller.Handler
	conn  poller.Conn // nil before attach
	tls   *tls.Conn   // nil before the handshake

	turn sync.Mutex // held while next or ready is called; no link method takes it, so they may call those

	mu      sync.Mutex // protects the following; the innermost lock
	state   tlsState
	running bool        // the handshake's goroutine is at work
	wake    *sync.Cond  // for what it waits for, and its end; nil after it
	ready   func(error) // nil once it was called
	in      []byte      // what came and tls has not read; in OnData it is the engine's
	last    []byte      // what CloseWith sends
	over    error       // OnClose was called, because of it
	told    bool        // tls knows of it
	why     error       // what has ended the connection, if that was TLS
}

type tlsState uint8

const (
	tlsHandshake tlsState = iota // or before it
	tlsUp
	tlsClosing // CloseWith collects what is sent
	tlsClosed
)

// maxHandshakeBytes bounds what a server can make us keep before the handshake is done: a chain of
// certificates of the largest size that crypto/tls takes (maxHandshakeCertificateMsg), and as much again.
const maxHandshakeBytes = 512 << 10

var errHandshakeTooLong = errors.New("the handshake has too many bytes")

// newTLSLink makes a handler to dial with. next is told of the connection what a plain one would tell it,
// but its OnData must take everything. It must write to the link, never to the poller.Conn.
//
// ready is called once, on another goroutine than attach was: with nil when the handshake is done and
// Write works, or with what has ended it, before OnClose.
func newTLSLink(conf *tls.Config, q *handshakeQueue, next poller.Handler, ready func(error)) *tlsLink {
	l := &tlsLink{conf: conf, queue: q, next: next, ready: ready}
	l.wake = sync.NewCond(&l.mu)
	return l
}

// attach begins the handshake on what Dial has returned. Nothing else may be called before it.
func (l *tlsLink) attach(c poller.Conn) {
	l.mu.Lock()
	l.conn = c
	over := l.over != nil // OnClose may be faster than Dial
	l.mu.Unlock()
	if !over {
		l.queue.add(l)
	}
}

// handshake runs on a goroutine of the queue, and ends at the latest with the connection.
func (l *tlsLink) handshake() {
	l.mu.Lock()
	if l.over != nil {
		l.mu.Unlock()
		return // it has waited too long
	}
	l.running = true
	l.mu.Unlock()
	l.tls = tls.Client((*tlsTransport)(l), l.conf)
	l.shaken(l.tls.HandshakeContext(context.Background()))
	l.mu.Lock()
	defer l.mu.Unlock()
	l.running = false
	l.wake.Signal()
	l.wake = nil
}

// shaken goes on when the handshake is done, or has failed.
func (l *tlsLink) shaken(err error) {
	l.turn.Lock()
	defer l.turn.Unlock()
	l.mu.Lock()
	if l.told || errors.Is(err, poller.ErrClosed) || err == nil && l.over != nil {
		l.mu.Unlock()
		return // OnClose knows why
	}
	ready := l.ready
	l.ready = nil
	l.state = tlsUp
	if err != nil {
		err = &tlsError{err}
		l.state, l.why = tlsClosed, err
	}
	early := len(l.in) > 0
	if !early {
		l.in = nil // with its memory
	}
	l.mu.Unlock()
	ready(err)
	if err != nil {
		l.conn.Abort(err)
	} else if early {
		l.decrypt(l.conn)
	}
}

// OnData implements poller.Handler.
func (l *tlsLink) OnData(c poller.Conn, data []byte) int {
	l.turn.Lock()
	defer l.turn.Unlock()
	l.mu.Lock()
	state := l.state
	switch state {
	case tlsUp:
		l.in = data
	case tlsHandshake:
		l.in = append(l.in, data...)
		if l.wake != nil { // else the handshake has ended with the connection, and this came just before
			l.wake.Signal()
		}
	}
	waiting := len(l.in)
	l.mu.Unlock()
	switch {
	case state == tlsUp:
		l.decrypt(c)
	case waiting > maxHandshakeBytes:
		c.Abort(&tlsError{errHandshakeTooLong})
	}
	return len(data)
}

// decrypt gives next what has come. turn is held.
func (l *tlsLink) decrypt(c poller.Conn) {
	buf := plains.Get().(*[maxPlaintext]byte)
	defer plains.Put(buf)
	var err error
	for n := 0; err == nil && l.is(tlsUp); {
		if n, err = l.tls.Read(buf[:]); n > 0 {
			l.next.OnData(c, buf[:n])
		}
	}
	if err == errNoMore {
		err = nil
	} else if err != nil && err != io.EOF {
		err = &tlsError{err}
	}
	l.mu.Lock()
	l.in, l.why = nil, err
	l.mu.Unlock()
	switch err {
	case nil:
	case io.EOF:
		l.CloseWith(nil) // in answer to close_notify
	default:
		l.Abort(err)
	}
}

// maxPlaintext is the most that a record holds (RFC 8446 section 5.1).
const maxPlaintext = 1 << 14

var plains = sync.Pool{New: func() any { return new([maxPlaintext]byte) }}

// OnTimeout implements poller.Handler.
func (l *tlsLink) OnTimeout(c poller.Conn) {
	l.turn.Lock()
	defer l.turn.Unlock()
	l.next.OnTimeout(c)
}

// OnClose implements poller.Handler. If TLS has ended the connection, or would have, next is told so: a
// server that was told by an alert that its certificate is refused may close before we do.
func (l *tlsLink) OnClose(c poller.Conn, reason error) {
	l.mu.Lock()
	if l.over = reason; reason == nil {
		l.over = poller.ErrClosed
	}
	if l.wake != nil {
		l.wake.Signal()
	}
	for l.running {
		l.wake.Wait() // not for long: it has nothing to wait for any more
	}
	ready, over := l.ready, l.over
	l.ready, l.state = nil, tlsClosed
	if l.why != nil {
		reason = l.why
	} else if ready != nil && reason == io.EOF {
		over = &tlsError{io.EOF} // so it is known that it was in the handshake
		reason = over
	}
	l.mu.Unlock()

	l.turn.Lock()
	defer l.turn.Unlock()
	if ready != nil {
		ready(over)
	}
	l.next.OnClose(c, reason)
}

// Write implements link. An error is for good, also poller.ErrOutboxFull: a record that is missing ends
// the stream.
func (l *tlsLink) Write(p []byte) error {
	if !l.is(tlsUp) {
		return poller.ErrClosed
	}
	_, err := l.tls.Write(p)
	return err
}

// CloseWith implements link. close_notify follows last.
func (l *tlsLink) CloseWith(last []byte) {
	l.mu.Lock()
	state := l.state
	if state == tlsUp {
		l.state = tlsClosing
	}
	l.mu.Unlock()
	switch state {
	case tlsHandshake:
		l.conn.Close()
		return
	case tlsClosing, tlsClosed:
		return
	}
	_, _ = l.tls.Write(last) // an error comes again below, or the connection is over
	_ = l.tls.CloseWrite()
	l.mu.Lock()
	last, l.last = l.last, nil
	l.state = tlsClosed
	l.mu.Unlock()
	l.conn.CloseWith(last)
}

// Abort implements link.
func (l *tlsLink) Abort(reason error) {
	l.mu.Lock()
	if l.state != tlsHandshake { // which OnClose ends
		l.state = tlsClosed
	}
	l.mu.Unlock()
	l.conn.Abort(reason)
}

// SetDeadline implements link.
func (l *tlsLink) SetDeadline(d time.Duration) { l.conn.SetDeadline(d) }

// Resume implements link: the next handler pauses the connection itself, which it is given.
func (l *tlsLink) Resume() { l.conn.Resume() }

// SetReadBuffer is the connection's, if that has it.
func (l *tlsLink) SetReadBuffer(bytes int) error {
	if b, ok := l.conn.(interface{ SetReadBuffer(int) error }); ok {
		return b.SetReadBuffer(bytes)
	}
	return nil
}

func (l *tlsLink) is(s tlsState) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.state == s
}

// A tlsTransport is the net.Conn of a tlsLink's tls.Conn.
type tlsTransport tlsLink

// errNoMore says that what came is used up.
var errNoMore net.Error = noMore{}

type noMore struct{}

func (noMore) Error() string   { return "bench: no more bytes yet" }
func (noMore) Timeout() bool   { return true }
func (noMore) Temporary() bool { return true }

// Read waits in the handshake only.
func (t *tlsTransport) Read(p []byte) (int, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for t.state == tlsHandshake && len(t.in) == 0 && t.over == nil {
		t.wake.Wait()
	}
	switch {
	case len(t.in) > 0:
		n := copy(p, t.in)
		t.in = t.in[n:]
		return n, nil
	case t.state == tlsHandshake:
		t.told = true
		return 0, t.over
	}
	return 0, errNoMore
}

// Write is called with tls.Conn's lock for writing held, which keeps records in order.
func (t *tlsTransport) Write(p []byte) (int, error) {
	t.mu.Lock()
	state := t.state
	if state == tlsClosing {
		t.last = append(t.last, p...)
	}
	t.mu.Unlock()
	switch state {
	case tlsClosing:
		return len(p), nil
	case tlsClosed:
		return 0, poller.ErrClosed
	}
	if err := t.conn.Write(p); err != nil {
		return 0, err
	}
	return len(p), nil
}

// Close, addresses and deadlines are the link's business.
func (t *tlsTransport) Close() error                     { return nil }
func (t *tlsTransport) LocalAddr() net.Addr              { return &net.TCPAddr{} }
func (t *tlsTransport) RemoteAddr() net.Addr             { return &net.TCPAddr{} }
func (t *tlsTransport) SetDeadline(time.Time) error      { return nil }
func (t *tlsTransport) SetReadDeadline(time.Time) error  { return nil }
func (t *tlsTransport) SetWriteDeadline(time.Time) error { return nil }
