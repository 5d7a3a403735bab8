// Package servertest tests channels over real connections: a server on a loopback port, and clients
// that speak the wire protocol of Phoenix Channels to it.
//
//	srv := servertest.Start(t, server.Config{Sockets: []*server.Socket{rooms}})
//	c := srv.Dial("/socket/websocket")
//
// A [Client] is used in two ways, which can be mixed. Written as the protocol is, a test reads like a
// transcript: what Send takes and Expect compares are messages of the version that the client speaks.
//
//	c.Send(`["3","3","rooms:lobby","phx_join",{}]`)
//	c.Expect(`["3","3","rooms:lobby","phx_reply",{"status":"ok","response":{}}]`)
//
// Or the client keeps the refs, as phoenix.js does:
//
//	c.Join("rooms:lobby", nil)
//	status, response := c.Call("rooms:lobby", "echo", map[string]any{"n": 1})
//
// Everything that goes wrong fails the test at once, from the test's own goroutine: a client must not be
// used from another one. Nothing here waits for time to pass; every wait ends with what is waited for,
// or with the test after [Patience].
//
// When the test ends its clients are closed, the server is shut down, and the test fails if a
// connection, a subscription or a topic is left.
package servertest
