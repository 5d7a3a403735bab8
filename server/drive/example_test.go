package drive_test

import (
	"context"
	"fmt"
	"time"

	"github.com/dormouse-ws/dormouse/server"
	"github.com/dormouse-ws/dormouse/server/drive"
)

// A lobby tells everybody who has come in.
type lobby struct{}

func (lobby) Join(c *server.Context, p server.Payload) error {
	c.After(func(c *server.Context) error { return c.BroadcastFrom("joined", p) })
	return nil
}

func (lobby) HandleIn(c *server.Context, _ string, p server.Payload) error { return c.Reply(p) }
func (lobby) Leave(*server.Context, error)                                 {}

// Two browsers in a test, without a port.
func Example() {
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	d, err := drive.New(server.Config{Sockets: []*server.Socket{{
		Path:   "/socket",
		Routes: []server.Route{{Topic: "lobby", Channel: func() server.Channel { return lobby{} }}},
	}}}, drive.Options{})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer d.Shutdown(ctx)

	var jo, ann drive.Inbox
	first, _ := d.Connect("/socket/websocket", &jo)
	channel, _ := first.Join("lobby", nil)
	second, _ := d.Connect("/socket/websocket", &ann)
	_, _ = second.Join("lobby", map[string]string{"user": "ann"})

	news, err := jo.Event(ctx, "joined")
	fmt.Printf("%s %v\n", news.Payload.Bytes(), err)

	ref, _ := channel.Push("hello", map[string]int{"n": 1})
	answer, err := jo.Reply(ctx, ref)
	fmt.Printf("%s %s %v\n", answer.Status, answer.Payload.Bytes(), err)
	// Output:
	// {"user":"ann"} <nil>
	// ok {"n":1} <nil>
}
