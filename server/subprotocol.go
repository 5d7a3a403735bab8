package server

import (
	"encoding/base64"
	"slices"
	"strings"
)

// authTokenPrefix begins the subprotocol entry that carries the auth token. In spite of its name what
// follows is in the standard alphabet (section 1.5).
const authTokenPrefix = "base64url.bearer.phx."

// A subprotocolChoice is the outcome of steps 5 and 6 of section 1.2.
type subprotocolChoice struct {
	name  string  // to be sent in Sec-WebSocket-Protocol; "" for no header
	token *string // the auth token, or nil

	// offer is what is left of the header once the token is out of it, hidden whether nothing is: the
	// application sees the header so. They are set only if rewritten.
	rewritten bool
	offer     string
	hidden    bool
}

// chooseSubprotocol takes the auth token out of the Sec-WebSocket-Protocol header, if the mount has auth
// tokens on, and picks the first of the server's subprotocols that the client offers too. supported may
// be empty: then the header is not looked at, unless for the token. Several headers are taken for
// the one list they stand for. Errors: 500 for a token that is not base64, 403 for an offer without a
// common entry.
func chooseSubprotocol(h *head, supported []string, authToken bool) (c subprotocolChoice, err *httpError) {
	header, present := h.headerList("sec-websocket-protocol")
	if !present || !authToken && len(supported) == 0 {
		return c, nil
	}
	offers := splitList(header)
	if authToken {
		supported = withPhoenix(supported)
		offers, err = c.takeToken(offers)
		if err != nil || c.hidden {
			return c, err
		}
	}
	for _, name := range supported {
		for _, offer := range offers {
			if name == offer {
				c.name = name
				return c, nil
			}
		}
	}
	return c, &httpError{403, "none of the offered subprotocols is spoken here"}
}

// withPhoenix adds the subprotocol that auth tokens make spoken: before the mount's own, as with Phoenix, but
// for MessagePack, which a client that offers both asks for.
func withPhoenix(supported []string) []string {
	at := 0
	if len(supported) > 0 && supported[0] == subprotocolPacked {
		at = 1
	}
	return slices.Insert(slices.Clone(supported), at, "phoenix")
}

// takeToken sets the token and returns the other offers. With no token entry, or with several, there is
// no token and every entry stays.
func (c *subprotocolChoice) takeToken(offers []string) ([]string, *httpError) {
	var encoded string
	others := make([]string, 0, len(offers))
	for _, offer := range offers {
		if token, ok := strings.CutPrefix(offer, authTokenPrefix); ok {
			encoded = token
		} else {
			others = append(others, offer)
		}
	}
	if len(offers)-len(others) != 1 {
		return offers, nil
	}
	token, ok := decodeToken(encoded)
	if !ok {
		return nil, &httpError{500, "the auth token is not base64"}
	}
	c.token = &token
	c.rewritten, c.offer, c.hidden = true, strings.Join(others, ", "), len(others) == 0
	return others, nil
}

// decodeToken takes base64 in the standard and in the URL alphabet, with and without padding.
func decodeToken(s string) (token string, ok bool) {
	s = strings.NewReplacer("-", "+", "_", "/").Replace(s)
	if unpadded, ok := strings.CutSuffix(s, "="); ok {
		s = strings.TrimSuffix(unpadded, "=")
	}
	b, err := base64.RawStdEncoding.DecodeString(s)
	return string(b), err == nil
}

// splitList splits a comma separated header and drops what is empty.
func splitList(header string) []string {
	var list []string
	for item := range strings.SplitSeq(header, ",") {
		if item = strings.Trim(item, " \t"); item != "" {
			list = append(list, item)
		}
	}
	return list
}
