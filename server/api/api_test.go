package api

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"strings"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/hokan-db/hokan/engine"
	"github.com/hokan-db/hokan/engine/model"
	"github.com/hokan-db/hokan/ingest"
	"github.com/hokan-db/hokan/query"
)

const tenant = model.Tenant("t")

var ctx = context.Background()

func openAPI(t testing.TB) *API {
	t.Helper()
	clock := func() time.Time { return time.Unix(1000, 0) }
	db, err := engine.Open(engine.Options{FS: vfs.NewMem(), Dir: "data", Clock: clock, Manual: true})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := db.Close(); err != nil {
			t.Error(err)
		}
	})
	if err := db.CreateTenant(ctx, tenant); err != nil {
		t.Fatal(err)
	}
	return &API{DB: db, Clock: clock}
}

func write(t testing.TB, a *API, channel string, times []int64, values []float64) {
	t.Helper()
	labels, err := model.NewLabels(model.Label{Name: "instrument", Value: "lake"}, model.Label{Name: "channel", Value: channel})
	if err != nil {
		t.Fatal(err)
	}
	_, err = a.DB.Append(ctx, &model.Batch{Tenant: tenant, Columns: []model.Column{{
		Labels: labels, Properties: &model.Properties{Name: "N", Unit: "V", HasDecimals: true}, Times: times, Values: values,
	}}})
	if err != nil {
		t.Fatal(err)
	}
}

// expectJSON checks the bytes of an answer.
func expectJSON(t *testing.T, body any, err error, want string) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
	got, err := marshal(body)
	if err != nil {
		t.Fatal(err)
	}
	if own, err := AppendBody([]byte("before"), body); err != nil || string(own) != "before"+string(got) {
		t.Errorf("AppendBody gives\n%s (%v), package json\n%s", own, err, got)
	}
	var compact bytes.Buffer
	if err := json.Compact(&compact, []byte(want)); err != nil {
		t.Fatal(err)
	}
	if string(got) != compact.String() {
		t.Errorf("body is\n%s\nwant\n%s", got, compact.String())
	}
}

func expectCode(t *testing.T, err error, code string) {
	t.Helper()
	var e *Error
	if !errors.As(err, &e) || e.Code != code || e.Status != statuses[code] || e.Detail == "" {
		t.Errorf("error %v, want %s", err, code)
	}
}

const channel1 = `"labels":{"channel":"1","instrument":"lake"},"properties":{"name":"N","unit":"V","decimals":0}`

func TestBodies(t *testing.T) {
	a := openAPI(t)
	write(t, a, "1", []int64{-1, 2e9, 3e9, 4e9}, []float64{1.5, math.Copysign(0, -1), math.Inf(-1), model.QualityOver.NaN()})
	channels, err := a.Channels(ctx, tenant, Selection{})
	expectJSON(t, channels, err, `{"unit":"ms","channels":[{`+channel1+`,"first":-1,"last":4000,"samples":4}]}`)
	channels, err = a.Channels(ctx, tenant, Selection{Match: `{channel="9"}`, Unit: "s"})
	expectJSON(t, channels, err, `{"unit":"s","channels":[]}`)
	latest, err := a.Latest(ctx, tenant, Selection{Unit: "s"})
	expectJSON(t, latest, err, `{"unit":"s","channels":[{`+channel1+`,"time":4,"value":"over"}]}`)
	view, err := a.View(ctx, tenant, ViewRequest{Selection{From: "0", To: "6000000000", Unit: "s"}, 3, ""})
	expectJSON(t, view, err, `{"unit":"s","from":0,"width":2,"source":"raw","channels":[{`+channel1+`,
		"count":[0,2,0],"quality":[0,0,1],"min":[null,"-Infinity",null],"max":[null,-0,null],"mean":[null,"-Infinity",null],
		"sum":[null,"-Infinity",null],"first":[null,-0,null],"last":[null,"-Infinity",null]}]}`)
	view, err = a.View(ctx, tenant, ViewRequest{Selection{From: "0", To: "6000000000", Unit: "s"}, 3, "last,count"})
	expectJSON(t, view, err, `{"unit":"s","from":0,"width":2,"source":"raw","channels":[{`+channel1+`,"count":[0,2,0],"last":[null,"-Infinity",null]}]}`)
	write(t, a, "2", []int64{2e9}, []float64{1e-7})
	table, err := a.Table(ctx, tenant, TableRequest{Selection: Selection{From: "0", To: "now"}})
	expectJSON(t, table, err, `{"unit":"ms","channels":[{`+channel1+`},{`+strings.Replace(channel1, `"1"`, `"2"`, 1)+`}],
		"times":[2000,3000,4000],"rows":[[-0,1e-7],["-Infinity",null],["over",null]],"next":null}`)
	table, err = a.Table(ctx, tenant, TableRequest{Selection: Selection{From: "now-1s"}})
	expectJSON(t, table.Rows, err, `[]`)
}

