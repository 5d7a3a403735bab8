// Package server serves Phoenix Channels, plain WebSocket messages and plain HTTP on one port, on an
// engine of package poller.
//
// An application writes a [Channel], routes topics to it with a [Socket], and serves both with a
// [Server]:
//
//	type room struct{}
//
//	func (room) Join(*server.Context, server.Payload) error { return nil }
//	func (room) HandleIn(c *server.Context, event string, p server.Payload) error {
//		return c.Broadcast(event, p)
//	}
//	func (room) Leave(*server.Context, error) {}
//
//	func main() {
//		rooms := &server.Socket{Path: "/socket", Routes: []server.Route{
//			{Topic: "rooms:*", Channel: func() server.Channel { return room{} }},
//		}}
//		log.Fatal(server.ListenAndServe(":4000", server.Config{Sockets: []*server.Socket{rooms}}))
//	}
//
// # Promises
//
//  1. A connection with nothing in flight holds its record in the engine, a socket, and a channel with
//     a subscription for each topic. No goroutine, no buffer, no timer, nothing of the request.
//  2. The event loop takes frames apart and answers pings and the heartbeat in place. All application
//     code runs on the shared workers.
//  3. Messages of one connection are handled one at a time, in order, whatever their topics, and
//     answered before the client's Close frame is. What a channel's methods send leaves in the order
//     of the calls. A broadcast that a channel makes reaches its own client before a reply that it
//     makes afterwards.
//  4. A panic in a channel ends that channel, with phx_error, and nothing else.
//  5. A client that does not read is not waited for: see [SlowConsumer].
//
// The wire is that of Phoenix 1.8. Comments cite sections of PHOENIX_PROTOCOL.md, beside this file.
package server
