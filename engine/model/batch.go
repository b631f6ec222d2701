package model

// Batch is the unit of write: columns of one tenant.
type Batch struct {
	Tenant  Tenant
	Columns []Column
}

// Column is rows of one channel: Times[i] and Values[i] belong together. Rows
// may stand in any order; at equal times the later row wins. Columns that
// share a clock should share the very same Times slice, which is then logged
// once.
type Column struct {
	Labels     Labels
	Properties *Properties // nil: say nothing about them
	Times      []int64
	Values     []float64
}

// Rows returns the number of samples in all columns.
func (b *Batch) Rows() int {
	n := 0
	for i := range b.Columns {
		n += len(b.Columns[i].Times)
	}
	return n
}

// Sample is one time and value of a channel.
type Sample struct {
	Time  int64
	Value float64
}
