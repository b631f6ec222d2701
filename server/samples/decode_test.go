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
	if err := r.body.Read(context.Background(), "", encoding, body, policy.BodyBytes.Default); err != nil {
		return 0, err
	}
	if err := r.decode(decode); err != nil {
		return 0, err
	}
	r.Judge(time.Unix(1.8e9, 0).UnixNano(), policy.AheadTime.Default, nil)
	n := 0
	for _, c := range r.Columns() {
		n += len(c.Times)
	}
	return n, nil
}
