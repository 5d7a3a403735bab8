package servertest

import (
	"encoding/json"
)

// Heartbeat sends a heartbeat and waits for its answer. Other messages stay for Next.
func (c *Client) Heartbeat() {
	c.t.Helper()
	ref := c.ref()
	c.send(Message{JoinRef: "null", Ref: ref, Topic: "phoenix", Event: "heartbeat", Payload: json.RawMessage(`{}`)})
	c.reply(ref)
}

// Join joins a topic and returns the response. It fails the test if the join is refused; TryJoin does
// not.
func (c *Client) Join(topic string, payload any) json.RawMessage {
	c.t.Helper()
	status, response := c.TryJoin(topic, payload)
	if status != "ok" {
		c.t.Fatalf("join of %s: %s %s", topic, status, response)
	}
	return response
}

// TryJoin joins a topic and returns what the server says.
func (c *Client) TryJoin(topic string, payload any) (status string, response json.RawMessage) {
	c.t.Helper()
	ref := c.ref()
	c.send(Message{JoinRef: ref, Ref: ref, Topic: topic, Event: "phx_join", Payload: c.encode(payload)})
	status, response = c.reply(ref)
	if status == "ok" {
		c.joins[topic] = ref
	}
	return status, response
}

// Leave leaves a topic and waits for the reply. The phx_close that follows stays for Next.
func (c *Client) Leave(topic string) {
	c.t.Helper()
	if status, response := c.Call(topic, "phx_leave", nil); status != "ok" {
		c.t.Fatalf("leave of %s: %s %s", topic, status, response)
	}
	delete(c.joins, topic)
}

// JoinRef returns the join_ref of the last Join of a topic as raw JSON, or "null".
func (c *Client) JoinRef(topic string) string {
	if ref, ok := c.joins[topic]; ok {
		return ref
	}
	return "null"
}

// Push sends an event to a topic and returns its ref, as raw JSON.
func (c *Client) Push(topic, event string, payload any) (ref string) {
	c.t.Helper()
	ref = c.ref()
	c.send(Message{JoinRef: c.JoinRef(topic), Ref: ref, Topic: topic, Event: event, Payload: c.encode(payload)})
	return ref
}

// Call sends an event to a topic and waits for its reply. Other messages stay for Next.
func (c *Client) Call(topic, event string, payload any) (status string, response json.RawMessage) {
	c.t.Helper()
	return c.reply(c.Push(topic, event, payload))
}

// NextEvent waits for an event that is no reply, and returns the first of that name. Others stay for
// Next.
func (c *Client) NextEvent(event string) Message {
	c.t.Helper()
	return c.find(func(m Message) bool { return m.Event == event })
}

func (c *Client) reply(ref string) (status string, response json.RawMessage) {
	c.t.Helper()
	m := c.find(func(m Message) bool { return m.Event == "phx_reply" && m.Ref == ref })
	return m.Status, m.Response
}

// find takes the first message that is wanted, and leaves the others in the inbox.
func (c *Client) find(wanted func(Message) bool) Message {
	c.t.Helper()
	for i, m := range c.inbox {
		if wanted(m) {
			c.inbox = append(c.inbox[:i:i], c.inbox[i+1:]...)
			return m
		}
	}
	for {
		m := c.read()
		if wanted(m) {
			return m
		}
		c.inbox = append(c.inbox, m)
	}
}

// encode returns a payload argument as JSON; nil is the empty object.
func (c *Client) encode(payload any) json.RawMessage {
	c.t.Helper()
	if payload == nil {
		return json.RawMessage(`{}`)
	}
	text, err := json.Marshal(payload)
	if err != nil {
		c.t.Fatal(err)
	}
	return text
}

func (c *Client) send(m Message) {
	c.t.Helper()
	c.Send(m.text(c.v1))
}
