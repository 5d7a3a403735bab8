package server

import (
	"io/fs"
	"net/http"
	"net/http/httptest"
	"regexp"
	"strings"
	"testing"
	"testing/fstest"
)

func getPage(h http.Handler, method, path string, headers ...string) *httptest.ResponseRecorder {
	r := httptest.NewRequest(method, path, nil)
	for i := 0; i < len(headers); i += 2 {
		r.Header.Set(headers[i], headers[i+1])
	}
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	return w
}

func pageFS(names ...string) fstest.MapFS {
	web := fstest.MapFS{}
	for _, name := range names {
		web[name] = &fstest.MapFile{Data: []byte("this is " + name)}
	}
	return web
}

func TestPageFrontIsMissingWithoutClient(t *testing.T) {
	with := newPage(pageFS("index.html", "missing.html", "phoenix.mjs"))
	without := newPage(pageFS("index.html", "missing.html"))
	if got := getPage(with, "GET", "/").Body.String(); got != "this is index.html" {
		t.Errorf("with the client: %q", got)
	}
	if got := getPage(without, "GET", "/").Body.String(); got != "this is missing.html" {
		t.Errorf("without the client: %q", got)
	}
	if got := getPage(without, "GET", "/phoenix.mjs").Code; got != http.StatusNotFound {
		t.Errorf("absent client: status %d", got)
	}
}

func TestPageHeaders(t *testing.T) {
	h := newPage(pageFS("index.html", "missing.html", "phoenix.mjs", "chat.js", "chat.css", "favicon.svg"))
	types := map[string]string{
		"/":            "text/html; charset=utf-8",
		"/phoenix.mjs": "text/javascript; charset=utf-8",
		"/chat.js":     "text/javascript; charset=utf-8",
		"/chat.css":    "text/css; charset=utf-8",
		"/favicon.svg": "image/svg+xml",
	}
	for path, want := range types {
		header := getPage(h, "GET", path).Header()
		if got := header.Get("Content-Type"); got != want {
			t.Errorf("%s: Content-Type %q, want %q", path, got, want)
		}
		if got := header.Get("Content-Security-Policy"); !strings.HasPrefix(got, "default-src 'self'; ") {
			t.Errorf("%s: Content-Security-Policy %q", path, got)
		}
		if got := header.Get("X-Content-Type-Options"); got != "nosniff" {
			t.Errorf("%s: X-Content-Type-Options %q", path, got)
		}
		if got := header.Get("Cache-Control"); got != "no-cache" {
			t.Errorf("%s: Cache-Control %q", path, got)
		}
	}
}

func TestPageEtag(t *testing.T) {
	h := newPage(pageFS("index.html", "phoenix.mjs", "chat.js"))
	etag := getPage(h, "GET", "/chat.js").Header().Get("Etag")
	if w := getPage(h, "GET", "/chat.js", "If-None-Match", etag); w.Code != http.StatusNotModified || w.Body.Len() != 0 {
		t.Errorf("same content: status %d, %d bytes", w.Code, w.Body.Len())
	}
	if w := getPage(h, "GET", "/", "If-None-Match", etag); w.Code != http.StatusOK {
		t.Errorf("other content: status %d", w.Code)
	}
}

func TestPageRefuses(t *testing.T) {
	h := newPage(pageFS("index.html", "missing.html", "phoenix.mjs", "notes.txt"))
	cases := []struct {
		method, path string
		want         int
	}{
		{"HEAD", "/", http.StatusOK},
		{"GET", "/index.html", http.StatusNotFound},
		{"GET", "/missing.html", http.StatusNotFound},
		{"GET", "/notes.txt", http.StatusNotFound},
		{"GET", "/../page.go", http.StatusNotFound},
		{"GET", "/favicon.ico", http.StatusNotFound},
		{"POST", "/", http.StatusMethodNotAllowed},
		{"POST", "/nothing", http.StatusNotFound},
	}
	for _, c := range cases {
		if got := getPage(h, c.method, c.path).Code; got != c.want {
			t.Errorf("%s %s: status %d, want %d", c.method, c.path, got, c.want)
		}
	}
}

// What is embedded must be complete, and must obey the policy it is served with.
func TestPageEmbedded(t *testing.T) {
	h := ChatPage()
	linked := regexp.MustCompile(`(?:src|href)="([^"]*)"`)
	inline := regexp.MustCompile(`<script>|<style|\sstyle=|\son\w+=|javascript:`)
	for _, name := range []string{"index.html", "missing.html"} {
		html, err := fs.ReadFile(webFiles, "web/"+name)
		if err != nil {
			t.Fatal(err)
		}
		if found := inline.Find(html); found != nil {
			t.Errorf("%s: %q is refused by the policy", name, found)
		}
		for _, link := range linked.FindAllStringSubmatch(string(html), -1) {
			if got := getPage(h, "GET", link[1]).Code; got != http.StatusOK {
				t.Errorf("%s links to %s: status %d", name, link[1], got)
			}
		}
	}
	if got := getPage(h, "GET", "/").Code; got != http.StatusOK {
		t.Errorf("front page: status %d", got)
	}
}
