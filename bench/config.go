package bench

import (
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Config says what a run does. It travels to agents as JSON; times are in nanoseconds there. [Config.Check]
// sets the defaults of zero values.
type Config struct {
	// Scenario is one of [Scenarios].
	Scenario string `json:"scenario"`

	// URLs are the targets, ws or wss; connections take turns. With Protocol Phoenix a URL without a
	// path means /socket, and one that does not end in /websocket gets that behind it, as in phoenix.js.
	URLs     []string `json:"urls"`
	Protocol Protocol `json:"protocol"`

	// Connections is the number of simulated users, over all generators. Phases say when they arrive;
	// together they must bring at least one. Without Phases they arrive at ArrivalRate each second.
	Connections int     `json:"connections"`
	Phases      []Phase `json:"phases,omitempty"`
	ArrivalRate float64 `json:"arrival_rate"`

	// Topic is what users join. The scenarios rooms and chat put a colon and a number behind it for
	// each of Rooms topics.
	Topic  string `json:"topic"`
	Params string `json:"params"` // the payload of the join, a JSON object
	Rooms  int    `json:"rooms,omitempty"`

	// Event is what is pushed: shout, which a channel made by mix phx.gen.channel broadcasts to its
	// topic, or in the echo scenario ping, which it answers with the payload. Payload is a JSON object
	// in which every %m is replaced by the mark by which a message is known again. Size pads the mark
	// to so many bytes.
	Event   string `json:"event"`
	Payload string `json:"payload"`
	Size    int    `json:"size"`

	// Others says that the target does not deliver a broadcast to its sender.
	Others bool `json:"others,omitempty"`

	// Rate is the messages, requests or actions each second over all users, for Duration. Hold is how
	// long connections are kept when nothing else is to be done.
	Rate     float64       `json:"rate"`
	Duration time.Duration `json:"duration"`
	Hold     time.Duration `json:"hold"`

	// Active is how many users send, in the echo scenario. Slow is the share of readers that stop
	// reading, in the slow scenario, between 0 and 1.
	Active int     `json:"active,omitempty"`
	Slow   float64 `json:"slow,omitempty"`

	// Heartbeat is the time between two heartbeats of a user: 30 s in phoenix.js. Negative: none.
	Heartbeat time.Duration `json:"heartbeat"`

	// Timeout bounds the connect with its upgrade, and each reply: 10 s in phoenix.js. Settle bounds
	// the wait for what is still on its way when all has been sent.
	Timeout time.Duration `json:"timeout"`
	Settle  time.Duration `json:"settle"`

	// Plateau is the number of connections at which arrivals wait once, so that memory can be read at
	// two sizes: a slope does not count the base of a process. 0: a tenth, at most 1,000. Negative: no
	// plateau. Ignored with Phases.
	Plateau int `json:"plateau,omitempty"`

	// Sources are addresses, ranges (10.0.0.5-10.0.0.20) and prefixes (10.0.0.0/24) to connect from.
	// None: on loopback as many of 127.0.0.0/8 as are needed, elsewhere the kernel's choice.
	Sources []string `json:"sources,omitempty"`

	// Insecure accepts any certificate of a wss target. Header lines go into the upgrade request.
	Insecure bool     `json:"insecure,omitempty"`
	Header   []string `json:"header,omitempty"`

	// Seed makes what is random in a run the same again. 0 is replaced by a random one.
	Seed uint64 `json:"seed"`

	// Part is this generator's place among Parts, and Share what it carries of the whole, which it uses
	// for rates. Connections and Active are its own already. ClockOffset is its clock minus the
	// conductor's. The conductor sets them.
	Part        int           `json:"part"`
	Parts       int           `json:"parts"`
	Share       float64       `json:"share"`
	ClockOffset time.Duration `json:"clock_offset"`
}

// A Protocol is what is spoken inside WebSocket messages.
type Protocol string

const (
	Phoenix   Protocol = "phoenix"   // Phoenix Channels, V2 serializer
	WebSocket Protocol = "websocket" // nothing: a message is expected back as it was sent
)

// A Phase of arrivals: Rate users each second, for Duration.
type Phase struct {
	Duration time.Duration `json:"duration"`
	Rate     float64       `json:"rate"`
}

// ParsePhase reads a phase as 100s@10000/s.
func ParsePhase(s string) (Phase, error) {
	d, r, ok := strings.Cut(s, "@")
	var p Phase
	var err error
	if ok {
		p.Duration, err = time.ParseDuration(d)
	}
	if !ok || err != nil || p.Duration <= 0 {
		return p, fmt.Errorf("phase %q: want a duration and a rate, as 10s@1000/s", s)
	}
	if p.Rate, err = parseRate(r); err != nil {
		return p, fmt.Errorf("phase %q: %w", s, err)
	}
	return p, nil
}

func parseRate(s string) (float64, error) {
	rate, err := strconv.ParseFloat(strings.TrimSuffix(s, "/s"), 64)
	if err != nil || !(rate > 0 && rate <= maxRate) {
		return 0, fmt.Errorf("the rate %q: want a number above 0, as 1000/s", s)
	}
	return rate, nil
}

// users is how many arrive in the phases together.
func users(phases []Phase) int {
	n := 0.0
	for _, p := range phases {
		n += p.Rate * p.Duration.Seconds()
	}
	return int(n + 0.5)
}

// Scenarios are the names that [Config.Scenario] may have, in the order in which to read of them.
func Scenarios() []string {
	return []string{"connect", "broadcast", "rooms", "chat", "echo", "storm", "slow"}
}

// Check completes c with defaults and reports what is wrong with it.
func (c Config) Check() (Config, error) {
	c.setDefaults()
	switch {
	case !slices.Contains(Scenarios(), c.Scenario):
		return c, fmt.Errorf("there is no scenario %q; want one of %s", c.Scenario, strings.Join(Scenarios(), ", "))
	case len(c.URLs) == 0:
		return c, errors.New("no URL to connect to")
	case c.Protocol != Phoenix && c.Protocol != WebSocket:
		return c, fmt.Errorf("the protocol is %q: want %s or %s", c.Protocol, Phoenix, WebSocket)
	case c.Protocol == WebSocket && c.Scenario != "connect" && c.Scenario != "echo" && c.Scenario != "storm":
		return c, fmt.Errorf("the scenario %s needs topics, which the protocol %s does not have; connect, echo and storm work with it", c.Scenario, c.Protocol)
	case c.Connections < 1:
		return c, fmt.Errorf("%d connections: want at least 1", c.Connections)
	case c.Rooms < 0 || c.Rooms > max(c.Connections, c.Parts) || c.Active < 0:
		return c, fmt.Errorf("%d rooms, and %d active users, for %d connections: want at least one user for each room", c.Rooms, c.Active, c.Connections)
	case c.Slow < 0 || c.Slow >= 1:
		return c, fmt.Errorf("a share of %g slow readers: want at least 0 and less than 1", c.Slow)
	case !(c.Rate > 0 && c.Rate <= maxRate) || !(c.ArrivalRate > 0 && c.ArrivalRate <= maxRate):
		return c, fmt.Errorf("a rate must be above 0 and at most %g each second", maxRate)
	case c.Size > maxSize:
		return c, fmt.Errorf("a size of %d bytes: at most %d", c.Size, maxSize)
	case c.Timeout <= 0 || c.Settle <= 0 || c.Duration <= 0 || c.Hold < 0:
		return c, errors.New("a duration cannot be negative")
	}
	return c, c.checkPayloads()
}
