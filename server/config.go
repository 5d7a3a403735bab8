package server

import (
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"time"

	"github.com/dormouse-ws/dormouse/poller"
	"github.com/dormouse-ws/dormouse/server/frame"
)

// Config says what a [Server] serves. Its zero value serves HTTP only.
type Config struct {
	// Sockets are the mounts of Phoenix Channels, WebSockets those of plain messages. No two may
	// have the same path.
	Sockets    []*Socket
	WebSockets []*WebSocket

	// HTTP answers every request that is for no mount. Default: 404. Reading a request and writing
	// its response may take 30 s each; a handler that needs longer says so to its
	// http.ResponseController.
	HTTP http.Handler

	// PublicHost is the host that browsers know this server by, for [AllowPublicHost]. "" allows
	// every origin there.
	PublicHost string

	// Engine is one of poller.Names; "" is epoll. Poller tunes it; its Accept is the server's.
	Engine string
	Poller poller.Config

	// NewEngine, if set, makes the engine instead of Engine: given Poller with the server's Accept, which
	// it must pass on. The server shuts the engine down.
	NewEngine func(poller.Config) (poller.Engine, error)

	// HandshakeTimeout bounds the time from the accept to the end of the request head, however
	// steadily bytes come. Default 10 s.
	HandshakeTimeout time.Duration

	// MaxHeadBytes and MaxHeadFields bound a request head. Defaults 8 KiB and 64.
	MaxHeadBytes, MaxHeadFields int

	// MessageMemory bounds, in bytes and over all connections, the messages that clients have begun and not ended,
	// and those that wait for a worker: each of the two may take so much. Above the first the message that began
	// first is given up, above the second the one that comes: its connection is closed with code 1013, and a POST of
	// the long-poll transport answered with 408. Of each connection 8 KiB and 64 KiB are kept nevertheless. From half
	// of the second on a connection is read no further while 64 KiB of it wait. A compressed message counts as it was
	// sent; what it inflates to, on a worker, does not. Default 256 MiB; twice the largest MaxFrameSize at least.
	MessageMemory int64

	// MaxHTTPConns bounds the connections handed to net/http, which costs a goroutine and buffers
	// for each; above it they get 503. Default 4096.
	MaxHTTPConns int

	// Secret signs the tokens of long-poll sessions. Default: random, good for the life of the server.
	Secret []byte

	// Drain says how Shutdown sends clients away: in batches, over time.
	Drain Drain

	// Presence bounds what channels track of who is there, and adds to what is shown of it.
	Presence PresenceConfig

	// Limits says how many may come, and how often. Proxies says which proxies stand in front.
	Limits  Limits
	Proxies Proxies

	// SlowConsumer is what happens to a connection whose outbox is over Poller.OutboxLimit.
	SlowConsumer SlowConsumer

	// Log gets panics, with their stacks, and the batches of a long drain. Default:
	// slog.Default().
	Log *slog.Logger
}

// A SlowConsumer policy decides about a client that does not read what is sent to it.
type SlowConsumer uint8

const (
	// CloseSlow drops what waits, closes with code 1013 (try again later) and counts it: the client
	// reconnects and rejoins, and knows that it has missed something.
	CloseSlow SlowConsumer = iota
	// DropSlow drops the message that did not fit and counts it, which is no error of whoever sent
	// it: for topics where the next message makes the last one worthless. When the end of a channel,
	// or who is present, is what does not fit, the connection is closed as by CloseSlow: the client has to know.
	DropSlow
)

const (
	defaultHandshakeTimeout = 10 * time.Second
	defaultHTTPConns        = 4096
	defaultTimeout          = 60 * time.Second // section 1.8
	defaultMaxChannels      = 100              // section 0.2
)

func (c Config) withDefaults() (Config, error) {
	for _, f := range []struct {
		name  string
		value int
	}{
		{"MaxHeadBytes", c.MaxHeadBytes}, {"MaxHeadFields", c.MaxHeadFields}, {"MaxHTTPConns", c.MaxHTTPConns},
		{"HandshakeTimeout", int(c.HandshakeTimeout)}, {"MessageMemory", int(c.MessageMemory)},
	} {
		if f.value < 0 {
			return c, fmt.Errorf("server: Config.%s is negative; 0 is the default", f.name)
		}
	}
	if c.SlowConsumer > DropSlow {
		return c, fmt.Errorf("server: Config.SlowConsumer is %d: want CloseSlow or DropSlow", c.SlowConsumer)
	}
	if err := c.Drain.setDefaults(); err != nil {
		return c, err
	}
	if err := c.Presence.validate(); err != nil {
		return c, err
	}
	if c.HandshakeTimeout == 0 {
		c.HandshakeTimeout = defaultHandshakeTimeout
	}
	if c.MaxHTTPConns == 0 {
		c.MaxHTTPConns = defaultHTTPConns
	}
	if len(c.Secret) == 0 {
		c.Secret = newSecret()
	}
	if c.HTTP == nil {
		c.HTTP = http.NotFoundHandler()
	}
	if c.Log == nil {
		c.Log = slog.Default()
	}
	return c, nil
}

func (c Config) newEngine(pc poller.Config) (poller.Engine, error) {
	if c.NewEngine != nil {
		return c.NewEngine(pc)
	}
	return poller.New(c.Engine, pc)
}

// WebSocketOptions are the options of the WebSocket transport (section 1.8).
type WebSocketOptions struct {
	// Path is the transport's path below the mount's. Default "websocket". It may hold :name
	// segments, which become params.
	Path string

	// Timeout closes a connection from which nothing was received for so long, with code 1002 as
	// Phoenix does. Default 60 s; negative: never.
	Timeout time.Duration

	// MaxFrameSize bounds a message over all its frames, and what it inflates to; above it the
	// connection is closed with code 1009. Default 10,000,000 bytes.
	MaxFrameSize int64

	// Compress accepts permessage-deflate when it is offered, without context takeover on either
	// side: a sleeping connection keeps no window.
	Compress bool

	// MessagePack lets clients choose MessagePack instead of JSON: those that offer the sub-protocol
	// "phoenix.msgpack", with vsn=2.0.0. It comes before Subprotocols. Channels see no difference, see
	// [MessagePack].
	MessagePack bool

	// Subprotocols are those spoken, the best first. None: the client's offer is not looked at.
	Subprotocols []string

	// ErrorHandler chooses the answer to a connect that was refused with a reason. Default: 403
	// without a body.
	ErrorHandler func(reason error) (status int, body string)
}

func (o *WebSocketOptions) setDefaults() error {
	if o.MaxFrameSize < 0 {
		return errors.New("server: WebSocketOptions.MaxFrameSize is negative; 0 is the default")
	}
	if o.MaxFrameSize == 0 {
		o.MaxFrameSize = frame.DefaultLimitBytes
	}
	if o.MessagePack {
		o.Subprotocols = append([]string{subprotocolPacked}, o.Subprotocols...)
	}
	switch {
	case o.Timeout == 0:
		o.Timeout = defaultTimeout
	case o.Timeout < 0:
		o.Timeout = 0
	}
	return nil
}
