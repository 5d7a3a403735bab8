package server

import (
	"net/http"
	"strconv"

	"github.com/dormouse-ws/dormouse/poller"
)

// refuse answers what is no acceptable request, with the reason as text, and closes. The reading goroutine calls it, or a
// task while that is paused.
func refuse(c poller.Conn, err *httpError) {
	unguest(c)
	c.CloseWith(appendRefusal(nil, err.status, "", err.reason+"\n"))
}

// refuseUpgrade answers a request that a mount refuses, and counts it. Its reason is the body, and empty
// where section 1.2 says so. It is called as refuse is.
func (s *Server) refuseUpgrade(c poller.Conn, err *httpError, header string) {
	s.counters.refused.Add(1)
	unguest(c)
	c.CloseWith(appendRefusal(nil, err.status, header, err.reason))
}

// appendRefusal appends a whole HTTP response; header is further header lines, each with its CRLF.
// The connection ends with it: what follows a refused upgrade on it is not known to be HTTP.
func appendRefusal(dst []byte, status int, header, body string) []byte {
	text := http.StatusText(status)
	if text == "" {
		text = "Status"
	}
	dst = append(dst, "HTTP/1.1 "...)
	dst = strconv.AppendInt(dst, int64(status), 10)
	dst = append(dst, ' ')
	dst = append(dst, text...)
	dst = append(dst, "\r\nConnection: close\r\n"...)
	if body != "" {
		dst = append(dst, "Content-Type: text/plain; charset=utf-8\r\n"...)
	}
	dst = append(dst, header...)
	dst = append(dst, "Content-Length: "...)
	dst = strconv.AppendInt(dst, int64(len(body)), 10)
	dst = append(dst, "\r\n\r\n"...)
	return append(dst, body...)
}
