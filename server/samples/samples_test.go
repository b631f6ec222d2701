package samples_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"slices"
	"strings"
	"testing"
	"testing/iotest"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/zstd"
	"github.com/vmihailenco/msgpack/v5"

	"github.com/hokan-db/hokan/engine"
	"github.com/hokan-db/hokan/engine/model"
	"github.com/hokan-db/hokan/ingest/admit"
	"github.com/hokan-db/hokan/server/api"
	"github.com/hokan-db/hokan/server/samples"
)

const tenant model.Tenant = "t"

var (
	ctx = context.Background()
	now = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
)

func openWriter(t testing.TB) *samples.Writer {
	t.Helper()
	clock := func() time.Time { return now }
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
	return &samples.Writer{To: &admit.Writer{DB: db, Clock: clock}}
}

// asMsgpack turns a request in JSON into msgpack, with its numbers as they come.
func asMsgpack(t testing.TB, text string) []byte {
	t.Helper()
	var request any
	decoder := json.NewDecoder(strings.NewReader(text))
	decoder.UseNumber()
	if err := decoder.Decode(&request); err != nil {
		t.Fatalf("%v in %s", err, text)
	}
	packed, err := msgpack.Marshal(numbers(request))
	if err != nil {
		t.Fatal(err)
	}
	return packed
}

// numbers makes integers and floats of the numbers that JSON wrote.
func numbers(v any) any {
	switch v := v.(type) {
	case json.Number:
		if n, err := v.Int64(); err == nil {
			return n
		}
		f, _ := v.Float64()
		return f
	case []any:
		for i := range v {
			v[i] = numbers(v[i])
		}
	case map[string]any:
		for name := range v {
			v[name] = numbers(v[name])
		}
	}
	return v
}

const (
	jsonType    = "application/json"
	msgpackType = "application/msgpack"
)

// writeBoth writes a request as JSON into one database and as msgpack into
// another, and checks that both answer and hold the same.
func writeBoth(t *testing.T, text string) (*samples.Writer, *api.SamplesBody, error) {
	t.Helper()
	w, other := openWriter(t), openWriter(t)
	body, err := w.Write(ctx, tenant, jsonType, "", strings.NewReader(text))
	otherBody, otherErr := other.Write(ctx, tenant, msgpackType, "", bytes.NewReader(asMsgpack(t, text)))
	if (err == nil) != (otherErr == nil) || err != nil && codeOf(err) != codeOf(otherErr) {
		t.Errorf("JSON: %v; msgpack: %v", err, otherErr)
	}
	if (body == nil) != (otherBody == nil) {
		t.Fatalf("JSON: %+v; msgpack: %+v", body, otherBody)
	}
	if body != nil {
		if body.Accepted != otherBody.Accepted || fmt.Sprint(body.Reasons) != fmt.Sprint(otherBody.Reasons) {
			t.Errorf("JSON: %+v; msgpack: %+v", body, otherBody)
		}
	}
	if a, b := contents(t, w), contents(t, other); a != b {
		t.Errorf("JSON wrote\n%s\nmsgpack wrote\n%s", a, b)
	}
	return w, body, err
}

func codeOf(err error) string {
	var e *api.Error
	if !errors.As(err, &e) {
		return fmt.Sprintf("no *api.Error: %v", err)
	}
	return e.Code
}

// contents lists channels with their properties and rows.
func contents(t testing.TB, w *samples.Writer) string {
	t.Helper()
	a := api.API{DB: w.To.DB, Clock: w.To.Clock}
	channels, err := w.To.DB.Channels(ctx, tenant, nil)
	if err != nil {
		t.Fatal(err)
	}
	if len(channels) == 0 {
		return ""
	}
	table, err := a.Table(ctx, tenant, api.TableRequest{Selection: api.Selection{Unit: "ns"}, Limit: 10_000})
	if err != nil {
		t.Fatal(err)
	}
	text, err := json.Marshal(table.Channels)
	if err != nil {
		t.Fatal(err)
	}
	lines := string(text) + "\n"
	for i, at := range table.Times {
		row, err := table.Rows.Row(i).MarshalJSON()
		if err != nil {
			t.Fatal(err)
		}
		lines += fmt.Sprint(at) + " " + string(row) + "\n"
	}
	return lines
}

