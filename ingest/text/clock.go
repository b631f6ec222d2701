package text

import (
	"bytes"
	"fmt"
	"math"
	"time"

	"github.com/hokan-db/hokan/engine/model"
)

// Clock says how a data line tells its time. One of four: where Format is
// set, as a date and time of day; where Interval is, by its place among the
// lines; where Duration is, as [d ]hh:mm:ss since Start; else as a number of
// Units since Start.
type Clock struct {
	Start    int64 // ns since the epoch
	Unit     int64 // ns
	Interval int64 // ns
	Duration bool
	Format   *Format
	Zone     *time.Location // of Format, for times without an offset
}

// clock is a Clock at work.
type clock struct {
	Clock
	mark  byte
	local local
	lines int64  // data lines before this one
	joint []byte // memory for a time of several cells
}

// maxTimeBytes bounds a time of several cells.
const maxTimeBytes = 100

// at returns the time of a line with the time cells given, or why it has none.
func (c *clock) at(cells [][]byte) (int64, string) {
	if c.Format == nil && c.Interval > 0 {
		step := c.lines * c.Interval
		if t, ok := addTime(c.Start, step); ok && step/c.Interval == c.lines {
			return t, ""
		}
		return 0, "the line lies outside the years 1678 to 2261"
	}
	cell := cells[0]
	if len(cells) > 1 {
		c.joint = c.joint[:0]
		for _, part := range cells {
			if len(c.joint)+len(part) > maxTimeBytes {
				return 0, fmt.Sprintf("%s… is no time", Shorten(string(c.joint)))
			}
			c.joint = append(append(c.joint, part...), ' ')
		}
		cell = bytes.TrimRight(c.joint, " ")
	}
	if c.Format != nil {
		return c.civil(cell)
	}
	if c.Duration {
		if offset, ok := parseDuration(cell); ok {
			return c.after(offset, true, cell)
		}
	} else if d, end := scanDecimal(cell, 0, c.mark); end == len(cell) {
		offset, ok := d.times(uint64(c.Unit))
		return c.after(offset, ok, cell)
	}
	return 0, Shorten(string(cell)) + " is no " + c.noun()
}

// after returns the time an offset after the start, where there is such an
// offset.
func (c *clock) after(offset int64, ok bool, cell []byte) (int64, string) {
	if ok {
		if t, ok := addTime(c.Start, offset); ok {
			return t, ""
		}
	}
	return 0, fmt.Sprintf("%s after the start lies outside the years 1678 to 2261", Shorten(string(cell)))
}

// noun names what the time is written as.
func (c *clock) noun() string {
	switch {
	case c.Duration:
		return "time since the start, as hh:mm:ss"
	case c.Unit == int64(time.Second):
		return "number of seconds"
	}
	return "number, of " + time.Duration(c.Unit).String() + " each"
}

func (c *clock) civil(cell []byte) (int64, string) {
	m, err := c.Format.parse(cell)
	switch {
	case err == errForm:
		return 0, fmt.Sprintf("%s is no time in the form %s", Shorten(string(cell)), c.Format)
	case err != nil:
		return 0, fmt.Sprintf("%s: %v", Shorten(string(cell)), err)
	}
	seconds := m.seconds - m.offset
	if !m.hasOffset {
		if c.Zone == nil {
			return 0, Shorten(string(cell)) + " has no offset, and no zone is given"
		}
		var ok bool
		if seconds, ok = c.local.instant(m.seconds, c.Zone); !ok {
			return 0, fmt.Sprintf("%s: clocks in %s never showed it: they were set forward over it", Shorten(string(cell)), c.Zone)
		}
	}
	if seconds < model.MinTime/1e9 || seconds >= model.MaxTime/1e9 {
		return 0, Shorten(string(cell)) + " lies outside the years 1678 to 2261"
	}
	return addNanoseconds(seconds*1e9, m.nanosecond)
}

func addNanoseconds(t, n int64) (int64, string) {
	if t, ok := addTime(t, n); ok {
		return t, ""
	}
	return 0, "it lies outside the years 1678 to 2261"
}

