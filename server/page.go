package server

import (
	"bytes"
	"crypto/sha256"
	"embed"
	"fmt"
	"io/fs"
	"net/http"
	"path"
	"time"
)

// webFiles is the chat page. Its client, phoenix.mjs, comes from npm when `make` bundles it and may be absent.
//
//go:embed web
var webFiles embed.FS

// pagePolicy lets the page load its own files and open its own socket, and nothing else. Browsers differ in
// whether 'self' covers ws: and wss:, so those are named.
const pagePolicy = "default-src 'self'; connect-src 'self' ws: wss:; " +
	"base-uri 'none'; form-action 'none'; frame-ancestors 'none'; object-src 'none'"

type pageFile struct {
	name        string
	contentType string
	etag        string
	data        []byte
}

// ChatPage serves the chat page at /, or missing.html in its place when the binary was built without the phoenix
// client that `make` bundles. Everything that it does not have is not found.
func ChatPage() http.Handler {
	web, err := fs.Sub(webFiles, "web")
	if err != nil {
		panic(err) // "web" is a valid path
	}
	return newPage(web)
}

func newPage(web fs.FS) http.Handler {
	files := pageFiles(web)
	front := "/index.html"
	if _, bundled := files["/phoenix.mjs"]; !bundled {
		front = "/missing.html"
	}
	files["/"] = files[front]
	delete(files, "/index.html")
	delete(files, "/missing.html")
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		file, found := files[r.URL.Path]
		switch {
		case !found:
			http.NotFound(w, r)
		case r.Method != http.MethodGet && r.Method != http.MethodHead:
			w.Header().Set("Allow", "GET, HEAD")
			http.Error(w, "this page can only be read", http.StatusMethodNotAllowed)
		default:
			servePage(w, r, file)
		}
	})
}

// pageFiles reads the files that have a type, by the path they are served at. Embedded files can always be read.
func pageFiles(web fs.FS) map[string]pageFile {
	entries, err := fs.ReadDir(web, ".")
	if err != nil {
		panic(err)
	}
	files := make(map[string]pageFile, len(entries))
	for _, entry := range entries {
		name := entry.Name()
		contentType := pageType(name)
		if contentType == "" {
			continue
		}
		data, err := fs.ReadFile(web, name)
		if err != nil {
			panic(err)
		}
		files["/"+name] = pageFile{name, contentType, fmt.Sprintf(`"%x"`, sha256.Sum256(data)), data}
	}
	return files
}

// pageType knows the types itself: mime.TypeByExtension asks the machine, which may not have heard of .mjs.
func pageType(name string) string {
	switch path.Ext(name) {
	case ".css":
		return "text/css; charset=utf-8"
	case ".html":
		return "text/html; charset=utf-8"
	case ".js", ".mjs":
		return "text/javascript; charset=utf-8"
	case ".svg":
		return "image/svg+xml"
	}
	return ""
}

// servePage answers with the file, or with 304 when the browser has it: no-cache means "ask each time", and the
// entity tag is what it asks with.
func servePage(w http.ResponseWriter, r *http.Request, file pageFile) {
	header := w.Header()
	header.Set("Cache-Control", "no-cache")
	header.Set("Content-Security-Policy", pagePolicy)
	header.Set("Content-Type", file.contentType)
	header.Set("Etag", file.etag)
	header.Set("Referrer-Policy", "no-referrer")
	header.Set("X-Content-Type-Options", "nosniff")
	http.ServeContent(w, r, file.name, time.Time{}, bytes.NewReader(file.data))
}
