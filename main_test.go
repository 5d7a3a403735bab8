package main

import (
	"context"
	"os"
	"testing"

	"github.com/dormouse-ws/dormouse/e2e/leaktest"
)

// asProgram, set in the environment, makes the test binary the program, so that a test that starts
// os.Executable has the code that it tests.
const asProgram = "DORMOUSE_TEST_AS_PROGRAM"

func TestMain(m *testing.M) {
	if os.Getenv(asProgram) != "" {
		main()
		return
	}
	leaktest.Main(m)
}

// Nothing is begun, and so nothing said of it, while a second Ctrl-C would still be taken for one of the first.
func TestBehind(t *testing.T) {
	first, interrupt := context.WithCancel(t.Context())
	stopping, goOn := make(chan struct{}), make(chan struct{})
	ctx := behind(first, func() {
		close(stopping)
		<-goOn
	})
	interrupt()
	<-stopping
	if ctx.Err() != nil {
		t.Error("it ends before the signals are the kernel's again")
	}
	close(goOn)
	<-ctx.Done()
}
