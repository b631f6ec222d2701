package remotewrite_test

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"google.golang.org/protobuf/encoding/protowire"

	"github.com/hokan-db/hokan/engine/model"
	"github.com/hokan-db/hokan/ingest/admit"
	"github.com/hokan-db/hokan/ingest/remotewrite"
	"github.com/hokan-db/hokan/ingest/remotewrite/remotewritetest"
)

type series = remotewritetest.Series

// both runs a test with the same series in both versions.
func both(t *testing.T, all []series, check func(t *testing.T, d *remotewrite.Decoder, r *admit.Request)) {
	t.Helper()
	for name, c := range map[string]struct {
		message remotewrite.Message
		body    []byte
	}{
		"1.0": {remotewrite.WriteRequest, remotewritetest.Encode1(all)},
		"2.0": {remotewrite.Request2, remotewritetest.Encode2(all)},
	} {
		t.Run(name, func(t *testing.T) {
			var d remotewrite.Decoder
			for range 3 { // the labels are new, known, and known to follow
				r, err := d.Decode("lake", c.body, c.message)
				if err != nil {
					t.Fatal(err)
				}
				check(t, &d, r)
			}
		})
	}
}

func named(pairs ...string) series {
	return series{Labels: pairs, Times: []int64{5}, Values: []float64{1}}
}

func TestSeriesBecomeChannels(t *testing.T) {
	for _, c := range []struct {
		labels []string
		want   string
	}{
		{[]string{"__name__", "up", "instance", "a:1", "job", "node"}, `{channel="up",instrument="a:1",job="node"}`},
		{[]string{"__name__", "up", "job", "node", "zone", "z"}, `{channel="up",instrument="node",zone="z"}`},
		{[]string{"__name__", "job:up:sum", "instrument", "pump"}, `{channel="job:up:sum",instrument="pump"}`},
		{[]string{"__name__", "total"}, `{channel="total",instrument="total"}`},
		{[]string{"__name__", "up", "channel", "3", "instance", "a", "instrument", "pump"},
			`{channel="up",exported_channel="3",exported_instrument="pump",instrument="a"}`},
		{[]string{"zone", "z", "job", "node", "__name__", "up"}, `{channel="up",instrument="node",zone="z"}`}, // as vmagent may have them
		{[]string{"__name__", "温度", "instance", "ü\n\"", "job", "x"}, `{channel="温度",instrument="ü\n\"",job="x"}`},
	} {
		both(t, []series{named(c.labels...)}, func(t *testing.T, _ *remotewrite.Decoder, r *admit.Request) {
			if got := r.Channels[0]; got.Labels.String() != c.want || got.Refused != "" {
				t.Errorf("%q: %s %s, want %s", c.labels, got.Labels, got.Refused, c.want)
			}
		})
	}
}

func TestLabelsThatAreRefused(t *testing.T) {
	long := strings.Repeat("x", 1<<20)
	many := []string{"__name__", "up"}
	for i := range model.MaxLabels {
		many = append(many, fmt.Sprint("l", i), "v")
	}
	for _, c := range []struct {
		labels []string
		why    string
	}{
		{[]string{"instance", "a", "job", "b"}, "no label __name__"},
		{[]string{"__name__", "", "job", "b"}, `"__name__" is empty`},
		{[]string{"__name__", "up", "instance", "", "job", "b"}, `"instance" is empty`},
		{[]string{"__name__", "up", "", "x"}, "has no name"},
		{[]string{"__name__", "up", "a", "1", "a", "2"}, `"a" is given twice`},
		{[]string{"__name__", "up", "__name__", "down"}, `"__name__" is given twice`},
		{[]string{"__name__", "up", "a-b", "1"}, `"a-b"`},
		{[]string{"__name__", "up", "job", "a\xff"}, "UTF-8"},
		{[]string{"__name__", "up", "job", "a\x00"}, "NUL"},
		{[]string{"__name__", "up", "job", long}, "bytes, at most 1024"},
		{[]string{"__name__", "up", long, "x"}, "at most"},
		{many, "more than 32 labels"},
		{nil, "no label __name__"},
	} {
		all := []series{named("__name__", "good", "job", "a"), named(c.labels...), named("__name__", "good", "job", "b")}
		both(t, all, func(t *testing.T, d *remotewrite.Decoder, r *admit.Request) {
			result := r.Judge(0, 1e18, nil)
			if len(r.Columns()) != 2 || result.Rejected != 1 || result.Reasons[admit.BadLabel] != 1 {
				t.Fatalf("%.60q: %d columns, %+v", c.labels, len(r.Columns()), result)
			}
			e := result.Errors[0]
			if !strings.Contains(e.Detail, c.why) || len(e.Detail) > 300 || d.Series(e.Channel) != 1 {
				t.Errorf("%.60q: %q of series %d, want %q", c.labels, e.Detail, d.Series(e.Channel), c.why)
			}
		})
	}
}

