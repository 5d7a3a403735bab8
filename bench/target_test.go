package bench

import (
	"bufio"
	"context"
	"encoding/base64"
	"net/http"
	"net/netip"
	"slices"
	"strings"
	"testing"
)

func TestNewTarget(t *testing.T) {
	for _, row := range []struct {
		name     string
		protocol Protocol
		url      string
		host     string
		path     string
		lookUp   string
		port     uint16
		wss      bool
	}{
		{"no path", Phoenix, "ws://localhost:4000", "localhost:4000", "/socket/websocket?vsn=2.0.0", "localhost", 4000, false},
		{"root path", Phoenix, "ws://localhost:4000/", "localhost:4000", "/socket/websocket?vsn=2.0.0", "localhost", 4000, false},
		{"mount", Phoenix, "ws://h/live", "h", "/live/websocket?vsn=2.0.0", "h", 80, false},
		{"mount with slash", Phoenix, "ws://h/live/", "h", "/live/websocket?vsn=2.0.0", "h", 80, false},
		{"whole path", Phoenix, "ws://h/socket/websocket", "h", "/socket/websocket?vsn=2.0.0", "h", 80, false},
		{"params", Phoenix, "ws://h/socket?token=a%20b", "h", "/socket/websocket?token=a%20b&vsn=2.0.0", "h", 80, false},
		{"own version", Phoenix, "ws://h/?vsn=2.0.0&a=b", "h", "/socket/websocket?vsn=2.0.0&a=b", "h", 80, false},
		{"own version, escaped", Phoenix, "ws://h?v%73n=2%2E0.0", "h", "/socket/websocket?v%73n=2%2E0.0", "h", 80, false},
		{"not a version", Phoenix, "ws://h?avsn=1.0.0", "h", "/socket/websocket?avsn=1.0.0&vsn=2.0.0", "h", 80, false},
		{"space in the query", Phoenix, "ws://h?a= b", "h", "/socket/websocket?a=%20b&vsn=2.0.0", "h", 80, false},
		{"plain", WebSocket, "ws://h:9001", "h:9001", "/", "h", 9001, false},
		{"plain with path", WebSocket, "ws://h/echo?x=ü", "h", "/echo?x=%C3%BC", "h", 80, false},
		{"plain, any version", WebSocket, "ws://h/?vsn=1", "h", "/?vsn=1", "h", 80, false},
		{"path with escapes", WebSocket, "ws://h/a%2Fb", "h", "/a%2Fb", "h", 80, false},
		{"path without escapes", WebSocket, "ws://h/a b", "h", "/a%20b", "h", 80, false},
		{"standard port", WebSocket, "ws://h:80/", "h", "/", "h", 80, false},
		{"wss", WebSocket, "WSS://Example.org/", "Example.org", "/", "Example.org", 443, true},
		{"wss, its port", WebSocket, "wss://h:443", "h", "/", "h", 443, true},
		{"wss, port of ws", WebSocket, "wss://h:80", "h:80", "/", "h", 80, true},
		{"IPv6", WebSocket, "ws://[::1]:4000/", "[::1]:4000", "/", "::1", 4000, false},
		{"IPv6 zone", WebSocket, "ws://[fe80::1%25eth0]/", "[fe80::1]", "/", "fe80::1%eth0", 80, false},
	} {
		tg, err := newTarget(&Config{Protocol: row.protocol}, row.url)
		if err != nil {
			t.Errorf("%s: %v", row.name, err)
			continue
		}
		if tg.url != row.url || tg.host != row.host || tg.path != row.path || tg.name != row.lookUp || tg.port != row.port || (tg.tls != nil) != row.wss {
			t.Errorf("%s: got %+v, want %+v", row.name, tg, row)
		}
	}
}

