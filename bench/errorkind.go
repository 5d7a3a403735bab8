package bench

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"
	"syscall"
	"unicode"
	"unicode/utf8"

	"github.com/gobwas/ws"

	"github.com/dormouse-ws/dormouse/poller"
	"github.com/dormouse-ws/dormouse/server/frame"
)

// What a user can meet that no other package has a name for.
var (
	errConnectTimeout   = errors.New("the connect and its upgrade took longer than the timeout")
	errJoinTimeout      = errors.New("the join or leave was not answered within the timeout")
	errReplyTimeout     = errors.New("the request was not answered within the timeout")
	errHeartbeatTimeout = errors.New("the heartbeat was not answered before the next was due")
	errClosedInUpgrade  = errors.New("the server closed the connection instead of answering the upgrade")
	errWrongAnswer      = errors.New("the answer is not the one to what was asked")
	errChannelCrashed   = errors.New("the channel ended with phx_error")
	errChannelClosed    = errors.New("the server closed the channel with phx_close")
	errGarbage          = errors.New("a message is not one of the Phoenix protocol, version 2")
)

// A closeError is a Close frame from the server.
type closeError struct {
	code   uint16 // 1005: it held none
	reason string // may hold anything
}

func (e *closeError) Error() string {
	text := "closed with " + strconv.Itoa(int(e.code))
	if name := closeName(ws.StatusCode(e.code)); name != "" {
		text += " " + name
	}
	if e.reason != "" {
		text += ": " + printable(e.reason)
	}
	return text
}

// A joinError is a join that was refused.
type joinError struct {
	reason string // the payload of the reply, or what it says
}

func (e *joinError) Error() string { return "join refused: " + printable(said(e.reason)) }

// A pushError is a message that the channel has answered with an error.
type pushError struct {
	reason string // as in a joinError
}

func (e *pushError) Error() string { return "push refused: " + printable(said(e.reason)) }

// said returns the reason in {"response":{"reason":"unauthorized"}}, which is how Phoenix refuses, and the
// whole response where it is another.
func said(payload string) string {
	var reply struct {
		Response json.RawMessage `json:"response"`
	}
	if json.Unmarshal([]byte(payload), &reply) != nil || reply.Response == nil {
		return payload
	}
	var response struct {
		Reason string `json:"reason"`
	}
	if json.Unmarshal(reply.Response, &response) != nil || response.Reason == "" {
		return string(reply.Response)
	}
	return response.Reason
}

// A tlsError is what crypto/tls has to say.
type tlsError struct {
	err error
}

func (e *tlsError) Error() string { return "TLS: " + printable(e.err.Error()) }
func (e *tlsError) Unwrap() error { return e.err }

// errorKind returns a short name for err, under which it is counted, and what to do about it, which may be
// nothing. What the peer has said is in it shortened and made printable; still a peer can make it say
// many different things, so whoever keeps kinds must bound how many.
func errorKind(err error) (kind, fix string) {
	if e, ok := errors.AsType[*upgradeError](err); ok {
		return upgradeErrorKind(e)
	}
	if e, ok := errors.AsType[*closeError](err); ok {
		return e.Error(), closeFix(ws.StatusCode(e.code))
	}
	if e, ok := errors.AsType[*joinError](err); ok {
		return e.Error(), joinFix(said(e.reason))
	}
	if e, ok := errors.AsType[*pushError](err); ok {
		return e.Error(), "the channel does not take this message: look at --event, --payload and --size"
	}
	if e, ok := errors.AsType[frame.Error](err); ok {
		return "protocol violation: " + e.Reason(), "the server breaks the protocol there, or something between changes its bytes"
	}
	if e, ok := errors.AsType[*tlsError](err); ok {
		return tlsErrorKind(e.err)
	}
	for _, e := range namedErrors {
		if errors.Is(err, e.err) {
			return e.kind, e.fix
		}
	}
	return printable(err.Error()), ""
}

const (
	fixPorts = "give more source addresses with --source, more --url, or widen the range: sysctl -w net.ipv4.ip_local_port_range='1024 65535'"
	fixReset = "the server dropped the connection: it crashed, is over a limit, or its listen backlog (net.core.somaxconn) is full"
)

