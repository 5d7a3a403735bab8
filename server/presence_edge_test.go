package server_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/dormouse-ws/dormouse/hub"
	"github.com/dormouse-ws/dormouse/poller"
	"github.com/dormouse-ws/dormouse/server"
	"github.com/dormouse-ws/dormouse/server/servertest"
)

// tries calls everything that tracks.
func tries(c *server.Context) []error {
	h := c.Handle()
	return []error{
		err2(c.Track("k", nil)), err2(c.Update("k", nil)), err2(c.UpdateFunc("k", asBefore)), c.PushPresenceState(),
		err2(h.Track("k", nil)), err2(h.Update("k", nil)), err2(h.UpdateFunc("k", asBefore)), h.PushPresenceState(),
		err2(h.PresenceIn("room:2").Track("k", nil)), err2(c.PresenceIn("room:2").Update("k", nil)),
	}
}

func err2(_ string, err error) error                    { return err }
func asBefore(old server.Payload) (meta any, err error) { return old, nil }

// TestPresenceOutsideTheJoin: before the join is done, and when the channel is at its end, nothing can be tracked;
// what is tracked is there still in Leave, and can be untracked.
func TestPresenceOutsideTheJoin(t *testing.T) {
	errs, kept := make(chan []error, 2), make(chan server.Handle, 1)
	untracked := make(chan bool, 4)
	srv := servertest.Start(t, mount(script{
		join: func(c *server.Context, _ server.Payload) error {
			errs <- tries(c)
			untracked <- c.Untrack("k")
			c.After(func(c *server.Context) error { return errors.Join(err2(c.Track("a", nil)), err2(c.Track("b", nil))) })
			return nil
		},
		leave: func(c *server.Context, _ error) {
			errs <- tries(c)
			untracked <- c.Untrack("k")
			untracked <- c.Untrack("a")
			kept <- c.Handle()
		},
	}))
	c := srv.Dial(wsPath)
	c.Join("room:1", nil)
	c.Leave("room:1")
	c.NextEvent("phx_close")
	for _, want := range []error{server.ErrNotJoined, poller.ErrClosed} {
		for i, err := range await(t, errs, "errors") {
			if err != want {
				t.Errorf("call %d: %v, want %v", i, err, want)
			}
		}
	}
	h := await(t, kept, "the end of Leave")
	untracked <- h.Untrack("b")
	for i, want := range []bool{false, false, true} {
		if got := <-untracked; got != want {
			t.Errorf("untrack %d: %v", i, got)
		}
	}
	servertest.Eventually(t, "nothing is left", func() bool { return srv.Stats().Presence.Entries == 0 })
	if err := err2(h.Track("k", nil)); err != poller.ErrClosed {
		t.Errorf("after the end: %v", err)
	}
}

// TestPresenceMetas: what is no JSON is an error of Track's, and of the function's.
func TestPresenceMetas(t *testing.T) {
	own := errors.New("an error of the function's")
	srv := servertest.Start(t, mount(script{in: func(c *server.Context, _ string, _ server.Payload) error {
		_, nan := c.Track("k", math.NaN())
		_, binary := c.Track("k", server.Binary([]byte{1}))
		_, ok := c.Track("k", server.Raw(json.RawMessage(`{"n":1}`)))
		_, function := c.UpdateFunc("k", func(server.Payload) (any, error) { return nil, own })
		_, result := c.UpdateFunc("k", func(server.Payload) (any, error) { return 1, nil })
		_, update := c.Update("k", math.NaN())
		return c.Reply([]bool{nan != nil, errors.Is(binary, server.ErrBinaryPayload), ok == nil,
			errors.Is(function, own), errors.Is(result, hub.ErrPresenceMeta), update != nil})
	}}))
	c := srv.Dial(wsPath)
	c.Join("room:1", nil)
	if status, response := c.Call("room:1", "x", nil); status != "ok" || strings.Contains(string(response), "false") {
		t.Errorf("%s %s", status, response)
	}
	if p, ok := srv.PresenceOf("room:1", "k"); !ok || !strings.Contains(string(p.Bytes()), `{"n":1,`) {
		t.Errorf("%v %s", ok, p.Bytes())
	}
}

