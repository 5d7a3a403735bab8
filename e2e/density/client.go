package main

import (
	"bytes"
	"fmt"
	"io"
	"net"
	"time"

	"golang.org/x/sync/errgroup"
)

// dialers is how many connections are opened at once.
const dialers = 32

// slope measures one server and returns bytes for each connection.
func slope(binary, engine string, joined bool, from, to int, collect bool) (float64, error) {
	p, err := start(binary, engine)
	if err != nil {
		return 0, err
	}
	defer p.stop()
	conns := make([]net.Conn, to)
	defer func() {
		for _, c := range conns {
			if c != nil {
				c.Close()
			}
		}
	}()
	var at [2]int64
	for i, part := range [][]net.Conn{conns[:from], conns[from:]} {
		if err := open(p.addr, part, joined); err != nil {
			return 0, err
		}
		if collect {
			if err := p.collect(); err != nil {
				return 0, err
			}
		}
		if at[i], err = p.resident(); err != nil {
			return 0, err
		}
	}
	return float64(at[1]-at[0]) / float64(to-from), nil
}

// open fills conns.
func open(addr string, conns []net.Conn, joined bool) error {
	var g errgroup.Group
	g.SetLimit(dialers)
	for i := range conns {
		g.Go(func() (err error) {
			conns[i], err = connect(addr, joined)
			return err
		})
	}
	return g.Wait()
}

const upgrade = "GET /socket/websocket?vsn=2.0.0 HTTP/1.1\r\nHost: %s\r\nConnection: Upgrade\r\n" +
	"Upgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"

// connect opens one connection and leaves it idle.
func connect(addr string, joined bool) (net.Conn, error) {
	c, err := net.Dial("tcp", addr)
	if err != nil {
		return nil, err
	}
	_ = c.SetDeadline(time.Now().Add(30 * time.Second))
	err = handshake(c, addr)
	if err == nil && joined {
		err = join(c)
	}
	if err != nil {
		c.Close()
		return nil, err
	}
	_ = c.SetDeadline(time.Time{})
	return c, nil
}

func handshake(c net.Conn, addr string) error {
	if _, err := fmt.Fprintf(c, upgrade, addr); err != nil {
		return err
	}
	var got []byte
	for buf := make([]byte, 512); !bytes.HasSuffix(got, []byte("\r\n\r\n")); {
		n, err := c.Read(buf)
		if err != nil {
			return fmt.Errorf("handshake: %w", err)
		}
		got = append(got, buf[:n]...)
	}
	if !bytes.HasPrefix(got, []byte("HTTP/1.1 101 ")) {
		return fmt.Errorf("handshake: %q", got)
	}
	return nil
}

// join joins the topic of the chat: one frame masked with zeros, and its reply.
func join(c net.Conn) error {
	const message = `["3","3","rooms:lobby","phx_join",{}]`
	const reply = `["3","3","rooms:lobby","phx_reply",{"status":"ok","response":{}}]`
	out := append([]byte{0x81, 0x80 | byte(len(message)), 0, 0, 0, 0}, message...)
	if _, err := c.Write(out); err != nil {
		return err
	}
	in := make([]byte, 2+len(reply))
	if _, err := io.ReadFull(c, in); err != nil {
		return fmt.Errorf("join: %w", err)
	}
	if string(in[2:]) != reply {
		return fmt.Errorf("join: the server answered %q", in[2:])
	}
	return nil
}
