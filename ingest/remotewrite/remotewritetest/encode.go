// Package remotewritetest makes bodies of remote write for tests, as senders make
// them.
package remotewritetest

import (
	"fmt"
	"math"

	"google.golang.org/protobuf/encoding/protowire"
)

// Series is a series as a sender has it.
type Series struct {
	Labels     []string // names and values in turns
	Times      []int64  // ms
	Values     []float64
	Histograms int
	Exemplars  int
	Kind       uint64 // of metadata, of 2.0 alone, as are the next
	Help, Unit string
	Start      int64 // of every sample
}

// Metadata is what 1.0 says of a name.
type Metadata struct {
	Kind             uint64
	Name, Help, Unit string
}

func appendMessage(b []byte, number protowire.Number, content []byte) []byte {
	return protowire.AppendBytes(protowire.AppendTag(b, number, protowire.BytesType), content)
}

func appendText(b []byte, number protowire.Number, text string) []byte {
	return protowire.AppendString(protowire.AppendTag(b, number, protowire.BytesType), text)
}

func appendNumber(b []byte, number protowire.Number, v uint64) []byte {
	return protowire.AppendVarint(protowire.AppendTag(b, number, protowire.VarintType), v)
}

func appendSamples(b []byte, s *Series) []byte {
	for i, at := range s.Times {
		var one []byte
		if s.Values[i] != 0 {
			one = protowire.AppendFixed64(protowire.AppendTag(one, 1, protowire.Fixed64Type), math.Float64bits(s.Values[i]))
		}
		if at != 0 {
			one = appendNumber(one, 2, uint64(at))
		}
		if s.Start != 0 {
			one = appendNumber(one, 3, uint64(s.Start))
		}
		b = appendMessage(b, 2, one)
	}
	return b
}

// Encode1 is the body that a sender of 1.0 makes.
func Encode1(series []Series, metadata ...Metadata) []byte {
	var body []byte
	for i := range series {
		s := &series[i]
		var one []byte
		for l := 0; l+1 < len(s.Labels); l += 2 {
			one = appendMessage(one, 1, appendText(appendText(nil, 1, s.Labels[l]), 2, s.Labels[l+1]))
		}
		one = appendSamples(one, s)
		for range s.Exemplars {
			one = appendMessage(one, 3, appendNumber(nil, 3, 5))
		}
		for range s.Histograms {
			one = appendMessage(one, 4, appendNumber(nil, 15, 5))
		}
		body = appendMessage(body, 1, one)
	}
	for _, m := range metadata {
		one := appendText(appendNumber(nil, 1, m.Kind), 2, m.Name)
		body = appendMessage(body, 3, appendText(appendText(one, 4, m.Help), 5, m.Unit))
	}
	return body
}

// Encode2 is the body that a sender of 2.0 makes.
func Encode2(series []Series) []byte {
	symbols := []string{""}
	known := map[string]uint64{"": 0}
	refer := func(text string) uint64 {
		ref, ok := known[text]
		if !ok {
			ref = uint64(len(symbols))
			known[text] = ref
			symbols = append(symbols, text)
		}
		return ref
	}
	var all []byte
	for i := range series {
		s := &series[i]
		var refs []byte
		for _, text := range s.Labels {
			refs = protowire.AppendVarint(refs, refer(text))
		}
		one := appendSamples(appendMessage(nil, 1, refs), s)
		for range s.Histograms {
			one = appendMessage(one, 3, appendNumber(nil, 15, 5))
		}
		for range s.Exemplars {
			one = appendMessage(one, 4, appendNumber(nil, 3, 5))
		}
		m := appendNumber(nil, 1, s.Kind)
		m = appendNumber(m, 3, refer(s.Help))
		m = appendNumber(m, 4, refer(s.Unit))
		one = appendMessage(one, 5, m)
		all = appendMessage(all, 5, one)
	}
	var body []byte
	for _, text := range symbols {
		body = appendText(body, 4, text)
	}
	return append(body, all...)
}

// Scrape is what is scraped of targets that have so many series: as many samples
// of each as rows.
func Scrape(targets, series, rows int, start int64) []Series {
	var all []Series
	for t := range targets {
		for i := range series {
			s := Series{
				Labels: []string{
					"__name__", fmt.Sprintf("node_network_receive_bytes_%02d_total", i/8), "device", fmt.Sprintf("eth%d", i%8),
					"instance", fmt.Sprintf("host-%03d.example.com:9100", t), "job", "node", "zone", "eu-central-1a",
				},
				Kind: 1, Help: "Network device statistic receive_bytes.",
			}
			for r := range rows {
				s.Times = append(s.Times, start+int64(t)*137+int64(r)*15000)
				s.Values = append(s.Values, float64(1000000*i+r*997+int(start%1000)))
			}
			all = append(all, s)
		}
	}
	return all
}

// Stale is Prometheus' stale marker.
var Stale = math.Float64frombits(0x7ff0000000000002)
