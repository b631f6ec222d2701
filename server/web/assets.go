package web

import (
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"embed"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io/fs"
	"maps"
	"net/http"
	"path"
	"slices"
	"strconv"
	"strings"
)

//go:embed templates static i18n vendor
var files embed.FS

// Cache-Control of a page or a plain address, and of one that has the hash of
// all files in it.
const (
	revalidate = "no-cache"
	immutable  = "public, max-age=31536000, immutable"
)

// contentTypes are those of the kinds of files there are; a system's table of
// types may lack them.
var contentTypes = map[string]string{
	".css":  "text/css; charset=utf-8",
	".html": "text/html; charset=utf-8",
	".js":   "text/javascript; charset=utf-8",
	".svg":  "image/svg+xml",
	".txt":  "text/plain; charset=utf-8",
}

// asset is one file, also compressed.
type asset struct {
	kind       string
	tag        string // ETag
	plain      []byte
	compressed []byte // nil where that is not smaller
}

func newAsset(name string, text []byte) *asset {
	sum := sha256.Sum256(text)
	a := &asset{kind: contentTypes[path.Ext(name)], tag: `"` + hex.EncodeToString(sum[:12]) + `"`, plain: text}
	var b bytes.Buffer
	w, err := gzip.NewWriterLevel(&b, gzip.BestCompression)
	if err == nil {
		_, err = w.Write(text)
	}
	if err == nil {
		err = w.Close()
	}
	if err == nil && b.Len() < len(text) {
		a.compressed = b.Bytes()
	}
	return a
}

func (a *asset) serve(w http.ResponseWriter, r *http.Request, cache string) {
	h := w.Header()
	h.Set("Cache-Control", cache)
	h.Add("Vary", "Accept-Encoding")
	h.Set("Content-Type", a.kind)
	body, tag := a.plain, a.tag
	if a.compressed != nil && acceptsGzip(r) {
		h.Set("Content-Encoding", "gzip")
		body, tag = a.compressed, strings.TrimSuffix(a.tag, `"`)+`-gzip"`
	}
	h.Set("ETag", tag)
	if sameTag(r.Header.Get("If-None-Match"), tag) {
		h.Del("Content-Encoding")
		w.WriteHeader(http.StatusNotModified)
		return
	}
	h.Set("Content-Length", strconv.Itoa(len(body)))
	if r.Method != http.MethodHead {
		_, _ = w.Write(body) // an error means that the reader has gone
	}
}

// acceptsGzip reports whether gzip is named and not refused by q=0.
func acceptsGzip(r *http.Request) bool {
	for _, part := range strings.Split(r.Header.Get("Accept-Encoding"), ",") {
		name, parameters, _ := strings.Cut(part, ";")
		if strings.TrimSpace(name) != "gzip" {
			continue
		}
		_, q, weighted := strings.Cut(parameters, "q=")
		weight, err := strconv.ParseFloat(strings.TrimSpace(q), 64)
		return !weighted || err == nil && weight > 0
	}
	return false
}

func sameTag(header, tag string) bool {
	for _, part := range strings.Split(header, ",") {
		if part = strings.TrimPrefix(strings.TrimSpace(part), "W/"); part == tag || part == "*" {
			return true
		}
	}
	return false
}

// assets are the files below /static/. Each has two addresses: /static/NAME,
// which a browser asks again for, and /static/HASH/NAME with the hash of all
// files, which it keeps. Modules name each other by relative addresses, so a
// page that starts at one with the hash stays with it.
type assets struct {
	files  map[string]*asset
	prefix string // "/static/HASH/"
}

func newAssets(c catalogue) (*assets, error) {
	a := &assets{files: map[string]*asset{}}
	contents := map[string][]byte{}
	for _, root := range []string{"static", "vendor"} {
		err := fs.WalkDir(files, root, func(name string, entry fs.DirEntry, err error) error {
			if err != nil || entry.IsDir() || contentTypes[path.Ext(name)] == "" {
				return err
			}
			text, err := files.ReadFile(name)
			contents[strings.TrimPrefix(name, "static/")] = text
			return err
		})
		if err != nil {
			return nil, err
		}
	}
	for _, language := range languages {
		text, err := json.Marshal(c.pageTexts(language))
		if err != nil {
			return nil, err
		}
		contents["i18n/"+language+".js"] = fmt.Appendf(nil, "self.hokanTexts = %s;\n", text)
	}
	sum := sha256.New()
	for _, name := range slices.Sorted(maps.Keys(contents)) {
		fmt.Fprintf(sum, "%s %d\n%s", name, len(contents[name]), contents[name])
		a.files[name] = newAsset(name, contents[name])
	}
	a.prefix = "/static/" + hex.EncodeToString(sum.Sum(nil)[:8]) + "/"
	return a, nil
}

func (a *assets) serve(w http.ResponseWriter, r *http.Request) {
	cache := immutable
	name, hashed := strings.CutPrefix(r.URL.Path, a.prefix)
	if !hashed {
		cache, name = revalidate, strings.TrimPrefix(r.URL.Path, "/static/")
	}
	file := a.files[name]
	if file == nil {
		w.Header().Set("Cache-Control", "no-store")
		http.NotFound(w, r)
		return
	}
	file.serve(w, r, cache)
}
