package bench

import (
	"testing"
	"unsafe"
)

// TestUserSize holds what a simulated user costs beside its connection.
func TestUserSize(t *testing.T) {
	if n := unsafe.Sizeof(user{}); n != 104 {
		t.Errorf("a user has %d bytes, want 104: README and ARCHITECTURE say so", n)
	}
}
