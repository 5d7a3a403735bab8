//go:build race

package limit_test

// The race detector makes everything ten times slower: the longest test does a tenth.
const underRace = true
