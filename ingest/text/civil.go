package text

import (
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/hokan-db/hokan/engine/model"
)

// civil is a date and time of day as it was written, without meaning until an
// offset is known.
type civil struct {
	asUTC     time.Time // what it would be at offset 0
	offset    int       // seconds east of UTC; only if hasOffset
	hasOffset bool
}

var errClock = errors.New("want YYYY-MM-DD hh:mm:ss[.fff][±hh:mm]")

// parseCivil reads [']YY[YY]-MM-DD hh:mm:ss[.fff][±hh:mm|Z]. A year of two
// digits lies in this century: the instruments are younger.
func parseCivil(text string) (civil, error) {
	p := clockParser{rest: strings.TrimSpace(text)}
	p.rest = strings.TrimSpace(strings.TrimLeft(p.rest, "'’"))
	year, digits := p.digits(4)
	if digits == 2 {
		year += 2000
	} else if digits != 4 {
		return civil{}, errClock
	}
	separator := byte('-')
	if strings.HasPrefix(p.rest, "/") {
		separator = '/'
	}
	month := p.two(separator)
	day := p.two(separator)
	if !strings.HasPrefix(p.rest, "T") {
		p.rest = "T" + strings.TrimLeft(p.rest, " ")
	}
	hour, minute, second := p.two('T'), p.two(':'), p.two(':')
	nanosecond := p.fraction()
	c := civil{asUTC: time.Date(year, time.Month(month), day, hour, minute, second, nanosecond, time.UTC)}
	c.offset, c.hasOffset = p.offset()
	if p.failed || p.rest != "" {
		return civil{}, errClock
	}
	if c.asUTC.Month() != time.Month(month) || c.asUTC.Day() != day || hour > 23 || minute > 59 || second > 59 {
		return civil{}, errors.New("no such date or time of day")
	}
	return c, nil
}

type clockParser struct {
	rest   string
	failed bool
}

// digits reads up to most digits.
func (p *clockParser) digits(most int) (value, count int) {
	for count < most && count < len(p.rest) && p.rest[count]-'0' <= 9 {
		value = value*10 + int(p.rest[count]-'0')
		count++
	}
	p.rest = p.rest[count:]
	return value, count
}

// two reads lead and two digits.
func (p *clockParser) two(lead byte) int {
	if p.rest == "" || p.rest[0] != lead {
		p.failed = true
		return 0
	}
	p.rest = p.rest[1:]
	value, count := p.digits(2)
	if count != 2 {
		p.failed = true
	}
	return value
}

func (p *clockParser) fraction() (nanosecond int) {
	if p.rest == "" || p.rest[0] != '.' && p.rest[0] != ',' {
		return 0
	}
	p.rest = p.rest[1:]
	value, count := p.digits(9)
	if count == 0 {
		p.failed = true
	}
	for ; count < 9; count++ {
		value *= 10
	}
	return value
}

func (p *clockParser) offset() (seconds int, ok bool) {
	p.rest = strings.TrimLeft(p.rest, " ")
	switch {
	case p.rest == "":
		return 0, false
	case p.rest == "Z":
		p.rest = ""
		return 0, true
	case p.rest[0] != '+' && p.rest[0] != '-':
		p.failed = true
		return 0, false
	}
	sign := p.rest[0]
	hours, minutes := p.two(sign), p.two(':')
	if hours > 23 || minutes > 59 {
		p.failed = true
	}
	if seconds = hours*3600 + minutes*60; sign == '-' {
		seconds = -seconds
	}
	return seconds, true
}

// instant returns the nanoseconds since the epoch at which clocks in zone
// showed c. It refuses times that they showed twice or never.
func (c civil) instant(zone *time.Location) (int64, error) {
	if c.hasOffset {
		return unixNano(c.asUTC.Unix()-int64(c.offset), c.asUTC.Nanosecond())
	}
	// Clocks differ from UTC by at most 26 hours, so the offsets before and
	// after any change of clocks nearby are among these.
	var found []int64
	for _, around := range []time.Duration{-27 * time.Hour, 0, 27 * time.Hour} {
		_, offset := c.asUTC.Add(around).In(zone).Zone()
		candidate := c.asUTC.Add(-time.Duration(offset) * time.Second)
		if _, there := candidate.In(zone).Zone(); there != offset {
			continue
		}
		if len(found) == 0 || found[0] != candidate.Unix() {
			found = append(found, candidate.Unix())
		}
	}
	switch len(found) {
	case 0:
		before := c.asUTC.Add(-27 * time.Hour).In(zone)
		return 0, fmt.Errorf("clocks in %s were set forward over it: give --start with an offset, such as %s where the logger's was not",
			zone, c.withOffset(before))
	case 1:
		return unixNano(found[0], c.asUTC.Nanosecond())
	}
	first, second := time.Unix(min(found[0], found[1]), 0).In(zone), time.Unix(max(found[0], found[1]), 0).In(zone)
	return 0, fmt.Errorf("clocks in %s showed it twice: give --start with an offset, such as %s, the first time, or %s, the second",
		zone, c.withOffset(first), c.withOffset(second))
}

// withOffset writes c as --start takes it, with the offset that holds at t.
func (c civil) withOffset(t time.Time) string {
	return "'" + c.asUTC.Format(time.DateTime) + t.Format("-07:00") + "'"
}

func unixNano(seconds int64, nanosecond int) (int64, error) {
	if seconds < model.MinTime/1e9 || seconds >= model.MaxTime/1e9 {
		return 0, errors.New("it lies outside the years 1678 to 2261")
	}
	return seconds*1e9 + int64(nanosecond), nil
}
