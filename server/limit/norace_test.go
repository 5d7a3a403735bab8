//go:build !race

package limit_test

const underRace = false
