package query

import (
	"errors"
	"fmt"
	"math/bits"
	"strconv"
	"strings"
	"time"

	"github.com/hokan-db/hokan/engine/model"
)

// ErrBadTime is wrapped by every refusal of a time, a unit or a zone.
var ErrBadTime = errors.New("bad time")

// Unit is a resolution in which times are answered.
type Unit struct {
	Name        string
	Nanoseconds int64
}

// The units of answers. Milliseconds are the default: JavaScript holds them
// exactly.
var (
	Seconds      = Unit{"s", 1e9}
	Milliseconds = Unit{"ms", 1e6}
	Microseconds = Unit{"us", 1e3}
	Nanoseconds  = Unit{"ns", 1}
)

var units = []Unit{Seconds, Milliseconds, Microseconds, Nanoseconds}

// ParseUnit reads s, ms, us or ns; "" is ms.
func ParseUnit(name string) (Unit, error) {
	if name == "" {
		return Milliseconds, nil
	}
	for _, u := range units {
		if u.Name == name {
			return u, nil
		}
	}
	return Unit{}, fmt.Errorf("%w: unit %s is none of s, ms, us, ns", ErrBadTime, quoteShort(name))
}

// Floor returns the time t, in nanoseconds, as a number of units, rounded down.
func (u Unit) Floor(t int64) int64 {
	n := t / u.Nanoseconds
	if t%u.Nanoseconds < 0 {
		n--
	}
	return n
}

// nextBelow returns the coarsest unit that is not longer than width.
func nextBelow(width int64) Unit {
	for _, u := range units {
		if u.Nanoseconds <= width {
			return u
		}
	}
	return Nanoseconds
}

// durations are what may follow the number in now-30d.
var durations = []struct {
	name        string
	nanoseconds uint64
}{{"ns", 1}, {"us", 1e3}, {"ms", 1e6}, {"s", 1e9}, {"m", 60e9}, {"h", 3600e9}, {"d", uint64(model.Day)}}

// ParseTime reads a time of a flag or a query: RFC 3339 with an offset, an
// integer of nanoseconds since the epoch, "now", or "now-30d" with one of the
// units ns us ms s m h d. It must lie in the years 1678 to 2261, or be their
// end. Errors wrap ErrBadTime.
func ParseTime(text string, now time.Time) (int64, error) {
	t, err := parseTime(text, now)
	if err != nil {
		return 0, err
	}
	if t < model.MinTime || t > model.MaxTime {
		return 0, fmt.Errorf("%w: %s lies outside the years 1678 to 2261", ErrBadTime, quoteShort(text))
	}
	return t, nil
}

func parseTime(text string, now time.Time) (int64, error) {
	if back, ok := strings.CutPrefix(text, "now"); ok {
		if back == "" {
			return now.UnixNano(), nil
		}
		return ago(text, back, now)
	}
	if n, err := strconv.ParseInt(text, 10, 64); err == nil {
		return n, nil
	} else if errors.Is(err, strconv.ErrRange) {
		return 0, fmt.Errorf("%w: %s lies outside the years 1678 to 2261", ErrBadTime, quoteShort(text))
	}
	var t time.Time
	// The library lets hours of one digit and commas pass.
	strict := len(text) >= len("2006-01-02T15:04:05Z") && text[13] == ':' && text[16] == ':' && !strings.Contains(text, ",")
	if err := t.UnmarshalText([]byte(text)); err != nil || !strict {
		return 0, fmt.Errorf("%w: %s is no RFC 3339 time with an offset, no integer of nanoseconds, not now and not like now-30d",
			ErrBadTime, quoteShort(text))
	}
	if y := t.UTC().Year(); y < 1678 || y > 2262 { // outside, UnixNano means nothing
		return 0, fmt.Errorf("%w: %s lies outside the years 1678 to 2261", ErrBadTime, quoteShort(text))
	}
	if y := t.UTC().Year(); y == 2262 && t.After(time.Unix(0, model.MaxTime)) {
		return 0, fmt.Errorf("%w: %s lies outside the years 1678 to 2261", ErrBadTime, quoteShort(text))
	}
	return t.UnixNano(), nil
}

// ago reads the -30d of now-30d.
func ago(text, back string, now time.Time) (int64, error) {
	refused := fmt.Errorf("%w: %s is not like now-30d, with one of ns us ms s m h d", ErrBadTime, quoteShort(text))
	amount := strings.TrimLeft(strings.TrimPrefix(back, "-"), "0123456789")
	number := strings.TrimSuffix(strings.TrimPrefix(back, "-"), amount)
	n, err := strconv.ParseUint(number, 10, 63)
	if back[0] != '-' || err != nil {
		return 0, refused
	}
	for _, d := range durations {
		if d.name != amount {
			continue
		}
		high, low := bits.Mul64(n, d.nanoseconds)
		if t := now.UnixNano(); high == 0 && low < 1<<63 && t-int64(low) <= t && t-int64(low) >= model.MinTime {
			return t - int64(low), nil
		}
		return 0, fmt.Errorf("%w: %s lies before the year 1678", ErrBadTime, quoteShort(text))
	}
	return 0, refused
}

// ParseZone finds an IANA time zone by name, or makes one of an offset such as
// +09:00, which is its name; "" is UTC. Errors wrap ErrBadTime.
func ParseZone(name string) (*time.Location, error) {
	if name == "" {
		return time.UTC, nil
	}
	zone, err := model.LoadZone(name)
	if err != nil {
		return nil, fmt.Errorf("%w: zone %w", ErrBadTime, err)
	}
	return zone, nil
}

// quoteShort quotes text for an error message, cut to a readable length.
func quoteShort(text string) string {
	const most = 60
	if len(text) > most {
		return strconv.Quote(text[:most]) + "…"
	}
	return strconv.Quote(text)
}
