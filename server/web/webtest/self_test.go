package webtest

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
)

// TestTroubleIsSeen makes a page that does everything wrong: what the other
// tests rely on must notice each of it.
func TestTroubleIsSeen(t *testing.T) {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "text/html; charset=utf-8")
		w.Header().Set("Content-Security-Policy", "default-src 'self'")
		switch r.URL.Path {
		case "/":
			w.Write([]byte(`<!doctype html><title>x</title><script src="/page.js"></script><script>inline()</script>
<div style="color:red">styled</div><p id="wide">wide</p><button id="mute"></button><input id="named" aria-label="yes">`))
		case "/page.js":
			w.Header().Set("Content-Type", "text/javascript")
			w.Write([]byte(`console.error("said"); fetch("/missing"); fetch("http://127.0.0.1:1/closed").catch(() => 0);
addEventListener("load", () => { document.querySelector("#wide").style.width = "3000px"; done = true; throw new Error("thrown") })`))
		default:
			http.NotFound(w, r)
		}
	}))
	t.Cleanup(server.Close)
	b := open(t, laptop)
	b.visit(server.URL)
	b.wait("the script", "window.done")
	wanted := []string{"said", "thrown", "answer 404", "inline", "style"}
	for _, text := range wanted {
		b.poll(text, func() (bool, error) {
			return strings.Contains(strings.Join(b.unexpected(), "\n"), text), nil
		})
	}
	if wide := b.overflow(); wide == "" {
		t.Error("an overflowing page passed")
	}
	if nameless := b.nameless(); len(nameless) != 1 || !strings.Contains(nameless[0], "mute") {
		t.Errorf("controls without a name: %q", nameless)
	}
	b.expect("") // all of it
}
