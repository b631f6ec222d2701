package text

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
		return At(0, 0, refusal.Malformed, "a NUL byte, byte %d of the file", r.lines.offset+int64(i))
	}
	separator, mark := r.layout.Separator, r.layout.Mark
	if len(r.timeCells) == 0 {
		t, why := r.clock.at(nil)
		if why != "" {
			return At(0, 0, refusal.BadTime, "%s", why)
		}
		m.times[n] = t
	}
	next, times := -1, 0
	missing := len(r.layout.Missing) > 0
	for i := range r.plan {
		step := &r.plan[i]
		if next == len(line) {
			return At(0, 0, refusal.Malformed, "%d cells, want %d", i, len(r.plan))
		}
		begin := next + 1
		kind := step.kind
		if kind == elapsed {
			d, end := scanDecimal(line, begin, mark)
			if end >= 0 && (end == len(line) || line[end] == separator) {
				if offset, ok := d.times(uint64(r.clock.Unit)); ok {
					if t, ok := addTime(r.clock.Start, offset); ok {
						m.times[n], next = t, end
						continue
					}
				}
			}
			kind = Time
		}
		if kind == Number {
			d, end := scanDecimal(line, begin, mark)
			if end >= 0 && (end == len(line) || line[end] == separator) {
				if v, ok := d.float(); ok {
					if missing {
						v = r.unlessMissing(v)
					}
					m.values[step.channel][n], next = v, end
					continue
				}
			}
		}
		var refused *refusal.Error
		switch kind {
		case Time:
			if next, refused = r.timeCell(line, begin, times); refused == nil && step.last {
				m.times[n], refused = r.time()
			}
			if refused != nil {
				refused.Column = i + 1
			}
			times++
		case Skip:
			var open bool
			if _, next, _, open = CutCell(line, begin, separator); open {
				refused = At(0, i+1, refusal.Malformed, "a quote is not closed")
			}
		default:
			var v float64
			v, next, refused = r.slowCell(line, begin, i+1, kind)
			if m.values[step.channel][n] = v; isHole(v) {
				m.holes[step.channel] = true
			}
		}
		if refused != nil {
			return refused
		}
	}
	return r.tail(line, next)
}

// timeCell cuts out a cell of the time, the one numbered place, and returns
// where it ends.
func (r *Reader) timeCell(line []byte, begin, place int) (int, *refusal.Error) {
	cell, next, _, open := CutCell(line, begin, r.layout.Separator)
	if open {
		return 0, At(0, 0, refusal.BadTime, "%s has no end", Shorten(string(cell)))
	}
	r.timeCells[place] = cell
	return next, nil
}

// time returns the time of the line.
func (r *Reader) time() (int64, *refusal.Error) {
	t, why := r.clock.at(r.timeCells)
	if why != "" {
		return 0, At(0, 0, refusal.BadTime, "%s", why)
	}
	return t, nil
}

// unlessMissing returns v, or the quality where v stands for no data.
func (r *Reader) unlessMissing(v float64) float64 {
	for _, missing := range r.layout.Missing {
		if v == missing {
			return model.QualityNoData.NaN()
		}
	}
	return v
}

// tail checks what follows the last cell: blank cells at most, as many as the
// column line has or one.
func (r *Reader) tail(line []byte, next int) *refusal.Error {
	rest := line[next:]
	trailing := len(rest) > 0
	if len(rest) > 1 {
		extra := bytes.Count(rest, []byte{r.layout.Separator})
		if r.layout.Separator == ' ' {
			extra = min(extra, 1)
		}
		if extra > max(1, r.layout.Extra) || len(bytes.Trim(rest, string([]byte{' ', r.layout.Separator}))) > 0 {
			return At(0, len(r.plan)+1, refusal.Malformed, "more cells than the %d of the column line", len(r.plan))
		}
	}
	if r.lines.open && r.trailing && !trailing {
		return At(0, len(r.plan), refusal.Malformed, "the file ends within this line")
	}
	r.trailing = trailing
	return nil
}

// slowCell reads a cell that is not a plain decimal: quoted, empty, a word, a
// number of many digits, or no number, which leaves a hole.
func (r *Reader) slowCell(line []byte, begin, column int, kind Kind) (v float64, next int, refused *refusal.Error) {
	cell, next, _, open := CutCell(line, begin, r.layout.Separator)
	if open {
		return 0, 0, At(0, column, refusal.Malformed, "a quote is not closed")
	}
	if v, ok := r.words[string(cell)]; ok {
		return v, next, nil
	}
	if len(cell) == 0 && r.layout.EmptyIsNo {
		return model.QualityNoData.NaN(), next, nil
	}
	if len(cell) == 0 {
		return hole, next, nil
	}
	var ok bool
	switch kind {
	case Hexadecimal:
		v, ok = parseHexadecimal(cell)
	case Levels:
		v, ok = parseLevels(cell)
	default:
		v, ok = r.parseCell(cell)
	}
	if ok {
		return v, next, nil
	}
	if quality, ok := qualityWord(cell); ok {
		return quality.NaN(), next, nil
	}
	e := At(r.lines.Number, column, refusal.NotANumber, "%s is no number", Shorten(r.layout.Charset.Decode(cell)))
	if _, end := scanDecimal(cell, 0, r.layout.Mark); end == len(cell) {
		e.Detail = Shorten(string(cell)) + " is beyond the largest number that can be stored, about 1.8E308"
	}
	r.pending = append(r.pending, *e)
	return hole, next, nil
}

// parseCell reads a decimal that may be padded between its sign and its digits.
func (r *Reader) parseCell(cell []byte) (float64, bool) {
	if len(cell) > 2 && cell[1] == ' ' && (cell[0] == '+' || cell[0] == '-') {
		padding := len(cell) - 1 - len(bytes.TrimLeft(cell[1:], " "))
		cell[padding] = cell[0] // the line is ours, and read once
		cell = cell[padding:]
	}
	v, ok := ParseNumber(cell, r.layout.Mark)
	if ok && len(r.layout.Missing) > 0 {
		v = r.unlessMissing(v)
	}
	return v, ok
}

// parseHexadecimal reads up to 52 bits, with or without 0x.
func parseHexadecimal(cell []byte) (float64, bool) {
	if len(cell) > 2 && cell[0] == '0' && cell[1]|0x20 == 'x' {
		cell = cell[2:]
	}
	bits := uint64(0)
	for _, c := range cell {
		digit := c - '0'
		if letter := c | 0x20; digit > 9 {
			if digit = letter - 'a' + 10; letter < 'a' || letter > 'f' {
				return 0, false
			}
		}
		if bits = bits<<4 | uint64(digit); bits >= 1<<52 {
			return 0, false
		}
	}
	return float64(bits), len(cell) > 0
}

// parseLevels reads letters L and H, the first of which is the lowest bit.
func parseLevels(cell []byte) (float64, bool) {
	bits := uint64(0)
	for i, c := range cell {
		switch {
		case i == 52 || c != 'L' && c != 'H':
			return 0, false
		case c == 'H':
			bits |= 1 << i
		}
	}
	return float64(bits), true
}
