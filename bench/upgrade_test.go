package bench

import (
	"bufio"
	"bytes"
	"errors"
	"net/http"
	"strings"
	"testing"
)

var (
	sampleKey    = [24]byte([]byte("dGhlIHNhbXBsZSBub25jZQ==")) // RFC 6455 section 1.3
	sampleAccept = "s3pPLMBiTxaQ9kYGzzhZRbK+xOo="
)

const sampleUpgrade = "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n" +
	"Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n"

func TestReadUpgrade(t *testing.T) {
	head := func(lines ...string) string { return strings.Join(lines, "\r\n") + "\r\n\r\n" }
	const (
		line    = "HTTP/1.1 101 Switching Protocols"
		upgrade = "Upgrade: websocket"
		conn    = "Connection: Upgrade"
	)
	accept := "Sec-WebSocket-Accept: " + sampleAccept
	for _, row := range []struct {
		name string
		head string
		want string // the kind of the error
	}{
		{"RFC 6455 section 1.3", sampleUpgrade, ""},
		{"any case, lists, space", head(line, "uPGRADE:WebSocket", "CONNECTION: keep-alive, upgrade", "sec-websocket-accept: \t"+sampleAccept+" "), ""},
		{"no reason", head("HTTP/1.1 101", upgrade, conn, accept), ""},
		{"other headers", head(line, "Server: x", upgrade, "Date: today", conn, accept, "X:"), ""},
		{"bare LF", strings.ReplaceAll(sampleUpgrade, "\r\n", "\n"), ""},
		{"interim responses", head("HTTP/1.1 100 Continue") + head("HTTP/1.1 103 Early Hints", "Link: x") + sampleUpgrade, ""},
		{"empty extensions", head(line, upgrade, conn, accept, "Sec-WebSocket-Extensions:"), ""},
		{"200", head("HTTP/1.1 200 OK", "Content-Length: 2") + "ok", "upgrade: HTTP only, answered with 200"},
		{"301", head("HTTP/1.1 301 Moved", "Location: https://x/"), "upgrade: redirected with 301"},
		{"302 to nowhere", head("HTTP/1.1 302 Found"), "upgrade: redirected with 302"},
		{"403 of HTTP/1.0", head("HTTP/1.0 403 Forbidden"), "upgrade: refused with 403"},
		{"429", head("HTTP/1.1 429 Too Many Requests"), "upgrade: refused with 429"},
		{"503 with a broken line", head("HTTP/1.1 503 Busy", "what is this"), "upgrade: refused with 503"},
		{"101 of HTTP/1.0", head("HTTP/1.0 101 Switching Protocols", upgrade, conn, accept), "upgrade: a 101 of HTTP/1.0"},
		{"no Upgrade", head(line, conn, accept), "upgrade: no header Upgrade: websocket"},
		{"other Upgrade", head(line, "Upgrade: h2c", conn, accept), "upgrade: no header Upgrade: websocket"},
		{"no Connection", head(line, upgrade, accept), "upgrade: no header Connection: Upgrade"},
		{"other Connection", head(line, upgrade, "Connection: close", accept), "upgrade: no header Connection: Upgrade"},
		{"no accept", head(line, upgrade, conn), "upgrade: no Sec-WebSocket-Accept"},
		{"two accepts", head(line, upgrade, conn, accept, accept), "upgrade: more than one Sec-WebSocket-Accept"},
		{"wrong accept", head(line, upgrade, conn, "Sec-WebSocket-Accept: "+strings.ToLower(sampleAccept)), "upgrade: wrong accept key"},
		{"accept cut", head(line, upgrade, conn, accept[:len(accept)-1]), "upgrade: wrong accept key"},
		{"extension", head(line, upgrade, conn, accept, "Sec-WebSocket-Extensions: permessage-deflate"), "upgrade: an extension that was not asked for"},
		{"subprotocol", head(line, upgrade, conn, accept, "Sec-WebSocket-Protocol: phoenix"), "upgrade: a subprotocol that was not asked for"},
		{"no field", head(line, upgrade, conn, accept, "x"), "upgrade: a header line without a name and a colon"},
		{"folded", head(line, upgrade, conn, accept, "X: a", " : b"), "upgrade: a header line without a name and a colon"},
		{"space before the colon", head(line, upgrade, conn, accept, "X : a"), "upgrade: a header line without a name and a colon"},
		{"garbage", "SSH-2.0-OpenSSH_9.6\r\n", "upgrade: not HTTP"},
		{"TLS alert", "\x15\x03\x01\x00\x02\x02\x46", "upgrade: not HTTP"},
		{"HTTP/2", "HTTP/2 200\r\n\r\n", "upgrade: not HTTP"},
		{"no status", head("HTTP/1.1 OK"), "upgrade: not HTTP"},
		{"status of two digits", head("HTTP/1.1 20 OK"), "upgrade: not HTTP"},
		{"status of four digits", head("HTTP/1.1 1010 OK"), "upgrade: not HTTP"},
		{"status 099", head("HTTP/1.1 099 OK"), "upgrade: not HTTP"},
		{"garbage behind an interim response", head("HTTP/1.1 100 Continue") + "xx\r\n", "upgrade: not HTTP"},
		{"too long", head(line, "X: "+strings.Repeat("x", maxUpgradeHead)), "upgrade: head too long"},
		{"no line", "HTTP/1.1 " + strings.Repeat("1", maxUpgradeHead), "upgrade: head too long"},
		{"interim responses for ever", strings.Repeat(head("HTTP/1.1 100 Continue"), 400) + sampleUpgrade, "upgrade: head too long"},
	} {
		n, err := readUpgrade([]byte(row.head+"frames"), sampleKey)
		if row.want == "" {
			if err != nil || n != len(row.head) {
				t.Errorf("%s: got %d of %d, %v", row.name, n, len(row.head), err)
			}
		} else if kind := kindOf(err); n != 0 || kind != row.want {
			t.Errorf("%s: got %d and %q, want %q", row.name, n, kind, row.want)
		}
		checkUpgradeCuts(t, []byte(row.head+"frames"), sampleKey)
	}
}

