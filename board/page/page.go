// Package page is the web page of the daemon: plain files, embedded. They load
// nothing from elsewhere and hold nothing secret; all that the page shows it
// asks the daemon for.
package page

import (
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"embed"
	"encoding/hex"
	"io/fs"
	"mime"
	"net/http"
	"path"
	"strings"
	"sync"
)

//go:embed web
var web embed.FS

// index is the file behind "/".
const index = "index.html"

// policy lets the page load only its own files and talk only to its daemon.
// Pictures and sounds that the browser makes are blobs.
const policy = "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src 'self' blob: data:; media-src 'self' blob:; " +
	"manifest-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"

// A file as it is sent.
type file struct {
	body, packed []byte // packed: by gzip
	media, tag   string
}

// files prepares all files at the first request: boards have no time to spare
// for packing them again and again.
var files = sync.OnceValue(func() map[string]*file {
	m := map[string]*file{}
	names, err := fs.Glob(web, "web/*")
	if err != nil {
		panic(err) // the pattern is constant
	}
	for _, name := range names {
		body, err := web.ReadFile(name)
		if err != nil {
			panic(err) // it is in the program
		}
		var packed bytes.Buffer
		w := gzip.NewWriter(&packed)
		_, _ = w.Write(body) // to memory
		_ = w.Close()
		sum := sha256.Sum256(body)
		m[path.Base(name)] = &file{
			body: body, packed: packed.Bytes(), tag: `"` + hex.EncodeToString(sum[:8]) + `"`, media: mime.TypeByExtension(path.Ext(name)),
		}
	}
	return m
})

// Size returns the bytes of all files together, unpacked.
func Size() int {
	n := 0
	for _, f := range files() {
		n += len(f.body)
	}
	return n
}

// Serve answers with a file of the page, "" for the page itself, and reports
// whether there is such a file.
func Serve(w http.ResponseWriter, r *http.Request, name string) bool {
	if name == "" {
		name = index
	}
	f := files()[name]
	if f == nil {
		return false
	}
	h := w.Header()
	h.Set("Content-Security-Policy", policy)
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("Referrer-Policy", "no-referrer")
	h.Set("Cache-Control", "no-cache") // ask each time whether the tag still holds
	h.Set("Etag", f.tag)
	h.Set("Vary", "Accept-Encoding")
	if r.Header.Get("If-None-Match") == f.tag {
		w.WriteHeader(http.StatusNotModified)
		return true
	}
	h.Set("Content-Type", f.media)
	body := f.body
	if strings.Contains(r.Header.Get("Accept-Encoding"), "gzip") {
		h.Set("Content-Encoding", "gzip")
		body = f.packed
	}
	_, _ = w.Write(body) // the client may be gone; nobody else is to be told
	return true
}
