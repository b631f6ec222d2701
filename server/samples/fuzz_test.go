package samples

import (
	"encoding/json"
	"errors"
	"math"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/hokan-db/hokan/engine/model"
	"github.com/hokan-db/hokan/ingest/admit"
	"github.com/hokan-db/hokan/server/api"
)

// decodeAndJudge does with a body what Write does before it appends.
func decodeAndJudge(t *testing.T, decode func(*request) error, body []byte) (*request, *admit.Result) {
	r := newRequest()
	r.body.Bytes = body
	if err := r.decode(decode); err != nil {
		var refused *api.Error
		if !errors.As(err, &refused) {
			t.Fatalf("%v is no *api.Error", err)
		}
		return nil, nil
	}
	answer := r.Judge(time.Unix(1.8e9, 0).UnixNano(), int64(24*time.Hour), nil)
	rejected := int64(0)
	for _, n := range answer.Reasons {
		rejected += n
	}
	if rejected != answer.Rejected || len(answer.Errors) > 20 {
		t.Fatalf("%+v", answer)
	}
	for i, c := range r.Columns() {
		if c.Labels.IsZero() || len(c.Times) == 0 || len(c.Times) != len(c.Values) {
			t.Fatalf("column %d: %+v", i, c)
		}
		for _, at := range c.Times {
			if at < model.MinTime || at >= model.MaxTime {
				t.Fatalf("column %d: time %d", i, at)
			}
		}
	}
	return r, answer
}

// FuzzJSON reads anything. What is accepted is valid JSON, and its numbers are
// those that package json reads.
func FuzzJSON(f *testing.F) {
	for _, seed := range []string{
		`{"unit":"s","times":[1,2],"channels":[{"labels":{"instrument":"i","channel":"c"},"values":[1.5,"over"]}]}`,
		`{"channels":[{"labels":{"instrument":"\u00e9","channel":"c"},"properties":{"decimals":3},"times":[-1e3,99999999999999999999],"values":[null,-0.0]}]}`,
		`{"channels":[{"labels":{"a":"}"},"times":[],"values":[]}] } `, `{"times":[1.5,"x",true]`, `[`, ``,
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		r, answer := decodeAndJudge(t, decodeJSON, body)
		if r == nil {
			return
		}
		if !json.Valid(body) {
			t.Fatalf("%q is not JSON", body)
		}
		var read struct {
			Channels []struct{ Values []any }
		}
		if err := json.Unmarshal(body, &read); err != nil {
			return // a number beyond float64
		}
		for i := range r.Channels {
			if len(r.Channels[i].Odd) > 0 || slices.ContainsFunc(answer.Errors, func(e admit.Refusal) bool { return e.Channel == i }) || len(answer.Errors) == 20 {
				continue // sifted in place
			}
			for j, v := range read.Channels[i].Values {
				want, ok := v.(float64)
				if got := r.Channels[i].Values[j]; ok && math.Float64bits(got) != math.Float64bits(want) {
					t.Fatalf("channel %d value %d: %v, want %v", i, j, got, want)
				}
			}
		}
	})
}

// FuzzMsgpack reads anything.
func FuzzMsgpack(f *testing.F) {
	labels, err := model.NewLabels(model.Label{Name: "instrument", Value: "i"}, model.Label{Name: "channel", Value: "c"})
	if err != nil {
		f.Fatal(err)
	}
	f.Add(AppendMsgpack(nil, "s", []model.Column{{Labels: labels, Times: []int64{1, 2}, Values: []float64{3, 4},
		Properties: &model.Properties{Name: strings.Repeat("n", 40), Decimals: 1, HasDecimals: true}}}))
	f.Add([]byte{0x81, 0xa5, 't', 'i', 'm', 'e', 's', 0x9a, 0xcb, 0x40, 0, 0, 0, 0, 0, 0, 0, 0xca, 0x3f, 0xc0, 0, 0, 0xcf, 0xff, 1, 1, 1, 1, 1, 1, 1, 0xd0, 0x80})
	f.Fuzz(func(t *testing.T, body []byte) {
		decodeAndJudge(t, decodeMsgpack, body)
		for at := range body {
			describeMsgpack(body, at)
		}
	})
}

// FuzzNumber compares the numbers of JSON with those that package json reads.
func FuzzNumber(f *testing.F) {
	for _, seed := range []string{"0", "-0", "0.1", "1e22", "9007199254740993", "123456789012345678901", "1.7976931348623157e308",
		"5e-324", "0.000000000000000000001", "-12.50", "1e400", "01", "1.", "12345678901.12345678"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		p := jsonText{b: []byte(text)}
		got, kind := p.number()
		whole := p.i == len(text)
		var want float64
		err := json.Unmarshal([]byte(text), &want)
		if text != strings.TrimSpace(text) || text == "null" {
			return
		}
		if (err == nil) != (kind == isGood && whole) && (kind != isOdd || !whole) {
			t.Fatalf("%q: %v of kind %d, package json: %v, %v", text, got, kind, want, err)
		}
		if err == nil && math.Float64bits(got) != math.Float64bits(want) {
			t.Fatalf("%q: %v, want %v", text, got, want)
		}
	})
}
