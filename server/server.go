package server

import (
	"cmp"
	"context"
	"errors"
	"net"
	"net/http"
	"sync/atomic"
	"time"

	"github.com/dormouse-ws/dormouse/hub"
	"github.com/dormouse-ws/dormouse/poller"
	"github.com/gobwas/ws"
)

// A Server serves one port, or several. All its methods may be called from any goroutine.
type Server struct {
	cfg    Config
	engine poller.Engine
	hub    *hub.Hub
	routes []*mount
	http   *http.Server
	handed *handover
	shared *greeter
	gate   *gate  // nil without limits and proxies
	bounds bounds // what the limits that are always there have refused
	polls  *polls // nil without a mount of the long-poll transport

	unfinished unfinished
	waiting    atomic.Int64 // KiB of messages that wait for a worker

	draining atomic.Bool // new connections are refused
	drainer  drainer
	counters counters

	presences presences
}

// New starts a server without listeners. Shutdown frees what it holds.
func New(cfg Config) (*Server, error) {
	cfg, err := cfg.withDefaults()
	if err != nil {
		return nil, err
	}
	s := &Server{cfg: cfg, hub: hub.New()}
	s.drainer.init()
	if s.routes, err = s.mounts(); err != nil {
		return nil, err
	}
	if err := s.setMessageMemory(); err != nil {
		return nil, err
	}
	if s.gate, err = newGate(s); err != nil {
		return nil, err
	}
	s.shared = s.greeter()
	if s.cfg.Poller.Recover == nil {
		s.cfg.Poller.Recover = s.ownPanic
	}
	pc := s.cfg.Poller
	pc.Accept = s.accept
	if s.engine, err = cfg.newEngine(pc); err != nil {
		return nil, err
	}
	if err := s.startPolls(); err != nil {
		_ = s.engine.Shutdown(context.Background())
		return nil, err
	}
	s.startHTTP()
	return s, nil
}

// ListenAndServe listens on the TCP address addr and serves cfg there until the process ends or the
// listener fails.
func ListenAndServe(addr string, cfg Config) error {
	s, err := New(cfg)
	if err != nil {
		return err
	}
	l, err := net.Listen("tcp", addr)
	if err != nil {
		_ = s.Shutdown(context.Background())
		return err
	}
	return s.Serve(l)
}

// Serve accepts connections on l, which it closes, until Shutdown; then it returns
// [http.ErrServerClosed].
func (s *Server) Serve(l net.Listener) error {
	err := s.engine.Serve(l)
	if errors.Is(err, poller.ErrShutdown) {
		return http.ErrServerClosed
	}
	return err
}

// Shutdown makes Healthz unready, refuses new connections with 503, closes every WebSocket with code 1012
// (service restart), so that clients come back, in batches as Config.Drain says, and waits until all are
// closed. When ctx ends first the rest is reset. Called again it ends the pauses between the batches and
// returns poller.ErrShutdown at once.
func (s *Server) Shutdown(ctx context.Context) error {
	if s.drainer.unready.Swap(true) {
		s.drainer.hurry()
		return poller.ErrShutdown
	}
	s.drain(ctx)
	var polls error
	if s.polls != nil {
		polls = s.polls.shutdown(ctx) // before the connections that their polls are answered on
	}
	err := cmp.Or(s.engine.Shutdown(ctx), polls)
	err = cmp.Or(err, s.presences.close(ctx))
	s.handed.close()
	if herr := s.http.Shutdown(ctx); herr != nil {
		_ = s.http.Close()
		return cmp.Or(err, herr)
	}
	if err == nil { // else something may still run
		err = s.handed.wait(ctx)
	}
	return err
}

// Broadcast sends an event to all channels of a topic, from outside any channel. The payload is a
// [Payload] or what [JSON] takes; errors are those of the payload.
func (s *Server) Broadcast(topic, event string, payload any) error {
	m, err := newBroadcast(topic, event, payload)
	if err != nil {
		return err
	}
	s.hub.Broadcast(m)
	return nil
}

