package frame_test

import (
	"bytes"
	"testing"

	"github.com/gobwas/ws"

	"github.com/dormouse-ws/dormouse/server/frame"
)

// Each row is one clause: a stream of frame beginnings, and the byte (counted from 0) that shows the
// violation. In byte 0, FIN is 80, RSV1-3 are 40 20 10; in byte 1, MASK is 80.
func TestHeaderClauses(t *testing.T) {
	client := frame.Decoder{Client: true}
	deflate := frame.Decoder{Deflate: true}
	limit := frame.Decoder{LimitBytes: 300}
	huge := frame.Decoder{LimitBytes: 1<<63 - 1}
	rows := []struct {
		name string
		d    frame.Decoder
		wire []byte
		at   int // index of the condemning byte; -1: nothing is wrong
		want error
	}{
		//      FIN+op  MASK+len  extended length  key
		{"5.1 client frame is masked", frame.Decoder{}, []byte{0x81, 0x80, 1, 2, 3, 4}, -1, nil},
		{"5.1 client frame must be masked", frame.Decoder{}, []byte{0x81, 0x00}, 1, frame.ErrNotMasked},
		{"5.1 client ping must be masked", frame.Decoder{}, []byte{0x89, 0x00}, 1, frame.ErrNotMasked},
		{"5.1 server frame is not masked", client, []byte{0x81, 0x00}, -1, nil},
		{"5.1 server frame must not be masked", client, []byte{0x81, 0x80, 1, 2, 3, 4}, 1, frame.ErrMasked},

		{"5.2 RSV1 without extension", frame.Decoder{}, []byte{0xc1}, 0, frame.ErrReservedBits},
		{"5.2 RSV2", deflate, []byte{0xa1}, 0, frame.ErrReservedBits},
		{"5.2 RSV3", deflate, []byte{0x91}, 0, frame.ErrReservedBits},
		{"5.2 RSV3 on ping", frame.Decoder{}, []byte{0x99}, 0, frame.ErrReservedBits},
		{"5.2 opcode 3", frame.Decoder{}, []byte{0x83}, 0, frame.ErrReservedOpCode},
		{"5.2 opcode 7", frame.Decoder{}, []byte{0x87}, 0, frame.ErrReservedOpCode},
		{"5.2 opcode 11", frame.Decoder{}, []byte{0x8b}, 0, frame.ErrReservedOpCode},
		{"5.2 opcode 15", frame.Decoder{}, []byte{0x8f}, 0, frame.ErrReservedOpCode},

		{"5.2 16 bits for 0", frame.Decoder{}, []byte{0x82, 0xfe, 0, 0, 1, 2, 3, 4}, 3, frame.ErrLengthNotMinimal},
		{"5.2 16 bits for 125", frame.Decoder{}, []byte{0x82, 0xfe, 0, 125}, 3, frame.ErrLengthNotMinimal},
		{"5.2 16 bits for 126", frame.Decoder{}, []byte{0x82, 0xfe, 0, 126}, -1, nil},
		{"5.2 16 bits for 65535", frame.Decoder{}, []byte{0x82, 0xfe, 0xff, 0xff}, -1, nil},
		{"5.2 64 bits for 0", frame.Decoder{}, []byte{0x82, 0xff, 0, 0, 0, 0, 0, 0, 0, 0}, 7, frame.ErrLengthNotMinimal},
		{"5.2 64 bits for 65535", frame.Decoder{}, []byte{0x82, 0xff, 0, 0, 0, 0, 0, 0, 0xff, 0xff}, 7, frame.ErrLengthNotMinimal},
		{"5.2 64 bits for 65536", frame.Decoder{}, []byte{0x82, 0xff, 0, 0, 0, 0, 0, 1, 0, 0}, -1, nil},
		{"5.2 top bit", frame.Decoder{}, []byte{0x82, 0xff, 0x80}, 2, frame.ErrLengthTopBit},
		{"5.2 top bit, no limit", huge, []byte{0x82, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff}, 2, frame.ErrLengthTopBit},
		{"5.2 largest length", huge, []byte{0x82, 0xff, 0x7f, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff}, -1, nil},

		{"5.4 continuation of nothing", frame.Decoder{}, []byte{0x80}, 0, frame.ErrNothingToContinue},
		{"5.4 continuation after a whole message", frame.Decoder{}, []byte{0x81, 0x80, 1, 2, 3, 4, 0x00}, 6, frame.ErrNothingToContinue},
		{"5.4 text inside a message", frame.Decoder{}, []byte{0x01, 0x80, 1, 2, 3, 4, 0x81}, 6, frame.ErrNotContinued},
		{"5.4 binary inside a message", frame.Decoder{}, []byte{0x01, 0x80, 1, 2, 3, 4, 0x02}, 6, frame.ErrNotContinued},
		{"5.4 ping inside a message", frame.Decoder{}, []byte{0x01, 0x80, 1, 2, 3, 4, 0x89, 0x80, 1, 2, 3, 4, 0x80, 0x80, 1, 2, 3, 4}, -1, nil},
		{"5.4 message after a fragmented one", frame.Decoder{}, []byte{0x01, 0x80, 1, 2, 3, 4, 0x80, 0x80, 1, 2, 3, 4, 0x02, 0x80, 1, 2, 3, 4}, -1, nil},

		{"5.5 ping without FIN", frame.Decoder{}, []byte{0x09}, 0, frame.ErrControlFragmented},
		{"5.5 close without FIN", frame.Decoder{}, []byte{0x08}, 0, frame.ErrControlFragmented},
		{"5.5 ping of 125", frame.Decoder{}, []byte{0x89, 0xfd}, -1, nil},
		{"5.5 ping of 126", frame.Decoder{}, []byte{0x89, 0xfe, 0, 126}, 1, frame.ErrControlTooLong},
		{"5.5 pong of 65536", frame.Decoder{}, []byte{0x8a, 0xff}, 1, frame.ErrControlTooLong},

		{"7692 6.1 RSV1 on text", deflate, []byte{0xc1, 0x80, 1, 2, 3, 4}, -1, nil},
		{"7692 6.1 RSV1 on a first fragment", deflate, []byte{0x41, 0x80, 1, 2, 3, 4}, -1, nil},
		{"7692 6.1 RSV1 on ping", deflate, []byte{0xc9}, 0, frame.ErrCompressedBit},
		{"7692 6.1 RSV1 on a continuation", deflate, []byte{0x41, 0x80, 1, 2, 3, 4, 0xc0}, 6, frame.ErrCompressedBit},

		{"10.4 limit met", limit, []byte{0x82, 0xfe, 0x01, 0x2c}, -1, nil},
		{"10.4 limit passed by one", limit, []byte{0x82, 0xfe, 0x01, 0x2d}, 3, frame.ErrMessageTooBig},
		{"10.4 limit passed by the high byte", limit, []byte{0x82, 0xfe, 0x02, 0x00}, 2, frame.ErrMessageTooBig},
		{"10.4 limit passed by 64 bits", limit, []byte{0x82, 0xff, 0, 0, 0, 0, 1, 0, 0, 0}, 6, frame.ErrMessageTooBig},
		{"10.4 small limit", frame.Decoder{LimitBytes: 3}, []byte{0x82, 0x84}, 1, frame.ErrMessageTooBig},
		{"10.4 control frames are outside of it", frame.Decoder{LimitBytes: 3}, []byte{0x89, 0xfd}, -1, nil},
		{"10.4 fragments add up", frame.Decoder{LimitBytes: 3}, []byte{0x02, 0x82, 1, 2, 3, 4, 9, 9, 0x80, 0x82}, 9, frame.ErrMessageTooBig},
		{"10.4 three fragments add up", frame.Decoder{LimitBytes: 3}, []byte{0x02, 0x81, 1, 2, 3, 4, 9, 0x00, 0x81, 1, 2, 3, 4, 9, 0x80, 0x82}, 15, frame.ErrMessageTooBig},
		{"10.4 fragments do not add to the message before", frame.Decoder{LimitBytes: 3}, []byte{0x82, 0x81, 1, 2, 3, 4, 9, 0x02, 0x81, 1, 2, 3, 4, 9, 0x80, 0x82}, -1, nil},
		{"10.4 fragments meet it", frame.Decoder{LimitBytes: 3}, []byte{0x02, 0x82, 1, 2, 3, 4, 9, 9, 0x80, 0x81}, -1, nil},
		{"10.4 messages do not add up", frame.Decoder{LimitBytes: 3}, []byte{0x82, 0x82, 1, 2, 3, 4, 9, 9, 0x82, 0x83}, -1, nil},
		{"10.4 default limit met", frame.Decoder{}, []byte{0x82, 0xff, 0, 0, 0, 0, 0x00, 0x98, 0x96, 0x80}, -1, nil},
		{"10.4 default limit passed", frame.Decoder{}, []byte{0x82, 0xff, 0, 0, 0, 0, 0x00, 0x98, 0x96, 0x81}, 9, frame.ErrMessageTooBig},
	}
	for _, row := range rows {
		t.Run(row.name, func(t *testing.T) {
			// At once, also with bytes behind it, and byte by byte: the same error.
			whole := row.d
			if err := drain(&whole, append(bytes.Clone(row.wire), 0, 0)); row.want != nil && err != row.want {
				t.Errorf("one push: got %v, want %v", err, row.want)
			}
			d := row.d
			for i, c := range row.wire {
				err := drain(&d, []byte{c})
				if i == row.at {
					if err != row.want {
						t.Fatalf("byte %d: got %v, want %v", i, err, row.want)
					}
					if d.Push([]byte{0x81}); drain(&d, nil) != row.want || d.Idle() {
						t.Error("the error does not stay")
					}
					return
				}
				if err != nil {
					t.Fatalf("byte %d: %v", i, err)
				}
			}
			if row.at >= 0 {
				t.Fatalf("no error, want %v", row.want)
			}
		})
	}
}

