package chunk

import (
	"math"
	"sync"
	"testing"
	"unsafe"
)

// TestStreamIsSmall holds the state that every channel has to its size: there
// are hundreds of thousands of them.
func TestStreamIsSmall(t *testing.T) {
	if n := unsafe.Sizeof(Stream{}); n > 64 {
		t.Fatalf("%d bytes", n)
	}
}

// TestViewsWhileTheStreamGrows reads views outside of the lock under which a
// writer appends. It is worth most under the race detector.
func TestViewsWhileTheStreamGrows(t *testing.T) {
	times, values := kindRows(1, 5000, 2, 1e6)
	var lock sync.Mutex
	var wait sync.WaitGroup
	var p Pages
	streams := make([]Stream, 2)
	wait.Go(func() {
		for i := range times {
			lock.Lock()
			for s := range streams {
				streams[s].Append(&p, times[i], values[i])
			}
			lock.Unlock()
		}
	})
	for s := range streams {
		wait.Go(func() {
			for n := 0; n < len(times); {
				lock.Lock()
				v := streams[s].View(&p)
				lock.Unlock()
				n = v.Rows()
				gotTimes, gotValues, err := v.Decode(nil, nil)
				if err != nil || !sameRows(times[:n], values[:n], gotTimes, gotValues) {
					t.Errorf("%d rows: %v", n, err)
					return
				}
			}
		})
	}
	wait.Wait()
}

// TestManyStreams grows streams of all lengths in the same pages.
func TestManyStreams(t *testing.T) {
	const streams = 3000
	var p Pages
	all := make([]Stream, streams)
	times, values := kindRows(5, streams, 1e6, 1)
	for row := range times {
		for i := row; i < streams; i += 1 + row/8 {
			all[i].Append(&p, times[row], values[row])
		}
	}
	total := 0
	for i := range all {
		var wantTimes []int64
		var wantValues []float64
		for row := 0; row <= i; row++ {
			if (i-row)%(1+row/8) == 0 {
				wantTimes, wantValues = append(wantTimes, times[row]), append(wantValues, values[row])
			}
		}
		gotTimes, gotValues, err := all[i].View(&p).Decode(nil, nil)
		if err != nil || !sameRows(wantTimes, wantValues, gotTimes, gotValues) {
			t.Fatalf("stream %d: %v", i, err)
		}
		total += len(all[i].View(&p).AppendTo(nil))
	}
	if waste := float64(p.Bytes()) / float64(total); waste > 1.3 {
		t.Errorf("pages of %d bytes for streams of %d", p.Bytes(), total)
	} else {
		t.Logf("pages take %.0f %% more than the streams", 100*(waste-1))
	}
}

func TestDecodeAllocatesNoMoreThanTheRows(t *testing.T) {
	if underRace {
		t.Skip("allocations are different under the race detector")
	}
	times, values := walk(1000)
	payload := Encode(nil, times, values)
	gotTimes, gotValues := make([]int64, 0, 1000), make([]float64, 0, 1000)
	var view View
	var p Pages
	var s Stream
	for i, at := range times {
		s.Append(&p, at, values[i])
	}
	for name, run := range map[string]func(){
		"Encode":      func() { payload = Encode(payload[:0], times, values) },
		"Decode":      func() { gotTimes, gotValues, _ = Decode(payload, 1000, gotTimes[:0], gotValues[:0]) },
		"View.Decode": func() { gotTimes, gotValues, _ = s.View(&p).Decode(gotTimes[:0], gotValues[:0]) },
		"View":        func() { view = s.View(&p) },
		"Summarize":   func() { Summarize(times, values) },
		"refusal":     func() { Decode(payload[:20], math.MaxInt, nil, nil) },
	} {
		most := 0.5
		if name == "refusal" {
			most = 8 // small ones, for the error
		}
		if n := testing.AllocsPerRun(100, run); n > most {
			t.Errorf("%s allocates %v times", name, n)
		}
	}
	if view.Rows() != 1000 {
		t.Fatal(view.Rows())
	}
}
