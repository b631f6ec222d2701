package entry

import (
	"fmt"

	"github.com/hokan-db/hokan/engine/model"
)

// Size returns how many bytes an entry with the body r needs at most. It looks
// at columns and definitions, not at rows, so that it is cheap.
func (r *Rows) Size() int {
	size := headerBytes + 2*maxUvarint + definitionsSize(r.Definitions)
	for i := range r.Columns {
		size += maxColumnHeader + r.rowBytes(i)*len(r.Columns[i].Times)
	}
	return size
}

// rowBytes returns how many bytes a row of column i needs at most.
func (r *Rows) rowBytes(i int) int {
	if i > 0 && sameSlice(r.Columns[i].Times, r.Columns[i-1].Times) {
		return 8
	}
	return maxRowBytes
}

func definitionsSize(definitions []model.Definition) int {
	size := 0
	for i := range definitions {
		size += definitionSize(&definitions[i])
	}
	return size
}

func definitionSize(d *model.Definition) int {
	size := 5 + 5 + len(d.Labels.Encoded()) + 1 + 8
	if p := d.Properties; p != nil {
		size += 5*maxUvarint + 1 + len(p.Name) + len(p.Unit) + len(p.Scaling) + len(p.Group) + len(p.App)
	}
	return size
}

// Split cuts r into bodies that each fit into an entry, in the order in which
// they must be appended: definitions come no later than the rows that need
// them, and rows of one channel keep their order. A body that fits is returned
// itself; pieces share its memory. A definition that is too large by itself is
// refused with ErrTooLarge.
func (r *Rows) Split() ([]*Rows, error) {
	if r.Size() <= MaxBytes {
		return []*Rows{r}, nil
	}
	if err := r.check(); err != nil {
		return nil, err
	}
	s := splitter{}
	s.begin()
	for i := range r.Definitions {
		size := definitionSize(&r.Definitions[i])
		if size > MaxBytes-emptySize {
			return nil, fmt.Errorf("%w: a definition of %d bytes", ErrTooLarge, size)
		}
		if s.size+size > MaxBytes {
			s.begin()
		}
		s.piece.Definitions = append(s.piece.Definitions, r.Definitions[i])
		s.size += size
	}
	for i := range r.Columns {
		s.column(r.Columns[i])
	}
	return s.pieces, nil
}

// emptySize is Size of a body with nothing in it.
const emptySize = headerBytes + 2*maxUvarint

type splitter struct {
	pieces []*Rows
	piece  *Rows // the last of pieces
	size   int   // its Size
}

func (s *splitter) begin() {
	s.piece = &Rows{}
	s.pieces = append(s.pieces, s.piece)
	s.size = emptySize
}

// freshRows is how many rows of one column an entry holds that has nothing else.
const freshRows = (MaxBytes - emptySize - maxColumnHeader) / maxRowBytes

func (s *splitter) column(c Column) {
	for !s.fits(c) {
		// A column that a fresh entry holds is not cut, so that columns that
		// share their times go on sharing them.
		room := (MaxBytes - s.size - maxColumnHeader) / maxRowBytes
		if len(c.Times) > freshRows && room > 0 {
			s.piece.Columns = append(s.piece.Columns, Column{c.Channel, c.Times[:room], c.Values[:room]})
			c.Times, c.Values = c.Times[room:], c.Values[room:]
		}
		s.begin()
	}
}

// fits adds c to the last piece if there is room for it.
func (s *splitter) fits(c Column) bool {
	s.piece.Columns = append(s.piece.Columns, c)
	last := len(s.piece.Columns) - 1
	size := maxColumnHeader + s.piece.rowBytes(last)*len(c.Times)
	if s.size+size > MaxBytes {
		s.piece.Columns = s.piece.Columns[:last]
		return false
	}
	s.size += size
	return true
}
