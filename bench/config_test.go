package bench

import (
	"strings"
	"testing"
	"time"
)

func TestParsePhase(t *testing.T) {
	for _, row := range []struct {
		text string
		want Phase
		bad  string // part of the error
	}{
		{text: "10s@1000/s", want: Phase{10 * time.Second, 1000}},
		{text: "1m30s@0.5/s", want: Phase{90 * time.Second, 0.5}},
		{text: "1s@5", want: Phase{time.Second, 5}},
		{text: "", bad: "want a duration and a rate"},
		{text: "10s", bad: "want a duration and a rate"},
		{text: "ten@5/s", bad: "want a duration and a rate"},
		{text: "-1s@5/s", bad: "want a duration and a rate"},
		{text: "1s@0/s", bad: "above 0"},
		{text: "1s@-5/s", bad: "above 0"},
		{text: "1s@NaN/s", bad: "above 0"},
		{text: "1s@many/s", bad: "above 0"},
		{text: "1s@1e12/s", bad: "above 0"},
	} {
		got, err := ParsePhase(row.text)
		switch {
		case row.bad == "" && (err != nil || got != row.want):
			t.Errorf("%q: %v, %v; want %v", row.text, got, err, row.want)
		case row.bad != "" && (err == nil || !strings.Contains(err.Error(), row.bad)):
			t.Errorf("%q: error %v, want one with %q", row.text, err, row.bad)
		}
	}
}

func TestConfigCheck(t *testing.T) {
	good := Config{Scenario: "echo", URLs: []string{"ws://localhost"}, Connections: 5000}
	c, err := good.Check()
	if err != nil {
		t.Fatal(err)
	}
	if c.Seed == 0 || c.Event != "ping" || c.Active != 1000 || c.Plateau != 500 || c.Heartbeat != 30*time.Second {
		t.Errorf("defaults: %+v", c)
	}
	if again, err := c.Check(); err != nil || again.Seed != c.Seed || again.Plateau != c.Plateau {
		t.Errorf("checked twice: %+v, %v", again, err)
	}
	for _, row := range []struct {
		name   string
		change func(*Config)
		bad    string
	}{
		{"unknown scenario", func(c *Config) { c.Scenario = "stampede" }, `no scenario "stampede"`},
		{"no URL", func(c *Config) { c.URLs = nil }, "no URL"},
		{"no connections", func(c *Config) { c.Connections = 0 }, "at least 1"},
		{"a protocol without topics", func(c *Config) { c.Protocol, c.Scenario = WebSocket, "broadcast" }, "needs topics"},
		{"an unknown protocol", func(c *Config) { c.Protocol = "mqtt" }, `"mqtt"`},
		{"params that are no object", func(c *Config) { c.Params = "[]" }, "JSON object"},
		{"a payload that is no JSON", func(c *Config) { c.Payload = "{%m" }, "JSON object"},
		{"a payload without mark", func(c *Config) { c.Payload = "{}" }, "has no %m"},
		{"a negative rate", func(c *Config) { c.Rate = -1 }, "above 0"},
		{"all readers slow", func(c *Config) { c.Slow = 1 }, "less than 1"},
		{"a giant message", func(c *Config) { c.Size = 1 << 30 }, "at most"},
	} {
		c := good
		row.change(&c)
		if _, err := c.Check(); err == nil || !strings.Contains(err.Error(), row.bad) {
			t.Errorf("%s: error %v, want one with %q", row.name, err, row.bad)
		}
	}
}
