package server

import (
	"fmt"
	"math"
	"sync/atomic"
	"time"

	"github.com/dormouse-ws/dormouse/server/frame"
	"github.com/dormouse-ws/dormouse/server/limit"
	"github.com/gobwas/ws"
)

// Limits says how many may come, and how often. The zero value of each field limits nothing and costs
// nothing; with any of them a connection holds 32 bytes more. What a limit refuses is counted by its name
// in [LimitStats].
//
// A limit on connections answers the first request of the one that is too many, with a Retry-After field:
// 503 where the server has no room for anybody, 429 where this address has had its share. A plain HTTP
// request counts, but only the limits of its address refuse it: those in all would take health checks and
// metrics away from a server that is merely full, and [Config.MaxHTTPConns] bounds these connections.
//
// An address is that of the client, behind proxies too if [Proxies] lists them; IPv6 addresses count by
// /64. A session of the long-poll transport counts as a connection, beside those that carry its requests. A connection
// counts no more when its client can see that its handshake is refused, or the answer to its Close frame; one that the
// server closes, a moment longer.
type Limits struct {
	// Connections is how many may be open, up to 32,000,000.
	Connections int

	// ConnectionsPerAddress is how many an address may have open. Many people may share one: a company, a
	// campus, the customers of a mobile network (RFC 6269).
	ConnectionsPerAddress int

	// New and NewPerAddress are how many may come, in all and from one address.
	New, NewPerAddress Rate

	// Networks limits new connections of wider networks while New or Connections refuses, or more
	// addresses come than can be remembered; see [limit.Config]. Each takes 128 KiB.
	Networks []NetworkLimit

	// Joins are those of one connection, JoinsPerAddress those of all connections of an address. A join
	// above them is answered with an error, {"reason":"rate limited","retry_after":seconds}, after
	// which phoenix.js tries again; the channel that it would have displaced goes on. A client that
	// comes back joins all its topics at once, and Burst is 100 at least unless it is set.
	Joins, JoinsPerAddress Rate

	// Messages are what one connection may send: messages of whatever kind, the heartbeat, pings and pongs, and
	// frames that bring nothing but go on with a message.
	// Whoever sends more is closed with code 1008 once what came before is answered; a reply to each
	// would keep the flood going. phoenix.js comes back after that code, so NewPerAddress belongs to it.
	// Burst is 100 at least unless it is set.
	Messages Rate

	// Handshakes is how many connections may be on their way to their first answer at once: those that
	// are silent, those that send their request slowly, those whose connect hook runs. One above it gets
	// 503 at once, whatever it would have asked for.
	Handshakes int

	// IPv4Bits and IPv6Bits are how much of an address counts as one: 32 and 64 unless they are set.
	IPv4Bits, IPv6Bits int

	// Remembered is for how many addresses without a connection the rates are kept, 40 bytes each.
	// Default 65,536. Above it those that left first are forgotten.
	Remembered int

	// clock is the time since the start; tests set it.
	clock func() time.Duration
}

// A Rate is how many a second on average, and how many at once. The zero value is no limit.
type Rate struct {
	PerSecond float64 // up to 1,000,000
	Burst     int     // 0: as many as a second gives, 1 at least
}

// A NetworkLimit is the rate of new connections from one network; see [Limits.Networks].
type NetworkLimit struct {
	IPv4Bits, IPv6Bits int // of its prefix: 24 and 48 unless they are set
	New                Rate
}

// leastBurst is of joins and messages: as many as the topics that a client may have joined.
const leastBurst = defaultMaxChannels

func (r Rate) compile(least int) (limit.Rate, error) {
	if r.Burst == 0 && r.PerSecond > 0 {
		r.Burst = max(least, int(math.Ceil(min(r.PerSecond, math.MaxInt32))))
	}
	return limit.NewRate(r.PerSecond, r.Burst)
}

func (l *Limits) any() bool {
	return l.Connections != 0 || l.ConnectionsPerAddress != 0 || l.Handshakes != 0 || len(l.Networks) != 0 ||
		l.New.PerSecond+l.NewPerAddress.PerSecond+l.Joins.PerSecond+l.JoinsPerAddress.PerSecond+l.Messages.PerSecond != 0
}

