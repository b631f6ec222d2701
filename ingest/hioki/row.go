package hioki

import (
	"bytes"

	"github.com/hokan-db/hokan/engine/model"
	"github.com/hokan-db/hokan/ingest/refusal"
)

// row reads one data line into row n of m. It refuses the line whole where its
// cells cannot be told apart or it has no time; a cell that is no number is
// noted in r.pending and leaves a hole.
func (r *Reader) row(line []byte, m *memory, n int) *refusal.Error {
	r.pending = r.pending[:0]
	if i := bytes.IndexByte(line, 0); i >= 0 {
		return at(0, 0, refusal.Malformed, "a NUL byte, byte %d of the file", r.lines.offset+int64(i))
	}
	separator, mark := r.header.separator, r.header.mark
	d, next := scanDecimal(line, 0, mark)
	if next < 0 || next < len(line) && line[next] != separator {
		if next = r.slowTime(line, &d); next < 0 {
			return r.badTime(line, next)
		}
	}
	t, ok := d.nanoseconds()
	if !ok {
		return r.badTime(line, next)
	}
	if t, ok = addTime(r.start, t); !ok {
		return r.badTime(line, next)
	}
	m.times[n] = t
	for i, channel := range r.plan {
		if next == len(line) {
			return at(0, 0, refusal.Malformed, "%d cells, want %d", i+1, len(r.plan)+1)
		}
		begin := next + 1
		if channel < 0 {
			var open bool
			if _, next, _, open = cutCell(line, begin, separator); open {
				return at(0, i+2, refusal.Malformed, "a quote is not closed")
			}
			continue
		}
		d, next = scanDecimal(line, begin, mark)
		if next >= 0 && (next == len(line) || line[next] == separator) {
			if v, ok := d.float(); ok {
				m.values[channel][n] = v
				continue
			}
		}
		v, after, refused := r.slowCell(line, begin, i+2)
		if refused != nil {
			return refused
		}
		next = after
		m.values[channel][n] = v
		if isHole(v) {
			m.holes[channel] = true
		}
	}
	return r.tail(line, next)
}

// tail checks what follows the last cell: blank cells at most, as many as the
// column line has or one.
func (r *Reader) tail(line []byte, next int) *refusal.Error {
	rest := line[next:]
	trailing := len(rest) > 0
	if len(rest) > 1 {
		extra := bytes.Count(rest, []byte{r.header.separator})
		allowed := max(1, r.header.cells-len(r.header.columns))
		if r.header.separator == ' ' {
			extra = min(extra, 1)
		}
		if extra > allowed || len(bytes.Trim(rest, string([]byte{' ', r.header.separator}))) > 0 {
			return at(0, len(r.plan)+2, refusal.Malformed, "more cells than the %d of the column line", len(r.plan)+1)
		}
	}
	if r.lines.open && r.trailing && !trailing {
		return at(0, len(r.plan)+1, refusal.Malformed, "the file ends within this line")
	}
	r.trailing = trailing
	return nil
}

// slowTime reads a first cell that is quoted or has blanks behind it, and
// returns where it ends, or -1.
func (r *Reader) slowTime(line []byte, d *decimal) int {
	cell, next, _, open := cutCell(line, 0, r.header.separator)
	if open {
		return -1
	}
	var end int
	if *d, end = scanDecimal(cell, 0, r.header.mark); end != len(cell) {
		return -1
	}
	return next
}

func (r *Reader) badTime(line []byte, next int) *refusal.Error {
	cell, _, _, _ := cutCell(line, 0, r.header.separator)
	if next < 0 {
		return at(0, 1, refusal.BadTime, "%s is no number of seconds", shorten(string(cell)))
	}
	return at(0, 1, refusal.BadTime, "%s seconds after the start lies outside the years 1678 to 2261", shorten(string(cell)))
}

// addTime returns start + offset if a sample may have that time.
func addTime(start, offset int64) (int64, bool) {
	t := start + offset
	if offset > 0 && t < start || offset < 0 && t > start {
		return 0, false
	}
	return t, t >= model.MinTime && t < model.MaxTime
}

// slowCell reads a cell that is not a plain decimal: quoted, empty, a quality
// word, a number of many digits, or no number, which leaves a hole.
func (r *Reader) slowCell(line []byte, begin, column int) (v float64, next int, refused *refusal.Error) {
	cell, next, _, open := cutCell(line, begin, r.header.separator)
	if open {
		return 0, 0, at(0, column, refusal.Malformed, "a quote is not closed")
	}
	if len(cell) == 0 {
		return hole, next, nil
	}
	if v, ok := parseNumber(cell, r.header.mark); ok {
		return v, next, nil
	}
	if quality, ok := qualityWord(cell); ok {
		return quality.NaN(), next, nil
	}
	e := at(r.lines.number, column, refusal.NotANumber, "%s is no number", shorten(string(cell)))
	if _, end := scanDecimal(cell, 0, r.header.mark); end == len(cell) {
		e.Detail = shorten(string(cell)) + " is beyond the largest number that can be stored, about 1.8E308"
	}
	r.pending = append(r.pending, *e)
	return hole, next, nil
}
