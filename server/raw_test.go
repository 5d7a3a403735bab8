package server_test

import (
	"io"
	"net"
	"testing"
	"time"

	"github.com/dormouse-ws/dormouse/server/servertest"
)

// dialTCP connects without a handshake. Each read or write of the connection may take servertest.Patience.
func dialTCP(t testing.TB, addr string) rawConn {
	t.Helper()
	nc, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	return newRawConn(t, nc)
}

// A rawConn is a TCP connection that the test ends. Its deadline bounds what waits for the server, not the test.
type rawConn struct{ *net.TCPConn }

func newRawConn(t testing.TB, nc net.Conn) rawConn {
	t.Cleanup(func() { nc.Close() })
	return rawConn{nc.(*net.TCPConn)}
}

func (c rawConn) Read(b []byte) (int, error) {
	_ = c.SetReadDeadline(time.Now().Add(servertest.Patience))
	return c.TCPConn.Read(b)
}

func (c rawConn) Write(b []byte) (int, error) {
	_ = c.SetWriteDeadline(time.Now().Add(servertest.Patience))
	return c.TCPConn.Write(b)
}

// WriteTo keeps io.Copy from reading past Read.
func (c rawConn) WriteTo(w io.Writer) (int64, error) { return io.Copy(w, struct{ io.Reader }{c}) }

func writeText(t testing.TB, w io.Writer, text string) {
	t.Helper()
	if _, err := io.WriteString(w, text); err != nil {
		t.Fatal(err)
	}
}

func listen(t testing.TB) net.Listener {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	return l
}
