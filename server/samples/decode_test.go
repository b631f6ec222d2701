package samples

import (
	"context"
	"io"
	"time"

	"github.com/hokan-db/hokan/engine/policy"
)

// DecodeOnly does what Write does before it appends, and returns how many
// samples it would.
func DecodeOnly(contentType, encoding string, body io.Reader) (int, error) {
	decode, err := decoderOf(contentType)
	if err != nil {
		return 0, err
	}
	r := requests.Get().(*request)
	defer r.release()
	if err := r.read(context.Background(), encoding, body, policy.BodyBytes.Default); err != nil {
		return 0, err
	}
	if err := decode(r); err != nil {
		return 0, err
	}
	if _, err := r.judge(time.Unix(1.8e9, 0).UnixNano(), policy.AheadTime.Default, nil); err != nil {
		return 0, err
	}
	n := 0
	for i := range r.columns {
		n += len(r.columns[i].Times)
	}
	return n, nil
}