const lake = `"labels":{"instrument":"lake","channel":"1"}`

func TestWrite(t *testing.T) {
	for name, c := range map[string]struct {
		request  string
		accepted int64
		contents string
	}{
		"a channel": {`{"channels":[{` + lake + `,"times":[1,2],"values":[0.5,-3]}]}`, 2,
			`[{"labels":{"channel":"1","instrument":"lake"},"properties":{}}]
1000000 [0.5]
2000000 [-3]
`},
		"words and no sample": {`{"unit":"s","channels":[{` + lake + `,"times":[1,2,3,4,5,6,7,8,9],
			"values":["NaN","Infinity","-Infinity","over","under","burnout","nodata","math",null]}]}`, 8,
			`[{"labels":{"channel":"1","instrument":"lake"},"properties":{}}]
1000000000 ["NaN"]
2000000000 ["Infinity"]
3000000000 ["-Infinity"]
4000000000 ["over"]
5000000000 ["under"]
6000000000 ["burnout"]
7000000000 ["nodata"]
8000000000 ["math"]
`},
		"a shared clock, last": {`{"channels":[{` + lake + `,"values":[1,2]},
			{"labels":{"instrument":"lake","channel":"2"},"values":[null,4]},
			{"labels":{"instrument":"lake","channel":"3"},"times":[-7],"values":[5]}],"times":[10,20],"unit":"us"}`, 4,
			`[{"labels":{"channel":"1","instrument":"lake"},"properties":{}},{"labels":{"channel":"2","instrument":"lake"},"properties":{}},{"labels":{"channel":"3","instrument":"lake"},"properties":{}}]
-7000 [null,null,5]
10000 [1,null,null]
20000 [2,4,null]
`},
		"properties": {`{"unit":"ns","times":null,"channels":[{` + lake + `,"values":[1],"times":[1.0],"properties":
			{"name":"水温 é","unit":"°C","decimals":2,"scaling":"x\u00322","group":"G","app":null}}]}`, 1,
			`[{"labels":{"channel":"1","instrument":"lake"},"properties":{"name":"水温 é","unit":"°C","decimals":2,"scaling":"x22","group":"G"}}]
1 [1]
`},
		"an empty channel beside": {`{"unit":null,"channels":[{` + lake + `,"times":[1],"values":[1],"properties":null},
			{"labels":{"instrument":"lake","channel":"2"},"times":[],"values":[]}]}`, 1,
			`[{"labels":{"channel":"1","instrument":"lake"},"properties":{}}]
1000000 [1]
`},
	} {
		t.Run(name, func(t *testing.T) {
			w, body, err := writeBoth(t, c.request)
			if err != nil || body.Accepted != c.accepted || body.Rejected != 0 || body.Reasons == nil || body.Errors == nil {
				t.Fatalf("%+v, %v", body, err)
			}
			if got := contents(t, w); got != c.contents {
				t.Errorf("got\n%s\nwant\n%s", got, c.contents)
			}
			before := contents(t, w)
			if again, err := w.Write(ctx, tenant, jsonType, "", strings.NewReader(c.request)); err != nil || again.Accepted != c.accepted {
				t.Errorf("again: %+v, %v", again, err)
			}
			if got := contents(t, w); got != before {
				t.Errorf("sending again changed\n%s\nto\n%s", before, got)
			}
		})
	}
}

