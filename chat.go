package main

import (
	"encoding/json"

	"github.com/dormouse-ws/dormouse/server"
)

// chatSocket serves the chat of the page: every topic rooms:* is a room.
func chatSocket() *server.Socket {
	return &server.Socket{
		Path:   "/socket",
		Routes: []server.Route{{Topic: "rooms:*", Channel: func() server.Channel { return room{} }}},
	}
}

// room is the channel of one person in one room. It remembers nothing.
type room struct{}

func (room) Join(*server.Context, server.Payload) error { return nil }

// maxChat bounds what one message may hold, so that nobody's page drowns in another's paste.
const maxChat = 4096

func (room) HandleIn(c *server.Context, event string, p server.Payload) error {
	if event != "new_msg" {
		return c.ReplyError(map[string]string{"reason": "unknown event"})
	}
	var msg struct{ User, Body json.RawMessage }
	if err := p.Decode(&msg); err != nil || len(msg.Body) == 0 {
		return c.ReplyError(map[string]string{"reason": "a message is {user, body}"})
	}
	if len(p.Bytes()) > maxChat {
		return c.ReplyError(map[string]string{"reason": "the message is too long"})
	}
	if err := c.Broadcast(event, p); err != nil {
		return err
	}
	return c.Reply(nil)
}

func (room) Leave(*server.Context, error) {}
