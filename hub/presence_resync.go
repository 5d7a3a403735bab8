package hub

import (
	"encoding/json"
	"strings"
)

// Resync calls push with a snapshot between two diffs: what was broadcast before is in it, and has reached whom it
// reaches; what is broadcast after it begins when push has returned. So a presence_state that push sends at once
// takes nothing back, and may be a join's second.
//
// It is for a subscriber that was off the topic for a while, and whose client may have kept diffs from before that:
// phoenix.js applies what it has kept to the first presence_state that comes, and would show for ever what came in
// those diffs and went while nobody was subscribed. A second one puts that right.
//
// If no diff is under way, push is called before Resync returns, else soon, on the goroutine that broadcasts. The next
// diff of the topic waits for it: it must not block. Until it is called, a further Resync of the same who, which is
// of a comparable type, takes the place of this one.
func (p *Presence) Resync(topic string, who any, push func(state json.RawMessage)) {
	sh := p.shard(topic)
	sh.mu.Lock()
	d := sh.diffs.get(topic)
	if d == nil {
		d = sh.diffsOf(strings.Clone(topic))
	}
	if d.resyncs == nil {
		d.resyncs = make(map[any]func(json.RawMessage))
	}
	d.resyncs[who] = push
	sh.mu.Unlock()
	p.flush(sh, topic)
}

// presenceResync is what is to be done between two diffs of a topic.
type presenceResync struct {
	topic    string
	pushes   map[any]func(json.RawMessage)
	snapshot *presenceSnapshot
}

// takeResyncLocked needs the lock, and d in flight: no other diff may begin until what it returns is done.
func (sh *presenceShard) takeResyncLocked(d *presenceDiffs) (r presenceResync) {
	if len(d.resyncs) > 0 {
		r = presenceResync{d.topic, d.resyncs, sh.snapshotLocked(d.topic)}
		d.resyncs = nil
	}
	return r
}

func (r *presenceResync) push(p *Presence) {
	if len(r.pushes) == 0 {
		return
	}
	state := r.snapshot.encode(p, r.topic)
	for _, push := range r.pushes {
		push(state)
	}
}
