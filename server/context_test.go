package server_test

import (
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"
	"testing"

	"github.com/dormouse-ws/dormouse/poller"
	"github.com/dormouse-ws/dormouse/server"
	"github.com/dormouse-ws/dormouse/server/servertest"
)

// Errors that a method gets back are handed to the test through a channel.
func TestContextInJoin(t *testing.T) {
	errs := make(chan error, 16)
	srv := servertest.Start(t, mount(script{join: func(c *server.Context, p server.Payload) error {
		errs <- c.Push("e", nil)
		errs <- c.Broadcast("e", nil)
		errs <- c.BroadcastFrom("e", nil)
		errs <- c.Handle().Push("e", nil)
		errs <- c.Ref().Reply(nil)
		errs <- c.ReplyError(nil)
		return c.Reply(nil)
	}}))
	c := srv.Dial(wsPath)
	c.Join("room:1", nil)
	for i := range 4 {
		if err := await(t, errs, "error"); err != server.ErrNotJoined {
			t.Errorf("call %d in Join: %v, want ErrNotJoined", i, err)
		}
	}
	if err := <-errs; err != server.ErrNoRef {
		t.Errorf("Ref.Reply in Join: %v, want ErrNoRef", err)
	}
	if err := <-errs; err == nil || !strings.Contains(err.Error(), "Refuse") {
		t.Errorf("ReplyError in Join: %v, want an error that names Refuse", err)
	}
	c.ExpectNothing()
}

func TestAfterOrder(t *testing.T) {
	after := func(c *server.Context, n int) {
		c.After(func(c *server.Context) error {
			c.After(func(c *server.Context) error { return c.Push(fmt.Sprint("nested", n), nil) })
			return c.Push(fmt.Sprint("after", n), nil)
		})
	}
	handle := func(c *server.Context) error {
		after(c, 1)
		after(c, 2)
		return c.Reply(nil)
	}
	srv := servertest.Start(t, mount(script{
		join: func(c *server.Context, _ server.Payload) error { return handle(c) },
		in:   func(c *server.Context, _ string, _ server.Payload) error { return handle(c) },
	}))
	c := srv.Dial(wsPath)
	expect := func(what string) {
		t.Helper()
		for _, want := range []string{"phx_reply", "after1", "after2", "nested1", "nested2"} {
			if m := c.Next(); m.Event != want {
				t.Fatalf("%s: received %s, want %s", what, m.Raw, want)
			}
		}
	}
	c.Send(`["1","1","room:1","phx_join",{}]`)
	expect("join")
	c.Send(`["1","2","room:1","x",{}]`)
	expect("event")
}

// A chain of calls of After is a loop, not a recursion.
func TestAfterChain(t *testing.T) {
	const links = 100_000
	var count int
	var link func(c *server.Context) error
	link = func(c *server.Context) error {
		if count++; count == links {
			return c.Push("done", nil)
		}
		c.After(link)
		return nil
	}
	srv := servertest.Start(t, mount(script{in: func(c *server.Context, _ string, _ server.Payload) error { return link(c) }}))
	c := srv.Dial(wsPath)
	c.Join("room:1", nil)
	c.Push("room:1", "x", nil)
	c.NextEvent("done")
}

func TestAfterOfWhatEndsIsNotRun(t *testing.T) {
	var ran []string
	note := func(c *server.Context, what string) {
		c.After(func(*server.Context) error { ran = append(ran, what); return nil })
	}
	srv := servertest.Start(t, mount(script{
		join: func(c *server.Context, _ server.Payload) error {
			note(c, "join")
			if c.Topic() == "room:no" {
				return server.Refuse(nil)
			}
			return nil
		},
		in: func(c *server.Context, event string, _ server.Payload) error {
			c.After(func(*server.Context) error { return server.ErrStop })
			note(c, "after Stop")
			if event == "stop" {
				return server.ErrStop
			}
			return nil
		},
		leave: func(c *server.Context, _ error) { note(c, "leave") },
	}))
	c := srv.Dial(wsPath)
	c.TryJoin("room:no", nil)
	for _, event := range []string{"stop", "x"} {
		c.Join("room:1", nil)
		c.Push("room:1", event, nil)
		c.NextEvent("phx_close")
	}
	c.Drop()
	srv.Stop()
	if want := []string{"join", "join"}; !slices.Equal(ran, want) {
		t.Errorf("ran %q, want %q", ran, want)
	}
}

