package head

import (
	"sync"
	"testing"

	"github.com/hokan-db/hokan/engine/model"
)

// TestViewsWhileTheHeadGrows reads views and snapshots outside of the lock
// under which a writer adds rows. It is worth most under the race detector.
func TestViewsWhileTheHeadGrows(t *testing.T) {
	const rows, channels = 3000, 3
	h := New()
	var lock sync.Mutex
	var wait sync.WaitGroup
	valueAt := func(i int) float64 { return float64(i*7919%1009) / 10 }
	wait.Go(func() {
		for i := range rows {
			lock.Lock()
			for id := model.ChannelID(1); id <= channels; id++ {
				at := int64(i)
				if i%10 == 9 {
					at = -at // late
				}
				h.AppendColumn(id, []int64{at}, []float64{valueAt(i)})
			}
			lock.Unlock()
		}
	})
	for range 2 {
		wait.Go(func() {
			var times []int64
			var values []float64
			for seen := 0; seen < rows; {
				lock.Lock()
				v, ok := h.View(2)
				s := h.Snapshot()
				lock.Unlock()
				if !ok {
					continue
				}
				var err error
				times, values, err = v.Decode(times[:0], values[:0])
				if err != nil || len(times) != v.Rows() || len(times) < seen {
					t.Errorf("%d rows of %d after %d: %v", len(times), v.Rows(), seen, err)
					return
				}
				seen = len(times)
				for i, at := range times {
					if values[i] != valueAt(int(max(at, -at))) {
						t.Errorf("time %d has value %v", at, values[i])
						return
					}
				}
				restored, err := Decode(s.AppendTo(nil))
				if err != nil || restored.Rows() < seen || restored.Rows() > channels*seen+channels {
					t.Errorf("a snapshot at %d rows: %v", seen, err)
					return
				}
			}
		})
	}
	wait.Wait()
}
