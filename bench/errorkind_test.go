package bench

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"strings"
	"syscall"
	"testing"
	"unicode"
	"unicode/utf8"

	"github.com/gobwas/ws"

	"github.com/dormouse-ws/dormouse/poller"
	"github.com/dormouse-ws/dormouse/server/frame"
)

func TestErrorKind(t *testing.T) {
	sys := func(call string, err syscall.Errno) error { return os.NewSyscallError(call, err) }
	inTLS := func(err error) error { return &tlsError{err} }
	refused := func(status int, detail string) error {
		return &upgradeError{kind: upgradeRefused, status: status, detail: detail}
	}
	for _, row := range []struct {
		err       error
		kind, fix string // fix: a part of it
	}{
		{errConnectTimeout, "timeout: connect", "--timeout"},
		{errJoinTimeout, "timeout: join", "--timeout"},
		{errReplyTimeout, "timeout: reply", "--event"},
		{errHeartbeatTimeout, "timeout: heartbeat", "phoenix.js"},
		{poller.ErrWriteTimeout, "timeout: write", "does not read"},
		{sys("connect", syscall.ECONNREFUSED), "connection refused", "listening"},
		{sys("connect", syscall.ETIMEDOUT), "connect timed out", "firewall"},
		{sys("connect", syscall.EHOSTUNREACH), "host unreachable", "address"},
		{sys("connect", syscall.ENETUNREACH), "network unreachable", "routes"},
		{sys("read", syscall.ECONNRESET), "reset by peer", "limit"},
		{sys("write", syscall.EPIPE), "reset by peer", "limit"},
		{io.EOF, "closed by server", "log"},
		{errClosedInUpgrade, "closed by server: upgrade", "log"},
		{sys("socket", syscall.EMFILE), "too many open files", "ulimit -n"},
		{sys("socket", syscall.EMFILE), "too many open files", "LimitNOFILE"},
		{sys("socket", syscall.ENFILE), "too many open files in the system", "fs.file-max"},
		{sys("connect", syscall.EADDRNOTAVAIL), "out of ports", "--source"},
		{sys("connect", syscall.EADDRNOTAVAIL), "out of ports", "net.ipv4.ip_local_port_range"},
		{sys("socket", syscall.ENOBUFS), "out of socket memory", "tcp_mem"},
		{sys("socket", syscall.ENOMEM), "out of memory", "fewer"},
		{sys("epoll_ctl", syscall.ENOSPC), "too many epoll watches", "max_user_watches"},
		{fmt.Errorf("deeper: %w", sys("connect", syscall.ECONNREFUSED)), "connection refused", "listening"},
		{refused(200, "OK"), "upgrade: HTTP only, answered with 200", "path"},
		{refused(302, "http://x/\x1b"), "upgrade: redirected with 302", `use the URL it leads to: http://x/\x1b`},
		{refused(403, "Forbidden"), "upgrade: refused with 403", "Origin"},
		{refused(400, ""), "upgrade: refused with 400", "wss://"},
		{refused(401, ""), "upgrade: refused with 401", "Authorization"},
		{refused(404, ""), "upgrade: refused with 404", "path"},
		{refused(502, ""), "upgrade: refused with 502", "proxy"},
		{refused(418, "\x1b[2J"), "upgrade: refused with 418", ""},
		{refused(429, ""), "upgrade: refused with 429", "rate"},
		{refused(503, ""), "upgrade: refused with 503", "limit"},
		{refused(599, ""), "upgrade: refused with 599", "log"},
		{&upgradeError{kind: upgradeNotHTTP}, "upgrade: not HTTP", "wss://"},
		{&closeError{code: 1013, reason: ""}, "closed with 1013 try again later", "limit"},
		{&closeError{code: 1013, reason: "too slow\n"}, `closed with 1013 try again later: too slow\n`, "limit"},
		{&closeError{code: 4001, reason: "bye"}, "closed with 4001: bye", ""},
		{&closeError{code: 1005}, "closed with 1005 no status", ""},
		{&joinError{reason: `{"status":"error","response":{"reason":"unauthorized"}}`}, "join refused: unauthorized", "--params"},
		{&joinError{reason: `{"status":"error","response":{"reason":"unmatched topic"}}`}, "join refused: unmatched topic", "--topic"},
		{&joinError{reason: `{"status":"error","response":{"reason":"too many channels joined"}}`}, "join refused: too many channels joined", "limits"},
		{&joinError{reason: `{"status":"error","response":{"reason":"join crashed"}}`}, "join refused: join crashed", "log"},
		{&joinError{reason: `{"status":"error","response":{"code":7}}`}, `join refused: {"code":7}`, "--params"},
		{&joinError{reason: `{"status":"error","response":{"reason":7}}`}, `join refused: {"reason":7}`, "--params"},
		{&joinError{reason: "\x00binary"}, `join refused: \x00binary`, "--params"},
		{errChannelCrashed, "phx_error", "log"},
		{errChannelClosed, "phx_close", ""},
		{errGarbage, "garbage: not a Phoenix message", "websocket"},
		{frame.ErrMasked, "protocol violation: RFC 6455 section 5.1: server frame is masked", "protocol"},
		{inTLS(&tls.CertificateVerificationError{Err: x509.UnknownAuthorityError{}}), "TLS: unknown authority", "--insecure"},
		{inTLS(&tls.CertificateVerificationError{Err: x509.HostnameError{Host: "x", Certificate: &x509.Certificate{}}}), "TLS: certificate of another name", "--insecure"},
		{inTLS(x509.CertificateInvalidError{Reason: x509.Expired}), "TLS: x509: certificate has expired or is not yet valid: ", "--insecure"},
		{inTLS(tls.RecordHeaderError{Msg: "x"}), "TLS: not TLS", "ws://"},
		{inTLS(io.EOF), "TLS: closed by server in the handshake", ""},
		{inTLS(errors.New("tls: something\a")), `TLS: something\a`, ""},
		{inTLS(&net.OpError{Op: "remote error", Err: tls.AlertError(40)}), "TLS: remote error: tls: handshake failure", ""},
		{errors.New("what is this"), "what is this", ""},
	} {
		kind, fix := errorKind(row.err)
		if kind != row.kind || !strings.Contains(fix, row.fix) {
			t.Errorf("%v: got %q, fix %q; want %q, fix with %q", row.err, kind, fix, row.kind, row.fix)
		}
	}
}

