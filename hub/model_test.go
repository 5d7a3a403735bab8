package hub_test

import (
	"flag"
	"fmt"
	"math/rand/v2"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/dormouse-ws/dormouse/hub"
)

var seedFlag = flag.Uint64("seed", 0, "replay TestModel with this seed; 0: a new one each time")

// TestModel lets goroutines subscribe, unsubscribe and broadcast at random and holds what arrived
// against sets of who was subscribed when. With one goroutine the model is exact; with several, what
// a broadcast met in the middle of a subscription's beginning or end may have arrived or not.
func TestModel(t *testing.T) {
	seed := *seedFlag
	if seed == 0 {
		seed = rand.Uint64()
	}
	for _, ops := range []int{10, 100, 1000, 5000} {
		for _, goroutines := range []int{1, 2, 4, 8} {
			for _, helpers := range []int{-1, 3} {
				t.Run(fmt.Sprintf("%dx%d, helpers %d", ops, goroutines, helpers), func(t *testing.T) {
					defer func() {
						if t.Failed() {
							t.Logf("replay with -run '%s' -seed %d", t.Name(), seed)
						}
					}()
					simulate(t, seed, ops, goroutines, helpers)
				})
			}
		}
	}
}

// span is a subscription on the model's clock: it began between begin and begun and ended between
// ending and end.
type span struct {
	topic                     int
	begin, begun, ending, end int64
}

const never = int64(1) << 62

// modelMessage is one broadcast. It travels as its number in model.sent.
type modelMessage struct {
	topic      int
	from       *modelEar
	begin, end int64
	delivered  int
}

// modelEar is a subscriber; the goroutine that owns it alone subscribes it.
type modelEar struct {
	hub.Subscription
	m     *model
	spans []span

	mu    sync.Mutex // protects the following
	heard map[int]int
}

func (e *modelEar) Deliver(m *hub.Message) {
	e.mu.Lock()
	e.heard[int(m.Payload[0])<<16|int(m.Payload[1])<<8|int(m.Payload[2])]++
	n := len(e.heard)
	e.mu.Unlock()
	if n%64 == 1 { // the others' turn, in the middle of a fan-out
		runtime.Gosched()
	}
}

type model struct {
	h     *hub.Hub
	clock atomic.Int64

	mu   sync.Mutex // protects the following
	sent []*modelMessage
}

// modelTopics are few and of unequal weight: topic 0 grows to several pages, the last seldom has two.
const modelTopics = 8

// topicFor returns topic i with a probability of about 1/2, 1/4, 1/8 and so on.
func topicFor(r *rand.Rand) int {
	i := 0
	for i < modelTopics-1 && r.IntN(2) == 0 {
		i++
	}
	return i
}

func simulate(t *testing.T, seed uint64, ops, goroutines, helpers int) {
	m := &model{h: newHub(t)}
	hub.SetHelpers(m.h, helpers, 1)
	var wg sync.WaitGroup
	ears := make([][]*modelEar, goroutines)
	for g := range goroutines {
		wg.Go(func() { ears[g] = m.run(rand.New(rand.NewPCG(seed, uint64(g))), ops, 2000/goroutines) })
	}
	if goroutines > 1 {
		wg.Go(func() {
			for range ops / 100 {
				if err := hub.Check(m.h, false); err != nil {
					t.Error(err)
				}
			}
		})
	}
	wg.Wait()
	check(t, m.h)
	counts := make([]int, len(m.sent))
	present := make([]int, modelTopics)
	for _, own := range ears {
		for _, e := range own {
			e.check(t, counts)
			if e.on() {
				present[e.spans[len(e.spans)-1].topic]++
			}
		}
	}
	for i, s := range m.sent {
		if counts[i] != s.delivered {
			t.Errorf("message %d: delivered to %d by Broadcast's account, to %d by theirs", i, s.delivered, counts[i])
		}
	}
	for i, n := range present {
		if got := m.h.Subscribers(topicName(i)); got != n {
			t.Errorf("%s: %d subscribers, want %d", topicName(i), got, n)
		}
	}
}

func topicName(i int) string { return fmt.Sprint("room:", i) }

// run does ops random things with subscribers of its own. There are times of joining and times of leaving, so that topics grow and
// vanish.
func (m *model) run(r *rand.Rand, ops, subscribers int) []*modelEar {
	ears := make([]*modelEar, subscribers)
	for i := range ears {
		ears[i] = &modelEar{m: m, heard: map[int]int{}}
	}
	for i := range ops {
		e := ears[r.IntN(len(ears))]
		switch on, joining := e.on(), i/(1+ops/5)%2 == 0; {
		case r.IntN(16) == 0:
			m.broadcast(topicFor(r), nil)
		case r.IntN(16) == 0:
			m.broadcast(topicFor(r), e)
		case !on && (joining || r.IntN(4) == 0):
			e.subscribe(topicFor(r))
		case on && r.IntN(8) == 0:
			e.replaceBy(ears[r.IntN(len(ears))])
		case on && (!joining || r.IntN(4) == 0):
			e.unsubscribe()
		}
	}
	return ears
}

func (m *model) broadcast(topic int, from *modelEar) {
	msg := &modelMessage{topic: topic, from: from}
	m.mu.Lock()
	i := len(m.sent)
	m.sent = append(m.sent, msg)
	m.mu.Unlock()
	wire := &hub.Message{Topic: topicName(topic), Payload: []byte{byte(i >> 16), byte(i >> 8), byte(i)}}
	msg.begin = m.clock.Add(1)
	if from != nil {
		msg.delivered = m.h.BroadcastFrom(from, wire)
	} else {
		msg.delivered = m.h.Broadcast(wire)
	}
	msg.end = m.clock.Add(1)
}

func (e *modelEar) on() bool {
	return len(e.spans) > 0 && e.spans[len(e.spans)-1].end == never
}

func (e *modelEar) subscribe(topic int) {
	s := span{topic: topic, begin: e.m.clock.Add(1), ending: never, end: never}
	e.m.h.Subscribe(topicName(topic), e)
	s.begun = e.m.clock.Add(1)
	e.spans = append(e.spans, s)
}

func (e *modelEar) unsubscribe() {
	s := &e.spans[len(e.spans)-1]
	s.ending = e.m.clock.Add(1)
	if !e.m.h.Unsubscribe(e) {
		panic("was not subscribed")
	}
	s.end = e.m.clock.Add(1)
}

// replaceBy puts o in the place of e, if o is on no topic.
func (e *modelEar) replaceBy(o *modelEar) {
	if o.on() {
		return
	}
	old := &e.spans[len(e.spans)-1]
	old.ending = e.m.clock.Add(1)
	s := span{topic: old.topic, begin: old.ending, ending: never, end: never}
	if !e.m.h.Replace(e, o) {
		panic("was not subscribed")
	}
	s.begun = e.m.clock.Add(1)
	old.end = s.begun
	o.spans = append(o.spans, s)
}

// check holds what e heard of every message against its subscriptions, and adds it to counts.
func (e *modelEar) check(t *testing.T, counts []int) {
	for i, msg := range e.m.sent {
		least, most := 0, 0
		for _, s := range e.spans {
			if s.topic != msg.topic || e == msg.from || s.begin > msg.end || s.end < msg.begin {
				continue
			}
			most++
			if s.begun < msg.begin && s.ending > msg.end {
				least = 1
			}
		}
		got := e.heard[i]
		counts[i] += got
		if got < least || got > most {
			t.Fatalf("message %d of %d heard %d times, want %d to %d", i, len(e.m.sent), got, least, most)
		}
	}
}
