// In-package: a handshake is ended in the middle of OnData.
package bench

import (
	"crypto/tls"
	"testing"

	"github.com/dormouse-ws/dormouse/poller"
)

// A closedConn is a connection that was reset, and whose OnClose is yet to come.
type closedConn struct{ poller.Conn }

func (closedConn) Write([]byte) error { return poller.ErrClosed }

// TestTLSLinkDataBehindTheEnd has what came before a reset handled after the handshake was told of it.
func TestTLSLinkDataBehindTheEnd(t *testing.T) {
	seen := &tlsSeen{closed: make(chan error, 1)}
	l := newTLSLink(&tls.Config{ServerName: "x.example"}, &handshakeQueue{}, seen, func(error) {})
	seen.link, l.conn = l, closedConn{}
	l.handshake()
	if n := l.OnData(l.conn, []byte("x")); n != 1 {
		t.Errorf("it took %d bytes", n)
	}
	l.OnClose(l.conn, nil)
	receive(t, seen.closed)
}