// TestErrorKindUpgrade looks for kinds of upgradeError that errorKind does not know.
func TestErrorKindUpgrade(t *testing.T) {
	seen := map[string]upgradeKind{}
	for k := upgradeRefused; k <= upgradeWrongAccept; k++ {
		kind, fix := errorKind(&upgradeError{kind: k, status: 403, detail: "detail"})
		if other, twice := seen[kind]; twice || fix == "" {
			t.Errorf("%d: kind %q, fix %q; the kind is also that of %d", k, kind, fix, other)
		}
		seen[kind] = k
	}
}

// TestCloseNames looks for codes of RFC 6455 and IANA's registry that have no name.
func TestCloseNames(t *testing.T) {
	for code := ws.StatusCode(1000); code <= 1014; code++ {
		if name := closeName(code); frame.SendableCode(code) && name == "" {
			t.Errorf("%d has no name", code)
		}
	}
	for code, says := range map[uint16]string{1001: "drains", 1002: "--heartbeat", 1008: "limit", 1009: "--size", 1011: "log", 1012: "drains"} {
		if _, fix := errorKind(&closeError{code: code}); !strings.Contains(fix, says) {
			t.Errorf("%d: %q", code, fix)
		}
	}
}

func TestPrintable(t *testing.T) {
	for _, row := range []struct{ in, want string }{
		{"", ""},
		{"plain text, ünïcode 😀 <b>'\"\\", "plain text, ünïcode 😀 <b>'\"\\"},
		{"\x1b[31m\a\n\t\x7f", `\x1b[31m\a\n\t\x7f`},
		{"\u202e\u200b\u0085\ufeff", `\u202e\u200b\u0085\ufeff`},
		{"\xff\xc3", `\xff\xc3`},
		{strings.Repeat("x", 80), strings.Repeat("x", 80)},
		{strings.Repeat("x", 81), strings.Repeat("x", 77) + "..."},
		{strings.Repeat("ü", 41), strings.Repeat("ü", 38) + "..."},
		{strings.Repeat("x", 76) + "\x01", strings.Repeat("x", 76) + `\x01`},
		{strings.Repeat("x", 77) + "\x01", strings.Repeat("x", 77) + "..."},
		{strings.Repeat("x", 1<<20), strings.Repeat("x", 77) + "..."},
	} {
		if got := printable(row.in); got != row.want {
			t.Errorf("%.90q: got %q, want %q", row.in, got, row.want)
		}
	}
}

func FuzzPrintable(f *testing.F) {
	f.Add("\x1b]0;title\a")
	f.Fuzz(func(t *testing.T, s string) {
		got := printable(s)
		if len(got) > maxPrintable || !utf8.ValidString(got) || strings.ContainsFunc(got, func(r rune) bool { return !unicode.IsPrint(r) }) {
			t.Fatalf("%q became %q", s, got)
		}
	})
}