func TestSamplesAreKeptBitForBit(t *testing.T) {
	stale := math.Float64frombits(0x7ff0000000000002)
	values := []float64{1.5, 0, math.Copysign(0, -1), math.Inf(1), stale, math.NaN(), math.MaxFloat64}
	times := []int64{1700000000000, 3, 0, -5, 1700000000000, 7, 9} // out of order, twice, before 1970
	one := series{Labels: []string{"__name__", "up", "job", "a"}, Times: times, Values: values, Start: 1600000000000}
	both(t, []series{one}, func(t *testing.T, _ *remotewrite.Decoder, r *admit.Request) {
		if r.Unit != admit.Milliseconds || r.Tenant != "lake" {
			t.Error(r.Unit, r.Tenant)
		}
		c := r.Channels[0]
		if !slices.Equal(r.Clocks[c.Clock].Times, times) {
			t.Errorf("times %d", r.Clocks[c.Clock].Times)
		}
		for i, v := range c.Values {
			want := math.Float64bits(values[i])
			if values[i] == 0 {
				want = 0 // senders leave out zeros of either sign
			}
			if math.Float64bits(v) != want {
				t.Errorf("value %d is %x, want %x", i, math.Float64bits(v), want)
			}
		}
		if q := model.QualityOf(c.Values[4]); q != model.QualityNoData {
			t.Errorf("a stale marker is %v", q)
		}
	})
}

func TestWhatIsScrapedTogetherSharesItsTimes(t *testing.T) {
	all := remotewritetest.Scrape(3, 20, 2, 1.7e12)
	both(t, all, func(t *testing.T, _ *remotewrite.Decoder, r *admit.Request) {
		if len(r.Channels) != 60 || len(r.Clocks) != 3 {
			t.Fatalf("%d channels, %d clocks", len(r.Channels), len(r.Clocks))
		}
		for i, c := range r.Channels {
			if !slices.Equal(r.Clocks[c.Clock].Times, all[i].Times) || !slices.Equal(c.Values, all[i].Values) {
				t.Fatalf("series %d: %v %v", i, r.Clocks[c.Clock].Times, c.Values)
			}
		}
	})
}

func TestHistogramsAreRefusedBesideTheirSiblings(t *testing.T) {
	all := []series{
		named("__name__", "a", "job", "x"),
		{Labels: []string{"__name__", "b", "job", "x"}, Histograms: 3},
		{Labels: []string{"__name__", "c", "job", "x"}, Times: []int64{5}, Values: []float64{2}, Histograms: 1, Exemplars: 2},
		{Labels: []string{"__name__", "d", "job", "x"}}, // nothing
	}
	both(t, all, func(t *testing.T, d *remotewrite.Decoder, r *admit.Request) {
		result := r.Judge(0, 1e18, nil)
		if len(r.Columns()) != 2 || result.Rejected != 4 || result.Reasons[remotewrite.NativeHistogram] != 4 || d.Exemplars() != 2 ||
			result.Errors[0].Index != 1 || result.Errors[1].Index != 2 {
			t.Errorf("%d columns, %+v, %d exemplars", len(r.Columns()), result, d.Exemplars())
		}
	})
}

func TestMetadataOf2BecomesProperties(t *testing.T) {
	one := named("__name__", "http_seconds_total", "job", "x")
	one.Kind, one.Help, one.Unit = 1, "Time spent.", "seconds"
	bare := named("__name__", "bare", "job", "x")
	long := named("__name__", "long", "job", "x")
	long.Help = strings.Repeat("é", 2000)
	long.Unit = "\xff"
	var d remotewrite.Decoder
	for range 2 {
		r, err := d.Decode("lake", remotewritetest.Encode2([]series{one, bare, long}), remotewrite.Request2)
		if err != nil {
			t.Fatal(err)
		}
		if got := *r.Channels[0].Properties; got != (model.Properties{Name: "Time spent.", Unit: "seconds", Scaling: "counter"}) {
			t.Errorf("%+v", got)
		}
		if r.Channels[1].Properties != nil {
			t.Errorf("%+v of nothing", r.Channels[1].Properties)
		}
		if got := *r.Channels[2].Properties; got.Name != strings.Repeat("é", 512) || got.Unit != "?" || got.Scaling != "" {
			t.Errorf("%+v", got)
		}
		one.Kind = 2 // a new type is seen at once
		r, err = d.Decode("lake", remotewritetest.Encode2([]series{one}), remotewrite.Request2)
		if err != nil || r.Channels[0].Properties.Scaling != "gauge" {
			t.Fatal(err, r.Channels[0].Properties)
		}
		one.Kind = 1
	}
}