// TestPresenceRacesWithTheEnd: other goroutines track by a handle while the channel ends; nothing stays.
func TestPresenceRacesWithTheEnd(t *testing.T) {
	handles := make(chan server.Handle, 1)
	srv := servertest.Start(t, mount(script{join: func(c *server.Context, _ server.Payload) error {
		handles <- c.Handle()
		return nil
	}}))
	c := srv.Dial(wsPath)
	const rounds, goroutines = 30, 3
	for n := range rounds {
		c.Send(fmt.Sprintf(`["%d","1","room:1","phx_join",{}]`, n))
		h := await(t, handles, "handle")
		var wg sync.WaitGroup
		for g := range goroutines {
			wg.Go(func() {
				for i := 0; ; i++ {
					key := fmt.Sprint(g, i%8)
					if _, err := h.Track(key, nil); err == poller.ErrClosed {
						return
					}
					_, _ = h.UpdateFunc(key, asBefore)
					h.Untrack(fmt.Sprint(g, (i+4)%8))
				}
			})
		}
		c.Send(fmt.Sprintf(`["%d","2","room:1","phx_leave",{}]`, n))
		for m := c.Next(); m.Event != "phx_close"; m = c.Next() {
		}
		wg.Wait()
		servertest.Eventually(t, "nothing is left", func() bool { return srv.Stats().Presence.Entries == 0 })
	}
}

// TestPresenceFetch is section 6.2: fields beside metas, in the state, lists and both halves of diffs; and what
// the hook does wrong is logged and harms nobody.
func TestPresenceFetch(t *testing.T) {
	var book logBook
	cfg := mount(presenceRoom)
	cfg.Log = book.logger()
	cfg.Presence.Fetch = func(topic string, keys []string) map[string]any {
		if slices.Contains(keys, "panic") {
			panic("fetch fails")
		}
		return map[string]any{"u1": object{"topic": topic, "name": "Ann"}, "list": []int{1}, "nan": math.NaN()}
	}
	p := startPresence(t, cfg)
	c := p.Dial(wsPath)
	c.Send(`["1","1","room:1","phx_join",{"key":"u1"}]`)
	p.expect(c, `["1","1","room:1","phx_reply",{"status":"ok","response":{}}]`, `["1",null,"room:1","presence_state",{}]`,
		`[null,null,"room:1","presence_diff",{"joins":{"u1":{"name":"Ann","topic":"room:1","metas":[{"phx_ref":"r1"}]}},"leaves":{}}]`)
	watcher := p.Dial(wsPath)
	watcher.Send(`["1","1","room:1","phx_join",{}]`)
	p.expect(watcher, `["1","1","room:1","phx_reply",{"status":"ok","response":{}}]`,
		`["1",null,"room:1","presence_state",{"u1":{"name":"Ann","topic":"room:1","metas":[{"phx_ref":"r1"}]}}]`)
	for _, key := range []string{"panic", "list", "nan"} {
		c.Push("room:1", "track", whois{Key: key})
		p.expect(watcher, fmt.Sprintf(`[null,null,"room:1","presence_diff",{"joins":{"%s":{"metas":[{"phx_ref":"r%d"}]}},"leaves":{}}]`, key, len(p.names)+1))
	}
	for _, want := range []string{"fetch fails", "key=list", "key=nan"} {
		if !strings.Contains(book.String(), want) {
			t.Errorf("the log lacks %s:\n%s", want, book.String())
		}
	}
	if n := p.Stats().Panics; n == 0 {
		t.Error("the panic is not counted")
	}
}

