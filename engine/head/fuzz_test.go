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

// TestFormat reads bytes made by hand after what snapshot.go says; the good
// ones come out again as they went in.
func TestFormat(t *testing.T) {
	row := string(make([]byte, 16))                         // one row: time 0, value 0
	channel := "\x01\x01\x10\x00" + row                     // the next ID, with one row
	late := "\xff\xff\xff\xff\xff\xff\xff\xff" + row[:8]    // time -1
	notLate := "\x01\x00\x00\x00\x00\x00\x00\x00" + row[:8] // time 1
	for name, c := range map[string]struct {
		bytes string
		good  bool
	}{
		"nothing":                  {"", false},
		"an empty head":            {"\x01\x00", true},
		"another version":          {"\x02\x00", false},
		"two channels":             {"\x01\x02" + channel + channel, true},
		"channels that are not":    {"\x01\x03" + channel + channel, false},
		"a channel more":           {"\x01\x01" + channel + channel, false},
		"ID 0":                     {"\x01\x01\x00" + channel[1:], false},
		"the same ID again":        {"\x01\x02" + channel + "\x00" + channel[1:], false},
		"the largest ID":           {"\x01\x01\xff\xff\xff\xff\x0f" + channel[1:], true},
		"an ID beyond the largest": {"\x01\x02\xff\xff\xff\xff\x0f" + channel[1:] + channel, false},
		"a channel without rows":   {"\x01\x01\x01\x00\x00\x00", false},
		"a late row":               {"\x01\x01\x01\x01\x10\x01" + row + late, true},
		"a late row that is cut":   {"\x01\x01\x01\x01\x10\x01" + row + late[:15], false},
		"a late row that is not":   {"\x01\x01\x01\x01\x10\x01" + row + notLate, false},
		"late rows only":           {"\x01\x01\x01\x00\x00\x01" + late, false},
		"a length too long":        {"\x01\x01\x01\x01\x11\x00" + row, false},
		"no such chunk":            {"\x01\x01\x01\x02\x10\x00" + row, false},
	} {
		h, err := Decode([]byte(c.bytes))
		if c.good && err != nil || !c.good && !errors.Is(err, ErrCorrupt) {
			t.Errorf("%s: %v", name, err)
		} else if c.good && string(h.Snapshot().AppendTo(nil)) != c.bytes {
			t.Errorf("%s: writes other bytes than it was read from", name)
		}
	}
}
