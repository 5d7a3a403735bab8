// Package agent runs a load generator on another machine: [Serve] there, [Remote] where the run is
// conducted.
//
// What travels is HTTP/1.1 with JSON. A conductor asks for the time a few times (GET /clock), then posts a
// run (POST /runs), whose response is a line for each thing that the generator says, as long as the run
// takes; what it says to the generator meanwhile it posts to /runs/{id}.
//
// Promises:
//
//  1. An agent does nothing for who does not know its token, and listens on loopback only if it has none.
//     The token is sent in the clear: let agents listen in a network that you trust, or through ssh -L.
//  2. It connects to no target that its operator has not allowed. It looks a name up before the run, and all
//     that the name stands for must be allowed; the generator looks it up again, so who can change what
//     the name stands for in between can direct load at an address that is not. Allow addresses, not names,
//     where that matters.
//  3. One run at a time, and none without its conductor: when that has gone, or says nothing for
//     aliveLimit, the run ends. So it does after [Options].MaxRun.
//  4. Nothing that the other side sends takes more memory than its limit.
package agent