func TestExportHandler(t *testing.T) {
	a := openAPI(t)
	write(t, a, "1", []int64{0}, []float64{1})
	e, err := a.Export(ctx, tenant, ExportRequest{Format: "csv", Zone: "Asia/Tokyo"})
	if err != nil {
		t.Fatal(err)
	}
	defer e.Close()
	var archive bytes.Buffer
	if err := e.WriteZip(ctx, &archive); err != nil || e.Counts().Rows != 1 {
		t.Errorf("%+v, %v", e.Counts(), err)
	}
	hok, err := a.Export(ctx, tenant, ExportRequest{Format: "hok"})
	if err != nil {
		t.Fatal(err)
	}
	hok.Close()
	_, err = a.Export(ctx, tenant, ExportRequest{Format: "hok", Zone: "Asia/Tokyo"})
	expectCode(t, err, "invalid")
	_, err = a.Export(ctx, tenant, ExportRequest{Format: "xls"})
	expectCode(t, err, "invalid")
	_, err = a.Export(ctx, tenant, ExportRequest{Format: "csv", Zone: "Nowhere"})
	expectCode(t, err, "bad_time")
}

func TestRequestsAreRefusedWithCodes(t *testing.T) {
	a := openAPI(t)
	for i := range 33 {
		write(t, a, fmt.Sprint(i), []int64{0}, []float64{1})
	}
	f := func(s Selection, code string) {
		t.Helper()
		_, err := a.View(ctx, tenant, ViewRequest{Selection: s})
		expectCode(t, err, code)
	}
	f(Selection{Match: "lake"}, "bad_selector")
	f(Selection{From: "x"}, "bad_time")
	f(Selection{To: "x"}, "bad_time")
	f(Selection{Unit: "x"}, "bad_time")
	f(Selection{}, "too_many_channels")
	f(Selection{Match: `{channel="none"}`}, "no_channel")
	f(Selection{Match: `{channel="1"}`, From: "1", To: "1"}, "bad_span")
	f(Selection{Match: `{channel="1"}`, From: "1", To: "10"}, "bad_span")
	_, err := a.View(ctx, "other", ViewRequest{})
	expectCode(t, err, "not_found")
	for _, fields := range []string{"median", "count,", ",", "Count", "count, sum"} {
		_, err = a.View(ctx, tenant, ViewRequest{Fields: fields})
		expectCode(t, err, "malformed")
	}
	_, err = a.View(ctx, tenant, ViewRequest{Buckets: -1})
	expectCode(t, err, "invalid")
	_, err = a.Table(ctx, tenant, TableRequest{After: "x"})
	expectCode(t, err, "malformed")
	_, err = a.Events(ctx, tenant, EventsRequest{After: "x"})
	expectCode(t, err, "malformed")
}

func number(v float64) *float64 { return &v }

