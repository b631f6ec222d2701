package server

import (
	"net/http"
	"strings"
	"testing"

	"github.com/klauspost/compress/zstd"
)

// TestUnpackedBodies: what a body is unpacked to counts as in progress, until
// it is answered.
func TestUnpackedBodies(t *testing.T) {
	f := start(t, func(o *Options) { o.Limits.TenantInFlightBytes = chargeStep + 100_000 })
	encoder, err := zstd.NewWriter(nil)
	if err != nil {
		t.Fatal(err)
	}
	for unpacked, want := range map[int]int{200_000: http.StatusOK, 500_000: http.StatusTooManyRequests} {
		request := `{"channels":[{"labels":{"instrument":"i","channel":"c"},"times":[1],"values":[1]}]` + strings.Repeat(" ", unpacked) + "}"
		packed := string(encoder.EncodeAll([]byte(request), nil))
		answer, text := f.ask("POST", "/api/v1/samples", f.both, packed, "Content-Type", "application/json", "Content-Encoding", "zstd")
		if answer.StatusCode != want {
			t.Errorf("%d bytes, packed %d: %d %s", unpacked, len(packed), answer.StatusCode, text)
		}
	}
	if now := f.server.admitted.now(); now.bytes != 0 {
		t.Errorf("in progress after all: %+v", now)
	}
}
