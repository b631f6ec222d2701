package demo

import (
	"context"
	"math"
	"net"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/hokan-db/hokan/engine"
	"github.com/hokan-db/hokan/engine/model"
	"github.com/hokan-db/hokan/query"
	"github.com/hokan-db/hokan/server"
	"github.com/hokan-db/hokan/server/api"
	"github.com/hokan-db/hokan/server/auth"
	"github.com/hokan-db/hokan/server/client"
)

// someDay is a Sunday, when the plant rests.
var someDay = time.Date(2026, 11, 22, 0, 45, 4, 5e8, time.UTC)

func plantAt(now time.Time) *plant {
	return newPlant(now.Add(-DefaultHistory).UnixNano(), now.UnixNano())
}

// channelOf finds a channel by "instrument/channel".
func (p *plant) channelOf(t *testing.T, name string) *channel {
	t.Helper()
	for i := range p.instruments {
		for c := range p.instruments[i].channels {
			if p.instruments[i].name+"/"+p.instruments[i].channels[c].name == name {
				return &p.instruments[i].channels[c]
			}
		}
	}
	t.Fatalf("there is no channel %s", name)
	return nil
}

// TestReadingsAreAsInstrumentsGiveThem looks at the last day of every weekday.
func TestReadingsAreAsInstrumentsGiveThem(t *testing.T) {
	for weekday := range 7 {
		now := someDay.AddDate(0, 0, weekday)
		p := plantAt(now)
		if len(p.instruments) != 5 {
			t.Fatalf("%d instruments", len(p.instruments))
		}
		qualities := map[model.Quality]bool{}
		groups := map[string]bool{}
		for i := range p.instruments {
			one := &p.instruments[i]
			groups[one.group] = true
			times := one.times(nil, now.Add(-24*time.Hour).UnixNano(), now.UnixNano(), 5*time.Minute)
			if len(times) < 280 {
				t.Errorf("%s measures %d times a day", one.name, len(times))
			}
			for c := range one.channels {
				ch := &one.channels[c]
				if ch.properties.App == "" || ch.properties.Name == "" {
					t.Errorf("%s/%s: %+v", one.name, ch.name, ch.properties)
				}
				for _, at := range times {
					v := ch.read(at)
					qualities[model.QualityOf(v)] = true
					if again := ch.read(at); math.Float64bits(again) != math.Float64bits(v) {
						t.Fatalf("%s/%s reads %v and then %v", one.name, ch.name, v, again)
					}
					_, digits, _ := strings.Cut(string(query.AppendText(nil, v)), ".")
					if len(digits) > int(ch.properties.Decimals) {
						t.Fatalf("%s/%s reads %v, with more than %d decimals", one.name, ch.name, v, ch.properties.Decimals)
					}
				}
			}
		}
		if !groups["Shanghai"] || !groups["Beijing"] || len(groups) != 2 {
			t.Errorf("groups %v", groups)
		}
		if !qualities[model.QualityOver] || qualities[model.QualityUnknown] {
			t.Errorf("qualities on %v: %v", now.Weekday(), qualities)
		}
		if last := p.channelOf(t, "LR8450-SH1/1-9").read(now.UnixNano()); model.QualityOf(last) != model.QualityBurnout {
			t.Errorf("the broken sensor reads %v", last)
		}
		if first := p.channelOf(t, "LR8450-SH1/1-9").read(p.begun); model.QualityOf(first) != model.QualityNone {
			t.Errorf("the sensor was broken from the start: %v", first)
		}
	}
}

func TestEnergyOnlyGrows(t *testing.T) {
	p := plantAt(someDay)
	for _, name := range []string{"PW3390-SH2/WP", "PW3360-BJ1/WP"} {
		read, before := p.channelOf(t, name).read, 0.0
		for at := p.begun; at < p.started; at += int64(time.Minute) {
			if now := read(at); now < before {
				t.Fatalf("%s falls from %v to %v", name, before, now)
			} else {
				before = now
			}
		}
	}
}

// TestAnAlarmGoesOffSoonAfterEveryStart at any hour of a week.
func TestAnAlarmGoesOffSoonAfterEveryStart(t *testing.T) {
	threshold := *alarms()[0].Threshold
	for hour := range 7 * 24 {
		now := someDay.Add(time.Duration(hour) * time.Hour)
		read := plantAt(now).channelOf(t, "PW3390-SH2/Irms").read
		quiet, loud := read(now.UnixNano()), 0.0
		for at := now; at.Before(now.Add(3 * time.Minute)); at = at.Add(liveStep) {
			loud = max(loud, read(at.UnixNano()))
		}
		after := read(now.Add(4 * time.Minute).UnixNano())
		if loud <= threshold {
			t.Errorf("%v: at most %v in the first minutes", now, loud)
		}
		if natural := now.Hour() == 11 || now.Hour() == 23; !natural && (quiet > threshold || after > threshold) {
			t.Errorf("%v: %v before and %v after it", now, quiet, after)
		}
	}
}

