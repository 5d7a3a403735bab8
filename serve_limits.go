package main

import (
	"fmt"
	"slices"

	"github.com/spf13/pflag"

	"github.com/dormouse-ws/dormouse/server"
)

// limitOptions are the flags of serve that say how many may come, how often, and through whom.
type limitOptions struct {
	most          int
	perAddress    int
	newSecond     int
	newPerAddress int
	joins         int
	messages      int
	proxies       []string
	protocol      bool
}

func (o *limitOptions) flags(f *pflag.FlagSet) {
	f.IntVar(&o.most, "max-connections", 0, "how many may be open: one more gets 503 and a Retry-After; 0: what the host allows")
	f.IntVar(&o.perAddress, "max-per-address", 0, "how many an address may have open, an IPv6 /64 as one: one more gets 429; 0: any number")
	f.IntVar(&o.newSecond, "new-per-second", 0, "how many may come in a second, or 503; 0: any number")
	f.IntVar(&o.newPerAddress, "new-per-address", 0, "how many may come from an address in a second, or 429; 0: any number")
	f.IntVar(&o.joins, "joins-per-second", 0, "of one connection, above a burst of 100: one more gets an error; 0: any number")
	f.IntVar(&o.messages, "messages-per-second", 0, "of one connection, above a burst of ten seconds', 100 at least: one more closes it (1008); 0: any number")
	f.StringSliceVar(&o.proxies, "proxy", nil, "`networks` of the proxies in front, whose X-Forwarded-For is believed; as 10.0.0.0/8,fd00::/8")
	f.BoolVar(&o.protocol, "proxy-protocol", false, "each connection of a --proxy begins with a PROXY protocol header, version 1 or 2")
}

// A server at its limit answers those that are too many, and lets them go in order. So it may have some
// more open than --max-connections: an eighth, and at least roomToRefuse. As many handshakes may be on their
// way. What is above both is closed at once.
const roomToRefuse = 256

// maxConnections is the most of --max-connections: as many sockets take 128 GB of the kernel.
const maxConnections = 32_000_000

func (o *limitOptions) config(cfg *server.Config) error {
	for _, f := range []struct {
		name  string
		value int
		most  int
		of    string
	}{
		{"max-connections", o.most, maxConnections, "how many may be open at once, or 0 for what the host allows"},
		{"max-per-address", o.perAddress, maxConnections, "how many an address may have open, or 0 for any number"},
		{"new-per-second", o.newSecond, 1_000_000, "how many may come in a second, or 0 for any number"},
		{"new-per-address", o.newPerAddress, 1_000_000, "how many may come from an address in a second, or 0 for any number"},
		{"joins-per-second", o.joins, 1_000_000, "how often a connection may join in a second, or 0 for any number"},
		{"messages-per-second", o.messages, 100_000, "how many messages a connection may send in a second, or 0 for any number"},
	} {
		if f.value < 0 || f.value > f.most {
			return fmt.Errorf("--%s is %d: want %s, and %d at most", f.name, f.value, f.of, f.most)
		}
	}
	switch {
	case o.most > 0 && o.perAddress > o.most:
		return fmt.Errorf("--max-per-address is %d, more than --max-connections, which is %d", o.perAddress, o.most)
	case o.protocol && len(o.proxies) == 0:
		return fmt.Errorf("--proxy-protocol needs --proxy: the header of anybody else is not believed")
	case slices.Contains(o.proxies, ""):
		return fmt.Errorf("--proxy has an empty network in it: want them as 10.0.0.0/8,fd00::/8")
	}
	perSecond := func(n int) server.Rate { return server.Rate{PerSecond: float64(n)} }
	cfg.Limits = server.Limits{
		Connections: o.most, ConnectionsPerAddress: o.perAddress,
		New: perSecond(o.newSecond), NewPerAddress: perSecond(o.newPerAddress),
		Joins: perSecond(o.joins), Messages: perSecond(o.messages),
	}
	if o.messages > 0 {
		cfg.Limits.Messages.Burst = max(100, 10*o.messages)
	}
	if o.most > 0 {
		cfg.Limits.Handshakes = max(roomToRefuse, o.most/8)
		cfg.Poller.MaxConns = o.most + 2*cfg.Limits.Handshakes
	}
	cfg.Proxies = server.Proxies{Networks: o.proxies, Protocol: o.protocol}
	return nil
}