// Section 3.6: an asynchronous reply is sent any number of times, also after the channel's end; it needs a ref.
func TestRef(t *testing.T) {
	refs := make(chan server.Ref, 8)
	srv := servertest.Start(t, mount(script{
		in: func(c *server.Context, _ string, _ server.Payload) error {
			refs <- c.Ref()
			return nil
		},
		out: func(c *server.Context, _ string, _ server.Payload) error {
			refs <- c.Ref()
			return nil
		},
	}, "intercepted"))
	c := srv.Dial(wsPath)
	c.Join("room:1", nil)
	c.Send(`["1","5","room:1","x",{}]`)
	r := await(t, refs, "ref")
	replied := make(chan error)
	for n := range 2 { // from other goroutines, any number of times
		go func() { replied <- r.Reply(object{"n": n}) }()
		if err := <-replied; err != nil {
			t.Fatal(err)
		}
		c.Expect(fmt.Sprintf(`["1","5","room:1","phx_reply",{"status":"ok","response":{"n":%d}}]`, n))
	}
	if err := r.Reply(math.Inf(1)); err == nil {
		t.Error("a payload that is no JSON: no error")
	}
	c.Leave("room:1")
	c.Expect(`["1","1","room:1","phx_close",{}]`)
	if err := r.ReplyError(nil); err != nil {
		t.Errorf("after the leave: %v", err)
	}
	c.Expect(`["1","5","room:1","phx_reply",{"status":"error","response":{}}]`)

	c.Join("room:2", nil)
	c.Send(`[null,null,"room:2","x",{}]`)
	if err := await(t, refs, "ref").Reply(nil); err != server.ErrNoRef {
		t.Errorf("a null ref: %v, want ErrNoRef", err)
	}
	if err := srv.Broadcast("room:2", "intercepted", nil); err != nil {
		t.Fatal(err)
	}
	if err := await(t, refs, "ref").Reply(nil); err != server.ErrNoRef {
		t.Errorf("of a broadcast: %v, want ErrNoRef", err)
	}
	if err := (server.Ref{}).Reply(nil); err != server.ErrNoRef {
		t.Errorf("the zero Ref: %v, want ErrNoRef", err)
	}
	c.Drop()
	servertest.Eventually(t, "the connection is closed", func() bool { return srv.Stats().Engine.Closed == 1 })
	if err := r.Reply(nil); err != poller.ErrClosed {
		t.Errorf("after the end: %v, want poller.ErrClosed", err)
	}
}

func TestHandle(t *testing.T) {
	handles := make(chan server.Handle, 8)
	srv := servertest.Start(t, mount(script{join: func(c *server.Context, _ server.Payload) error {
		handles <- c.Handle()
		if c.Topic() == "room:no" {
			return server.Refuse(nil)
		}
		return nil
	}}))
	c := srv.Dial(wsPath)
	c.Join("room:1", nil)
	h := await(t, handles, "handle")
	done := make(chan error)
	go func() {
		done <- errors.Join(
			h.Push("pushed", object{"n": 1}),
			h.Do(func(c *server.Context) error { return c.Push("done", nil) }),
		)
	}()
	if err := <-done; err != nil {
		t.Fatal(err)
	}
	c.Expect(`["1",null,"room:1","pushed",{"n":1}]`, `["1",null,"room:1","done",{}]`)
	if err := h.Do(func(c *server.Context) error { return server.ErrStop }); err != nil {
		t.Fatal(err)
	}
	c.Expect(`["1","1","room:1","phx_close",{}]`)

	never := func(c *server.Context) error {
		t.Error("Do runs on a channel that is not joined")
		return nil
	}
	if err := h.Push("e", nil); err != poller.ErrClosed {
		t.Errorf("Push after the leave: %v, want poller.ErrClosed", err)
	}
	_ = h.Do(never)
	c.TryJoin("room:no", nil)
	h = await(t, handles, "handle")
	if err := h.Push("e", nil); err != server.ErrNotJoined {
		t.Errorf("Push after a refused join: %v, want ErrNotJoined", err)
	}
	_ = h.Do(never)
	c.ExpectNothing()
}

