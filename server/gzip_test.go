package server

import (
	"bytes"
	"compress/gzip"
	"errors"
	"io"
	"math/rand/v2"
	"testing"
)

// TestParallelGzip reads back bodies of every size around a piece's, written in
// pieces of every size, with one writer.
func TestParallelGzip(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 1))
	g := new(parallelGzip)
	for _, size := range []int{0, 1, gzipPiece - 1, gzipPiece, gzipPiece + 1, 5*gzipPiece + 7, 9 * gzipPiece} {
		text := make([]byte, size)
		for i := range text {
			text[i] = "0123456789,."[random.IntN(12)]
		}
		for _, most := range []int{1000, size + 1} {
			var packed bytes.Buffer
			g.Reset(&packed)
			for rest := text; len(rest) > 0; {
				n := min(len(rest), 1+random.IntN(most))
				if m, err := g.Write(rest[:n]); m != n || err != nil {
					t.Fatal(m, err)
				}
				rest = rest[n:]
			}
			if err := g.Close(); err != nil {
				t.Fatal(err)
			}
			r, err := gzip.NewReader(&packed)
			if err != nil {
				t.Fatalf("%d bytes: %v", size, err)
			}
			if got, err := io.ReadAll(r); err != nil || !bytes.Equal(got, text) {
				t.Errorf("%d bytes come back as %d: %v", size, len(got), err)
			}
			if packed.Len() > 0 {
				t.Errorf("%d bytes: %d bytes follow the member", size, packed.Len())
			}
		}
	}
}

// full takes some bytes and then no more.
type full struct{ left int }

var errFull = errors.New("full")

func (f *full) Write(b []byte) (int, error) {
	if f.left -= len(b); f.left < 0 {
		return 0, errFull
	}
	return len(b), nil
}

// TestParallelGzipFails checks that a writer that nobody reads says so.
func TestParallelGzipFails(t *testing.T) {
	for _, left := range []int{0, 100, 2000} {
		g := new(parallelGzip)
		g.Reset(&full{left})
		_, err := g.Write(make([]byte, 5_000_000))
		if err == nil {
			err = g.Close()
		}
		if !errors.Is(err, errFull) {
			t.Errorf("after %d bytes: %v", left, err)
		}
	}
}
