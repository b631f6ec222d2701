package policy

import (
	"errors"
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"
)

// ErrRetention is wrapped by every refusal of how long rows are kept.
var ErrRetention = errors.New("bad retention")

// keepUnit is what the length of a Keep is counted in. Numbers are part of the
// log format and never reused.
type keepUnit uint8

const (
	keepForever keepUnit = iota
	keepYears            // of the calendar, in UTC
	keepMonths           // likewise
	keepDays             // of 24 hours, as what follows
	keepHours
	keepMinutes
	keepSeconds
)

var keepUnits = [...]struct {
	suffix string
	width  int64 // nanoseconds; 0: of the calendar
	most   uint32
}{
	keepYears:   {"y", 0, 1000},
	keepMonths:  {"mo", 0, 12_000},
	keepDays:    {"d", int64(24 * time.Hour), 366_000},
	keepHours:   {"h", int64(time.Hour), 2_500_000},
	keepMinutes: {"m", int64(time.Minute), 150_000_000},
	keepSeconds: {"s", int64(time.Second), math.MaxUint32},
}

// Keep is how long rows are kept. The zero value is for ever.
type Keep struct {
	unit  keepUnit
	count uint32
}

// Forever keeps rows for ever.
var Forever = Keep{}

// ParseKeep reads "forever", or a whole number and its unit: "1y" and "6mo" are
// of the calendar, in UTC; "90d", "12h", "30m" and "45s" are lengths of time.
func ParseKeep(text string) (Keep, error) {
	if text == "forever" {
		return Forever, nil
	}
	digits := strings.TrimRight(text, "abcdefghijklmnopqrstuvwxyz")
	for unit := keepYears; int(unit) < len(keepUnits); unit++ {
		if text[len(digits):] != keepUnits[unit].suffix {
			continue
		}
		count, err := strconv.ParseUint(digits, 10, 32)
		if err != nil || count == 0 || uint32(count) > keepUnits[unit].most {
			return Keep{}, fmt.Errorf("%w: %q: want a whole number from 1 to %d before %s",
				ErrRetention, text, keepUnits[unit].most, keepUnits[unit].suffix)
		}
		return Keep{unit, uint32(count)}, nil
	}
	return Keep{}, fmt.Errorf("%w: %q: want forever, or a number and one of y, mo, d, h, m and s", ErrRetention, text)
}

// String returns what ParseKeep reads.
func (k Keep) String() string {
	if k.unit == keepForever {
		return "forever"
	}
	return strconv.FormatUint(uint64(k.count), 10) + keepUnits[k.unit].suffix
}

// MarshalText implements encoding.TextMarshaler with String.
func (k Keep) MarshalText() ([]byte, error) { return []byte(k.String()), nil }

// UnmarshalText implements encoding.TextUnmarshaler with ParseKeep.
func (k *Keep) UnmarshalText(text []byte) (err error) {
	*k, err = ParseKeep(string(text))
	return err
}

// Always reports whether k is for ever.
func (k Keep) Always() bool { return k.unit == keepForever }

// valid reports whether k is one that ParseKeep returns.
func (k Keep) valid() bool {
	if k.unit == keepForever {
		return k.count == 0
	}
	return int(k.unit) < len(keepUnits) && k.count > 0 && k.count <= keepUnits[k.unit].most
}

// NoFloor is the floor where everything is kept.
const NoFloor = math.MinInt64

// Floor returns the time before which rows are gone at now, both nanoseconds
// since the epoch: a row at the floor is still kept. It never goes back as now
// goes on. In the year after a leap year a row of 29 February goes with the
// first instant of 1 March, and where a month before has no such day, what is
// kept begins with the month after.
func (k Keep) Floor(now int64) int64 {
	switch k.unit {
	case keepForever:
		return NoFloor
	case keepYears:
		return calendarFloor(now, 12*int(k.count))
	case keepMonths:
		return calendarFloor(now, int(k.count))
	}
	return before(now, time.Duration(k.count), keepUnits[k.unit].width)
}

// before returns now less count widths, NoFloor where that is before all time.
func before(now int64, count time.Duration, width int64) int64 {
	if int64(count) > math.MaxInt64/width {
		return NoFloor
	}
	length := int64(count) * width
	if now < NoFloor+length {
		return NoFloor
	}
	return now - length
}

// calendarFloor returns the instant so many months before now, in UTC.
func calendarFloor(now int64, months int) int64 {
	at := time.Unix(0, now).UTC()
	year, month, day := at.Date()
	midnight := time.Date(year, month, day, 0, 0, 0, 0, time.UTC)
	floor := time.Date(year, month-time.Month(months), day, 0, 0, 0, 0, time.UTC)
	if floor.Day() != day { // the month is shorter, and this is in the one after
		floor = time.Date(floor.Year(), floor.Month(), 1, 0, 0, 0, 0, time.UTC)
	} else {
		floor = floor.Add(at.Sub(midnight))
	}
	if floor.Year() < 1678 {
		return NoFloor
	}
	return floor.UnixNano()
}
