package query

import (
	"context"
	"math"

	"github.com/hokan-db/hokan/engine"
)

// rows yields batches of one channel's rows in ascending time; an empty batch
// is the end.
type rows interface {
	Next() (times []int64, values []float64, err error)
}

// join reads channels side by side in ascending time: one row per time at
// which any of them has a sample.
type join struct {
	columns  []joinColumn
	nextTime int64
	done     bool // no row at or after nextTime
}

// joinColumn is the batch of one channel that is being read.
type joinColumn struct {
	rows   rows
	times  []int64 // never empty while the channel has rows left
	values []float64
	at     int
}

func newJoin(selection *engine.Selection, channels int) (*join, error) {
	j := &join{columns: make([]joinColumn, channels), nextTime: math.MaxInt64, done: true}
	for i := range j.columns {
		c := &j.columns[i]
		c.rows = selection.Cursor(i)
		if err := c.fill(); err != nil {
			return nil, err
		}
		if len(c.times) > 0 {
			j.nextTime, j.done = min(j.nextTime, c.times[0]), false
		}
	}
	return j, nil
}

func (c *joinColumn) fill() (err error) {
	c.times, c.values, err = c.rows.Next()
	c.at = 0
	return err
}

// next returns the time of the next row and sets, per channel, whether it has
// a sample there and its value. It returns false at the end.
func (j *join) next(values []float64, present []bool) (t int64, more bool, err error) {
	if j.done {
		return 0, false, nil
	}
	t = j.nextTime
	following := int64(math.MaxInt64)
	j.done = true
	for i := range j.columns {
		c := &j.columns[i]
		if c.at >= len(c.times) {
			present[i] = false
			continue
		}
		present[i] = c.times[c.at] == t
		if present[i] {
			values[i] = c.values[c.at]
			c.at++
			if c.at == len(c.times) {
				if err := c.fill(); err != nil {
					return 0, false, err
				}
				if len(c.times) == 0 {
					continue
				}
			}
		}
		following = min(following, c.times[c.at])
		j.done = false
	}
	j.nextTime = following
	return t, true, nil
}

// checkEvery is after how many rows a long scan looks whether it was called
// off.
const checkEvery = 4096

func calledOff(ctx context.Context, row int) error {
	if row%checkEvery != 0 {
		return nil
	}
	return ctx.Err()
}
