package limit_test

import (
	"fmt"
	"net/netip"
	"time"

	"github.com/dormouse-ws/dormouse/server/limit"
)

func ExampleConnections() {
	perAddress, err := limit.NewRate(1, 2) // two at once, then one a second
	if err != nil {
		panic(err)
	}
	c, err := limit.NewConnections(limit.Config{Max: 100_000, NewPerAddress: perAddress})
	if err != nil {
		panic(err)
	}
	start, addr := time.Now(), netip.MustParseAddr("2001:db8::1")
	now := time.Since(start)
	first, _ := c.Open(addr, now)
	second, _ := c.Open(addr.Next(), now) // of the same /64
	_, refusal := c.Open(addr, now)
	fmt.Println(refusal.Status(), refusal.Name.Reason(), "Retry-After:", refusal.RetryAfter(0))
	c.Close(&first, now)
	c.Close(&second, now)
	fmt.Println(c.Counters().Refused(limit.AddressConnectionRate))
	// Output:
	// 429 too many new connections from this address Retry-After: 1
	// 1
}

func ExampleSmallMeter() {
	messages, err := limit.NewRate(10, 3)
	if err != nil {
		panic(err)
	}
	var m limit.SmallMeter // in the connection
	for range 4 {
		_, ok := m.Allow(&messages, 0)
		fmt.Print(ok, " ")
	}
	_, ok := m.Allow(&messages, 101*time.Millisecond)
	fmt.Println(ok)
	// Output:
	// true true true false true
}
