package web

import (
	"compress/gzip"
	"io"
	"net/http"
	"net/http/httptest"
	"regexp"
	"strings"
	"testing"
)

func get(t *testing.T, h http.Handler, path string, headers ...string) *httptest.ResponseRecorder {
	t.Helper()
	r := httptest.NewRequest(http.MethodGet, path, nil)
	for i := 0; i < len(headers); i += 2 {
		r.Header.Set(headers[i], headers[i+1])
	}
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	return w
}

func open(t *testing.T) *site {
	t.Helper()
	s, err := newSite()
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func TestPagesKeepToTheirPolicy(t *testing.T) {
	s := open(t)
	links := regexp.MustCompile(`(?:href|src)="([^"#]*)`)
	forbidden := regexp.MustCompile(`<style|\sstyle=|\son[a-z]+=|javascript:|<script(?:[^>]*)>[^<]|https?://`)
	for path := range pages {
		path = strings.TrimSuffix(path, "{$}")
		w := get(t, s, path)
		if w.Code != http.StatusOK || !strings.HasPrefix(w.Header().Get("Content-Type"), "text/html") {
			t.Fatalf("%s: %d %s", path, w.Code, w.Header().Get("Content-Type"))
		}
		if got := w.Header().Get("Content-Security-Policy"); got != Policy || strings.Contains(got, "unsafe") {
			t.Errorf("%s has the policy %q", path, got)
		}
		body := w.Body.String()
		if bad := forbidden.FindString(body); bad != "" {
			t.Errorf("%s holds %q", path, bad)
		}
		for _, link := range links.FindAllStringSubmatch(body, -1) {
			if !strings.HasPrefix(link[1], "/static/") {
				continue
			}
			if a := get(t, s, link[1]); a.Code != http.StatusOK || a.Header().Get("Cache-Control") != immutable {
				t.Errorf("%s: %s answers %d %s", path, link[1], a.Code, a.Header().Get("Cache-Control"))
			}
		}
	}
	for _, path := range []string{"/static/", "/static/none.js", "/static/../web.go", "/static/i18n/en.json", "/nothing", "/monitor/x"} {
		if w := get(t, s, path); w.Code != http.StatusNotFound && w.Code != http.StatusMovedPermanently && w.Code != http.StatusTemporaryRedirect {
			t.Errorf("%s answers %d", path, w.Code)
		}
	}
}

func TestLanguageOfAPage(t *testing.T) {
	s := open(t)
	f := func(path, accepted, cookie, want string) {
		t.Helper()
		w := get(t, s, path, "Accept-Language", accepted, "Cookie", cookie)
		if !strings.Contains(w.Body.String(), `<html lang="`+want+`">`) || w.Header().Get("Content-Language") != want {
			t.Errorf("%s with %q %q is in %s, want %s", path, accepted, cookie, w.Header().Get("Content-Language"), want)
		}
	}
	f("/login", "", "", "en")
	f("/login", "de", "", "en")
	f("/login", "de, ja-JP;q=0.8, en;q=0.5", "", "ja")
	f("/login", "en;q=0, zh-CN;q=0.1", "", "zh")
	f("/login", "ja", "hokan_language=zh", "zh")
	f("/login?lang=ja", "zh", "hokan_language=en", "ja")
	f("/login?lang=xx", "zh", "hokan_language=xx", "zh")
}

func TestAssetsAreCompressedAndKept(t *testing.T) {
	s := open(t)
	w := get(t, s, "/static/css/base.css", "Accept-Encoding", "br, gzip")
	if w.Header().Get("Content-Encoding") != "gzip" || w.Header().Get("Cache-Control") != revalidate {
		t.Fatalf("headers %v", w.Header())
	}
	r, err := gzip.NewReader(w.Body)
	if err != nil {
		t.Fatal(err)
	}
	text, err := io.ReadAll(r)
	if err != nil || string(text) != string(s.assets.files["css/base.css"].plain) {
		t.Errorf("%d bytes, %v", len(text), err)
	}
	again := get(t, s, "/static/css/base.css", "Accept-Encoding", "gzip", "If-None-Match", w.Header().Get("ETag"))
	if again.Code != http.StatusNotModified || again.Body.Len() != 0 {
		t.Errorf("answers %d with %d bytes", again.Code, again.Body.Len())
	}
	plain := get(t, s, "/static/css/base.css", "Accept-Encoding", "gzip;q=0")
	if plain.Header().Get("Content-Encoding") != "" || plain.Header().Get("ETag") == w.Header().Get("ETag") {
		t.Errorf("headers %v", plain.Header())
	}
}

// The pages' own files together, and what the viewer loads, stay small.
func TestAssetsAreSmall(t *testing.T) {
	s := open(t)
	own, transferred := 0, 0
	for name, a := range s.assets.files {
		size := len(a.plain)
		if a.compressed != nil {
			size = len(a.compressed)
		}
		transferred += size
		if !strings.HasPrefix(name, "vendor/") && !strings.HasPrefix(name, "i18n/") {
			own += len(a.plain)
		}
	}
	t.Logf("own files %d bytes, everything compressed %d bytes", own, transferred)
	if transferred > 200e3 {
		t.Errorf("everything is %d bytes compressed", transferred)
	}
}