// namedErrors are the errors that one value stands for; the first that fits counts. Never changed.
var namedErrors = []struct {
	err       error
	kind, fix string
}{
	{errConnectTimeout, "timeout: connect", "the server accepts or upgrades too slowly: lower the rate, or raise its listen backlog (net.core.somaxconn) or --timeout"},
	{errJoinTimeout, "timeout: join", "the server answers joins too slowly: lower the rate, or raise --timeout"},
	{errReplyTimeout, "timeout: reply", "does the channel answer this --event? If it does, it is too slow: lower the rate, or raise --timeout"},
	{errHeartbeatTimeout, "timeout: heartbeat", "the server did not answer for a whole heartbeat interval, after which phoenix.js reconnects: lower the load"},
	{errClosedInUpgrade, "closed by server: upgrade", "does the server limit its connections? Its log may say why"},
	{errWrongAnswer, "wrong answer", "the answer must hold the payload that was sent: does the channel reply to --event with it?"},
	{errChannelCrashed, "phx_error", "the channel crashed: the server's log says why"},
	{errChannelClosed, "phx_close", "the server ended the channel: did the same user join twice, or does the channel stop itself?"},
	{errGarbage, "garbage: not a Phoenix message", "is it a Phoenix server? For a plain WebSocket echo use --protocol websocket"},

	{poller.ErrWriteTimeout, "timeout: write", "the server does not read what it is sent: it is overloaded, or stuck"},
	{poller.ErrOutboxFull, "outbox full", "the server reads more slowly than it is sent to: lower the rate"},
	{poller.ErrMaxConns, "too many connections", ""},
	{poller.ErrShutdown, "interrupted", ""},
	{poller.ErrClosed, "sent after the close", ""},
	{context.Canceled, "interrupted", ""},
	{context.DeadlineExceeded, "timeout", ""},

	{syscall.ECONNREFUSED, "connection refused", "is a server listening there? Check host and port of --url"},
	{syscall.ETIMEDOUT, "connect timed out", "no answer from the host: a firewall, a full listen backlog, or the wrong address"},
	{syscall.EHOSTUNREACH, "host unreachable", "there is no way to the host: check its address and the routes"},
	{syscall.ENETUNREACH, "network unreachable", "there is no way to the network: check the address and the routes; for IPv6, whether this host has it"},
	{syscall.ECONNRESET, "reset by peer", fixReset},
	{syscall.EPIPE, "reset by peer", fixReset},
	{syscall.ECONNABORTED, "connection aborted", ""},
	{syscall.EMFILE, "too many open files", "raise the descriptor limit: ulimit -n 1000000, or LimitNOFILE= of the systemd unit"},
	{syscall.ENFILE, "too many open files in the system", "raise it: sysctl -w fs.file-max=2000000"},
	{syscall.EADDRNOTAVAIL, "out of ports", fixPorts},
	{syscall.EADDRINUSE, "out of ports", fixPorts},
	{syscall.ENOBUFS, "out of socket memory", "raise net.ipv4.tcp_mem, or open fewer connections"},
	{syscall.ENOMEM, "out of memory", "open fewer connections, or give the machine more memory; net.ipv4.tcp_mem bounds that of sockets"},
	{syscall.ENOSPC, "too many epoll watches", "raise it: sysctl -w fs.epoll.max_user_watches=10000000"},
	{syscall.EINVAL, "source address cannot reach the target", "a loopback --source reaches loopback targets only"},
	{syscall.EACCES, "not permitted", "a firewall of this host forbids it"},
	{syscall.EPERM, "not permitted", "a firewall of this host forbids it, or its table of connections (net.netfilter.nf_conntrack_max) is full"},
	{io.EOF, "closed by server", "the server ended the connection without a Close frame: its log may say why"},
	{io.ErrUnexpectedEOF, "closed by server", "the server ended the connection without a Close frame: its log may say why"},
}

func upgradeErrorKind(e *upgradeError) (kind, fix string) {
	status := strconv.Itoa(e.status)
	switch e.kind {
	case upgradeNotHTTP:
		return "upgrade: not HTTP", "the server speaks something else on this port; if that is TLS, use wss://"
	case upgradeTooLong:
		return "upgrade: head too long", "is this a WebSocket server?"
	case upgradeWrongAccept:
		return "upgrade: wrong accept key", "the server, or a proxy between, does not speak WebSocket correctly"
	case upgradeWrong:
		return "upgrade: " + e.detail, "the server, or a proxy between, does not speak WebSocket correctly"
	}
	switch e.status / 100 {
	case 2:
		return "upgrade: HTTP only, answered with " + status, "there is no WebSocket at this path: check the path of --url; for plain WebSocket servers add --protocol websocket"
	case 3:
		return "upgrade: redirected with " + status, "use the URL it leads to: " + printable(e.detail)
	}
	return "upgrade: refused with " + status, statusFix(e.status)
}

