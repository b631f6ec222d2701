package report

import (
	"fmt"
	"math"
	"strconv"
	"strings"
)

// number writes a figure of a unit.
func number(v float64, unit string) string {
	switch unit {
	case unitRate:
		return fmt.Sprintf("%.2f M/s", v/1e6)
	case unitBytes:
		return fmt.Sprintf("%.3f", v)
	case unitTime:
		return significant(v) + " ms"
	case unitMemory:
		return fmt.Sprintf("%.0f MB", v)
	case unitPercent:
		if v == 0 {
			return "none"
		}
		return significant(v) + " %"
	}
	if v == 0 {
		return "none"
	}
	return grouped(int64(v))
}

// significant writes three digits, and no more than are there.
func significant(v float64) string {
	if v >= 100 {
		return grouped(int64(math.Round(v)))
	}
	return strconv.FormatFloat(v, 'g', 3, 64)
}

// grouped writes thousands apart.
func grouped(n int64) string {
	s := strconv.FormatInt(n, 10)
	for i := len(s) - 3; i > 0; i -= 3 {
		s = s[:i] + "," + s[i:]
	}
	return s
}

// ratioText says how many times better Hokan is than a peer, in bold where it
// is not.
func (m *Measure) ratioText(peer *Subject) string {
	ratio, ok := m.ratio(peer)
	switch {
	case !ok:
		return ""
	case math.IsInf(ratio, 1):
		return " (∞)"
	case ratio < 1:
		return fmt.Sprintf(" (**%s×**)", significant(ratio))
	}
	return fmt.Sprintf(" (%s×)", significant(ratio))
}

// row writes a measure as a row of a table.
func (m *Measure) row(subjects []Subject) string {
	var b strings.Builder
	fmt.Fprintf(&b, "| %s |", m.Title)
	for i := range subjects {
		s := &subjects[i]
		f, ok := m.Figures[s.ID]
		if !ok {
			b.WriteString(" |")
			continue
		}
		text := number(f.Median, m.Unit)
		if s.Counterpart != "" {
			text += m.ratioText(s)
		}
		fmt.Fprintf(&b, " %s |", text)
	}
	return b.String() + "\n"
}

func heading(first string, subjects []Subject) string {
	line, rule := "| "+first+" |", "|---|"
	for _, s := range subjects {
		line, rule = line+" "+s.Name+" |", rule+"---|"
	}
	return line + "\n" + rule + "\n"
}

// nothingToTell reports whether a measure is one that is 0 for everybody.
func (m *Measure) nothingToTell() bool {
	if !kindOf(m.ID).hide {
		return false
	}
	for _, f := range m.Figures {
		if f.Median != 0 {
			return false
		}
	}
	return true
}

// Markdown writes the whole report.
func (r *Results) Markdown() string {
	var b strings.Builder
	b.WriteString("# Hokan beside other stores\n\n")
	b.WriteString("Made by `go -C bench run ./compare" + r.flags() + "`; do not edit. [RESULTS.json](RESULTS.json) has every figure with its range.\n")
	b.WriteString("In brackets: how many times better Hokan is, its engine compared with what runs in process and its server with servers; **bold** where the peer is better.\n\n")
	if r.Short {
		b.WriteString("**This was a short run: small data, few rounds. It shows that everything works; its figures mean little.**\n\n")
	}
	r.writePeersBetter(&b)
	group := ""
	for i := range r.Measures {
		m := &r.Measures[i]
		if m.nothingToTell() {
			continue
		}
		if g := groupOf(m.ID); g != group {
			group = g
			fmt.Fprintf(&b, "\n## %s\n\n%s", g, heading(unitHeading(m.Unit), r.present()))
		}
		b.WriteString(m.row(r.present()))
	}
	r.writeConditions(&b)
	return b.String()
}

func unitHeading(unit string) string {
	if unit == unitBytes {
		return unit
	}
	return ""
}

// groupOf is the heading that a measure stands under: its kind's, or of the
// nearest one before that has a heading.
func groupOf(id string) string {
	group := ""
	for i := range kinds {
		if kinds[i].group != "" {
			group = kinds[i].group
		}
		if &kinds[i] == kindOf(id) {
			return group
		}
	}
	return group
}

func (r *Results) rounds() string {
	if r.Rounds == 1 {
		return "one round"
	}
	return fmt.Sprintf("%d rounds", r.Rounds)
}

func (r *Results) flags() string {
	if r.Short {
		return " -short"
	}
	return ""
}

// writePeersBetter lists what Hokan is beaten in.
func (r *Results) writePeersBetter(b *strings.Builder) {
	b.WriteString("## Where a peer is better\n\n")
	any := false
	for i := range r.Measures {
		m := &r.Measures[i]
		for _, peer := range r.present() {
			if peer.Counterpart == "" {
				continue
			}
			ratio, ok := m.ratio(&peer)
			if !ok || ratio >= 1 {
				continue
			}
			any = true
			ours, _ := m.ours(&peer)
			theirs := m.Figures[peer.ID]
			fmt.Fprintf(b, "- **%s: %s**: %s, Hokan %s: %s times as good%s%s.\n", peer.Name, lowerFirst(groupOf(m.ID))+": "+m.Title,
				number(theirs.Median, m.Unit), number(ours.Median, m.Unit), significant(ratio), spread(ours, theirs), r.loss(m.ID, peer.ID))
		}
	}
	if !any {
		b.WriteString("In nothing that was measured.\n")
	}
}

// loss says so where a peer takes less because it does not keep all bits.
func (r *Results) loss(id, peer string) string {
	for size, exact := range map[string]string{"size.class.": "exact.small.", "size.files.": "exact.files."} {
		of, found := strings.CutPrefix(id, size)
		if !found {
			continue
		}
		for i := range r.Measures {
			if changed := r.Measures[i].Figures[peer].Median; r.Measures[i].ID == exact+of && changed > 0 {
				return fmt.Sprintf("; of these it changes %s", number(changed, unitPercent))
			}
		}
	}
	return ""
}

func lowerFirst(s string) string { return strings.ToLower(s[:1]) + s[1:] }

// spread says so where the ranges of two figures overlap.
func spread(a, b Figure) string {
	if a.Low <= b.High && b.Low <= a.High && a.Count > 1 {
		return ", which is within the spread of the rounds"
	}
	return ""
}

func (r *Results) writeConditions(b *strings.Builder) {
	m := &r.Machine
	b.WriteString("\n## Conditions\n\n")
	fmt.Fprintf(b, "%s, %d seconds, medians of %s in turn. %s, %d cores, %.0f GiB, %s, %s, folder on %s.\n",
		r.Made.UTC().Format("2006-01-02 15:04 MST"), r.Seconds, r.rounds(), m.Processor, m.Cores, float64(m.MemoryBytes)/(1<<30), m.Kernel, m.Go, m.FolderOnDevice)
	fmt.Fprintf(b, "A sync (fdatasync after 16 KiB appended) takes %s ms in the median, %s ms at the 99th percentile.\n\n",
		significant(m.SyncMedian), significant(m.SyncPercent99))
	for _, s := range append(r.Settings, r.Skipped...) {
		fmt.Fprintf(b, "- %s\n", s)
	}
	b.WriteString("\n| | version | settings |\n|---|---|---|\n")
	for _, s := range r.Subjects {
		version := s.Version
		if s.Absent != "" {
			version = s.Absent
		}
		fmt.Fprintf(b, "| %s | %s | %s |\n", s.Name, version, s.Settings)
	}
}