// serverAt serves a new database in memory. The clock is what now says.
func serverAt(t *testing.T, clock model.Clock) *client.Client {
	t.Helper()
	db, err := engine.Open(engine.Options{FS: vfs.NewMem(), Dir: "data", Clock: clock})
	if err != nil {
		t.Fatal(err)
	}
	tokens, err := auth.Open(db, clock)
	if err != nil {
		t.Fatal(err)
	}
	secret, _, err := tokens.Create(t.Context(), auth.Token{Tenant: "demo"})
	if err != nil {
		t.Fatal(err)
	}
	s, err := server.New(server.Options{DB: db, Clock: clock, Tokens: tokens})
	if err != nil {
		t.Fatal(err)
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- s.Serve(ctx, l) }()
	c, err := client.New("http://"+l.Addr().String(), secret)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		c.Close()
		stop()
		if err := <-ended; err != nil {
			t.Error(err)
		}
		if err := db.Close(); err != nil {
			t.Error(err)
		}
	})
	return c
}

// TestASecondStartFillsTheGap runs the plant, stops it, and starts it again
// three hours later.
func TestASecondStartFillsTheGap(t *testing.T) {
	begun := time.Now()
	var later atomic.Int64
	clock := func() time.Time { // half a second before a sample is due
		return someDay.Add(time.Since(begun) + time.Duration(later.Load()))
	}
	c := serverAt(t, clock)
	runOnce(t, c, clock)
	first := countRows(t, c)
	if first["LR8450-SH1/1-1"] < 2*24*60 || len(first) != 57 {
		t.Fatalf("%d channels, rows %v", len(first), first)
	}
	alarms, err := c.Alarms(t.Context(), "")
	if err != nil || len(alarms.Alarms) != 5 {
		t.Fatalf("alarms %+v, %v", alarms, err)
	}
	events, err := c.Events(t.Context(), api.EventsRequest{})
	if err != nil || len(events.Events) == 0 {
		t.Errorf("events %+v, %v", events, err)
	}
	later.Store(int64(3*time.Hour - time.Since(begun)))
	runOnce(t, c, clock)
	second := countRows(t, c)
	for name, rows := range second {
		added := rows - first[name]
		if !strings.HasPrefix(name, "BT") && (added < 180 || added > 200) {
			t.Errorf("%s: %d rows in three hours", name, added)
		}
	}
	// The same readings, whenever they are written.
	p := newPlant(someDay.Add(-48*time.Hour).UnixNano(), 0)
	page, err := c.Table(t.Context(), api.TableRequest{
		Selection: api.Selection{Match: `{instrument="LR8450-SH1",channel="1-2"}`, Unit: "ns", From: "now-5h"}, Limit: 10000})
	if err != nil {
		t.Fatal(err)
	}
	read := p.channelOf(t, "LR8450-SH1/1-2").read
	for i, at := range page.Times {
		if got := page.Rows.Row(i)[0].Number; got != read(at) {
			t.Fatalf("at %v: %v, want %v", time.Unix(0, at).UTC(), got, read(at))
		}
		if i > 0 && at-page.Times[i-1] > int64(time.Minute) {
			t.Errorf("a gap of %v before %v", time.Duration(at-page.Times[i-1]), time.Unix(0, at).UTC())
		}
	}
}

// runOnce runs the plant until a live sample is there.
func runOnce(t *testing.T, c *client.Client, clock model.Clock) {
	t.Helper()
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	ended := make(chan error, 1)
	filled := make(chan struct{})
	go func() {
		ended <- Run(ctx, c, Options{Clock: clock, History: 48 * time.Hour, Filled: func(int64) { close(filled) }})
	}()
	select {
	case <-filled:
	case err := <-ended:
		t.Fatalf("it ended: %v", err)
	}
	due := clock().Add(liveStep).Truncate(liveStep).UnixNano()
	for {
		latest, err := c.Latest(t.Context(), api.Selection{Match: `{instrument="LR8450-SH1",channel="1-1"}`, Unit: "ns"})
		if err != nil {
			t.Fatal(err)
		}
		if at := latest.Channels[0].Time; at != nil && *at >= due {
			break
		}
	}
	stop()
	if err := <-ended; err != nil {
		t.Error(err)
	}
}

func countRows(t *testing.T, c *client.Client) map[string]int {
	t.Helper()
	body, err := c.Channels(t.Context(), api.Selection{})
	if err != nil {
		t.Fatal(err)
	}
	rows := map[string]int{}
	for _, ch := range body.Channels {
		rows[ch.Labels.Instrument()+"/"+ch.Labels.Channel()] = int(ch.Samples)
	}
	return rows
}
