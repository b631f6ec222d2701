package chunk

import (
	"crypto/sha256"
	"encoding/gob"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"testing"

	"github.com/hokan-db/hokan/engine/chunk/chunktest"
)

// corpus reads the real files once, or skips the test where there are none.
func corpus(t testing.TB) []chunktest.Set {
	t.Helper()
	dir := os.Getenv("HOKAN_DATA")
	if dir == "" {
		t.Skip("HOKAN_DATA is not set: no real files")
	}
	sets, err := readCorpus(dir)
	if err != nil {
		t.Fatal(err)
	}
	return sets
}

var (
	corpusOnce  sync.Once
	corpusSets  []chunktest.Set
	corpusError error
)

func readCorpus(dir string) ([]chunktest.Set, error) {
	corpusOnce.Do(func() { corpusSets, corpusError = chunktest.Corpus(dir) })
	return corpusSets, corpusError
}

// chunks cuts a channel into chunks of so many rows.
func chunks(s *chunktest.Series, rows int, each func(times []int64, values []float64)) {
	for from := 0; from < len(s.Values); from += rows {
		to := min(from+rows, len(s.Values))
		each(s.Times[from:to], s.Values[from:to])
	}
}

// checkSeries takes channels through bytes and back in every form and folds
// them in hundreds of rows, as a view does.
func checkSeries(t *testing.T, series []chunktest.Series, rows int) {
	t.Helper()
	var c columnChecker
	for i := range series {
		chunks(&series[i], rows, func(times []int64, values []float64) {
			for _, form := range forms {
				c.checkTimes(t, series[i].Name, times, form)
				src := c.checkValues(t, series[i].Name, values, form)
				var cuts []int
				for at := 7; at < len(values); at += 100 {
					cuts = append(cuts, at)
				}
				cuts = append(cuts, len(values))
				if i%7 == 0 || long {
					checkFold(t, series[i].Name, &c.d, src, values, cuts)
				}
			}
		})
	}
}

func TestMixComesBack(t *testing.T) {
	rows := 5000
	if long {
		rows = 16384
	}
	mix := append(chunktest.Mix(1, rows, 7), chunktest.VoltageUniform(rows, 7))
	for _, size := range []int{127, 1024, 4096, 8192} {
		checkSeries(t, mix, size)
	}
}

// TestCorpusComesBack keeps every column of the real files.
func TestCorpusComesBack(t *testing.T) {
	for _, set := range corpus(t) {
		t.Run(set.Name, func(t *testing.T) {
			t.Parallel()
			sizes := []int{4096, 8192}
			if long {
				sizes = append(sizes, 60, 1024)
			}
			for _, size := range sizes {
				checkSeries(t, set.Series, size)
			}
		})
	}
}

// TestLoggerFilesComeBack keeps the columns of the small logger files that lie
// in this repository, so that printed readings are there without HOKAN_DATA too.
func TestLoggerFilesComeBack(t *testing.T) {
	paths, err := filepath.Glob("../../testdata/hioki/lr*.csv")
	if err != nil || len(paths) == 0 {
		t.Fatalf("%d files, %v", len(paths), err)
	}
	for _, path := range paths {
		text, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		columns := map[int][]float64{}
		for line := range strings.Lines(string(text)) {
			cells := strings.FieldsFunc(line, func(r rune) bool { return strings.ContainsRune(",;\t \"\r\n", r) })
			for i, cell := range cells {
				if v, err := strconv.ParseFloat(cell, 64); err == nil {
					columns[i] = append(columns[i], v)
				}
			}
		}
		var c columnChecker
		for i, values := range columns {
			for _, form := range forms {
				c.checkValues(t, fmt.Sprintf("%s, cell %d", path, i), values, form)
			}
		}
	}
}

// hashEnvironment names the file whose columns TestHashOfColumns is to encode.
const hashEnvironment = "HOKAN_COLUMNS_TO_HASH"

// columnsToHash are the same for all levels, being made by one process.
type columnsToHash struct {
	Values [][]float64
	Times  [][]int64
}

func makeColumnsToHash() (columns columnsToHash) {
	for _, s := range chunktest.Mix(1, 4096, 9) {
		columns.Values = append(columns.Values, s.Values)
		columns.Times = append(columns.Times, s.Times)
	}
	for _, n := range []int{1, 50, 511, 3000} {
		for k, kind := range columnKinds {
			columns.Values = append(columns.Values, kind.make(rand.New(rand.NewPCG(uint64(k), uint64(n))), n))
		}
		for k, kind := range timesKinds {
			columns.Times = append(columns.Times, kind.times(rand.New(rand.NewPCG(uint64(k), uint64(n))), n))
		}
	}
	return columns
}

// TestHashOfColumns encodes columns from a file, decodes them again, and prints
// a hash of the bytes.
func TestHashOfColumns(t *testing.T) {
	path := os.Getenv(hashEnvironment)
	if path == "" {
		t.Skip("run by TestTheSameBytesFromEveryLevel")
	}
	file, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	var columns columnsToHash
	if err := gob.NewDecoder(file).Decode(&columns); err != nil {
		t.Fatal(err)
	}
	var c columnChecker
	h := sha256.New()
	for _, form := range forms {
		for i, values := range columns.Values {
			h.Write(c.checkValues(t, fmt.Sprintf("values %d", i), values, form))
		}
		for i, times := range columns.Times {
			h.Write(c.checkTimes(t, fmt.Sprintf("times %d", i), times, form))
		}
	}
	fmt.Printf("hash %x\n", h.Sum(nil))
}

// TestTheSameBytesFromEveryLevel runs TestHashOfColumns as built for the oldest
// and for a newer processor: the compiler then fuses multiplications and
// additions, which must not change what is chosen, and what is read.
func TestTheSameBytesFromEveryLevel(t *testing.T) {
	if runtime.GOARCH != "amd64" {
		t.Skip("only amd64 has levels")
	}
	if testing.Short() || underRace {
		t.Skip("builds twice: not in short runs, nor under the race detector")
	}
	path := filepath.Join(t.TempDir(), "columns")
	file, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(gob.NewEncoder(file).Encode(makeColumnsToHash()), file.Close()); err != nil {
		t.Fatal(err)
	}
	hashes := map[string]string{}
	for _, level := range []string{"v1", "v3"} {
		command := exec.Command("go", "test", "-count=1", "-v", "-run", "^TestHashOfColumns$", ".")
		command.Env = append(os.Environ(), "GOAMD64="+level, hashEnvironment+"="+path)
		output, err := command.CombinedOutput()
		if strings.Contains(string(output), "can only be run on") {
			t.Skipf("this processor has no %s", level)
		}
		if err != nil {
			t.Fatalf("%s: %v\n%s", level, err, output)
		}
		_, hash, found := strings.Cut(string(output), "hash ")
		if !found {
			t.Fatalf("%s: no hash in\n%s", level, output)
		}
		hashes[level], _, _ = strings.Cut(hash, "\n")
	}
	if hashes["v1"] != hashes["v3"] {
		t.Errorf("hashes differ: %v", hashes)
	}
}