// Times that no integer of 64 bits is are told so.
func TestTimesBeyond64Bits(t *testing.T) {
	_, body, err := writeBoth(t, fmt.Sprintf(`{"unit":"s","channels":[{%s,"times":[1,9223372036854775808,-99999999999999999999],"values":[1,2,3]}]}`, lake))
	if err != nil || len(body.Errors) != 2 || body.Errors[0].Detail != "time 9223372036854775808 is beyond 64 bits: is the unit right?" ||
		body.Errors[1].Detail != "time -99999999999999999999 is beyond 64 bits: is the unit right?" {
		t.Errorf("%+v, %v", body, err)
	}
}

// TestRefusedSamples keeps the good samples of a request and names the others.
func TestRefusedSamples(t *testing.T) {
	far := now.Add(24*time.Hour + time.Second).Unix()
	request := fmt.Sprintf(`{"unit":"s","times":[1,%d,3.5,4,5],"channels":[
		{%s,"values":[1,2,3,4,"high"]},
		{"labels":{"instrument":"lake","channel":""},"values":[1,2,3,null,5]},
		{"labels":{"instrument":"lake","channel":"3"},"times":[9223372036,9223372037,-9300000000,"now",9],"values":[true,2,3,4,5]},
		{"labels":{"instrument":"lake","channel":"4"},"values":[null,2,3,null,1e308]},
		{"labels":{"instrument":"lake","channel":"5"},"times":[%d],"values":[1]}]}`, far, lake, far-1)
	w, body, err := writeBoth(t, request)
	if err != nil {
		t.Fatal(err)
	}
	if body.Accepted != 5 || body.Rejected != 13 {
		t.Errorf("accepted %d, rejected %d", body.Accepted, body.Rejected)
	}
	if want := map[string]int64{"too_far_ahead": 2, "bad_time": 6, "not_a_number": 1, "bad_label": 4}; fmt.Sprint(body.Reasons) != fmt.Sprint(want) {
		t.Errorf("reasons %v, want %v", body.Reasons, want)
	}
	var got []string
	for _, e := range body.Errors {
		got = append(got, fmt.Sprintf("%d %d %s: %s", e.Channel, e.Index, e.Code, e.Detail))
	}
	want := []string{
		fmt.Sprintf(`0 1 too_far_ahead: time %d s lies 24h0m1s ahead of the server's clock, 2026-03-01T12:00:00Z`, far),
		`0 2 bad_time: time 3.5 is no integer`,
		`0 4 not_a_number: value "high" is neither a number nor a word for one`,
		`1 0 bad_label: bad label: "channel" is empty; the channel is refused whole`,
		`2 0 bad_time: time 9223372036 s lies outside the years 1678 to 2261: is the unit right?`,
		`2 1 bad_time: time 9223372037 s lies outside the years 1678 to 2261: is the unit right?`,
		`2 2 bad_time: time -9300000000 s lies outside the years 1678 to 2261: is the unit right?`,
		`2 3 bad_time: time "now" is no integer`,
		fmt.Sprintf(`3 1 too_far_ahead: time %d s lies 24h0m1s ahead of the server's clock, 2026-03-01T12:00:00Z`, far),
		`3 2 bad_time: time 3.5 is no integer`,
	}
	if !slices.Equal(got, want) {
		t.Errorf("got\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
	if got := contents(t, w); strings.Count(got, "\n") != 6 || strings.Contains(got, `"channel":""`) {
		t.Errorf("holds\n%s", got)
	}
}

func TestFirstTwentyErrors(t *testing.T) {
	values := strings.Repeat(`"x",`, 30) + "1"
	times := strings.Repeat("5,", 30) + "6"
	_, body, err := writeBoth(t, `{"channels":[{`+lake+`,"times":[`+times+`],"values":[`+values+`]}]}`)
	if err != nil || body.Rejected != 30 || len(body.Errors) != 20 || body.Errors[19].Index != 19 {
		t.Errorf("%+v, %v", body, err)
	}
}

func TestNothingAccepted(t *testing.T) {
	for _, request := range []string{
		`{"channels":[{` + lake + `,"times":[1],"values":["x"]}]}`,
		`{"channels":[{"labels":{},"times":[1,2],"values":[1,null]}]}`,
		`{"channels":[{` + lake + `,"properties":{"decimals":256},"times":[1],"values":[1]}]}`,
		`{"channels":[{` + lake + `,"properties":{"name":"` + strings.Repeat("n", 1025) + `"},"times":[1],"values":[1]}]}`,
	} {
		w, body, err := writeBoth(t, request)
		if body == nil || body.Accepted != 0 || codeOf(err) != "nothing_accepted" || api.AsError(err).Status != 422 {
			t.Errorf("%s: %+v, %v", request, body, err)
		}
		if got := contents(t, w); got != "" {
			t.Errorf("%s: made %s", request, got)
		}
	}
}

// TestRefusalsInPlainWords gives what a wrong unit or number looks like.
func TestRefusalsInPlainWords(t *testing.T) {
	for request, want := range map[string]string{
		`"times":[5462000000000],"values":[1]`:                                      "lies 116 years ahead",
		fmt.Sprintf(`"times":[%d],"values":[1]`, now.Add(72*time.Hour).UnixMilli()): "lies 3 days ahead",
		`"times":[1],"values":[1e400]`:                                              "value 1e400 is beyond what a 64-bit float can hold",
		`"times":[1],"values":[-1e400]`:                                             "value -1e400 is beyond",
	} {
		_, err := openWriter(t).Write(ctx, tenant, jsonType, "", strings.NewReader(`{"channels":[{`+lake+`,`+request+`}]}`))
		if codeOf(err) != "nothing_accepted" || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %s", request, err, want)
		}
	}
}

// TestGapsAlone: who has no sample to send is not told that one was refused.
func TestGapsAlone(t *testing.T) {
	for _, request := range []string{
		`{"channels":[]}`,
		`{"channels":[{` + lake + `,"times":[],"values":[]}]}`,
		`{"channels":[{` + lake + `,"times":[1],"values":[null]}]}`,
	} {
		w, body, err := writeBoth(t, request)
		if err != nil || body == nil || body.Accepted != 0 || body.Rejected != 0 {
			t.Errorf("%s: %+v, %v", request, body, err)
		}
		if got := contents(t, w); got != "" {
			t.Errorf("%s: made %s", request, got)
		}
	}
}

// TestSecondsTakenForMilliseconds are kept, with a warning.
func TestSecondsTakenForMilliseconds(t *testing.T) {
	for request, warned := range map[string]bool{
		`{"channels":[{` + lake + `,"times":[1767225600,1767225601],"values":[1,2]}]}`:                               true,
		`{"unit":"ns","channels":[{` + lake + `,"times":[1767225600000],"values":[1]}]}`:                             true,
		`{"unit":"s","channels":[{` + lake + `,"times":[1767225600],"values":[1]}]}`:                                 false,
		`{"channels":[{` + lake + `,"times":[1767225600,2678400000],"values":[1,2]}]}`:                               false,
		`{"channels":[{` + lake + `,"times":[-1],"values":[1]}]}`:                                                    false,
		`{"channels":[{` + lake + `,"times":[5],"values":[1]},{` + lake + `,"times":[1767225600000],"values":[1]}]}`: false,
	} {
		_, body, err := writeBoth(t, request)
		if err != nil || body.Accepted == 0 || (len(body.Warnings) == 1) != warned {
			t.Errorf("%s: %+v, %v", request, body, err)
		}
	}
}

// TestMalformed refuses what is not of the form as a whole, and says where.
func TestMalformed(t *testing.T) {
	good := `{` + lake + `,"times":[1],"values":[1]}`
	for request, want := range map[string]string{
		``:                             `byte 0: want an object, got the end of the body`,
		`[]`:                           `byte 0: want an object, got [`,
		`{}`:                           `the request has no channels`,
		`{"channels":[` + good + `]`:   `want a comma or "}", got the end of the body`,
		`{"channels":[` + good + `]}x`: `want the end, got x`,
		`{"channels":[` + good + `],}`: `want a name in quotes, got }`,
		`{"channels":[` + good + ` ` + good + `]}`:  `want a comma or "]", got {`,
		`{"channels":[` + good + `],"channels":[]}`: `"channels" is given twice`,
		`{"channel":[]}`:           `there is no member "channel" here`,
		`{"unit":1,"channels":[]}`: `byte 8, in unit: want a string, got 1`,
		`{"channels":[` + good + `,{"times":[],"values":[]}]}`:                                        `in channels[1]: the channel has no labels`,
		`{"channels":[{` + lake + `,"times":[1]}]}`:                                                   `channels[0]: it has no values`,
		`{"channels":[{` + lake + `,"values":[1]}]}`:                                                  `channels[0]: it has no times, and there are none at the top`,
		`{"channels":[{` + lake + `,"times":[1,2],"values":[1]}]}`:                                    `channels[0]: 2 times and 1 values`,
		`{"times":[1],"channels":[{` + lake + `,"values":[1,2]}]}`:                                    `channels[0]: 1 times and 2 values`,
		`{"channels":[{` + lake + `,"times":[1],"values":[[1]]}]}`:                                    `in channels[0].values: want a number, a string or null, got [`,
		`{"channels":[{` + lake + `,"times":[{}],"values":[1]}]}`:                                     `in channels[0].times: want an integer, got {`,
		`{"channels":[{` + lake + `,"times":[01],"values":[1]}]}`:                                     `in channels[0].times: want an integer, got 01`,
		`{"channels":[{` + lake + `,"times":[1],"values":[1.]}]}`:                                     `in channels[0].values: want a number, a string or null, got 1.`,
		`{"channels":[{` + lake + `,"times":[1],"values":[+1]}]}`:                                     `got +1`,
		`{"channels":[{` + lake + `,"times":[1],"values":[NaN]}]}`:                                    `got NaN`,
		`{"channels":[{` + lake + `,"times":[1],"values":[1e]}]}`:                                     `got 1e`,
		`{"channels":[{` + lake + `,"times":[1],"values":[-]}]}`:                                      `got -`,
		`{"channels":[{` + lake + `,"times":[1],"values":["ov]}]}`:                                    `got "ov`,
		`{"channels":[{` + lake + `,"times":[1],"values":null}]}`:                                     `in channels[0].values: want a list, got null`,
		`{"channels":[{"labels":{"instrument":1},"times":[1],"values":[1]}]}`:                         `in channels[0].labels: want a string, got 1`,
		`{"channels":[{"labels":{"instrument":"\x"},"times":[1],"values":[1]}]}`:                      `in channels[0].labels: a string with a bad escape: "\"\\x\""`,
		"{\"channels\":[{\"labels\":{\"instrument\":\"a\nb\"},\"times\":[],\"values\":[]}]}":          `a control character in a string`,
		`{"channels":[{` + lake + `,"properties":{"decimals":1.5},"times":[1],"values":[1]}]}`:        `in channels[0].properties`,
		`{"channels":[{` + lake + `,"properties":{"colour":"red"},"times":[1],"values":[1]}]}`:        `there is no member "colour" here`,
		`{"channels":[{` + lake + `,"properties":{"unit":"V","unit":"A"},"times":[1],"values":[1]}]}`: `"unit" is given twice`,
		`{"channels":{}}`: `byte 12, in channels: want a list, got {`,
	} {
		w := openWriter(t)
		body, err := w.Write(ctx, tenant, jsonType, "", strings.NewReader(request))
		if body != nil || codeOf(err) != "malformed" || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %+v, %v, want %s", request, body, err, want)
		}
		if got := contents(t, w); got != "" {
			t.Errorf("%s: made %s", request, got)
		}
	}
	w := openWriter(t)
	if _, err := w.Write(ctx, tenant, jsonType, "", strings.NewReader(`{"unit":"min","channels":[]}`)); codeOf(err) != "bad_time" {
		t.Errorf("a unit that is none: %v", err)
	}
}

