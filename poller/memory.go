package poller

import (
	"context"
	"errors"
	"net"
	"sync"
)

// Memory is an engine without the kernel: the other end of each of its connections is a [Peer] in this
// process. It is for driving handlers by the million, whatever the descriptor limit, with everything but
// sockets as it is in the others: records, outboxes, mailboxes, deadlines, the order of the end.
//
// What a peer sends is read on the peer's goroutine, see [Link.Feed]. An awake engine has a goroutine and
// a buffer of Config.GoroutineBuffer for each connection instead, through which all of it goes, as the
// goroutine engine has: what it costs not to sleep.
//
// Serve and Attach fail. Addresses are zero, and Detach fails.
type Memory struct {
	base
	table   table[memConn]
	numbers numbers
	awake   bool
	turns   sync.WaitGroup // goroutines of memConn.signal and of awake connections
}

// A Peer is the other end of a connection of [Memory].
type Peer interface {
	// Receive takes what the server sends and returns how many bytes it took, as a socket's buffer
	// does: fewer than all says that it takes no more until [Link.Ready]. p is valid until it
	// returns, and must not be changed. It runs on the goroutine that sends, with the connection
	// locked: it must not block, nor call a Link or a Conn.
	Receive(p []byte) int

	// Closed is called once, after the last Receive, when the connection is gone: the peer need not
	// answer a FIN. The handler's OnClose may be still to come.
	Closed()
}

// errMemory is what a call gets that needs a socket.
var errMemory = errors.New("poller: the memory engine has no sockets: its connections are made by Connect")

// NewMemory starts an engine without connections. Shutdown must be called to free it. Of cfg it has no use
// for Loops; ReadBuffer bounds what is held of a connection that is not read.
func NewMemory(cfg Config, awake bool) (*Memory, error) {
	e := &Memory{awake: awake}
	if err := e.init(cfg); err != nil {
		return nil, err
	}
	e.endLoops = e.turns.Wait
	e.startSweep(func(now uint32) { sweepTable(&e.base, &e.table, now) })
	return e, nil
}

// Connect makes a connection as if p had dialled: Config.Accept returns its first handler, and may send at
// once. Errors: ErrShutdown, ErrMaxConns, ErrClosed if Accept has ended it.
func (e *Memory) Connect(p Peer) (Link, error) { return e.ConnectTo(p, e.cfg.Accept) }

// ConnectTo is Connect with an Accept of this connection's own.
func (e *Memory) ConnectTo(p Peer, accept func(Conn) Handler) (Link, error) {
	if err := e.enter(); err != nil {
		return Link{}, err
	}
	defer e.serving.Done()
	if err := e.opened(); err != nil {
		return Link{}, err
	}
	c := &memConn{e: e, peer: p, slot: e.numbers.take()}
	s := e.table.grow(int(c.slot))
	var r *reader
	if e.awake {
		r = newReader(c)
	}
	c.open(c, &e.base, accept)
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.is(stGone) {
		return Link{}, ErrClosed // the slot may be another's by now
	}
	s.conn.Store(c)
	if r != nil {
		e.turns.Go(r.read)
	}
	return Link{c}, nil
}

// Serve implements Engine; it closes l and fails.
func (e *Memory) Serve(l net.Listener) error {
	l.Close()
	return errMemory
}

// Attach implements Engine; it closes nc and fails.
func (e *Memory) Attach(nc net.Conn, _ Handler, _ []byte) error {
	nc.Close()
	return errMemory
}

// Each implements Engine.
func (e *Memory) Each(f func(Conn, Handler) bool) {
	e.table.each(func(_ *slot[memConn], c *memConn) bool { return f(c, c.current()) })
}

// Shutdown implements Engine.
func (e *Memory) Shutdown(ctx context.Context) error { return e.shutdown(ctx, e.Each) }

// A Link is the peer's hold on a connection of [Memory]. Its methods may be called from any goroutine, but
// not from Receive. The zero Link is of no connection.
type Link struct{ c *memConn }

// ErrUnread is returned by [Link.Feed] while a connection is not read and as many bytes wait for it as
// Config.ReadBuffer says.
var ErrUnread = errors.New("poller: the connection is not read for now, and its buffer is full")

// Feed sends data to the server. OnData is called with it before Feed returns, unless the connection is
// paused or its mailbox full, or somebody else is in a call of it: then data is held until it is read, as
// in a socket's buffer. data may be changed in place, and is the caller's again on return.
//
// If the connection sleeps, so that nobody else is at work on it, Feed also runs the tasks that OnData
// queues, and so waits for one that blocks. In an awake engine workers do.
//
// Errors: ErrClosed once the connection is gone or Finish was called; ErrUnread, with nothing of data
// taken. An empty buffer takes any one piece of data.
func (l Link) Feed(data []byte) error {
	if r, awake := l.c.peer.(*reader); awake {
		return r.feed(data)
	}
	if err := l.c.mayFeed(len(data)); err != nil {
		return err
	}
	if l.c.feed(data) {
		l.c.work()
	}
	return nil
}

// Offer is Feed for a goroutine that must not wait: the tasks that OnData queues are left to the workers.
func (l Link) Offer(data []byte) error {
	if err := l.c.mayFeed(len(data)); err != nil {
		return err
	}
	if l.c.feed(data) {
		l.c.e.workers.submit(l.c)
	}
	return nil
}

// Finish ends the peer's side behind what it has sent: the server reads a FIN.
func (l Link) Finish() { l.c.finishPeer() }

// Ready says that the peer takes bytes again: what waits for it is sent before Ready returns.
func (l Link) Ready() { l.c.flush(l.c, &l.c.e.base) }
