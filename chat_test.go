package main

// In the package: the chat is the program's own.

import (
	"fmt"
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
