package head

import (
	"cmp"
	"slices"

	"github.com/hokan-db/hokan/engine/chunk"
	"github.com/hokan-db/hokan/engine/model"
)

// View is the rows that a channel had at one time. It never changes and may be
// read while the head grows.
type View struct {
	stream chunk.View
	late   lateRows
}

// Rows returns the number of rows, those with equal times included: as many as
// Decode gives, or more.
func (v View) Rows() int { return v.stream.Rows() + len(v.late.rows) }

// Bounds returns the first and the last time.
func (v View) Bounds() (first, last int64) {
	first, last = v.stream.First(), v.stream.Last()
	if len(v.late.rows) > 0 {
		first = min(first, v.late.first)
	}
	return first, last
}

// Decode appends the rows to times and values in ascending order of time; of
// rows with equal times only the one that was added last.
func (v View) Decode(times []int64, values []float64) ([]int64, []float64, error) {
	if len(v.late.rows) == 0 {
		return v.stream.Decode(times, values)
	}
	streamTimes, streamValues, err := v.stream.Decode(nil, nil)
	if err != nil {
		return times, values, err
	}
	late := sortLate(v.late.rows)
	times, values = slices.Grow(times, v.Rows()), slices.Grow(values, v.Rows())
	i := 0
	for _, l := range late {
		for i < len(streamTimes) && streamTimes[i] < l.Time {
			times, values = append(times, streamTimes[i]), append(values, streamValues[i])
			i++
		}
		if i < len(streamTimes) && streamTimes[i] == l.Time {
			i++ // a late row is newer than the stream's
		}
		times, values = append(times, l.Time), append(values, l.Value)
	}
	return append(times, streamTimes[i:]...), append(values, streamValues[i:]...), nil
}

// sortLate returns rows in ascending order of time, of equal times only the
// last. It leaves rows as they are.
func sortLate(rows []model.Sample) []model.Sample {
	sorted := make([]model.Sample, len(rows))
	if ascending(rows) {
		copy(sorted, rows)
		return sorted
	}
	type key struct {
		time    int64
		arrival int
	}
	keys := make([]key, len(rows))
	for i, r := range rows {
		keys[i] = key{r.Time, i}
	}
	slices.SortFunc(keys, func(a, b key) int {
		if c := cmp.Compare(a.time, b.time); c != 0 {
			return c
		}
		return a.arrival - b.arrival
	})
	n := 0
	for _, k := range keys {
		if n > 0 && sorted[n-1].Time == k.time {
			n--
		}
		sorted[n] = rows[k.arrival]
		n++
	}
	return sorted[:n]
}

// ascending reports whether the times are in strictly ascending order.
func ascending(rows []model.Sample) bool {
	for i := 1; i < len(rows); i++ {
		if rows[i].Time <= rows[i-1].Time {
			return false
		}
	}
	return true
}
