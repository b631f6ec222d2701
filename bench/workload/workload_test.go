package workload_test

import (
	"encoding/binary"
	"hash/fnv"
	"math"
	"os"
	"testing"

	"github.com/hokan-db/hokan/bench/workload"
)

func hash(s *workload.Set) uint64 {
	h := fnv.New64a()
	var row [16]byte
	for _, c := range s.Channels {
		h.Write([]byte(c.Class))
		for i, t := range c.Times {
			binary.LittleEndian.PutUint64(row[:], uint64(t))
			binary.LittleEndian.PutUint64(row[8:], math.Float64bits(c.Values[i]))
			h.Write(row[:])
		}
	}
	return h.Sum64()
}

// TestGenerateIsAlwaysTheSame: figures of different days and machines are of
// the very same samples.
func TestGenerateIsAlwaysTheSame(t *testing.T) {
	s := workload.Generate("tiny", 40, 300)
	defer s.Release()
	if got, want := hash(s), uint64(0xcdbc7a97dd06c569); got != want {
		t.Errorf("the samples' hash is %#x, want %#x", got, want)
	}
}

func TestGenerateHasAllClassesInOrder(t *testing.T) {
	s := workload.Generate("tiny", 100, 50)
	defer s.Release()
	if n := s.Samples(); n != 5000 {
		t.Errorf("%d samples", n)
	}
	shares := map[string]int{}
	for i, c := range s.Channels {
		shares[c.Class]++
		for k := 1; k < len(c.Times); k++ {
			if c.Times[k] <= c.Times[k-1] {
				t.Fatalf("channel %d: time %d does not ascend", i, k)
			}
		}
	}
	want := map[string]int{"temperature": 30, "voltage": 20, "energy": 15, "status": 10, "resistance": 10, "float32": 10, "computed": 5}
	for class, n := range want {
		if shares[class] != n {
			t.Errorf("%d channels of class %s, want %d", shares[class], class, n)
		}
	}
}

// TestRowsAreEverySampleInOrder takes rows in batches that fit nothing.
func TestRowsAreEverySampleInOrder(t *testing.T) {
	s := workload.Generate("tiny", 7, 11)
	defer s.Release()
	rows := make([]workload.Row, 10)
	seen := 0
	for {
		n := s.Rows(rows, seen)
		if n == 0 {
			break
		}
		for k, r := range rows[:n] {
			channel, i := (seen+k)%7, (seen+k)/7
			c := s.Channels[channel]
			if r != (workload.Row{Channel: channel, Time: c.Times[i], Value: c.Values[i]}) {
				t.Fatalf("row %d is %+v", seen+k, r)
			}
		}
		seen += n
	}
	if seen != s.Samples() {
		t.Errorf("%d rows of %d samples", seen, s.Samples())
	}
}

func TestClassThatIsNone(t *testing.T) {
	if _, err := workload.GenerateClass("pressure", 1, 1); err == nil {
		t.Error("channels of a class that does not exist")
	}
}

// TestFilesCanBeHeldByAllStores: ascending milliseconds, finite numbers.
func TestFilesCanBeHeldByAllStores(t *testing.T) {
	dir := os.Getenv("HOKAN_DATA")
	if dir == "" {
		t.Skip("HOKAN_DATA is not set: no real files")
	}
	sets, err := workload.Files(dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, s := range sets {
		if s.Samples() == 0 {
			t.Errorf("%s is empty", s.Name)
		}
		for i, c := range s.Channels {
			for k, v := range c.Values {
				if math.IsNaN(v) || math.IsInf(v, 0) || k > 0 && c.Times[k] <= c.Times[k-1] {
					t.Fatalf("%s channel %d row %d: %d, %v", s.Name, i, k, c.Times[k], v)
				}
			}
		}
	}
}
