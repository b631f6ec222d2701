package live

import (
	"encoding/json"
	"fmt"
	"math"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"

	"github.com/hokan-db/hokan/engine"
	"github.com/hokan-db/hokan/engine/model"
	"github.com/hokan-db/hokan/query"
)

func labelsOf(t *testing.T, channel string) model.Labels {
	t.Helper()
	l, err := model.NewLabels(model.Label{Name: "instrument", Value: "lake"}, model.Label{Name: "channel", Value: channel})
	if err != nil {
		t.Fatal(err)
	}
	return l
}

// bufferBounds notes how long a stream's buffer was when parts of it were sent.
type bufferBounds struct {
	*httptest.ResponseRecorder
	stream *stream
	most   int
}

func (w *bufferBounds) Write(b []byte) (int, error) {
	w.most = max(w.most, len(w.stream.buffer))
	return w.ResponseRecorder.Write(b)
}

func newStream(t *testing.T) (*stream, *bufferBounds) {
	t.Helper()
	unit, err := query.ParseUnit("ns")
	if err != nil {
		t.Fatal(err)
	}
	w := &bufferBounds{ResponseRecorder: httptest.NewRecorder()}
	w.stream = &stream{writer: w, controller: http.NewResponseController(w), unit: unit, labels: new(labelCache)}
	return w.stream, w
}

// TestBufferIsBounded sends very many rows of one channel, and very many alarm
// events: each comes once and in order, and little of them waits to be sent.
func TestBufferIsBounded(t *testing.T) {
	s, w := newStream(t)
	var feed engine.TapFeed
	var want []int64
	for _, n := range []int{1, 5, eventSamples, 3*eventSamples + 1, 2, eventSamples - 3, 100_000} {
		rows := engine.TapRows{Channel: 1, Labels: labelsOf(t, "1")}
		for range n {
			at := int64(len(want)) - math.MaxInt64/2
			want = append(want, at)
			rows.Times, rows.Values = append(rows.Times, at), append(rows.Values, math.Pi*1e-300)
		}
		feed.Rows = append(feed.Rows, rows)
	}
	const events = 10_000
	for i := range events {
		feed.Events = append(feed.Events, engine.TapEvent{Labels: labelsOf(t, "1"),
			Event: engine.Event{ID: fmt.Sprint(i), Name: strings.Repeat("n", 100)}})
	}
	if err := s.events(&feed); err != nil {
		t.Fatal(err)
	}
	if err := s.send(); err != nil {
		t.Fatal(err)
	}
	if w.most > 2*eventBytes || cap(s.buffer) > 2*eventBytes {
		t.Errorf("%d bytes waited, %d are kept", w.most, cap(s.buffer))
	}
	var got []int64
	alarms := 0
	for line := range strings.Lines(w.Body.String()) {
		data, ok := strings.CutPrefix(line, "data: ")
		if !ok {
			continue
		}
		var body struct {
			ID       string
			Channels []struct {
				Times  []int64
				Values []float64
			}
		}
		if err := json.Unmarshal([]byte(data), &body); err != nil {
			t.Fatalf("%v in %.100s", err, data)
		}
		if body.ID != "" {
			if body.ID != fmt.Sprint(alarms) {
				t.Fatalf("event %s after %d", body.ID, alarms)
			}
			alarms++
		}
		for _, c := range body.Channels {
			if len(c.Times) != len(c.Values) || len(c.Times) > eventSamples {
				t.Errorf("%d times and %d values", len(c.Times), len(c.Values))
			}
			got = append(got, c.Times...)
		}
	}
	if !slices.Equal(got, want) || alarms != events {
		t.Errorf("%d of %d rows, %d of %d events", len(got), len(want), alarms, events)
	}
}

// TestLabelCacheIsBounded asks for the labels of more channels than are kept.
func TestLabelCacheIsBounded(t *testing.T) {
	var c labelCache
	long := strings.Repeat("x", 1000)
	for i := range 10_000 {
		l := labelsOf(t, fmt.Sprint(long, i))
		want, _ := l.MarshalJSON()
		for range 2 {
			if got := c.text(l); string(got) != string(want) {
				t.Fatalf("got %s", got)
			}
		}
	}
	bytes := 0
	for l, text := range c.texts {
		bytes += len(l.Encoded()) + len(text) + labelOverhead
	}
	if bytes != c.bytes || bytes > labelBytes || len(c.texts) == 0 {
		t.Errorf("%d bytes of %d labels, counted as %d", bytes, len(c.texts), c.bytes)
	}
}
