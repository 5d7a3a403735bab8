//go:build race

package conformance_test

// raceEnabled has the programs built like the test.
const raceEnabled = true
