package server

import (
	"errors"
	"sync"

	"github.com/dormouse-ws/dormouse/poller"
	"github.com/dormouse-ws/dormouse/server/frame"
	"github.com/gobwas/ws"
)

// A WebSocket is a mount of plain WebSocket messages, below channels. It must not be changed once it
// was given to a Server.
type WebSocket struct {
	// Path is where it is mounted; Options.Path, usually empty, comes behind it.
	Path string

	// Message is called on a worker with each message, one at a time for a connection. data is valid
	// until it returns. A panic closes the connection with code 1011.
	Message func(c *Conn, text bool, data []byte)

	// Open, if set, is called on a worker before the first Message; Close, if set, once after the
	// last. Neither is called for a connection that ended during its handshake.
	Open  func(c *Conn)
	Close func(c *Conn)

	CheckOrigin OriginPolicy
	Options     WebSocketOptions
}

// A Conn is a connection of a [WebSocket] mount. Its methods may be called from any goroutine; after the
// connection's end they do nothing, or return poller.ErrClosed.
type Conn struct {
	wsConn
	value any
	open  bool // Open was called; owned by the connection's tasks
}

// Value and SetValue keep something of the application's with the connection. They are for its own
// callbacks, which run one at a time.
func (c *Conn) Value() any     { return c.value }
func (c *Conn) SetValue(v any) { c.value = v }

// Send sends a message, text or binary. Text must be UTF-8. data is the caller's again on return.
func (c *Conn) Send(text bool, data []byte) error {
	sh := newSheet()
	defer sh.release()
	sh.b = append(sh.b, data...)
	return c.write(c.frame(sh, !text))
}

// CloseWith closes the connection with a code of RFC 6455 section 7.4 and a reason of at most 123 bytes.
func (c *Conn) CloseWith(code uint16, reason string) { c.close(ws.StatusCode(code), reason) }

// Underlying returns the connection as its engine knows it, for its addresses.
func (c *Conn) Underlying() poller.Conn { return c.conn }

// OnData implements poller.Handler.
func (c *Conn) OnData(_ poller.Conn, data []byte) int { return c.onData(data, c) }

// OnClose implements poller.Handler.
func (c *Conn) OnClose(poller.Conn, error) {
	c.unseat()
	c.dropMessage()
	if f := c.app().Close; f != nil && c.open {
		c.call("Close", func() { f(c) })
	}
}

func (c *Conn) app() *WebSocket { return c.mount.app.(plainApp).WebSocket }

// call runs application code.
func (c *Conn) call(method string, f func()) {
	var err error
	func() {
		defer c.mount.srv.recovered(method+" of "+c.mount.pattern, &err)
		f()
	}()
	if err != nil {
		c.close(codeInternalError, "")
	}
}

// message implements receiver.
func (c *Conn) message(cu *cut) (full bool) {
	c.flush(cu)
	p := plains.Get().(*plain)
	p.conn, p.text, p.deferred = c, !isBinary(cu), cu.msg.Deferred()
	p.data = cu.msg.Take()
	full, err := c.queue(p, len(p.data.B))
	if err != nil {
		p.release()
	}
	if errors.Is(err, poller.ErrMailboxFull) {
		c.close(codeTryAgainLater, "mailbox full") // of tasks that did not come from this client
	}
	return full
}

// A plain is a message on its way to a worker.
type plain struct {
	conn     *Conn
	text     bool
	deferred bool // data is compressed
	data     *frame.Buffer
}

var plains = sync.Pool{New: func() any { return new(plain) }}

func (p *plain) Run(poller.Conn) {
	c := p.conn
	defer p.release()
	c.took(len(p.data.B))
	if p.deferred {
		b, err := c.inflate(!p.text, p.data.B)
		if err != nil {
			return
		}
		p.data.Free()
		p.data = b
	}
	var err error
	p.handle(c, &err)
	if err != nil {
		c.close(codeInternalError, "")
	}
}

func (p *plain) handle(c *Conn, err *error) {
	defer c.mount.srv.recovered(c.mount.pattern, err)
	c.app().Message(c, p.text, p.data.B)
}

func (p *plain) release() {
	p.data.Free()
	*p = plain{}
	plains.Put(p)
}

func isBinary(cu *cut) bool { return cu.msg.OpCode() == ws.OpBinary }

// plainApp is the application of a WebSocket.
type plainApp struct{ *WebSocket }

func (plainApp) blocks() bool                         { return false }
func (plainApp) negotiate(*upgradeRequest) *httpError { return nil }
func (plainApp) connect(*upgradeRequest) error        { return nil }
func (plainApp) versionStatus() int                   { return 426 } // RFC 6455 section 4.4

func (plainApp) open(m *mount, pc poller.Conn, _ *upgradeRequest) upgradedHandler {
	return &Conn{wsConn: wsConn{conn: pc, mount: m}}
}

// opened implements upgradedHandler.
func (c *Conn) opened() {
	if app := c.app(); app.Open != nil || app.Close != nil {
		_, _ = c.conn.Do(opening{c})
	}
}

// An opening calls Open.
type opening struct{ c *Conn }

func (o opening) Run(poller.Conn) {
	o.c.open = true
	if f := o.c.app().Open; f != nil {
		o.c.call("Open", func() { f(o.c) })
	}
}