func TestMetadataOf1IsRemembered(t *testing.T) {
	const tenant = "metadata"
	names := []string{"req_seconds_bucket", "req_seconds_sum", "temp", "other"}
	var all []series
	for _, name := range names {
		all = append(all, named("__name__", name, "job", "x"))
	}
	var d remotewrite.Decoder
	told := func(want ...string) {
		t.Helper()
		r, err := d.Decode(tenant, remotewritetest.Encode1(all), remotewrite.WriteRequest)
		if err != nil {
			t.Fatal(err)
		}
		for i := range all {
			text := ""
			if p := r.Channels[i].Properties; p != nil {
				text = p.Name + "|" + p.Unit + "|" + p.Scaling
			}
			if text != want[i] {
				t.Errorf("%s: %q, want %q", names[i], text, want[i])
			}
		}
	}
	tell := func(tenant model.Tenant, m ...remotewritetest.Metadata) {
		t.Helper()
		if r, err := d.Decode(tenant, remotewritetest.Encode1(nil, m...), remotewrite.WriteRequest); err != nil || len(r.Channels) != 0 {
			t.Fatal(err)
		}
	}
	told("", "", "", "")
	tell("stranger", remotewritetest.Metadata{Kind: 2, Name: "temp", Help: "Not ours."})
	told("", "", "", "")
	tell(tenant, remotewritetest.Metadata{Kind: 3, Name: "req_seconds", Help: "Latency.", Unit: "seconds"},
		remotewritetest.Metadata{Kind: 2, Name: "temp", Help: "Heat."})
	told("Latency.|seconds|histogram", "Latency.|seconds|histogram", "Heat.||gauge", "")
	tell(tenant, remotewritetest.Metadata{Kind: 2, Name: "temp", Help: "Another program's words."})
	told("Latency.|seconds|histogram", "Latency.|seconds|histogram", "Heat.||gauge", "")
	tell(tenant, remotewritetest.Metadata{Kind: 2, Name: "temp", Help: "Heat.", Unit: "celsius"})
	told("Latency.|seconds|histogram", "Latency.|seconds|histogram", "Heat.|celsius|gauge", "")
}

// Labels that were seen before are known again, however they are mixed, and
// where one set begins another.
func TestSeriesInAnyOrder(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	var all []series
	var want []string
	for i := range 40 {
		labels := []string{"__name__", "m", "instance", strings.Repeat("1", i%7+1)}
		text := `{channel="m",instrument="` + labels[3] + `"`
		for n := range i / 7 { // each begins the next
			labels = append(labels, fmt.Sprint("l", n), "v")
			text += fmt.Sprintf(`,l%d="v"`, n)
		}
		all = append(all, series{Labels: labels, Times: []int64{int64(i)}, Values: []float64{float64(i)}})
		want = append(want, text+"}")
	}
	var d remotewrite.Decoder
	for range 300 {
		var sent []series
		var expected []string
		for range random.IntN(60) {
			i := random.IntN(len(all))
			for range 1 + random.IntN(3) {
				sent, expected = append(sent, all[i%40]), append(expected, want[i%40])
				i++
			}
		}
		for message, body := range [][]byte{remotewritetest.Encode1(sent), remotewritetest.Encode2(sent)} {
			r, err := d.Decode("order", body, remotewrite.Message(message))
			if err != nil {
				t.Fatal(err)
			}
			for i := range sent {
				if got := r.Channels[i].Labels.String(); got != expected[i] || !slices.Equal(r.Channels[i].Values, sent[i].Values) {
					t.Fatalf("series %d of version %d.0 is %s, want %s", i, message+1, got, expected[i])
				}
			}
		}
	}
}

