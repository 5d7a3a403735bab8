// In-package: the check runs inside the server.
package server

import (
	"net/url"
	"strings"
	"testing"
)

// absent stands for a request without an Origin header.
const absent = "\x00"

func checkOrigin(t *testing.T, p OriginPolicy, origin string, request requestURL, publicHost string) bool {
	t.Helper()
	if err := p.compile(); err != nil {
		t.Fatal(err)
	}
	return p.allows(origin, origin != absent, request, publicHost)
}

// publicHost is the server's in the rows.
const publicHost = "host.example"

type originRow struct {
	name   string
	policy OriginPolicy
	origin string
	want   bool
}

func testOriginRows(t *testing.T, rows []originRow) {
	t.Helper()
	for _, row := range rows {
		if got := checkOrigin(t, row.policy, row.origin, requestURL{}, publicHost); got != row.want {
			t.Errorf("%s: %q: %v", row.name, row.origin, got)
		}
	}
}

func TestOriginPolicy(t *testing.T) {
	public, anyone, same := AllowPublicHost(), AllowAnyOrigin(), AllowSameOrigin()
	list := AllowOrigins("//example.com")
	askHost := AllowOriginFunc(func(u *url.URL) bool { return u.Host == "example.com" })
	askNoHost := AllowOriginFunc(func(u *url.URL) bool { return u.Host == "" })
	testOriginRows(t, []originRow{
		{"1.4: no Origin, public host", public, absent, true},
		{"1.4: no Origin, list", list, absent, true},
		{"1.4: no Origin, same", same, absent, true},
		{"1.4: no Origin, function", AllowOriginFunc(func(*url.URL) bool { return false }), absent, true},
		{"1.4: true, equal host", public, "https://host.example", true},
		{"1.4: true, scheme and port are ignored", public, "ftp://host.example:99/", true},
		{"1.4: true, other host", public, "https://other.example", false},
		{"1.4: true, subdomain", public, "https://a.host.example", false},
		{"1.4: true, case", public, "https://HOST.example", false},
		{"1.4: true, null", public, "null", false},
		{"1.4: true, empty", public, "", false},
		{"1.4: true, file", public, "file://", false},
		{"1.4: true, no slashes", public, "host.example", false},
		{"1.4: zero value", OriginPolicy{}, "https://host.example", true},
		{"1.4: zero value, other host", OriginPolicy{}, "https://other.example", false},
		{"1.4: false, any", anyone, "https://other.example", true},
		{"1.4: false, null", anyone, "null", true},
		{"1.4: false, empty", anyone, "", true},
		{"1.4: false, file", anyone, "file://", true},
		{"1.4: function, its host", askHost, "https://example.com", true},
		{"1.4: function, other host", askHost, "https://other.example", false},
		{"1.4: function, null", askNoHost, "null", true},
		{"1.4: function, empty", askNoHost, "", true},
		{"1.4: function, file", askNoHost, "file://", true},
		{"1.4: function, no URL", askNoHost, "%zz", true},
	})
	if !checkOrigin(t, public, "https://other.example", requestURL{}, "") || checkOrigin(t, public, "null", requestURL{}, "") {
		t.Error("1.4: without a public host every origin with a host passes")
	}
}

