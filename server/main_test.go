package server_test

import (
	"testing"

	"github.com/cloudwego/netpoll"

	"github.com/dormouse-ws/dormouse/e2e/leaktest"
)

func TestMain(m *testing.M) {
	netpoll.Initialize() // its pollers belong to the process: they are no leak of the first test that uses them
	leaktest.Main(m)
}