// TestPresenceHotTopic: who changes a topic while a diff is on its way does not wait for it, and the changes
// come in one.
func TestPresenceHotTopic(t *testing.T) {
	const others = 40
	p := startPresence(t, mount(presenceRoom))
	watcher, first, other := p.enter(""), p.enter(""), p.enter("")
	reached, gate := make(chan bool), make(chan bool)
	var once sync.Once
	unstage := p.Stage("room:1", func() {
		once.Do(func() {
			close(reached)
			<-gate
		})
	})
	defer unstage()
	first.Push("room:1", "track", whois{Key: "first"})
	await(t, reached, "the first diff")
	for n := range others {
		p.call(other, "track", whois{Key: fmt.Sprint(n)})
	}
	close(gate)
	diffs, joins := 0, 0
	for ; joins < 1+others; diffs++ {
		var diff struct{ Joins map[string]any }
		if err := json.Unmarshal(watcher.NextEvent("presence_diff").Payload, &diff); err != nil {
			t.Fatal(err)
		}
		joins += len(diff.Joins)
	}
	if diffs != 2 || joins != 1+others {
		t.Errorf("%d joins in %d diffs, want %d in 2", joins, diffs, 1+others)
	}
}

// TestPresenceShutdownWaits for a diff that is being broadcast by no worker.
func TestPresenceShutdownWaits(t *testing.T) {
	fetching, gate := make(chan bool), make(chan bool)
	var calls int // for one topic no two run at once
	cfg := mount(presenceRoom)
	cfg.Presence.Fetch = func(_ string, keys []string) map[string]any {
		if calls++; calls <= 2 {
			fetching <- true
			<-gate
		}
		return nil
	}
	p := startPresence(t, cfg)
	c, other := p.enter(""), p.enter("")
	c.Push("room:1", "track", whois{Key: "a"})
	await(t, fetching, "the first diff")
	p.call(other, "track", whois{Key: "b"})
	gate <- true
	await(t, fetching, "the second diff, on a goroutine of its own")
	c.Drop()
	other.Drop()
	servertest.Eventually(t, "the connections are closed", func() bool { return p.Stats().Engine.Closed == 2 })
	var released atomic.Bool
	go func() {
		servertest.Eventually(t, "Shutdown has begun", func() bool { return healthz(p.Server) == 503 })
		released.Store(true)
		gate <- true
	}()
	ctx, cancel := context.WithTimeout(context.Background(), servertest.Patience)
	defer cancel()
	if err := p.Shutdown(ctx); err != nil || !released.Load() {
		t.Errorf("Shutdown: %v, before the diff was made: %v", err, !released.Load())
	}
}

func TestPresenceConfigIsChecked(t *testing.T) {
	for name, pc := range map[string]server.PresenceConfig{
		"TopicEntries": {TopicEntries: -1}, "ChannelEntries": {ChannelEntries: -1}, "TopicBytes": {TopicBytes: -1},
		"MetaBytes": {MetaBytes: -1}, "KeyBytes": {KeyBytes: -1}, "DiffBytes": {DiffBytes: -1},
	} {
		if _, err := server.New(server.Config{Presence: pc}); err == nil || !strings.Contains(err.Error(), name) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// A room that shows who is in it.
func ExampleContext_PushPresenceState() {
	rooms := &server.Socket{Path: "/socket", Routes: []server.Route{{Topic: "rooms:*", Channel: func() server.Channel {
		return script{
			join: func(c *server.Context, _ server.Payload) error {
				c.After(func(c *server.Context) error {
					if err := c.PushPresenceState(); err != nil {
						return err
					}
					_, err := c.Track("ann", map[string]string{"device": "phone"})
					return err
				})
				return nil
			},
		}
	}}}}
	talk(server.Config{Sockets: []*server.Socket{rooms}}, "/socket/websocket?vsn=2.0.0",
		`["1","1","rooms:a","phx_join",{}]`, // the reply, the state, and a diff with ann follow; talk reads one each
		`["1","2","rooms:a","ping",{}]`)     // handled behind the join; a heartbeat would be answered beside it
	// Output:
	// ["1","1","rooms:a","phx_reply",{"status":"ok","response":{}}]
	// ["1",null,"rooms:a","presence_state",{}]
}
