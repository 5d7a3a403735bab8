// Package drive drives sockets of a server without a network: a browser's side of Phoenix Channels in the
// server's own process. What a socket sends goes through everything but the kernel: the request head, the
// handshake, frames, serializer, the application's channels, the hub; and what is sent to it through the
// connection's outbox. So a million joined sockets can be looked at on a laptop, whatever its descriptor
// limit, and an application can be tested without ports.
//
// A [Driver] is a server with a door of its own. [Driver.Connect] opens a [Socket] as phoenix.js does,
// [Socket.Join] joins a topic and returns a [Channel], which pushes and leaves. An [Observer] hears what
// comes back; an [Inbox] is one that keeps it to be asked for. A socket without an observer costs 32 bytes
// on this side.
//
// # Promises
//
//  1. A socket holds no goroutine and no buffer, unless the driver is awake.
//  2. What is sent has been handled by the channel when the call returns, on the calling goroutine, and the
//     answer been heard by the observer: a loop of Push is a loop of HandleIn. Where the driver is awake, or
//     somebody else is at work on the socket, workers do it, soon.
//  3. Nothing is sent by itself, no heartbeat either: a socket that is quiet for longer than
//     WebSocketOptions.Timeout is closed by the server.
//
// Protocol version 2 is spoken.
package drive
