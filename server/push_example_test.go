package server_test

import (
	"context"
	"fmt"
	"log"

	"github.com/dormouse-ws/dormouse/server"
	"github.com/dormouse-ws/dormouse/server/drive"
)

// A mailbox keeps what reaches its subscription from elsewhere in the program.
type mailbox struct{ opened chan<- server.Handle }

func (m mailbox) Join(c *server.Context, _ server.Payload) error {
	c.After(func(c *server.Context) error { // in Join itself nothing can be pushed yet
		m.opened <- c.Handle()
		return nil
	})
	return nil
}

func (mailbox) HandleIn(*server.Context, string, server.Payload) error { return nil }
func (mailbox) Leave(*server.Context, error)                           {}

// Pushes from anywhere in the program: to a topic, to a socket id, to one subscription.
func Example_push() {
	opened := make(chan server.Handle, 1)
	rooms := &server.Socket{
		Path:    "/socket",
		Connect: func(c *server.Connect) error { c.ID = "users:" + c.Params.Get("user"); return nil },
		Routes:  []server.Route{{Topic: "rooms:*", Channel: func() server.Channel { return mailbox{opened} }}},
	}
	d, err := drive.New(server.Config{Sockets: []*server.Socket{rooms}}, drive.Options{})
	if err != nil {
		log.Fatal(err)
	}
	ctx := context.Background()
	defer func() { _ = d.Shutdown(ctx) }()
	var in drive.Inbox
	client, err := d.Connect("/socket/websocket?user=jo", &in)
	if err != nil {
		log.Fatal(err)
	}
	if _, err := client.Join("rooms:lobby", nil); err != nil {
		log.Fatal(err)
	}

	s, one := d.Server(), <-opened
	for _, err := range []error{
		s.Broadcast("rooms:lobby", "to_the_topic", nil),                 // everybody there
		s.PushTo("users:jo", "rooms:lobby", "to_jo", nil),               // on each of jo's connections
		one.Push("to_one", nil),                                         // this subscription
		s.BroadcastFrom(one, "rooms:lobby", "to_the_others", nil),       // everybody there but this one
		one.Do(func(c *server.Context) error { return server.ErrStop }), // and its end
	} {
		if err != nil {
			log.Fatal(err)
		}
	}
	for _, event := range []string{"to_the_topic", "to_jo", "to_one", "phx_close"} {
		m, err := in.Event(ctx, event)
		if err != nil {
			log.Fatal(err)
		}
		fmt.Println(m.Topic, m.Event)
	}
	// Output:
	// rooms:lobby to_the_topic
	// rooms:lobby to_jo
	// rooms:lobby to_one
	// rooms:lobby phx_close
}
