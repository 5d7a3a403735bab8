package server_test

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"

	"github.com/dormouse-ws/dormouse/poller"
	"github.com/dormouse-ws/dormouse/server"
	"github.com/dormouse-ws/dormouse/server/servertest"
)

// rawRequest sends a request as it is written here and returns all that comes back; it ends in one that closes.
func rawRequest(t *testing.T, addr, text string) string {
	t.Helper()
	nc := dialTCP(t, addr)
	writeText(t, nc, text)
	b, err := io.ReadAll(nc)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

const join1 = `["1","1","room:1","phx_join",{}]`

// A wireRow is a request and what its answer has. TOKEN stands for that of a session of its own; after says what
// the session answers to a POST behind it: 200 if it lives.
type wireRow struct {
	name, method, path, header, body string
	status                           int
	want                             string
	after                            int
}

func wireRows() []wireRow {
	const post, nd = "POST", "Content-Type: application/x-ndjson\r\n"
	withToken := lpPath + "&token=TOKEN"
	sized := func(header, body string) string { return fmt.Sprintf("%sContent-Length: %d\r\n", header, len(body)) }
	inChunks := "1;a=b\r\n[\r\n" + fmt.Sprintf("%x\r\n%s\r\n0\r\nX-Trailer: y\r\n\r\n", len(join1)-1, join1[1:])
	return []wireRow{
		{"5.1: other methods", "PUT", lpPath, "", "", 400, "\r\n\r\n", 200},
		{"5.1: HEAD has no body", "HEAD", lpPath, "", "", 400, "Content-Length: 0\r\n", 200},
		{"5.1: a GET with a body", "GET", lpPath, "Content-Length: 2\r\n", "{}", 400, "", 200},
		{"5.1: every answer may be read by any page", "PUT", lpPath, "", "", 400, "Access-Control-Allow-Origin: *\r\n", 200},
		{"5.1: JSON is not stored", "GET", lpPath, "", "", 200, "Content-Type: application/json; charset=utf-8\r\nCache-Control: no-store\r\n", 200},
		{"5.1: the token's header wins", post, withToken, "X-Phoenix-Longpoll-Token: x\r\nContent-Length: 0\r\n", "", 200, `{"status":410}`, 200},
		{"5.1: an empty header wins too", post, withToken, "X-Phoenix-Longpoll-Token:\r\nContent-Length: 0\r\n", "", 200, `{"status":410}`, 200},
		{"5.1: the token in its header", post, lpPath, sized("X-Phoenix-Longpoll-Token: TOKEN\r\n", join1), join1, 200, `{"status":200}`, 200},
		{"5.2: a GET without a token opens", "GET", lpPath + "&", "", "", 200, `{"status":410,"token":"`, 200},
		{"5.2: a GET with a wrong one, too", "GET", lpPath + "&token=" + strings.Repeat("A", 54), "", "", 200, `{"status":410,"token":"`, 200},
		{"5.2: and with a huge one", "GET", lpPath + "&token=" + strings.Repeat("A", 7000), "", "", 200, `{"status":410,"token":"`, 200},
		{"5.2: version", "GET", "/socket/longpoll?vsn=3.0.0", "", "", 200, `{"status":403}`, 200},
		{"5.2: refused by Connect", "GET", lpPath + "&refuse=1", "", "", 200, `{"status":403}`, 200},
		{"1.4: origin", "GET", lpPath, "Origin: https://evil.example\r\n", "", 200, `{"status":403}`, 200},
		{"1.4: origin of a POST", post, withToken, sized("Origin: https://evil.example\r\n", join1), join1, 200, `{"status":403}`, 200},
		{"1.4: origin allowed", "GET", lpPath, "Origin: https://example.com\r\n", "", 200, `{"status":410,"token":"`, 200},
		{"1.1: query", "GET", lpPath + "&a=%ff", "", "", 400, "", 200},
		{"5.4: no session", post, lpPath, "Content-Length: 2\r\n", "{}", 200, `{"status":410}`, 200},
		{"5.4: no session and no body", post, lpPath, "", "", 200, `{"status":410}`, 200},
		{"5.4: one message", post, withToken, sized("", join1), join1, 200, `{"status":200}`, 200},
		{"5.4: a type with parameters is one message", post, withToken, sized("Content-Type: application/x-ndjson; charset=utf-8\r\n", join1), join1, 200, `{"status":200}`, 200},
		{"5.4: bad base64 harms nothing", post, withToken, sized(nd, "!"), "!", 500, "", 200},
		{"5.4: V1 in ndjson is bad base64", post, withToken, sized(nd, "{}"), "{}", 500, "", 200},
		{"5.4: an empty body is a message that cannot be decoded", post, withToken, "Content-Length: 0\r\n", "", 200, `{"status":408}`, 410},
		{"5.4: no length, no body", post, withToken, "", "", 200, `{"status":408}`, 410},
		{"5.4: a message that is not UTF-8", post, withToken, sized("", "[1,1,\"room:1\",\"phx_join\",\"\xff\"]"), "[1,1,\"room:1\",\"phx_join\",\"\xff\"]", 200, `{"status":408}`, 410},
		{"5.4: a trailing newline", post, withToken, sized(nd, join1+"\r\n"), join1 + "\r\n", 200, `{"status":408}`, 410},
		{"5.4: CRLF", post, withToken, sized(nd, join1+"\r\n"+join1), join1 + "\r\n" + join1, 200, `{"status":200}`, 200},
		{"5.4: too long", post, withToken, "Content-Length: 1001\r\n", "", 400, "", 200},
		{"5.4: too long in chunks", post, withToken, "Transfer-Encoding: chunked\r\n", "3e9\r\n" + strings.Repeat("x", 1001), 400, "", 200},
		{"RFC 9112 7.1: chunks", post, withToken, "Transfer-Encoding: chunked\r\n", inChunks, 200, `{"status":200}`, 200},
		{"RFC 9112 7.1: broken chunks", post, withToken, "Transfer-Encoding: chunked\r\n", "1\r\nxx", 400, "", 200},
		{"RFC 9112 6.1: chunks and a length", post, withToken, "Transfer-Encoding: chunked\r\nContent-Length: 1\r\n", "0\r\n\r\n", 400, "", 200},
		{"RFC 9112 6.1: another coding", post, withToken, "Transfer-Encoding: gzip, chunked\r\n", "", 501, "", 200},
		{"RFC 9112 6.3: bad length", post, withToken, "Content-Length: -1\r\n", "", 400, "", 200},
		{"RFC 9112 6.3: two lengths", post, withToken, "Content-Length: 2\r\nContent-Length: 2\r\n", "{}", 400, "", 200},
		{"RFC 9110 10.1.1: 100-continue", post, withToken, sized("Expect: 100-continue\r\n", join1), join1, 100, "\r\n\r\nHTTP/1.1 200 OK\r\n", 200},
		{"5.7: preflight", "OPTIONS", lpPath, "Origin: https://example.com\r\nAccess-Control-Request-Headers: content-type,x-a\r\n", "", 200,
			"Access-Control-Allow-Headers: content-type,x-a\r\nAccess-Control-Allow-Methods: get, post, options\r\nAccess-Control-Max-Age: 3600\r\n", 200},
		{"5.7: nothing asked for", "OPTIONS", lpPath, "", "", 200, "Access-Control-Allow-Headers: \r\n", 200},
		{"5.7: preflight of another origin", "OPTIONS", lpPath, "Origin: https://evil.example\r\n", "", 200, `{"status":403}`, 200},
	}
}

// Each rule for one request, for a mount whose requests are served on the loop, and for one whose are not.
func TestLongPollWire(t *testing.T) {
	cfg := mount(room)
	k := cfg.Sockets[0]
	k.LongPoll = &server.LongPollOptions{Window: patient, MaxBodyBytes: 1000}
	k.CheckOrigin = server.AllowOrigins("//example.com")
	hooked := *k
	hooked.Path = "/hooked"
	hooked.Connect = func(c *server.Connect) error {
		if c.Params.Get("refuse") != "" {
			return server.ErrRefused
		}
		return nil
	}
	cfg.Sockets = append(cfg.Sockets, &hooked)
	s := servertest.Start(t, cfg)
	for _, base := range []string{"/socket", "/hooked"} {
		for _, row := range wireRows() {
			if base == "/socket" && strings.Contains(row.path, "refuse") {
				continue
			}
			t.Run(base+" "+row.name, func(t *testing.T) {
				c := newLPClient(t, s)
				c.url = strings.Replace(c.url, "/socket", base, 1)
				c.open()
				fill := func(text string) string {
					return strings.ReplaceAll(strings.ReplaceAll(text, "TOKEN", c.token), "/socket", base)
				}
				got := rawRequest(t, s.Addr(), fmt.Sprintf("%s %s HTTP/1.1\r\nHost: a\r\nConnection: close\r\n%s\r\n%s",
					row.method, fill(row.path), fill(row.header), row.body))
				if !strings.HasPrefix(got, fmt.Sprintf("HTTP/1.1 %d ", row.status)) || !strings.Contains(got, row.want) {
					t.Errorf("got %q", got)
				}
				if got := c.do("POST", "", `[null,"9","phoenix","heartbeat",{}]`).Status; got != row.after {
					t.Errorf("POST after it: %d, want %d", got, row.after)
				}
			})
		}
	}
	servertest.Eventually(t, "no poll waits", func() bool { return s.Stats().PollsWaiting == 0 })
}

// RFC 9112 9.3: what HTTP/1.0 and close ask for, and that a connection goes on otherwise, through requests that
// come at once, each answered in its turn.
func TestLongPollConnections(t *testing.T) {
	forEachLongPoll(t, server.LongPollOptions{Window: patient}, func(t *testing.T, s *servertest.Server) {
		c := newLPClient(t, s)
		c.open()
		path := lpPath + "&token=" + c.token
		old := rawRequest(t, s.Addr(), "GET "+lpPath+" HTTP/1.0\r\n\r\n")
		if !strings.Contains(old, "Connection: close\r\n") || !strings.Contains(old, `{"status":410,`) {
			t.Errorf("HTTP/1.0: %q", old)
		}
		post := func(line string) string {
			return fmt.Sprintf("POST %s HTTP/1.1\r\nHost: a\r\nContent-Length: %d\r\n\r\n%s", path, len(line), line)
		}
		get := "GET " + path + " HTTP/1.1\r\nHost: a\r\n\r\n"
		nc := dialTCP(t, s.Addr())
		writeText(t, nc, post(join1)+get+strings.Repeat("OPTIONS "+path+" HTTP/1.1\r\nHost: a\r\n\r\n", 200)+
			post(`["1","2","room:1","echo",{"a":1}]`)+get+post(`["1","3","room:1","ack",{}]`)+get)
		r := bufio.NewReader(nc)
		for _, want := range []string{`{"status":200}`, "phx_reply"} {
			expectAnswer(t, r, want)
		}
		for range 200 {
			expectAnswer(t, r, "")
		}
		for _, want := range []string{`{"status":200}`, `{\"a\":1}`, `{"status":200}`, `\"3\"`} {
			expectAnswer(t, r, want)
		}
	})
}

// expectAnswer reads one answer of a connection and looks for want in its body.
func expectAnswer(t *testing.T, r *bufio.Reader, want string) string {
	t.Helper()
	resp, err := http.ReadResponse(r, nil)
	if err != nil {
		t.Fatalf("for %q: %v", want, err)
	}
	body, err := io.ReadAll(resp.Body)
	if err != nil || resp.StatusCode != 200 || !strings.Contains(string(body), want) {
		t.Fatalf("%d %q, %v; want %q", resp.StatusCode, body, err, want)
	}
	return string(body)
}

// A kept-alive connection goes back and forth between this transport and net/http, bodies and all, however its
// requests are cut.
func TestLongPollBesideHTTP(t *testing.T) {
	for _, engine := range poller.Names() {
		t.Run(engine, func(t *testing.T) {
			cfg := mount(room)
			cfg.Engine = engine
			cfg.Sockets[0].LongPoll = &server.LongPollOptions{Window: patient}
			cfg.HTTP = http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, "a page") })
			s := servertest.Start(t, cfg)
			c := newLPClient(t, s)
			c.open()
			path := lpPath + "&token=" + c.token
			const page = "GET /page HTTP/1.1\r\nHost: a\r\n\r\n"
			post := fmt.Sprintf("POST %s HTTP/1.1\r\nHost: a\r\nContent-Length: %d\r\n\r\n%s", path, len(join1), join1)
			chunks := fmt.Sprintf("POST %s HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n%x\r\n%s\r\n0\r\n\r\n", path, len(join1), join1)
			get := "GET " + path + " HTTP/1.1\r\nHost: a\r\n\r\n"
			if engine == "netpoll" { // it takes no connection back
				got := rawRequest(t, s.Addr(), page+post)
				if !strings.Contains(got, "a page") || !strings.Contains(got, "HTTP/1.1 503 ") {
					t.Errorf("%q", got)
				}
				got = rawRequest(t, s.Addr(), post+get+"GET /page HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
				if !strings.Contains(got, "phx_reply") || !strings.HasSuffix(got, "a page") {
					t.Errorf("%q", got)
				}
				return
			}
			all := strings.Repeat(page+post+get+page+page+chunks+get, 3)
			for _, step := range []int{len(all), 1, 7, 100} {
				converse(t, s.Addr(), all, step, 3)
			}
		})
	}
}

