package disk_test

import (
	"bytes"
	"errors"
	"io"
	"testing"

	"pgregory.net/rapid"

	"github.com/hokan-db/hokan/engine/disk"
)

// object is an open object in memory.
type object struct{ *bytes.Reader }

func (object) Close() error  { return nil }
func (o object) Size() int64 { return o.Reader.Size() }

func readStream(file []byte) ([]byte, error) {
	r, err := disk.NewStreamReader(object{bytes.NewReader(file)}, "x.ckpt", disk.KindCheckpoint)
	if err != nil {
		return nil, err
	}
	return io.ReadAll(r)
}

func writeStream(t rapid.TB, size int, parts ...[]byte) []byte {
	var file bytes.Buffer
	w, err := disk.NewStreamWriter(&file, disk.KindCheckpoint, size)
	if err != nil {
		t.Fatal(err)
	}
	for _, part := range parts {
		if n, err := w.Write(part); n != len(part) || err != nil {
			t.Fatalf("write: %d of %d, %v", n, len(part), err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return file.Bytes()
}

func TestStream(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		parts := rapid.SliceOfN(rapid.SliceOf(rapid.Byte()), 0, 5).Draw(t, "parts")
		file := writeStream(t, rapid.IntRange(1, 20).Draw(t, "size"), parts...)
		data, err := readStream(file)
		if err != nil || !bytes.Equal(data, bytes.Join(parts, nil)) {
			t.Fatalf("read %d bytes, %v", len(data), err)
		}
	})
}

// TestDamagedStream flips each bit of a stream and cuts it at each length: it
// never ends as if it were whole.
func TestDamagedStream(t *testing.T) {
	file := writeStream(t, 7, []byte("the quick brown fox"))
	for bit := range 8 * len(file) {
		changed := bytes.Clone(file)
		changed[bit/8] ^= 1 << (bit % 8)
		if _, err := readStream(changed); !errors.Is(err, disk.ErrCorrupt) {
			t.Errorf("bit %d changed: %v", bit, err)
		}
	}
	for size := range file {
		if _, err := readStream(file[:size]); !errors.Is(err, disk.ErrCorrupt) {
			t.Errorf("cut to %d bytes: %v", size, err)
		}
	}
	if _, err := readStream(append(bytes.Clone(file), 0)); !errors.Is(err, disk.ErrCorrupt) {
		t.Errorf("a byte more: %v", err)
	}
}

func FuzzStream(f *testing.F) {
	f.Add(writeStream(f, 7, []byte("the quick brown fox")))
	f.Add([]byte{})
	f.Fuzz(func(t *testing.T, file []byte) {
		data, err := readStream(file)
		// A file may be a stream of another version, whose checksums hold.
		if err != nil && !errors.Is(err, disk.ErrCorrupt) && !errors.Is(err, disk.ErrVersion) {
			t.Errorf("read: %v", err)
		}
		if len(data) > len(file) {
			t.Errorf("%d bytes out of %d", len(data), len(file))
		}
	})
}
