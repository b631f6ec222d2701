package chunk

import (
	"encoding/binary"
	"errors"
	"math"
	"math/rand/v2"
	"runtime"
	"slices"
	"testing"

	"github.com/hokan-db/hokan/engine/model"
)

// allocated returns how many bytes f allocates.
func allocated(f func()) uint64 {
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	f()
	runtime.ReadMemStats(&after)
	return after.TotalAlloc - before.TotalAlloc
}

// mostAllocated bounds the memory that a new decoder may take for a column:
// tables of a fixed size, and some words a row.
func mostAllocated(src []byte, rows int) uint64 {
	return 512<<10 + 64*uint64(rows) + 8*uint64(len(src))
}

// addColumns gives a fuzzer a column of every kind in every form.
func addColumns(f *testing.F) {
	var e Encoder
	for k, kind := range columnKinds {
		for _, n := range []int{1, 20, 300} {
			values := kind.make(rand.New(rand.NewPCG(uint64(k), uint64(n))), n)
			for _, form := range forms {
				f.Add(e.AppendValues(nil, values, form), uint16(n))
			}
		}
	}
}

// FuzzValues decodes arbitrary bytes: they are refused and dst comes back as
// it was, or there are as many values as asked for, which go through bytes
// again. Fold and DescribeValues refuse the same bytes.
func FuzzValues(f *testing.F) {
	addColumns(f)
	f.Fuzz(func(t *testing.T, src []byte, n uint16) {
		rows := int(n)
		checkArbitraryValues(t, src, rows)
	})
}

func checkArbitraryValues(t *testing.T, src []byte, rows int) {
	t.Helper()
	before := slices.Clone(src)
	var values []float64
	var err error
	taken := allocated(func() {
		var d Decoder
		values, err = d.Values([]float64{7}, src, rows)
	})
	if most := mostAllocated(src, rows); taken > most {
		t.Fatalf("%d bytes allocated for %d rows in %d bytes, at most %d", taken, rows, len(src), most)
	}
	if !slices.Equal(src, before) {
		t.Fatal("Values changed src")
	}
	var d Decoder
	out := make([]model.Aggregate, 1)
	foldError := d.Fold(out, []int{0, max(rows, 0)}, src, rows)
	_, describeError := DescribeValues(src, rows)
	if _, stretchesError := d.Stretches(nil, []int{rows / 2, rows}, src, rows); stretchesError != nil && err == nil {
		t.Fatalf("Stretches says %v", stretchesError)
	}
	if err != nil {
		if !errors.Is(err, ErrCorrupt) || len(values) != 1 || values[0] != 7 {
			t.Fatalf("%d values with %v", len(values)-1, err)
		}
		if !errors.Is(foldError, ErrCorrupt) {
			t.Fatalf("Values says %v, Fold %v", err, foldError)
		}
		if describeError != nil && !errors.Is(describeError, ErrCorrupt) {
			t.Fatalf("DescribeValues says %v", describeError)
		}
		return
	}
	values = values[1:]
	if foldError != nil && !errors.Is(foldError, ErrCorrupt) {
		t.Fatalf("Fold says %v", foldError)
	}
	if len(values) != rows || describeError != nil {
		t.Fatalf("%d values, want %d; DescribeValues says %v", len(values), rows, describeError)
	}
	// Integers times a base may be infinite only where no encoder made them; Fold
	// may refuse those that no encoder makes.
	if foldError == nil && !slices.ContainsFunc(values, func(v float64) bool { return math.IsInf(v, 0) }) {
		checkFold(t, "arbitrary bytes", &d, src, values, []int{0, rows / 3, rows})
	}
	var c columnChecker
	for _, form := range forms {
		c.checkValues(t, "of arbitrary bytes", values, form)
	}
}

// FuzzTimes does the same with times, which must ascend.
func FuzzTimes(f *testing.F) {
	var e Encoder
	for k, kind := range timesKinds {
		for _, n := range []int{1, 20, 300} {
			times := kind.times(rand.New(rand.NewPCG(uint64(k), uint64(n))), n)
			for _, form := range forms {
				f.Add(e.AppendTimes(nil, times, form), uint16(len(times)))
			}
		}
	}
	f.Fuzz(func(t *testing.T, src []byte, n uint16) { checkArbitraryTimes(t, src, int(n)) })
}

