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
addEventListener("load", () => { document.querySelector("#wide").style.width = "3000px"; done = true });
function fail() { setTimeout(() => { throw new Error("thrown") }) }`))
		default:
			http.NotFound(w, r)
		}
	}))
	t.Cleanup(server.Close)
	b := open(t, laptop)
	b.visit(server.URL)
	b.wait("the script", "window.done")
	sees := func(text string) {
		b.poll(text, func() (bool, error) {
			return strings.Contains(strings.Join(b.unexpected(), "\n"), text), nil
		})
	}
	for _, text := range []string{"said", "answer 404", "inline", "style"} {
		sees(text)
	}
	if err := b.evaluate("fail()", nil); err != nil {
		t.Fatal(err)
	}
	sees("thrown") // at last: after that nothing waits
	if wide := b.overflow(); wide == "" {
		t.Error("an overflowing page passed")
	}
	if nameless := b.nameless(); len(nameless) != 1 || !strings.Contains(nameless[0], "mute") {
		t.Errorf("controls without a name: %q", nameless)
	}
	b.expect("") // all of it
}