func drain(d *frame.Decoder, p []byte) error {
	d.Push(p)
	for {
		_, ok, err := d.Next()
		if err != nil || !ok {
			return err
		}
	}
}

// Every first two bytes, in every state: what gobwas/ws makes of the header decides whether there is
// a violation. It checks neither the shortest form of lengths nor where RSV1 stands.
func TestHeaderAgainstGobwas(t *testing.T) {
	states := []struct {
		d     frame.Decoder
		state ws.State
	}{
		{frame.Decoder{}, ws.StateServerSide},
		{frame.Decoder{Client: true}, ws.StateClientSide},
		{frame.Decoder{}, ws.StateServerSide | ws.StateFragmented},
		{frame.Decoder{Client: true}, ws.StateClientSide | ws.StateFragmented},
	}
	for _, s := range states {
		for first := range 256 {
			for second := range 256 {
				d := s.d
				if s.state.Fragmented() {
					start := frame.AppendHeader(nil, ws.Header{OpCode: ws.OpText, Masked: !d.Client})
					if err := drain(&d, start); err != nil {
						t.Fatal(err)
					}
				}
				b := []byte{byte(first), byte(second), 0, 0, 0, 0, 0, 1, 0, 0, 1, 2, 3, 4}
				if second&0x7f == 126 {
					b[2] = 1
				}
				h, err := ws.ReadHeader(bytes.NewReader(b))
				if err != nil {
					t.Fatal(err)
				}
				want := ws.CheckHeader(h, s.state)
				n := ws.HeaderSize(h)
				d.Push(b[:n])
				part, ok, got := d.Next()
				if (got == nil) != (want == nil) {
					t.Fatalf("%x state %b: got %v, gobwas says %v", b[:n], s.state, got, want)
				}
				if ok && (part.Header != h || !part.First || !part.Last || len(part.Payload) != 0) {
					t.Fatalf("%x: got %+v, gobwas read %+v", b[:n], part, h)
				}
				if got == nil && ok != (h.Length == 0) {
					t.Fatalf("%x: part %v with %d bytes missing", b[:n], ok, h.Length)
				}
			}
		}
	}
}

func TestErrors(t *testing.T) {
	n := 0
	for e := range frame.Error(255) {
		if e.Reason() == "unknown error" {
			continue
		}
		n++
		if !frame.SendableCode(e.Code()) {
			t.Errorf("%v: code %d cannot be sent", e, e.Code())
		}
		if e.Error() != "frame: "+e.Reason() || len(e.Reason()) > 123 {
			t.Errorf("%q does not fit a Close frame or lacks the prefix", e.Error())
		}
	}
	if n != 18 {
		t.Errorf("%d errors have an entry, 18 are exported", n)
	}
}
