package live_test

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/hokan-db/hokan/engine"
	"github.com/hokan-db/hokan/engine/model"
	"github.com/hokan-db/hokan/server/api"
	"github.com/hokan-db/hokan/server/live"
)

const tenant model.Tenant = "t"

var start = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

func openDB(t testing.TB) *engine.DB {
	t.Helper()
	db, err := engine.Open(engine.Options{FS: vfs.NewMem(), Dir: "data", Clock: func() time.Time { return start }, Manual: true})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := db.Close(); err != nil {
			t.Error(err)
		}
	})
	for _, name := range []model.Tenant{tenant, "other"} {
		if err := db.CreateTenant(context.Background(), name); err != nil {
			t.Fatal(err)
		}
	}
	return db
}

func column(t testing.TB, channel string, times []int64, values ...float64) model.Column {
	t.Helper()
	labels, err := model.NewLabels(model.Label{Name: "instrument", Value: "lake"}, model.Label{Name: "channel", Value: channel})
	if err != nil {
		t.Fatal(err)
	}
	return model.Column{Labels: labels, Times: times, Values: values}
}

func write(t testing.TB, db *engine.DB, name model.Tenant, columns ...model.Column) {
	t.Helper()
	if _, err := db.Append(context.Background(), &model.Batch{Tenant: name, Columns: columns}); err != nil {
		t.Fatal(err)
	}
}

// serve serves streams of the tenant, which end when the test does. Errors go
// to refused.
func serve(t testing.TB, s *live.Streamer, refused chan<- error) *httptest.Server {
	t.Helper()
	ctx, end := context.WithCancel(context.Background())
	server := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		q := r.URL.Query()
		if err := s.Serve(w, r, tenant, q.Get("match"), q.Get("unit")); err != nil {
			refused <- err
		}
	}))
	server.Config.BaseContext = func(net.Listener) context.Context { return ctx }
	server.Start()
	t.Cleanup(func() { end(); server.Close() })
	return server
}

// reader reads a stream.
type reader struct {
	t     testing.TB
	lines *bufio.Scanner
	body  interface{ Close() error }
}

// subscribe opens a stream; it returns once the stream has begun.
func subscribe(t testing.TB, server *httptest.Server, query string) *reader {
	t.Helper()
	response, err := server.Client().Get(server.URL + "/?" + query)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { response.Body.Close() })
	if got := response.Header.Get("Content-Type"); got != "text/event-stream" {
		t.Fatalf("content type %q, status %d", got, response.StatusCode)
	}
	r := &reader{t, bufio.NewScanner(response.Body), response.Body}
	r.lines.Buffer(nil, 4<<20)
	if !r.lines.Scan() || r.lines.Text() != "retry: 2000" || !r.lines.Scan() {
		t.Fatalf("the stream begins with %q", r.lines.Text())
	}
	return r
}

// next returns the kind and data of the next event, "" at the end.
func (r *reader) next() (kind, data string) {
	for r.lines.Scan() {
		switch line := r.lines.Text(); {
		case strings.HasPrefix(line, "event: "):
			kind = line[7:]
		case strings.HasPrefix(line, "data: "):
			data = line[6:]
		case line == "" && kind != "":
			return kind, data
		}
	}
	return "", ""
}

func (r *reader) expect(kind, data string) {
	r.t.Helper()
	if gotKind, got := r.next(); gotKind != kind || got != data {
		r.t.Errorf("got %s\n%s\nwant %s\n%s", gotKind, got, kind, data)
	}
}

func TestStream(t *testing.T) {
	db := openDB(t)
	write(t, db, tenant, column(t, "1", []int64{1e9}, 0.5))
	server := serve(t, &live.Streamer{DB: db}, nil)
	r := subscribe(t, server, "unit=s&match="+`{channel=~"1|3"}`)
	both := []int64{2e9, 3_900_000_000}
	write(t, db, "other", column(t, "1", both, 7, 8)) // another tenant's
	write(t, db, tenant, column(t, "2", both, 7, 8))  // not asked for
	write(t, db, tenant, column(t, "2", both, 7, 8), column(t, "1", both, 1.25, model.QualityBurnout.NaN()))
	r.expect("samples", `{"unit":"s","channels":[{"labels":{"channel":"1","instrument":"lake"},"times":[2,3],"values":[1.25,"burnout"]}]}`)
	write(t, db, tenant, column(t, "3", []int64{-1}, 4)) // a channel that is new
	r.expect("samples", `{"unit":"s","channels":[{"labels":{"channel":"3","instrument":"lake"},"times":[-1],"values":[4]}]}`)
}

