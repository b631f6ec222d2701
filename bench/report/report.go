// Package report holds the results of a comparison and writes them for people:
// bench/RESULTS.md, and the table of README.md.
package report

import (
	"encoding/json"
	"fmt"
	"math"
	"os"
	"slices"
	"time"
)

// Results is one comparison: bench/RESULTS.json.
type Results struct {
	Made     time.Time         `json:"made"`
	Short    bool              `json:"short"`
	Rounds   int               `json:"rounds"`
	Seconds  int               `json:"seconds"` // it took
	Machine  Machine           `json:"machine"`
	Settings []string          `json:"settings"` // of all subjects
	Sizes    map[string]string `json:"sizes"`    // of each data set, for people
	Subjects []Subject         `json:"subjects"`
	Skipped  []string          `json:"skipped,omitempty"` // what was left out, and why
	Measures []Measure         `json:"measures"`
}

// Machine is what the comparison ran on.
type Machine struct {
	Processor      string  `json:"processor"`
	Cores          int     `json:"cores"`
	MemoryBytes    int64   `json:"memory_bytes"`
	Kernel         string  `json:"kernel"`
	Go             string  `json:"go"`
	SyncMedian     float64 `json:"sync_median_ms"` // of fdatasync after 16 KiB
	SyncPercent99  float64 `json:"sync_p99_ms"`
	Pinned         bool    `json:"pinned"` // to one core
	FolderOnDevice string  `json:"folder_on"`
}

// Subject is a store that was compared, or would have been.
type Subject struct {
	ID          string `json:"id"`
	Name        string `json:"name"`
	Version     string `json:"version,omitempty"`
	Settings    string `json:"settings"`
	Server      bool   `json:"server"`
	Counterpart string `json:"counterpart,omitempty"` // the form of Hokan it is compared with
	Absent      string `json:"absent,omitempty"`      // why it was left out
}

// Measure is one thing that was measured of every subject.
type Measure struct {
	ID      string             `json:"id"`
	Title   string             `json:"title"`
	Unit    string             `json:"unit"`
	Figures map[string]Figure  `json:"figures"`          // by subject
	Ratios  map[string]float64 `json:"ratios,omitempty"` // by peer: how many times better its counterpart is
}

// Figure is what came out for one subject.
type Figure struct {
	Median float64 `json:"median"`
	Low    float64 `json:"low"`
	High   float64 `json:"high"`
	Count  int     `json:"count"` // rounds
}

// NewFigure sums up what the rounds gave.
func NewFigure(values []float64) Figure {
	sorted := slices.Sorted(slices.Values(values))
	n := len(sorted)
	return Figure{Median: (sorted[(n-1)/2] + sorted[n/2]) / 2, Low: sorted[0], High: sorted[n-1], Count: n}
}

// Read reads results from a file.
func Read(path string) (*Results, error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	r := new(Results)
	if err := json.Unmarshal(text, r); err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return r, nil
}

// Write writes results to a file.
func (r *Results) Write(path string) error {
	text, err := json.MarshalIndent(r, "", " ")
	if err != nil {
		return err
	}
	return os.WriteFile(path, append(text, '\n'), 0o644)
}

// present lists the subjects that took part.
func (r *Results) present() []Subject {
	return slices.DeleteFunc(slices.Clone(r.Subjects), func(s Subject) bool { return s.Absent != "" })
}

// ours is the figure that a peer's is compared with: of the form of Hokan that
// is used as the peer is, or where that was not measured of the engine.
func (m *Measure) ours(peer *Subject) (Figure, bool) {
	if f, ok := m.Figures[peer.Counterpart]; ok {
		return f, true
	}
	f, ok := m.Figures[engineID]
	return f, ok
}

// engineID is the subject that is Hokan's engine.
const engineID = "hokan"

// ratio says how many times better Hokan is than a peer, +Inf where it has
// none of what is bad; ok is false where they cannot be compared.
func (m *Measure) ratio(peer *Subject) (ratio float64, ok bool) {
	theirs, measured := m.Figures[peer.ID]
	ours, known := m.ours(peer)
	k := kindOf(m.ID)
	if !measured || !known || k == nil || k.better == neither {
		return 0, false
	}
	good, bad := ours.Median, theirs.Median
	if k.better == lower {
		good, bad = bad, good
	}
	switch {
	case good == bad:
		return 1, true
	case bad == 0:
		return math.Inf(1), true
	}
	return good / bad, true
}

// Compute fills in the ratios.
func (r *Results) Compute() {
	for i := range r.Measures {
		m := &r.Measures[i]
		m.Ratios = map[string]float64{}
		for k := range r.Subjects {
			peer := &r.Subjects[k]
			if peer.Counterpart == "" {
				continue
			}
			if ratio, ok := m.ratio(peer); ok && !math.IsInf(ratio, 0) {
				m.Ratios[peer.ID] = math.Round(ratio*1000) / 1000
			}
		}
	}
}
