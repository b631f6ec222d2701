package chunk

import (
	"cmp"
	"flag"
	"fmt"
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/hokan-db/hokan/engine/chunk/chunktest"
)

var rewriteLedger = flag.Bool("rewrite-ledger", false, "measure what each way of keeping columns is worth, and write it to doc.go")

// ledgerRows is the size of the chunks that the ledger is about.
const ledgerRows = 8192

// A tally is what the columns of a class of the mix, or of a set of real
// files, take.
type tally struct {
	name                string
	real                bool
	rows, values, times int // bytes, but for rows
}

// encodeAll encodes the mix and the real files, without one part unless that
// is 0.
func encodeAll(mix []chunktest.Series, real []chunktest.Set, form Encoding, without parts) (tallies []tally) {
	e := Encoder{without: without}
	var bytes []byte
	add := func(s *chunktest.Series, isReal bool) {
		if n := len(tallies); n == 0 || tallies[n-1].name != s.Class {
			tallies = append(tallies, tally{name: s.Class, real: isReal})
		}
		of := &tallies[len(tallies)-1]
		chunks(s, ledgerRows, func(times []int64, values []float64) {
			bytes = e.AppendValues(bytes[:0], values, form)
			of.values += len(bytes)
			bytes = e.AppendTimes(bytes[:0], times, form)
			of.times += len(bytes)
			of.rows += len(values)
		})
	}
	for i := range mix {
		add(&mix[i], false)
	}
	for s := range real {
		for i := range real[s].Series {
			add(&real[s].Series[i], true)
		}
	}
	return tallies
}

// sum adds up the tallies of the mix or of the real files.
func sum(tallies []tally, real bool) (total tally) {
	for _, t := range tallies {
		if t.real == real {
			total.rows += t.rows
			total.values += t.values
			total.times += t.times
		}
	}
	return total
}

// more is by how many percent b is more than a.
func more(a, b int) float64 { return 100 * (float64(b)/float64(a) - 1) }

func bitsPerRow(bytes, rows int) float64 { return 8 * float64(bytes) / float64(rows) }

// worth is the row of one part in the ledger.
type worth struct {
	part                                                    string
	mix, real, most, mixTimes, realTimes, mixFast, realFast float64
	where                                                   string // it is worth the most
}

func worthOf(part string, whole, without, wholeFast, withoutFast []tally) worth {
	w := worth{part: part}
	for i := range whole {
		if m := more(whole[i].values, without[i].values); m > w.most || w.where == "" {
			w.most, w.where = m, whole[i].name
		}
	}
	w.mix, w.real = more(sum(whole, false).values, sum(without, false).values), more(sum(whole, true).values, sum(without, true).values)
	w.mixTimes, w.realTimes = more(sum(whole, false).times, sum(without, false).times), more(sum(whole, true).times, sum(without, true).times)
	w.mixFast, w.realFast = more(sum(wholeFast, false).values, sum(withoutFast, false).values), more(sum(wholeFast, true).values, sum(withoutFast, true).values)
	return w
}

// A peer's figures are bits a value in chunks of 8,192 rows, measured once in a
// study of codecs: VictoriaMetrics 1.150, which does not keep every bit of the
// classes marked here, pco 0.4.2 at level 8, and our own prototype.
type peers struct {
	name           string
	victoria       float64
	inexact        bool
	pco, prototype float64
}

var studied = []peers{
	{"temperature", 2.594, false, 3.030, 2.105},
	{"voltage", 6.268, false, 6.771, 6.045},
	{"energy", 3.494, false, 3.833, 2.988},
	{"status", 0.267, false, 0.536, 0.154},
	{"resistance", 3.893, false, 4.185, 3.566},
	{"float32noise", 54.279, true, 22.627, 22.621},
	{"fullmantissa", 50.124, true, 50.199, 51.023},
	{"airquality", 8.10, false, 8.70, 7.68},
	{"alp_samples", 19.89, true, 19.71, 17.98},
	{"battery_bdf", 2.35, true, 6.79, 6.78},
	{"battery_neware", 2.47, false, 3.43, 2.95},
	{"city_temperature", 6.74, false, 7.72, 6.88},
	{"ett", 20.31, true, 11.44, 7.38},
	{"hioki_lr8400_en", 2.41, false, 3.06, 2.18},
	{"hioki_lr8431_ja", 6.67, false, 5.19, 4.69},
	{"keyence_nr500", 2.32, false, 3.14, 1.92},
	{"nab", 23.29, true, 29.24, 26.24},
	{"occupancy", 10.26, true, 8.96, 7.55},
	{"skab", 13.23, false, 11.78, 11.20},
	{"vibration_fan", 10.77, false, 9.10, 8.19},
	{"waveform_multi counts", 8.60, false, 7.77, 7.54},
	{"waveform_multi phys", 18.35, true, 8.24, 8.67},
	{"weather_bdg", 3.20, false, 3.13, 2.87},
	{"weather_midc", 9.04, true, 10.53, 9.44},
}