// What a connection's goroutines see of a channel whose join is still under way must be ready for them.
func TestHandleWhileJoining(t *testing.T) {
	push := make(chan server.Handle)
	result := make(chan bool)
	go func() {
		for h := range push {
			_ = h.Push("e", nil) // races with the subscription
			result <- true
		}
	}()
	defer close(push)
	srv := servertest.Start(t, mount(script{join: func(c *server.Context, _ server.Payload) error {
		push <- c.Handle()
		return nil
	}}))
	c := srv.Dial(wsPath)
	for range 50 {
		c.Join("room:1", nil)
		<-result
		c.Leave("room:1")
	}
}

func TestPayloads(t *testing.T) {
	var kept []server.Payload
	srv := servertest.Start(t, mount(script{in: func(c *server.Context, event string, p server.Payload) error {
		switch event {
		case "nil":
			return errors.Join(c.Push("a", nil), c.Broadcast("b", nil), c.Reply(nil))
		case "nested":
			return c.Reply(object{"in": p})
		case "bad":
			if err := c.Broadcast("b", math.NaN()); err == nil {
				return c.Reply(nil)
			}
			return c.ReplyError(nil)
		case "keep":
			kept = append(kept, p)
			return nil
		}
		for _, p := range kept {
			if err := c.Push("kept", p); err != nil {
				return err
			}
		}
		return nil
	}}))
	c := srv.Dial(wsPath)
	c.Join("room:1", nil)
	c.Push("room:1", "nil", nil)
	c.Expect(`["1",null,"room:1","a",{}]`, `[null,null,"room:1","b",{}]`, `["1","2","room:1","phx_reply",{"status":"ok","response":{}}]`)
	if status, response := c.Call("room:1", "nested", object{"n": 1}); status != "ok" || string(response) != `{"in":{"n":1}}` {
		t.Errorf("a payload in a payload: %s %s", status, response)
	}
	if status, _ := c.Call("room:1", "bad", nil); status != "error" {
		t.Error("a broadcast that is no JSON has no error")
	}
	// Kept payloads stay as they came, though other messages have passed through the same buffers.
	const messages = 50
	for n := range messages {
		c.Push("room:1", "keep", object{"n": n, "pad": strings.Repeat(fmt.Sprint(n%10), 100)})
	}
	c.Push("room:1", "show", nil)
	for n := range messages {
		c.Expect(fmt.Sprintf(`["1",null,"room:1","kept",{"n":%d,"pad":%q}]`, n, strings.Repeat(fmt.Sprint(n%10), 100)))
	}
}

// A join whose answer cannot be encoded is refused, and never leaves the client without one.
func TestUnencodableJoinReply(t *testing.T) {
	left := make(chan error, 1)
	srv := servertest.Start(t, mount(script{
		join: func(c *server.Context, _ server.Payload) error {
			if c.Topic() == "room:refuse" {
				return server.Refuse(math.Inf(1))
			}
			_ = c.Reply(math.Inf(1))
			return nil
		},
		leave: func(_ *server.Context, reason error) { left <- reason },
	}))
	c := srv.Dial(wsPath)
	for _, topic := range []string{"room:refuse", "room:accept"} {
		if status, response := c.TryJoin(topic, nil); status != "error" || string(response) != `{"reason":"join crashed"}` {
			t.Errorf("%s: %s %s", topic, status, response)
		}
	}
	if await(t, left, "Leave") == nil {
		t.Error("Leave of the accepted join has no reason")
	}
	c.Send(`[null,"9","room:accept","x",{}]`)
	c.Expect(`[null,"9","room:accept","phx_reply",{"status":"error","response":{"reason":"unmatched topic"}}]`)
}
