package server

import "strings"

// negotiateVersion picks the serializer for the parameter vsn (section 1.3). Without one the client
// speaks version 1.0.0. ok is false when the version is refused, or is no version at all.
func negotiateVersion(p Params) (s serializer, ok bool) {
	value, present := p["vsn"]
	if !present {
		return serializerV1{}, true
	}
	text, _ := value.(string)
	v, ok := parseVersion(text)
	switch {
	case !ok:
		return nil, false
	case v.approximately("1", "0"):
		return serializerV1{}, true
	case v.approximately("2", "0"):
		return serializerV2{}, true
	}
	return nil, false
}

// A version is a semantic version. Its numbers have no bound, so they stay text; there are no leading
// zeros, and equal numbers are equal text. Build metadata takes no part in comparisons and is not kept.
type version struct {
	major, minor, patch string
	pre                 bool // there is a pre-release part
}

// approximately reports whether v meets the requirement "~> major.minor.0": at least that version, and
// below the next minor one. A pre-release of major.minor.0 comes before it and does not.
func (v version) approximately(major, minor string) bool {
	return v.major == major && v.minor == minor && (v.patch != "0" || !v.pre)
}

// parseVersion takes what semver.org 2.0.0 defines: exactly three numbers, optional pre-release and
// build parts.
func parseVersion(s string) (v version, ok bool) {
	s, build, hasBuild := strings.Cut(s, "+")
	if hasBuild && !validIdentifiers(build, false) {
		return version{}, false
	}
	s, pre, hasPre := strings.Cut(s, "-")
	if hasPre && !validIdentifiers(pre, true) {
		return version{}, false
	}
	major, s, _ := strings.Cut(s, ".")
	minor, patch, _ := strings.Cut(s, ".")
	for _, n := range [...]string{major, minor, patch} {
		if !isNumber(n) || hasLeadingZero(n) {
			return version{}, false
		}
	}
	return version{major, minor, patch, hasPre}, true
}

// validIdentifiers checks identifiers separated by dots. Numbers among them must not have leading
// zeros in a pre-release part, and may in a build part.
func validIdentifiers(s string, pre bool) bool {
	for id := range strings.SplitSeq(s, ".") {
		if id == "" || pre && isNumber(id) && hasLeadingZero(id) {
			return false
		}
		for i := range len(id) {
			if c := lower(id[i]); !isDigit(c) && (c < 'a' || c > 'z') && c != '-' {
				return false
			}
		}
	}
	return true
}

func isNumber(s string) bool {
	for i := range len(s) {
		if !isDigit(s[i]) {
			return false
		}
	}
	return s != ""
}

func hasLeadingZero(s string) bool { return len(s) > 1 && s[0] == '0' }
