package text

import (
	"maps"
	"slices"

	"github.com/hokan-db/hokan/ingest/refusal"
)

// maxErrors is how many refusals a report lists. It counts all of them.
const maxErrors = 20

// Report counts what was read so far. A sample is one cell under a channel;
// an empty cell is none. A line that is refused whole counts one sample for
// each channel.
type Report struct {
	Rows        int64            // data lines kept
	Accepted    int64            // samples
	Rejected    int64            // samples; the sum of Reasons
	Reasons     map[string]int64 // by code; not_a_number is always there
	Errors      []refusal.Error  // the first 20
	First, Last int64            // earliest and latest time kept; only if Rows > 0
	Bytes       int64            // read from the file
	Skipped     []string         // columns that are no channels
	Warnings    []string         // what was kept and looks wrong
}

// clone returns a report that later reading does not change.
func (r *Report) clone() Report {
	c := *r
	c.Reasons = maps.Clone(r.Reasons)
	c.Errors = slices.Clone(r.Errors)
	c.Warnings = slices.Clone(r.Warnings)
	return c
}

// reject counts samples that e refuses.
func (r *Report) reject(e *refusal.Error, samples int) {
	r.Rejected += int64(samples)
	r.Reasons[e.Code] += int64(samples)
	if len(r.Errors) < maxErrors {
		r.Errors = append(r.Errors, *e)
	}
}