func TestOriginList(t *testing.T) {
	list := AllowOrigins("//example.com", "http://scheme.com", "//port.com:81")
	fixture := AllowOrigins("//example.com", "//*.wild.example", "https://secure.example:8443", "//port.example:81")
	testOriginRows(t, []originRow{
		{"1.4: list, null", list, "null", false},
		{"1.4: list, empty", list, "", false},
		{"1.4: list, file", list, "file://", false},
		{"1.4: list, EXAMPLE.com without slashes", list, "EXAMPLE.com", false},
		{"1.4: //example.com, https", list, "https://example.com", true},
		{"1.4: //example.com, http:99", list, "http://example.com:99", true},
		{"1.4: //example.com, trailing slash", list, "http://example.com/", true},
		{"1.4: //example.com, subdomain", list, "http://sub.example.com", false},
		{"1.4: //example.com, case", list, "http://EXAMPLE.com", false},
		{"1.4: scheme, case of the scheme", list, "HTTP://scheme.com", true},
		{"1.4: http://scheme.com", list, "http://scheme.com", true},
		{"1.4: http://scheme.com, default port written", list, "http://scheme.com:80", true},
		{"1.4: http://scheme.com, https", list, "https://scheme.com", false},
		{"1.4: http://scheme.com, other port", list, "http://scheme.com:8080", false},
		{"1.4: //port.com:81", list, "http://port.com:81", true},
		{"1.4: //port.com:81, other port", list, "http://port.com:82", false},
		{"1.4: //port.com:81, default port", list, "http://port.com", false},
		{"1.4: wildcard, one below", fixture, "http://a.wild.example", true},
		{"1.4: wildcard, two below", fixture, "https://a.b.wild.example", true},
		{"1.4: wildcard, itself", fixture, "https://wild.example", true},
		{"1.4: wildcard, another name", fixture, "https://xwild.example", false},
		{"1.4: secure", fixture, "https://secure.example:8443", true},
		{"1.4: secure, http", fixture, "http://secure.example:8443", false},
		{"1.4: secure, default port", fixture, "https://secure.example", false},
		{"1.4: list, user in the origin", fixture, "https://example.com@evil.example", false},
		{"1.4: list, port beyond all", AllowOrigins("http://a"), "http://a:99999999999999999999", false},
		{"1.4: list, entry with an empty host, null", AllowOrigins("//"), "null", false},
		{"1.4: list, entry with an empty host, file", AllowOrigins("//"), "file://", true},
		{"1.4: list, port 0", AllowOrigins("http://a"), "http://a:0", false},
		{"1.4: list, IPv6", AllowOrigins("http://[::1]:4000"), "http://[::1]:4000", true},
	})
}

func TestOriginSame(t *testing.T) {
	for _, row := range []struct {
		name, scheme, host, origin string
		want                       bool
	}{
		{"equal", "http", "example.com", "http://example.com", true},
		{"equal, port", "http", "example.com:4000", "http://example.com:4000", true},
		{"equal, https", "https", "example.com", "https://example.com", true},
		{"default port written", "http", "example.com", "http://example.com:80", true},
		{"scheme", "http", "example.com", "https://example.com", false},
		{"scheme, same port", "http", "example.com", "https://example.com:80", false},
		{"ws", "http", "example.com", "ws://example.com", false},
		{"host", "http", "example.com", "http://www.example.com", false},
		{"port", "https", "example.com", "https://example.com:4000", false},
		{"IPv6", "http", "[::1]:4000", "http://[::1]:4000", true},
		{"null", "http", "", "null", false},
		{"case", "http", "example.com", "http://EXAMPLE.com", false},
	} {
		request := requestURLOf(row.scheme, row.host)
		if got := checkOrigin(t, AllowSameOrigin(), row.origin, request, ""); got != row.want {
			t.Errorf("1.4 conn, %s: %v", row.name, got)
		}
	}
}

func TestOriginPolicyErrors(t *testing.T) {
	for _, entry := range []string{"example.com", "", "null", "https:example.com", "EXAMPLE.com", "http:/x"} {
		p := AllowOrigins("//good.example", entry)
		if err := p.compile(); err == nil || !strings.Contains(err.Error(), `"`+entry+`"`) {
			t.Errorf("%q: %v", entry, err)
		}
	}
	p := AllowOriginFunc(nil)
	if p.compile() == nil {
		t.Error("a nil function is no error")
	}
	p = AllowOrigins()
	if checkOrigin(t, p, "http://a", requestURL{}, "") {
		t.Error("an empty list allows")
	}
}

func FuzzParseOrigin(f *testing.F) {
	f.Add("https://u@h:1/p?q#f")
	f.Add("//[::1]")
	f.Fuzz(func(t *testing.T, text string) {
		o := parseOrigin(text)
		if o.url() == nil {
			t.Fatal("no URL")
		}
		u, err := url.Parse(text)
		if err != nil || u.Host == "" || u.User != nil || strings.Contains(u.Host, "%") || strings.HasPrefix(u.Host, ":") {
			return
		}
		if !strings.Contains(text, "//"+u.Host) || strings.Count(u.Host, ":") > 1 || strings.ContainsAny(u.Host, "[]") {
			return // net/url has decoded it, or takes what is no host and port
		}
		if o.scheme != u.Scheme || o.host != u.Hostname() {
			t.Fatalf("%+v, net/url %q %q", o, u.Scheme, u.Hostname())
		}
	})
}
