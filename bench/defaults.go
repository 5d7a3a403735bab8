package bench

import (
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
	"time"
)

const (
	maxSize = 1 << 20 // of a mark
	maxRate = 1e9     // each second: one a nanosecond

	defaultTopic       = "rooms:lobby"
	defaultArrivalRate = 1000
	defaultRate        = 10
	defaultDuration    = 10 * time.Second
	defaultHold        = 5 * time.Second
	defaultHeartbeat   = 30 * time.Second // phoenix.js: heartbeatIntervalMs
	defaultTimeout     = 10 * time.Second // phoenix.js: timeout
	defaultSettle      = 10 * time.Second
	defaultRoomSize    = 1000
	defaultActive      = 1000
	defaultSlow        = 0.1
	defaultStorm       = time.Minute // to be back in

	// Of a slow run some read nothing for half of the time. With 500 readers each is sent 7 MB meanwhile: on
	// loopback the target's kernel takes 4.2 MB (tcp_wmem) before its program hears of it. The rooms of serve
	// take 4,096 B with the object around it.
	defaultSlowFor  = time.Minute
	defaultSlowSize = 4000

	// defaultDeliveries each second are what the rate of messages is lowered to if that is not told: two
	// processors that have both ends of the connections manage some 100,000.
	defaultDeliveries = 30_000

	// maxPlateau is enough for a target's pools to be full, so that the slope above it is that of
	// connections alone.
	maxPlateau = 1000
)

// markVerb is where the mark of a message goes in Config.Payload.
const markVerb = "%m"

func (c *Config) setDefaults() {
	set(&c.Protocol, Phoenix)
	set(&c.Topic, defaultTopic)
	set(&c.Params, "{}")
	set(&c.ArrivalRate, defaultArrivalRate)
	set(&c.Hold, defaultHold)
	set(&c.Heartbeat, defaultHeartbeat)
	set(&c.Timeout, defaultTimeout)
	set(&c.Settle, defaultSettle)
	set(&c.Parts, 1)
	set(&c.Share, 1)
	set(&c.Payload, `{"body":"`+markVerb+`"}`)
	if len(c.Phases) > 0 {
		c.Connections = users(c.Phases)
	}
	switch c.Scenario {
	case "echo":
		set(&c.Event, "ping")
		set(&c.Rate, 100*defaultRate)
		set(&c.Active, min(c.Connections, defaultActive))
	case "rooms", "chat":
		set(&c.Rooms, max(1, c.Connections/defaultRoomSize))
		set(&c.Rate, rateFor(10*defaultRate, c.Connections/c.Rooms))
	case "storm":
		set(&c.Duration, defaultStorm)
	case "slow":
		set(&c.Slow, defaultSlow)
		set(&c.Duration, defaultSlowFor)
		set(&c.Size, defaultSlowSize)
		set(&c.Rate, rateFor(10*defaultRate, c.Connections))
	}
	set(&c.Event, "shout")
	set(&c.Rate, rateFor(defaultRate, c.Connections))
	set(&c.Duration, defaultDuration)
	for c.Seed == 0 {
		c.Seed = rand.Uint64()
	}
	switch {
	case c.Plateau < 0 || len(c.Phases) > 0:
		c.Plateau = -1
	case c.Plateau == 0:
		c.Plateau = min(maxPlateau, c.Connections/10)
	}
	c.Plateau = min(c.Plateau, c.Connections)
}

// rateFor is the rate most, or as many whole messages to so many receivers as make defaultDeliveries.
func rateFor(most float64, receivers int) float64 {
	return min(most, float64(max(1, defaultDeliveries/max(1, receivers))))
}

// set gives *p the value def if it has none.
func set[T comparable](p *T, def T) {
	var zero T
	if *p == zero {
		*p = def
	}
}

func (c *Config) checkPayloads() error {
	if !json.Valid([]byte(c.Params)) || !strings.HasPrefix(c.Params, "{") {
		return fmt.Errorf("the join's params are %q: want a JSON object, as {\"token\":\"abc\"}", c.Params)
	}
	if !json.Valid([]byte(c.Payload)) || !strings.HasPrefix(c.Payload, "{") {
		return fmt.Errorf("the payload is %q: want a JSON object, as {\"body\":\"%s\"}", c.Payload, markVerb)
	}
	if !strings.Contains(c.Payload, markVerb) {
		return errors.New("the payload has no " + markVerb + ", by which a message is known again: put it into a string of the object")
	}
	return nil
}