// smallest returns the bits of the smallest codec of the study that is exact.
func (p *peers) smallest() float64 {
	if p.inexact {
		return p.pco
	}
	return min(p.pco, p.victoria)
}

// sizesTable prints bits a value.
func sizesTable(small, fast []tally) string {
	var b strings.Builder
	fmt.Fprintf(&b, "%-22s %9s %8s %8s %9s %7s %7s %8s\n", "class or set", "rows", "Victoria", "pco", "prototype", "fast", "small", "times")
	line := func(name string, s, f tally, victoria, pco, prototype float64, mark string) {
		fmt.Fprintf(&b, "%-22s %9d %7.2f%s %8.2f %9.2f %7.2f %7.2f %8.3f\n", name, s.rows, victoria, mark, pco, prototype,
			bitsPerRow(f.values, f.rows), bitsPerRow(s.values, s.rows), bitsPerRow(s.times, s.rows))
	}
	for _, real := range []bool{false, true} {
		var rows, victoria, pco, prototype float64
		for i, s := range small {
			at := slices.IndexFunc(studied, func(p peers) bool { return p.name == s.name })
			if s.real != real || at < 0 {
				continue
			}
			p := studied[at]
			mark := " "
			if p.inexact {
				mark = "*"
			}
			line(s.name, s, fast[i], p.victoria, p.pco, p.prototype, mark)
			n := float64(s.rows)
			rows, victoria, pco, prototype = rows+n, victoria+n*p.victoria, pco+n*p.pco, prototype+n*p.prototype
		}
		name := map[bool]string{false: "the mix", true: "the real files"}[real]
		if rows > 0 {
			line(name, sum(small, real), sum(fast, real), victoria/rows, pco/rows, prototype/rows, "*")
		}
	}
	return b.String()
}

func worthTable(worths []worth) string {
	var b strings.Builder
	fmt.Fprintf(&b, "%-26s %7s %7s %7s %-22s %7s %7s %7s %7s\n", "without", "mix", "real", "most", "", "times", "times", "fast", "fast")
	fmt.Fprintf(&b, "%-26s %7s %7s %7s %-22s %7s %7s %7s %7s\n", "", "", "", "", "", "mix", "real", "mix", "real")
	for _, w := range worths {
		fmt.Fprintf(&b, "%-26s %7.2f %7.2f %7.2f %-22s %7.2f %7.2f %7.2f %7.2f\n",
			w.part, w.mix, w.real, w.most, w.where, w.mixTimes, w.realTimes, w.mixFast, w.realFast)
	}
	return b.String()
}

// The lines of doc.go that a table follows.
const (
	sizesHeading = "every bit back."
	worthHeading = "The table:"
)

// table returns where the lines of the table after a line of doc.go are.
func table(lines []string, heading string) (from, to int, err error) {
	at := slices.Index(lines, "// "+heading)
	if at < 0 {
		return 0, 0, fmt.Errorf("doc.go has no line %q", heading)
	}
	for from = at; !strings.HasPrefix(lines[from], "//\t"); from++ {
		if !strings.HasPrefix(lines[from], "//") {
			return 0, 0, fmt.Errorf("doc.go has no table after %q", heading)
		}
	}
	for to = from; strings.HasPrefix(lines[to], "//\t"); to++ {
	}
	return from, to, nil
}

