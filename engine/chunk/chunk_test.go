package chunk

import (
	"errors"
	"math"
	"math/rand/v2"
	"testing"

	"pgregory.net/rapid"
)

// drawRows draws strictly ascending times and values of the kinds that
// instruments send, and of the kinds that they should not.
func drawRows(t *rapid.T) (times []int64, values []float64) {
	now := rapid.OneOf(rapid.Int64(), rapid.Just(int64(math.MinInt64))).Draw(t, "start")
	step := rapid.OneOf(rapid.Just(int64(60e9)), rapid.Int64Range(1, math.MaxInt64)).Draw(t, "step")
	jitter := rapid.SampledFrom([]int64{0, 0, 1, 1e3, 1e6, 1e9}).Draw(t, "jitter")
	value := rapid.Float64().Draw(t, "value")
	least := rapid.SampledFrom([]int{0, 1, 2, 15, 16, 17, 33, 100, 400}).Draw(t, "least rows")
	for _, seed := range rapid.SliceOfN(rapid.Uint64(), least, -1).Draw(t, "rows") {
		r := rand.New(rand.NewPCG(seed, 0))
		times, values = append(times, now), append(values, value)
		next := now + step + jitter*r.Int64N(19) - 9*jitter
		switch r.IntN(100) {
		case 0:
			next = int64(r.Uint64())
		case 1:
			next = now + r.Int64()>>r.IntN(63)
		}
		if next <= now {
			next = now + 1
		}
		if now == math.MaxInt64 {
			break
		}
		now = next
		value = drawValue(r, value)
	}
	return times, values
}

// drawValue returns a value that may follow another.
func drawValue(r *rand.Rand, value float64) float64 {
	special := []float64{0, math.Copysign(0, -1), math.Inf(1), math.Inf(-1), math.NaN(),
		math.Float64frombits(0x7FF0000000000002), 1, 2, 3}
	switch r.IntN(7) {
	case 0:
		return math.Round(value*10+float64(r.IntN(3)-1)) / 10
	case 1:
		return float64(float32(r.NormFloat64()))
	case 2:
		return math.Float64frombits(r.Uint64())
	case 3:
		return math.Float64frombits(math.Float64bits(value) ^ r.Uint64()>>r.IntN(64)<<r.IntN(64))
	case 4:
		return special[r.IntN(len(special))]
	}
	return value
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
		gotTimes, gotValues, err := Decode(payload[:n], len(times), []int64{7}, []float64{7})
		if !errors.Is(err, ErrCorrupt) || len(gotTimes) != 1 || len(gotValues) != 1 {
			t.Fatalf("cut to %d bytes: %v, slices of %d and %d", n, err, len(gotTimes), len(gotValues))
		}
	}
	if _, _, err := Decode(append(payload, 0), len(times), nil, nil); !errors.Is(err, ErrCorrupt) {
		t.Fatalf("one byte more: %v", err)
	}
	for _, rows := range []int{-1, 0, 1, 50, 98, 1000, math.MaxInt, math.MinInt} {
		if _, _, err := Decode(payload, rows, nil, nil); !errors.Is(err, ErrCorrupt) {
			t.Fatalf("%d rows: %v", rows, err)
		}
	}
}

func TestDecodeRefuses(t *testing.T) {
	const first = "\x05\x00\x00\x00\x00\x00\x00\x00" + "\x00\x00\x00\x00\x00\x00\xf0\x3f"
	const timed = "\x0f\x00\x00\x00\x00\x00\x00\x00" // the first row of the group says its time
	for name, c := range map[string]struct {
		payload string
		rows    int
	}{
		"two rows at one time":       {first + "\x00\x00\x00\x00\x00\x00\x00\x00", 2},
		"a time that goes back":      {first + timed + "\x10\x01", 2},
		"a time that does not go on": {first + "\xff\x00\x00\x00\x00\x00\x00\x00" + "\x10\x02" + "\x10\x01", 3},
		"class 15 after the time":    {first + timed + "\x1f\x02", 2},
		"time code 0":                {first + "\xff\x00\x00\x00\x00\x00\x00\x00" + "\x10\x02" + "\x00", 3},
		"control of rows too many":   {first + "\x0f\x01\x00\x00\x00\x00\x00\x00" + "\x10\x02", 2},
	} {
		if _, _, err := Decode([]byte(c.payload), c.rows, nil, nil); !errors.Is(err, ErrCorrupt) {
			t.Errorf("%s: %v", name, err)
		}
	}
	good := first + timed + "\x10\x02"
	times, values, err := Decode([]byte(good), 2, nil, nil)
	if err != nil || !sameRows(times, values, []int64{5, 6}, []float64{1, 1}) {
		t.Errorf("%v %v %v", times, values, err)
	}
}

// TestDecodeOfNoise reads bytes that are all the same, and random ones, as as
// many rows as they may hold.
func TestDecodeOfNoise(t *testing.T) {
	r := rand.New(rand.NewPCG(3, 3))
	for n := firstRowBytes; n < 2*maxGroupBytes+100; n += 5 {
		payload := make([]byte, n)
		most := 1 + (n-firstRowBytes)/controlBytes*groupRows
		for fill := range 256 {
			for i := range payload {
				payload[i] = byte(fill)
			}
			checkDecode(t, payload, most)
		}
		for range 20 {
			for i := range payload {
				payload[i] = byte(r.Uint32() & r.Uint32())
			}
			checkDecode(t, payload, 1+r.IntN(most))
		}
	}
}
