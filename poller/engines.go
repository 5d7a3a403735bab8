package poller

import (
	"fmt"
	"strings"
)

// Names returns the names that New knows, the default first.
func Names() []string { return []string{"epoll", "netpoll", "goroutine"} }

// New starts the engine of that name; "" is the default.
func New(name string, cfg Config) (Engine, error) {
	switch name {
	case "", "epoll":
		return NewEpoll(cfg)
	case "netpoll":
		return NewNetpoll(cfg)
	case "goroutine":
		return NewGoroutine(cfg)
	}
	return nil, fmt.Errorf("poller: there is no engine %q; there are %s", name, strings.Join(Names(), ", "))
}