func TestAlarm(t *testing.T) {
	db := openDB(t)
	a := &api.API{DB: db, Clock: func() time.Time { return start }}
	write(t, db, tenant, column(t, "1", []int64{1e9}, 0), column(t, "2", []int64{1e9}, 0))
	limit := 3.0
	for _, channel := range []string{"1", "2"} {
		if _, err := a.CreateAlarm(context.Background(), tenant, api.AlarmRequest{
			Name: "high", Match: `{channel="` + channel + `"}`, Operator: ">", Threshold: &limit}, ""); err != nil {
			t.Fatal(err)
		}
	}
	server := serve(t, &live.Streamer{DB: db}, nil)
	r := subscribe(t, server, `match={channel="1"}`)
	write(t, db, tenant, column(t, "2", []int64{2e9}, 5))
	write(t, db, tenant, column(t, "1", []int64{2e9}, 5))
	if kind, _ := r.next(); kind != "samples" {
		t.Errorf("first comes %q", kind)
	}
	kind, data := r.next()
	var got struct {
		Unit string `json:"unit"`
		api.Event
	}
	if err := json.Unmarshal([]byte(data), &got); err != nil || kind != "alarm" || got.Unit != "ms" {
		t.Fatalf("%s %s: %v", kind, data, err)
	}
	events, err := a.Events(context.Background(), tenant, api.EventsRequest{Alarm: got.Alarm})
	if err != nil || len(events.Events) != 1 {
		t.Fatalf("%+v, %v", events, err)
	}
	want, _ := json.Marshal(events.Events[0])
	have, _ := json.Marshal(got.Event)
	if string(have) != string(want) {
		t.Errorf("streamed\n%s\nread\n%s", have, want)
	}
}

func TestRefusals(t *testing.T) {
	db := openDB(t)
	s := &live.Streamer{DB: db}
	for query, want := range map[string]string{
		"match={":                "bad_selector",
		`match={channel="none"}`: "no_channel",
		"unit=min":               "bad_time",
	} {
		w := httptest.NewRecorder()
		r := httptest.NewRequest(http.MethodGet, "/?"+strings.ReplaceAll(query, `"`, "%22"), nil)
		q := r.URL.Query()
		err := s.Serve(w, r, tenant, q.Get("match"), q.Get("unit"))
		var refused *api.Error
		if !errors.As(err, &refused) || refused.Code != want || w.Body.Len() > 0 {
			t.Errorf("%s: %v, sent %q", query, err, w.Body)
		}
	}
	r := httptest.NewRequest(http.MethodGet, "/", nil)
	if err := s.Serve(httptest.NewRecorder(), r, "nobody", "", ""); api.AsError(err).Code != "not_found" {
		t.Errorf("a tenant that is not there: %v", err)
	}
}

// TestEmptyTenant streams everything of a tenant that has no channel yet.
func TestEmptyTenant(t *testing.T) {
	db := openDB(t)
	r := subscribe(t, serve(t, &live.Streamer{DB: db}, nil), "")
	write(t, db, tenant, column(t, "1", []int64{1e6}, 4))
	r.expect("samples", `{"unit":"ms","channels":[{"labels":{"channel":"1","instrument":"lake"},"times":[1],"values":[4]}]}`)
}

// blockedWriter is a reader that takes nothing after the beginning until it is
// let go.
type blockedWriter struct {
	*httptest.ResponseRecorder
	begun, letGo, missed chan struct{}
	writes               int
}

func (w *blockedWriter) Write(b []byte) (int, error) {
	if w.writes++; w.writes == 2 {
		close(w.begun)
		<-w.letGo
	}
	if bytes.Contains(b, []byte("event: missed\n")) {
		close(w.missed)
	}
	return w.ResponseRecorder.Write(b)
}

