package samples

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/klauspost/compress/zstd"

	"github.com/hokan-db/hokan/engine"
	"github.com/hokan-db/hokan/engine/disk/disktest"
	"github.com/hokan-db/hokan/engine/model"
	"github.com/hokan-db/hokan/ingest/admit"
	"github.com/hokan-db/hokan/server/api"
)

// packedRequest is a request of n samples of each of some channels.
func packedRequest(t *testing.T, n int, channels ...string) []byte {
	t.Helper()
	random := rand.New(rand.NewPCG(1, 2)) // which nothing makes shorter
	times := make([]int64, n)
	for i := range times {
		times[i] = int64(i)
	}
	var columns []model.Column
	for _, channel := range channels {
		labels, err := model.NewLabels(model.Label{Name: "instrument", Value: "i"}, model.Label{Name: "channel", Value: channel})
		if err != nil {
			t.Fatal(err)
		}
		values := make([]float64, n)
		for i := range values {
			values[i] = random.Float64()
		}
		columns = append(columns, model.Column{Labels: labels, Times: times, Values: values})
	}
	encoder, err := zstd.NewWriter(nil)
	if err != nil {
		t.Fatal(err)
	}
	return encoder.EncodeAll(AppendMsgpack(nil, "ms", columns), nil)
}

// TestPartlyKept fills the disk during a write that takes several log entries:
// the answer says what is kept, and that is what is there.
func TestPartlyKept(t *testing.T) {
	ctx := context.Background()
	disk := disktest.New(vfs.NewMem())
	clock := func() time.Time { return time.Unix(1.8e9, 0) }
	db, err := engine.Open(engine.Options{FS: disk, Dir: "data", Clock: clock, Manual: true})
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	if err := db.CreateTenant(ctx, "t"); err != nil {
		t.Fatal(err)
	}
	w := Writer{To: &admit.Writer{DB: db, Clock: clock}}
	const perChannel = 50_000
	packed := packedRequest(t, perChannel, "a", "b", "c", "d", "e", "f", "g", "h")
	disk.LimitWrites(2 << 20)
	body, err := w.Write(ctx, "t", "application/msgpack", "zstd", bytes.NewReader(packed))
	disk.UnlimitWrites()
	if body == nil || err == nil || api.AsError(err).Code != "disk_full" || !errors.Is(err, engine.ErrFull) {
		t.Fatalf("%+v, %v", body, err)
	}
	channels, err2 := db.Channels(ctx, "t", nil)
	if err2 != nil {
		t.Fatal(err2)
	}
	kept := int64(0)
	var last model.Labels
	ofLast := 0
	for _, c := range channels {
		s, err := db.Select(ctx, "t", []model.ChannelID{c.ID}, model.AllTime())
		if err != nil {
			t.Fatal(err)
		}
		cursor, n := s.Cursor(0), 0
		for {
			times, _, err := cursor.Next()
			if err != nil {
				t.Fatal(err)
			}
			if len(times) == 0 {
				break
			}
			n += len(times)
		}
		s.Close()
		if n > 0 {
			last, ofLast = c.Labels, n
		}
		kept += int64(n)
	}
	want := fmt.Sprintf("%d of %d samples are kept: all before channel %q of instrument \"i\", and the first %d of that",
		kept, 8*perChannel, last.Channel(), ofLast)
	if kept == 0 || kept == 8*perChannel || body.Accepted != kept || !strings.Contains(err.Error(), want) {
		t.Errorf("accepted %d, %v; want %s", body.Accepted, err, want)
	}
	if body, err = w.Write(ctx, "t", "application/msgpack", "zstd", bytes.NewReader(packed)); err != nil || body.Accepted != 8*perChannel {
		t.Errorf("sent again: %+v, %v", body, err)
	}
}
