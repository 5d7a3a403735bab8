// In-package: the negotiation is nothing that the API shows.
package server

import "testing"

func headWith(t *testing.T, fields string) *head {
	t.Helper()
	h, _, _, err := readHead([]byte("GET / HTTP/1.1\r\nHost: h\r\n"+fields+"\r\n"), headLimits{}, whole)
	if err != nil || h == nil {
		t.Fatalf("%q: %v", fields, err)
	}
	return h
}

func TestChooseSubprotocol(t *testing.T) {
	const header = "Sec-WebSocket-Protocol: "
	const token = "base64url.bearer.phx."
	two := []string{"sip", "mqtt"}
	packs := []string{subprotocolPacked, "sip"}
	for _, row := range []struct {
		name, fields string
		supported    []string
		auth         bool
		status       int
		chosen       string
		token        string // "-" for none
		offer        string // as the application sees the header; "-" for none
	}{
		{"1.5: option absent", header + "sip", nil, false, 0, "", "-", "sip"},
		{"1.5: client sends none", "", two, false, 0, "", "-", "-"},
		{"1.5: first of the server's list", header + "mqtt, sip", two, false, 0, "sip", "-", "mqtt, sip"},
		{"1.5: only the second", header + "mqtt", two, false, 0, "mqtt", "-", "mqtt"},
		{"1.5: no common entry", header + "x", two, false, 403, "", "-", "x"},
		{"1.5: empty header", header, two, false, 403, "", "-", ""},
		{"1.5: case counts", header + "SIP", two, false, 403, "", "-", "SIP"},
		{"RFC 6455 11.3.4: two headers are one list", header + "x\r\n" + header + "mqtt", two, false, 0, "mqtt", "-", "x"},
		{"1.5: token and phoenix", header + "phoenix, " + token + "MTIzNA", nil, true, 0, "phoenix", "1234", "phoenix"},
		{"1.5: token first", header + token + "MTIzNA, phoenix", nil, true, 0, "phoenix", "1234", "phoenix"},
		{"1.5: token only", header + token + "MTIzNA", nil, true, 0, "", "1234", "-"},
		{"1.5: phoenix only", header + "phoenix", nil, true, 0, "phoenix", "-", "phoenix"},
		{"1.5: foreign only", header + "sip", nil, true, 403, "", "-", "sip"},
		{"1.5: foreign and token", header + "x, " + token + "MTIzNA", nil, true, 403, "", "1234", "x"},
		{"1.5: no header, auth on", "", nil, true, 0, "", "-", "-"},
		{"1.5: two tokens, phoenix", header + "phoenix, " + token + "MQ, " + token + "Mg", nil, true, 0, "phoenix", "-",
			"phoenix, " + token + "MQ, " + token + "Mg"},
		{"1.5: two tokens alone", header + token + "MQ, " + token + "Mg", nil, true, 403, "", "-", token + "MQ, " + token + "Mg"},
		{"1.5: auth and subprotocols", header + "mqtt, " + token + "MTIzNA", two, true, 0, "mqtt", "1234", "mqtt"},
		{"1.5: phoenix comes first", header + "mqtt, phoenix", two, true, 0, "phoenix", "-", "mqtt, phoenix"},
		{"1.5: auth off, client uses it", header + "phoenix, " + token + "MTIzNA", nil, false, 0, "", "-", "phoenix, " + token + "MTIzNA"},
		{"MessagePack comes before phoenix", header + "phoenix, phoenix.msgpack, " + token + "MQ", packs, true, 0, "phoenix.msgpack", "1",
			"phoenix, phoenix.msgpack"},
		{"MessagePack is not asked for", header + "sip, phoenix, " + token + "MQ", packs, true, 0, "phoenix", "1", "sip, phoenix"},
		{"MessagePack without auth tokens", header + "sip, phoenix.msgpack", packs, false, 0, "phoenix.msgpack", "-", "sip, phoenix.msgpack"},
		{"1.5: not base64", header + "phoenix, " + token + "M~", nil, true, 500, "", "-", ""},
		{"1.5: not base64, length", header + token + "MTIzN", nil, true, 500, "", "-", ""},
		{"1.5: empty token", header + token, nil, true, 0, "", "", "-"},
		{"9.12: plus", header + token + "++++", nil, true, 0, "", "\xfb\xef\xbe", "-"},
		{"9.12: URL alphabet", header + token + "-_-_", nil, true, 0, "", "\xfb\xff\xbf", "-"},
		{"9.12: padding", header + token + "MQ==", nil, true, 0, "", "1", "-"},
		{"9.12: padding in excess", header + token + "MQ===", nil, true, 500, "", "-", ""},
	} {
		fields := row.fields
		if fields != "" {
			fields += "\r\n"
		}
		h := headWith(t, fields)
		c, err := chooseSubprotocol(h, row.supported, row.auth)
		status := 0
		if err != nil {
			status = err.status
		}
		if status != row.status || c.name != row.chosen {
			t.Errorf("%s: %d %q", row.name, status, c.name)
		}
		if status == 500 {
			continue
		}
		if (c.token == nil) != (row.token == "-") || c.token != nil && *c.token != row.token {
			t.Errorf("%s: token %v", row.name, c.token)
		}
		seen := c.rewrite(h.headersWithPrefix("sec-websocket-"))
		if (len(seen) == 0) != (row.offer == "-") || len(seen) > 0 && seen[0].Value != row.offer {
			t.Errorf("%s: the application sees %q", row.name, seen)
		}
	}
}