// replaceTable puts another table after a line.
func replaceTable(text, heading, with string) (string, error) {
	lines := strings.Split(text, "\n")
	from, to, err := table(lines, heading)
	if err != nil {
		return "", err
	}
	var rows []string
	for row := range strings.Lines(with) {
		rows = append(rows, strings.TrimRight("//\t"+row, " \n"))
	}
	return strings.Join(slices.Replace(lines, from, to, rows...), "\n"), nil
}

// TestLedger measures, where it is asked to, what the mix and the real files
// take, and what they would take without each of the parts that columns are
// made of:
//
//	HOKAN_DATA=… go test ./engine/chunk -run TestLedger -v -rewrite-ledger
func TestLedger(t *testing.T) {
	if !*rewriteLedger {
		t.Skip("measures only with -rewrite-ledger")
	}
	mix, real := chunktest.Mix(1, 2*ledgerRows, 42), corpus(t)
	small, fast := encodeAll(mix, real, Small, 0), encodeAll(mix, real, Fast, 0)
	sizes := sizesTable(small, fast)
	t.Logf("bits a value, chunks of %d rows:\n%s", ledgerRows, sizes)
	var worths []worth
	for i, name := range partNames {
		part := parts(1) << i
		worths = append(worths, worthOf(name, small, encodeAll(mix, real, Small, part), fast, encodeAll(mix, real, Fast, part)))
	}
	slices.SortStableFunc(worths, func(a, b worth) int { return cmp.Compare(b.most, a.most) })
	ledger := worthTable(worths)
	t.Logf("percent more without it:\n%s", ledger)
	text, err := os.ReadFile("doc.go")
	if err != nil {
		t.Fatal(err)
	}
	rewritten, err := replaceTable(string(text), sizesHeading, sizes)
	if err == nil {
		rewritten, err = replaceTable(rewritten, worthHeading, ledger)
	}
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile("doc.go", []byte(rewritten), 0o644); err != nil {
		t.Fatal(err)
	}
}

// TestEveryPartHasARow: what the code can do is in the ledger, and is worth one
// percent somewhere.
func TestEveryPartHasARow(t *testing.T) {
	text, err := os.ReadFile("doc.go")
	if err != nil {
		t.Fatal(err)
	}
	lines := strings.Split(string(text), "\n")
	from, to, err := table(lines, worthHeading)
	if err != nil {
		t.Fatal(err)
	}
	rows := map[string]bool{}
	for _, line := range lines[from:to] {
		for _, part := range partNames {
			rest, found := strings.CutPrefix(line, "//\t"+part+" ")
			if !found {
				continue
			}
			rows[part] = true
			most := 0.0
			for _, cell := range strings.Fields(rest) {
				if percent, err := strconv.ParseFloat(cell, 64); err == nil {
					most = max(most, percent)
				}
			}
			if most < 1 {
				t.Errorf("%s is worth at most %.2f %%: it may go", part, most)
			}
		}
	}
	for _, part := range partNames {
		if !rows[part] {
			t.Errorf("%q has no row in doc.go: run TestLedger with -rewrite-ledger", part)
		}
	}
	if len(rows) != to-from-2 {
		t.Errorf("%d rows for %d parts", to-from-2, len(rows))
	}
}

// TestSizes holds the small form to the bits that were promised of the real
// files, and to the smallest exact codec of the study.
func TestSizes(t *testing.T) {
	var real []chunktest.Set
	if dir := os.Getenv("HOKAN_DATA"); dir != "" {
		real = corpus(t)
	}
	mix := chunktest.Mix(1, 2*ledgerRows, 42)
	tallies := encodeAll(mix, real, Small, 0)
	total := sum(tallies, false)
	if got := float64(total.values+total.times) / float64(total.rows); got > 0.98 {
		t.Errorf("the mix takes %.3f bytes a sample, at most 0.98", got)
	}
	if len(real) > 0 {
		total := sum(tallies, true)
		if got := bitsPerRow(total.values, total.rows); got > 7.1 {
			t.Errorf("the real files take %.2f bits a value, at most 7.1", got)
		}
	}
	for _, s := range tallies {
		for _, p := range studied {
			if got := bitsPerRow(s.values, s.rows); p.name == s.name && got > 1.1*p.smallest() {
				t.Errorf("%s takes %.2f bits a value, the smallest exact codec %.2f", s.name, got, p.smallest())
			}
		}
	}
}
