package server

import (
	"fmt"

	"github.com/dormouse-ws/dormouse/poller"
)

// A mount is one WebSocket path as the handshake and the connections see it. It is immutable once the
// server has started, and all its connections share it.
type mount struct {
	srv       *Server
	path      mountPath
	pattern   string
	origin    OriginPolicy
	authToken bool
	options   WebSocketOptions
	poll      *LongPollOptions // of the long-poll transport; nil: it is of WebSocket
	app       application
}

// An application is what stands behind a mount: channels, or plain messages.
type application interface {
	// blocks reports whether connect runs code of the user, and so must not run on an event loop.
	blocks() bool

	// negotiate is step 7 of section 1.2: nil, or a refusal.
	negotiate(r *upgradeRequest) *httpError

	// connect is step 8. Its error is for the mount's ErrorHandler, unless it is an *httpError.
	connect(r *upgradeRequest) error

	// open returns the handler of a connection whose upgrade was accepted.
	open(m *mount, c poller.Conn, r *upgradeRequest) upgradedHandler

	// versionStatus is the HTTP status for a Sec-WebSocket-Version other than 13.
	versionStatus() int
}

// An upgradedHandler is a connection after the handshake.
type upgradedHandler interface {
	poller.Handler
	base() *wsConn

	// opened is called once, when the response has been sent and the connection has this handler:
	// what is sent from here on follows the response, and OnClose will be called.
	opened()
}

// blocks reports whether the handshake runs code of the user, and so must not run on an event loop.
func (m *mount) blocks() bool { return m.app.blocks() || m.origin.mode == originFunc }

func (s *Server) mounts() ([]*mount, error) {
	var list []*mount
	add := func(path, transport string, m *mount) error {
		p, err := parseMountPath(path, transport)
		if err != nil {
			return err
		}
		m.srv, m.path, m.pattern = s, p, p.String()
		for _, other := range list {
			if other.pattern == m.pattern {
				return fmt.Errorf("server: two mounts have the path %s", m.pattern)
			}
		}
		if err := m.origin.compile(); err != nil {
			return fmt.Errorf("%w (mount %s)", err, m.pattern)
		}
		if err := m.options.setDefaults(); err != nil {
			return fmt.Errorf("%w (mount %s)", err, m.pattern)
		}
		list = append(list, m)
		return nil
	}
	for i, k := range s.cfg.Sockets {
		if k == nil {
			return nil, fmt.Errorf("server: Config.Sockets[%d] is nil", i)
		}
		app, err := newSocketApp(s, k)
		if err != nil {
			return nil, err
		}
		transport := k.WebSocket.Path
		if transport == "" {
			transport = "websocket"
		}
		m := &mount{origin: k.CheckOrigin, authToken: k.AuthToken, options: k.WebSocket, app: app}
		if err := add(k.Path, transport, m); err != nil {
			return nil, err
		}
		if k.LongPoll == nil {
			continue
		}
		poll, err := k.LongPoll.withDefaults()
		if err != nil {
			return nil, fmt.Errorf("%w (mount %s)", err, k.Path)
		}
		m = &mount{origin: k.CheckOrigin, authToken: k.AuthToken, poll: &poll, app: app,
			options: WebSocketOptions{MaxFrameSize: int64(poll.MaxBodyBytes)}}
		if err := add(k.Path, poll.Path, m); err != nil {
			return nil, err
		}
	}
	for i, w := range s.cfg.WebSockets {
		if w == nil {
			return nil, fmt.Errorf("server: Config.WebSockets[%d] is nil", i)
		}
		if w.Message == nil {
			return nil, fmt.Errorf("server: WebSocket %s: Message is nil", w.Path)
		}
		if w.Options.MessagePack {
			return nil, fmt.Errorf("server: WebSocket %s: MessagePack is for channels; plain messages may be anything", w.Path)
		}
		m := &mount{origin: w.CheckOrigin, options: w.Options, app: plainApp{w}}
		if err := add(w.Path, w.Options.Path, m); err != nil {
			return nil, err
		}
	}
	return list, nil
}

// mountOf returns the mount that a request's path is for, or nil.
func (s *Server) mountOf(path string) *mount {
	for _, m := range s.routes {
		if m.path.match(path) {
			return m
		}
	}
	return nil
}
