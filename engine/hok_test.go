package engine

import (
	"bytes"
	"context"
	"errors"
	"math"
	"reflect"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"
	"pgregory.net/rapid"

	"github.com/hokan-db/hokan/engine/model"
)

// hokLabels names a channel.
func hokLabels(t testing.TB, channel string) model.Labels {
	t.Helper()
	l, err := model.NewLabels(model.Label{Name: "instrument", Value: "i"}, model.Label{Name: "channel", Value: channel},
		model.Label{Name: "place", Value: "cellar, left"})
	if err != nil {
		t.Fatal(err)
	}
	return l
}

// exportAll writes everything of tenant t in a span.
func exportAll(t testing.TB, db *DB, span model.Span) []byte {
	t.Helper()
	ctx := context.Background()
	channels, err := db.Channels(ctx, "t", model.Selector{})
	if err != nil {
		t.Fatal(err)
	}
	ids := make([]model.ChannelID, len(channels))
	for i := range channels {
		ids[i] = channels[i].ID
	}
	selection, err := db.Select(ctx, "t", ids, span)
	if err != nil {
		t.Fatal(err)
	}
	defer selection.Close()
	var file bytes.Buffer
	if _, err := selection.WriteHOK(ctx, &file, channels, func(int64) {}); err != nil {
		t.Fatal(err)
	}
	return file.Bytes()
}

// channelBits returns the rows of all channels of tenant t by their labels, bits
// of values included, and the histories of their properties.
func channelBits(t testing.TB, db *DB, span model.Span) (rows map[string]map[int64]uint64, histories map[string]model.History) {
	t.Helper()
	ctx := context.Background()
	channels, err := db.Channels(ctx, "t", model.Selector{})
	if err != nil {
		t.Fatal(err)
	}
	rows, histories = map[string]map[int64]uint64{}, map[string]model.History{}
	for _, c := range channels {
		selection, err := db.Select(ctx, "t", []model.ChannelID{c.ID}, span)
		if err != nil {
			t.Fatal(err)
		}
		of := map[int64]uint64{}
		cursor := selection.Cursor(0)
		for {
			times, values, err := cursor.Next()
			if err != nil {
				t.Fatal(err)
			}
			if len(times) == 0 {
				break
			}
			for i, at := range times {
				of[at] = math.Float64bits(values[i])
			}
		}
		selection.Close()
		rows[c.Labels.String()], histories[c.Labels.String()] = of, c.History
	}
	return rows, histories
}

// TestHOKIsBitForBit writes rows of every kind, in order, late and again, with
// properties that change, and takes them to another database.
func TestHOKIsBitForBit(t *testing.T) {
	ctx := context.Background()
	special := []float64{0, math.Copysign(0, -1), math.Inf(1), math.Inf(-1), math.NaN(), math.Float64frombits(0x7ff8000000000123),
		math.Float64frombits(0xfff0000000000001), math.MaxFloat64, math.SmallestNonzeroFloat64, 0.1, 21.5, -273.15}
	rapid.Check(t, func(r *rapid.T) {
		from := openTest(t, vfs.NewMem())
		defer from.Close()
		if err := from.CreateTenant(ctx, "t"); err != nil {
			r.Fatal(err)
		}
		for range rapid.IntRange(1, 8).Draw(r, "batches") {
			name := rapid.SampledFrom([]string{"a", "b", "c"}).Draw(r, "channel")
			column := model.Column{Labels: hokLabels(t, name)}
			for range rapid.IntRange(1, 40).Draw(r, "rows") {
				column.Times = append(column.Times, rapid.Int64Range(0, 100).Draw(r, "time")*7e11)
				column.Values = append(column.Values, rapid.SampledFrom(special).Draw(r, "value"))
			}
			if rapid.Bool().Draw(r, "with properties") {
				column.Properties = &model.Properties{Unit: rapid.SampledFrom([]string{"V", "°C", ""}).Draw(r, "unit"), Name: "n"}
			}
			if _, err := from.Append(ctx, &model.Batch{Tenant: "t", Columns: []model.Column{column}}); err != nil {
				r.Fatal(err)
			}
			if rapid.Bool().Draw(r, "flush") {
				if err := from.Flush(ctx); err != nil {
					r.Fatal(err)
				}
			}
		}
		file := exportAll(t, from, model.AllTime())
		h, err := OpenHOK("x.hok", bytes.NewReader(file), int64(len(file)))
		if err != nil {
			r.Fatal(err)
		}
		to := openTest(t, vfs.NewMem())
		defer to.Close()
		if err := to.CreateTenant(ctx, "t"); err != nil {
			r.Fatal(err)
		}
		if _, _, err := to.ImportHOK(ctx, "t", h, nil); err != nil {
			r.Fatal(err)
		}
		wantRows, wantHistories := channelBits(t, from, model.AllTime())
		rows, histories := channelBits(t, to, model.AllTime())
		if !reflect.DeepEqual(rows, wantRows) {
			r.Fatalf("rows are %v, want %v", rows, wantRows)
		}
		for labels, want := range wantHistories {
			if got := histories[labels]; len(got)+len(want) > 0 && !reflect.DeepEqual(got, want) {
				r.Fatalf("properties of %s are %v, want %v", labels, got, want)
			}
		}
	})
}

// TestHOKHoldsTheSpanAlone exports a part of what there is.
func TestHOKHoldsTheSpanAlone(t *testing.T) {
	ctx := context.Background()
	db := tenantDB(t, vfs.NewMem())
	defer db.Close()
	writeHours(t, db, 0, 48, 0)
	span := model.Span{From: 10 * 3600e9, To: 20 * 3600e9}
	file := exportAll(t, db, span)
	h, err := OpenHOK("x.hok", bytes.NewReader(file), int64(len(file)))
	if err != nil {
		t.Fatal(err)
	}
	rows, first, last := h.Rows()
	if rows != 10*int64(len(h.Channels())) || first != span.From || last != span.To-3600e9 {
		t.Errorf("%d rows from %d to %d of %d channels", rows, first, last, len(h.Channels()))
	}
	for at := range file {
		damaged := bytes.Clone(file)
		damaged[at] ^= 1
		if _, err := OpenHOK("x.hok", bytes.NewReader(damaged), int64(len(file))); err == nil {
			t.Fatalf("byte %d changed: it is taken", at)
		} else if !errors.Is(err, ErrCorrupt) && !errors.Is(err, ErrVersion) {
			t.Fatalf("byte %d changed: %v", at, err)
		}
		if _, err := OpenHOK("x.hok", bytes.NewReader(file[:at]), int64(at)); !errors.Is(err, ErrCorrupt) {
			t.Fatalf("cut off at byte %d: %v", at, err)
		}
	}
	empty, err := db.Select(ctx, "t", []model.ChannelID{1}, model.Span{From: 1, To: 2})
	if err != nil {
		t.Fatal(err)
	}
	defer empty.Close()
	if _, err := empty.WriteHOK(ctx, new(bytes.Buffer), make([]model.Channel, 1), nil); !errors.Is(err, ErrEmpty) {
		t.Errorf("an export of nothing: %v", err)
	}
}
