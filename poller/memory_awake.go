package poller

// A reader is what a connection of an awake engine has on top: a goroutine and a buffer. It stands before
// the peer.
type reader struct {
	Peer
	c    *memConn
	in   chan []byte
	took chan error
	gone chan struct{}
}

func newReader(c *memConn) *reader {
	r := &reader{Peer: c.peer, c: c, in: make(chan []byte), took: make(chan error), gone: make(chan struct{})}
	c.peer = r
	return r
}

// Closed implements Peer.
func (r *reader) Closed() {
	close(r.gone)
	r.Peer.Closed()
}

// feed is Link.Feed.
func (r *reader) feed(data []byte) error {
	select {
	case r.in <- data:
		return <-r.took
	case <-r.gone:
		return ErrClosed
	}
}

// read is the connection's goroutine.
func (r *reader) read() {
	buf := make([]byte, r.c.e.cfg.GoroutineBuffer)
	for {
		select {
		case data := <-r.in:
			r.took <- r.pass(data, buf)
		case <-r.gone:
			return
		}
	}
}

// pass gives data to the connection in pieces that went through buf.
func (r *reader) pass(data, buf []byte) error {
	if err := r.c.mayFeed(len(data)); err != nil {
		return err
	}
	for len(data) > 0 {
		n := copy(buf, data)
		if r.c.feed(buf[:n]) {
			r.c.e.workers.submit(r.c)
		}
		data = data[n:]
	}
	return nil
}