// TestMalformedMsgpack cuts a request at every byte and adds one.
func TestMalformedMsgpack(t *testing.T) {
	whole := asMsgpack(t, `{"unit":"s","times":[1,2],"channels":[{`+lake+`,"properties":{"name":"a","decimals":1},"values":[1.5,"over"]}]}`)
	w := openWriter(t)
	for n := range whole {
		if body, err := w.Write(ctx, tenant, msgpackType, "", bytes.NewReader(whole[:n])); body != nil || codeOf(err) != "malformed" {
			t.Errorf("cut to %d bytes: %+v, %v", n, body, err)
		}
	}
	if _, err := w.Write(ctx, tenant, msgpackType, "", bytes.NewReader(append(slices.Clone(whole), 0xc0))); codeOf(err) != "malformed" {
		t.Errorf("with a byte more: %v", err)
	}
	for request, want := range map[string]any{
		"no whole number of 8-byte": map[string]any{"channels": []any{map[string]any{"labels": map[string]any{}, "times": make([]byte, 9)}}},
		"want a list or binary":     map[string]any{"channels": []any{map[string]any{"labels": map[string]any{}, "times": 4}}},
		"want a string, got 3":      map[string]any{"channels": []any{map[string]any{"labels": map[string]any{"instrument": 3}}}},
		"want a number, a string":   map[string]any{"channels": []any{map[string]any{"labels": map[string]any{}, "values": []any{[]any{}}}}},
		"want a map":                []any{},
	} {
		packed, err := msgpack.Marshal(want)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := w.Write(ctx, tenant, msgpackType, "", bytes.NewReader(packed)); codeOf(err) != "malformed" || !strings.Contains(err.Error(), request) {
			t.Errorf("want %s, got %v", request, err)
		}
	}
	if got := contents(t, w); got != "" {
		t.Errorf("made %s", got)
	}
}

