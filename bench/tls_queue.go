package bench

import "sync"

// maxHandshakes bounds the TLS handshakes that go on at once: at 100 ms each, which is a distant target,
// they are 10,000 each second. A goroutine in one has a stack of about 16 KiB.
const maxHandshakes = 1024

// A handshakeQueue is the handshakes of a generator. It has goroutines while there are handshakes to be done, and no more than maxHandshakes. A
// link that waits for its turn holds none.
type handshakeQueue struct {
	mu      sync.Mutex // protects the following
	running int        // goroutines
	waiting []*tlsLink // the oldest first
}

// add has l's handshake run.
func (q *handshakeQueue) add(l *tlsLink) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.running == maxHandshakes {
		q.waiting = append(q.waiting, l)
		return
	}
	q.running++
	go q.run(l)
}

func (q *handshakeQueue) run(l *tlsLink) {
	for l != nil {
		l.handshake()
		l = q.next()
	}
}

// next returns nil when there is nothing more to do for the goroutine that asks.
func (q *handshakeQueue) next() *tlsLink {
	q.mu.Lock()
	defer q.mu.Unlock()
	if len(q.waiting) == 0 {
		q.running--
		return nil
	}
	l := q.waiting[0]
	q.waiting[0] = nil
	if q.waiting = q.waiting[1:]; len(q.waiting) == 0 {
		q.waiting = nil
	}
	return l
}
