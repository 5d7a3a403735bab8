package agent

import (
	"bufio"
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"time"

	"github.com/dormouse-ws/dormouse/bench"
)

const (
	dialLimit = 5 * time.Second

	// beginLimit is how long an agent may take to begin its answer: it looks names up before.
	beginLimit = lookupLimit + 5*time.Second

	// orderLimit bounds one order. The next one says the same again.
	orderLimit = 2 * time.Second
)

// A Remote is the [bench.Generator] of an agent on another machine.
type Remote struct {
	address, token string
	dial           func(ctx context.Context, network, address string) (net.Conn, error)
}

// New returns the agent at an address, host:port, with its token, "" if it has none. It says nothing to it yet.
func New(address, token string) *Remote {
	return &Remote{address: address, token: token, dial: (&net.Dialer{Timeout: dialLimit}).DialContext}
}

var _ bench.Clocked = (*Remote)(nil)

// client returns a client for one run. Its idle connections must be closed.
func (r *Remote) client() *http.Client {
	return &http.Client{
		Transport: &http.Transport{
			DialContext:            r.dial,
			ResponseHeaderTimeout:  beginLimit,
			MaxResponseHeaderBytes: maxHead,
			DisableCompression:     true,
		},
		// The token is for nobody else.
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
}

// ask sends a request and returns the response if it is a success. Its body must be closed.
func (r *Remote) ask(ctx context.Context, c *http.Client, method, path string, body any) (*http.Response, error) {
	var b []byte
	if body != nil {
		var err error
		if b, err = json.Marshal(body); err != nil {
			return nil, err
		}
	}
	q, err := http.NewRequestWithContext(ctx, method, "http://"+r.address+path, bytes.NewReader(b))
	if err != nil {
		return nil, err
	}
	q.Header.Set("Content-Type", "application/json")
	if r.token != "" {
		q.Header.Set("Authorization", "Bearer "+r.token)
	}
	resp, err := c.Do(q)
	if err != nil {
		return nil, connectError(err)
	}
	if resp.StatusCode == http.StatusOK {
		return resp, nil
	}
	defer resp.Body.Close()
	var no refusal
	if err := decode(resp.Body, &no); err != nil || no.Error == "" {
		return nil, fmt.Errorf("HTTP %s: %w", resp.Status, errGarbage)
	}
	return nil, errors.New(no.Error)
}

// connectError says what to do when nobody answers.
func connectError(err error) error {
	if e, ok := errors.AsType[*url.Error](err); ok {
		err = e.Err // the rest is the address again
	}
	if e, ok := errors.AsType[*net.OpError](err); ok && e.Op == "dial" {
		return fmt.Errorf("%w: is dormouse bench agent running there, and does a firewall let it through?", err)
	}
	return err
}

// decode reads a short answer.
func decode(r io.Reader, into any) error {
	b, err := io.ReadAll(io.LimitReader(r, maxAnswer))
	if err != nil {
		return err
	}
	if json.Unmarshal(b, into) != nil {
		return errGarbage
	}
	return nil
}

// Generate implements [bench.Generator]. When ctx ends it tells the agent so, and waits at most endLimit for
// its Outcome.
func (r *Remote) Generate(ctx context.Context, cfg bench.Config, meet bench.Meeting, tick func(bench.Tick)) (*bench.Outcome, error) {
	o, err := r.generate(ctx, cfg, meet, tick)
	if err != nil {
		return nil, fmt.Errorf("agent %s: %w", r.address, err)
	}
	return o, nil
}

func (r *Remote) generate(ctx context.Context, cfg bench.Config, meet bench.Meeting, tick func(bench.Tick)) (*bench.Outcome, error) {
	c := r.client()
	defer c.CloseIdleConnections()
	// Once the run has begun, the end of ctx does not end the request but goes to the agent as an order.
	request, end := context.WithCancelCause(context.WithoutCancel(ctx))
	defer end(nil)
	begun := context.AfterFunc(ctx, func() { end(ctx.Err()) })
	lines, err := r.begin(request, c, cfg)
	if lines != nil {
		defer lines.body.Close()
	}
	switch {
	case !begun():
		return nil, ctx.Err()
	case err != nil:
		return nil, err
	}

	s := &steering{remote: r, client: c, path: "/runs/" + url.PathEscape(lines.run), meet: meet, opened: make(chan bench.Stage)}
	defer s.helpers.Wait()
	defer end(nil)
	waits, over := context.WithCancel(ctx)
	defer over()
	s.helpers.Go(func() { s.give(ctx, request, end) })
	for {
		l, err := lines.next()
		switch {
		case err != nil:
			return nil, because(request, err)
		case l.Tick != nil:
			tick(*l.Tick)
		case l.Stage != "":
			if err := s.wait(waits, l.Stage); err != nil {
				return nil, err
			}
		case l.Outcome != nil:
			return l.Outcome, nil
		case l.Error != "":
			return nil, errors.New(l.Error)
		default:
			return nil, errGarbage
		}
	}
}

// because returns why ctx was ended instead of what came of it.
func because(ctx context.Context, err error) error {
	if cause := context.Cause(ctx); cause != nil {
		return cause
	}
	return err
}

// begin posts the run and returns what the agent says, whose body must be closed.
func (r *Remote) begin(ctx context.Context, c *http.Client, cfg bench.Config) (*lines, error) {
	resp, err := r.ask(ctx, c, http.MethodPost, "/runs", hello{Protocol: protocol, Config: &cfg})
	if err != nil {
		return nil, err
	}
	s := newLines(resp.Body)
	l, err := s.next()
	switch {
	case err != nil:
	case l.Hello == nil:
		err = errGarbage
	case l.Hello.Protocol != protocol:
		err = errVersion(l.Hello.Protocol)
	default:
		s.run = l.Hello.Run
		return s, nil
	}
	resp.Body.Close()
	return nil, err
}

// lines are what an agent says in a run.
type lines struct {
	run     string
	body    io.Closer
	scanner *bufio.Scanner
}

func newLines(body io.ReadCloser) *lines {
	s := &lines{body: body, scanner: bufio.NewScanner(body)}
	s.scanner.Buffer(nil, maxLine)
	return s
}

func (s *lines) next() (l line, err error) {
	if !s.scanner.Scan() {
		return l, fmt.Errorf("it broke off: %w", cmp.Or(s.scanner.Err(), io.ErrUnexpectedEOF))
	}
	if err := json.Unmarshal(s.scanner.Bytes(), &l); err != nil {
		return l, fmt.Errorf("%w (%w)", errGarbage, err)
	}
	return l, nil
}