func TestAlarmsAndEvents(t *testing.T) {
	a := openAPI(t)
	write(t, a, "1", []int64{0}, []float64{0})
	write(t, a, "2", []int64{0}, []float64{0})
	one := `{channel="1"}`
	made, err := a.CreateAlarm(ctx, tenant, AlarmRequest{Name: "high", Match: one, Operator: ">", Threshold: number(5)}, "")
	if err != nil {
		t.Fatal(err)
	}
	expectJSON(t, made, err, `{"id":"`+made.ID+`","version":1,"name":"high","match":"{channel=\"1\"}",
		"labels":{"channel":"1","instrument":"lake"},"operator":">","threshold":5,
		"enabled":true,"state":"unknown","since":null,"unit":"ms"}`)
	write(t, a, "1", []int64{1e9, 2e9, 3e9, 4e9}, []float64{5, 6, 7, 1})
	events, err := a.Events(ctx, tenant, EventsRequest{Unit: "s"})
	if err != nil || len(events.Events) != 2 {
		t.Fatalf("events %+v, %v", events, err)
	}
	start := events.Events[0]
	if start.Kind != "start" || start.Time != 2 || start.Value.Number != 6 || start.Alarm != made.ID || start.Labels.Channel() != "1" {
		t.Errorf("first event %+v", start)
	}
	page, err := a.Events(ctx, tenant, EventsRequest{Limit: 1, Alarm: made.ID})
	if err != nil || len(page.Events) != 1 || page.Next == nil {
		t.Fatalf("page %+v, %v", page, err)
	}
	page, err = a.Events(ctx, tenant, EventsRequest{Limit: 1, Alarm: made.ID, After: *page.Next})
	if err != nil || len(page.Events) != 1 || page.Events[0].Kind != "end" {
		t.Errorf("second page %+v, %v", page, err)
	}
	got, err := a.Alarm(ctx, tenant, made.ID, "s")
	if err != nil || got.State != "normal" || got.Since == nil || *got.Since != 4 {
		t.Errorf("alarm %+v, %v", got, err)
	}
	replaced, err := a.ReplaceAlarm(ctx, tenant, made.ID, AlarmRequest{Match: one, Operator: "outside_or_equal", Low: number(-1), High: number(1)}, "")
	if err != nil || replaced.Version != 2 || replaced.State != "unknown" || replaced.ID != made.ID || replaced.Threshold != nil {
		t.Errorf("replaced %+v, %v", replaced, err)
	}
	no := false
	off, err := a.ReplaceAlarm(ctx, tenant, made.ID, AlarmRequest{Match: one, Operator: "outside_or_equal", Low: number(-1), High: number(1), Enabled: &no}, "")
	if err != nil || off.Enabled || off.Version != 2 {
		t.Errorf("replaced by itself switched off: %+v, %v", off, err)
	}
	off, err = a.SwitchAlarm(ctx, tenant, made.ID, false, "")
	if err != nil || off.Enabled {
		t.Errorf("switched off %+v, %v", off, err)
	}
	if err := a.DeleteAlarm(ctx, tenant, made.ID); err != nil {
		t.Error(err)
	}
	all, err := a.Alarms(ctx, tenant, "")
	expectJSON(t, all, err, `{"unit":"ms","alarms":[]}`)
}

// TestAlarmStaysBound: an alarm's definition can be changed also when another
// channel has come that its match selects.
func TestAlarmStaysBound(t *testing.T) {
	a := openAPI(t)
	write(t, a, "1", []int64{0}, []float64{0})
	made, err := a.CreateAlarm(ctx, tenant, AlarmRequest{Match: `{instrument="lake"}`, Operator: ">", Threshold: number(5)}, "")
	if err != nil {
		t.Fatal(err)
	}
	write(t, a, "2", []int64{0}, []float64{0})
	changed, err := a.ReplaceAlarm(ctx, tenant, made.ID, AlarmRequest{Match: made.Match, Operator: ">", Threshold: number(6)}, "")
	if err != nil || changed.Version != 2 || changed.Labels.Channel() != "1" {
		t.Errorf("changed %+v, %v", changed, err)
	}
	_, err = a.ReplaceAlarm(ctx, tenant, made.ID, AlarmRequest{Match: `{}`, Operator: ">", Threshold: number(6)}, "")
	expectCode(t, err, "too_many_channels")
	moved, err := a.ReplaceAlarm(ctx, tenant, made.ID, AlarmRequest{Match: `{channel="2"}`, Operator: ">", Threshold: number(6)}, "")
	if err != nil || moved.Labels.Channel() != "2" {
		t.Errorf("moved %+v, %v", moved, err)
	}
}

