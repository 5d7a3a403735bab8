package server_test

import "testing"

const joined = `
	→ ["1","1","room:1","phx_join",{}]
	← ["1","1","room:1","phx_reply",{"status":"ok","response":{}}]`

func TestJoin(t *testing.T) {
	play(t, wsPath, []transcript{
		{"3.3: with a payload", `
			→ ["1","2","room:reply","phx_join",{"n":12345678901234567890}]
			← ["1","2","room:reply","phx_reply",{"status":"ok","response":{"hello":"world","got":{"n":12345678901234567890}}}]`},
		{"3.3: with a binary payload", `
			→ ["1","2","room:binary","phx_join",{}]
			b← 01 01 01 0b 02 31 32 726f6f6d3a62696e617279 6f6b 090807`},
		{"3.3: refused", `
			→ ["1","1","room:deny","phx_join",{}]
			← ["1","1","room:deny","phx_reply",{"status":"error","response":{"reason":"unauthorized"}}]
			→ ["1","2","room:deny","echo",{}]
			← [null,"2","room:deny","phx_reply",{"status":"error","response":{"reason":"unmatched topic"}}]`},
		{"3.3: crashed", `
			→ ["1","1","room:crash","phx_join",{}]
			← ["1","1","room:crash","phx_reply",{"status":"error","response":{"reason":"join crashed"}}]
			→ ["2","2","room:error","phx_join",{}]
			← ["2","2","room:error","phx_reply",{"status":"error","response":{"reason":"join crashed"}}]`},
		{"3.3: what After does follows the reply", `
			→ ["1","1","room:after","phx_join",{}]
			← ["1","1","room:after","phx_reply",{"status":"ok","response":{}}]
			← [null,null,"room:after","entered",{}]
			← ["1",null,"room:after","joined",{}]`},
		{"3.3: a null join_ref", `
			→ [null,"5","room:1","phx_join",{}]
			← [null,"5","room:1","phx_reply",{"status":"ok","response":{}}]
			→ ["5","7","room:1","echo",{}]
			·
			→ [null,"8","room:1","push",{}]
			← ["5",null,"room:1","pushed",{}]
			→ [null,"9","room:1","phx_leave",{}]
			← ["5","9","room:1","phx_reply",{"status":"ok","response":{}}]
			← [null,null,"room:1","phx_close",{}]`},
		{"2: join_ref and ref that differ, and a null ref", `
			→ ["a","b","room:1","phx_join",{}]
			← ["a","b","room:1","phx_reply",{"status":"ok","response":{}}]
			→ ["a",null,"room:1","echo",{}]
			← ["a",null,"room:1","phx_reply",{"status":"ok","response":{}}]`},
	})
}