func kindOf(err error) string {
	if err == nil {
		return ""
	}
	kind, _ := errorKind(err)
	return kind
}

// checkUpgradeCuts gives head byte by byte: the first result must be that of the whole.
func checkUpgradeCuts(t *testing.T, head []byte, key [24]byte) {
	t.Helper()
	n, err := readUpgrade(head, key)
	for i := range len(head) + 1 {
		m, e := readUpgrade(head[:i:i], key)
		if m == 0 && e == nil {
			continue
		}
		if m != n || kindOf(e) != kindOf(err) {
			t.Errorf("%.60q: %d, %v when %d bytes had come, %d, %v as a whole", head, m, e, i, n, err)
		}
		return
	}
	if n != 0 || err != nil {
		t.Errorf("%.60q: nothing of its parts, and %d, %v as a whole", head, n, err)
	}
}

func TestUpgradeHeadLimit(t *testing.T) {
	for size, want := range map[int]bool{maxUpgradeHead - 1: true, maxUpgradeHead: true, maxUpgradeHead + 1: false} {
		const field = "X: "
		pad := strings.Repeat("x", size-len(sampleUpgrade)-len(field+"\r\n"))
		head := strings.Replace(sampleUpgrade, "Upgrade:", field+pad+"\r\nUpgrade:", 1)
		if n, err := readUpgrade([]byte(head), sampleKey); (n == len(head)) != want || (err == nil) != want {
			t.Errorf("a head of %d bytes: %d, %v", size, n, err)
		}
	}
}

