package server

import (
	"context"
	"fmt"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/hokan-db/hokan/engine"
	"github.com/hokan-db/hokan/server/auth"
)

// names are the ways to name a request: the i-th of a sender.
func names(i int) [][]string {
	return [][]string{{keyHeader, fmt.Sprint("key-", i)}, {producerHeader, "gateway", sequenceHeader, fmt.Sprint(i + 1)}}
}

// deleted removes all channels of the tenant "lake": what is there afterwards was
// written again.
func (f *fixture) deleted(token string) {
	f.Helper()
	if answer, text := f.ask("DELETE", "/api/v1/channels?"+match("{}"), token, ""); answer.StatusCode != 200 {
		f.Fatalf("%d %s", answer.StatusCode, text)
	}
}

func (f *fixture) empty(what, token string) {
	f.Helper()
	if _, text := f.ask("GET", "/api/v1/channels", token, ""); !strings.Contains(text, `"channels":[]`) {
		f.Errorf("%s: the repeat wrote %.300s", what, text)
	}
}

// TestRepeatsOfEveryProtocol: whatever samples came by, the repeat of a named
// request gets the first's answer and writes nothing; another request under its
// name is refused in the protocol's terms.
func TestRepeatsOfEveryProtocol(t *testing.T) {
	f := start(t)
	for i, p := range dialects(time.Now().Add(-time.Minute)) {
		for _, name := range names(i) {
			what := p.name + " by " + name[0]
			write := func(body string) (*http.Response, string) {
				return f.ask("POST", p.path, f.both, body, append(name, p.headers...)...)
			}
			first, text := write(p.body)
			if first.StatusCode/100 != 2 {
				t.Fatalf("%s: %d %s", what, first.StatusCode, text)
			}
			f.deleted(f.both)
			again, textAgain := write(p.body)
			repeats(t, what, first, again, text, textAgain)
			f.empty(what, f.both)
			other, text := write(p.body + " ")
			if other.StatusCode != 422 && other.StatusCode != 400 || !p.refused(other, text, "key_reused") {
				t.Errorf("%s, another body: %d %s", what, other.StatusCode, text)
			}
		}
	}
}

// TestRepeatsOfEveryProtocolAfterTheServerDied is the same, for a server that lost
// what was not synced in between.
func TestRepeatsOfEveryProtocolAfterTheServerDied(t *testing.T) {
	at := time.Now().Add(-time.Minute)
	fs := vfs.NewCrashableMem()
	var token string
	serve := func(fs *vfs.MemFS) *fixture {
		db, err := engine.Open(engine.Options{FS: fs, Dir: "data", Clock: time.Now})
		if err != nil {
			t.Fatal(err)
		}
		s, err := New(Options{DB: db})
		if err != nil {
			t.Fatal(err)
		}
		if token, _, err = s.tokens.Create(context.Background(), auth.Token{Tenant: "lake"}); err != nil {
			t.Fatal(err)
		}
		return &fixture{T: t, db: db, server: s, web: httptest.NewServer(s.Handler())}
	}
	end := func(f *fixture) {
		f.web.Close()
		f.db.Close()
	}
	type answered struct {
		answer *http.Response
		text   string
	}
	var firsts []answered
	f := serve(fs)
	each := func(do func(what string, answer *http.Response, text string)) {
		for i, p := range dialects(at) {
			for _, name := range names(i) {
				answer, text := f.ask("POST", p.path, token, p.body, append(name, p.headers...)...)
				do(p.name+" by "+name[0], answer, text)
			}
		}
	}
	each(func(what string, answer *http.Response, text string) {
		if answer.StatusCode/100 != 2 {
			t.Fatalf("%s: %d %s", what, answer.StatusCode, text)
		}
		firsts = append(firsts, answered{answer, text})
	})
	f.deleted(token)
	lost := fs.CrashClone(vfs.CrashCloneCfg{UnsyncedDataPercent: 0, RNG: rand.New(rand.NewPCG(1, 1))})
	end(f)
	f = serve(lost)
	defer end(f)
	each(func(what string, answer *http.Response, text string) {
		repeats(t, what, firsts[0].answer, answer, firsts[0].text, text)
		firsts = firsts[1:]
	})
	f.empty("after the crash", token)
}