// converse sends text in pieces of so many bytes and reads the answers to it, which are repeated so often.
func converse(t *testing.T, addr, text string, step, times int) {
	t.Helper()
	nc := dialTCP(t, addr)
	_ = nc.SetNoDelay(true)
	go func(w net.Conn) {
		for len(text) > 0 {
			n := min(step, len(text))
			if _, err := w.Write([]byte(text[:n])); err != nil {
				return
			}
			text = text[n:]
		}
	}(nc)
	r := bufio.NewReader(nc)
	for range times {
		for _, want := range []string{"a page", `{"status":200}`, "phx_reply", "a page", "a page", `{"status":200}`, "phx_"} {
			expectAnswer(t, r, want)
		}
	}
}

// A client that sends requests and reads no answers is cut off; no answer is left out, for the next would be
// taken for it.
func TestLongPollAnswersAreNotRead(t *testing.T) {
	cfg := mount(room)
	cfg.Poller.OutboxLimit = 4 << 10
	cfg.Sockets[0].LongPoll = &server.LongPollOptions{Window: patient}
	s := servertest.Start(t, cfg)
	nc := dialTCP(t, s.Addr())
	_ = nc.SetReadBuffer(4 << 10)
	requests := strings.Repeat("OPTIONS "+lpPath+" HTTP/1.1\r\nHost: a\r\nAccess-Control-Request-Headers: "+strings.Repeat("x", 4000)+"\r\n\r\n", 16)
	sent := 0
	for s.Stats().Engine.SlowConsumers == 0 {
		if _, err := nc.Write([]byte(requests)); err != nil {
			break
		}
		if sent += 16; sent > 100_000 {
			t.Fatal("400 MB of answers are waiting somewhere")
		}
	}
	servertest.Eventually(t, "the client is cut off", func() bool { return s.Stats().Engine.SlowConsumers == 1 })
}

// lpMessages are the messages of an answer's body.
func lpMessages(t *testing.T, body string) lpAnswer {
	t.Helper()
	var a lpAnswer
	if err := json.Unmarshal([]byte(body), &a); err != nil {
		t.Fatalf("%q: %v", body, err)
	}
	return a
}