// TestBinary keeps every bit of binary columns, and the bits of float32.
func TestBinary(t *testing.T) {
	w := openWriter(t)
	times := []int64{-5, 0, 1 << 40}
	values := []float64{math.Copysign(0, -1), model.QualityOver.NaN(), math.Pi}
	body, err := w.Write(ctx, tenant, "application/x-msgpack", "", bytes.NewReader(
		samples.AppendMsgpack(nil, "ns", []model.Column{{Labels: label(t, "1"), Times: times, Values: values}})))
	if err != nil || body.Accepted != 3 {
		t.Fatalf("%+v, %v", body, err)
	}
	packed, err := msgpack.Marshal(map[string]any{"channels": []any{map[string]any{
		"labels": map[string]string{"instrument": "lake", "channel": "2"}, "unit": nil}}})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := w.Write(ctx, tenant, msgpackType, "", bytes.NewReader(packed)); codeOf(err) != "malformed" {
		t.Errorf("a unit in a channel: %v", err)
	}
	packed, err = msgpack.Marshal(map[string]any{"unit": "ns", "times": []any{uint64(1), int8(-2), float64(3), uint64(math.MaxUint64)},
		"channels": []any{map[string]any{"labels": map[string]string{"instrument": "lake", "channel": "2"},
			"values": []any{float32(0.1), uint64(math.MaxUint64), int16(-300), 1}}}})
	if err != nil {
		t.Fatal(err)
	}
	if body, err = w.Write(ctx, tenant, msgpackType, "", bytes.NewReader(packed)); err != nil || body.Accepted != 3 || body.Reasons["bad_time"] != 1 {
		t.Fatalf("%+v, %v", body, err)
	}
	want := `-5 [-0,null]
-2 [null,18446744073709552000]
0 ["over",null]
1 [null,0.10000000149011612]
3 [null,-300]
1099511627776 [3.141592653589793,null]
`
	if _, got, _ := strings.Cut(contents(t, w), "\n"); got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
}

