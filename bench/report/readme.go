package report

import (
	"errors"
	"fmt"
	"os"
	"strings"
)

// What stands around the generated part of README.md.
const (
	readmeBegin = "<!-- begin: from bench/RESULTS.json by go -C bench run ./compare -readme -->"
	readmeEnd   = "<!-- end -->"
)

// ErrNoMarkers says that README.md has no place for the table.
var ErrNoMarkers = errors.New("no place for the table of figures")

// Table writes README's table.
func (r *Results) Table() string {
	var b strings.Builder
	subjects := r.present()
	b.WriteString(heading("", subjects))
	for i := range r.Measures {
		m := &r.Measures[i]
		if kindOf(m.ID).readme {
			row := *m
			if m.Unit == unitBytes {
				row.Title = "bytes a sample, " + m.Title
			}
			if prefix, ok := readmeTitles[m.ID]; ok {
				row.Title = prefix + m.Title
			}
			b.WriteString(row.row(subjects))
		}
	}
	m := &r.Machine
	fmt.Fprintf(&b, "\n%s, pinned to one core; a sync takes %s ms; medians of %s on %s", m.Processor, significant(m.SyncMedian),
		r.rounds(), r.Made.UTC().Format("2006-01-02"))
	if r.Short {
		b.WriteString(" of a short run on little data")
	}
	b.WriteString(". Versions: ")
	for i, s := range subjects {
		if i > 0 {
			b.WriteString("; ")
		}
		fmt.Fprintf(&b, "%s: %s", s.Name, s.Version)
	}
	b.WriteString(".\n")
	return b.String()
}

// readmeTitles say what a measure's heading says in the long report.
var readmeTitles = map[string]string{
	"exact.small":  "samples changed or missing, ",
	"exact.files":  "samples changed or missing, ",
	"memory.wide":  "resident memory, ",
	"crash.lost":   "kill -9: ",
	"crash.reopen": "kill -9: ",
}

// InReadme puts the table between the markers of README's text.
func (r *Results) InReadme(text string) (string, error) {
	before, rest, found := strings.Cut(text, readmeBegin)
	_, after, ended := strings.Cut(rest, readmeEnd)
	if !found || !ended {
		return "", fmt.Errorf("%w: it goes between %q and %q", ErrNoMarkers, readmeBegin, readmeEnd)
	}
	return before + readmeBegin + "\n" + r.Table() + readmeEnd + after, nil
}

// WriteReadme renews the table of a README.
func (r *Results) WriteReadme(path string) error {
	text, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	renewed, err := r.InReadme(string(text))
	if err != nil || renewed == string(text) {
		return err
	}
	return os.WriteFile(path, []byte(renewed), 0o644)
}