func TestAlarmsAreRefusedWithCodes(t *testing.T) {
	a := openAPI(t)
	write(t, a, "1", []int64{0}, []float64{0})
	write(t, a, "2", []int64{0}, []float64{0})
	f := func(r AlarmRequest, code string) {
		t.Helper()
		_, err := a.CreateAlarm(ctx, tenant, r, "")
		expectCode(t, err, code)
	}
	one := `{channel="1"}`
	f(AlarmRequest{Match: "{}", Operator: ">", Threshold: number(1)}, "too_many_channels")
	f(AlarmRequest{Match: `{channel="3"}`, Operator: ">", Threshold: number(1)}, "no_channel")
	f(AlarmRequest{Match: `{`, Operator: ">", Threshold: number(1)}, "bad_selector")
	f(AlarmRequest{Operator: ">", Threshold: number(1)}, "invalid")
	f(AlarmRequest{Match: one, Operator: "=", Threshold: number(1)}, "invalid")
	f(AlarmRequest{Match: one, Operator: ">"}, "invalid")
	f(AlarmRequest{Match: one, Operator: ">", Threshold: number(1), Low: number(1)}, "invalid")
	f(AlarmRequest{Match: one, Operator: "outside", Threshold: number(1)}, "invalid")
	f(AlarmRequest{Match: one, Operator: "outside", Low: number(2), High: number(1)}, "invalid")
	f(AlarmRequest{Match: one, Operator: ">", Threshold: number(math.Inf(1))}, "invalid")
	f(AlarmRequest{Match: one, Operator: ">", Threshold: number(1), Name: strings.Repeat("x", 10e3)}, "invalid")
	for _, id := range []string{"", "0", "x", "-1", "77", "99999999999999999999"} {
		_, err := a.Alarm(ctx, tenant, id, "")
		expectCode(t, err, "not_found")
		_, err = a.SwitchAlarm(ctx, tenant, id, true, "")
		expectCode(t, err, "not_found")
		_, err = a.ReplaceAlarm(ctx, tenant, id, AlarmRequest{Match: one, Operator: ">", Threshold: number(1)}, "")
		expectCode(t, err, "not_found")
		expectCode(t, a.DeleteAlarm(ctx, tenant, id), "not_found")
	}
	_, err := a.Events(ctx, tenant, EventsRequest{Alarm: "x"})
	expectCode(t, err, "not_found")
}

func TestErrorsOfThePackagesBelowHaveCodes(t *testing.T) {
	f := func(err error, code string) {
		t.Helper()
		expectCode(t, AsError(fmt.Errorf("doing something: %w", err)), code)
	}
	f(model.ErrBadSelector, "bad_selector")
	f(model.ErrBadSpan, "bad_span")
	f(query.ErrBadTime, "bad_time")
	f(query.ErrBadCursor, "malformed")
	f(engine.ErrBadCursor, "malformed")
	f(model.ErrBadTenant, "malformed")
	f(query.ErrNoChannel, "no_channel")
	f(query.ErrTooManyChannels, "too_many_channels")
	f(engine.ErrUnknownTenant, "not_found")
	f(engine.ErrUnknownAlarm, "not_found")
	f(engine.ErrCondition, "invalid")
	f(engine.ErrLocked, "locked")
	f(engine.ErrFull, "disk_full")
	f(engine.ErrReadOnly, "read_only")
	f(engine.ErrCorrupt, "corrupt")
	f(engine.ErrClosed, "internal")
	f(errors.New("anything else"), "internal")
	f(NewError("over_quota", "full"), "over_quota")
	for _, c := range codes {
		if statuses[c.code] == 0 {
			t.Errorf("code %s has no status", c.code)
		}
	}
	if !errors.Is(AsError(engine.ErrFull), engine.ErrFull) {
		t.Error("the cause is lost")
	}
}