func label(t testing.TB, channel string) model.Labels {
	t.Helper()
	l, err := model.NewLabels(model.Label{Name: "instrument", Value: "lake"}, model.Label{Name: "channel", Value: channel})
	if err != nil {
		t.Fatal(err)
	}
	return l
}

func pack(t testing.TB, encoding string, body []byte) []byte {
	t.Helper()
	var packed bytes.Buffer
	var w io.WriteCloser
	switch encoding {
	case "zstd":
		z, err := zstd.NewWriter(&packed)
		if err != nil {
			t.Fatal(err)
		}
		w = z
	case "gzip":
		w = gzip.NewWriter(&packed)
	default:
		return body
	}
	if _, err := w.Write(body); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return packed.Bytes()
}

func TestEncodings(t *testing.T) {
	request := []byte(`{"channels":[{` + lake + `,"times":[1],"values":[1]}]}`)
	for _, encoding := range []string{"", "identity", "zstd", "gzip"} {
		w := openWriter(t)
		for _, contentType := range []string{jsonType, "application/json; charset=utf-8"} {
			if body, err := w.Write(ctx, tenant, contentType, encoding, bytes.NewReader(pack(t, encoding, request))); err != nil || body.Accepted != 1 {
				t.Errorf("%s: %+v, %v", encoding, body, err)
			}
		}
		packed := pack(t, encoding, request)
		if _, err := w.Write(ctx, tenant, jsonType, encoding, bytes.NewReader(packed[:len(packed)-1])); codeOf(err) != "malformed" {
			t.Errorf("%s, cut short: %v", encoding, err)
		}
		if _, err := w.Write(ctx, tenant, jsonType, encoding, io.MultiReader(bytes.NewReader(packed[:5]), iotest.ErrReader(io.ErrUnexpectedEOF))); codeOf(err) != "malformed" {
			t.Errorf("%s, connection cut: %v", encoding, err)
		}
	}
	w := openWriter(t)
	for _, c := range [][2]string{{"", ""}, {"text/plain", ""}, {jsonType, "br"}, {jsonType, "gzip, zstd"}, {"application/", ""}} {
		if _, err := w.Write(ctx, tenant, c[0], c[1], bytes.NewReader(request)); codeOf(err) != "unsupported_media_type" {
			t.Errorf("%q: %v", c, err)
		}
	}
}

