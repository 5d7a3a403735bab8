package main

import (
	"testing"

	"github.com/dormouse-ws/dormouse/e2e/leaktest"
	"github.com/dormouse-ws/dormouse/server/servertest"
)

func TestMain(m *testing.M) { leaktest.Main(m) }

func TestChat(t *testing.T) {
	srv := servertest.Start(t, config())
	jo, mo := srv.Dial("/socket/websocket"), srv.Dial("/socket/websocket")
	jo.Join("rooms:lobby", nil)
	mo.Join("rooms:lobby", nil)
	jo.Push("rooms:lobby", "new_msg", map[string]string{"body": "hi"})
	for _, c := range []*servertest.Client{jo, mo} {
		c.Expect(`[null,null,"rooms:lobby","new_msg",{"body":"hi"}]`)
	}
}
