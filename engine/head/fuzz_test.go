package head

import (
	"errors"
	"testing"
)

// FuzzDecode feeds arbitrary bytes: they are refused as corrupt, or they make
// a head that reads, grows, and goes through bytes.
func FuzzDecode(f *testing.F) {
	f.Add([]byte{})
	f.Add(New().Snapshot().AppendTo(nil))
	h := New()
	times, values := temperatures(1, 40)
	h.AppendColumn(1, times, values)
	h.AppendColumn(1, times[3:9], values)
	h.AppendColumn(70, times[:1], values)
	h.AppendColumn(1<<30, []int64{5, 4, 3, 3, 9}, []float64{1, 2, 3, 4, 5})
	b := h.Snapshot().AppendTo(nil)
	f.Add(b)
	f.Add(b[:len(b)-1])
	f.Fuzz(func(t *testing.T, b []byte) {
		h, err := Decode(b)
		if err != nil {
			if !errors.Is(err, ErrCorrupt) {
				t.Fatalf("not ErrCorrupt: %v", err)
			}
			return
		}
		h = throughBytes(t, h)
		for _, id := range h.Channels() {
			v, _ := h.View(id)
			first, last := v.Bounds()
			times, values, err := v.Decode(nil, nil)
			if err != nil || len(times) == 0 || times[0] != first || times[len(times)-1] != last {
				t.Fatalf("channel %d: %v", id, err)
			}
			h.AppendColumn(id, times, values)
			h.AppendColumn(id, []int64{last + 1}, values[:1])
		}
		throughBytes(t, h)
	})
}

// TestDecodeRefusesDamage cuts the bytes of a head anywhere, and changes every
// byte in every bit: no panic, and where Decode refuses, it says corrupt.
func TestDecodeRefusesDamage(t *testing.T) {
	h := New()
	times, values := temperatures(1, 40)
	h.AppendColumn(1, times, values)
	h.AppendColumn(1, times[3:9], values)
	h.AppendColumn(70, times, values)
	b := h.Snapshot().AppendTo(nil)
	for n := range b {
		if _, err := Decode(b[:n]); !errors.Is(err, ErrCorrupt) {
			t.Fatalf("cut to %d bytes: %v", n, err)
		}
	}
	if _, err := Decode(append(b[:len(b):len(b)], 0)); !errors.Is(err, ErrCorrupt) {
		t.Fatalf("one byte more: %v", err)
	}
	refused := 0
	for i := range b {
		for bit := range 8 {
			b[i] ^= 1 << bit
			if _, err := Decode(b); err != nil {
				refused++
				if !errors.Is(err, ErrCorrupt) {
					t.Fatalf("bit %d of byte %d: %v", bit, i, err)
				}
			}
			b[i] ^= 1 << bit
		}
	}
	if refused == 0 {
		t.Fatal("no damage is refused")
	}
}