func TestNewTargetErrors(t *testing.T) {
	for _, row := range []struct{ url, says string }{
		{"", "does not begin with ws://"},
		{"localhost:4000", "does not begin with ws://"},
		{"127.0.0.1:4000", "does not begin with ws://"},
		{"http://localhost", "does not begin with ws://"},
		{"ws://", "names no host"},
		{"ws://:4000", "names no host"},
		{"ws://me:secret@h/", "--header"},
		{"http://me:secret@h/", "does not begin with ws://"},
		{"ws://me:secret@h/%zz", "%zz"},
		{"ws://me:secret@h:a/", "invalid port"},
		{"ws://h/#part", "fragment"},
		{"ws://h/#", "fragment"},
		{"ws://h:0/", "port 0"},
		{"ws://h:65536/", "65536"},
		{"ws://h:a/", "invalid port"},
		{"ws://bücher.example/", "ASCII"},
		{"ws://h/%zz", "%zz"},
		{"ws://h/\n", "control character"},
		{"ws://h/?vsn=1.0.0", `version "1.0.0"`},
		{"ws://h/?vsn=2.0.0&vsn=1.0.0", `version "1.0.0"`},
		{"ws://h/?vsn", `version ""`},
	} {
		_, err := newTarget(&Config{Protocol: Phoenix}, row.url)
		if err == nil || !strings.Contains(err.Error(), row.says) || strings.Contains(err.Error(), "secret") {
			t.Errorf("%q: got the error %v, want one that says %q, and no password", row.url, err, row.says)
		}
	}
}

func TestTargetHeader(t *testing.T) {
	for _, row := range []struct {
		line, name, value, says string
	}{
		{"Origin: http://a", "Origin", "http://a", ""},
		{"origin:http://a \t", "Origin", "http://a", ""},
		{"X-Empty:", "X-Empty", "", ""},
		{"Host: other:1", "Host", "other:1", ""},
		{"user-agent: me", "User-Agent", "me", ""},
		{"no colon", "", "", "name and a value"},
		{": no name", "", "", "name and a value"},
		{"Bad Name: x", "", "", "name and a value"},
		{"Näme: x", "", "", "name and a value"},
		{"X: a\r\nY: b", "", "", "control"},
		{"X: a\x00", "", "", "control"},
		{"Upgrade: h2c", "", "", "belongs to the upgrade"},
		{"SEC-WEBSOCKET-KEY: x", "", "", "belongs to the upgrade"},
		{"Content-Length: 1", "", "", "belongs to the upgrade"},
	} {
		tg, err := newTarget(&Config{Protocol: Phoenix, Header: []string{row.line}}, "ws://h")
		if row.says != "" {
			if err == nil || !strings.Contains(err.Error(), row.says) || !strings.Contains(err.Error(), "--header") {
				t.Errorf("%q: got the error %v, want one that says %q", row.line, err, row.says)
			}
			continue
		}
		if err != nil {
			t.Errorf("%q: %v", row.line, err)
			continue
		}
		req := readRequest(t, tg.appendUpgrade(nil, upgradeKey(1, 2, 3)))
		got := req.Header.Get(row.name)
		if row.name == "Host" {
			got = req.Host
		}
		if got != row.value {
			t.Errorf("%q: %s is %q", row.line, row.name, got)
		}
	}
}

func readRequest(t *testing.T, wire []byte) *http.Request {
	t.Helper()
	r := bufio.NewReader(strings.NewReader(string(wire)))
	req, err := http.ReadRequest(r)
	if err != nil {
		t.Fatalf("%q: %v", wire, err)
	}
	if r.Buffered() != 0 {
		t.Errorf("%d bytes behind the request", r.Buffered())
	}
	return req
}

