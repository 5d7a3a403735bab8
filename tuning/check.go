package tuning

import "math"

// A Check is a row of the table: one setting, or one fact about the host.
type Check struct {
	Name   string // the kernel's word, as net.core.somaxconn
	Why    string // it matters, in one sentence
	Source string // where that is written: a file of the kernel's Documentation, a man page
	Myth   string // what is often advised and does harm or nothing, with the reason; "" if nothing is

	// Role has whose connections it concerns: what is not among a Goal's ends is not looked at.
	Role Role

	// Blocks says that the goal is out of reach while it is not met. What does not block, hurts:
	// connections are refused in a storm, messages are late.
	Blocks bool

	examine func(c *Check, h *Host, g Goal) Finding
	setting *sysctl // what Fragments writes of it; nil: nothing
}

// Checks returns the table, in the order in which a host stops connections.
func Checks() []Check {
	var all []Check
	for _, group := range [][]Check{
		fileChecks(), portChecks(), conntrackChecks(), memoryChecks(), bufferChecks(), cgroupChecks(),
		listenChecks(), closeChecks(), goChecks(), processorChecks(),
	} {
		all = append(all, group...)
	}
	return all
}

// A Verdict is what a Check found.
type Verdict uint8

const (
	OK         Verdict = iota
	NotNeeded          // and Finding.Reason says why
	Unreadable         // cannot be read here, and Finding.Reason says why
	Set                // it has the wrong value, of those that are not more or less
	Raise              // it is too low, or for the low end of a range too high
)

func (v Verdict) String() string {
	switch v {
	case OK:
		return "ok"
	case NotNeeded:
		return "not needed"
	case Unreadable:
		return "cannot be read here"
	case Set:
		return "set"
	case Raise:
		return "raise"
	}
	return "unknown"
}

// MarshalText writes a Verdict as its name.
func (v Verdict) MarshalText() ([]byte, error) { return []byte(v.String()), nil }

// Unbounded is a number of connections that is no limit.
const Unbounded = math.MaxInt64

// A Finding is what a [Check] found on a host.
type Finding struct {
	Name    string  `json:"name"`
	Verdict Verdict `json:"verdict"`
	Blocks  bool    `json:"blocks"` // as of the Check

	Value   string `json:"value"`             // "" if it could not be read
	Needed  string `json:"needed"`            // "" if nothing is
	Because string `json:"because,omitempty"` // the arithmetic behind Needed
	Reason  string `json:"reason,omitempty"`  // of NotNeeded and Unreadable, a sentence without its full stop

	// Holds is how many connections this setting allows; Unbounded if it is no limit of them.
	Holds int64 `json:"holds,omitzero"`

	Why    string `json:"why"`
	Source string `json:"source,omitempty"`
	Myth   string `json:"myth,omitempty"`

	// Now is a command, or what else to do, that fixes it until the next boot, ForGood what fixes it
	// beyond that. Both are "" if there is nothing to fix.
	Now     string `json:"now,omitempty"`
	ForGood string `json:"forGood,omitempty"`

	// Settings is what the files of the kernel should hold, also where they do: Apply writes it if the
	// Verdict is Raise or Set, and puts it into a file for the next boot in any case.
	Settings []Setting `json:"settings,omitempty"`
}

// bad reports whether something is to be done.
func (f *Finding) bad() bool { return f.Verdict >= Set }

// A Setting is the content that a file of the kernel should have.
type Setting struct {
	Key   string `json:"key"`   // of sysctl(8); "" for a file below /sys
	Path  string `json:"path"`  // absolute: /proc/sys/net/core/somaxconn
	Value string `json:"value"` // without a newline; numbers in a row have one space between them
}

// An unmet check starts from here: c's words, and no limit.
func (c *Check) finding(v Verdict) Finding {
	return Finding{Name: c.Name, Verdict: v, Blocks: c.Blocks, Holds: Unbounded, Why: c.Why, Source: c.Source, Myth: c.Myth}
}

// unreadable is the Finding of a Check whose file could not be read.
func (c *Check) unreadable(h *Host, name string, err error) Finding {
	f := c.finding(Unreadable)
	f.Reason = h.unread(name, err)
	return f
}

// notNeeded is the Finding of a Check with nothing to look at.
func (c *Check) notNeeded(value, reason string) Finding {
	f := c.finding(NotNeeded)
	f.Value, f.Reason = value, reason
	return f
}
