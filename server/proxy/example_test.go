package proxy_test

import (
	"fmt"
	"net/netip"

	"github.com/dormouse-ws/dormouse/server/proxy"
)

func ExampleParse() {
	came := []byte("PROXY TCP4 192.0.2.1 198.51.100.7 56324 443\r\nGET /socket/websocket HTTP/1.1\r\n")
	_, _, err := proxy.Parse(came[:20])
	fmt.Println(err)
	h, n, err := proxy.Parse(came)
	client, ok := h.Client()
	fmt.Println(client, ok, err)
	fmt.Printf("%.3s\n", came[n:])
	// Output:
	// proxy: the header is not complete
	// 192.0.2.1:56324 true <nil>
	// GET
}

func ExampleTrusted_ClientAddr() {
	trusted, err := proxy.ParseTrusted([]string{"10.0.0.0/8"})
	if err != nil {
		panic(err)
	}
	// The client sent the first, one proxy added the second, another the third.
	fields := []string{"6.6.6.6, 203.0.113.7, 10.0.0.2"}
	fmt.Println(trusted.ClientAddr(netip.MustParseAddr("10.0.0.1"), fields))
	fmt.Println(trusted.ClientAddr(netip.MustParseAddr("198.51.100.1"), fields))
	// Output:
	// 203.0.113.7
	// 198.51.100.1
}