// TestBombs refuses bodies that are too large as sent or unpacked.
func TestBombs(t *testing.T) {
	w := openWriter(t)
	w.MaxBody = 1 << 20
	large := append([]byte(`{"channels":[]`), bytes.Repeat([]byte(" "), 1<<20)...)
	var frames []byte // many of less than the limit each
	for range 4 {
		frames = append(frames, pack(t, "zstd", large[:1<<19])...)
	}
	for name, c := range map[string]struct {
		encoding string
		body     []byte
	}{
		"plain": {"", large}, "zstd": {"zstd", pack(t, "zstd", large)}, "gzip": {"gzip", pack(t, "gzip", large)},
		"frames": {"zstd", frames}, "many members": {"gzip", bytes.Repeat(pack(t, "gzip", large[:1<<19]), 3)},
	} {
		if _, err := w.Write(ctx, tenant, jsonType, c.encoding, bytes.NewReader(c.body)); codeOf(err) != "body_too_large" {
			t.Errorf("%s of %d bytes: %v", name, len(c.body), err)
		}
	}
	for encoding, body := range map[string][]byte{
		"":     append([]byte(`{"channels":[]}`), bytes.Repeat([]byte(" "), 1<<20-15)...),
		"zstd": pack(t, "zstd", append([]byte(`{"channels":[]}`), bytes.Repeat([]byte(" "), 1<<20-15)...)),
	} {
		if _, err := w.Write(ctx, tenant, jsonType, encoding, bytes.NewReader(body)); err != nil {
			t.Errorf("a body of just the limit, %q: %v", encoding, err)
		}
	}
}

