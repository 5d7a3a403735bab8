package frame_test

import (
	"fmt"

	"github.com/gobwas/ws"

	"github.com/dormouse-ws/dormouse/server/frame"
)

// A turn of a server's loop: what a read brought is taken apart and answered.
func ExampleDecoder() {
	mask := [4]byte{1, 2, 3, 4}
	read := frame.AppendClient(nil, ws.OpText, mask, []byte("hello"))
	read = frame.AppendClient(read, ws.OpPing, mask, []byte("there?"))
	read = append(read, 0x81) // the next frame, cut by the read

	var d frame.Decoder
	var m frame.Message
	d.Push(read)
	for {
		part, ok, err := d.Next()
		if err != nil {
			fmt.Println("close with", err.(frame.Error).Code())
			return
		}
		if !ok {
			break
		}
		switch part.Header.OpCode {
		case ws.OpPing:
			fmt.Printf("pong: %q\n", frame.AppendPong(nil, part.Payload))
		case ws.OpClose:
			code, _, _ := frame.ParseClose(part.Payload)
			fmt.Printf("close: %q\n", frame.AppendClose(nil, code, ""))
		case ws.OpPong:
		default:
			if whole, err := m.Add(part); whole && err == nil {
				fmt.Printf("echo: %q\n", frame.AppendServer(nil, m.OpCode(), m.Payload()))
				m.Reset()
			}
		}
	}
	fmt.Println("keep the decoder:", !d.Idle(), "keep the message:", !m.Idle())
	// Output:
	// echo: "\x81\x05hello"
	// pong: "\x8a\x06there?"
	// keep the decoder: true keep the message: false
}

func ExampleParseClose() {
	code, reason, err := frame.ParseClose([]byte("\x0f\xa0logged out"))
	fmt.Println(uint16(code), string(reason), err)
	code, _, err = frame.ParseClose([]byte{0x03, 0xee}) // 1006
	fmt.Println(uint16(code), err)
	// Output:
	// 4000 logged out <nil>
	// 1002 frame: RFC 6455 section 7.4: close code must not be on the wire
}