func TestLeave(t *testing.T) {
	play(t, wsPath, []transcript{
		{"3.4: reply, then phx_close with the join_ref twice", joined + `
			→ ["1","8","room:1","phx_leave",{}]
			← ["1","8","room:1","phx_reply",{"status":"ok","response":{}}]
			← ["1","1","room:1","phx_close",{}]
			→ ["1","9","room:1","echo",{}]
			← [null,"9","room:1","phx_reply",{"status":"error","response":{"reason":"unmatched topic"}}]`},
		{"3.4: what comes behind a leave is unmatched, or joins anew", joined + `
			→ ["1","8","room:1","phx_leave",{}]
			→ ["1","9","room:1","echo",{}]
			→ ["2","10","room:1","phx_join",{}]
			← ["1","8","room:1","phx_reply",{"status":"ok","response":{}}]
			← ["1","1","room:1","phx_close",{}]
			← [null,"9","room:1","phx_reply",{"status":"error","response":{"reason":"unmatched topic"}}]
			← ["2","10","room:1","phx_reply",{"status":"ok","response":{}}]`},
		{"3.4: what Leave pushes comes after phx_close", `
			→ ["1","1","room:bye","phx_join",{}]
			← ["1","1","room:bye","phx_reply",{"status":"ok","response":{}}]
			→ ["1","2","room:bye","phx_leave",{}]
			← ["1","2","room:bye","phx_reply",{"status":"ok","response":{}}]
			← ["1","1","room:bye","phx_close",{}]
			← ["1",null,"room:bye","bye",{}]`},
		{"3.5: new reply, old close, pushes of the new channel", `
			→ ["1","1","room:after","phx_join",{}]
			← ["1","1","room:after","phx_reply",{"status":"ok","response":{}}]
			← [null,null,"room:after","entered",{}]
			← ["1",null,"room:after","joined",{}]
			→ ["2","2","room:after","phx_join",{}]
			← ["2","2","room:after","phx_reply",{"status":"ok","response":{}}]
			← ["1","1","room:after","phx_close",{}]
			← [null,null,"room:after","entered",{}]
			← ["2",null,"room:after","joined",{}]
			→ ["1","3","room:after","echo",{}]
			·
			→ ["2","4","room:after","ack",{}]
			← ["2","4","room:after","phx_reply",{"status":"ok","response":{}}]`},
		{"3.5: a displaced channel is not heard", `
			→ ["1","1","room:bye","phx_join",{}]
			← ["1","1","room:bye","phx_reply",{"status":"ok","response":{}}]
			→ ["2","2","room:bye","phx_join",{}]
			← ["2","2","room:bye","phx_reply",{"status":"ok","response":{}}]
			← ["1","1","room:bye","phx_close",{}]
			·`},
	})
}

