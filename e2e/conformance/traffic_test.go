package conformance_test

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"sync"
	"testing"
	"time"
)

// A plan is what a client sends, and what must come back: messages in their order, pongs in theirs.
type plan struct {
	sent     []byte
	messages []frame
	pongs    []frame
	code     int
}

// newPlan draws valid traffic. It stays below the megabyte that may wait for a client that reads late.
func newPlan(r *rand.Rand) (p plan) {
	for range 40 {
		text := r.IntN(2) == 0
		op := byte(opBinary)
		if text {
			op = opText
		}
		data := payload(r, text, randomSize(r))
		p.messages = append(p.messages, frame{fin | op, data})
		for first, rest := true, data; first || rest != nil; first = false {
			n := len(rest)
			if r.IntN(3) == 0 {
				n = r.IntN(len(rest) + 1)
			}
			b0 := byte(opCont)
			if first {
				b0 = op
			}
			piece := rest[:n]
			if rest = rest[n:]; len(rest) == 0 {
				b0, rest = b0|fin, nil
			}
			p.sent = append(p.sent, wire(b0, piece)...)
			switch r.IntN(6) {
			case 0:
				body := payload(r, false, r.IntN(126))
				p.pongs = append(p.pongs, frame{fin | opPong, body})
				p.sent = append(p.sent, wire(fin|opPing, body)...)
			case 1:
				p.sent = append(p.sent, pong("nobody asked")...)
			}
		}
	}
	p.code = 3000 + r.IntN(2000)
	p.sent = append(p.sent, closeCode(p.code)...)
	return p
}

func randomSize(r *rand.Rand) int {
	edges := []int{0, 1, 125, 126, 127, 65535, 65536}
	switch r.IntN(8) {
	case 0:
		return edges[r.IntN(5)]
	case 1:
		if r.IntN(10) == 0 {
			return edges[5+r.IntN(2)]
		}
		return r.IntN(20_000)
	}
	return r.IntN(1000)
}

// TestTraffic: two hundred clients with random valid traffic, cut at random, all of it verified.
func TestTraffic(t *testing.T) {
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	clients := 200
	if testing.Short() {
		clients = 20
	}
	onEngines(t, func(t *testing.T, engine string) {
		addr := startEcho(t, engine).addr
		errs := make([]error, clients)
		var wg sync.WaitGroup
		for i := range clients {
			p := dial(t, addr, "/")
			r := rand.New(rand.NewPCG(seed, uint64(i)))
			wg.Go(func() { errs[i] = newPlan(r).run(p, r) })
		}
		wg.Wait()
		for i, err := range errs {
			if err != nil {
				t.Errorf("seed %d, client %d: %v", seed, i, err)
			}
		}
	})
}

// run sends the plan in pieces and compares what comes back.
func (p plan) run(c *peer, r *rand.Rand) error {
	written := make(chan error, 1)
	cuts := rand.New(rand.NewPCG(r.Uint64(), 1))
	go func() {
		var err error
		for b := p.sent; len(b) > 0 && err == nil; {
			n := min(len(b), 1+cuts.IntN(4000))
			_, err = c.c.Write(b[:n])
			b = b[n:]
		}
		written <- err
	}()
	err := p.compare(c)
	if werr := <-written; err == nil {
		err = werr
	}
	return err
}

func (p plan) compare(c *peer) error {
	for {
		got, err := c.next()
		if err != nil {
			return err
		}
		left := &p.messages
		switch got.op() {
		case opClose:
			if len(p.messages)+len(p.pongs) > 0 {
				return fmt.Errorf("%v, and %d messages and %d pongs are missing", got, len(p.messages), len(p.pongs))
			}
			if want := closePayload(p.code, ""); !bytes.Equal(got.payload, want) {
				return fmt.Errorf("want close %d, got %v", p.code, got)
			}
			return nil
		case opPong:
			left = &p.pongs
		}
		if len(*left) == 0 {
			return fmt.Errorf("nothing more was due, got %v", got)
		}
		if want := (*left)[0]; got.b0 != want.b0 || !bytes.Equal(got.payload, want.payload) {
			return fmt.Errorf("want %v, got %v%s", want, got, difference(got.payload, want.payload))
		}
		*left = (*left)[1:]
	}
}
