package bench

import (
	"bytes"
	"encoding/json"
	"strings"
	"testing"
)

func TestAppendMark(t *testing.T) {
	const want = "dm1.00000001.000000ff.89abcdef.17f2a3b4c5d6e7f8."
	m := mark{1, 255, 0x89abcdef, 0x17f2a3b4c5d6e7f8}
	if got := string(appendMark(nil, m, 0)); got != want || len(got) != markSize {
		t.Errorf("got %s, want %s", got, want)
	}
	for _, size := range []int{-1, markSize, markSize + 1, 100, 101, 1 << 16} {
		got := string(appendMark([]byte("x"), m, size))
		if len(got) != 1+max(size, markSize) || !strings.HasPrefix(got, "x"+want) {
			t.Errorf("padded to %d: %d bytes", size, len(got)-1)
		}
		if strings.Trim(got[1+markSize:], "abcdefghijklmnopqrstuvwxyz") != "" {
			t.Errorf("padded to %d with %q", size, got[1+markSize:])
		}
	}
	if got := string(appendMark(nil, mark{due: -1}, 0)); !strings.HasSuffix(got, ".ffffffffffffffff.") {
		t.Errorf("a time before 1970: %s", got)
	}
}

func TestFindMark(t *testing.T) {
	m := mark{0xdeadbeef, 2, 3, 1_700_000_000_000_000_000}
	good := string(appendMark(nil, m, 0))
	for _, row := range []struct {
		name, in string
		found    bool
	}{
		{"alone", good, true},
		{"in JSON", `{"body":"` + good + `"}`, true},
		{"in bytes", "\x00\xff" + good + "\x00", true},
		{"padded", string(appendMark(nil, m, 200)), true},
		{"first of two", good + string(appendMark(nil, mark{1, 1, 1, 1}, 0)), true},
		{"behind a beginning", "dm1." + good, true},
		{"behind a cut one", good[:20] + good, true},
		{"behind a foreign one", strings.Replace(good, "dead", "DEAD", 1) + good, true},
		{"behind a broken one", good[:12] + "x" + good[13:] + good, true},
		{"nothing", "", false},
		{"no mark", `{"body":"hi"}`, false},
		{"cut", good[:len(good)-1], false},
		{"other version", strings.Replace(good, "dm1", "dm2", 1), false},
		{"no hexadecimal", strings.Replace(good, "dead", "dexd", 1), false},
		{"upper case", strings.ToUpper(good), false},
		{"no end", good[:len(good)-1] + "x", false},
	} {
		got, ok := findMark([]byte(row.in))
		if ok != row.found || ok && got != m {
			t.Errorf("%s: got %+v, %v", row.name, got, ok)
		}
	}
}

func TestAppendPayload(t *testing.T) {
	m := mark{1, 2, 3, 4}
	text := string(appendMark(nil, m, 60))
	for _, row := range []struct{ template, want string }{
		{`{"body":"%m"}`, `{"body":"` + text + `"}`},
		{`%m`, text},
		{`{"%m":["%m"]}`, `{"` + text + `":["` + text + `"]}`},
		{`{"a":"%d%%m%"}`, `{"a":"%d%` + text + `%"}`},
		{`{}`, `{}`},
	} {
		if got := string(appendPayload([]byte("<"), row.template, m, 60)); got != "<"+row.want {
			t.Errorf("%s: got %s", row.template, got)
		}
	}
}

func TestMarkAllocations(t *testing.T) {
	dst := make([]byte, 0, 1024)
	if n := testing.AllocsPerRun(100, func() {
		p := appendPayload(dst, `{"body":"%m"}`, mark{1, 2, 3, 4}, 200)
		if m, ok := findMark(p); !ok || m.due != 4 {
			t.Fatal("lost")
		}
	}); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

// FuzzMark writes a mark into a payload among anything, encodes that as JSON once more, and looks for it.
func FuzzMark(f *testing.F) {
	f.Add(uint32(1), uint32(2), uint32(3), int64(4), 100, "before", "after")
	f.Add(uint32(0), uint32(0), uint32(0), int64(-1), 0, "dm1.", "dm1.")
	f.Fuzz(func(t *testing.T, run, room, seq uint32, due int64, size int, before, after string) {
		m := mark{run, room, seq, due}
		if _, is := findMark([]byte(before)); is {
			return
		}
		wire := appendMark([]byte(before), m, min(size, 1000))
		wire = append(wire, after...)
		if got, ok := findMark(wire); !ok || got != m {
			t.Fatalf("%q: got %+v, want %+v", wire, got, m)
		}
		again, err := json.Marshal(map[string]string{"body": string(wire)})
		if err != nil {
			t.Fatal(err)
		}
		if got, ok := findMark(again); !ok || got != m {
			t.Fatalf("%q: got %+v, want %+v", again, got, m)
		}
	})
}

// FuzzFindMark takes anything for a message.
func FuzzFindMark(f *testing.F) {
	f.Add(appendMark(nil, mark{1, 2, 3, 4}, 0))
	f.Add([]byte("dm1.dm1.00000000.x"))
	f.Fuzz(func(t *testing.T, p []byte) {
		if m, ok := findMark(p); ok && !bytes.Contains(p, appendMark(nil, m, 0)) {
			t.Fatalf("%q: found %+v", p, m)
		}
	})
}
