//go:build race

package server

// The race detector allocates, and makes pools forget.
const underRace = true
