package webtest

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"math"
	"net"
	"net/http"
	"testing"
	"time"

	"github.com/chromedp/cdproto/network"
	"github.com/chromedp/chromedp"

	"github.com/hokan-db/hokan/engine"
	"github.com/hokan-db/hokan/engine/model"
	"github.com/hokan-db/hokan/server"
	"github.com/hokan-db/hokan/server/auth"
)

const minute = int64(60_000) // milliseconds

// plant is a server with a little data, written through its HTTP interface.
type plant struct {
	testing.TB
	url    string
	token  string // read and write
	tokens *auth.Store
	now    int64 // ms, a whole minute: the time of the newest sample written
	last   int64 // ms, of the newest live sample
}

// sampleChannel is a channel of the body of POST /api/v1/samples.
type sampleChannel struct {
	Labels     map[string]string `json:"labels"`
	Properties map[string]any    `json:"properties,omitempty"`
	Times      []int64           `json:"times,omitempty"`
	Values     []any             `json:"values"`
}

// serve starts a server on a database in a folder of the test's own and
// returns it with a token, still without data.
func serve(t testing.TB) *plant {
	t.Helper()
	db, err := engine.Open(engine.Options{FS: engine.DefaultFS(), Dir: t.TempDir(), Clock: time.Now})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := db.Close(); err != nil {
			t.Error(err)
		}
	})
	return serveOn(t, db)
}

// serveOn starts a server on a database that the caller closes.
func serveOn(t testing.TB, db *engine.DB) *plant {
	t.Helper()
	store, err := auth.Open(db, time.Now)
	if err != nil {
		t.Fatal(err)
	}
	token, _, err := store.Create(t.Context(), auth.Token{Tenant: "plant", Name: "test", Scope: auth.Both})
	if err != nil {
		t.Fatal(err)
	}
	s, err := server.New(server.Options{DB: db, Clock: time.Now, Logger: slog.New(slog.NewTextHandler(t.Output(), &slog.HandlerOptions{Level: slog.LevelWarn}))})
	if err != nil {
		t.Fatal(err)
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(context.Background())
	served := make(chan error, 1)
	go func() { served <- s.Serve(ctx, listener) }()
	t.Cleanup(func() {
		stop()
		if err := <-served; err != nil {
			t.Error(err)
		}
	})
	now := time.Now().UnixMilli() / minute * minute
	return &plant{TB: t, url: "http://" + listener.Addr().String(), token: token, tokens: s.Tokens(), now: now, last: now}
}

// tenant makes another tenant and returns a token of it.
func (p *plant) tenant(name model.Tenant) string {
	p.Helper()
	token, _, err := p.tokens.Create(p.Context(), auth.Token{Tenant: name, Scope: auth.Both})
	if err != nil {
		p.Fatal(err)
	}
	return token
}

// send makes a request with the token and returns the answer's body.
func (p *plant) send(method, path string, body any) []byte {
	p.Helper()
	text, err := json.Marshal(body)
	if err != nil {
		p.Fatal(err)
	}
	r, err := http.NewRequest(method, p.url+path, bytes.NewReader(text))
	if err != nil {
		p.Fatal(err)
	}
	r.Header.Set("Authorization", "Bearer "+p.token)
	r.Header.Set("Content-Type", "application/json")
	answer, err := http.DefaultClient.Do(r)
	if err != nil {
		p.Fatal(err)
	}
	defer answer.Body.Close()
	got, err := io.ReadAll(answer.Body)
	if err != nil {
		p.Fatal(err)
	}
	if answer.StatusCode >= 300 {
		p.Fatalf("%s %s: %s: %s", method, path, answer.Status, got)
	}
	return got
}

// samples writes channels, all of whose samples must be kept.
func (p *plant) samples(channels ...sampleChannel) {
	p.Helper()
	p.send("POST", "/api/v1/samples", map[string]any{"unit": "ms", "channels": channels})
}

// Channels of the plant: those of "Kiln" in °C but one in kPa, those of
// "Substation" in kW and V.
var plantChannels = []struct {
	group, app, instrument, channel, name, unit string
	middle, swing                               float64
}{
	{"Yokohama", "Firing", "Kiln", "CH1", "Inlet", "°C", 180, 25},
	{"Yokohama", "Firing", "Kiln", "CH2", "Core", "°C", 620, 40},
	{"Yokohama", "Firing", "Kiln", "CH3", "Shell", "°C", 75, 8},
	{"Yokohama", "Firing", "Kiln", "CH4", "Draught", "kPa", 1.2, 0.3},
	{"Nagoya", "Power", "Substation", "P1", "Line 1", "kW", 42, 12},
	{"Nagoya", "Power", "Substation", "U1", "Voltage", "V", 201.5, 1.5},
}

func (p *plant) labels(i int) map[string]string {
	return map[string]string{"instrument": plantChannels[i].instrument, "channel": plantChannels[i].channel}
}

// fill writes two days of one-minute samples up to now, the same at each start
// but for the time they end at. CH3 has a gap of two hours and a spell over
// range; CH4 is quiet.
func (p *plant) fill() *plant {
	p.Helper()
	const count = 2 * 24 * 60
	for i, c := range plantChannels {
		body := sampleChannel{Labels: p.labels(i), Properties: map[string]any{
			"name": c.name, "unit": c.unit, "decimals": 1, "group": c.group, "app": c.app}}
		for k := range count {
			gap := c.channel == "CH3" && k > count-600 && k < count-480
			if gap {
				continue
			}
			value := any(math.Round(10*(c.middle+c.swing*math.Sin(float64(k)/180+float64(i)))) / 10)
			if c.channel == "CH3" && k > count-300 && k < count-270 {
				value = "over"
			}
			body.Times = append(body.Times, p.now-int64(count-1-k)*minute)
			body.Values = append(body.Values, value)
		}
		p.samples(body)
	}
	return p
}

// write sends one sample of a channel, later than every one before, and
// returns its time.
func (p *plant) write(channel int, value float64) int64 {
	p.Helper()
	p.last = max(p.last+1, time.Now().UnixMilli())
	p.samples(sampleChannel{Labels: p.labels(channel), Times: []int64{p.last}, Values: []any{value}})
	return p.last
}

// signedIn opens a page of the plant in a new tab that has a session.
func (p *plant) signedIn(d device, path string) *tab {
	p.Helper()
	b := open(p, d)
	p.session(b)
	b.visit(p.url + path)
	return b
}

// session gives a tab the cookie that signing in would.
func (p *plant) session(b *tab) {
	p.Helper()
	if _, err := chromedp.Call(b.ctx, network.SetCookie, network.SetCookieParams{
		Name: "hokan_session", Value: p.token, URL: p.url, HTTPOnly: new(true), SameSite: network.CookieSameSiteStrict}); err != nil {
		p.Fatal(err)
	}
}

// alarms returns the IDs of the plant's alarms.
func (p *plant) alarms() (ids []string) {
	p.Helper()
	var body struct {
		Alarms []struct {
			ID any `json:"id"`
		} `json:"alarms"`
	}
	if err := json.Unmarshal(p.send("GET", "/api/v1/alarms", nil), &body); err != nil {
		p.Fatal(err)
	}
	for _, alarm := range body.Alarms {
		ids = append(ids, fmt.Sprint(alarm.ID))
	}
	return ids
}
