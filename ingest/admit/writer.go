package admit

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"

	"github.com/hokan-db/hokan/engine"
	"github.com/hokan-db/hokan/engine/model"
	"github.com/hokan-db/hokan/engine/policy"
)

// ErrNothingAccepted is returned beside the result where samples were sent and
// none of them may be kept.
var ErrNothingAccepted = errors.New("nothing accepted")

// PartError is why only the first samples of a request are kept.
type PartError struct {
	Cause error
	// Kept of Total samples are durable: all before those of a channel, and the
	// first KeptOfLast of that.
	Kept, Total int
	Last        model.Labels
	KeptOfLast  int
}

// Error says what failed and what is kept.
func (e *PartError) Error() string { return e.Cause.Error() + "; " + e.What() }

// What says which samples are kept.
func (e *PartError) What() string {
	return strconv.Itoa(e.Kept) + " of " + strconv.Itoa(e.Total) + " samples are kept: all before channel " + quote(e.Last.Channel()) +
		" of instrument " + quote(e.Last.Instrument()) + ", and the first " + strconv.Itoa(e.KeptOfLast) +
		" of that; send all again: what is kept does not change"
}

// Unwrap returns what failed.
func (e *PartError) Unwrap() error { return e.Cause }

// Writer writes requests into a database. It is safe for concurrent use.
type Writer struct {
	DB    *engine.DB
	Clock model.Clock
	// MaxAhead is how many nanoseconds a sample may lie ahead of the clock; 0
	// is policy.AheadTime.
	MaxAhead int64
	// Admit is asked before a tenant's samples are appended: what it fails with
	// refuses them all. Wrote is told how many were. Either may be nil.
	Admit func(ctx context.Context, tenant model.Tenant, samples int) error
	Wrote func(ctx context.Context, tenant model.Tenant, samples int)
	// Count, if not nil, is told what became of each request's samples.
	Count func(*Result)
}

// Write judges the samples of a request and appends what may be kept, which is
// durable on return. The result is nil where the request was refused as a whole
// before it had one. Beside ErrNothingAccepted it says why; a large request may
// fail when some of it is kept already: then the error is a *PartError, and the
// result says how much.
func (w *Writer) Write(ctx context.Context, r *Request) (*Result, error) {
	result, err := w.write(ctx, r)
	if result != nil && w.Count != nil {
		w.Count(result)
	}
	return result, err
}

func (w *Writer) write(ctx context.Context, r *Request) (*Result, error) {
	floors, err := w.DB.RawFloors(r.Tenant, len(r.Channels), func(i int) (model.Labels, *model.Properties) {
		return r.Channels[i].Labels, r.Channels[i].Properties
	})
	if err != nil {
		return nil, err
	}
	ahead := w.MaxAhead
	if ahead == 0 {
		ahead = policy.AheadTime.Default
	}
	result := r.Judge(w.Clock().UnixNano(), ahead, floors)
	if r.Judged != nil {
		r.Judged()
	}
	switch {
	case len(r.columns) > 0:
		return w.append(ctx, r, result)
	case result.Rejected > 0:
		return result, nothingAccepted(result)
	}
	return result, nil // nothing was sent but gaps
}

// append writes what may be kept, as far as the tenant may write it.
func (w *Writer) append(ctx context.Context, r *Request, result *Result) (*Result, error) {
	if w.Admit != nil {
		rows := 0
		for i := range r.columns {
			rows += len(r.columns[i].Times)
		}
		if err := w.Admit(ctx, r.Tenant, rows); err != nil {
			return nil, err
		}
	}
	written, err := w.DB.Append(ctx, &model.Batch{Tenant: r.Tenant, Columns: r.columns})
	result.Accepted = int64(written.Rows)
	if len(written.Refused) > 0 {
		quota, _ := w.DB.Quota(r.Tenant) // at worst the message names no number
		r.refuseColumns(written.Refused, quota)
	}
	if w.Wrote != nil && written.Rows > 0 {
		w.Wrote(ctx, r.Tenant, written.Rows)
	}
	switch {
	case err == nil && written.Rows == 0:
		return result, nothingAccepted(result)
	case err == nil:
		return result, nil
	case written.Rows > 0:
		return result, partError(err, r.columns, written.Rows)
	}
	return nil, err
}

// refuseColumns counts the columns that the engine refused, and takes them out.
func (r *Request) refuseColumns(refused []engine.RefusedColumn, quota policy.Quota) {
	for _, c := range refused {
		column := &r.columns[c.Column]
		r.result.refuse(int(r.origins[c.Column]), 0, len(column.Times), c.Code, func() string { return limitText(c.Code, column.Labels, quota) })
		column.Times = nil
	}
	r.columns = slices.DeleteFunc(r.columns, func(c model.Column) bool { return c.Times == nil })
}

// limitText says that a channel would be one too many.
func limitText(code string, l model.Labels, quota policy.Quota) string {
	if code == policy.CodeInstrumentLimit {
		return "instrument " + quote(l.Instrument()) + " has as many channels as it may" +
			numberText(quota.ChannelsPerInstrument, "hokan tenant set --channels-per-instrument") + "; the channel is refused whole"
	}
	return "there are as many channels as there may be" + numberText(quota.Channels, "hokan tenant set --channels") + "; the channel is refused whole"
}

// numberText names a limit and what changes it, where a quota has it.
func numberText(limit int, how string) string {
	if limit == 0 {
		return ""
	}
	return ", " + strconv.Itoa(limit) + " (" + how + ")"
}

func nothingAccepted(r *Result) error {
	first := &r.Errors[0]
	return fmt.Errorf("%w: all %d samples are refused; the first: %s: %s", ErrNothingAccepted, r.Rejected, first.Code, first.Detail)
}

// partError is why only the first rows of columns were kept.
func partError(cause error, columns []model.Column, rows int) error {
	e := &PartError{Cause: cause, Kept: rows}
	for i := range columns {
		n := len(columns[i].Times)
		if e.Total < rows {
			e.Last, e.KeptOfLast = columns[i].Labels, min(rows-e.Total, n)
		}
		e.Total += n
	}
	return e
}

// quote quotes text for an error message, cut to a readable length.
func quote(text string) string {
	const most = 40
	if len(text) > most {
		return strconv.Quote(text[:most]) + "…"
	}
	return strconv.Quote(text)
}
