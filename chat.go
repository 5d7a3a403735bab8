package main

import (
	"encoding/json"
	"errors"

	"github.com/dormouse-ws/dormouse/hub"
	"github.com/dormouse-ws/dormouse/server"
)

// chatSocket serves the chat of the page: every topic rooms:* is a room.
func chatSocket() *server.Socket {
	return &server.Socket{
		Path:     "/socket",
		Routes:   []server.Route{{Topic: "rooms:*", Channel: func() server.Channel { return room{} }}},
		LongPoll: &server.LongPollOptions{},
	}
}

// room is the channel of one person in one room. It remembers nothing: the name is among the presences.
type room struct{}

// maxName bounds a name: the 40 characters that the page has room for.
const maxName = 160

// Join takes the name of who joins, if there is one. A load generator has none, and gets no lists.
func (room) Join(c *server.Context, p server.Payload) error {
	var in struct{ User string }
	if p.Decode(&in) != nil || in.User == "" {
		return nil
	}
	if len(in.User) > maxName {
		return server.Refuse(map[string]string{"reason": "the name is too long"})
	}
	c.After(func(c *server.Context) error {
		if err := c.PushPresenceState(); err != nil {
			return err
		}
		return show(c, in.User)
	})
	return nil
}

// show tracks the name. A room of more people than presence has room for does not show them all.
func show(c *server.Context, user string) error {
	_, err := c.Track(user, nil)
	if errors.Is(err, hub.ErrTopicEntries) || errors.Is(err, hub.ErrTopicBytes) {
		return nil
	}
	return err
}

// errShown stops an update that was only to ask whether the name is shown.
var errShown = errors.New("the name is shown")

// rename shows another name, and for a moment both.
func rename(c *server.Context, p server.Payload) error {
	var in struct{ User, Was string }
	bad := p.Decode(&in) != nil || in.User == "" || len(in.User) > maxName
	if !bad {
		_, err := c.UpdateFunc(in.Was, func(server.Payload) (any, error) { return nil, errShown })
		bad = !errors.Is(err, errShown)
	}
	if bad {
		return c.ReplyError(map[string]string{"reason": "a name is of 1 to 160 bytes, and replaces one"})
	}
	if in.User != in.Was {
		if err := show(c, in.User); err != nil {
			return err
		}
		c.Untrack(in.Was)
	}
	return c.Reply(nil)
}

// maxChat bounds what one message may hold, so that nobody's page drowns in another's paste.
const maxChat = 4096

// HandleIn has the page's new_msg and rename, and the two events of a channel made by mix phx.gen.channel, with which a
// load generator can test any Phoenix application in its first minute: ping and shout.
func (room) HandleIn(c *server.Context, event string, p server.Payload) error {
	switch event {
	case "ping":
		return c.Reply(p)
	case "shout":
		return shout(c, p)
	case "new_msg":
		return newMsg(c, p)
	case "rename":
		return rename(c, p)
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
