// In-package: what a default is, only the server knows.
package server

import (
	"testing"
	"time"
)

// Sections 0.2 and 1.8: whatever a mount leaves out is as Phoenix has it.
func TestDefaults(t *testing.T) {
	s, err := New(Config{Sockets: []*Socket{{Path: "/socket", LongPoll: &LongPollOptions{}}}})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = s.Shutdown(t.Context()) }()
	if len(s.routes) != 2 {
		t.Fatalf("%d mounts, want WebSocket and long-poll", len(s.routes))
	}
	ws, lp := s.routes[0], s.routes[1]
	var none Socket
	for _, row := range []struct {
		name      string
		got, want any
	}{
		{"0.2: WebSocket path", ws.pattern, "/socket/websocket"},
		{"0.2: long-poll path", lp.pattern, "/socket/longpoll"},
		{"0.2: WebSocket idle timeout", ws.options.Timeout, 60 * time.Second},
		{"0.2: WebSocket max frame", ws.options.MaxFrameSize, int64(10_000_000)},
		{"0.2: max channels per transport", ws.app.(*socketApp).max, 100},
		{"0.2: long-poll window", lp.poll.Window, 10 * time.Second},
		{"0.2: long-poll body", lp.poll.MaxBodyBytes, 8_000_000},
		{"0.2: long-poll token lifetime", lp.poll.TokenMaxAge, 14 * 24 * time.Hour},
		{"1.8: compress", ws.options.Compress, false},
		{"1.8: subprotocols", len(ws.options.Subprotocols), 0},
		{"1.8: error_handler", ws.options.ErrorHandler == nil, true},
		{"1.8: auth_token", ws.authToken, false},
		{"1.8: connect_info", none.ConnectInfo.Custom == nil, true},
		{"1.1: long-poll is off", none.LongPoll == nil, true},
	} {
		if row.got != row.want {
			t.Errorf("%s: %v, want %v", row.name, row.got, row.want)
		}
	}
}
