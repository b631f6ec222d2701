package report_test

import (
	"errors"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/hokan-db/hokan/bench/report"
)

// example has what Hokan wins, what it loses, what a peer lacks, and a peer
// that is not there.
func example(t *testing.T) *report.Results {
	t.Helper()
	sizes := map[string]string{"small": "10 channels × 20", "year": "2 channels × 30"}
	r := &report.Results{
		Made: time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC), Rounds: 3, Sizes: sizes,
		Machine: report.Machine{Processor: "A processor", SyncMedian: 0.25},
		Subjects: []report.Subject{
			{ID: "hokan", Name: "Hokan", Version: "1"},
			{ID: "hokan-server", Name: "Hokan server", Version: "1", Server: true},
			{ID: "here", Name: "Here", Version: "2", Counterpart: "hokan"},
			{ID: "there", Name: "There", Version: "3", Server: true, Counterpart: "hokan-server"},
			{ID: "absent", Name: "Absent", Absent: "not there", Server: true, Counterpart: "hokan-server"},
		},
	}
	for id, values := range map[string]map[string][]float64{
		"ingest.small":      {"hokan": {3e6, 4e6, 5e6}, "hokan-server": {1e6}, "here": {2e6, 2e6, 3e6}, "there": {2e6}},
		"size.small.total":  {"hokan": {0.8}, "here": {1.6}, "there": {0.4}},
		"read.view":         {"hokan": {10}, "hokan-server": {20}, "here": {1234}, "there": {10}},
		"crash.lost":        {"hokan": {0}, "hokan-server": {0}, "here": {0}, "there": {1500}},
		"size.class.status": {"hokan": {0.05}, "here": {0.7}},
	} {
		figures := map[string]report.Figure{}
		for subject, v := range values {
			figures[subject] = report.NewFigure(v)
		}
		m, known := report.Describe(id, sizes, figures)
		if !known {
			t.Fatalf("%s is not known", id)
		}
		r.Measures = append(r.Measures, m)
	}
	slices.SortFunc(r.Measures, report.Order)
	r.Compute()
	return r
}

func TestFigureIsTheMedianWithItsRange(t *testing.T) {
	for _, c := range []struct {
		values []float64
		want   report.Figure
	}{
		{[]float64{5, 1, 2}, report.Figure{Median: 2, Low: 1, High: 5, Count: 3}},
		{[]float64{4, 1, 2, 3}, report.Figure{Median: 2.5, Low: 1, High: 4, Count: 4}},
		{[]float64{7}, report.Figure{Median: 7, Low: 7, High: 7, Count: 1}},
	} {
		if got := report.NewFigure(c.values); got != c.want {
			t.Errorf("%v: %+v, want %+v", c.values, got, c.want)
		}
	}
}

// TestRatiosCompareLikeWithLike: above 1 Hokan is better, whether more is good
// or less, and a server's figure is held against the server's where there is one.
func TestRatiosCompareLikeWithLike(t *testing.T) {
	want := map[string]map[string]float64{
		"ingest.small":      {"here": 2, "there": 0.5},
		"size.small.total":  {"here": 2, "there": 0.5},
		"read.view":         {"here": 123.4, "there": 0.5},
		"crash.lost":        {"here": 1},
		"size.class.status": {"here": 14},
	}
	for _, m := range example(t).Measures {
		if len(m.Ratios) != len(want[m.ID]) {
			t.Errorf("%s: %v, want %v", m.ID, m.Ratios, want[m.ID])
		}
		for peer, ratio := range want[m.ID] {
			if m.Ratios[peer] != ratio {
				t.Errorf("%s: %s is %v, want %v", m.ID, peer, m.Ratios[peer], ratio)
			}
		}
	}
}

func TestMarkdownTellsFirstWhatPeersAreBetterAt(t *testing.T) {
	text := example(t).Markdown()
	first, rest, found := strings.Cut(text, "\n## Ingest")
	if !found {
		t.Fatal("no section of ingest")
	}
	for _, want := range []string{"**There: ingest, one core: live, 10 channels × 20, batches of 1,000 rows**: 2.00 M/s, Hokan 1.00 M/s: 0.5 times as good",
		"**There: size on disk, settled: everything in the folder", "**There: reading, one core, warm: view"} {
		if !strings.Contains(first, want) {
			t.Errorf("what peers are better at lacks %q:\n%s", want, first)
		}
	}
	if strings.Contains(first, "**Here") {
		t.Errorf("a peer that is better at nothing is named:\n%s", first)
	}
	for _, want := range []string{"| 2.00 M/s (**0.5×**) |", "| 1,234 ms (123×) |", "| none (1×) | 1,500 (∞) |", "| Absent | not there |"} {
		if !strings.Contains(rest, want) {
			t.Errorf("the tables lack %q:\n%s", want, rest)
		}
	}
}

func TestReadmeKeepsWhatIsAroundTheTable(t *testing.T) {
	r := example(t)
	const before, after = "# Title\n\n<!-- begin: from bench/RESULTS.json by go -C bench run ./compare -readme -->", "<!-- end -->\n\nMore.\n"
	once, err := r.InReadme(before + "\nold\n" + after)
	if err != nil {
		t.Fatal(err)
	}
	if once != before+"\n"+r.Table()+after {
		t.Errorf("the text became\n%s", once)
	}
	if twice, err := r.InReadme(once); err != nil || twice != once {
		t.Errorf("a second time it became, %v,\n%s", err, twice)
	}
	if _, err := r.InReadme("no markers"); !errors.Is(err, report.ErrNoMarkers) {
		t.Errorf("without markers: %v", err)
	}
}

// TestReadmeTellsTheResults holds the texts of the repository to its figures.
func TestReadmeTellsTheResults(t *testing.T) {
	r, err := report.Read("../RESULTS.json")
	if err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile("../../README.md")
	if err != nil {
		t.Fatal(err)
	}
	if want, err := r.InReadme(string(text)); err != nil || want != string(text) {
		t.Errorf("README.md does not have the table of RESULTS.json (%v): go -C bench run ./compare -readme", err)
	}
	long, err := os.ReadFile("../RESULTS.md")
	if err != nil {
		t.Fatal(err)
	}
	if string(long) != r.Markdown() {
		t.Error("RESULTS.md does not tell RESULTS.json: go -C bench run ./compare -readme")
	}
}
