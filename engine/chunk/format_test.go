package chunk

import (
	"encoding/hex"
	"math"
	"strings"
	"testing"
)

// TestFormat holds the bytes to what gorilla.go says. They are in files: a
// change here is a new format.
func TestFormat(t *testing.T) {
	times := []int64{1000, 1000 + 60e9, 1000 + 120e9, 1000 + 180e9, 1000 + 240e9 + 7, 1000 + 300e9 + 7e3, 1000 + 360e9}
	values := []float64{25.3, 25.4, 25.4, 25.3, 25.4, 1, 2}
	for i := range 13 { // the lowest bit changes from row 8 to row 19
		times = append(times, times[len(times)-1]+60e9)
		values = append(values, math.Float64frombits(math.Float64bits(2)+uint64(i%2)))
	}
	want := strings.Join([]string{
		"e803000000000000",                 // time of row 0
		"cdcccccccc4c3940",                 // value of row 0
		"0ff1ff6f11111111",                 // control of rows 1 to 16
		"e4" + "c0d401" + "abaaaaaaaa2a",   // row 1: 60,000 ms, class 4
		"11" + "0e",                        // row 4: +7 ns, class 1
		"22" + "9436" + "666666666666c97f", // row 5: +6,986 ns, class 2
		"2d" + "516d" + "f07f",             // row 6: -13,993 ns, class 13
		"90" + "0e",                        // row 7: +7 µs, class 0
		"01000000",                         // row 8: class 6
		"1101000000000000",                 // control of rows 17 to 19
	}, "")
	if got := hex.EncodeToString(Encode(nil, times, values)); got != want {
		t.Fatalf("got  %s\nwant %s", got, want)
	}
	throughBytes(t, times, values)
}

// TestClasses holds every class to the bits that gorilla.go gives it: the
// lowest and the highest bit together are said by no shorter class.
func TestClasses(t *testing.T) {
	bits := map[int][2]int{2: {0, 63}, 3: {0, 55}, 4: {0, 47}, 5: {0, 39}, 6: {0, 31}, 7: {29, 60}, 8: {29, 52},
		9: {29, 44}, 10: {40, 63}, 11: {40, 55}, 12: {40, 47}, 13: {48, 63}, 14: {48, 55}}
	for class, b := range bits {
		change := uint64(1)<<b[0] | uint64(1)<<b[1]
		var data [maxRowBytes]byte
		e := encoder{time: 0, delta: 1}
		control, n := e.put(&data, 1, math.Float64frombits(change))
		if int(control) != class || n != (b[1]-b[0]+1)/8 {
			t.Errorf("bits %d and %d: class %d, %d bytes; want class %d", b[0], b[1], control, n, class)
		}
	}
}

// TestTimeCodes says differences of time differences at the edges of codes.
func TestTimeCodes(t *testing.T) {
	for _, c := range []struct {
		difference int64
		code       uint8
	}{
		{1, 1}, {127, 1}, {-128, 1}, {128, 2}, {-129, 2}, {1 << 15, 3}, {1 << 55, 8}, {math.MaxInt64, 8}, {math.MinInt64, 8},
		{1e3, 9}, {127e3, 9}, {128e3, 10}, {(1<<23 - 1) * 1e3, 11}, {(1<<23 + 1) * 1e3, 5},
		{1e6, 12}, {-128e6, 12}, {128e6, 13}, {60e9, 14}, {86400e9, 15}, {(1<<31 - 1) * 1e6, 15}, {1 << 31 * 1e6, 7},
	} {
		if code, _ := timeCode(c.difference); code != c.code {
			t.Errorf("%d ns: code %d, want %d", c.difference, code, c.code)
		}
		throughBytes(t, []int64{5, 5 + 1<<40, 5 + 2<<40 + c.difference%(1<<39)}, []float64{1, 2, 3})
	}
}

func TestEncodingString(t *testing.T) {
	if Gorilla.String() != "gorilla" || Encoding(0).String() != "unknown" {
		t.Fatal(Gorilla, Encoding(0))
	}
}
