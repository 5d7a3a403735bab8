// In-package: the server alone builds a ConnectInfo.
package server

import (
	"encoding/json"
	"net/netip"
	"reflect"
	"testing"
)

const infoFields = "X-Forwarded-For: 1.2.3.4\r\nTraceparent: 00-a-b-01\r\nTracestate: k=v\r\nTracer: no\r\n" +
	"User-Agent: agent\r\nX-B: 2\r\nSec-WebSocket-Version: 13\r\n" +
	"Sec-WebSocket-Protocol: phoenix, base64url.bearer.phx.MTIzNA\r\nSec-WebSocket-Key: k\r\n"

func TestConnectInfo(t *testing.T) {
	h := headWith(t, infoFields)
	choice, herr := chooseSubprotocol(h, nil, true)
	if herr != nil {
		t.Fatal(herr)
	}
	r := &connectRequest{
		headers: h,
		peer:    netip.MustParseAddrPort("[::ffff:10.0.0.1]:5000"),
		url:     requestURLOf("http", "h:4000"),
		path:    "/a%20b",
		query:   "c=d",
		choice:  choice,
	}
	token, agent := "1234", "agent"
	all := ConnectInfoConfig{true, true, true, true, true, true, map[string]any{"signing_salt": "salt"}}
	want := &ConnectInfo{
		PeerData:            &PeerData{netip.MustParseAddr("10.0.0.1"), 5000},
		TraceContextHeaders: Headers{{"traceparent", "00-a-b-01"}, {"tracestate", "k=v"}},
		XHeaders:            Headers{{"x-forwarded-for", "1.2.3.4"}, {"x-b", "2"}},
		URI:                 &URI{"http", "h", 4000, "/a%20b", "c=d"},
		UserAgent:           &agent,
		SecWebSocketHeaders: Headers{{"sec-websocket-version", "13"}, {"sec-websocket-protocol", "phoenix"}, {"sec-websocket-key", "k"}},
		AuthToken:           &token,
		Custom:              map[string]any{"signing_salt": "salt"},
	}
	if got := all.connectInfo(r); !reflect.DeepEqual(got, want) {
		t.Errorf("1.7: %+v", got)
	}
	none := ConnectInfoConfig{}
	if got := none.connectInfo(r); !reflect.DeepEqual(got, &ConnectInfo{AuthToken: &token}) {
		t.Errorf("1.7, nothing asked: %+v", got)
	}
}

func TestConnectInfoAbsent(t *testing.T) {
	all := ConnectInfoConfig{true, true, true, true, true, true, nil}
	got := all.connectInfo(&connectRequest{headers: headWith(t, "")})
	if got.UserAgent != nil || got.AuthToken != nil {
		t.Errorf("%v %v", got.UserAgent, got.AuthToken)
	}
	for _, list := range []Headers{got.TraceContextHeaders, got.XHeaders, got.SecWebSocketHeaders} {
		if list == nil || len(list) != 0 {
			t.Errorf("a header list that was asked for is %v", list)
		}
	}
}

func TestHeadersJSON(t *testing.T) {
	b, err := json.Marshal(Headers{{"x-a", "1"}, {"x-a", "2"}, {"x-b", "3"}})
	if string(b) != `{"x-a":"2","x-b":"3"}` || err != nil {
		t.Errorf("%s %v", b, err)
	}
	if v := (Headers{{"x-a", "1"}, {"x-a", "2"}}).Get("x-a"); v != "1" {
		t.Errorf("Get: %q", v)
	}
}

func TestURIURL(t *testing.T) {
	for want, u := range map[string]URI{
		"http://h/a%2Fb?c=d": {"http", "h", 80, "/a%2Fb", "c=d"},
		"https://h:80/":      {"https", "h", 80, "/", ""},
		"http://[::1]:81/":   {"http", "::1", 81, "/", ""},
	} {
		if got := u.URL().String(); got != want {
			t.Errorf("%q, want %q", got, want)
		}
	}
}
