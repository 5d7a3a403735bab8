package server

import (
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"

	"github.com/dormouse-ws/dormouse/poller"
)

// A Socket is a mount of Phoenix Channels: a path, who may connect, and which channel serves which
// topic. It must not be changed once it was given to a Server.
type Socket struct {
	// Path is where the socket is mounted, as "/socket"; clients add the transport's path, as
	// "/websocket". It may hold :name segments, which become params.
	Path string

	// Routes are tried in order.
	Routes []Route

	// Connect decides about a new connection, on a worker. nil: everybody is accepted, and the
	// handshake never leaves the event loop.
	Connect func(*Connect) error

	// ConnectInfo says what of the request Connect wants to see.
	ConnectInfo ConnectInfoConfig

	// CheckOrigin decides from which pages browsers may connect. Default: AllowPublicHost.
	CheckOrigin OriginPolicy

	// AuthToken takes the authToken of phoenix.js out of the subprotocol header (section 1.5).
	AuthToken bool

	// MaxChannels bounds the topics that one connection may have joined. Default 100.
	MaxChannels int

	WebSocket WebSocketOptions

	// LongPoll adds the long-poll transport, which is off by default: nil.
	LongPoll *LongPollOptions
}

// A Route says which channel serves a topic, or all topics with a prefix.
type Route struct {
	// Topic is a topic, or a prefix followed by one final "*". A client cannot join one above 1,024
	// bytes.
	Topic string

	// Channel makes the channel of one join. Its fields are the channel's state.
	Channel func() Channel

	// Intercept names broadcast events that go to the channel's HandleOut instead of straight to its
	// client; the channel must be an [Interceptor]. Topics without it pay nothing for it.
	Intercept []string

	// Assigns is handed to every channel of this route, see [Context.RouteAssigns].
	Assigns any
}

// A Connect is a connection that asks to be accepted (section 1.6).
type Connect struct {
	// Params are those of the query and the path.
	Params Params

	// Info is what Socket.ConnectInfo, or LongPollOptions.ConnectInfo, asked for.
	Info *ConnectInfo

	// Transport is that of the client, as [Context.Transport] has it.
	Transport string

	// Assigns may be set to what the connection's channels shall know; each sees it through
	// [Context.Assigns]. It is shared by them.
	Assigns any

	// ID may be set to a name under which [Server.Disconnect] and [Server.PushTo] find the connection.
	ID string
}

// ErrRefused refuses a connect without a reason: 403. Any other error is a reason, which the mount's
// ErrorHandler may turn into an answer.
var ErrRefused = errors.New("server: connect refused")

// socketApp is the application of a Socket.
type socketApp struct {
	srv *Server
	cfg *Socket
	max int
}

func newSocketApp(s *Server, k *Socket) (*socketApp, error) {
	a := &socketApp{srv: s, cfg: k, max: k.MaxChannels}
	if a.max < 0 {
		return nil, fmt.Errorf("server: Socket %s: MaxChannels is negative; 0 is the default of %d", k.Path, defaultMaxChannels)
	}
	if a.max == 0 {
		a.max = defaultMaxChannels
	}
	if len(k.Routes) > math.MaxUint16 {
		return nil, fmt.Errorf("server: Socket %s: %d routes; a channel keeps its route in 16 bits", k.Path, len(k.Routes))
	}
	for i := range k.Routes {
		if err := k.Routes[i].validate(); err != nil {
			return nil, fmt.Errorf("server: Socket %s: %w", k.Path, err)
		}
	}
	return a, nil
}

func (r *Route) validate() error {
	if r.Channel == nil {
		return fmt.Errorf("route %q: Channel is nil", r.Topic)
	}
	if r.Topic == "" {
		return fmt.Errorf("a route has no topic; \"*\" matches all")
	}
	if i := strings.IndexByte(r.Topic, '*'); i >= 0 && i != len(r.Topic)-1 {
		return fmt.Errorf("route %q: * may only be the last character", r.Topic)
	}
	if len(r.Intercept) > 0 {
		if _, ok := r.Channel().(Interceptor); !ok {
			return fmt.Errorf("route %q intercepts %q, but its channel has no HandleOut", r.Topic, r.Intercept)
		}
	}
	return nil
}

func (r *Route) matches(topic string) bool {
	if prefix, wild := strings.CutSuffix(r.Topic, "*"); wild {
		return strings.HasPrefix(topic, prefix)
	}
	return topic == r.Topic
}

func (r *Route) intercepts(event string) bool {
	return slices.Contains(r.Intercept, event)
}

// route returns the index of the first route for a topic.
func (a *socketApp) route(topic string) (index int, found bool) {
	for i := range a.cfg.Routes {
		if a.cfg.Routes[i].matches(topic) {
			return i, true
		}
	}
	return 0, false
}

func (a *socketApp) blocks() bool       { return a.cfg.Connect != nil }
func (a *socketApp) versionStatus() int { return 400 } // section 1.2, not RFC 6455's 426

func (a *socketApp) negotiate(r *upgradeRequest) *httpError {
	s, ok := negotiateVersion(r.params)
	if !ok {
		return &httpError{403, ""}
	}
	if a.cfg.WebSocket.MessagePack && r.choice.name == subprotocolPacked {
		if s.version() != 2 {
			return &httpError{403, ""}
		}
		s = serializerPacked{}
	}
	r.serializer = s
	return nil
}

func (a *socketApp) connect(r *upgradeRequest) (err error) {
	if a.cfg.Connect == nil {
		return nil
	}
	wanted, transport := &a.cfg.ConnectInfo, transportWebSocket
	if r.poll != nil {
		transport = transportLongPoll
		if r.poll.ConnectInfo != nil {
			wanted = r.poll.ConnectInfo
		}
	}
	if wanted.PeerData {
		r.request.peer = r.conn.RemoteAddr()
	}
	r.connected = &Connect{Params: r.params, Transport: transport}
	r.connected.Info = wanted.connectInfo(&r.request)
	defer a.srv.recovered("Connect of "+a.cfg.Path, &err)
	return a.cfg.Connect(r.connected)
}

func (a *socketApp) open(m *mount, c poller.Conn, r *upgradeRequest) upgradedHandler {
	s := new(socket)
	a.initSocket(s, m, c, r)
	return s
}

// initSocket makes s the socket of a connection whose connect was accepted.
func (*socketApp) initSocket(s *socket, m *mount, c poller.Conn, r *upgradeRequest) {
	s.conn, s.mount, s.v2 = c, m, r.serializer.version() == 2
	_, s.packed = r.serializer.(serializerPacked)
	s.identify(r.connected)
}
