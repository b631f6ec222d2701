package query

import (
	"context"
	"encoding/base64"
	"encoding/binary"
	"fmt"
	"hash/crc32"

	"github.com/hokan-db/hokan/engine"
	"github.com/hokan-db/hokan/engine/model"
	"github.com/hokan-db/hokan/engine/policy"
)

// DefaultTableRows is how many rows a page of a table has where nothing is
// said.
const DefaultTableRows = 1000

// TableRequest asks for one page of a table.
type TableRequest struct {
	Scope
	Window
	Limit int    // rows; 0: DefaultTableRows
	After string // the cursor of the page before, "" for the first page
}

// TableAnswer is a page of rows in ascending time. Row i has len(Channels)
// cells, from i*len(Channels) on.
type TableAnswer struct {
	Channels []model.Channel
	Times    []int64
	Values   []float64
	Present  []bool // false: the channel has no sample at that time
	Next     string // cursor of the next page, "" after the last
}

// Table returns the selected channels' samples joined on time.
func Table(ctx context.Context, db *engine.DB, r TableRequest) (*TableAnswer, error) {
	if r.Limit == 0 {
		r.Limit = DefaultTableRows
	}
	if r.Limit < 1 || int64(r.Limit) > policy.TableRows.Default {
		return nil, fmt.Errorf("%w: limit %d, want 1 to %d", ErrInvalid, r.Limit, policy.TableRows.Default)
	}
	span, err := r.Bounds()
	if err != nil {
		return nil, err
	}
	if r.After != "" {
		last, err := r.Scope.decodeCursor(r.After)
		if err != nil {
			return nil, err
		}
		span.From = max(span.From, last+1)
	}
	channels, ids, err := r.Scope.channels(ctx, db, policy.TableChannels.Default)
	if err != nil {
		return nil, err
	}
	answer := &TableAnswer{Channels: channels}
	if span.Empty() {
		return answer, nil
	}
	selection, err := db.Select(ctx, r.Tenant, ids, span)
	if err != nil {
		return nil, err
	}
	defer selection.Close()
	joined, err := newJoin(selection, len(ids))
	if err != nil {
		return nil, err
	}
	return answer, r.fill(ctx, answer, joined)
}

// fill moves one page of rows from joined to the answer.
func (r *TableRequest) fill(ctx context.Context, answer *TableAnswer, joined *join) error {
	width := len(answer.Channels)
	values, present := make([]float64, width), make([]bool, width)
	for len(answer.Times) < r.Limit {
		if err := calledOff(ctx, len(answer.Times)); err != nil {
			return err
		}
		t, more, err := joined.next(values, present)
		if err != nil || !more {
			return err
		}
		answer.Times = append(answer.Times, t)
		answer.Values = append(answer.Values, values...)
		answer.Present = append(answer.Present, present...)
	}
	if !joined.done {
		answer.Next = r.Scope.encodeCursor(answer.Times[len(answer.Times)-1])
	}
	return nil
}

// A table's cursor is base64url of: the last time given, int64 little-endian,
// and a CRC32C over that time, the tenant and the selector, so that a cursor
// that was altered or belongs to another question is noticed.
const cursorBytes = 12

func (s Scope) encodeCursor(last int64) string {
	b := binary.LittleEndian.AppendUint64(nil, uint64(last))
	b = binary.LittleEndian.AppendUint32(b, s.cursorCheck(b))
	return base64.RawURLEncoding.EncodeToString(b)
}

func (s Scope) decodeCursor(text string) (int64, error) {
	b, err := base64.RawURLEncoding.Strict().DecodeString(text)
	if err != nil || len(b) != cursorBytes || binary.LittleEndian.Uint32(b[8:]) != s.cursorCheck(b[:8]) {
		return 0, fmt.Errorf("%w: %s was not given for these channels", ErrBadCursor, quoteShort(text))
	}
	return int64(binary.LittleEndian.Uint64(b)), nil
}

func (s Scope) cursorCheck(last []byte) uint32 {
	subject := fmt.Appendf(last[:8:8], "%s %s", s.Tenant, s.Selector)
	return crc32.Checksum(subject, crc32.MakeTable(crc32.Castagnoli))
}
