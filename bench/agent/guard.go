package agent

import (
	"crypto/sha256"
	"crypto/subtle"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"strings"
	"time"
)

const (
	// guessDelay is how long a wrong token waits for its answer, and maxGuesses how many do at once: at
	// most 32 guesses a second.
	guessDelay = 500 * time.Millisecond
	maxGuesses = 16
)

// A guard lets through who knows the token.
type guard struct {
	token   string
	guesses chan struct{} // those that wait
	next    http.Handler
}

func newGuard(token string, next http.Handler) *guard {
	return &guard{token: token, guesses: make(chan struct{}, maxGuesses), next: next}
}

func (g *guard) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	// Also of a request that is refused the body is read, by net/http.
	_ = http.NewResponseController(w).SetReadDeadline(time.Now().Add(bodyLimit))
	switch {
	case g.token == "" && !isLocalHost(r.Host):
		// The name of a page that has its host look like this one (DNS rebinding).
		refuse(w, http.StatusForbidden, fmt.Errorf("it has no token, and is asked for as %q: it answers to addresses and localhost", r.Host))
	case g.token != "" && !g.knows(r):
		g.delay(w, r)
	case r.Method == http.MethodPost && r.Header.Get("Content-Type") != "application/json":
		// A page of another origin cannot send this type without being allowed to (Fetch, CORS).
		refuse(w, http.StatusUnsupportedMediaType, errors.New("want application/json"))
	default:
		g.next.ServeHTTP(w, r)
	}
}

// knows compares hashes, which are of one length, in constant time.
func (g *guard) knows(r *http.Request) bool {
	given, ok := strings.CutPrefix(r.Header.Get("Authorization"), "Bearer ")
	a, b := sha256.Sum256([]byte(given)), sha256.Sum256([]byte(g.token))
	return ok && subtle.ConstantTimeCompare(a[:], b[:]) == 1
}

func (g *guard) delay(w http.ResponseWriter, r *http.Request) {
	select {
	case g.guesses <- struct{}{}:
		defer func() { <-g.guesses }()
	default:
		refuse(w, http.StatusTooManyRequests, errors.New("too many wrong tokens at once"))
		return
	}
	t := time.NewTimer(guessDelay)
	defer t.Stop()
	select {
	case <-t.C:
	case <-r.Context().Done():
	}
	w.Header().Set("WWW-Authenticate", "Bearer")
	refuse(w, http.StatusUnauthorized, errors.New("the token is not its own: give both sides the same "+
		"--token-file, or the same DORMOUSE_AGENT_TOKEN in their environment"))
}

func isLocalHost(hostport string) bool {
	host := hostport
	if h, _, err := net.SplitHostPort(hostport); err == nil {
		host = h
	}
	_, err := netip.ParseAddr(strings.Trim(host, "[]"))
	return err == nil || strings.EqualFold(host, "localhost")
}
