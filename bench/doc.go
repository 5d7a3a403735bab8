// Package bench is a load generator for servers that speak Phoenix Channels, or plain WebSocket echo: it
// holds as many sockets as the kernel gives, at a few hundred bytes each, and says what each one costs.
//
// A run is a [Config], carried out by one or more [Generator]s and conducted by [Conduct], which keeps
// them in step, samples the target, merges what they have seen and judges it into a [Result]. Package
// report prints a Result, package agent runs a Generator on another machine, package sample reads memory
// and CPU.
//
// Promises:
//
//  1. No goroutine, timer or buffer for each simulated user: it is a connection of the epoll engine and a
//     record in one slice.
//  2. Load is open-loop: what is sent, and when, does not depend on the answers. A latency counts from the
//     time at which its request was due, not from when it was sent, so that a stall of the target or of
//     the generator is seen by all the requests that it held up (coordinated omission).
//  3. Every delivery is counted, for each message, and what was sent must equal what came: a Result with a
//     difference has failed, and names what is missing.
//  4. Distributions are merged, never averaged.
//  5. A generator watches itself; a Result in which it was the bottleneck is invalid, and says so.
package bench