func TestResults(t *testing.T) {
	play(t, wsPath, []transcript{
		{"3.6: reply", joined + `
			→ ["1","2","room:1","echo",{"big":12345678901234567890,"f":1.00}]
			← ["1","2","room:1","phx_reply",{"status":"ok","response":{"big":12345678901234567890,"f":1.00}}]
			→ ["1","3","room:1","echo",[1,null]]
			← ["1","3","room:1","phx_reply",{"status":"ok","response":[1,null]}]
			→ ["1","4","room:1","fail",{"a":1}]
			← ["1","4","room:1","phx_reply",{"status":"error","response":{"a":1}}]
			→ ["1","5","room:1","custom",{"a":1}]
			← ["1","5","room:1","phx_reply",{"status":"custom","response":{"a":1}}]`},
		{"3.6: status alone", joined + `
			→ ["1","2","room:1","ack",{"a":1}]
			← ["1","2","room:1","phx_reply",{"status":"ok","response":{}}]
			→ ["1","3","room:1","nack",{"a":1}]
			← ["1","3","room:1","phx_reply",{"status":"error","response":{}}]`},
		{"3.6: no reply", joined + `
			→ ["1","2","room:1","silent",{}]
			·`},
		{"3.6: stop", joined + `
			→ ["1","2","room:1","stop",{}]
			← ["1","1","room:1","phx_close",{}]
			→ ["1","3","room:1","echo",{}]
			← [null,"3","room:1","phx_reply",{"status":"error","response":{"reason":"unmatched topic"}}]`},
		{"3.6: stop with a reply", joined + `
			→ ["1","2","room:1","stop_reply",{}]
			← ["1","2","room:1","phx_reply",{"status":"ok","response":{"bye":1}}]
			← ["1","1","room:1","phx_close",{}]`},
		{"3.6: an abnormal reason, with a reply", joined + `
			→ ["1","2","room:1","stop_error",{}]
			← ["1","2","room:1","phx_reply",{"status":"ok","response":{"bye":1}}]
			← ["1","1","room:1","phx_error",{"reason":"channel_crash"}]`},
		{"3.6: an error, and a topic that is free after it", joined + `
			→ ["1","2","room:1","error",{}]
			← ["1","1","room:1","phx_error",{"reason":"channel_crash"}]
			→ ["3","3","room:1","phx_join",{}]
			← ["3","3","room:1","phx_reply",{"status":"ok","response":{}}]`},
		{"3.6: no handler", joined + `
			→ ["1","2","room:1","unheard of",{}]
			← ["1","1","room:1","phx_error",{"reason":"channel_crash"}]`},
		{"3.6: what Leave pushes comes before phx_error", `
			→ ["1","1","room:bye","phx_join",{}]
			← ["1","1","room:bye","phx_reply",{"status":"ok","response":{}}]
			→ ["1","2","room:bye","boom",{}]
			← ["1",null,"room:bye","bye",{}]
			← ["1","1","room:bye","phx_error",{"reason":"channel_crash"}]`},
		{"3.10: the connection survives a crash", joined + `
			→ ["2","2","room:2","phx_join",{}]
			← ["2","2","room:2","phx_reply",{"status":"ok","response":{}}]
			→ ["1","3","room:1","boom",{}]
			← ["1","1","room:1","phx_error",{"reason":"channel_crash"}]
			→ ["2","4","room:2","ack",{}]
			← ["2","4","room:2","phx_reply",{"status":"ok","response":{}}]`},
		{"2.1: a push that is no object crashes the channel", joined + `
			→ ["1","2","room:1","list",{}]
			← ["1","1","room:1","phx_error",{"reason":"channel_crash"}]`},
		{"3.6: push", joined + `
			→ ["1","2","room:1","push",{"a":1}]
			← ["1",null,"room:1","pushed",{"a":1}]`},
		{"3.8: frames leave in the order of the calls", joined + `
			→ ["1","2","room:1","push_reply",{}]
			← ["1",null,"room:1","pushed",{"n":1}]
			← ["1",null,"room:1","pushed",{"n":2}]
			← ["1","2","room:1","phx_reply",{"status":"ok","response":{}}]`},
		{"3.7: a fastlaned broadcast comes before the reply", joined + `
			→ ["1","2","room:1","bcast",{"a":1}]
			← [null,null,"room:1","bcast",{"a":1}]
			← ["1","2","room:1","phx_reply",{"status":"ok","response":{}}]`},
		{"3.7: broadcast_from skips the sender", joined + `
			→ ["1","2","room:1","bcast_from",{"a":1}]
			← ["1","2","room:1","phx_reply",{"status":"ok","response":{}}]
			·`},
		{"3.7: an intercepted broadcast comes after the reply, with the join_ref", joined + `
			→ ["1","2","room:1","new_msg",{"a":1}]
			← ["1","2","room:1","phx_reply",{"status":"ok","response":{}}]
			← ["1",null,"room:1","new_msg",{"a":1,"for":"room:1"}]`},
		{"3.7: a broadcast that is no object is the broadcaster's error", joined + `
			→ ["1","2","room:1","bcast_list",{}]
			← ["1","2","room:1","phx_reply",{"status":"ok","response":{}}]`},
	})
}

func TestBinary(t *testing.T) {
	play(t, wsPath, []transcript{
		{"2.2: push and reply", joined + `
			b→ 00 01 01 06 03  31 32 726f6f6d3a31 62696e
			b← 00 01 06 05  31 726f6f6d3a31 6368756e6b  0001
			b← 01 01 01 06 02  31 32 726f6f6d3a31 6f6b  0102fe`},
		{"2.2: a binary payload stays binary", joined + `
			b→ 00 01 01 06 04  31 32 726f6f6d3a31 6563686f  00ff
			b← 01 01 01 06 02  31 32 726f6f6d3a31 6f6b  00ff`},
		{"2.2: a binary broadcast has no refs", joined + `
			b→ 00 01 01 06 05  31 32 726f6f6d3a31 6263617374  656667
			b← 02 06 05  726f6f6d3a31 6263617374  656667
			← ["1","2","room:1","phx_reply",{"status":"ok","response":{}}]`},
		{"2.2: an empty join_ref is no null: stale", joined + `
			b→ 00 00 01 06 04  32 726f6f6d3a31 6563686f
			·`},
		{"2.2: a binary join", `
			b→ 00 01 01 06 08  31 31 726f6f6d3a31 7068785f6a6f696e  01
			← ["1","1","room:1","phx_reply",{"status":"ok","response":{}}]`},
		{"2.2: a field above 255 bytes crashes the channel", joined + `
			→ ["1","2","room:1","long",{}]
			← ["1","1","room:1","phx_error",{"reason":"channel_crash"}]`},
		{"2.2: header fields that are not UTF-8 crash nothing", joined + `
			b→ 00 01 01 06 01  31 32 726f6f6d3a31 ff
			← ["1","1","room:1","phx_error",{"reason":"channel_crash"}]
			·`},
	})
}

