package report

import "strings"

// direction says which figures are good.
type direction int

const (
	neither direction = iota // it explains others
	higher
	lower
)

// kind describes measures. An id that ends in a dot stands for all that begin
// with it; what follows the dot is put into the title.
type kind struct {
	id     string
	group  string
	title  string // %s is the size of the data set, or the rest of the ID
	set    string // data set whose size is in the title
	unit   string
	better direction
	readme bool // it is in README's table
	hide   bool // where it is 0 for all there is nothing to tell
}

// Units of figures, which say how they are written.
const (
	unitRate    = "samples/s"
	unitBytes   = "bytes/sample"
	unitTime    = "ms"
	unitMemory  = "MB"
	unitPercent = "%"
	unitSamples = "samples"
)

// kinds are all measures in the order in which they are told.
var kinds = []kind{
	{"ingest.small", "Ingest, one core", "live, %s, batches of 1,000 rows", "small", unitRate, higher, true, false},
	{"ingest.small.cpu", "", "live, %s, per CPU-second of the store, settling included", "small", unitRate, higher, false, false},
	{"ingest.wide", "", "live, new channels, %s", "wide", unitRate, higher, true, false},
	{"ingest.wide.cpu", "", "live, new channels, %s, per CPU-second of the store, settling included", "wide", unitRate, higher, false, false},
	{"backfill.small", "", "backfill, %s, 10,000 rows at a time", "small", unitRate, higher, false, false},
	{"backfill.small.cpu", "", "backfill, %s, per CPU-second of the store, settling included", "small", unitRate, higher, false, false},
	{"backfill.year", "", "backfill, %s", "year", unitRate, higher, true, false},
	{"backfill.year.cpu", "", "backfill, %s, per CPU-second of the store, settling included", "year", unitRate, higher, false, false},

	{"size.small.total", "Size on disk, settled", "everything in the folder, %s", "small", unitBytes, lower, true, false},
	{"size.small.data", "", "samples and what finds them, %s", "small", unitBytes, lower, true, false},
	{"size.small.raw", "", "of those, samples alone", "", unitBytes, neither, false, false},
	{"size.small.rollups", "", "of those, rollups alone", "", unitBytes, neither, false, false},
	{"size.small.index", "", "of those, index alone", "", unitBytes, neither, false, false},
	{"size.year.total", "", "everything in the folder, %s", "year", unitBytes, lower, true, false},
	{"size.year.data", "", "samples and what finds them, %s", "year", unitBytes, lower, true, false},
	{"size.year.raw", "", "of those, samples alone", "", unitBytes, neither, false, false},
	{"size.year.rollups", "", "of those, rollups alone", "", unitBytes, neither, false, false},
	{"size.year.index", "", "of those, index alone", "", unitBytes, neither, false, false},
	{"size.wide.total", "", "everything in the folder, %s", "wide", unitBytes, lower, false, false},
	{"size.wide.data", "", "samples and what finds them, %s", "wide", unitBytes, lower, false, false},
	{"size.class.", "Size on disk by class of workload G: samples and what finds them", "%s", "", unitBytes, lower, false, false},
	{"size.files.", "Size on disk of real files: samples and what finds them", "%s", "", unitBytes, lower, false, false},

	{"exact.small", "Samples that do not come back as they were written, to the bit", "%s", "small", unitPercent, lower, true, false},
	{"exact.small.", "", "of class %s", "", unitPercent, neither, false, true},
	{"exact.files.", "", "real files %s", "", unitPercent, neither, false, true},
	{"exact.files", "", "real files", "", unitPercent, lower, true, false},

	{"read.view", "Reading, one core, warm", "view of %s as 1,366 buckets of minimum, maximum and mean", "year", unitTime, lower, true, false},
	{"read.day", "", "every sample of a day of 32 channels", "", unitTime, lower, true, false},
	{"read.export", "", "export of %s as CSV", "export", unitTime, lower, true, false},
	{"read.latest", "", "latest value of every channel of %s", "small", unitTime, lower, true, false},

	{"memory.wide", "Memory, resident", "%s, right after they were written", "wide", unitMemory, lower, true, false},
	{"memory.wide.anonymous", "", "%s, of that neither program nor mapped files", "wide", unitMemory, lower, false, false},
	{"memory.wide.collected", "", "%s, after a forced collection", "wide", unitMemory, lower, false, false},
	{"memory.wide.settled", "", "%s, after settling", "wide", unitMemory, lower, false, false},
	{"memory.wide.before", "", "before the store was opened: this program, with both stores in it", "", unitMemory, neither, false, false},

	{"crash.lost", "kill -9 right after the last acknowledged batch", "acknowledged samples lost, %s", "small", unitSamples, lower, true, false},
	{"crash.reopen", "", "time to open again", "", unitTime, lower, true, false},
}

// kindOf finds the description of a measure.
func kindOf(id string) *kind {
	for i := range kinds {
		k := &kinds[i]
		if k.id == id || strings.HasSuffix(k.id, ".") && strings.HasPrefix(id, k.id) {
			return k
		}
	}
	return nil
}

// order is where a measure stands in the report.
func order(id string) int {
	for i := range kinds {
		if k := kindOf(id); k == &kinds[i] {
			return i
		}
	}
	return len(kinds)
}

// Describe makes a measure of figures: its title and unit come from its ID.
// Sizes are those of the results.
func Describe(id string, sizes map[string]string, figures map[string]Figure) (Measure, bool) {
	k := kindOf(id)
	if k == nil {
		return Measure{}, false
	}
	title := k.title
	if strings.Contains(title, "%s") {
		with := strings.TrimPrefix(id, k.id)
		if k.set != "" {
			with = sizes[k.set]
		}
		title = strings.Replace(title, "%s", with, 1)
	}
	return Measure{ID: id, Title: title, Unit: k.unit, Figures: figures}, true
}

// Order sorts measures as they are told; those of one kind keep their order.
func Order(a, b Measure) int { return order(a.ID) - order(b.ID) }