func TestAppendUpgrade(t *testing.T) {
	tg, err := newTarget(&Config{Protocol: Phoenix}, "ws://localhost:4000/socket?token=x")
	if err != nil {
		t.Fatal(err)
	}
	key := upgradeKey(1, 2, 3)
	req := readRequest(t, tg.appendUpgrade([]byte(nil), key))
	if req.Method != "GET" || req.Proto != "HTTP/1.1" || req.RequestURI != "/socket/websocket?token=x&vsn=2.0.0" || req.Host != "localhost:4000" {
		t.Errorf("got %s %s %s of %s", req.Method, req.RequestURI, req.Proto, req.Host)
	}
	for name, want := range map[string]string{
		"Upgrade": "websocket", "Connection": "Upgrade", "Sec-Websocket-Version": "13",
		"Sec-Websocket-Key": string(key[:]), "User-Agent": "dormouse-bench",
	} {
		if got := req.Header[name]; !slices.Equal(got, []string{want}) {
			t.Errorf("%s is %q, want %q", name, got, want)
		}
	}
	dst := make([]byte, 0, 1024)
	if n := testing.AllocsPerRun(100, func() { tg.appendUpgrade(dst, upgradeKey(1, 2, 3)) }); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

func TestUpgradeKey(t *testing.T) {
	seen := map[[24]byte]bool{}
	for seed := range uint64(3) {
		for user := range uint32(20) {
			for attempt := range uint16(5) {
				key := upgradeKey(seed, user, attempt)
				if b, err := base64.StdEncoding.DecodeString(string(key[:])); err != nil || len(b) != 16 {
					t.Fatalf("%s: %d bytes, %v", key, len(b), err)
				}
				if key != upgradeKey(seed, user, attempt) {
					t.Fatal("the key of an attempt changes")
				}
				if seen[key] {
					t.Fatalf("the key of user %d, attempt %d is another's too", user, attempt)
				}
				seen[key] = true
			}
		}
	}
}

func TestResolve(t *testing.T) {
	for _, row := range []struct {
		url  string
		want string // the first address
	}{
		{"ws://127.0.0.1:4000", "127.0.0.1:4000"},
		{"ws://localhost:4000", "127.0.0.1:4000"},
		{"ws://0.0.0.0:4000", "127.0.0.1:4000"},
		{"ws://[::]:4000", "[::1]:4000"},
		{"ws://[::ffff:127.0.0.2]", "127.0.0.2:80"},
		{"wss://192.0.2.1", "192.0.2.1:443"},
		{"ws://[2001:db8::1]", "[2001:db8::1]:80"},
	} {
		tg, err := newTarget(&Config{Protocol: Phoenix}, row.url)
		if err != nil {
			t.Fatal(err)
		}
		if err := tg.resolve(context.Background()); err != nil {
			t.Errorf("%s: %v", row.url, err)
			continue
		}
		if tg.addrs[0] != netip.MustParseAddrPort(row.want) {
			t.Errorf("%s: got %v", row.url, tg.addrs)
		}
	}
	tg, err := newTarget(&Config{Protocol: Phoenix}, "ws://no..such.name/") // refused without asking the network
	if err != nil {
		t.Fatal(err)
	}
	if err := tg.resolve(context.Background()); err == nil || !strings.Contains(err.Error(), "no..such.name/\" is not found") {
		t.Errorf("a name that is none: %v", err)
	}
}

func TestOneFamily(t *testing.T) {
	for _, row := range []struct{ in, want string }{
		{"::1 127.0.0.1", "127.0.0.1"},
		{"2001:db8::1 192.0.2.1 2001:db8::2 192.0.2.2", "192.0.2.1 192.0.2.2"},
		{"2001:db8::1 2001:db8::2", "2001:db8::1 2001:db8::2"},
		{"192.0.2.1 ::ffff:192.0.2.1", "192.0.2.1"},
		{"", ""},
	} {
		var in []netip.Addr
		for f := range strings.FieldsSeq(row.in) {
			in = append(in, netip.MustParseAddr(f))
		}
		var got []string
		for _, a := range oneFamily(in) {
			got = append(got, a.String())
		}
		if strings.Join(got, " ") != row.want {
			t.Errorf("%s: got %v", row.in, got)
		}
	}
}