func TestV1(t *testing.T) {
	const joined = `
			→ {"topic":"room:1","event":"phx_join","payload":{},"ref":"1"}
			← {"topic":"room:1","event":"phx_reply","payload":{"status":"ok","response":{}},"ref":"1"}`
	play(t, wsV1Path, []transcript{
		{"3.2.1: heartbeat", `
			→ {"topic":"phoenix","event":"heartbeat","payload":{},"ref":"7"}
			← {"topic":"phoenix","event":"phx_reply","payload":{"status":"ok","response":{}},"ref":"7"}`},
		{"3.2.2: unmatched", `
			→ {"topic":"x","event":"e","payload":{},"ref":"7"}
			← {"topic":"x","event":"phx_reply","payload":{"status":"error","response":{"reason":"unmatched topic"}},"ref":"7"}`},
		{"2.3: join, event, broadcast, leave", joined + `
			→ {"topic":"room:1","event":"bcast","payload":{"a":1},"ref":"2"}
			← {"topic":"room:1","event":"bcast","payload":{"a":1},"ref":null}
			← {"topic":"room:1","event":"phx_reply","payload":{"status":"ok","response":{}},"ref":"2"}
			→ {"topic":"room:1","event":"phx_leave","payload":{},"ref":"3"}
			← {"topic":"room:1","event":"phx_reply","payload":{"status":"ok","response":{}},"ref":"3"}
			← {"topic":"room:1","event":"phx_close","payload":{},"ref":null}`},
		{"2.3: any JSON may be pushed", joined + `
			→ {"topic":"room:1","event":"list","payload":{},"ref":"2"}
			← {"topic":"room:1","event":"pushed","payload":[1],"ref":null}`},
		{"2.3: a binary payload crashes the channel", joined + `
			→ {"topic":"room:1","event":"bin","payload":{},"ref":"2"}
			← {"topic":"room:1","event":"phx_error","payload":{"reason":"channel_crash"},"ref":null}`},
		{"2.3: a binary reply to a join", `
			→ {"topic":"room:binary","event":"phx_join","payload":{},"ref":"1"}
			← {"topic":"room:binary","event":"phx_reply","payload":{"status":"error","response":{"reason":"join crashed"}},"ref":"1"}
			→ {"topic":"room:binary","event":"echo","payload":{},"ref":"2"}
			← {"topic":"room:binary","event":"phx_reply","payload":{"status":"error","response":{"reason":"unmatched topic"}},"ref":"2"}`},
		{"2.3: join_ref is read: stale checks, and the ref of phx_close", `
			→ {"topic":"room:1","event":"phx_join","payload":{},"ref":"1","join_ref":"1"}
			← {"topic":"room:1","event":"phx_reply","payload":{"status":"ok","response":{}},"ref":"1"}
			→ {"topic":"room:1","event":"echo","payload":{},"ref":"2","join_ref":"0"}
			·
			→ {"topic":"room:1","event":"stop","payload":{},"ref":"3","join_ref":"1"}
			← {"topic":"room:1","event":"phx_close","payload":{},"ref":"1"}`},
		{"2.3: the frame type is not looked at", `
			b→ 7b22746f706963223a2270686f656e6978222c226576656e74223a22686561727462656174222c227061796c6f6164223a7b7d2c22726566223a2237227d
			← {"topic":"phoenix","event":"phx_reply","payload":{"status":"ok","response":{}},"ref":"7"}`},
		{"2.3: a missing key is fatal", "→ {\"topic\":\"x\",\"event\":\"e\",\"ref\":\"1\"}\n× 1011"},
	})
}
