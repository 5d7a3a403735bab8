package server

import (
	"context"
	"sync"
	"sync/atomic"
	"time"

	"github.com/dormouse-ws/dormouse/poller"
)

// polls are the sessions of the long-poll transport: connections of an engine without a kernel.
type polls struct {
	engine *poller.Memory
	bodies atomic.Int64 // bytes of POSTs that are being received
	waits  atomic.Int64 // polls that are parked
	marks  atomic.Uint64

	mu       sync.Mutex // protects the following
	sessions map[pollID]*pollSession
}

// startPolls starts the sessions' engine, if a mount has the transport.
func (s *Server) startPolls() error {
	longest := time.Duration(0)
	for _, m := range s.routes {
		if m.poll != nil {
			longest = max(longest, m.poll.Window)
		}
	}
	if longest == 0 {
		return nil
	}
	pc := s.cfg.Poller
	pc.Accept = func(poller.Conn) poller.Handler { return s.shared }  // ConnectTo brings its own
	pc.WriteTimeout = max(pc.WriteTimeout, 30*time.Second, 3*longest) // the session's own lifetime is shorter
	engine, err := poller.NewMemory(pc, false)
	if err != nil {
		return err
	}
	s.polls = &polls{engine: engine, sessions: map[pollID]*pollSession{}}
	return nil
}

func (ps *polls) add(p *pollSession) {
	ps.mu.Lock()
	ps.sessions[p.id] = p
	ps.mu.Unlock()
}

func (ps *polls) find(id pollID) *pollSession {
	ps.mu.Lock()
	defer ps.mu.Unlock()
	return ps.sessions[id]
}

// count returns how many can be found.
func (ps *polls) count() int {
	ps.mu.Lock()
	defer ps.mu.Unlock()
	return len(ps.sessions)
}

func (ps *polls) forget(id pollID) {
	ps.mu.Lock()
	delete(ps.sessions, id)
	ps.mu.Unlock()
}

// shutdown ends the sessions in good order.
func (ps *polls) shutdown(ctx context.Context) error {
	ps.engine.Each(func(_ poller.Conn, h poller.Handler) bool {
		if u, ok := h.(upgradedHandler); ok {
			u.base().close(codeServiceRestart, "")
		}
		return true
	})
	return ps.engine.Shutdown(ctx)
}

// openPoll returns the socket of a session whose connect was accepted.
func (a *socketApp) openPoll(p *pollSession, c poller.Conn, r *upgradeRequest) *pollSocket {
	s := &pollSocket{session: p}
	a.initSocket(&s.socket, p.mount, pollConn{r.takeSeat(c), p}, r)
	return s
}
