package unpack

import (
	"bytes"
	"context"
	"io"
	"testing"
	"time"

	"github.com/klauspost/compress/s2"
	"github.com/klauspost/compress/zstd"

	"github.com/hokan-db/hokan/engine/policy"
	"github.com/hokan-db/hokan/server/api"
)

// chargedBody notes what it is charged for.
type chargedBody struct {
	io.Reader
	charged int64
	refusal error
}

// Charge implements Charger.
func (b *chargedBody) Charge(n int64) error {
	b.charged += n
	return b.refusal
}

// pack packs a body of n bytes into few.
func pack(t *testing.T, n int) []byte {
	t.Helper()
	encoder, err := zstd.NewWriter(nil)
	if err != nil {
		t.Fatal(err)
	}
	return encoder.EncodeAll(make([]byte, n), nil)
}

// TestUnpackedBytesAreCharged unpacks a little into much, which counts as in
// progress and may be refused.
func TestUnpackedBytesAreCharged(t *testing.T) {
	for _, n := range []int{160, 3_200_000} {
		packed := pack(t, n)
		body := &chargedBody{Reader: bytes.NewReader(packed)}
		var b Body
		if err := b.Read(context.Background(), "t", "zstd", body, 32<<20); err != nil || body.charged != int64(n) || len(b.Bytes) != n {
			t.Errorf("%d bytes: charged %d of %d, %v", n, body.charged, len(b.Bytes), err)
		}
		b.Release()
		body = &chargedBody{Reader: bytes.NewReader(packed), refusal: api.NewError("busy", "too many bytes")}
		if err := b.Read(context.Background(), "t", "zstd", body, 32<<20); api.AsError(err).Code != "busy" {
			t.Errorf("%d bytes, refused: %v", n, err)
		}
		b.Release()
	}
	if large.Free() != int(policy.LargeBodies.Default) {
		t.Errorf("%d places are free", large.Free())
	}
}

// TestWaitingHoldsNothingUnpacked lets a request wait for its turn: what it was
// unpacked to is let go, and another tenant's does not wait.
func TestWaitingHoldsNothingUnpacked(t *testing.T) {
	for range policy.LargeBodies.Default / 2 {
		if err := large.Enter(context.Background(), "t"); err != nil {
			t.Fatal(err)
		}
		defer large.Leave("t")
	}
	ctx, cancel := context.WithCancel(context.Background())
	var b, other Body
	done := make(chan error)
	packed := pack(t, 3_200_000)
	go func() { done <- b.Read(ctx, "t", "zstd", bytes.NewReader(packed), 32<<20) }()
	large.AwaitWaiting("t", 1) // what came before has happened
	if held := cap(b.Bytes); held > 0 {
		t.Errorf("it holds %d unpacked bytes while it waits", held)
	}
	soon, stop := context.WithTimeout(context.Background(), 10*time.Second)
	defer stop()
	if err := other.Read(soon, "u", "zstd", bytes.NewReader(packed), 32<<20); err != nil || !other.large {
		t.Errorf("another tenant's: %v", err)
	}
	if other.Drop(); other.Bytes != nil {
		t.Error("what is dropped is held")
	}
	other.Release()
	cancel()
	if err := <-done; api.AsError(err).Code != "busy" || b.large {
		t.Errorf("cancelled: %v", err)
	}
}

// TestSnappy unpacks blocks: good, too large for the limit, of a length that they
// have not, and broken off.
func TestSnappy(t *testing.T) {
	text := bytes.Repeat([]byte("samples "), 1000)
	packed := s2.EncodeSnappy(nil, text)
	for _, c := range []struct {
		name, code string
		packed     []byte
		most       int64
	}{
		{"good", "", packed, 1 << 20},
		{"too large", "body_too_large", packed, int64(len(text)) - 1},
		{"lying", "body_too_large", []byte{0xff, 0xff, 0xff, 0xff, 0x0f, 0}, 32 << 20},
		{"cut", "malformed", packed[:len(packed)/2], 1 << 20},
		{"empty", "malformed", nil, 1 << 20},
	} {
		var b Body
		err := b.Read(context.Background(), "t", "snappy", bytes.NewReader(c.packed), c.most)
		switch {
		case c.code == "" && (err != nil || !bytes.Equal(b.Bytes, text)):
			t.Errorf("%s: %d bytes, %v", c.name, len(b.Bytes), err)
		case c.code != "" && (err == nil || api.AsError(err).Code != c.code):
			t.Errorf("%s: %v, want %s", c.name, err, c.code)
		}
		b.Release()
	}
}
