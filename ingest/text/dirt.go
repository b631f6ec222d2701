package text

import (
	"fmt"
	"slices"
	"time"
)

// dirt is what was kept of a file and looks wrong.
type dirt struct {
	warnings []string // of the header
	last     int64    // time of the row before

	nulRuns, nulBytes, firstNUL int
	backward, firstBackward     int
	farthest                    int64 // step back, ns
	same, firstSame             int
	behind                      int // lines after the data that say something
}

// cutNULs cuts off the NUL bytes that a line begins with: a file grew, its
// bytes were not written before the power failed, and then a line followed.
func (d *dirt) cutNULs(line []byte, number int) []byte {
	n := 0
	for n < len(line) && line[n] == 0 {
		n++
	}
	if d.nulRuns == 0 {
		d.firstNUL = number
	}
	d.nulRuns++
	d.nulBytes += n
	return line[n:]
}

// notLater notes a row whose time is not after that of the row before.
func (d *dirt) notLater(t int64, line int) {
	if t == d.last {
		if d.same++; d.same == 1 {
			d.firstSame = line
		}
		return
	}
	if d.backward++; d.backward == 1 {
		d.firstBackward = line
	}
	d.farthest = max(d.farthest, d.last-t)
}

// describe says it, a sentence for each kind. twice is how many rows have a
// time that clocks showed twice.
func (d *dirt) describe(twice int64) []string {
	said := slices.Clone(d.warnings)
	add := func(format string, arguments ...any) { said = append(said, fmt.Sprintf(format, arguments...)) }
	if d.nulRuns > 0 {
		add("%d %s with NUL bytes before it, %d bytes in all, first line %d, as where power failed during a write: what follows them is kept",
			d.nulRuns, plural(d.nulRuns, "line"), d.nulBytes, d.firstNUL)
	}
	if d.backward > 0 {
		add("the clock goes back %d %s, by up to %v, first at line %d: the rows are kept at the times that they have",
			d.backward, plural(d.backward, "time"), time.Duration(d.farthest), d.firstBackward)
	}
	if d.same > 0 {
		add("%d %s with the time of the row before, first line %d: of rows with one time a channel keeps the last value",
			d.same, plural(d.same, "row"), d.firstSame)
	}
	if d.behind > 0 {
		add("%d %s behind the data, of marks or messages, not imported", d.behind, plural(d.behind, "line"))
	}
	if twice > 0 {
		add("%d %s at times that clocks showed twice, as they were set back: they are taken in the order of the file",
			twice, plural(int(twice), "row"))
	}
	return said
}

func plural(n int, noun string) string {
	if n == 1 {
		return noun
	}
	return noun + "s"
}