// Fields may come in any order, more than once, and from versions to come.
func TestUnusualForms(t *testing.T) {
	label := func(name, value string) []byte {
		b := protowire.AppendString(protowire.AppendTag(nil, 2, protowire.BytesType), value)
		return protowire.AppendString(protowire.AppendTag(b, 1, protowire.BytesType), name)
	}
	bytesField := func(b []byte, number protowire.Number, content []byte) []byte {
		return protowire.AppendBytes(protowire.AppendTag(b, number, protowire.BytesType), content)
	}
	sample := protowire.AppendVarint(protowire.AppendTag(nil, 2, protowire.VarintType), 7)
	sample = protowire.AppendFixed64(protowire.AppendTag(sample, 1, protowire.Fixed64Type), math.Float64bits(3))
	sample = protowire.AppendVarint(protowire.AppendTag(sample, 99, protowire.VarintType), 1)
	one := bytesField(nil, 2, sample)
	one = bytesField(one, 1, label("__name__", "up"))
	one = protowire.AppendFixed32(protowire.AppendTag(one, 77, protowire.Fixed32Type), 1)
	one = bytesField(one, 1, label("job", "x"))
	body := bytesField(protowire.AppendVarint(protowire.AppendTag(nil, 15, protowire.VarintType), 8), 1, one)
	var d remotewrite.Decoder
	for range 2 {
		r, err := d.Decode("lake", body, remotewrite.WriteRequest)
		if err != nil || r.Channels[0].Labels.String() != `{channel="up",instrument="x"}` || r.Channels[0].Values[0] != 3 ||
			r.Clocks[0].Times[0] != 7 {
			t.Fatal(err, r)
		}
	}
	// Of 2.0: references one by one, and symbols behind the series.
	ref := func(b []byte, n uint64) []byte {
		return protowire.AppendVarint(protowire.AppendTag(b, 1, protowire.VarintType), n)
	}
	one = bytesField(nil, 2, sample)
	for n := range uint64(4) {
		one = ref(one, n+1)
	}
	body = bytesField(nil, 5, one)
	for _, text := range []string{"", "__name__", "up", "job", "x"} {
		body = bytesField(body, 4, []byte(text))
	}
	r, err := d.Decode("lake", body, remotewrite.Request2)
	if err != nil || r.Channels[0].Labels.String() != `{channel="up",instrument="x"}` || r.Channels[0].Values[0] != 3 {
		t.Fatal(err, r)
	}
	// References that are odd in number, or to nothing: the series alone is refused.
	for _, bad := range [][]uint64{{1, 2, 3}, {1, 2, 3, 9}, {1, 2, 1 << 31, 4}} {
		one = bytesField(nil, 2, sample)
		for _, n := range bad {
			one = ref(one, n)
		}
		r, err := d.Decode("lake", bytesField(slices.Clone(body), 5, one), remotewrite.Request2)
		if err != nil || r.Channels[0].Refused != "" || r.Channels[1].Refused == "" {
			t.Fatal(err, r)
		}
	}
}

// A body that is cut off anywhere is refused whole, but between fields.
func TestBodiesThatAreCutOff(t *testing.T) {
	all := remotewritetest.Scrape(1, 5, 2, 1.7e12)
	var d remotewrite.Decoder
	for message, body := range [][]byte{remotewritetest.Encode1(all), remotewritetest.Encode2(all)} {
		whole := 0
		for n := range body {
			r, err := d.Decode("lake", body[:n:n], remotewrite.Message(message))
			if err == nil {
				whole++
				if len(r.Channels) >= 5 {
					t.Fatalf("%d of %d bytes have %d channels", n, len(body), len(r.Channels))
				}
				continue
			}
			if e, ok := err.(*remotewrite.Error); !ok || e.Code != "malformed" {
				t.Fatalf("%d bytes: %v", n, err)
			}
		}
		if whole > 40 {
			t.Errorf("%d beginnings of version %d.0 are taken for bodies", whole, message+1)
		}
	}
	// What is read as the other message has nothing in it.
	for message, body := range [][]byte{remotewritetest.Encode2(all), remotewritetest.Encode1(all)} {
		if _, err := d.Decode("lake", body, remotewrite.Message(message)); err == nil || !strings.Contains(err.Error(), "another version") {
			t.Errorf("%d: %v", message, err)
		}
	}
}

func TestTooManySeries(t *testing.T) {
	var d remotewrite.Decoder
	body := remotewritetest.Encode1(make([]series, 100_001))
	if _, err := d.Decode("lake", body, remotewrite.WriteRequest); err == nil || err.(*remotewrite.Error).Code != "too_many_channels" {
		t.Error(err)
	}
	body = remotewritetest.Encode1([]series{{Times: make([]int64, 4_000_001), Values: make([]float64, 4_000_001)}})
	if _, err := d.Decode("lake", body, remotewrite.WriteRequest); err == nil || err.(*remotewrite.Error).Code != "body_too_large" {
		t.Error(err)
	}
	if !d.Large() {
		t.Error("a decoder that has read so much is kept")
	}
}

func TestKnownSeriesTakeNoMemory(t *testing.T) {
	for message, body := range [][]byte{
		remotewritetest.Encode1(remotewritetest.Scrape(10, 100, 1, 1.7e12)), remotewritetest.Encode2(remotewritetest.Scrape(10, 100, 1, 1.7e12)),
	} {
		var d remotewrite.Decoder
		decode := func() {
			if _, err := d.Decode("lake", body, remotewrite.Message(message)); err != nil {
				t.Fatal(err)
			}
		}
		decode()
		if n := testing.AllocsPerRun(20, decode); n > 5 {
			t.Errorf("%v allocations for 1000 samples of version %d.0", n, message+1)
		}
	}
}
