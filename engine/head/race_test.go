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
	written := 0
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
			written++
			lock.Unlock()
		}
	})
	for range 2 {
		wait.Go(func() {
			var times []int64
			var values []float64
			for want := 0; want < rows; {
				lock.Lock()
				want = written
				v, ok := h.View(2)
				s := h.Snapshot()
				lock.Unlock()
				if ok != (want > 0) {
					t.Errorf("a view after %d rows: %v", want, ok)
				}
				if !ok {
					continue
				}
				var err error
				times, values, err = v.Decode(times[:0], values[:0])
				if err != nil || len(times) != want || v.Rows() != want {
					t.Errorf("%d rows, Rows %d, want %d: %v", len(times), v.Rows(), want, err)
					return
				}
				for i, at := range times {
					if values[i] != valueAt(int(max(at, -at))) {
						t.Errorf("time %d has value %v", at, values[i])
						return
					}
				}
				restored, err := Decode(s.AppendTo(nil))
				if err != nil || restored.Rows() != channels*want {
					t.Errorf("a snapshot after %d rows: %v", want, err)
					return
				}
			}
		})
	}
	wait.Wait()
}
