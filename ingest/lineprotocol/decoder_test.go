package lineprotocol

import (
	"bytes"
	"errors"
	"fmt"
	"math"
	"strings"
	"testing"
	"time"

	"github.com/hokan-db/hokan/engine/model"
	"github.com/hokan-db/hokan/engine/policy"
	"github.com/hokan-db/hokan/ingest/admit"
)

const now = int64(1_800_000_000_123_456_789)

// samplesOf lists what a body holds: of every sample instrument/channel, labels
// beside those, time and value; then what is refused.
func samplesOf(t *testing.T, d *Decoder, body string, o Options) []string {
	t.Helper()
	o.Now = now
	r, err := d.Decode("t", []byte(body), o)
	if err != nil {
		return []string{err.Error()}
	}
	var all []string
	for i := range r.Channels {
		c := &r.Channels[i]
		name := c.Labels.Instrument() + "/" + c.Labels.Channel()
		for n, v := range c.Labels.All() {
			if n != "instrument" && n != "channel" {
				name += " " + n + "=" + v
			}
		}
		for j, at := range r.Clocks[c.Clock].Times {
			all = append(all, fmt.Sprintf("%d: %s @%d %v", d.Line(i, j), name, at, c.Values[j]))
		}
	}
	for _, e := range r.Judge(now, math.MaxInt64/2, nil).Errors {
		all = append(all, fmt.Sprintf("%d: %s: %s", e.Index, e.Code, e.Detail))
	}
	return all
}

func TestLines(t *testing.T) {
	var d Decoder
	for _, c := range []struct {
		name, body string
		unit       admit.Unit
		want       []string
	}{
		{"a line", "cpu,host=a usage=1.5,idle=2 1700000000000000000\n", admit.Unit{},
			[]string{"1: a/cpu.usage host=a @1700000000000000000 1.5", "1: a/cpu.idle host=a @1700000000000000000 2"}},
		{"a field named value, no tags, no newline at the end", "temperature value=-0.25 17", admit.Seconds, []string{"1: temperature/temperature @17 -0.25"}},
		{"instrument before host", "m,host=h,instrument=i,z=1 f=1 5", admit.Unit{}, []string{"1: i/m.f host=h z=1 @5 1"}},
		{"kinds of values", "m a=12i,b=13u,c=t,d=FALSE,e=1e3,f=-7i,g=.5,h=3.,i=True 5", admit.Unit{}, []string{
			"1: m/m.a @5 12", "1: m/m.b @5 13", "1: m/m.c @5 1", "1: m/m.d @5 0", "1: m/m.e @5 1000", "1: m/m.f @5 -7", "1: m/m.g @5 0.5", "1: m/m.h @5 3", "1: m/m.i @5 1"}},
		{"words", "m a=NaN,b=inf,c=-Infinity,d=+Inf 5", admit.Unit{}, []string{"1: m/m.a @5 NaN", "1: m/m.b @5 +Inf", "1: m/m.c @5 -Inf", "1: m/m.d @5 +Inf"}},
		{"strings are refused, the others kept", "m a=1,s=\"x, y=\\\" \n z\",b=2 5\nm a=3 6", admit.Unit{}, []string{"1: m/m.a @5 1", "3: m/m.a @6 3", "1: m/m.b @5 2",
			`1: not_a_number: field of channel "m.s" is a string, and only numbers are kept: leave it out, or send it as a tag`}},
		{"too large", "m a=1e400,b=99999999999999999999i,c=1 5", admit.Unit{}, []string{"1: m/m.c @5 1",
			`1: not_a_number: field of channel "m.a" is beyond what it can hold: 1e400`, `1: not_a_number: field of channel "m.b" is beyond what it can hold: 99999999999999999999i`}},
		{"no time", "m a=1\n m a=2  \r\n", admit.Milliseconds, []string{"1: m/m.a @1800000000123 1", "2: m/m.a @1800000000123 2"}},
		{"blank lines and comments", "\n# x\n  \r\nm a=1 5\r\n\n#", admit.Unit{}, []string{"4: m/m.a @5 1"}},
		{"escapes", `m\ x\,y=,ta\ g\==v\,\=\ w,instrument=i f\=\,\ 1=1 5`, admit.Unit{}, []string{`1: i/m x,y=.f=, 1 ta_g_=v,= w @5 1`}},
		{"names of labels", "m,docker.compose=a,9b=c,channel=7,instrument=i f=1 5", admit.Unit{}, []string{"1: i/m.f _9b=c docker_compose=a exported_channel=7 @5 1"}},
		{"bad lines among good ones", "m a=1 5\nm\nm a=1,b=x 6\nm a= 7\nm,t= a=1 8\nm a=1 9x\nm a=1 9 9\nm a=\"1 2\nm a=2 6", admit.Unit{}, []string{"1: m/m.a @5 1",
			`2: malformed: want a space and fields, got the end of the line`, `3: malformed: want the value of a field, got "x 6"`,
			`4: malformed: want the value of a field, got " 7"`, `5: malformed: want the value of a tag, got " a=1 8"`,
			`6: malformed: want the end of the line behind the time, got "x"`, `7: malformed: want the end of the line behind the time, got "9"`,
			`8: malformed: want the value of a field, got "\"1 2"`}},
		{"a time beyond all", "m a=1,b=2 99999999999999999999\nm a=1 5", admit.Unit{}, []string{"2: m/m.a @5 1",
			"1: bad_time: the time is beyond what 64 bits hold", "1: bad_time: the time is beyond what 64 bits hold"}},
		{"a label twice", "m,a.b=1,a_b=2 f=1 5\nm f=1 5", admit.Unit{}, []string{"2: m/m.f @5 1", `1: bad_label: bad label: "a_b" is given twice`}},
		{"fields in another order", "m a=1,b=2 1\nm b=3,a=4 2\nn a=5 2\nm b=6,a=7 3", admit.Unit{}, []string{
			"1: m/m.a @1 1", "2: m/m.a @2 4", "4: m/m.a @3 7", "1: m/m.b @1 2", "2: m/m.b @2 3", "4: m/m.b @3 6", "3: n/n.a @2 5"}},
	} {
		for range 3 { // then what is known is used
			if got := samplesOf(t, &d, c.body, Options{Unit: c.unit}); strings.Join(got, "\n") != strings.Join(c.want, "\n") {
				t.Errorf("%s:\n%s\nwant\n%s", c.name, strings.Join(got, "\n"), strings.Join(c.want, "\n"))
			}
		}
	}
}

