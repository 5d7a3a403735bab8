package main

import (
	"encoding/json"
	"regexp"
	"slices"
	"strings"

	"github.com/dormouse-ws/dormouse/bench"
)

// A secret is where credentials stand in a text, and what is left of the match.
type secret struct {
	at   *regexp.Regexp
	left string
}

var (
	secretInQuery  = secret{regexp.MustCompile(`(?i)([?&][^=&\s]*(?:auth|cred|jwt|key|pass|pwd|secret|session|sig|token)[^=&\s]*=)[^&#\s"]+`), "${1}***"}
	secretInHeader = secret{regexp.MustCompile(`(?i)^([^:]*(?:auth|cookie|cred|jwt|key|secret|session|token)[^:]*:\s*).+`), "${1}***"}
	secretInJSON   = secret{
		regexp.MustCompile(`(?i)("[^"]*(?:auth|cred|jwt|key|pass|pwd|secret|session|token)[^"]*"\s*:\s*)(?:"(?:[^"\\]|\\.)*"|[^\s,}]+)`), `${1}"***"`,
	}
)

// redact leaves credentials out of what a report says of its configuration and command, so that it can be
// shown to others.
func redact(r *bench.Result) {
	var pairs []string // for a strings.Replacer
	hide := func(s string, k secret) string {
		hidden := k.at.ReplaceAllString(s, k.left)
		if k == secretInJSON && !json.Valid([]byte(hidden)) {
			hidden = `"***"` // an object or a list was the secret
		}
		if hidden != s {
			pairs = append(pairs, s, hidden)
		}
		return hidden
	}
	hideAll := func(list []string, k secret) []string {
		list = slices.Clone(list)
		for i, s := range list {
			list[i] = hide(s, k)
		}
		return list
	}
	r.Config.URLs = hideAll(r.Config.URLs, secretInQuery)
	r.Target.URLs = hideAll(r.Target.URLs, secretInQuery)
	r.Config.Header = hideAll(r.Config.Header, secretInHeader)
	r.Config.Params = hide(r.Config.Params, secretInJSON)
	r.Config.Payload = hide(r.Config.Payload, secretInJSON)
	command := strings.NewReplacer(pairs...)
	r.Command = slices.Clone(r.Command)
	for i, arg := range r.Command {
		r.Command[i] = secretInQuery.at.ReplaceAllString(command.Replace(arg), secretInQuery.left) // --metrics too
	}
	r.Notes = hideAll(r.Notes, secretInQuery)
}
