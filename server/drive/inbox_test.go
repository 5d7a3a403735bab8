package drive_test

import (
	"context"
	"errors"
	"testing"

	"github.com/dormouse-ws/dormouse/server/drive"
)

func TestInboxLimit(t *testing.T) {
	var in drive.Inbox
	const limit = 4096
	for range limit + 1 {
		in.Message(nil, drive.Message{Event: "e"})
	}
	for range limit {
		take(t)(in.Next(t.Context()))
	}
	if _, err := in.Next(t.Context()); err != drive.ErrInboxFull {
		t.Errorf("%v, want ErrInboxFull", err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := new(drive.Inbox).Next(ctx); !errors.Is(err, context.Canceled) {
		t.Errorf("%v, want context.Canceled", err)
	}
}