// TestSlowReader is told how much it missed, and another reader misses nothing.
func TestSlowReader(t *testing.T) {
	db := openDB(t)
	write(t, db, tenant, column(t, "1", []int64{1}, 1))
	s := &live.Streamer{DB: db, Rows: 10}
	ctx, end := context.WithCancel(context.Background())
	slow := &blockedWriter{ResponseRecorder: httptest.NewRecorder(),
		begun: make(chan struct{}), letGo: make(chan struct{}), missed: make(chan struct{})}
	var slowDone sync.WaitGroup
	slowDone.Go(func() {
		if err := s.Serve(slow, httptest.NewRequest(http.MethodGet, "/", nil).WithContext(ctx), tenant, "", ""); err != nil {
			t.Error(err)
		}
	})
	awaitTap := subscribe(t, serve(t, s, nil), "")
	// The slow stream may begin after some rows; it blocks at the first it sends.
	sent := 0
	for blocked := false; !blocked; {
		sent++
		write(t, db, tenant, column(t, "1", []int64{int64(sent) * 1e6}, 1))
		if kind, _ := awaitTap.next(); kind != "samples" {
			t.Fatalf("got %q", kind)
		}
		select {
		case <-slow.begun:
			blocked = true
		case <-time.After(10 * time.Millisecond):
		}
	}
	const more = 40
	for i := range more {
		write(t, db, tenant, column(t, "1", []int64{int64(1000+i) * 1e6}, 1))
		if kind, data := awaitTap.next(); kind != "samples" || !strings.Contains(data, fmt.Sprintf("[%d]", 1000+i)) {
			t.Fatalf("the quick reader got %s %s", kind, data)
		}
	}
	close(slow.letGo)
	<-slow.missed
	end()
	slowDone.Wait()
	text := slow.Body.String()
	_, after, _ := strings.Cut(text, "event: missed\ndata: ")
	var missed struct{ Dropped int }
	if err := json.NewDecoder(strings.NewReader(after)).Decode(&missed); err != nil {
		t.Fatal(err)
	}
	got := 0
	for line := range strings.Lines(text) {
		if data, ok := strings.CutPrefix(line, "data: {\"unit\""); ok {
			_, times, _ := strings.Cut(data, `"times":[`)
			times, _, _ = strings.Cut(times, "]")
			for at := range strings.SplitSeq(times, ",") {
				if len(at) >= 4 {
					got++
				}
			}
		}
	}
	// A row of those before may still have waited when it blocked.
	if got+missed.Dropped != more || missed.Dropped < more-10 {
		t.Errorf("%d received and %d missed of %d", got, missed.Dropped, more)
	}
}

func TestStreamsEnd(t *testing.T) {
	db := openDB(t)
	ctx, end := context.WithCancel(context.Background())
	done := make(chan error)
	w := httptest.NewRecorder()
	go func() {
		done <- (&live.Streamer{DB: db}).Serve(w, httptest.NewRequest(http.MethodGet, "/", nil).WithContext(ctx), tenant, "", "")
	}()
	end()
	if err := <-done; err != nil {
		t.Error(err)
	}
}

// TestLatency measures from the acknowledgement of a write to each of a hundred
// readers of a plant of sixty channels.
func TestLatency(t *testing.T) {
	if testing.Short() {
		t.Skip("a measurement")
	}
	const readers, channels, writes = 100, 60, 40
	db := openDB(t)
	row := func(i int) []model.Column {
		columns := make([]model.Column, channels)
		for c := range columns {
			columns[c] = column(t, fmt.Sprint(c), []int64{int64(i) * 1e6}, float64(i))
		}
		return columns
	}
	write(t, db, tenant, row(0)...)
	server := serve(t, &live.Streamer{DB: db}, nil)
	arrivals := make([][]time.Time, readers)
	var reading sync.WaitGroup
	for i := range readers {
		r := subscribe(t, server, "")
		reading.Go(func() {
			for len(arrivals[i]) < writes {
				kind, data := r.next()
				_, times, _ := strings.Cut(data, `"times":[`)
				times, _, _ = strings.Cut(times, "]")
				if kind != "samples" || times == "" {
					t.Errorf("got %q %s", kind, data)
					return
				}
				for range strings.SplitSeq(times, ",") { // an event may hold several rows
					arrivals[i] = append(arrivals[i], time.Now())
				}
			}
		})
	}
	durable := make([]time.Time, writes)
	ticker := time.NewTicker(50 * time.Millisecond)
	defer ticker.Stop()
	for i := range writes {
		<-ticker.C
		write(t, db, tenant, row(i+1)...)
		durable[i] = time.Now()
	}
	reading.Wait()
	var took []time.Duration
	for _, times := range arrivals {
		for i, at := range times {
			took = append(took, at.Sub(durable[i]))
		}
	}
	slices.Sort(took)
	p99 := took[len(took)*99/100]
	t.Logf("durable to reader: median %v, p99 %v, most %v", took[len(took)/2], p99, took[len(took)-1])
	if p99 > time.Second {
		t.Errorf("p99 is %v", p99)
	}
}
