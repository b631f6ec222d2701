package engine

import (
	"context"
	"fmt"
	"math"
	"math/rand/v2"
	"os"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/hokan-db/hokan/engine/model"
)

// scanView is View by reading every row.
func scanView(t *testing.T, db *DB, ids []model.ChannelID, b model.Buckets) ([][]model.Aggregate, [][]float64) {
	t.Helper()
	s, err := db.Select(context.Background(), "t", ids, b.Span())
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	all, sizes := make([][]model.Aggregate, len(ids)), make([][]float64, len(ids))
	for i := range ids {
		all[i], sizes[i] = make([]model.Aggregate, b.Count), make([]float64, b.Count)
		for c := s.Cursor(i); ; {
			times, values, err := c.Next()
			if err != nil {
				t.Fatal(err)
			}
			if len(times) == 0 {
				break
			}
			for j, at := range times {
				k := (at - b.From) / b.Width
				all[i][k].Add(at, values[j])
				if values[j] == values[j] {
					sizes[i][k] += math.Abs(values[j])
				}
			}
		}
	}
	return all, sizes
}

// differs says in what two aggregates of the same rows differ that may not; ""
// if in nothing. size is the sum of |v|.
func differs(got, want *model.Aggregate, size float64) string {
	if got.Count != want.Count || got.Quality != want.Quality {
		return "counts"
	}
	if want.Rows() > 0 && (got.FirstTime != want.FirstTime || got.LastTime != want.LastTime) {
		return "times"
	}
	if want.Count == 0 {
		return ""
	}
	for _, pair := range [][2]float64{{got.Min, want.Min}, {got.Max, want.Max}, {got.First, want.First}, {got.Last, want.Last}} {
		if math.Float64bits(pair[0]) != math.Float64bits(pair[1]) {
			return "numbers"
		}
	}
	if off := math.Abs(got.Total() - want.Total()); off > math.Ldexp(size, -50) && !math.IsInf(size, 0) {
		return "sums"
	}
	if math.IsInf(want.Total(), 0) && got.Total() != want.Total() || (got.Total() != got.Total()) != (want.Total() != want.Total()) {
		return "sums of infinities"
	}
	return ""
}

// checkView compares a view with a scan of the rows, and returns the coarsest
// step that the view was made from.
func checkView(t *testing.T, db *DB, ids []model.ChannelID, b model.Buckets) model.Step {
	t.Helper()
	got, err := db.View(context.Background(), "t", ids, b)
	if err != nil {
		t.Fatalf("%+v: %v", b, err)
	}
	want, sizes := scanView(t, db, ids, b)
	for i := range ids {
		for k := range want[i] {
			if what := differs(&got.Aggregates[i][k], &want[i][k], sizes[i][k]); what != "" {
				t.Fatalf("%+v, channel %d, bucket %d (%d to %d), made from %v: %s: \n got %+v\nwant %+v", b, ids[i], k,
					b.From+int64(k)*b.Width, b.From+int64(k+1)*b.Width, got.Coarsest, what, got.Aggregates[i][k], want[i][k])
			}
		}
	}
	return got.Coarsest
}

// viewWriter makes a database whose rows lie in every kind of layout.
type viewWriter struct {
	t   *testing.T
	db  *DB
	rng *rand.Rand
	now int64 // where new rows begin
}

// viewStart is where the rows begin: the last hours of a month.
const viewStart = int64(1738368000e9) - 7*3600e9

// value returns a reading, now and then something special.
func (w *viewWriter) value() float64 {
	switch w.rng.IntN(40) {
	case 0:
		return math.Copysign(0, -1)
	case 1:
		return 0
	case 2:
		return model.QualityOver.NaN()
	case 3:
		return []float64{math.NaN(), 1e16, -1e16, 5e-324}[w.rng.IntN(4)]
	}
	return float64(w.rng.IntN(2000)-1000) / 10
}

// write appends n rows of a channel from a time on.
func (w *viewWriter) write(channel int, from, step int64, n int) {
	times, values := make([]int64, n), make([]float64, n)
	for i := range times {
		times[i], values[i] = from, w.value()
		from += step
		if w.rng.IntN(50) == 0 {
			from += w.rng.Int64N(20 * step)
		}
	}
	b := &model.Batch{Tenant: "t", Columns: []model.Column{{Labels: labelsOf(channel + 1)[channel], Times: times, Values: values}}}
	if _, err := w.db.Append(context.Background(), b); err != nil {
		w.t.Fatal(err)
	}
}

// channelStep is the step of a channel's rows: of one channel there are rollups
// of minutes and hours, of another none.
func channelStep(channel int) int64 { return []int64{1e9, 250e6, 200e9}[channel] }