// Disconnect closes every connection whose [Connect.ID] is id, with code 1001 (section 3.9). It reaches all whose
// clients can have seen that they are connected.
func (s *Server) Disconnect(id string) {
	_ = s.Broadcast(id, eventDisconnect, nil)
}

// Close codes that Phoenix's servers send beside those of the RFC's violations (section 1.9).
const (
	codeGoingAway      = ws.StatusGoingAway           // 1001: disconnected by socket id
	codeProtocolError  = ws.StatusProtocolError       // 1002: idle timeout
	codeInternalError  = ws.StatusInternalServerError // 1011: a message that cannot be decoded
	codeServiceRestart = ws.StatusCode(1012)          // draining
	codeTryAgainLater  = ws.StatusCode(1013)          // slow consumer
)

// Stats are a server's counters.
type Stats struct {
	Engine poller.Stats
	Hub    hub.Stats

	Presence        hub.PresenceStats
	PresenceRefused int64 // calls of Track and Update that failed at a limit of a topic, or of a channel's entries

	Upgraded     int64 // WebSocket connections since the start
	Polled       int64 // sessions of the long-poll transport since the start
	PollSessions int64 // and now
	PollsWaiting int64 // polls that wait for a message now
	Draining     int64 // sockets that Shutdown has yet to tell to go
	Drained      int64 // and has told
	Refused      int64 // handshakes answered with an HTTP error
	HTTPConns    int64 // connections with net/http now
	Unfinished   int64 // bytes of messages that are not whole yet, over 8 KiB each
	Waiting      int64 // bytes of messages that wait for a worker, from 1 KiB each
	SlowClosed   int64 // connections closed by CloseSlow
	SlowDropped  int64 // messages dropped by DropSlow
	Panics       int64 // recovered: in application code, and in the server's own, which ends the connection
	Unencodable  int64 // broadcasts a subscriber's serializer has no form for
	DecodeErrors int64 // connections closed because a message could not be decoded

	Limits LimitStats
}

type counters struct {
	upgraded, polled, refused, slowClosed, slowDropped, panics, unencodable, decodeErrors, presenceRefused atomic.Int64
}

// Stats returns a snapshot.
func (s *Server) Stats() Stats {
	c := &s.counters
	var sessions, waiting int64
	if s.polls != nil {
		sessions, waiting = int64(s.polls.count()), s.polls.waits.Load()
	}
	return Stats{
		Engine: s.engine.Stats(), Hub: s.hub.Stats(),
		Presence: s.presences.stats(), PresenceRefused: c.presenceRefused.Load(),
		Upgraded: c.upgraded.Load(), Polled: c.polled.Load(), PollSessions: sessions, PollsWaiting: waiting, Refused: c.refused.Load(), HTTPConns: s.handed.open.Load(),
		Unfinished: s.unfinished.bytes(), Waiting: s.waiting.Load() << 10,
		SlowClosed: c.slowClosed.Load(), SlowDropped: c.slowDropped.Load(),
		Draining: max(0, s.drainer.left.Load()), Drained: s.drainer.closed.Load(),
		Panics: c.panics.Load(), Unencodable: c.unencodable.Load(), DecodeErrors: c.decodeErrors.Load(),
		Limits: s.limitStats(),
	}
}

// Healthz answers 200 while the server takes connections and 503 once Shutdown has begun.
func (s *Server) Healthz(w http.ResponseWriter, _ *http.Request) {
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	w.Header().Set("Cache-Control", "no-store")
	if s.drainer.unready.Load() {
		w.WriteHeader(http.StatusServiceUnavailable)
		_, _ = w.Write([]byte("shutting down\n"))
		return
	}
	_, _ = w.Write([]byte("ok\n"))
}

// httpTimeout bounds a plain HTTP request, its response, and the wait for the next one.
const httpTimeout = 30 * time.Second
