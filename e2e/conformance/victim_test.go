package conformance_test

import (
	"bufio"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"testing"
)

// victimEnv holds the address that a child process of this test connects to, to be killed there.
const victimEnv = "CONFORMANCE_VICTIM"

// victim leaves connections in every unfinished state behind, says so, and waits for its end.
func victim(addr string) {
	for _, begun := range unfinishedFrames() {
		c, err := dialVictim(addr, begun)
		if err != nil {
			fmt.Println("victim:", err)
			return
		}
		defer c.Close()
	}
	fmt.Println("ready")
	_, _ = bufio.NewReader(os.Stdin).ReadByte()
}

// unfinishedFrames end inside a header, a payload, a message, and with an answer that nobody will read.
func unfinishedFrames() [][]byte {
	return [][]byte{
		nil,
		{fin | opText},
		header(fin|opText, 8, 1000)[:7],
		unfinishedFrame("begun"),
		part(opText, "half a message"),
		join(part(opBinary, "x"), ping("p")[:3]),
		binaryOf(repeat('u', 1<<20)),
	}
}

// TestKilledClient: kill -9 in the middle of everything. The server forgets the connections and nothing
// else happens.
func TestKilledClient(t *testing.T) {
	onEngines(t, func(t *testing.T, engine string) {
		p := startEcho(t, engine)
		bystander := dial(t, p.addr, "/")
		bystander.alive()
		before := p.descriptors()
		for range 5 {
			killVictim(t, p.addr)
			bystander.alive()
		}
		p.settled(before)
		bystander.alive()
	})
}

func killVictim(t *testing.T, addr string) {
	t.Helper()
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), victimEnv+"="+addr)
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	defer in.Close()
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	said, err := bufio.NewReader(out).ReadString('\n')
	if said != "ready\n" || err != nil {
		t.Errorf("the victim said %q, %v", said, err)
	}
	_ = cmd.Process.Kill()
	_ = cmd.Wait()
}

// dialVictim opens a WebSocket without a test to report to.
func dialVictim(addr string, sent []byte) (net.Conn, error) {
	c, err := net.Dial("tcp", addr)
	if err != nil {
		return nil, err
	}
	if _, err := c.Write(upgradeHead("/")); err != nil {
		return nil, err
	}
	resp, err := http.ReadResponse(bufio.NewReader(c), nil)
	if err != nil || resp.StatusCode != 101 {
		return nil, fmt.Errorf("the handshake failed: %v", err)
	}
	_, err = c.Write(sent)
	return c, err
}
