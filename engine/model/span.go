package model

import (
	"errors"
	"fmt"
	"time"
)

// Samples lie in [MinTime, MaxTime): the whole years that int64 nanoseconds
// since 1970 can hold, 1678 to 2261.
var (
	MinTime = time.Date(1678, 1, 1, 0, 0, 0, 0, time.UTC).UnixNano()
	MaxTime = time.Date(2262, 1, 1, 0, 0, 0, 0, time.UTC).UnixNano()
)

// Day is the length of a UTC day in nanoseconds.
const Day = int64(24 * time.Hour)

// Span is the half-open interval [From, To) of times. It is empty unless
// From < To.
type Span struct{ From, To int64 }

// AllTime holds every time that a sample may have.
func AllTime() Span { return Span{MinTime, MaxTime} }

// Empty reports whether s holds no time.
func (s Span) Empty() bool { return s.From >= s.To }

// Contains reports whether t lies in s.
func (s Span) Contains(t int64) bool { return s.From <= t && t < s.To }

// Overlaps reports whether s holds a time of [first, last], both inclusive.
func (s Span) Overlaps(first, last int64) bool { return first < s.To && s.From <= last }

// Intersect returns the times that s and o share.
func (s Span) Intersect(o Span) Span { return Span{max(s.From, o.From), min(s.To, o.To)} }

// ErrBadSpan is wrapped by every refusal of a span or of its buckets.
var ErrBadSpan = errors.New("bad span")

// Buckets cut time into Count half-open pieces of Width nanoseconds:
// bucket i is [From + i*Width, From + (i+1)*Width).
type Buckets struct {
	From, Width int64
	Count       int
}

// Span returns what all buckets together cover.
func (b Buckets) Span() Span { return Span{b.From, b.From + b.Width*int64(b.Count)} }

// PlanBuckets cuts s into at most n+1 buckets whose edges are a pure function
// of the request. The width is ceil(span/n), rounded up to a multiple of the
// largest of 1 ns, 1 µs, 1 ms, 1 s, 1 min, 1 h, 1 d that is not larger; edges
// are multiples of the width since the epoch; the first and the last bucket
// are whole, so they may reach beyond s.
func PlanBuckets(s Span, n int) (Buckets, error) {
	if s.Empty() {
		return Buckets{}, fmt.Errorf("%w: it ends before it starts", ErrBadSpan)
	}
	if n < 1 {
		return Buckets{}, fmt.Errorf("%w: %d buckets", ErrBadSpan, n)
	}
	if s.From < MinTime || s.To > MaxTime {
		return Buckets{}, fmt.Errorf("%w: it reaches beyond the years 1678 to 2261", ErrBadSpan)
	}
	length := uint64(s.To) - uint64(s.From) // exact even beyond MaxInt64
	width := (length-1)/uint64(n) + 1
	unit := uint64(1)
	for _, u := range []uint64{1e3, 1e6, 1e9, 60e9, 3600e9, 86400e9} {
		if u <= width {
			unit = u
		}
	}
	width = (width + unit - 1) / unit * unit
	// A quarter of the representable range leaves room for whole edge buckets.
	if width > 1<<61 {
		return Buckets{}, fmt.Errorf("%w: too wide for %d buckets, ask for more", ErrBadSpan, n)
	}
	w := int64(width)
	from, ok := floorTo(s.From, w)
	if !ok {
		return Buckets{}, fmt.Errorf("%w: its first bucket would begin before 1678, ask for more buckets", ErrBadSpan)
	}
	count := (uint64(s.To)-uint64(from)-1)/width + 1
	if uint64(s.To)-uint64(from) > 1<<63-1 {
		return Buckets{}, fmt.Errorf("%w: it is longer than 292 years", ErrBadSpan)
	}
	if from+int64(count*width) < from || int64(count*width) < 0 {
		return Buckets{}, fmt.Errorf("%w: its last bucket would end after 2261, ask for more buckets", ErrBadSpan)
	}
	return Buckets{From: from, Width: w, Count: int(count)}, nil
}

// floorTo returns the largest multiple of w that is not above t, and whether
// an int64 holds it.
func floorTo(t, w int64) (int64, bool) {
	r := t % w
	if r < 0 {
		r += w
	}
	f := t - r
	return f, f <= t
}