// change changes the rows or where they lie.
func (w *viewWriter) change() {
	channel := w.rng.IntN(3)
	step := channelStep(channel)
	at := viewStart + w.rng.Int64N(w.now-viewStart+1)
	var err error
	switch w.rng.IntN(13) {
	case 0, 1, 2:
		n := 1 + w.rng.IntN(4000)
		for c := range 3 {
			w.write(c, w.now, channelStep(c), 1+int(int64(n)*1e9/channelStep(c)))
		}
		w.now += int64(n) * 1e9
		if w.rng.IntN(3) == 0 {
			w.now += w.rng.Int64N(5 * 3600e9)
		}
		return
	case 3:
		w.write(channel, at, 1e9, 1)
	case 4:
		w.write(channel, at-at%step, step, 1+w.rng.IntN(3))
	case 5:
		w.write(channel, at-at%step, step*(1+w.rng.Int64N(700)), 1+w.rng.IntN(30))
	case 6:
		w.write(channel, at, step, 1+w.rng.IntN(2000))
	case 7, 8, 9:
		err = w.db.Flush(context.Background())
	case 10:
		var ids []model.ChannelID // nil: all
		if w.rng.IntN(2) == 0 {
			ids = []model.ChannelID{model.ChannelID(channel + 1)}
		}
		span := model.Span{From: at, To: at + 1 + w.rng.Int64N(7200e9)}
		_, err = w.db.DeleteRows(context.Background(), "t", ids, span)
	default:
		err = w.db.Compact(context.Background())
	}
	if err != nil {
		w.t.Fatal(err)
	}
}

// TestAViewIsWhatAScanGives changes a database at random and compares views of
// many widths with the rows.
func TestAViewIsWhatAScanGives(t *testing.T) {
	rounds := uint64(6)
	if os.Getenv("HOKAN_LONG") != "" {
		rounds = 200
	}
	for round := range rounds {
		t.Run(fmt.Sprint(round), func(t *testing.T) {
			w := &viewWriter{t: t, db: openTest(t, vfs.NewMem()), rng: rand.New(rand.NewPCG(round, 5)), now: viewStart}
			defer w.db.Close()
			if err := w.db.CreateTenant(context.Background(), "t"); err != nil {
				t.Fatal(err)
			}
			for c := range 3 {
				w.write(c, w.now, channelStep(c), 3)
			}
			w.now += 1000e9
			ids := []model.ChannelID{3, 1, 2}
			used := map[model.Step]int{}
			for range 40 {
				w.change()
				for range 3 {
					used[checkView(t, w.db, ids, w.buckets())]++
				}
			}
			t.Logf("views were made from %v", used)
		})
	}
}

// buckets returns those of some view: of a part or of everything, fine or
// coarse.
func (w *viewWriter) buckets() model.Buckets {
	for {
		from := viewStart - 3600e9 + w.rng.Int64N(w.now-viewStart+7200e9)
		span := model.Span{From: from, To: from + 1 + w.rng.Int64N(w.now-viewStart+7200e9)}
		if w.rng.IntN(2) == 0 {
			span = model.Span{From: viewStart - 100e9, To: w.now + 5000e9}
		}
		b, err := model.PlanBuckets(span, []int{1, 3, 60, 500, 1366}[w.rng.IntN(5)])
		if err == nil {
			return b
		}
	}
}

// TestViewsWhoseBucketsAreNotSteps: buckets of whole hours that do not begin at
// a whole hour cannot be made of the rollups of hours.
func TestViewsWhoseBucketsAreNotSteps(t *testing.T) {
	s := openSlow(t, vfs.NewMem(), yearStart)
	ctx := context.Background()
	ids := fillMinutes(t, s.db, mixed(2), 4000)
	starts := []int64{30 * 60e9, 90e9, 1500e6, 1}
	views := map[int64][][]model.Aggregate{}
	for _, compacted := range []bool{false, true} {
		if compacted {
			must(t, s.db.Compact(ctx))
		}
		for _, from := range starts {
			got, err := s.db.Aggregate(ctx, "t", ids, model.Buckets{From: yearStart + from, Width: 3600e9, Count: 60})
			must(t, err)
			if !compacted {
				views[from] = got
			}
			for c := range got {
				for i := range got[c] {
					w, g := &views[from][c][i], &got[c][i]
					if w.Count != g.Count || w.FirstTime != g.FirstTime || w.LastTime != g.LastTime || w.First != g.First || w.Last != g.Last {
						t.Fatalf("from %d, channel %d, bucket %d: %+v, want %+v", from, c+1, i, *g, *w)
					}
				}
			}
		}
	}
	must(t, s.db.Close())
}
