package prometheus

import (
	"fmt"
	"math"
	"reflect"
	"strings"
	"testing"

	"github.com/prometheus/prometheus/prompb"
	writev2 "github.com/prometheus/prometheus/prompb/io/prometheus/write/v2"

	"github.com/hokan-db/hokan/ingest/remotewrite"
	"github.com/hokan-db/hokan/ingest/remotewrite/remotewritetest"
)

// FuzzAgainstPrometheus compares the decoder with Prometheus' own types. Where
// both take a body they find the same; what Prometheus alone takes, such as
// numbers with superfluous bits, the decoder takes as Prometheus writes it.
func FuzzAgainstPrometheus(f *testing.F) {
	all := remotewritetest.Scrape(2, 3, 2, 1.7e12)
	all = append(all, remotewritetest.Series{Labels: []string{"__name__", "z", "job", "a"}, Times: []int64{0, -1}, Values: []float64{0, remotewritetest.Stale}})
	f.Add(remotewritetest.Encode1(all, remotewritetest.Metadata{Kind: 1, Name: "n", Help: "h", Unit: "u"}), false)
	f.Add(remotewritetest.Encode2(all), true)
	f.Add([]byte("\x89\xd1\x95\xff\x88000000000"), true) // an unknown field with a number that is none
	f.Fuzz(func(t *testing.T, body []byte, second bool) {
		message, official := remotewrite.WriteRequest, official1
		if second {
			message, official = remotewrite.Request2, official2
		}
		want, canonical, err := official(body)
		got, refused := decoded(body, message)
		switch {
		case refused == nil && err == nil && got != want:
			t.Fatalf("decoded:\n%s\nPrometheus:\n%s", got, want)
		case refused == nil && err != nil:
			// What is not kept is not read: what is wrong in it does not show.
			if onlyUnread(body, message) {
				return
			}
			t.Fatalf("Prometheus refuses it (%v): %s", err, got)
		case refused != nil && err == nil && !strings.Contains(refused.Error(), "another version"):
			if got, refused = decoded(canonical, message); refused != nil && !strings.Contains(refused.Error(), "another version") || refused == nil && got != want {
				t.Fatalf("%v; decoded as Prometheus writes it:\n%s\nPrometheus:\n%s", refused, got, want)
			}
		}
	})
}

// onlyUnread reports whether a body has parts that the decoder counts and does
// not read, or passes over.
func onlyUnread(body []byte, message remotewrite.Message) bool {
	var d remotewrite.Decoder
	r, err := d.Decode("fuzz", body, message)
	if err != nil {
		return false
	}
	result := r.Judge(0, math.MaxInt64/2, nil)
	return d.Exemplars() > 0 || result.Reasons[remotewrite.NativeHistogram] > 0
}

// decoded describes what the decoder finds: samples in all, by series.
func decoded(body []byte, message remotewrite.Message) (string, error) {
	var d remotewrite.Decoder
	r, err := d.Decode("fuzz", body, message)
	if err != nil {
		return "", err
	}
	var text strings.Builder
	for i, c := range r.Channels {
		fmt.Fprint(&text, d.Series(i))
		for s, at := range r.Clocks[c.Clock].Times {
			fmt.Fprintf(&text, " %d=%x", at, math.Float64bits(c.Values[s]))
		}
		if c.Refused == "" {
			fmt.Fprintf(&text, " %q", c.Labels.Channel())
		}
		text.WriteByte('\n')
	}
	return text.String(), nil
}

// kept says whether labels can be those of a channel, by asking the decoder for
// them alone, as version 1.0 in the form of every sender.
func kept(pairs []string) (name string, ok bool) {
	one := remotewritetest.Series{Labels: pairs, Times: []int64{1}, Values: []float64{1}}
	var d remotewrite.Decoder
	r, err := d.Decode("alone", remotewritetest.Encode1([]remotewritetest.Series{one}), remotewrite.WriteRequest)
	if err != nil || r.Channels[0].Refused != "" {
		return "", false
	}
	return r.Channels[0].Labels.Channel(), true
}

// forgetUnknown takes out of a message the fields that its types do not know, which
// they keep byte by byte: tags with superfluous bits among them.
func forgetUnknown(v reflect.Value) {
	switch v.Kind() {
	case reflect.Pointer, reflect.Interface:
		if !v.IsNil() {
			forgetUnknown(v.Elem())
		}
	case reflect.Slice:
		if v.Type().Elem().Kind() == reflect.Struct || v.Type().Elem().Kind() == reflect.Pointer {
			for i := range v.Len() {
				forgetUnknown(v.Index(i))
			}
		}
	case reflect.Struct:
		for i := range v.NumField() {
			if v.Type().Field(i).Name == "XXX_unrecognized" {
				v.Field(i).SetZero()
				continue
			}
			forgetUnknown(v.Field(i))
		}
	}
}

func official1(body []byte) (text string, canonical []byte, err error) {
	var request prompb.WriteRequest
	if err := request.Unmarshal(body); err != nil {
		return "", nil, err
	}
	forgetUnknown(reflect.ValueOf(&request))
	if canonical, err = request.Marshal(); err != nil {
		return "", nil, err
	}
	var b strings.Builder
	for i, s := range request.Timeseries {
		if len(s.Samples) == 0 {
			continue
		}
		fmt.Fprint(&b, i)
		for _, sample := range s.Samples {
			fmt.Fprintf(&b, " %d=%x", sample.Timestamp, math.Float64bits(sample.Value))
		}
		var pairs []string
		for _, l := range s.Labels {
			pairs = append(pairs, l.Name, l.Value)
		}
		if name, ok := kept(pairs); ok {
			fmt.Fprintf(&b, " %q", name)
		}
		b.WriteByte('\n')
	}
	return b.String(), canonical, nil
}

func official2(body []byte) (text string, canonical []byte, err error) {
	var request writev2.Request
	if err := request.Unmarshal(body); err != nil {
		return "", nil, err
	}
	forgetUnknown(reflect.ValueOf(&request))
	if canonical, err = request.Marshal(); err != nil {
		return "", nil, err
	}
	var b strings.Builder
	for i, s := range request.Timeseries {
		if len(s.Samples) == 0 {
			continue
		}
		fmt.Fprint(&b, i)
		for _, sample := range s.Samples {
			fmt.Fprintf(&b, " %d=%x", sample.Timestamp, math.Float64bits(sample.Value))
		}
		if pairs, ok := desymbolized(&request, &s); ok {
			if name, ok := kept(pairs); ok {
				fmt.Fprintf(&b, " %q", name)
			}
		}
		b.WriteByte('\n')
	}
	return b.String(), canonical, nil
}

// desymbolized returns the labels of a series, false where its references are
// wrong.
func desymbolized(request *writev2.Request, s *writev2.TimeSeries) (pairs []string, ok bool) {
	if len(s.LabelsRefs)%2 != 0 {
		return nil, false
	}
	for _, ref := range s.LabelsRefs {
		if int(ref) >= len(request.Symbols) {
			return nil, false
		}
		pairs = append(pairs, request.Symbols[ref])
	}
	for _, ref := range []uint32{s.Metadata.HelpRef, s.Metadata.UnitRef} {
		if int(ref) >= len(request.Symbols) && ref != 0 {
			return nil, false
		}
	}
	return pairs, true
}
