package limit

import (
	"net/http"
	"sync/atomic"
	"time"
)

// A Name says which limit refused.
type Name uint8

// The limits. The names that String returns are those of the counters, and do not change.
const (
	None                  Name = iota // nothing was refused
	ConnectionCount                   // connections in all
	ConnectionRate                    // new connections a second in all
	AddressConnections                // connections of one address
	AddressConnectionRate             // new connections a second of one address
	NetworkConnectionRate             // new connections a second of one network, under strain
	JoinRate                          // joins a second of one connection
	AddressJoinRate                   // joins a second of one address
	MessageRate                       // messages a second of one connection
	HandshakeCount                    // connections that are not done with their handshake
	names
)

// entry is the table of texts; as a function, nobody can write to it.
func (n Name) entry() (name, reason string) {
	switch n {
	case ConnectionCount:
		return "connections", "too many connections"
	case ConnectionRate:
		return "connection_rate", "too many new connections"
	case AddressConnections:
		return "address_connections", "too many connections from this address"
	case AddressConnectionRate:
		return "address_connection_rate", "too many new connections from this address"
	case NetworkConnectionRate:
		return "network_connection_rate", "too many new connections from this network"
	case JoinRate:
		return "join_rate", "too many joins on this connection"
	case AddressJoinRate:
		return "address_join_rate", "too many joins from this address"
	case MessageRate:
		return "message_rate", "too many messages on this connection"
	case HandshakeCount:
		return "handshakes", "too many handshakes at once"
	}
	return "none", ""
}

// String returns the name of the limit's counter: lower case with underscores.
func (n Name) String() string { name, _ := n.entry(); return name }

// Reason returns one line of text for the person who debugs the client.
func (n Name) Reason() string { _, reason := n.entry(); return reason }

// Names returns all limits, for whoever shows the counters.
func Names() []Name {
	all := make([]Name, 0, names-1)
	for n := None + 1; n < names; n++ {
		all = append(all, n)
	}
	return all
}

// ofAll reports whether the limit is one for all clients together.
func (n Name) ofAll() bool {
	return n == ConnectionCount || n == ConnectionRate || n == HandshakeCount
}

// A Refusal is the answer of a limit. The zero value lets through.
type Refusal struct {
	Name Name
	Wait time.Duration // how long until this limit would let one through; 0 if that cannot be known
}

// Status returns the HTTP status to answer with: 503 (RFC 9110 section 15.6.4) where the server has no
// room for anybody, 429 (RFC 6585 section 4) where this client has asked for more than its share.
func (r Refusal) Status() int {
	switch {
	case r.Name == None:
		return http.StatusOK
	case r.Name.ofAll():
		return http.StatusServiceUnavailable
	}
	return http.StatusTooManyRequests
}

// crowdSeconds is over how long those are spread who meet a limit for all: twice the 5 s after which
// phoenix.js tries again when it has failed often, all its clients alike.
const crowdSeconds = 10

// onTime is less than a request takes to come: whoever is early by less is not told another second. It
// hides the ticks of a SmallMeter.
const onTime = 10 * time.Millisecond

// RetryAfter returns the seconds of a Retry-After field (RFC 9110 section 10.2.3), at least 1. Whoever
// meets a limit for all is one of a crowd, and would come back with it: draw, a random number, spreads
// them over 10 more seconds.
func (r Refusal) RetryAfter(draw uint32) int {
	s := max(1, int((r.Wait+time.Second-onTime)/time.Second))
	if r.Name.ofAll() {
		s += int(draw % crowdSeconds)
	}
	return s
}

// Counters counts refusals by limit. The zero value is ready. Any goroutine may call.
type Counters struct {
	refused [names]atomic.Uint64
}

// Add counts a refusal. None is not counted.
func (c *Counters) Add(n Name) {
	if n > None && n < names {
		c.refused[n].Add(1)
	}
}

// Waive takes back one refusal that its caller has not carried out.
func (c *Counters) Waive(n Name) {
	if n > None && n < names {
		c.refused[n].Add(^uint64(0))
	}
}

// Refused returns how often a limit has refused.
func (c *Counters) Refused(n Name) uint64 {
	if n >= names {
		return 0
	}
	return c.refused[n].Load()
}