func checkArbitraryTimes(t *testing.T, src []byte, rows int) {
	t.Helper()
	before := slices.Clone(src)
	var times []int64
	var err error
	taken := allocated(func() {
		var d Decoder
		times, err = d.Times([]int64{7}, src, rows)
	})
	if most := mostAllocated(src, rows); taken > most {
		t.Fatalf("%d bytes allocated for %d rows in %d bytes, at most %d", taken, rows, len(src), most)
	}
	if !slices.Equal(src, before) {
		t.Fatal("Times changed src")
	}
	_, describeError := DescribeTimes(src, rows)
	if err != nil {
		if !errors.Is(err, ErrCorrupt) || len(times) != 1 || times[0] != 7 {
			t.Fatalf("%d times with %v", len(times)-1, err)
		}
		if describeError != nil && !errors.Is(describeError, ErrCorrupt) {
			t.Fatalf("DescribeTimes says %v", describeError)
		}
		return
	}
	times = times[1:]
	if len(times) != rows || describeError != nil {
		t.Fatalf("%d times, want %d; DescribeTimes says %v", len(times), rows, describeError)
	}
	for i := 1; i < rows; i++ {
		if times[i] <= times[i-1] {
			t.Fatalf("times %d and %d follow each other", times[i-1], times[i])
		}
	}
	var c columnChecker
	for _, form := range forms {
		c.checkTimes(t, "of arbitrary bytes", times, form)
	}
}

// FuzzColumns takes values and times made of arbitrary bytes through bytes and
// back.
func FuzzColumns(f *testing.F) {
	f.Add([]byte("0123456701234567abcdefghijklmnop"), uint8(0))
	f.Add([]byte("0123456701234567abcdefghijklmnop"), uint8(3))
	f.Fuzz(func(t *testing.T, b []byte, kind uint8) {
		var values []float64
		var times []int64
		at := int64(math.MinInt64)
		for ; len(b) >= 8; b = b[8:] {
			bits := binary.LittleEndian.Uint64(b)
			switch v := math.Float64frombits(bits); kind % 5 {
			case 0:
				values = append(values, v)
			case 1:
				values = append(values, float64(float32(v)))
			case 2:
				values = append(values, float64(int16(bits))/10)
			case 3:
				values = append(values, float64(int32(bits))/1e4, float64(bits>>32))
			case 4:
				values = append(values, float64(bits&3), float64(bits>>2&3), v)
			}
			if next := at + int64(bits>>(kind%64)) + 1; next > at {
				at = next
				times = append(times, at)
			}
		}
		if len(times) == 0 {
			return
		}
		var c columnChecker
		for _, form := range forms {
			c.checkTimes(t, "arbitrary", times, form)
			src := c.checkValues(t, "arbitrary", values, form)
			checkFold(t, "arbitrary", &c.d, src, values, []int{0, len(values) / 2, len(values)})
		}
	})
}

// TestColumnsOfDamage changes and cuts bytes of good columns.
func TestColumnsOfDamage(t *testing.T) {
	var e Encoder
	r := rand.New(rand.NewPCG(4, 4))
	rounds := 25
	if long {
		rounds = 1000
	}
	damage := func(src []byte) []byte {
		for range 1 + r.IntN(3) {
			at := r.IntN(len(src))
			if r.IntN(2) == 0 {
				at = min(at, r.IntN(24)) // where columns say what they are
			}
			if src[at] ^= 1 << r.IntN(8); r.IntN(3) == 0 {
				src[at] = byte(r.Uint32())
			}
		}
		return src[:len(src)-max(0, r.IntN(12)-8)*len(src)/8]
	}
	for k, kind := range columnKinds {
		for round := range rounds {
			n := 1 + r.IntN(600)
			src := e.AppendValues(nil, kind.make(rand.New(rand.NewPCG(uint64(k), uint64(n))), n), forms[round%2])
			checkArbitraryValues(t, damage(src), n)
		}
	}
	for k, kind := range timesKinds {
		for round := range rounds {
			times := kind.times(rand.New(rand.NewPCG(uint64(k), uint64(round))), 1+r.IntN(600))
			checkArbitraryTimes(t, damage(e.AppendTimes(nil, times, forms[round%2])), len(times))
		}
	}
}

// TestColumnsOfNoise decodes bytes that are all the same, and random ones.
func TestColumnsOfNoise(t *testing.T) {
	r := rand.New(rand.NewPCG(5, 5))
	for n := 0; n < 300; n += 1 + n/8 {
		src := make([]byte, n)
		for fill := range 256 {
			for i := range src {
				src[i] = byte(fill)
			}
			checkArbitraryValues(t, src, r.IntN(1000))
			checkArbitraryTimes(t, src, r.IntN(1000))
		}
		for range 100 {
			for i := range src {
				src[i] = byte(r.Uint32() & r.Uint32())
			}
			checkArbitraryValues(t, src, r.IntN(1000))
			checkArbitraryTimes(t, src, r.IntN(1000))
		}
	}
}
