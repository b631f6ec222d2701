package chunk

import (
	"errors"
	"math"
	"testing"

	"pgregory.net/rapid"
)

// drawRows draws strictly ascending times and values of the kinds that
// instruments send, and of the kinds that they should not.
func drawRows(t *rapid.T) (times []int64, values []float64) {
	n := rapid.IntRange(0, 200).Draw(t, "rows")
	if n == 0 {
		return nil, nil
	}
	now := rapid.OneOf(rapid.Int64(), rapid.Just(int64(math.MinInt64))).Draw(t, "start")
	step := rapid.OneOf(rapid.Just(int64(60e9)), rapid.Int64Range(1, math.MaxInt64)).Draw(t, "step")
	jitter := rapid.SampledFrom([]int64{0, 0, 1, 1e3, 1e6, 1e9}).Draw(t, "jitter")
	value := rapid.Float64().Draw(t, "value")
	for len(times) < n {
		times, values = append(times, now), append(values, value)
		next := now + step + jitter*rapid.Int64Range(-9, 9).Draw(t, "off")
		switch rapid.IntRange(0, 30).Draw(t, "gap") {
		case 0:
			next = rapid.Int64().Draw(t, "any time")
		case 1:
			next = math.MaxInt64
		}
		if next <= now {
			break
		}
		now = next
		switch rapid.IntRange(0, 6).Draw(t, "kind") {
		case 0, 1:
		case 2, 3:
			value = math.Round(value*10+float64(rapid.IntRange(-1, 1).Draw(t, "walk"))) / 10
		case 4:
			value = float64(rapid.Float32().Draw(t, "float32"))
		case 5:
			value = math.Float64frombits(rapid.Uint64().Draw(t, "bits"))
		case 6:
			value = rapid.SampledFrom([]float64{0, math.Copysign(0, -1), math.Inf(1), math.Inf(-1), math.NaN(),
				math.Float64frombits(0x7FF0000000000002), 1, 2, 3}).Draw(t, "special")
		}
	}
	return times, values
}

// sameRows reports whether rows are the same bit for bit.
func sameRows(t1 []int64, v1 []float64, t2 []int64, v2 []float64) bool {
	if len(t1) != len(t2) || len(v1) != len(v2) || len(t1) != len(v1) {
		return false
	}
	for i := range t1 {
		if t1[i] != t2[i] || math.Float64bits(v1[i]) != math.Float64bits(v2[i]) {
			return false
		}
	}
	return true
}

func TestRoundTrip(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		times, values := drawRows(t)
		prefix := []byte("before")
		payload := Encode(prefix, times, values)
		if string(payload[:6]) != "before" {
			t.Fatal("Encode changed what was in dst")
		}
		gotTimes, gotValues, err := Decode(payload[6:], len(times), []int64{7}, []float64{7})
		if err != nil {
			t.Fatal(err)
		}
		if gotTimes[0] != 7 || gotValues[0] != 7 || !sameRows(times, values, gotTimes[1:], gotValues[1:]) {
			t.Fatalf("got %v %v, want %v %v", gotTimes, gotValues, times, values)
		}
	})
}

func TestStreamGivesTheBytesOfEncode(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		times, values := drawRows(t)
		var p Pages
		var s, other Stream
		views := make([]View, 0, len(times)+1)
		views = append(views, s.View(&p))
		for i := range times {
			s.Append(&p, times[i], values[i])
			other.Append(&p, times[i], -values[i]) // pages of streams alternate
			views = append(views, s.View(&p))
		}
		for n := range views {
			v := &views[n]
			if string(v.AppendTo(nil)) != string(Encode(nil, times[:n], values[:n])) {
				t.Fatalf("the view after %d rows has other bytes than Encode", n)
			}
			gotTimes, gotValues, err := v.Decode(nil, nil)
			if err != nil || !sameRows(times[:n], values[:n], gotTimes, gotValues) {
				t.Fatalf("after %d rows: %v", n, err)
			}
			if v.Rows() != n || n > 0 && (v.First() != times[0] || v.Last() != times[n-1]) {
				t.Fatalf("after %d rows: Rows %d, First %d, Last %d", n, v.Rows(), v.First(), v.Last())
			}
		}
	})
}

func TestDecodeRefusesOtherLengthsAndRows(t *testing.T) {
	times, values := walk(100)
	values[99]++ // a last row that has data
	payload := Encode(nil, times, values)
	for n := range payload {
		if _, _, err := Decode(payload[:n], len(times), nil, nil); !errors.Is(err, ErrCorrupt) {
			t.Fatalf("cut to %d bytes: %v", n, err)
		}
	}
	if _, _, err := Decode(append(payload, 0), len(times), nil, nil); !errors.Is(err, ErrCorrupt) {
		t.Fatalf("one byte more: %v", err)
	}
	for _, rows := range []int{-1, 0, 1, 50, 98, 1000, math.MaxInt, math.MinInt} {
		gotTimes, gotValues, err := Decode(payload, rows, []int64{7}, []float64{7})
		if !errors.Is(err, ErrCorrupt) || len(gotTimes) != 1 || len(gotValues) != 1 {
			t.Fatalf("%d rows: %v, slices of %d and %d", rows, err, len(gotTimes), len(gotValues))
		}
	}
}
