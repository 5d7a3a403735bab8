// In-package: mounts are matched inside the server.
package server

import (
	"encoding/json"
	"testing"
)

func TestMountPath(t *testing.T) {
	for _, row := range []struct {
		name, mount, transport, path, want string // want "" for no match
	}{
		{"1.1: literal", "/socket", "/websocket", "/socket/websocket", `{"q":"1"}`},
		{"1.1: transport not mounted", "/socket", "/websocket", "/socket/longpoll", ""},
		{"1.1: too short", "/socket", "/websocket", "/socket", ""},
		{"1.1: too long", "/socket", "/websocket", "/socket/websocket/x", ""},
		{"Plug: empty segments", "socket/", "websocket", "//socket///websocket/", `{"q":"1"}`},
		{"1.1: variables", "/custom/:socket_var", ":path_var/path", "/custom/a/b/path", `{"path_var":"b","q":"1","socket_var":"a"}`},
		{"1.1: variables override the query", "/custom/:q", "path", "/custom/a/path", `{"q":"a"}`},
		{"1.1: underscore", "/custom/:_q", "path", "/custom/a/path", `{"q":"1"}`},
		{"1.1: percent-decoded, without plus", "/custom/:v", "path", "/custom/a%2Fb+c/path", `{"q":"1","v":"a/b+c"}`},
		{"1.1: a variable is not empty", "/custom/:v", "path", "/custom//path", ""},
		{"case counts", "/socket", "/websocket", "/Socket/websocket", ""},
	} {
		m, err := parseMountPath(row.mount, row.transport)
		if err != nil {
			t.Errorf("%s: %v", row.name, err)
			continue
		}
		p := Params{"q": "1"}
		got := ""
		if m.match(row.path) {
			if err := m.mergeVars(row.path, p); err != nil {
				t.Errorf("%s: %v", row.name, err)
			}
			b, _ := json.Marshal(p)
			got = string(b)
		}
		if got != row.want {
			t.Errorf("%s: %q, want %q", row.name, got, row.want)
		}
	}
	m, _ := parseMountPath("/:v")
	if err := m.mergeVars("/%ff", Params{}); err == nil || err.status != 400 {
		t.Errorf("not UTF-8: %v", err)
	}
	for _, bad := range []string{"", "/a/:", "/a/:1b", "/a/b:c", "/a/*", "/a/:b-c"} {
		if _, err := parseMountPath(bad); err == nil {
			t.Errorf("%q: no error", bad)
		}
	}
}
