package server

import (
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"time"
)

// A pollID names a session. It is random, so that who knows one knows no other.
type pollID [16]byte

// A pollToken is what a client has of its session: when that was opened, its id, and a signature. The id
// alone could not be guessed either; the signature lets a node refuse a token that no node has made
// without asking any other.
const (
	tokenSigned = 8 + len(pollID{})
	tokenBytes  = tokenSigned + sha256.Size/2 // RFC 2104 section 5: half of the hash at least
)

// tokenSalt keeps the signatures of this purpose apart from others under the same secret.
const tokenSalt = "dormouse longpoll v1"

// newSecret makes a secret for the life of this server.
func newSecret() []byte {
	b := make([]byte, 32)
	rand.Read(b)
	return b
}

func newPollID() (id pollID) {
	rand.Read(id[:])
	return id
}

func (s *Server) sign(signed []byte) []byte {
	mac := hmac.New(sha256.New, s.cfg.Secret)
	mac.Write([]byte(tokenSalt))
	mac.Write(signed)
	return mac.Sum(nil)[:tokenBytes-tokenSigned]
}

// pollToken is the token of a session that was opened at this Unix time.
func (s *Server) pollToken(id pollID, opened int64) string {
	b := make([]byte, 0, tokenBytes)
	b = binary.BigEndian.AppendUint64(b, uint64(opened))
	b = append(b, id[:]...)
	return base64.RawURLEncoding.EncodeToString(append(b, s.sign(b)...))
}

// readPollToken returns the session that a token is of; false for one that was not made here, or is too old.
func (s *Server) readPollToken(token string, now time.Time, maxAge time.Duration) (id pollID, ok bool) {
	if len(token) != base64.RawURLEncoding.EncodedLen(tokenBytes) {
		return id, false
	}
	// The decoder passes over line ends: fewer bytes may come of it than the length says.
	b, err := base64.RawURLEncoding.Strict().DecodeString(token)
	if err != nil || len(b) != tokenBytes || !hmac.Equal(b[tokenSigned:], s.sign(b[:tokenSigned])) {
		return id, false
	}
	opened := time.Unix(int64(binary.BigEndian.Uint64(b)), 0)
	return pollID(b[8:tokenSigned]), now.Sub(opened) <= maxAge
}