func TestImportBody(t *testing.T) {
	b, err := NewImportBody("s")
	if err != nil {
		t.Fatal(err)
	}
	b.Add(ingest.FileResult{File: "a", Dialect: "hioki-lr8400", Instrument: "i", Channels: 1, Rows: 2, From: 1e9, To: 2e9 + 1,
		Accepted: 1, Rejected: 1, Reasons: map[string]int64{"not_a_number": 1},
		Errors: []ingest.Error{{Line: 3, Column: 2, Code: "not_a_number", Detail: "d"}}}, nil)
	b.Add(ingest.FileResult{File: "b", Instrument: "i"}, fmt.Errorf("x: %w", &ingest.Error{Code: "malformed", Detail: "e"}))
	b.Add(ingest.FileResult{File: "c", Instrument: "i"}, engine.ErrFull)
	expectJSON(t, b, nil, `{"unit":"s","files":[
		{"file":"a","dialect":"hioki-lr8400","instrument":"i","channels":1,"rows":2,"from":1,"to":2,"accepted":1,"rejected":1,
		 "reasons":{"not_a_number":1},"errors":[{"line":3,"column":2,"code":"not_a_number","detail":"d"}]},
		{"file":"b","dialect":"","instrument":"i","channels":0,"rows":0,"from":null,"to":null,"accepted":0,"rejected":0,
		 "reasons":{},"errors":[{"line":0,"column":0,"code":"malformed","detail":"e"}]},
		{"file":"c","dialect":"","instrument":"i","channels":0,"rows":0,"from":null,"to":null,"accepted":0,"rejected":0,
		 "reasons":{},"errors":[{"line":0,"column":0,"code":"disk_full","detail":"`+engine.ErrFull.Error()+`"}]}],
		"accepted":1,"rejected":1}`)
	_, err = NewImportBody("weeks")
	expectCode(t, err, "bad_time")
}

// Rows of channels write the bytes that package json would, whatever their
// texts are.
func TestRowsOfChannels(t *testing.T) {
	decimals, at := uint8(3), int64(-5)
	labels := func(value string) model.Labels {
		l, err := model.NewLabels(model.Label{Name: "instrument", Value: "i"}, model.Label{Name: "channel", Value: value})
		if err != nil {
			t.Fatal(err)
		}
		return l
	}
	channels, latest := &ChannelsBody{Unit: "ms", Channels: []ChannelRows{}}, &LatestBody{Unit: "ns", Channels: []LatestRows{}}
	for i := range 2 {
		for _, value := range []string{"plain", `"\<>&'`, "é\u2028温度\t\x7f"} {
			c := Channel{Labels: labels(value)}
			if i > 0 {
				c.Properties = Properties{Name: value, Unit: "°C", Decimals: &decimals, Scaling: "<", Group: "g", App: "a"}
			}
			channels.Channels = append(channels.Channels, ChannelRows{Channel: c, First: &at, Samples: 7}, ChannelRows{Channel: c})
			latest.Channels = append(latest.Channels, LatestRows{Channel: c, Time: &at, Value: known(math.NaN())}, LatestRows{Channel: c})
		}
		for _, body := range []any{channels, latest} {
			want, err := marshal(body)
			if err != nil {
				t.Fatal(err)
			}
			if got, err := AppendBody(nil, body); err != nil || string(got) != string(want) {
				t.Errorf("%v\n%s\n%s", err, got, want)
			}
		}
	}
}

