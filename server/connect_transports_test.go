package server_test

import (
	"fmt"
	"io"
	"net/http"
	"testing"

	"github.com/coder/websocket"
	"github.com/dormouse-ws/dormouse/server"
	"github.com/dormouse-ws/dormouse/server/servertest"
)

// An asking is what a Connect was asked with.
type asking struct {
	params map[string]string
	token  string // "-" for none
}

// Sections 1.5 and 1.6: the connect hook and the auth token are the same on both transports, but for how the token
// comes and how a refusal looks.
func TestConnectOnBothTransports(t *testing.T) {
	const token = "base64url.bearer.phx.c2VjcmV0" // "secret"
	for _, row := range []struct {
		name     string
		auth     bool
		decide   func() error
		header   http.Header // of long-poll
		offer    []string    // of WebSocket
		token    string
		accepted bool
		status   int // of WebSocket's refusal
	}{
		{"1.5: a token", true, nil, http.Header{"X-Phoenix-Authtoken": {"secret"}}, []string{"phoenix", token}, "secret", true, 0},
		{"1.5: no token", true, nil, nil, nil, "-", true, 0},
		{"1.5: a token that the mount does not ask for", false, nil, http.Header{"X-Phoenix-Authtoken": {"secret"}}, nil, "-", true, 0},
		{"1.6: refused without a reason", false, func() error { return server.ErrRefused }, nil, nil, "-", false, 403},
		{"1.6: refused with a reason: no error_handler for long-poll", false, func() error { return errBusy }, nil, nil, "-", false, 429},
		{"1.6: anything else", false, func() error { panic("connect") }, nil, nil, "-", false, 403},
	} {
		t.Run(row.name, func(t *testing.T) {
			asked := make(chan asking, 2)
			cfg := connecting(func(c *server.Connect) error {
				s := asking{map[string]string{}, "-"}
				for _, name := range []string{"vsn", "user"} {
					s.params[name] = c.Params.Get(name)
				}
				if c.Info.AuthToken != nil {
					s.token = *c.Info.AuthToken
				}
				asked <- s
				if row.decide != nil {
					return row.decide()
				}
				return nil
			})
			k := cfg.Sockets[0]
			k.AuthToken, k.LongPoll = row.auth, &server.LongPollOptions{}
			k.WebSocket.ErrorHandler = func(err error) (int, string) {
				if err == errBusy {
					return 429, ""
				}
				return 403, ""
			}
			srv := servertest.Start(t, cfg)
			checkAsked := func(transport string) {
				t.Helper()
				s := await(t, asked, "Connect")
				if s.token != row.token || s.params["vsn"] != "2.0.0" || s.params["user"] != "jo" {
					t.Errorf("%s: Connect was asked with %+v", transport, s)
				}
			}
			conn, resp, err := websocket.Dial(t.Context(), srv.URL(wsPath+"?user=jo"), &websocket.DialOptions{Subprotocols: row.offer})
			if err == nil {
				_ = conn.CloseNow()
			}
			if (err == nil) != row.accepted || err != nil && resp.StatusCode != row.status {
				t.Errorf("websocket: %v", err)
			}
			checkAsked("websocket")
			if status := openStatus(t, srv, row.header); (status == 410) != row.accepted || !row.accepted && status != 403 {
				t.Errorf("longpoll: status %d", status)
			}
			checkAsked("longpoll")
		})
	}
}

// openStatus opens a session of the long-poll transport and returns the status in the body.
func openStatus(t *testing.T, srv *servertest.Server, header http.Header) (status int) {
	t.Helper()
	req, err := http.NewRequest("GET", "http://"+srv.Addr()+lpPath+"&user=jo", nil)
	if err != nil {
		t.Fatal(err)
	}
	req.Header, req.Close = header, true
	if req.Header == nil {
		req.Header = http.Header{}
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	body, _ := io.ReadAll(resp.Body)
	if _, err := fmt.Sscanf(string(body), `{"status":%d`, &status); err != nil || resp.StatusCode != 200 {
		t.Fatalf("HTTP %d %s", resp.StatusCode, body)
	}
	return status
}