func TestManyLinesInAnyOrder(t *testing.T) {
	var d Decoder
	var b strings.Builder
	want := map[string]int{}
	for i := range 5000 {
		instrument, field := i*7919%61, i*31%17
		fmt.Fprintf(&b, "m,instrument=i%d f%d=%d,g=%d %d\n", instrument, field, i, -i, i)
		want[fmt.Sprintf("i%d/m.f%d", instrument, field)]++
		want[fmt.Sprintf("i%d/m.g", instrument)]++
	}
	for range 2 {
		r, err := d.Decode("t", []byte(b.String()), Options{})
		if err != nil {
			t.Fatal(err)
		}
		if len(r.Channels) != len(want) {
			t.Errorf("%d channels, want %d", len(r.Channels), len(want))
		}
		for i, c := range r.Channels {
			name := c.Labels.Instrument() + "/" + c.Labels.Channel()
			if len(c.Values) != want[name] {
				t.Errorf("%s: %d values, want %d", name, len(c.Values), want[name])
			}
			for j, at := range r.Clocks[c.Clock].Times {
				if v := int64(math.Abs(c.Values[j])); v != at || int64(d.Line(i, j)) != at+1 {
					t.Fatalf("%s: value %v at %d of line %d", name, c.Values[j], at, d.Line(i, j))
				}
			}
		}
	}
}

func TestTimesAreShared(t *testing.T) {
	var d Decoder
	r, err := d.Decode("t", []byte("m a=1,b=2,c=3 1\nm a=1,b=2 2\n"), Options{})
	if err != nil || len(r.Clocks) != 2 || r.Channels[0].Clock != r.Channels[1].Clock {
		t.Errorf("%d clocks, %v", len(r.Clocks), err)
	}
}

func TestBoundsOfABody(t *testing.T) {
	var d Decoder
	long := strings.Repeat("x", 1000)
	var names strings.Builder
	for i := range int(policy.BodyChannels.Default) + 1 {
		fmt.Fprintf(&names, "m f%d=1\n", i)
	}
	var wide strings.Builder // 30 KiB of tags, then fields that are each another channel
	wide.WriteString("m")
	for i := range 30 {
		fmt.Fprintf(&wide, ",t%d=%s", i, long)
	}
	wide.WriteString(" a=1")
	for i := range 5000 {
		fmt.Fprintf(&wide, ",f%d=1", i)
	}
	for _, c := range []struct{ name, body string }{
		{"channels", names.String()},
		{"labels", wide.String()},
		{"samples", strings.Repeat("m a=1,a=2,a=3,a=4,a=5,a=6,a=7,a=8\n", int(policy.BodySamples.Default)/8+1)},
	} {
		if _, err := d.Decode("t", []byte(c.body), Options{}); !errors.Is(err, ErrTooLarge) {
			t.Errorf("%s: %v", c.name, err)
		}
	}
	// A label set of 1 MB is refused by its label, with the lines around it kept.
	body := "m a=1 1\nm" + strings.Repeat(",t="+long, 1<<20/1000) + " a=1,b=2 1\nm a=2 2\n"
	got := samplesOf(t, &d, body, Options{})
	if len(got) != 4 || !strings.Contains(got[2], "bad_label") || !strings.Contains(got[3], "bad_label") {
		t.Errorf("%.300q", got)
	}
	// A channel that is too long for the cache is still one channel.
	body = strings.Repeat("m,t="+long+",u="+long+" a=1,b=2\n", 3)
	if r, err := d.Decode("t", []byte(body), Options{}); err != nil || len(r.Channels) != 2 || len(r.Channels[0].Values) != 3 {
		t.Errorf("%d channels, %v", len(r.Channels), err)
	}
}

