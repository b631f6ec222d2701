package remotewrite

import (
	"fmt"
	"math"

	"google.golang.org/protobuf/encoding/protowire"
)

// testSeries is a series as a sender has it.
type testSeries struct {
	labels     []string // names and values in turns
	times      []int64  // ms
	values     []float64
	histograms int
	exemplars  int
	kind       uint64 // of metadata, of 2.0 alone
	help, unit string
	start      int64 // of every sample, of 2.0 alone
}

// testMetadata is what 1.0 says of a name.
type testMetadata struct {
	kind             uint64
	name, help, unit string
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

func appendSamples(b []byte, s *testSeries) []byte {
	for i, at := range s.times {
		var one []byte
		if s.values[i] != 0 {
			one = protowire.AppendFixed64(protowire.AppendTag(one, 1, protowire.Fixed64Type), math.Float64bits(s.values[i]))
		}
		if at != 0 {
			one = appendNumber(one, 2, uint64(at))
		}
		if s.start != 0 {
			one = appendNumber(one, 3, uint64(s.start))
		}
		b = appendMessage(b, 2, one)
	}
	return b
}

// encode1 is the body that a sender of 1.0 makes.
func encode1(series []testSeries, metadata ...testMetadata) []byte {
	var body []byte
	for i := range series {
		s := &series[i]
		var one []byte
		for l := 0; l+1 < len(s.labels); l += 2 {
			one = appendMessage(one, 1, appendText(appendText(nil, 1, s.labels[l]), 2, s.labels[l+1]))
		}
		one = appendSamples(one, s)
		for range s.exemplars {
			one = appendMessage(one, 3, appendNumber(nil, 3, 5))
		}
		for range s.histograms {
			one = appendMessage(one, 4, appendNumber(nil, 15, 5))
		}
		body = appendMessage(body, 1, one)
	}
	for _, m := range metadata {
		one := appendText(appendNumber(nil, 1, m.kind), 2, m.name)
		body = appendMessage(body, 3, appendText(appendText(one, 4, m.help), 5, m.unit))
	}
	return body
}

// encode2 is the body that a sender of 2.0 makes.
func encode2(series []testSeries) []byte {
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
		for _, text := range s.labels {
			refs = protowire.AppendVarint(refs, refer(text))
		}
		one := appendSamples(appendMessage(nil, 1, refs), s)
		for range s.histograms {
			one = appendMessage(one, 3, appendNumber(nil, 15, 5))
		}
		for range s.exemplars {
			one = appendMessage(one, 4, appendNumber(nil, 3, 5))
		}
		m := appendNumber(nil, 1, s.kind)
		m = appendNumber(m, 3, refer(s.help))
		m = appendNumber(m, 4, refer(s.unit))
		one = appendMessage(one, 5, m)
		all = appendMessage(all, 5, one)
	}
	var body []byte
	for _, text := range symbols {
		body = appendText(body, 4, text)
	}
	return append(body, all...)
}

// scrape is what is scraped of targets that have so many series: as many samples
// of each as rows.
func scrape(targets, series, rows int, start int64) []testSeries {
	var all []testSeries
	for t := range targets {
		for i := range series {
			s := testSeries{
				labels: []string{
					"__name__", fmt.Sprintf("node_network_receive_bytes_%02d_total", i/8), "device", fmt.Sprintf("eth%d", i%8),
					"instance", fmt.Sprintf("host-%03d.example.com:9100", t), "job", "node", "zone", "eu-central-1a",
				},
				kind: 1, help: "Network device statistic receive_bytes.",
			}
			for r := range rows {
				s.times = append(s.times, start+int64(t)*137+int64(r)*15000)
				s.values = append(s.values, float64(1000000*i+r*997+int(start%1000)))
			}
			all = append(all, s)
		}
	}
	return all
}
