package entry_test

import (
	"errors"
	"math"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/hokan-db/hokan/engine/entry"
	"github.com/hokan-db/hokan/engine/model"
)

func TestSplitKeepsSmallRowsWhole(t *testing.T) {
	rows := wideEntry(10).Body.(*entry.Rows)
	pieces, err := rows.Split()
	if err != nil || len(pieces) != 1 || pieces[0] != rows {
		t.Errorf("%d pieces, %v", len(pieces), err)
	}
}

func TestSplitRefusesADefinitionThatNoEntryHolds(t *testing.T) {
	rows := &entry.Rows{Definitions: []model.Definition{{ID: 1, Labels: mustLabels(t, "c"),
		Properties: &model.Properties{Name: strings.Repeat("x", entry.MaxBytes)}}}}
	if _, err := rows.Split(); !errors.Is(err, entry.ErrTooLarge) {
		t.Error(err)
	}
	uneven := &entry.Rows{Columns: []entry.Column{{1, make([]int64, entry.MaxBytes), nil}}}
	if _, err := uneven.Split(); !errors.Is(err, entry.ErrMalformed) {
		t.Error(err)
	}
}

// TestPiecesAddUp: every piece can be encoded, and together they say what the
// whole said, rows of a channel in order and definitions before rows.
func TestPiecesAddUp(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		rows := largeRows(t)
		pieces, err := rows.Split()
		if err != nil {
			t.Fatal(err)
		}
		var got entry.Rows
		for i, p := range pieces {
			e := entry.Entry{Tenant: model.Tenant(strings.Repeat("t", model.MaxTenantBytes)), Time: math.MinInt64, Body: p}
			if b, err := e.AppendTo(nil); err != nil || len(b) > p.Size() {
				t.Fatalf("piece %d of %d: %d bytes, Size %d, %v", i, len(pieces), len(b), p.Size(), err)
			}
			if i > 0 && len(p.Definitions) == 0 && len(p.Columns) == 0 {
				t.Fatalf("piece %d is empty", i)
			}
			if len(p.Definitions) > 0 && len(got.Columns) > 0 {
				t.Fatalf("piece %d defines channels after rows", i)
			}
			got.Definitions = append(got.Definitions, p.Definitions...)
			for _, c := range p.Columns {
				n := len(got.Columns)
				if n > 0 && got.Columns[n-1].Channel == c.Channel { // a cut column
					last := &got.Columns[n-1]
					last.Times = append(append([]int64(nil), last.Times...), c.Times...)
					last.Values = append(append([]float64(nil), last.Values...), c.Values...)
				} else {
					got.Columns = append(got.Columns, c)
				}
			}
		}
		if len(got.Definitions) != len(rows.Definitions) {
			t.Fatalf("%d definitions, want %d", len(got.Definitions), len(rows.Definitions))
		}
		if !(&entry.Entry{Body: &got}).Equal(&entry.Entry{Body: rows}) {
			t.Fatal("the pieces say something else")
		}
	})
}

// largeRows have distinct channels, some sharing their times, and wild times
// that need all the bytes that varints may take.
func largeRows(t *rapid.T) *entry.Rows {
	rows := &entry.Rows{}
	labels, err := model.NewLabels(model.Label{Name: "instrument", Value: "i"}, model.Label{Name: "channel", Value: "c"})
	if err != nil {
		t.Fatal(err)
	}
	for i := range rapid.IntRange(0, 20).Draw(t, "definitions") {
		var p model.Properties
		text := rapid.SampledFrom([]*string{&p.Name, &p.Unit, &p.Scaling, &p.Group, &p.App}).Draw(t, "property")
		*text = strings.Repeat("n", rapid.IntRange(0, 200_000).Draw(t, "bytes"))
		rows.Definitions = append(rows.Definitions, model.Definition{ID: model.ChannelID(i + 1), Labels: labels, Properties: &p})
	}
	var times []int64
	for i := range rapid.IntRange(0, 6).Draw(t, "columns") {
		if i == 0 || rapid.Bool().Draw(t, "own times") {
			times = make([]int64, rapid.OneOf(rapid.IntRange(0, 3), rapid.IntRange(0, 130_000)).Draw(t, "rows"))
			for j := range times {
				times[j] = []int64{math.MaxInt64, math.MinInt64 / 3, 0, math.MinInt64}[j%4] + int64(j)
			}
		}
		id := model.ChannelID(i + 1)
		if i%2 == 1 {
			id = model.ChannelID(math.MaxUint32 - i)
		}
		rows.Columns = append(rows.Columns, entry.Column{Channel: id, Times: times, Values: make([]float64, len(times))})
	}
	return rows
}
