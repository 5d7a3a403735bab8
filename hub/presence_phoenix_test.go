package hub_test

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
)

// TestPhoenixJS gives what clients got to phoenix.js's own class Presence: what the model of it in the
// other tests is a model of. It needs node and the packages of e2e.
func TestPhoenixJS(t *testing.T) {
	node, err := exec.LookPath("node")
	if err != nil {
		t.Skip("no node")
	}
	phoenix := filepath.Join("..", "e2e", "node_modules", "phoenix", "priv", "static", "phoenix.mjs")
	if _, err := os.Stat(phoenix); err != nil {
		t.Skip("npm ci in e2e has not been run")
	}
	r, log := seeded(t), &bytes.Buffer{}
	const clients = 50
	for range clients {
		rm := playRoom(t, r)
		for _, line := range rm.log {
			fmt.Fprintln(log, line)
		}
		fmt.Fprintf(log, "[\"want\",%s]\n", rm.p.List(roomTopic))
	}
	name := filepath.Join(t.TempDir(), "log")
	if err := os.WriteFile(name, log.Bytes(), 0o600); err != nil {
		t.Fatal(err)
	}
	out, err := exec.Command(node, filepath.Join("testdata", "presence.mjs"), phoenix, name).CombinedOutput()
	if err != nil || string(out) != fmt.Sprintf("%d clients\n", clients) {
		t.Errorf("%v\n%.2000s", err, out)
	}
}
