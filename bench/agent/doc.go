// Package agent runs a load generator on another machine: [Serve] there, [Remote] where the run is
// conducted.
//
// What travels is HTTP/1.1 with JSON. A conductor asks for the time a few times (GET /clock), then posts a
// run (POST /runs), whose response is a line for each thing that the generator says, as long as the run
// takes; what it says to the generator meanwhile it posts to /runs/{id}. An agent on the target's machine
// tells what it sees of the target (GET /look).
//
// Promises:
//
//  1. An agent does nothing for who does not know its token, and listens on loopback only if it has none.
//     The token is sent in the clear: let agents listen in a network that you trust, or through ssh -L.
//  2. It connects to no target that its operator has not allowed. All that a name stands for must be
//     allowed, when the run is accepted and again when the generator looks it up, once for the run.
//  3. One run at a time, and none without its conductor: when that has gone, or says nothing for
//     aliveLimit, the run ends. So it does after [Options].MaxRun.
//  4. What the other side sends is checked and bounded: a request at maxRequest, a line at maxLine.
package agent
