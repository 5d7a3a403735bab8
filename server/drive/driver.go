package drive

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"

	"github.com/dormouse-ws/dormouse/poller"
	"github.com/dormouse-ws/dormouse/server"
)

// Options are what a driver has beside the server's configuration.
type Options struct {
	// Awake gives each connection a goroutine and a read buffer of Poller.GoroutineBuffer on the
	// server's side, as the goroutine engine does: what it costs not to hibernate.
	Awake bool
}

// A Driver is a server whose clients are in this process. Its methods may be called from any goroutine.
type Driver struct {
	server *server.Server
	engine *poller.Memory
	silent silent
}

// New starts a server of cfg on an engine without sockets. Shutdown frees what it holds.
func New(cfg server.Config, o Options) (*Driver, error) {
	if cfg.NewEngine != nil || cfg.Engine != "" {
		return nil, errors.New("drive: a driver has an engine of its own: leave Config.Engine and Config.NewEngine empty")
	}
	d := &Driver{}
	if cfg.Drain == (server.Drain{}) {
		cfg.Drain.Interval = -1 // nobody's reconnects are to be spared
	}
	cfg.NewEngine = func(pc poller.Config) (poller.Engine, error) {
		e, err := poller.NewMemory(pc, o.Awake)
		if err != nil {
			return nil, err
		}
		d.engine = e
		return e, nil
	}
	var err error
	if d.server, err = server.New(cfg); err != nil {
		return nil, err
	}
	return d, nil
}

// Server returns the server that is driven, for broadcasts from outside and for its counters.
func (d *Driver) Server() *server.Server { return d.server }

// Stats are a driver's counters since it started.
type Stats struct {
	Received      int64 // frames that sockets were sent, messages and Close frames
	ReceivedBytes int64 // of these frames
	Undecoded     int64 // of Received, on observed sockets: no messages of version 2
	Server        server.Stats
}

// Stats returns a snapshot.
func (d *Driver) Stats() Stats {
	return Stats{
		Received: d.silent.frames.Load(), ReceivedBytes: d.silent.bytes.Load(),
		Undecoded: d.silent.undecoded.Load(), Server: d.server.Stats(),
	}
}

// Shutdown closes every socket with code 1012, as [server.Server.Shutdown] does, and frees the server. All
// are closed at once unless the configuration says how to drain.
func (d *Driver) Shutdown(ctx context.Context) error { return d.server.Shutdown(ctx) }

// A RefusedError is a handshake that the server has answered with an HTTP error.
type RefusedError struct {
	Path   string
	Status int // 403 from a Connect that refuses
}

// Error implements error.
func (e *RefusedError) Error() string {
	return fmt.Sprintf("drive: the server refused %s with %d %s", e.Path, e.Status, http.StatusText(e.Status))
}

// Connect opens a socket at path, that of the mount and its transport with a query if there shall be
// params, as "/socket/websocket?token=x". o hears what the socket receives; nil: nobody does.
//
// It returns once the server has decided: a Connect hook of the application has run, in an awake driver
// within Config.HandshakeTimeout. Errors: a *[RefusedError], those of [poller.Memory.Connect].
func (d *Driver) Connect(path string, o Observer) (*Socket, error) {
	if err := checkPath(path); err != nil {
		return nil, err
	}
	h := handshakes.Get().(*handshake)
	h.then = &d.silent
	if o != nil {
		h.then = &observed{driver: d, observer: o}
	}
	s := &Socket{sink: h}
	var err error
	if s.link, err = d.engine.Connect(s); err != nil {
		return nil, err
	}
	sc := scratches.Get().(*scratch)
	sc.frame = appendRequest(sc.frame[:0], path)
	_ = s.link.Feed(sc.frame) // it fails if the connection is gone, which h hears
	scratches.Put(sc)
	status := <-h.status
	h.then = nil
	handshakes.Put(h)
	switch status {
	case http.StatusSwitchingProtocols:
		return s, nil
	case 0:
		return nil, fmt.Errorf("drive: the server closed the connection without an answer: is %s the path of one of its mounts?", path)
	}
	return nil, &RefusedError{path, status}
}

func checkPath(path string) error {
	_, query, _ := strings.Cut(path, "?")
	for param := range strings.SplitSeq(query, "&") {
		if strings.HasPrefix(param, "vsn=") && param != "vsn=2.0.0" {
			return fmt.Errorf("drive: %s: sockets are driven with vsn=2.0.0 only, which need not be written", path)
		}
	}
	if !strings.HasPrefix(path, "/") || strings.ContainsAny(path, " \r\n#") {
		return fmt.Errorf("drive: %q is no path: want one as /socket/websocket", path)
	}
	return nil
}

// A sink is where a socket's frames go. Both methods are called as those of a poller.Peer are.
type sink interface {
	receive(s *Socket, p []byte)
	closed(s *Socket)
}

// silent is the sink of all sockets without an observer: it counts.
type silent struct {
	frames, bytes, undecoded atomic.Int64
}

func (n *silent) receive(_ *Socket, p []byte) {
	n.frames.Add(1)
	n.bytes.Add(int64(len(p)))
}

func (*silent) closed(*Socket) {}

// A handshake is the sink of a socket that is being opened.
type handshake struct {
	then   sink     // once it is open
	status chan int // has room for the one status; 0: gone without one
}

var handshakes = sync.Pool{New: func() any { return &handshake{status: make(chan int, 1)} }}

// receive gets the response, which is one send, and never anything else.
func (h *handshake) receive(s *Socket, p []byte) {
	status := statusOf(p)
	if s.sink = h.then; status != http.StatusSwitchingProtocols {
		s.sink = refused{}
	}
	h.status <- status
}

func (h *handshake) closed(*Socket) { h.status <- 0 }

// refused is the sink of a socket whose handshake has failed.
type refused struct{}

func (refused) receive(*Socket, []byte) {}
func (refused) closed(*Socket)          {}