// compile returns the limits that count addresses, and those of one connection.
func (l *Limits) compile() (c *limit.Connections, joins, messages limit.Rate, err error) {
	cfg := limit.Config{
		Max: l.Connections, MaxPerAddress: l.ConnectionsPerAddress,
		V4Bits: l.IPv4Bits, V6Bits: l.IPv6Bits, Remembered: l.Remembered,
	}
	for _, f := range []struct {
		name  string
		rate  Rate
		to    *limit.Rate
		least int
	}{
		{"New", l.New, &cfg.New, 1}, {"NewPerAddress", l.NewPerAddress, &cfg.NewPerAddress, 1},
		{"Joins", l.Joins, &joins, leastBurst}, {"JoinsPerAddress", l.JoinsPerAddress, &cfg.JoinsPerAddress, leastBurst},
		{"Messages", l.Messages, &messages, leastBurst},
	} {
		if *f.to, err = f.rate.compile(f.least); err != nil {
			return nil, joins, messages, fmt.Errorf("server: Config.Limits.%s: %w", f.name, err)
		}
	}
	for i, n := range l.Networks {
		rate, err := n.New.compile(1)
		if err != nil {
			return nil, joins, messages, fmt.Errorf("server: Config.Limits.Networks[%d]: %w", i, err)
		}
		cfg.Networks = append(cfg.Networks, limit.Network{V4Bits: n.IPv4Bits, V6Bits: n.IPv6Bits, New: rate})
	}
	if l.Handshakes < 0 {
		return nil, joins, messages, fmt.Errorf("server: Config.Limits.Handshakes is %d; 0 is no limit", l.Handshakes)
	}
	if c, err = limit.NewConnections(cfg); err != nil {
		return nil, joins, messages, fmt.Errorf("server: Config.Limits: %w", err)
	}
	return c, joins, messages, nil
}

// LimitStats are what the limits count.
type LimitStats struct {
	Refused Refusals

	// The following are 0 in a server without Limits and Proxies.

	Counted     int64 // connections and long-poll sessions that count now
	Handshaking int64 // connections that await their first answer
	Addresses   int64 // that have a connection
	Remembered  int64 // addresses without one, of which a rate is kept
	Forgotten   int64 // addresses of which a rate was forgotten before its time
	ProxyFaults int64 // connections closed because of their PROXY header, or for want of one; see Proxies
}

// Refusals says how often each limit has refused. Those from Topics on are of limits that are always there.
type Refusals struct {
	Connections           int64 // Limits.Connections
	ConnectionRate        int64 // New
	AddressConnections    int64 // ConnectionsPerAddress
	AddressConnectionRate int64 // NewPerAddress
	NetworkConnectionRate int64 // Networks
	Handshakes            int64 // Handshakes
	JoinRate              int64 // Joins
	AddressJoinRate       int64 // JoinsPerAddress
	MessageRate           int64 // Messages: connections closed

	Topics          int64 // Socket.MaxChannels: joins
	MessageSize     int64 // WebSocketOptions.MaxFrameSize: connections closed
	HandshakeTime   int64 // Config.HandshakeTimeout: connections closed whose request, or next one, did not come
	IdleTime        int64 // WebSocketOptions.Timeout, LongPollOptions.Window: connections and sessions closed
	HTTPConnections int64 // Config.MaxHTTPConns
	Unfinished      int64 // Config.MessageMemory: connections closed whose message was not whole yet
	Waiting         int64 // and those whose messages would have waited for a worker, and POSTs
}

// bounds counts what the limits have refused that are always there.
type bounds struct {
	topics, messages, handshakes, idle, httpConns, unfinished, waiting atomic.Int64
}

func (s *Server) limitStats() (st LimitStats) {
	b := &s.bounds
	if s.gate != nil {
		st = s.gate.stats()
	}
	st.Refused.Topics, st.Refused.MessageSize = b.topics.Load(), b.messages.Load()
	st.Refused.HandshakeTime, st.Refused.IdleTime = b.handshakes.Load(), b.idle.Load()
	st.Refused.HTTPConnections = b.httpConns.Load()
	st.Refused.Unfinished, st.Refused.Waiting = b.unfinished.Load(), b.waiting.Load()
	return st
}

func (g *gate) stats() LimitStats {
	c, of := g.conns.Stats(g.now()), g.conns.Counters()
	refused := func(n limit.Name) int64 { return int64(of.Refused(n)) }
	return LimitStats{
		Counted: int64(c.Open), Handshaking: g.handshaking.Load(), Addresses: int64(c.Addresses),
		Remembered: int64(c.Remembered), Forgotten: int64(c.Forgotten), ProxyFaults: g.proxyFaults.Load(),
		Refused: Refusals{
			Connections:           refused(limit.ConnectionCount),
			ConnectionRate:        refused(limit.ConnectionRate),
			AddressConnections:    refused(limit.AddressConnections),
			AddressConnectionRate: refused(limit.AddressConnectionRate),
			NetworkConnectionRate: refused(limit.NetworkConnectionRate),
			Handshakes:            refused(limit.HandshakeCount),
			JoinRate:              refused(limit.JoinRate),
			AddressJoinRate:       refused(limit.AddressJoinRate),
			MessageRate:           refused(limit.MessageRate),
		},
	}
}

// violation is what package frame says is wrong, and counts what is a limit.
func (w *wsConn) violation(err error) frame.Error {
	fe := violation(err)
	if fe.Code() == ws.StatusMessageTooBig {
		w.mount.srv.bounds.messages.Add(1)
	}
	return fe
}
