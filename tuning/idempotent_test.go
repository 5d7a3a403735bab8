package tuning

import (
	"slices"
	"testing"
)

// The worst comes first in a report, and what is worst changes by what is applied: the files that are written
// must not.
func TestSettingsHaveOneOrder(t *testing.T) {
	h, g := recordedHost(t, "stock-debian"), Goal{Connections: 2_000_000, Role: Both}
	r, err := Examine(h, g)
	if err != nil {
		t.Fatal(err)
	}
	want := settingsOf(r)
	slices.Reverse(r.Findings)
	if got := settingsOf(r); !slices.Equal(got, want) {
		t.Errorf("got  %v\nwant %v", got, want)
	}
	if want[0].Path != nrOpenFile {
		t.Errorf("%s comes before fs.nr_open, which bounds the limits", want[0].Path)
	}
}
