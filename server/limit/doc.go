// Package limit decides who may come in and how often: connections in all and by address, new
// connections and joins a second, messages a second. It knows no socket and no protocol, reads no
// clock and starts no goroutine; it answers with a [Refusal], which says what to tell the client.
//
//	c, err := limit.NewConnections(config)
//	slot, refusal := c.Open(addr, now)     // at the accept, or when a proxy has told the address
//	refusal = c.Join(slot, now)            // each join
//	wait, ok := meter.Allow(&rate, now)    // each message: a SmallMeter in the connection
//	c.Close(&slot, now)                    // once; a second call does nothing
//
// # Promises
//
//  1. A zero limit is no limit, and what is not limited costs nothing: no entry, no lock.
//  2. Counts are right. An address that has a connection open is never forgotten, so no count goes
//     below zero or stays above it, whoever attacks. Connections never exceeds a maximum, not by one
//     and not for a moment.
//  3. Memory is bounded by the configuration, not by how many addresses come: at most Max entries
//     with a connection plus Remembered without, 32 bytes each and 4 to 8 for finding it. A table in
//     use has 64 chunks of 4 KiB at least. A refused attempt leaves nothing behind.
//  4. What goes at the bound is the rate of an address that has no connection open, the one that was
//     left longest ago first. It errs to letting in: that address gets a full burst again. Under
//     that strain, and when a limit in all refuses, addresses that are not known are also limited by
//     the networks that they are in ([Config.Networks]), in fixed memory; those that are known, with
//     a connection open or left a moment ago, are not.
//  5. Nobody can choose addresses that meet in one place of the table: it hashes with a secret.
//  6. One address cannot use up what is for all: its own limits, and those of its networks, are
//     looked at first, and a refused attempt is not charged to a limit that comes after, nor to its
//     address.
//  7. Every refusal is counted, by the name of the limit.
//
// # Clock
//
// now is the time since a moment that the caller chose once, of a clock that does not go back, such
// as time.Since(start). It must not be negative.
//
// # Memory of a connection
//
// A [Slot] is 4 bytes and finds the entry of its address without the address. A [SmallMeter] is 4
// bytes: a connection with limits on its joins, on its messages and by address spends 12 bytes.
//
// # Who may call
//
// [Connections], [Meter] and [Counters]: any goroutine. [SmallMeter] and [Slot]: one at a time, the
// one that owns the connection. No call blocks, other than on a lock that is held for a search in a
// table.
package limit
