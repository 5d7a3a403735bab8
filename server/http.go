package server

import (
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httputil"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"time"
)

// A handover is the listener of the server's net/http part: it yields the connections that the engine
// has given away.
type handover struct {
	conns chan net.Conn
	done  chan struct{}
	once  sync.Once
	open  atomic.Int64
	limit int64

	moving sync.WaitGroup // calls that have a connection which neither the engine nor net/http knows
}

func newHandover(limit int) *handover {
	return &handover{conns: make(chan net.Conn, limit), done: make(chan struct{}), limit: int64(limit)}
}

// reserve takes a place for a connection, for give or cancel, and reports false when there are too many of them.
func (h *handover) reserve() bool {
	if h.open.Add(1) > h.limit {
		h.open.Add(-1)
		return false
	}
	return true
}

func (h *handover) cancel() { h.open.Add(-1) }

// give hands a connection to net/http that has a place. It does not block: there is room in the channel for all
// that are allowed.
func (h *handover) give(nc net.Conn, early []byte, v *guest) {
	h.conns <- &handedConn{Conn: nc, early: early, from: h, guest: v}
	select {
	case <-h.done:
		h.drain() // nobody accepts any more
	default:
	}
}

func (h *handover) Accept() (net.Conn, error) {
	select {
	case c := <-h.conns:
		return c, nil
	case <-h.done:
		return nil, net.ErrClosed
	}
}

func (h *handover) Addr() net.Addr { return &net.TCPAddr{} }
func (h *handover) Close() error   { h.close(); return nil }

func (h *handover) close() {
	h.once.Do(func() { close(h.done) })
	h.drain()
}

// wait returns when no connection is on its way, or ctx ends. The engine and net/http have been shut down.
func (h *handover) wait(ctx context.Context) error { return waitFor(ctx, &h.moving) }

// waitFor returns when nobody is left in g, or ctx ends.
func waitFor(ctx context.Context, g *sync.WaitGroup) error {
	done := make(chan struct{})
	go func() {
		g.Wait()
		close(done)
	}()
	select {
	case <-done:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (h *handover) drain() {
	for {
		select {
		case c := <-h.conns:
			c.Close()
		default:
			return
		}
	}
}

// A handedConn is a connection whose first bytes were read by the engine.
type handedConn struct {
	net.Conn
	early []byte
	from  *handover
	guest *guest // nil without a gate
	once  sync.Once
}

func (c *handedConn) Read(p []byte) (int, error) {
	if len(c.early) > 0 {
		n := copy(p, c.early)
		c.early = c.early[n:]
		return n, nil
	}
	return c.Conn.Read(p)
}

func (c *handedConn) Close() error {
	c.once.Do(func() {
		c.from.open.Add(-1)
		c.guest.leave()
	})
	return c.Conn.Close()
}

// RemoteAddr is who a PROXY protocol header has named, if there was one.
func (c *handedConn) RemoteAddr() net.Addr {
	if v := c.guest; v != nil && v.peer.IsValid() {
		return net.TCPAddrFromAddrPort(v.peer)
	}
	return c.Conn.RemoteAddr()
}

// CloseWrite lets net/http finish its side first when it refuses a request, and not reset what the client
// has yet to read.
func (c *handedConn) CloseWrite() error {
	if w, ok := c.Conn.(interface{ CloseWrite() error }); ok {
		return w.CloseWrite()
	}
	return nil
}

func (s *Server) startHTTP() {
	s.handed = newHandover(s.cfg.MaxHTTPConns)
	s.http = &http.Server{
		Handler:           http.HandlerFunc(s.serveHTTP),
		ReadHeaderTimeout: s.cfg.HandshakeTimeout,
		ReadTimeout:       httpTimeout, // a client that announces a body and sends none holds one of MaxHTTPConns
		WriteTimeout:      httpTimeout,
		IdleTimeout:       httpTimeout,
		MaxHeaderBytes:    max(s.cfg.MaxHeadBytes, defaultHeadBytes),
	}
	go func() { _ = s.http.Serve(s.handed) }()
}

// serveHTTP answers a request that net/http has read. One for a mount comes here when it follows
// another request on a kept-alive connection, as proxies send it: it goes back to the engine.
func (s *Server) serveHTTP(w http.ResponseWriter, r *http.Request) {
	path, _, _ := strings.Cut(target(r), "?")
	m := s.mountOf(path)
	if m == nil {
		s.cfg.HTTP.ServeHTTP(w, r)
		return
	}
	if m.poll == nil && r.ContentLength != 0 {
		w.Header().Set("Connection", "close")
		http.Error(w, "a WebSocket request has no body", http.StatusBadRequest)
		return
	}
	if err := s.giveBack(w, r); err != nil {
		http.Error(w, "this connection cannot be upgraded", http.StatusInternalServerError)
	}
}

// target is the request target as the engine is given it back. By it a mount is found here as it is there: with
// another spelling of the path, the connection of a request that only one of the two has for a mount would go to
// and fro between them for ever.
func target(r *http.Request) string {
	if r.URL.IsAbs() {
		return r.URL.RequestURI() // DumpRequest would leave out the Host header, and no head may
	}
	return r.RequestURI
}

func (s *Server) giveBack(w http.ResponseWriter, r *http.Request) error {
	s.handed.moving.Add(1) // before net/http lets go, for which its Shutdown waits
	defer s.handed.moving.Done()
	r.RequestURI = target(r)
	headBytes, err := httputil.DumpRequest(r, false)
	if err != nil {
		return err
	}
	hijacker, ok := w.(http.Hijacker)
	if !ok {
		return errors.New("server: not a connection of this server")
	}
	nc, rw, err := hijacker.Hijack()
	if err != nil {
		return err
	}
	hc, ok := nc.(*handedConn)
	if !ok {
		nc.Close()
		return nil
	}
	if _, ok := hc.Conn.(syscall.Conn); !ok {
		// The netpoll engine gives away a relay, which no engine takes back.
		_ = hc.SetWriteDeadline(time.Now().Add(httpTimeout))
		_, _ = hc.Write(appendRefusal(nil, http.StatusServiceUnavailable, "",
			"this engine upgrades no connection that has served HTTP; open a new one\n"))
		return hc.Close()
	}
	hc.once.Do(func() { hc.from.open.Add(-1) })
	early := make([]byte, rw.Reader.Buffered())
	_, _ = io.ReadFull(rw.Reader, early)
	early = append(headBytes, append(early, hc.early...)...)
	if err := s.engine.Attach(hc.Conn, hc.guest.returned(s.greeter()), early); err != nil {
		hc.guest.leave() // the connection is closed
	}
	return nil
}
