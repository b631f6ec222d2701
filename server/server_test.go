package server

import (
	"context"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/hokan-db/hokan/engine"
	"github.com/hokan-db/hokan/engine/model"
	"github.com/hokan-db/hokan/server/auth"
)

// fixture is a running server over a database in memory.
type fixture struct {
	*testing.T
	db     *engine.DB
	server *Server
	web    *httptest.Server
	writer string // tokens of the tenant "lake"
	reader string
	both   string
	other  string // of another tenant
	admin  string
}

func start(t *testing.T, change ...func(*Options)) *fixture {
	t.Helper()
	db, err := engine.Open(engine.Options{FS: vfs.NewMem(), Dir: "data", Clock: time.Now})
	if err != nil {
		t.Fatal(err)
	}
	o := Options{DB: db}
	for _, c := range change {
		c(&o)
	}
	s, err := New(o)
	if err != nil {
		t.Fatal(err)
	}
	f := &fixture{T: t, db: db, server: s, web: httptest.NewServer(s.Handler())}
	t.Cleanup(func() {
		s.running.hurry()
		f.web.Close()
		if err := db.Close(); err != nil {
			t.Error(err)
		}
	})
	f.writer = f.token(auth.Token{Tenant: "lake", Scope: auth.Write})
	f.reader = f.token(auth.Token{Tenant: "lake", Scope: auth.Read})
	f.both = f.token(auth.Token{Tenant: "lake"})
	f.other = f.token(auth.Token{Tenant: "other"})
	f.admin = f.token(auth.Token{Admin: true})
	return f
}

func (f *fixture) token(t auth.Token) string {
	f.Helper()
	secret, _, err := f.server.tokens.Create(context.Background(), t)
	if err != nil {
		f.Fatal(err)
	}
	return secret
}

// fill writes a minute's samples of two channels of the tenant "lake".
func (f *fixture) fill() {
	f.Helper()
	batch := &model.Batch{Tenant: "lake"}
	for _, channel := range []string{"CH1", "CH2"} {
		labels, err := model.NewLabels(model.Label{Name: "instrument", Value: "logger"}, model.Label{Name: "channel", Value: channel})
		if err != nil {
			f.Fatal(err)
		}
		c := model.Column{Labels: labels, Properties: &model.Properties{Unit: "°C"}}
		for i := range 60 {
			c.Times = append(c.Times, 1_700_000_000_000_000_000+int64(i)*int64(time.Second))
			c.Values = append(c.Values, float64(i)/10)
		}
		batch.Columns = append(batch.Columns, c)
	}
	if _, err := f.db.Append(context.Background(), batch); err != nil {
		f.Fatal(err)
	}
}

// ask sends a request and returns the answer with its body.
func (f *fixture) ask(method, path, token, body string, headers ...string) (*http.Response, string) {
	f.Helper()
	r, err := http.NewRequest(method, f.web.URL+path, strings.NewReader(body))
	if err != nil {
		f.Fatal(err)
	}
	if body != "" {
		r.Header.Set("Content-Type", "application/json")
	}
	if token != "" {
		r.Header.Set("Authorization", "Bearer "+token)
	}
	for i := 0; i < len(headers); i += 2 {
		r.Header.Set(headers[i], headers[i+1])
	}
	answer, err := http.DefaultTransport.RoundTrip(r)
	if err != nil {
		f.Fatal(err)
	}
	return answer, f.textOf(answer)
}

// textOf reads the rest of an answer.
func (f *fixture) textOf(answer *http.Response) string {
	f.Helper()
	defer answer.Body.Close()
	text, err := io.ReadAll(answer.Body)
	if err != nil {
		f.Fatal(err)
	}
	return string(text)
}
