package main

import (
	"errors"
	"fmt"
	"math"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/dormouse-ws/dormouse/bench"
)

// A value is a flag that is read by a function, which says what it wants, and given to another. It
// implements pflag.Value.
type value[T any] struct {
	kind  string // its placeholder in the help
	def   string // its default in the help
	parse func(string) (T, error)
	set   func(T)
}

func (v *value[T]) Type() string   { return v.kind }
func (v *value[T]) String() string { return v.def }

func (v *value[T]) Set(s string) error {
	t, err := v.parse(s)
	if err == nil {
		v.set(t)
	}
	return err
}

// maxCount bounds what is counted on the command line.
const maxCount = 1_000_000_000

// parseNumber reads a number that may have underscores in it, and a final k (thousands) or m (millions).
func parseNumber(s string) (float64, error) {
	digits := strings.ToLower(strings.ReplaceAll(s, "_", ""))
	unit := 1.0
	for suffix, u := range map[string]float64{"k": 1e3, "m": 1e6} {
		if d, ok := strings.CutSuffix(digits, suffix); ok {
			digits, unit = d, u
			break
		}
	}
	n, err := strconv.ParseFloat(digits, 64)
	if err != nil || !(n >= 0 && n*unit <= maxCount) {
		return 0, errors.New("no number")
	}
	return n * unit, nil
}

// parseCount reads a whole number, as 15000, 15_000, 15k or 1m.
func parseCount(s string) (int, error) {
	n, err := parseNumber(s)
	whole := math.Round(n)
	if err != nil || math.Abs(n-whole) > 1e-6 { // 1.1k is not quite 1100 in binary
		return 0, fmt.Errorf("want a whole number up to %d, as 15000, 15_000, 15k or 1m", maxCount)
	}
	return int(whole), nil
}

// parseSome is parseCount without 0.
func parseSome(s string) (int, error) {
	n, err := parseCount(s)
	if err == nil && n == 0 {
		err = errors.New("want 1 at least; leave the flag out for the default")
	}
	return n, err
}

// parseRate reads how many there are each second, as 1000, 10k or 0.5/s.
func parseRate(s string) (float64, error) {
	n, err := parseNumber(strings.TrimSuffix(s, "/s"))
	if err != nil || n == 0 {
		return 0, fmt.Errorf("want a number above 0 and up to %d, as 1000, 10k or 0.5", maxCount)
	}
	return n, nil
}

// parseShare reads a part of a whole that is neither nothing nor all of it, as 0.1 or 10%.
func parseShare(s string) (float64, error) {
	digits, percent := strings.CutSuffix(s, "%")
	n, err := strconv.ParseFloat(digits, 64)
	if percent {
		n /= 100
	}
	if err != nil || !(n > 0 && n < 1) {
		return 0, errors.New("want a share between 0 and 1, as 0.1 or 10%")
	}
	return n, nil
}

// parseTime reads a duration; parseSpan one that is above 0.
func parseTime(s string) (time.Duration, error) {
	d, err := time.ParseDuration(s)
	if err != nil || d < 0 {
		return 0, errors.New("want a time with its unit, as 500ms, 30s or 2m")
	}
	return d, nil
}

func parseSpan(s string) (time.Duration, error) {
	d, err := parseTime(s)
	if err == nil && d == 0 {
		err = errors.New("want more than 0")
	}
	return d, err
}

// parseURL reads the URL of a target.
func parseURL(s string) (string, error) {
	const want = "want ws://HOST:PORT or wss://HOST:PORT, and the socket's path if it is not /socket"
	u, err := url.Parse(s)
	switch {
	case err != nil || u.Hostname() == "":
		return "", errors.New(want)
	case u.Scheme == "http" || u.Scheme == "https":
		u.Scheme = "ws" + strings.TrimPrefix(u.Scheme, "http")
		return "", fmt.Errorf("that is the address of a page; for its sockets try %s", u)
	case u.Scheme != "ws" && u.Scheme != "wss":
		return "", errors.New(want)
	}
	return s, nil
}

func parseProtocol(s string) (bench.Protocol, error) {
	p := bench.Protocol(s)
	if p != bench.Phoenix && p != bench.WebSocket {
		return "", fmt.Errorf("want %s or %s", bench.Phoenix, bench.WebSocket)
	}
	return p, nil
}

// parseList reads what is separated by commas.
func parseList(s string) ([]string, error) {
	list := strings.Split(s, ",")
	if slices.Contains(list, "") {
		return nil, errors.New("want one or more, with commas between them")
	}
	return list, nil
}
