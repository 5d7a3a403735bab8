// Package proxy finds out who the client is behind proxies: from a PROXY protocol header, version 1
// or 2, at the beginning of a connection ([Parse]), or from the X-Forwarded-For or Forwarded field of
// a request ([Trusted.ClientAddr], [Trusted.Forwarded]). It is functions of bytes: it does no I/O,
// keeps no state and starts no goroutine.
//
// # Promises
//
//  1. Nobody is believed who is not listed. The zero [Trusted] trusts nobody. Fields are read from
//     the right, where the nearest proxy wrote, through listed addresses only: what the first address
//     that is not listed has sent is never looked at.
//  2. What cannot be read ends the search, and the nearest address that is known is the client:
//     garbage never leads to an address that the client chose, nor to none.
//  3. [Parse] is a pure function of the beginning of a connection. Its verdict over the first n bytes
//     is the one over more, so it does not matter how they were cut; [ErrMore] is the only answer
//     that more bytes change.
//  4. All is bounded: a header of version 1 has 107 bytes at most, of version 2 [MaxSize]; a field may
//     be of any length, of which 64 elements of 256 bytes are looked at.
//  5. What is well-formed is read without allocation, but for the two addresses of a v1 line.
//
// # What a receiver must configure
//
// The PROXY protocol must not be guessed (section 2 of its specification, "MUST not try to guess
// whether the protocol header is present or not"): a listener has it or has not, and one that has it
// must be reached by proxies only. Ask [Trusted.Contains] for the peer before Parse, and close the
// connection if it is not listed.
//
// Of the two fields choose the one that the proxies write. A proxy that writes one hands the other on
// as the client sent it.
//
// The specification is https://www.haproxy.org/download/3.2/doc/proxy-protocol.txt, of 2020/03/05.
package proxy
