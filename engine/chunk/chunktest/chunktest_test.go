package chunktest_test

import (
	"encoding/binary"
	"hash/fnv"
	"math"
	"os"
	"testing"

	"github.com/hokan-db/hokan/engine/chunk/chunktest"
)

// hash sums up all rows.
func hash(series []chunktest.Series) uint64 {
	h := fnv.New64a()
	var row [16]byte
	for _, s := range series {
		for i, t := range s.Times {
			binary.LittleEndian.PutUint64(row[:], uint64(t))
			binary.LittleEndian.PutUint64(row[8:], math.Float64bits(s.Values[i]))
			h.Write(row[:])
		}
	}
	return h.Sum64()
}

func checkSeries(t *testing.T, s chunktest.Series, atLeast int) {
	t.Helper()
	if len(s.Times) != len(s.Values) || len(s.Values) < atLeast || s.Class == "" || s.Name == "" {
		t.Errorf("%q %q: %d times, %d values", s.Class, s.Name, len(s.Times), len(s.Values))
	}
	for i := 1; i < len(s.Times); i++ {
		if s.Times[i] <= s.Times[i-1] {
			t.Fatalf("%s %s: time %d does not ascend", s.Class, s.Name, i)
		}
	}
}

// TestMixIsAlwaysTheSame: published figures hold for these very rows.
func TestMixIsAlwaysTheSame(t *testing.T) {
	mix := append(chunktest.Mix(1, 1000, 42), chunktest.VoltageUniform(1000, 42))
	if len(mix) != 101 {
		t.Fatalf("%d channels", len(mix))
	}
	names := map[string]bool{}
	var same []chunktest.Series // on every processor
	for _, s := range mix {
		checkSeries(t, s, 1000)
		names[s.Name] = true
		if s.Class != "fullmantissa" {
			same = append(same, s)
		}
	}
	if len(names) != 101 {
		t.Errorf("%d names", len(names))
	}
	if got := hash(same); got != 0x4732b720df189428 {
		t.Errorf("the rows' hash is %#x", got)
	}
}

// TestCorpus holds the sets to the number of samples that the study of codecs
// has of each.
func TestCorpus(t *testing.T) {
	dir := os.Getenv("HOKAN_DATA")
	if dir == "" {
		t.Skip("HOKAN_DATA is not set: no corpus")
	}
	corpus, err := chunktest.Corpus(dir)
	if err != nil {
		t.Fatal(err)
	}
	rows := map[string]int{"airquality": 121641, "alp_samples": 6144, "city_temperature": 131072, "battery_bdf": 127236,
		"battery_neware": 190365, "ett": 121940, "hioki_lr8400_en": 166400, "hioki_lr8431_ja": 104676,
		"keyence_nr500": 79470, "nab": 45009, "occupancy": 48858, "skab": 86710, "vibration_fan": 459000,
		"waveform_multi counts": 300000, "waveform_multi phys": 300000, "weather_bdg": 51846, "weather_midc": 21600}
	for _, set := range corpus {
		if want, known := rows[set.Name]; !known || set.Rows() != want {
			t.Errorf("%s: %d rows, want %d", set.Name, set.Rows(), want)
		}
		delete(rows, set.Name)
		for _, s := range set.Series {
			checkSeries(t, s, 500)
		}
	}
	if len(rows) != 0 {
		t.Errorf("not there: %v", rows)
	}
}

func TestCorpusSaysWhatIsMissing(t *testing.T) {
	if _, err := chunktest.Corpus(t.TempDir()); err == nil {
		t.Error("a corpus in an empty folder")
	}
}
