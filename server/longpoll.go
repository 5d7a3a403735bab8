package server

import (
	"errors"
	"fmt"
	"time"
)

// LongPollOptions are the options of the long-poll transport (section 5), for clients that no WebSocket
// reaches. A session is a socket as any other: same channels, same hub, same limits. A poll that is parked is
// a record, and no goroutine.
//
// What a session has not been polled for, waits in its outbox, up to Poller.OutboxLimit and then by the policy
// of Config.SlowConsumer: CloseSlow ends the session, whereupon the client opens another. What was taken for a
// poll (1 MiB and a message at most) and could not be given to it, because its client was seen to go, the next
// poll gets; what was on its way is lost, as with Phoenix. Binary messages are dropped, and counted in
// Stats.Unencodable.
type LongPollOptions struct {
	// Path is the transport's path below the mount's. Default "longpoll". It may hold :name segments,
	// which become params.
	Path string

	// Window is how long a poll waits for a message, and a POST for its messages to be taken and its joins
	// to be answered. What is late then is handled all the same. A session that has not been polled for
	// one and a half of it ends. Default 10 s; phoenix.js gives a request 20 s.
	Window time.Duration

	// ConnectInfo says what of the request that opens a session Connect wants to see. Default: what
	// Socket.ConnectInfo says.
	ConnectInfo *ConnectInfoConfig

	// MaxBodyBytes bounds the body of a POST, above which it is answered with 400. Default 8,000,000.
	MaxBodyBytes int

	// TokenMaxAge is how long the token of a session is good, of one that is polled for so long.
	// Default 14 days.
	TokenMaxAge time.Duration
}

// The names of the transports, for the application.
const (
	transportWebSocket = "websocket"
	transportLongPoll  = "longpoll"
)

const (
	defaultWindow      = 10 * time.Second // section 0.2
	defaultPollBody    = 8_000_000
	defaultTokenMaxAge = 14 * 24 * time.Hour

	// maxPollLines is how many lines of a POST are looked at (section 5.4).
	maxPollLines = 100

	// maxPollBodies bounds the bodies that are being received, over all connections: above it a long POST
	// is answered with 503. A body grows as it comes, so who only announces one takes nothing.
	maxPollBodies = 256 << 20
)

func (o LongPollOptions) withDefaults() (LongPollOptions, error) {
	switch {
	case o.Window < 0 || o.MaxBodyBytes < 0 || o.TokenMaxAge < 0:
		return o, errors.New("server: LongPollOptions has a negative value; 0 is the default")
	case o.MaxBodyBytes > maxPollBodies:
		return o, fmt.Errorf("server: LongPollOptions.MaxBodyBytes is %d: want %d at most, as all bodies together", o.MaxBodyBytes, maxPollBodies)
	case o.Window > time.Hour:
		return o, fmt.Errorf("server: LongPollOptions.Window is %v: want an hour at most", o.Window)
	}
	if o.Path == "" {
		o.Path = "longpoll"
	}
	if o.Window == 0 {
		o.Window = defaultWindow
	}
	if o.MaxBodyBytes == 0 {
		o.MaxBodyBytes = defaultPollBody
	}
	if o.TokenMaxAge == 0 {
		o.TokenMaxAge = defaultTokenMaxAge
	}
	return o, nil
}