// addTime returns start + offset if a sample may have that time.
func addTime(start, offset int64) (int64, bool) {
	t := start + offset
	if offset > 0 && t < start || offset < 0 && t > start {
		return 0, false
	}
	return t, t >= model.MinTime && t < model.MaxTime
}

// parseDuration reads [-][d ][h]h:mm:ss[.fff] as nanoseconds; hours may be more
// than a day's.
func parseDuration(cell []byte) (int64, bool) {
	negative := len(cell) > 0 && cell[0] == '-'
	if negative || len(cell) > 0 && cell[0] == '+' {
		cell = cell[1:]
	}
	var numbers [4]int64 // days, hours, minutes, seconds
	at, part := 0, 1
	for {
		start := at
		for at < len(cell) && cell[at]-'0' <= 9 && at-start < 9 {
			numbers[part] = numbers[part]*10 + int64(cell[at]-'0')
			at++
		}
		switch {
		case at == start:
			return 0, false
		case part == 3:
			return durationOf(numbers, cell[at:], negative)
		case part == 1 && start == 0 && at < len(cell) && (cell[at] == ' ' || cell[at] == 'd'):
			numbers[0], numbers[1] = numbers[1], 0
			at = len(cell) - len(bytes.TrimLeft(cell[at+1:], " "))
		case at < len(cell) && cell[at] == ':':
			part++
			at++
		default:
			return 0, false
		}
	}
}

func durationOf(of [4]int64, rest []byte, negative bool) (int64, bool) {
	var p parts
	if len(rest) > 1 && (rest[0] == '.' || rest[0] == ',') {
		rest = rest[p.readFraction(rest, 1):]
	}
	seconds := ((of[0]*24+of[1])*60+of[2])*60 + of[3]
	if len(rest) > 0 || of[2] > 59 || of[3] > 59 || seconds > 4e9 {
		return 0, false
	}
	n := seconds*1e9 + p.fraction
	if negative {
		n = -n
	}
	return n, true
}

// local turns what clocks in a zone showed into instants, line by line. In an
// hour that clocks showed twice it takes the first time unless that would go
// back behind the line before, as a logger's clock ran on. Where no change of
// clocks is near it adds an offset that it knows.
type local struct {
	from, to int64 // of civil seconds: only offset holds there
	offset   int64
	last     int64 // instant of the line before
	twice    int64 // lines in such an hour
}

// farSeconds is longer than any two offsets of a zone differ.
const farSeconds = 27 * 3600

// instant returns the Unix seconds at which clocks showed civil seconds, false
// for never.
func (l *local) instant(civil int64, zone *time.Location) (int64, bool) {
	if civil >= l.from && civil < l.to {
		l.last = civil - l.offset
		return l.last, true
	}
	var found [3]int64
	n := 0
	for _, around := range [3]int64{-farSeconds, 0, farSeconds} {
		near := time.Unix(civil+around, 0).In(zone)
		_, offset := near.Zone()
		t := civil - int64(offset)
		if _, there := time.Unix(t, 0).In(zone).Zone(); there != offset || n > 0 && found[n-1] == t {
			continue
		}
		found[n] = t
		n++
	}
	switch n {
	case 0:
		return 0, false
	case 1:
		l.know(found[0], civil-found[0], zone)
	default:
		l.twice++
		if found[1] < found[0] {
			found[0], found[1] = found[1], found[0]
		}
		if found[0] < l.last {
			found[0] = found[1]
		}
	}
	l.last = found[0]
	return l.last, true
}

// know notes for which civil seconds the offset that holds at t holds alone.
func (l *local) know(t, offset int64, zone *time.Location) {
	begin, end := time.Unix(t, 0).In(zone).ZoneBounds()
	l.offset, l.from, l.to = offset, math.MinInt64, math.MaxInt64
	if !begin.IsZero() {
		l.from = begin.Unix() + offset + farSeconds
	}
	if !end.IsZero() {
		l.to = end.Unix() + offset - farSeconds
	}
}

// IsDuration reports whether cell is a time as Clock.Duration reads it.
func IsDuration(cell []byte) bool {
	_, ok := parseDuration(cell)
	return ok
}