func statusFix(status int) string {
	switch status {
	case 400, 426:
		return "is this the path of a WebSocket? If the server speaks TLS on this port, use wss://; a proxy between may also drop the Upgrade header"
	case 401, 407:
		return "the server wants to know who you are: put a token into the query of --url, or send --header 'Authorization: ...'"
	case 403:
		return "the server forbids it: does it check the origin (--header 'Origin: http://...'), or want a token in the query of --url?"
	case 404:
		return "there is nothing at this path: check the path of --url; for plain WebSocket servers add --protocol websocket"
	case 429:
		return "a limit of the server or of a proxy: lower the rate, or raise the limit"
	case 502, 504:
		return "a proxy is there and the server behind it is not"
	case 503:
		return "the server, or a proxy, takes no more: it is over a limit, or stops"
	}
	if status >= 500 {
		return "the server failed: its log says why"
	}
	return ""
}

// closeName returns the registered name of a close code (RFC 6455 section 7.4.1 and IANA's registry).
func closeName(code ws.StatusCode) string {
	switch code {
	case 1000:
		return "normal closure"
	case 1001:
		return "going away"
	case 1002:
		return "protocol error"
	case 1003:
		return "unsupported data"
	case 1005:
		return "no status"
	case 1007:
		return "invalid payload"
	case 1008:
		return "policy violation"
	case 1009:
		return "message too big"
	case 1010:
		return "extension wanted"
	case 1011:
		return "internal error"
	case 1012:
		return "service restart"
	case 1013:
		return "try again later"
	case 1014:
		return "bad gateway"
	}
	return ""
}

func closeFix(code ws.StatusCode) string {
	switch code {
	case 1001, 1012:
		return "the server stops, or drains its connections"
	case 1002:
		return "Phoenix on Bandit closes so after 60 s of silence: is --heartbeat shorter than that?"
	case 1008, 1013:
		return "a limit of the server: it is overloaded, or takes us for a slow reader"
	case 1009:
		return "the server takes no messages of this --size"
	case 1011:
		return "the server failed: its log says why"
	}
	if code >= 3000 { // RFC 6455 section 7.4.2
		return "a code of the application: its documentation or its log says why"
	}
	return ""
}

func joinFix(reason string) string {
	switch reason {
	case "unmatched topic":
		return "no channel of the server takes this --topic"
	case "too many channels joined":
		return "the server limits the channels of a connection"
	case "join crashed":
		return "the channel crashed in its join: the server's log says why"
	}
	return "does the channel want something in --params?"
}

func tlsErrorKind(err error) (kind, fix string) {
	if _, ok := errors.AsType[x509.UnknownAuthorityError](err); ok {
		return "TLS: unknown authority", "the certificate is signed by nobody known here: --insecure takes any"
	}
	if _, ok := errors.AsType[x509.HostnameError](err); ok {
		return "TLS: certificate of another name", "use the name that the certificate has in --url, or take any with --insecure"
	}
	if e, ok := errors.AsType[x509.CertificateInvalidError](err); ok {
		return "TLS: " + printable(e.Error()), "--insecure takes any certificate"
	}
	if _, ok := errors.AsType[tls.RecordHeaderError](err); ok {
		return "TLS: not TLS", "the server does not speak TLS on this port: use ws:// in --url"
	}
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		return "TLS: closed by server in the handshake", "does the server speak TLS on this port? Its log may say why"
	}
	return "TLS: " + printable(strings.TrimPrefix(err.Error(), "tls: ")), ""
}

// maxPrintable bounds what of a peer's words gets into a kind.
const maxPrintable = 80

// printable returns the beginning of s, at most maxPrintable bytes, with everything escaped that is not a
// letter, a sign or a plain space: it goes to a terminal.
func printable(s string) string {
	const more = "..."
	var b []byte
	cut := 0 // how much of b leaves room for more
	for len(s) > 0 && len(b) <= maxPrintable {
		r, n := utf8.DecodeRuneInString(s)
		switch {
		case r == utf8.RuneError && n == 1:
			b = fmt.Appendf(b, `\x%02x`, s[0])
		case unicode.IsPrint(r):
			b = append(b, s[:n]...)
		default:
			b = append(b, strings.Trim(strconv.QuoteRuneToASCII(r), "'")...)
		}
		s = s[n:]
		if len(b) <= maxPrintable-len(more) {
			cut = len(b)
		}
	}
	if len(b) > maxPrintable {
		return string(b[:cut]) + more
	}
	return string(b)
}
