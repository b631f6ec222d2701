package entry_test

import (
	"bytes"
	"encoding/binary"
	"errors"
	"math"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/hokan-db/hokan/engine/entry"
	"github.com/hokan-db/hokan/engine/model"
	"github.com/hokan-db/hokan/engine/policy"
	"github.com/hokan-db/hokan/engine/receipt"
)

func mustLabels(t testing.TB, channel string) model.Labels {
	t.Helper()
	l, err := model.NewLabels(model.Label{Name: "instrument", Value: "i"}, model.Label{Name: "channel", Value: channel})
	if err != nil {
		t.Fatal(err)
	}
	return l
}

func mustEncode(t testing.TB, e *entry.Entry) []byte {
	t.Helper()
	b, err := e.AppendTo(nil)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func anyTime() *rapid.Generator[int64] {
	return rapid.OneOf(rapid.Int64(), rapid.Int64Range(1e18, 1e18+1e6),
		rapid.SampledFrom([]int64{math.MinInt64, math.MaxInt64, 0, -1}))
}

func anyValue() *rapid.Generator[float64] {
	return rapid.Custom(func(t *rapid.T) float64 {
		return math.Float64frombits(rapid.OneOf(rapid.Uint64(), rapid.SampledFrom([]uint64{
			0, 1 << 63, 0x7FF0000000000000, 0xFFF0000000000000, 0x7FF0000000000001,
			math.Float64bits(model.QualityOver.NaN()), math.Float64bits(23.4),
		})).Draw(t, "bits"))
	})
}

func anyDefinitions() *rapid.Generator[[]model.Definition] {
	return rapid.SliceOfN(rapid.Custom(func(t *rapid.T) model.Definition {
		labels, err := model.NewLabels(model.Label{Name: "instrument", Value: "i"},
			model.Label{Name: "channel", Value: rapid.StringMatching(`[a-z日]{1,9}`).Draw(t, "channel")})
		if err != nil {
			t.Fatal(err)
		}
		d := model.Definition{ID: model.ChannelID(rapid.Uint32Range(1, math.MaxUint32).Draw(t, "id")),
			Labels: labels, ValidFrom: anyTime().Draw(t, "from")}
		if rapid.Bool().Draw(t, "has properties") {
			text := rapid.StringN(0, 5, 12)
			d.Properties = &model.Properties{Name: text.Draw(t, "name"), Unit: text.Draw(t, "unit"),
				Scaling: text.Draw(t, "scaling"), Group: text.Draw(t, "group"), App: text.Draw(t, "app"),
				Decimals: rapid.Uint8().Draw(t, "decimals"), HasDecimals: rapid.Bool().Draw(t, "has decimals")}
		}
		return d
	}), 0, 4)
}

func anyColumns() *rapid.Generator[[]entry.Column] {
	return rapid.Custom(func(t *rapid.T) []entry.Column {
		var columns []entry.Column
		for range rapid.IntRange(0, 5).Draw(t, "columns") {
			c := entry.Column{Channel: model.ChannelID(rapid.OneOf(rapid.Uint32Range(1, 9),
				rapid.Uint32Range(1, math.MaxUint32)).Draw(t, "channel"))}
			if n := len(columns); n > 0 && rapid.Bool().Draw(t, "share") {
				c.Times = columns[n-1].Times
			} else {
				c.Times = rapid.SliceOfN(anyTime(), 0, 6).Draw(t, "times")
			}
			c.Values = rapid.SliceOfN(anyValue(), len(c.Times), len(c.Times)).Draw(t, "values")
			columns = append(columns, c)
		}
		return columns
	})
}

func anyBody() *rapid.Generator[entry.Body] {
	return rapid.Custom(func(t *rapid.T) entry.Body {
		id := rapid.Uint64().Draw(t, "alarm")
		enabled := rapid.Bool().Draw(t, "enabled")
		switch rapid.IntRange(1, 12).Draw(t, "kind") {
		case 1:
			return &entry.Rows{Definitions: anyDefinitions().Draw(t, "definitions"), Columns: anyColumns().Draw(t, "columns")}
		case 2:
			return &entry.Define{Definitions: anyDefinitions().Draw(t, "definitions")}
		case 3:
			return &entry.CreateTenant{}
		case 4:
			return &entry.PutAlarm{ID: id, Name: rapid.String().Draw(t, "name"), Match: rapid.String().Draw(t, "match"),
				Channel: model.ChannelID(rapid.Uint32().Draw(t, "channel")), Operator: rapid.Uint8().Draw(t, "operator"),
				Threshold: anyValue().Draw(t, "threshold"), Low: anyValue().Draw(t, "low"), High: anyValue().Draw(t, "high"),
				Enabled: enabled}
		case 5:
			return &entry.SwitchAlarm{ID: id, Enabled: enabled}
		case 6:
			return &entry.DeleteAlarm{ID: id}
		case 7:
			from := rapid.Int64Max(math.MaxInt64-1).Draw(t, "from")
			body := &entry.DeleteRows{Span: model.Span{From: from, To: rapid.Int64Min(from+1).Draw(t, "to")}}
			if enabled {
				body.Channels = anyIDs().Draw(t, "channels")
			}
			return body
		case 8:
			return &entry.DeleteChannels{Channels: anyIDs().Draw(t, "channels")}
		case 9:
			return &entry.DeleteTenant{Bytes: id, Channels: rapid.Uint64().Draw(t, "channels")}
		case 10:
			return anyReceipt().Draw(t, "receipt")
		case 11:
			body := &entry.Attach{Definitions: anyDefinitions().Draw(t, "definitions"), Block: rapid.SliceOfN(rapid.Byte(), 1, 40).Draw(t, "block")}
			for _, id := range anyIDs().Draw(t, "channels") {
				body.Newest = append(body.Newest, entry.NewestRow{Channel: id,
					Sample: model.Sample{Time: anyTime().Draw(t, "newest"), Value: anyValue().Draw(t, "value")}})
			}
			return body
		default:
			return &entry.SetRetention{Rules: anyRules().Draw(t, "rules")}
		}
	})
}

func anyReceipt() *rapid.Generator[*entry.PutReceipt] {
	return rapid.Custom(func(t *rapid.T) *entry.PutReceipt {
		r := &entry.PutReceipt{
			Fingerprint: receipt.Fingerprint(rapid.SliceOfN(rapid.Byte(), 16, 16).Draw(t, "fingerprint")),
			Status:      rapid.Uint16().Draw(t, "status"), Header: rapid.String().Draw(t, "header"),
			Answer: rapid.SliceOf(rapid.Byte()).Draw(t, "answer"),
		}
		name := rapid.StringMatching(`[ -~]{1,40}`).Draw(t, "name")
		if rapid.Bool().Draw(t, "has a key") {
			r.ID.Key = name
		} else {
			r.ID.Producer, r.ID.Sequence = name, rapid.Uint64Min(1).Draw(t, "sequence")
		}
		return r
	})
}

// anyIDs are channel IDs as deletions name them, ascending.
func anyIDs() *rapid.Generator[[]model.ChannelID] {
	return rapid.Custom(func(t *rapid.T) []model.ChannelID {
		set := rapid.SliceOfNDistinct(rapid.Uint32Range(1, math.MaxUint32), 1, 6, rapid.ID[uint32]).Draw(t, "ids")
		slices.Sort(set)
		ids := make([]model.ChannelID, len(set))
		for i, id := range set {
			ids[i] = model.ChannelID(id)
		}
		return ids
	})
}

func anyRules() *rapid.Generator[[]policy.Rule] {
	return rapid.SliceOfN(rapid.Custom(func(t *rapid.T) policy.Rule {
		r := policy.Rule{Scope: rapid.SampledFrom([]policy.Scope{policy.ScopePlan, policy.ScopeTenant, policy.ScopeGroup,
			policy.ScopeInstrument, policy.ScopeChannel}).Draw(t, "scope")}
		if r.Scope != policy.ScopePlan && r.Scope != policy.ScopeTenant {
			r.Match = rapid.SampledFrom([]string{"a", "日本", `{unit="V"}`, `{a!="b",c=""}`}).Draw(t, "match")
		}
		for _, s := range rapid.SliceOfNDistinct(rapid.SampledFrom(model.Steps()), 1, 5, rapid.ID[model.Step]).Draw(t, "steps") {
			k, err := policy.ParseKeep(rapid.SampledFrom([]string{"forever", "1y", "6mo", "90d", "12h", "1m", "4294967295s"}).Draw(t, "keep"))
			if err != nil {
				t.Fatal(err)
			}
			r.Keep[s] = &k
		}
		return r
	}), 0, 4)
}

func anyEntry() *rapid.Generator[*entry.Entry] {
	return rapid.Custom(func(t *rapid.T) *entry.Entry {
		return &entry.Entry{
			Offset:    rapid.Uint64().Draw(t, "offset"),
			Partition: model.Partition(rapid.Uint8Range(0, model.Partitions-1).Draw(t, "partition")),
			Time:      anyTime().Draw(t, "time"),
			Tenant:    model.Tenant(rapid.StringMatching(`[a-zA-Z0-9_-][a-zA-Z0-9_.-]{0,63}`).Draw(t, "tenant")),
			Body:      anyBody().Draw(t, "body"),
		}
	})
}

func TestDecodeGivesWhatWasEncoded(t *testing.T) {
	var reused entry.Entry
	rapid.Check(t, func(t *rapid.T) {
		e := anyEntry().Draw(t, "entry")
		prefix := []byte("before")
		b, err := e.AppendTo(prefix)
		if err != nil || !bytes.HasPrefix(b, prefix) {
			t.Fatalf("encode: %v", err)
		}
		if err := entry.Decode(b[len(prefix):], &reused); err != nil {
			t.Fatal(err)
		}
		if !e.Equal(&reused) || !reused.Equal(e) {
			t.Fatalf("got %+v, want %+v", reused, e)
		}
		if rows, ok := e.Body.(*entry.Rows); ok && rows.Size() < len(b)-len(prefix) {
			t.Fatalf("Size %d is below the %d bytes it takes", rows.Size(), len(b)-len(prefix))
		}
	})
}

func TestSharedTimesAreLoggedOnce(t *testing.T) {
	times := []int64{1e18, 1e18 + 60e9, 1e18 + 120e9}
	copied := append([]int64(nil), times...)
	values := []float64{1, 2, 3}
	shared := &entry.Entry{Tenant: "t", Body: &entry.Rows{Columns: []entry.Column{{1, times, values}, {2, times, values}}}}
	apart := &entry.Entry{Tenant: "t", Body: &entry.Rows{Columns: []entry.Column{{1, times, values}, {2, copied, values}}}}
	a, b := mustEncode(t, shared), mustEncode(t, apart)
	if len(a) >= len(b) {
		t.Errorf("shared %d bytes, apart %d", len(a), len(b))
	}
	if !shared.Equal(apart) {
		t.Error("sharing changes what an entry says")
	}
	var got entry.Entry
	if err := entry.Decode(a, &got); err != nil {
		t.Fatal(err)
	}
	if c := got.Body.(*entry.Rows).Columns; &c[0].Times[0] != &c[1].Times[0] {
		t.Error("times are not shared after decoding")
	}
}

// TestKnownBytes holds the format to the table at the top of codec.go.
func TestKnownBytes(t *testing.T) {
	times := []int64{110, 120, 131}
	e := &entry.Entry{Offset: 7, Partition: 3, Time: 100, Tenant: "ab", Body: &entry.Rows{
		Definitions: []model.Definition{{ID: 300, Labels: mustLabels(t, "c"), ValidFrom: -1,
			Properties: &model.Properties{Name: "n", Unit: "V", HasDecimals: true, Decimals: 4}}},
		Columns: []entry.Column{{300, times, []float64{1, 2, 3}}, {299, times, []float64{1, 2, 3}}},
	}}
	number := func(v uint64) string { return string(binary.LittleEndian.AppendUint64(nil, v)) }
	values := number(math.Float64bits(1)) + number(math.Float64bits(2)) + number(math.Float64bits(3))
	want := number(7) + "\x03\x01" + number(100) + "\x02ab" +
		"\x01\xac\x02" + "\x17\x07channel\x01c\x0ainstrument\x01i" +
		"\x03\x01n\x01V\x00\x00\x00\x04" + number(math.MaxUint64) +
		"\x02" + "\xd8\x04" + "\x06" + "\x14\x14\x02" + values +
		"\x01" + "\x07" + values
	if got := string(mustEncode(t, e)); got != want {
		t.Errorf("got  %q\nwant %q", got, want)
	}
}

func TestTooLarge(t *testing.T) {
	long := strings.Repeat("x", entry.MaxBytes)
	column := func(rows int) *entry.Rows {
		return &entry.Rows{Columns: []entry.Column{{1, make([]int64, rows), make([]float64, rows)}}}
	}
	var definitions []model.Definition
	for range 40_000 {
		definitions = append(definitions, model.Definition{ID: 1, Labels: mustLabels(t, "c")})
	}
	for name, body := range map[string]entry.Body{
		"rows":          column(entry.MaxBytes / 9),
		"far more rows": column(entry.MaxBytes),
		"definitions":   &entry.Define{Definitions: definitions},
		"name":          &entry.PutAlarm{Name: long},
	} {
		e := entry.Entry{Tenant: "t", Body: body}
		b, err := e.AppendTo([]byte("kept"))
		if !errors.Is(err, entry.ErrTooLarge) || string(b) != "kept" {
			t.Errorf("%s: %d bytes, %v", name, len(b), err)
		}
	}
	e := entry.Entry{Tenant: "t", Body: column(entry.MaxBytes/9 - 10)}
	if _, err := e.AppendTo(nil); err != nil {
		t.Errorf("just below the limit: %v", err)
	}
}

func TestWhatCannotBeEncodedIsRefused(t *testing.T) {
	for name, e := range map[string]entry.Entry{
		"no body":           {Tenant: "t"},
		"no tenant":         {Body: &entry.CreateTenant{}},
		"partition":         {Tenant: "t", Partition: 64, Body: &entry.CreateTenant{}},
		"channel 0":         {Tenant: "t", Body: &entry.Rows{Columns: []entry.Column{{}}}},
		"uneven column":     {Tenant: "t", Body: &entry.Rows{Columns: []entry.Column{{1, []int64{1}, nil}}}},
		"no labels":         {Tenant: "t", Body: &entry.Define{Definitions: []model.Definition{{ID: 1}}}},
		"definition 0":      {Tenant: "t", Body: &entry.Define{Definitions: []model.Definition{{Labels: mustLabels(t, "c")}}}},
		"no time":           {Tenant: "t", Body: &entry.DeleteRows{Span: model.Span{From: 5, To: 5}}},
		"no channels":       {Tenant: "t", Body: &entry.DeleteRows{Span: model.AllTime(), Channels: []model.ChannelID{}}},
		"unsorted channels": {Tenant: "t", Body: &entry.DeleteChannels{Channels: []model.ChannelID{2, 1}}},
		"channel deleted 0": {Tenant: "t", Body: &entry.DeleteChannels{Channels: []model.ChannelID{0}}},
		"rule of nothing":   {Tenant: "t", Body: &entry.SetRetention{Rules: policy.Rules{{Scope: policy.ScopeTenant}}}},
		"receipt of none":   {Tenant: "t", Body: &entry.PutReceipt{}},
		"large answer":      {Tenant: "t", Body: &entry.PutReceipt{ID: receipt.ID{Key: "k"}, Answer: make([]byte, 16<<10+1)}},
		"rows, definitions": {Tenant: "t", Body: &entry.Rows{Definitions: []model.Definition{{ID: 1}}}},
	} {
		if b, err := e.AppendTo([]byte("kept")); !errors.Is(err, entry.ErrMalformed) || string(b) != "kept" {
			t.Errorf("%s: %q, %v", name, b, err)
		}
	}
}

func TestMalformedBytesAreRefusedByPosition(t *testing.T) {
	head := string(make([]byte, 8)) + "\x00"
	rest := string(make([]byte, 8)) + "\x01t"
	rows := head + "\x01" + rest
	eight := string(make([]byte, 8))
	for _, c := range []struct{ name, bytes, want string }{
		{"empty", "", "byte 0: cut short"},
		{"partition", string(make([]byte, 8)) + "\x40\x03" + rest, "byte 8: no such partition"},
		{"kind", head + "\x00" + rest, "byte 9: no such kind"},
		{"kind", head + "\x0b" + rest, "byte 9: no such kind"},
		{"no time", head + "\x07" + rest + eight + eight + "\x01", "byte 36: a deletion of no time"},
		{"all", head + "\x07" + rest + eight + "\x01" + eight[1:] + "\x02", "byte 36: neither"},
		{"no channels", head + "\x08" + rest + "\x00", "byte 21: no channels"},
		{"deleted twice", head + "\x08" + rest + "\x02\x05\x00", "byte 23: not the ID"},
		{"wild channel", head + "\x08" + rest + "\x01\x80\x80\x80\x80\x10", "byte 26: not the ID"},
		{"more channels", head + "\x08" + rest + "\x05\x01", "byte 21: no channels, or more"},
		{"rules", head + "\x0a" + rest + "\x01\x00", "byte 20: bad retention"},
		{"receipt of none", head + "\x0c" + rest + "\x00\x00\x00" + eight + eight + "\xc8\x00\x00\x00", "byte 43: a request has a key"},
		{"receipt of both", head + "\x0c" + rest + "\x01k\x01p\x01" + eight + eight + "\xc8\x00\x00\x00", "byte 45: a request has a key"},
		{"receipt cut short", head + "\x0c" + rest + "\x01k\x00\x00" + eight + eight + "\xc8\x00\x00\x05abc", "cut short"},
		{"after the rules", head + "\x0a" + rest + "\x00\x00x", "byte 20: bad retention"},
		{"tenant", head + "\x03" + string(make([]byte, 8)) + "\x01/", "byte 18: bad tenant"},
		{"no tenant", head + "\x03" + string(make([]byte, 8)) + "\x00", "byte 18: bad tenant"},
		{"long tenant count", head + "\x03" + string(make([]byte, 8)) + "\x81\x00t", "byte 18: a number that is not in its shortest"},
		{"after the end", head + "\x03" + rest + "x", "byte 20: bytes after the end"},
		{"bool", head + "\x05" + rest + eight + "\x02", "byte 28: neither"},
		{"definitions", rows + "\x01", "byte 21: more definitions"},
		{"no columns", rows + "\x00", "byte 21: cut short"},
		{"column count", rows + "\x00\x01", "byte 22: more columns"},
		{"channel 0", rows + "\x00\x01\x00\x00", "byte 24: no such channel"},
		{"negative channel", rows + "\x00\x01\x01\x00", "byte 24: no such channel"},
		{"huge channel", rows + "\x00\x01\x80\x80\x80\x80\x20\x00", "byte 28: no such channel"},
		{"rows", rows + "\x00\x01\x02\x02", "byte 24: more rows"},
		{"times of nothing", rows + "\x00\x01\x02\x03" + eight, "byte 24: shares"},
		{"shared by none", rows + "\x00\x01\x02\x01" + eight, "byte 24: shares"},
		{"shared by others", rows + "\x00\x02\x02\x02\x00" + eight + "\x02\x05" + eight + eight, "byte 35: shares"},
		{"times cut short", rows + "\x00\x01\x02\x02" + strings.Repeat("\xff", 8), "byte 24: cut short"},
		{"times too long", rows + "\x00\x01\x02\x02" + strings.Repeat("\xff", 12), "byte 24: a number of more"},
		{"values cut short", rows + "\x00\x01\x02\x02\x80\x01" + eight[:7], "byte 26: cut short"},
		{"too long", string(make([]byte, entry.MaxBytes+1)), "1048577 bytes"},
	} {
		e := entry.Entry{Body: &entry.CreateTenant{}}
		err := entry.Decode([]byte(c.bytes), &e)
		if !errors.Is(err, entry.ErrMalformed) || !strings.Contains(err.Error(), c.want) || e.Body != nil {
			t.Errorf("%s: got %v, want %s", c.name, err, c.want)
		}
	}
}

func TestEveryTruncationIsRefused(t *testing.T) {
	for _, e := range samples(t) {
		b := mustEncode(t, e)
		for n := range b {
			var got entry.Entry
			if err := entry.Decode(b[:n], &got); !errors.Is(err, entry.ErrMalformed) {
				t.Fatalf("%T cut to %d of %d bytes: %v", e.Body, n, len(b), err)
			}
		}
	}
}

// TestDecodeLeavesCallersBodiesAlone: only memory that Decode made is reused.
func TestDecodeLeavesCallersBodiesAlone(t *testing.T) {
	mine := &entry.Rows{Columns: []entry.Column{{1, []int64{5}, []float64{6}}}}
	e := entry.Entry{Tenant: "t", Body: mine}
	other := mustEncode(t, &entry.Entry{Tenant: "t", Body: &entry.Rows{Columns: []entry.Column{{2, []int64{7}, []float64{8}}}}})
	for range 2 {
		if err := entry.Decode(other, &e); err != nil {
			t.Fatal(err)
		}
	}
	if c := mine.Columns[0]; c.Channel != 1 || c.Times[0] != 5 || c.Values[0] != 6 {
		t.Errorf("Decode wrote to a body it was not given: %v", c)
	}
}

func TestDecodeDoesNotAllocateOnceWarm(t *testing.T) {
	b := mustEncode(t, wideEntry(1000))
	var e entry.Entry
	if n := testing.AllocsPerRun(20, func() {
		if err := entry.Decode(b, &e); err != nil {
			t.Fatal(err)
		}
	}); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

func TestEqualSeesEveryDifference(t *testing.T) {
	all := samples(t)
	for i, a := range all {
		for j, b := range all {
			if a.Equal(b) != (i == j) {
				t.Errorf("%d and %d: %v", i, j, a.Equal(b))
			}
		}
	}
}

// samples are entries of every kind, pairwise different.
func samples(t testing.TB) []*entry.Entry {
	labels := mustLabels(t, "c")
	nan, zero := []float64{math.NaN()}, []float64{0}
	bodies := []entry.Body{
		&entry.CreateTenant{}, &entry.DeleteAlarm{ID: 1}, &entry.DeleteAlarm{ID: 2},
		&entry.SwitchAlarm{ID: 1}, &entry.SwitchAlarm{ID: 1, Enabled: true},
		&entry.PutAlarm{}, &entry.PutAlarm{Name: "n", Match: "{}", Channel: 1}, &entry.PutAlarm{Low: math.Copysign(0, -1)},
		&entry.Define{}, &entry.Define{Definitions: []model.Definition{{ID: 1, Labels: labels}}},
		&entry.Define{Definitions: []model.Definition{{ID: 2, Labels: labels}}},
		&entry.Define{Definitions: []model.Definition{{ID: 1, Labels: mustLabels(t, "d")}}},
		&entry.Define{Definitions: []model.Definition{{ID: 1, Labels: labels, ValidFrom: 1}}},
		&entry.Define{Definitions: []model.Definition{{ID: 1, Labels: labels, Properties: &model.Properties{}}}},
		&entry.Define{Definitions: []model.Definition{{ID: 1, Labels: labels, Properties: &model.Properties{Unit: "V"}, ValidFrom: 1}}},
		&entry.Rows{}, &entry.Rows{Definitions: []model.Definition{{ID: 1, Labels: labels}}},
		&entry.Rows{Columns: []entry.Column{{Channel: 1}}},
		&entry.Rows{Columns: []entry.Column{{1, []int64{1}, nan}}},
		&entry.Rows{Columns: []entry.Column{{1, []int64{1}, zero}}},
		&entry.Rows{Columns: []entry.Column{{1, []int64{1}, []float64{math.Copysign(0, -1)}}}},
		&entry.Rows{Columns: []entry.Column{{1, []int64{2}, zero}, {2, []int64{2}, zero}}},
	}
	year, err := policy.ParseKeep("1y")
	if err != nil {
		t.Fatal(err)
	}
	rule := policy.Rule{Scope: policy.ScopeGroup, Match: "g"}
	rule.Keep[model.StepHour] = &year
	other := rule
	other.Keep = [model.StepCount]*policy.Keep{&policy.Forever}
	bodies = append(bodies,
		&entry.DeleteRows{Span: model.Span{From: 1, To: 2}}, &entry.DeleteRows{Span: model.Span{From: 1, To: 3}},
		&entry.DeleteRows{Span: model.Span{From: 1, To: 2}, Channels: []model.ChannelID{1}},
		&entry.DeleteRows{Span: model.Span{From: 1, To: 2}, Channels: []model.ChannelID{1, 300}},
		&entry.DeleteChannels{Channels: []model.ChannelID{1}}, &entry.DeleteChannels{Channels: []model.ChannelID{2}},
		&entry.DeleteTenant{}, &entry.DeleteTenant{Bytes: 1}, &entry.DeleteTenant{Channels: 1},
		&entry.PutReceipt{ID: receipt.ID{Key: "k"}}, &entry.PutReceipt{ID: receipt.ID{Key: "l"}},
		&entry.PutReceipt{ID: receipt.ID{Producer: "k", Sequence: 1}}, &entry.PutReceipt{ID: receipt.ID{Producer: "k", Sequence: 300}},
		&entry.PutReceipt{ID: receipt.ID{Key: "k"}, Fingerprint: receipt.Fingerprint{1}}, &entry.PutReceipt{ID: receipt.ID{Key: "k"}, Status: 200},
		&entry.PutReceipt{ID: receipt.ID{Key: "k"}, Header: "h"}, &entry.PutReceipt{ID: receipt.ID{Key: "k"}, Answer: []byte("a")},
		&entry.SetRetention{}, &entry.SetRetention{Rules: policy.Rules{rule}}, &entry.SetRetention{Rules: policy.Rules{other}},
	)
	all := []*entry.Entry{
		{Tenant: "u", Body: &entry.CreateTenant{}}, {Tenant: "t", Offset: 1, Body: &entry.CreateTenant{}},
		{Tenant: "t", Partition: 1, Body: &entry.CreateTenant{}}, {Tenant: "t", Time: 1, Body: &entry.CreateTenant{}},
	}
	for _, b := range bodies {
		all = append(all, &entry.Entry{Tenant: "t", Body: b})
	}
	return all
}

func FuzzDecode(f *testing.F) {
	for _, e := range samples(f) {
		f.Add(mustEncode(f, e))
	}
	times := []int64{1, 2, 3}
	values := []float64{1, 2, 3}
	f.Add(mustEncode(f, &entry.Entry{Tenant: "t", Body: &entry.Rows{Columns: []entry.Column{{1, times, values}, {2, times, values}}}}))
	f.Add(mustEncode(f, &entry.Entry{Tenant: "t", Body: &entry.Attach{Block: []byte{1}, Newest: []entry.NewestRow{{Channel: 7, Sample: model.Sample{Time: 9, Value: 2}}}}}))
	f.Fuzz(func(t *testing.T, b []byte) {
		var e, again entry.Entry
		if err := entry.Decode(b, &e); err != nil {
			if !errors.Is(err, entry.ErrMalformed) || e.Body != nil {
				t.Fatal(err)
			}
			return
		}
		out, err := e.AppendTo(nil)
		if err != nil || !bytes.Equal(out, b) {
			t.Fatalf("%x became %x, %v", b, out, err)
		}
		if err := entry.Decode(out, &again); err != nil || !again.Equal(&e) {
			t.Fatalf("decoded again: %v", err)
		}
	})
}
