package conformance_test

import (
	"bytes"
	"context"
	"fmt"
	"math/rand/v2"
	"testing"

	coder "github.com/coder/websocket"
	gorilla "github.com/gorilla/websocket"
)

// A client is an independent implementation of RFC 6455.
type client interface {
	write(text bool, data []byte) error
	read() (text bool, data []byte, err error)
	close() error
}

var clients = map[string]func(t *testing.T, url string, compress bool) client{
	"gorilla": dialGorilla,
	"coder":   dialCoder,
}

type gorillaClient struct{ c *gorilla.Conn }

func dialGorilla(t *testing.T, url string, compress bool) client {
	t.Helper()
	d := gorilla.Dialer{EnableCompression: compress, HandshakeTimeout: patience}
	c, _, err := d.Dial(url, nil)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	return gorillaClient{c}
}

func (g gorillaClient) write(text bool, data []byte) error {
	if text {
		return g.c.WriteMessage(gorilla.TextMessage, data)
	}
	return g.c.WriteMessage(gorilla.BinaryMessage, data)
}

func (g gorillaClient) read() (bool, []byte, error) {
	kind, data, err := g.c.ReadMessage()
	return kind == gorilla.TextMessage, data, err
}

func (g gorillaClient) close() error {
	err := g.c.WriteMessage(gorilla.CloseMessage, gorilla.FormatCloseMessage(1000, "bye"))
	if err != nil {
		return err
	}
	if _, _, err := g.c.ReadMessage(); !gorilla.IsCloseError(err, 1000) {
		return fmt.Errorf("want close 1000, got %v", err)
	}
	return nil
}

type coderClient struct{ c *coder.Conn }

func dialCoder(t *testing.T, url string, compress bool) client {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	o := &coder.DialOptions{CompressionMode: coder.CompressionDisabled}
	if compress {
		o.CompressionMode = coder.CompressionNoContextTakeover
		o.CompressionThreshold = 1
	}
	c, _, err := coder.Dial(ctx, url, o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.CloseNow() })
	c.SetReadLimit(-1)
	return coderClient{c}
}

func (c coderClient) write(text bool, data []byte) error {
	kind := coder.MessageBinary
	if text {
		kind = coder.MessageText
	}
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	return c.c.Write(ctx, kind, data)
}

func (c coderClient) read() (bool, []byte, error) {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	kind, data, err := c.c.Read(ctx)
	return kind == coder.MessageText, data, err
}

func (c coderClient) close() error { return c.c.Close(coder.StatusNormalClosure, "bye") }

// echoes writes a message and reads it back.
func echoes(c client, text bool, data []byte) error {
	if err := c.write(text, data); err != nil {
		return err
	}
	gotText, got, err := c.read()
	switch {
	case err != nil:
		return err
	case gotText != text:
		return fmt.Errorf("text %v came back as text %v", text, gotText)
	case !bytes.Equal(got, data):
		return fmt.Errorf("%d bytes came back as %d, %s as %s%s", len(data), len(got), short(data), short(got), difference(got, data))
	}
	return nil
}

func sizes() []int {
	s := []int{0, 1, 2, 7, 124, 125, 126, 127, 128, 65534, 65535, 65536, 65537, 1 << 20}
	if !testing.Short() {
		s = append(s, 8<<20)
	}
	return s
}

// payload is random, and valid as text if it has to be.
func payload(r *rand.Rand, text bool, n int) []byte {
	b := make([]byte, n)
	for i := range b {
		if b[i] = byte(r.Uint32()); text {
			b[i] &= 0x7f
		}
	}
	return b
}

// TestEcho: section 5.6 with every form of length, by clients that others wrote.
func TestEcho(t *testing.T) {
	onEngines(t, func(t *testing.T, engine string) {
		for _, compress := range []bool{false, true} {
			p := startEcho(t, engine, fmt.Sprintf("-compress=%v", compress))
			for name, dial := range clients {
				t.Run(fmt.Sprintf("%s compress=%v", name, compress), func(t *testing.T) {
					c := dial(t, "ws://"+p.addr+"/", compress)
					r := rand.New(rand.NewPCG(1, 2))
					for _, n := range sizes() {
						for _, text := range []bool{true, false} {
							if err := echoes(c, text, payload(r, text, n)); err != nil {
								t.Fatalf("text %v of %d bytes: %v", text, n, err)
							}
						}
					}
					if err := c.close(); err != nil {
						t.Error(err)
					}
				})
			}
		}
	})
}
