package server_test

import (
	"fmt"
	"io"
	"strings"
	"testing"

	"github.com/dormouse-ws/dormouse/server"
	"github.com/dormouse-ws/dormouse/server/servertest"
)

// A path that the engine and net/http would spell differently is no mount's for either: it is answered once, and its
// connection does not go to and fro between the two.
func TestPathsThatAreNoMounts(t *testing.T) {
	cfg := mount(script{})
	cfg.Sockets[0].Path = "/rooms/:room"
	s := servertest.Start(t, cfg)
	for _, path := range []string{
		`/%72ooms/"/websocket`, `/%72ooms/a b/websocket`, "/%72ooms/\xff/websocket", "/%72ooms/<>/websocket", "/%72ooms/a/websocket",
	} {
		want := "404"
		if strings.Contains(path, " ") {
			want = "400"
		}
		// The second request of a connection is net/http's from the start.
		for _, before := range []string{"", "GET /page HTTP/1.1\r\nHost: x\r\n\r\n"} {
			nc := dialTCP(t, s.Addr())
			writeText(t, nc, before+"GET "+path+" HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
			answers, err := io.ReadAll(struct{ io.Reader }{nc})
			parts := strings.Split(string(answers), "HTTP/1.1 ")
			if last := parts[len(parts)-1]; err != nil || !strings.HasPrefix(last, want) {
				t.Errorf("%q after %q: %q, %v; want %s", path, before, answers, err, want)
			}
		}
	}
}

// Of several lengths each counts: what a proxy in front takes for a body is not the next request here.
func TestSmuggledByTwoLengths(t *testing.T) {
	cfg := mount(script{})
	cfg.Sockets[0].LongPoll = &server.LongPollOptions{}
	s := servertest.Start(t, cfg)
	const smuggled = "GET /page HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"
	upgrade := "Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n"
	for _, row := range []struct{ line, fields string }{
		{"GET /socket/longpoll", ""}, {"OPTIONS /socket/longpoll", ""}, {"POST /socket/longpoll", ""}, {"GET " + wsPath, upgrade},
	} {
		nc := dialTCP(t, s.Addr())
		writeText(t, nc, fmt.Sprintf("%s?vsn=2.0.0 HTTP/1.1\r\nHost: x\r\n%sContent-Length: 0\r\nContent-Length: %d\r\n\r\n%s",
			row.line, row.fields, len(smuggled), smuggled))
		answers, err := io.ReadAll(struct{ io.Reader }{nc})
		if err != nil || !strings.HasPrefix(string(answers), "HTTP/1.1 400 ") || strings.Count(string(answers), "HTTP/1.1 ") != 1 {
			t.Errorf("%s: %q, %v; want 400 and no more", row.line, answers, err)
		}
	}
}
