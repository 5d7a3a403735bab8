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

// HandleIn has the page's new_msg and the two events of a channel made by mix phx.gen.channel, with which a
// load generator can test any Phoenix application in its first minute: ping and shout.
func (room) HandleIn(c *server.Context, event string, p server.Payload) error {
	switch event {
	case "ping":
		return c.Reply(p)
	case "shout":
		return shout(c, p)
	case "new_msg":
		return newMsg(c, p)
	}
	return c.ReplyError(map[string]string{"reason": "unknown event"})
}

// shout broadcasts without a reply, as the generated channel does.
func shout(c *server.Context, p server.Payload) error {
	if len(p.Bytes()) > maxChat {
		return tooLong(c)
	}
	return c.Broadcast("shout", p)
}

func newMsg(c *server.Context, p server.Payload) error {
	var msg struct{ User, Body json.RawMessage }
	if err := p.Decode(&msg); err != nil || len(msg.Body) == 0 {
		return c.ReplyError(map[string]string{"reason": "a message is {user, body}"})
	}
	if len(p.Bytes()) > maxChat {
		return tooLong(c)
	}
	if err := c.Broadcast("new_msg", p); err != nil {
		return err
	}
	return c.Reply(nil)
}

func tooLong(c *server.Context) error {
	return c.ReplyError(map[string]string{"reason": "the message is too long"})
}

func (room) Leave(*server.Context, error) {}
