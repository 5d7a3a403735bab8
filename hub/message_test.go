package hub_test

import (
	"errors"
	"fmt"
	"runtime"
	"sync"
	"testing"

	"github.com/dormouse-ws/dormouse/hub"
)

func TestEncoded(t *testing.T) {
	m := &hub.Message{Topic: "room:1", Event: "new", Payload: []byte("{}")}
	calls := 0
	encode := func(m *hub.Message) ([]byte, error) {
		calls++
		return fmt.Appendf(nil, "%s %s %s, call %d", m.Topic, m.Event, m.Payload, calls), nil
	}
	for range 3 {
		for f := range hub.Format(hub.Formats) {
			got, err := m.Encoded(f, encode)
			if want := fmt.Sprintf("room:1 new {}, call %d", f+1); string(got) != want || err != nil {
				t.Errorf("format %d: %q, %v; want %q", f, got, err, want)
			}
		}
	}
	if calls != hub.Formats {
		t.Errorf("encoded %d times, want %d", calls, hub.Formats)
	}
}

func TestEncodedError(t *testing.T) {
	m := &hub.Message{}
	calls, want := 0, errors.New("not an object")
	for range 3 {
		got, err := m.Encoded(1, func(*hub.Message) ([]byte, error) { calls++; return nil, want })
		if got != nil || err != want {
			t.Errorf("%q, %v; want the error", got, err)
		}
	}
	if calls != 1 {
		t.Errorf("tried %d times, want once", calls)
	}
}

func TestEncodedPanic(t *testing.T) {
	m := &hub.Message{}
	func() {
		defer func() { _ = recover() }()
		_, _ = m.Encoded(0, func(*hub.Message) ([]byte, error) { panic("ouch") })
	}()
	if got, err := m.Encoded(0, func(*hub.Message) ([]byte, error) { return []byte("x"), nil }); string(got) != "x" || err != nil {
		t.Errorf("after a panic: %q, %v", got, err)
	}
}

// TestEncodedTogether: however many ask at once, each format is encoded once and all get the same bytes.
func TestEncodedTogether(t *testing.T) {
	for range 100 {
		m := &hub.Message{}
		var wg sync.WaitGroup
		var calls [hub.Formats]int // without a lock, for the race detector
		var got [8][]byte
		for i := range got {
			wg.Go(func() {
				f := hub.Format(i % hub.Formats)
				got[i], _ = m.Encoded(f, func(*hub.Message) ([]byte, error) {
					calls[f]++
					for range 10 { // time for others to come and wait
						runtime.Gosched()
					}
					return make([]byte, 1), nil
				})
			})
		}
		wg.Wait()
		for i := range got {
			if f := i % hub.Formats; calls[f] != 1 || &got[i][0] != &got[f][0] {
				t.Fatalf("format %d: encoded %d times", f, calls[f])
			}
		}
	}
}

func TestEncodedAllocates(t *testing.T) {
	m := &hub.Message{}
	encode := func(*hub.Message) ([]byte, error) { return []byte("x"), nil }
	_, _ = m.Encoded(0, encode)
	if got := testing.AllocsPerRun(100, func() { _, _ = m.Encoded(0, encode) }); got != 0 {
		t.Errorf("%v allocations to get what is encoded, want 0", got)
	}
}
