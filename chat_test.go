package main

// In the package: the chat is the program's own.

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/dormouse-ws/dormouse/server"
	"github.com/dormouse-ws/dormouse/server/servertest"
)

const lobby = "rooms:lobby"

// A message of n bytes as JSON text.
func messageOf(n int) map[string]string {
	return map[string]string{"body": strings.Repeat("x", n-len(`{"body":""}`))}
}

// What is answered, by event.
func TestRoomReplies(t *testing.T) {
	c := servertest.Start(t, server.Config{Sockets: []*server.Socket{chatSocket()}}).Dial("/socket/websocket")
	c.Join(lobby, nil)
	for _, row := range []struct {
		event    string
		payload  any
		status   string
		response string // a part of it
	}{
		{"ping", map[string]any{"a": 1}, "ok", `{"a":1}`},
		{"ping", nil, "ok", `{}`},
		{"ping", messageOf(maxChat + 1), "ok", `xxx`},
		{"shout", messageOf(maxChat + 1), "error", "too long"},
		{"new_msg", map[string]string{"body": "hi"}, "ok", `{}`},
		{"new_msg", messageOf(maxChat + 1), "error", "too long"},
		{"new_msg", nil, "error", "{user, body}"},
		{"other", nil, "error", "unknown event"},
	} {
		status, response := c.Call(lobby, row.event, row.payload)
		if status != row.status || !strings.Contains(string(response), row.response) {
			t.Errorf("%s: %s %.80s, want %s with %s", row.event, status, response, row.status, row.response)
		}
	}
}

// A shout comes to everybody, its sender included, as it was sent, and has no reply.
func TestShout(t *testing.T) {
	srv := servertest.Start(t, server.Config{Sockets: []*server.Socket{chatSocket()}})
	jo, mo := srv.Dial("/socket/websocket"), srv.Dial("/socket/websocket")
	jo.Join(lobby, nil)
	mo.Join(lobby, nil)
	jo.Push(lobby, "shout", messageOf(maxChat))
	ref := jo.Push(lobby, "ping", nil)
	want := fmt.Sprintf(`[null,null,%q,"shout",{"body":"%s"}]`, lobby, messageOf(maxChat)["body"])
	mo.Expect(want)
	jo.Expect(want)
	jo.Expect(fmt.Sprintf(`[%s,%s,%q,"phx_reply",{"status":"ok","response":{}}]`, jo.JoinRef(lobby), ref, lobby))
}

// Who joins with a name is shown to those who have one, under the name that it has at the time.
func TestPeople(t *testing.T) {
	srv := servertest.Start(t, server.Config{Sockets: []*server.Socket{chatSocket()}})
	ann, bob, load := srv.Dial("/socket/websocket"), srv.Dial("/socket/websocket"), srv.Dial("/socket/websocket")
	load.Join(lobby, nil)
	here := func(want ...string) { // a name is tracked after the reply to its join
		t.Helper()
		servertest.Eventually(t, fmt.Sprintf("%q are here", want), func() bool {
			var people map[string]any
			if err := srv.Presences(lobby).Decode(&people); err != nil {
				t.Fatal(err)
			}
			return slices.Equal(slices.Sorted(maps.Keys(people)), want)
		})
	}
	ann.Join(lobby, map[string]string{"user": "Ann"})
	here("Ann")
	bob.Join(lobby, map[string]string{"user": "Bob"})
	if state := bob.NextEvent("presence_state"); !strings.Contains(string(state.Payload), `"Ann":{"metas":[{"phx_ref":`) {
		t.Errorf("Bob sees %s", state.Payload)
	}
	here("Ann", "Bob")
	for _, row := range []struct {
		c         *servertest.Client
		name, was string
		status    string
		ann, here string
	}{
		{ann, "Anna", "Ann", "ok", "Anna", "Bob"},
		{ann, "Anna", "Anna", "ok", "Anna", "Bob"},
		{ann, "", "Anna", "error", "Anna", "Bob"},
		{ann, "Eve", "Bob", "error", "Anna", "Bob"},
		{ann, strings.Repeat("x", maxName+1), "Anna", "error", "Anna", "Bob"},
		{load, "Eve", "Anna", "error", "Anna", "Bob"},
	} {
		if status, response := row.c.Call(lobby, "rename", map[string]string{"user": row.name, "was": row.was}); status != row.status {
			t.Errorf("rename to %.10s: %s %s", row.name, status, response)
		}
		here(row.ann, row.here)
	}
	bob.Leave(lobby)
	bob.NextEvent("phx_close")
	here("Anna")
	if status, response := bob.TryJoin(lobby, map[string]string{"user": strings.Repeat("x", maxName+1)}); status != "error" {
		t.Errorf("a long name: %s %s", status, response)
	}
}