func TestTooMuch(t *testing.T) {
	w := openWriter(t)
	nils := append([]byte{0x82, 0xa5, 't', 'i', 'm', 'e', 's', 0xdd, 0, 0x3d, 0x09, 0x01}, bytes.Repeat([]byte{1}, 4_000_001)...)
	if _, err := w.Write(ctx, tenant, msgpackType, "", bytes.NewReader(nils)); codeOf(err) != "body_too_large" {
		t.Errorf("too many times: %v", err)
	}
	one := `{` + lake + `,"values":[]},`
	many := `{"times":[],"channels":[` + strings.Repeat(one, 100_001)
	if _, err := w.Write(ctx, tenant, jsonType, "", strings.NewReader(many)); codeOf(err) != "too_many_channels" {
		t.Errorf("too many channels: %v", err)
	}
}

// TestLargeBodies packs and sends one that is larger than ordinary ones, and
// passes on what the server around refuses.
func TestLargeBodies(t *testing.T) {
	const n = 200_000
	request := []byte(`{"channels":[{` + lake + `,"times":[1` + strings.Repeat(",1", n-1) + `],"values":[5` +
		strings.Repeat(", 5.0", n-1) + `]}]}`)
	for _, encoding := range []string{"", "zstd", "gzip"} {
		w := openWriter(t)
		if body, err := w.Write(ctx, tenant, jsonType, encoding, bytes.NewReader(pack(t, encoding, request))); err != nil || body.Accepted != n {
			t.Errorf("%q: %+v, %v", encoding, body, err)
		}
		busy := api.NewError("busy", "later")
		if _, err := w.Write(ctx, tenant, jsonType, encoding, iotest.ErrReader(busy)); codeOf(err) != "busy" {
			t.Errorf("%q: %v", encoding, err)
		}
	}
}

func TestUnknownTenant(t *testing.T) {
	w := openWriter(t)
	request := `{"channels":[{` + lake + `,"times":[1],"values":[1]}]}`
	if body, err := w.Write(ctx, "nobody", jsonType, "", strings.NewReader(request)); body != nil || codeOf(err) != "not_found" {
		t.Errorf("%+v, %v", body, err)
	}
}

// TestUnits reads the ends of time in every unit.
func TestUnits(t *testing.T) {
	for unit, nanoseconds := range map[string]int64{"s": 1e9, "ms": 1e6, "us": 1e3, "ns": 1} {
		first, last := model.MinTime/nanoseconds, (model.MaxTime-1)/nanoseconds
		w := openWriter(t)
		w.To.MaxAhead = math.MaxInt64
		text := func(at ...int64) io.Reader {
			list, err := json.Marshal(at)
			if err != nil {
				t.Fatal(err)
			}
			return strings.NewReader(`{"unit":"` + unit + `","channels":[{` + lake + `,"times":` + string(list) + `,"values":[1,2]}]}`)
		}
		if body, err := w.Write(ctx, tenant, jsonType, "", text(first, last)); err != nil || body.Accepted != 2 {
			t.Errorf("%s: %+v, %v", unit, body, err)
		}
		before := contents(t, w)
		if body, err := w.Write(ctx, tenant, jsonType, "", text(first-1, last+1)); err == nil || body.Reasons["bad_time"] != 2 {
			t.Errorf("%s: %+v, %v", unit, body, err)
		}
		if contents(t, w) != before || !strings.Contains(before, fmt.Sprint("\n", last*nanoseconds, " [2]")) {
			t.Errorf("%s: holds %s", unit, before)
		}
	}
}