func TestUpgradeErrorText(t *testing.T) {
	for head, want := range map[string]string{
		"HTTP/1.1 503 Busy\r\nRETRY-AFTER: 7\r\n\r\n":           "the upgrade was answered with 503 Busy, and Retry-After: 7",
		"HTTP/1.1 307 x\r\nLocation: http://x/\x1b[31m\r\n\r\n": `the upgrade was answered with 307 http://x/\x1b[31m`,
		"HTTP/1.1 403 Forbidden\r\n\r\n":                        "the upgrade was answered with 403 Forbidden",
		"HTTP/1.1 101 x\r\n\r\n":                                "the answer to the upgrade is no WebSocket: no header Upgrade: websocket",
		"+OK":                                                   "the answer to the upgrade is not HTTP",
		"HTTP/1.1 " + strings.Repeat("x", maxUpgradeHead):       "the answer to the upgrade has a head of more than 8192 bytes",
		strings.Replace(sampleUpgrade, "s3p", "S3P", 1):         "the answer to the upgrade has a Sec-WebSocket-Accept that does not belong to the key",
	} {
		if _, err := readUpgrade([]byte(head), sampleKey); err == nil || err.Error() != want {
			t.Errorf("%.60q: got %v, want %s", head, err, want)
		}
	}
}

func TestReadUpgradeAllocations(t *testing.T) {
	head := []byte(sampleUpgrade)
	if n := testing.AllocsPerRun(100, func() {
		if n, err := readUpgrade(head, sampleKey); n != len(head) || err != nil {
			t.Fatal(n, err)
		}
		if n, err := readUpgrade(head[:50], sampleKey); n != 0 || err != nil {
			t.Fatal(n, err)
		}
	}); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

// FuzzReadUpgrade takes any bytes in any cuts. What it accepts net/http must accept too.
func FuzzReadUpgrade(f *testing.F) {
	for _, head := range []string{
		sampleUpgrade, sampleUpgrade + "\x81\x00", "HTTP/1.1 100 Continue\r\n\r\n" + sampleUpgrade,
		"HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\n\r\n", "HTTP/1.1 301 Moved\nLocation: /x\n\n", "HTTX", "HTTP/1.1 101\r\n\r\n",
	} {
		f.Add([]byte(head))
	}
	f.Fuzz(func(t *testing.T, head []byte) {
		checkUpgradeCuts(t, head, sampleKey)
		n, err := readUpgrade(head, sampleKey)
		if err != nil {
			if _, ok := errors.AsType[*upgradeError](err); !ok || n != 0 {
				t.Fatalf("%d and a %T", n, err)
			}
			return
		}
		if n == 0 || bytes.HasPrefix(head, []byte("HTTP/1.1 1")) && !bytes.HasPrefix(head, []byte("HTTP/1.1 101")) {
			return // net/http leaves interim responses to its caller
		}
		resp, err := http.ReadResponse(bufio.NewReader(bytes.NewReader(head[:n])), nil)
		if err != nil {
			return // it is stricter with the bytes of a field
		}
		resp.Body.Close()
		if resp.StatusCode != 101 || resp.Header.Get("Sec-WebSocket-Accept") != sampleAccept {
			t.Fatalf("%q was accepted", head[:n])
		}
	})
}

func TestServerOf(t *testing.T) {
	for head, want := range map[string]string{
		"HTTP/1.1 101 Switching Protocols\r\nServer: Cowboy\r\n\r\n":            "Cowboy",
		"HTTP/1.1 101 Switching Protocols\r\nsERVER:nginx/1.2 \r\nA: b\r\n\r\n": "nginx/1.2",
		"HTTP/1.1 101 Switching Protocols\r\nX-Server: no\r\n\r\n":              "",
		"HTTP/1.1 101 Switching Protocols\r\nServer: a\x1b[2J\r\n\r\n":          `a\x1b[2J`,
	} {
		if got := serverOf([]byte(head)); got != want {
			t.Errorf("%q: %q, want %q", head, got, want)
		}
	}
}