// What an answer will take is asked for before it is made, and is near what it
// takes.
func TestCharge(t *testing.T) {
	a := openAPI(t)
	write(t, a, strings.Repeat("c", 1000), []int64{1}, []float64{1})
	write(t, a, "d", []int64{1}, []float64{1})
	refusal := NewError("busy", "not now")
	var asked int64
	a.Charge = func(_ context.Context, bytes int64) error { asked = bytes; return refusal }
	for _, ask := range []func() (any, error){
		func() (any, error) { return a.Channels(ctx, tenant, Selection{}) }, func() (any, error) { return a.Latest(ctx, tenant, Selection{}) },
	} {
		asked = 0
		if _, err := ask(); !errors.Is(err, refusal) || asked < 1000 || asked > 2000 {
			t.Errorf("%d bytes are asked for: %v", asked, err)
		}
	}
}

// BenchmarkLatestJSON makes the answer of 100,000 channels with 1 kB of labels.
func BenchmarkLatestJSON(b *testing.B) {
	body := &LatestBody{Unit: "ms"}
	for i := range 100_000 {
		labels, err := model.NewLabels(model.Label{Name: "instrument", Value: "i"}, model.Label{Name: "channel", Value: fmt.Sprint(i)},
			model.Label{Name: "long", Value: strings.Repeat("x", 1000)})
		if err != nil {
			b.Fatal(err)
		}
		body.Channels = append(body.Channels, LatestRows{Channel: Channel{Labels: labels}})
	}
	b.ReportAllocs()
	for b.Loop() {
		if _, err := AppendBody(nil, body); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkViewJSON(b *testing.B) {
	a := openAPI(b)
	times, values := make([]int64, 30*1440), make([]float64, 30*1440)
	for i := range times {
		times[i] = int64(i) * 60e9
		values[i] = math.Round(2600+300*math.Sin(float64(i)/100)) / 100
	}
	for i := range 32 {
		for from := 0; from < len(times); from += 4320 {
			write(b, a, fmt.Sprint(i), times[from:from+4320], values[from:from+4320])
		}
	}
	if err := a.DB.Flush(ctx); err != nil {
		b.Fatal(err)
	}
	b.Run("view", func(b *testing.B) {
		for range b.N {
			if _, err := a.View(ctx, tenant, ViewRequest{}); err != nil {
				b.Fatal(err)
			}
		}
	})
	body, err := a.View(ctx, tenant, ViewRequest{})
	if err != nil {
		b.Fatal(err)
	}
	b.Run("json", func(b *testing.B) {
		var text []byte
		for range b.N {
			text, err = AppendBody(text[:0], body)
			if err != nil {
				b.Fatal(err)
			}
			b.SetBytes(int64(len(text)))
		}
	})
}

// A message has its code once, and every error the code that callers know.
func TestErrorsSayThingsOnce(t *testing.T) {
	for _, test := range []struct {
		err  error
		want string
	}{
		{fmt.Errorf("--clock: %w: what", query.ErrBadTime), "bad_time: --clock: what"},
		{fmt.Errorf("%w: what", query.ErrInvalid), "invalid: what"},
		{fmt.Errorf("%w: %w: what", engine.ErrInvalid, engine.ErrCondition), "invalid: what"},
		{fmt.Errorf("%w: what", query.ErrBadCursor), "malformed: bad cursor: what"},
		{fmt.Errorf("%w t", engine.ErrUnknownTenant), "not_found: unknown tenant t"},
		{fmt.Errorf("%w: 5", engine.ErrTooManyRows), "invalid: too many rows: 5"},
		{fmt.Errorf("append: %w", context.Canceled), "interrupted: append: context canceled"},
		{errors.New("what"), "internal: what"},
	} {
		if e := AsError(test.err); e.Error() != test.want || !errors.Is(e, test.err) {
			t.Errorf("%v, want %s", e, test.want)
		}
	}
}
