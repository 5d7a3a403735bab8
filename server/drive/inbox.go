package drive

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
)

// An Inbox is an Observer that keeps what its socket receives until it is asked for, for tests that say
// what they expect in order, as Phoenix.ChannelTest does. Its zero value is ready, for one socket. Its
// methods may be called from any goroutine.
type Inbox struct {
	mu       sync.Mutex // protects the following
	messages []Message
	overfull bool
	code     int           // of the end; 0: it goes on
	changed  chan struct{} // closed at the next change; nil while nobody waits
}

// inboxLimit is how many messages an inbox keeps.
const inboxLimit = 4096

var (
	// ErrInboxFull is returned for good once an inbox was sent more than it keeps, 4,096 messages.
	ErrInboxFull = errors.New("drive: the inbox is over its limit of 4096 messages")

	// ErrSocketClosed is returned when what was asked for cannot come any more.
	ErrSocketClosed = errors.New("drive: the socket is closed")
)

// Message implements Observer.
func (b *Inbox) Message(_ *Socket, m Message) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if len(b.messages) == inboxLimit {
		b.overfull = true
	} else {
		b.messages = append(b.messages, m)
	}
	b.changeLocked()
}

// Closed implements Observer.
func (b *Inbox) Closed(_ *Socket, code int) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.code = code
	b.changeLocked()
}

func (b *Inbox) changeLocked() {
	if b.changed != nil {
		close(b.changed)
		b.changed = nil
	}
}

// Next waits for the oldest message that was not taken yet, and takes it.
func (b *Inbox) Next(ctx context.Context) (Message, error) {
	return b.find(ctx, "a message", func(Message) bool { return true })
}

// Reply waits for the reply to ref and takes it. Other messages stay.
func (b *Inbox) Reply(ctx context.Context, ref Ref) (Message, error) {
	return b.find(ctx, fmt.Sprintf("a reply to %d", ref), func(m Message) bool { return m.Event == eventReply && m.Ref == ref })
}

// Event waits for the first message of that event and takes it. Other messages stay.
func (b *Inbox) Event(ctx context.Context, event string) (Message, error) {
	return b.find(ctx, "an event "+event, func(m Message) bool { return m.Event == event })
}

// Code waits for the socket's end and returns its code, see [Observer.Closed].
func (b *Inbox) Code(ctx context.Context) (int, error) {
	for {
		b.mu.Lock()
		code, changed := b.code, b.changeOfLocked()
		b.mu.Unlock()
		if code != 0 {
			return code, nil
		}
		if err := waitFor(ctx, changed, "the end of the socket"); err != nil {
			return 0, err
		}
	}
}

// Len returns how many messages were not taken yet.
func (b *Inbox) Len() int {
	b.mu.Lock()
	defer b.mu.Unlock()
	return len(b.messages)
}

func (b *Inbox) find(ctx context.Context, what string, wanted func(Message) bool) (Message, error) {
	for {
		b.mu.Lock()
		if i := slices.IndexFunc(b.messages, wanted); i >= 0 {
			m := b.messages[i]
			b.messages = slices.Delete(b.messages, i, i+1)
			b.mu.Unlock()
			return m, nil
		}
		overfull, code, changed := b.overfull, b.code, b.changeOfLocked()
		b.mu.Unlock()
		switch {
		case overfull:
			return Message{}, ErrInboxFull
		case code != 0:
			return Message{}, fmt.Errorf("%w with code %d, without %s", ErrSocketClosed, code, what)
		}
		if err := waitFor(ctx, changed, what); err != nil {
			return Message{}, err
		}
	}
}

// changeOfLocked returns a channel that the next change closes.
func (b *Inbox) changeOfLocked() <-chan struct{} {
	if b.changed == nil {
		b.changed = make(chan struct{})
	}
	return b.changed
}

func waitFor(ctx context.Context, changed <-chan struct{}, what string) error {
	select {
	case <-changed:
		return nil
	case <-ctx.Done():
		return fmt.Errorf("drive: waiting for %s: %w", what, ctx.Err())
	}
}
