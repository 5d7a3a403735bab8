package tuning

import (
	"errors"
	"fmt"
)

// A Role is what the host is to be.
type Role uint8

const (
	Server  Role = 1 << iota // accepts the connections
	LoadGen                  // makes them
	Both    = Server | LoadGen
)

// ParseRole reads server, loadgen or both.
func ParseRole(s string) (Role, error) {
	for _, r := range []Role{Server, LoadGen, Both} {
		if s == r.String() {
			return r, nil
		}
	}
	return 0, fmt.Errorf("no role is called %q: want server, loadgen or both", s)
}

func (r Role) String() string {
	switch r {
	case Server:
		return "server"
	case LoadGen:
		return "loadgen"
	case Both:
		return "both"
	}
	return fmt.Sprintf("role %d", uint8(r))
}

// MarshalText writes a Role as its name.
func (r Role) MarshalText() ([]byte, error) { return []byte(r.String()), nil }

// A Goal is what a host is to do.
type Goal struct {
	Connections int64 `json:"connections"`
	Role        Role  `json:"role"`

	// TLS counts what crypto/tls keeps for each connection, in the process that ends it.
	TLS bool `json:"tls"`

	// MessageRate is how many messages a second are sent and received over all connections together;
	// MessageBytes is the size of one. 0: 1,000 bytes.
	MessageRate  float64 `json:"messageRate"`
	MessageBytes int64   `json:"messageBytes"`

	// Memory in bytes is what kernel and process may use. 0: what the host has available.
	Memory int64 `json:"memory,omitempty"`

	// Sources and Targets, for a load generator, are its own addresses, and the target's pairs of
	// address and port. 0: 1. For Both the connections are taken to be on loopback, where all of
	// 127.0.0.0/8 is there to connect from.
	Sources int `json:"sources,omitempty"`
	Targets int `json:"targets,omitempty"`

	// HeldBy has the numbers of the processes that hold some of the connections already: what they use is
	// part of what the goal needs, and not beside it. nil: those that are found, as every dormouse serve
	// for a Server; empty: none.
	HeldBy []int `json:"heldBy,omitempty"`

	held []Holder // what they are found to have
}

// MaxConnections bounds a Goal: what fs.nr_open can be at most (sysctl_nr_open_max in fs/file.c) is
// 2^31-64, and nobody has come near a tenth.
const MaxConnections = 1 << 30

const defaultMessageBytes = 1000

func (g Goal) withDefaults() (Goal, error) {
	if g.Role == 0 {
		g.Role = Server
	}
	if g.MessageBytes == 0 {
		g.MessageBytes = defaultMessageBytes
	}
	g.Sources, g.Targets = max(g.Sources, 1), max(g.Targets, 1)
	switch {
	case g.Connections < 1 || g.Connections > MaxConnections:
		return g, fmt.Errorf("tuning: %d connections: want 1 to %d", g.Connections, MaxConnections)
	case g.Role > Both:
		return g, errors.New("tuning: no such role")
	case !(g.MessageRate >= 0 && g.MessageRate <= 1e12):
		return g, fmt.Errorf("tuning: %v messages a second: want 0 to 1e12", g.MessageRate)
	case g.MessageBytes < 0 || g.MessageBytes > 1<<40:
		return g, fmt.Errorf("tuning: messages of %d bytes: want 0 to 1 TiB", g.MessageBytes)
	case g.Memory < 0:
		return g, errors.New("tuning: the memory is negative")
	}
	return g, nil
}

// ends is how many ends of each connection are on this host.
func (g Goal) ends() int64 {
	if g.Role == Both {
		return 2
	}
	return 1
}

// A Profile is a Goal with a name.
type Profile struct {
	Name        string
	Connections int64
}

// Profiles are the goals that have names.
func Profiles() []Profile {
	return []Profile{{"100k", 100_000}, {"1m", 1_000_000}, {"2m", 2_000_000}, {"10m", 10_000_000}}
}
