// Package tuning finds what on a Linux host stops a server or a load generator short of the connections
// that it is meant to hold, and changes what it may.
//
// It is a table of checks. [Checks] has a row for each setting: why it matters, where that is written, what
// is wanted for a [Goal] and the arithmetic behind the number, and what advice about it is wrong.
// [Examine] holds the table against a [Host], which is this machine or a recording of another one, and
// returns a [Report]: the findings, worst first, a [Prediction] of the memory that is needed, and how many
// connections the host can hold as it is. [Fragments] writes the settings as configuration files; [Apply]
// makes them, saves what it found, and [Revert] puts that back.
//
// # Promises
//
//  1. Looking changes nothing. Only Apply and Revert write, and each says line by line what it did.
//  2. Apply never lowers what is higher already, and doing it twice is doing it once. A switch, of which no value
//     is more than another, it sets: as tcp_syncookies, tcp_tw_reuse and those below /sys.
//  3. Before the first change, what was found is on disk: after a failure half way, or a kill, Revert undoes
//     what was done. A value that somebody else has changed since is left as it is, and named.
//  4. What cannot be read is said to be unread. It is never taken for good.
//  5. A number that is wanted has its arithmetic and its source beside it.
//
// All functions may be called from any goroutine. The package imports nothing of this module, so that it
// works where the server does not.
package tuning
