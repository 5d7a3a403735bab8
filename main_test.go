package main

import (
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
