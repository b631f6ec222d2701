package chunk

import (
	"encoding/binary"
	"errors"
	"math"
	"testing"
)

// FuzzDecode feeds arbitrary bytes: they are refused as corrupt with nothing
// appended, or they give as many rows as asked for in ascending order of time,
// which go through Encode and Stream.
func FuzzDecode(f *testing.F) {
	for kind := range kinds {
		times, values := kindRows(kind, 40, 3, 1e6)
		f.Add(Encode(nil, times, values), 40)
		times, values = kindRows(kind, 20, 0, 1)
		f.Add(Encode(nil, times, values), 20)
	}
	f.Add([]byte{}, 0)
	f.Add([]byte{1}, math.MaxInt)
	f.Fuzz(checkDecode)
}

func checkDecode(t *testing.T, payload []byte, rows int) {
	times, values, err := Decode(payload, rows, nil, nil)
	mustRestore(t, payload, rows, err == nil)
	if err != nil {
		if !errors.Is(err, ErrCorrupt) || len(times) != 0 || len(values) != 0 {
			t.Fatalf("%d rows with %v", len(times), err)
		}
		return
	}
	if len(times) != rows || len(values) != rows {
		t.Fatalf("%d and %d rows, want %d", len(times), len(values), rows)
	}
	for i := 1; i < rows; i++ {
		if times[i] <= times[i-1] {
			t.Fatalf("times %d and %d follow each other", times[i-1], times[i])
		}
	}
	throughBytes(t, times, values)
}

// FuzzRoundTrip makes rows of arbitrary bytes.
func FuzzRoundTrip(f *testing.F) {
	f.Add([]byte("0123456701234567abcdefghijklmnop"))
	f.Fuzz(func(t *testing.T, b []byte) {
		var times []int64
		var values []float64
		for ; len(b) >= 16; b = b[16:] {
			at := int64(binary.LittleEndian.Uint64(b))
			if n := len(times); n > 0 && at <= times[n-1] {
				at = times[n-1] + at&0xFFFFFF + 1
				if at <= times[n-1] {
					break
				}
			}
			times = append(times, at)
			values = append(values, math.Float64frombits(binary.LittleEndian.Uint64(b[8:])))
		}
		throughBytes(t, times, values)
	})
}

// throughBytes checks that rows come back from Encode, and that a Stream gives
// the same bytes.
func throughBytes(t *testing.T, times []int64, values []float64) {
	t.Helper()
	payload := Encode(nil, times, values)
	gotTimes, gotValues, err := Decode(payload, len(times), nil, nil)
	if err != nil || !sameRows(times, values, gotTimes, gotValues) {
		t.Fatalf("rows do not come back: %v", err)
	}
	var p Pages
	var s Stream
	for i, at := range times {
		s.Append(&p, at, values[i])
	}
	if string(s.View(&p).AppendTo(nil)) != string(payload) {
		t.Fatal("Stream gives other bytes than Encode")
	}
	if restored, q := mustRestore(t, payload, len(times), true); restored.row != s.row || q.Bytes() > p.Bytes()+maxGroupBytes {
		t.Fatalf("a restored stream is %+v in %d bytes, the one that grew %+v in %d", restored, q.Bytes(), s, p.Bytes())
	}
}

// mustRestore checks that Stream.Restore takes what Decode takes, keeps its
// bytes, and goes on from the last row.
func mustRestore(t *testing.T, payload []byte, rows int, good bool) (s Stream, p *Pages) {
	t.Helper()
	p = new(Pages)
	if err := s.Restore(p, payload, rows); (err == nil) != good || err != nil && !errors.Is(err, ErrCorrupt) {
		t.Fatalf("Restore of %d rows: %v, but Decode takes them: %v", rows, err, good)
	}
	if !good {
		return s, p
	}
	if s.Rows() != rows || string(s.View(p).AppendTo(nil)) != string(payload) {
		t.Fatalf("a restored stream of %d rows gives %d, or other bytes", rows, s.Rows())
	}
	grown, pages, last := s, Pages{slabs: p.slabs, next: p.next, free: p.free, used: p.used}, s.Last()
	for i := range int64(40) {
		if rows == 0 || last > math.MaxInt64-40 {
			break
		}
		grown.Append(&pages, last+i+1, float64(i))
		times, values, err := grown.View(&pages).Decode(nil, nil)
		if err != nil || len(times) != rows+int(i)+1 || times[len(times)-1] != last+i+1 || values[len(values)-1] != float64(i) {
			t.Fatalf("row %d after a restored stream of %d: %v", i, rows, err)
		}
	}
	return s, p
}