// What a body has is not seen in the next.
func TestDecodersForget(t *testing.T) {
	var d Decoder
	samplesOf(t, &d, "m a=1,b=2,s=\"x\" 5\nbad", Options{})
	if got := samplesOf(t, &d, "m b=1 6", Options{}); len(got) != 1 || got[0] != "1: m/m.b @6 1" {
		t.Errorf("%q", got)
	}
	if got := samplesOf(t, &d, "", Options{}); got != nil {
		t.Errorf("%q", got)
	}
}

// FuzzDecode reads anything: what it reads once it reads again, also by what it
// knows then, and every sample has labels, a line and a time.
func FuzzDecode(f *testing.F) {
	for _, seed := range []string{
		"cpu,host=a usage=1.5,idle=2i 1700000000000000000\ncpu,host=a usage=1.6,idle=3i 1700000000000000001\n",
		"m\\ x,t\\==\\, f=\"a\\\"\n\",g=T 5\r\n#c\n\nm f=NaN", "m a=1,b=-.5e3,c=0x1p-2,d=1u -9223372036854775808", "m a=1\nm a", "m,a=b", "\r", "m \\==1",
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		lines := bytes.Count(body, []byte("\n")) + 1
		var d Decoder
		var before string
		for range 2 {
			r, err := d.Decode("t", body, Options{Unit: admit.Seconds, Now: now})
			if err != nil {
				t.Fatal(err)
			}
			var text strings.Builder
			for i, c := range r.Channels {
				times := r.Clocks[c.Clock].Times
				if c.Labels.IsZero() || len(times) != len(c.Values) {
					t.Fatalf("channel %d: %+v", i, c)
				}
				for j := range times {
					if n := d.Line(i, j); n < 1 || n > lines {
						t.Fatalf("line %d of %d", n, lines)
					}
				}
				fmt.Fprintln(&text, c.Labels, times, c.Values)
			}
			fmt.Fprintf(&text, "%+v", *r.Judge(now, int64(24*time.Hour), nil))
			if before != "" && before != text.String() {
				t.Fatalf("%s\nbecomes\n%s", before, text.String())
			}
			before = text.String()
		}
	})
}

// TestNoMemoryForSamples decodes what is known: the number of allocations does
// not depend on that of samples.
func TestNoMemoryForSamples(t *testing.T) {
	for _, fields := range []int{1, 10} {
		var d Decoder
		body := lines(1000/fields, fields)
		decode := func() {
			if _, err := d.Decode("t", body, Options{}); err != nil {
				t.Fatal(err)
			}
		}
		decode()
		if n := testing.AllocsPerRun(20, decode); n > 2 {
			t.Errorf("%d fields: %v allocations", fields, n)
		}
	}
}

// lines are n lines with fields, of 50 hosts.
func lines(n, fields int) []byte {
	var b bytes.Buffer
	for i := range n {
		fmt.Fprintf(&b, "cpu,host=server-%03d,region=eu-west,rack=%d ", i%50, i%50%7)
		for f := range fields {
			if f > 0 {
				b.WriteByte(',')
			}
			fmt.Fprintf(&b, "usage_%d=%.1f", f, float64((i*37+f*11)%1000)/10)
		}
		fmt.Fprintf(&b, " %d\n", 1_700_000_000_000_000_000+int64(i/50)*1e10)
	}
	return b.Bytes()
}

// BenchmarkDecode is the parser alone, of 1,000 samples in lines of few or more
// fields.
func BenchmarkDecode(b *testing.B) {
	for _, fields := range []int{1, 4, 10} {
		body := lines(1000/fields, fields)
		b.Run(fmt.Sprintf("fields=%d", fields), func(b *testing.B) {
			var d Decoder
			b.SetBytes(int64(len(body)))
			b.ReportAllocs()
			for b.Loop() {
				if _, err := d.Decode(model.Tenant("t"), body, Options{}); err != nil {
					b.Fatal(err)
				}
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/1000, "ns/sample")
		})
	}
}
