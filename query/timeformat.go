package query

import (
	"time"

	"github.com/hokan-db/hokan/engine/model"
)

// TimeFormatter writes times as RFC 3339 in one zone, with a fraction only as
// long as needed, as time.RFC3339Nano does. It remembers the day and the zone's
// offset of the last time, so that neighbours cost little. It is not safe for
// concurrent use.
//
// RFC 3339 has no seconds in offsets, which zones had before about 1930: there
// the offset is cut to whole minutes and the clock reading follows it, so that
// the instant is right.
type TimeFormatter struct {
	zone     *time.Location
	valid    model.Span // where offset holds
	offset   int64      // local minus UTC, nanoseconds, whole minutes
	suffix   string     // the offset as written
	dayStart int64      // first local nanosecond of the remembered day
	date     [11]byte   // that day, "2022-06-06T"
	dayKnown bool
}

// NewTimeFormatter returns a formatter for zone.
func NewTimeFormatter(zone *time.Location) *TimeFormatter {
	return &TimeFormatter{zone: zone}
}

// Append appends t, nanoseconds since the epoch, in the years 1678 to 2261.
func (f *TimeFormatter) Append(dst []byte, t int64) []byte {
	if !f.valid.Contains(t) {
		f.findOffset(t)
	}
	inDay := t + f.offset - f.dayStart
	if uint64(inDay) >= uint64(model.Day) || !f.dayKnown {
		f.findDay(t + f.offset)
		inDay = t + f.offset - f.dayStart
	}
	second := uint32(inDay / 1e9)
	fraction := uint32(inDay - int64(second)*1e9)
	dst = append(dst, f.date[:]...)
	dst = appendTwo(dst, second/3600)
	dst = append(dst, ':')
	dst = appendTwo(dst, second/60%60)
	dst = append(dst, ':')
	dst = appendTwo(dst, second%60)
	if fraction != 0 {
		dst = appendFraction(dst, fraction)
	}
	return append(dst, f.suffix...)
}

// findOffset asks the zone for the offset at t and where it holds.
func (f *TimeFormatter) findOffset(t int64) {
	at := time.Unix(0, t).In(f.zone)
	from, to := at.ZoneBounds()
	f.valid = model.AllTime()
	f.valid.To++ // the end of all time can be written too
	if !from.IsZero() && from.After(time.Unix(0, f.valid.From)) {
		f.valid.From = from.UnixNano()
	}
	if !to.IsZero() && to.Before(time.Unix(0, f.valid.To)) {
		f.valid.To = to.UnixNano()
	}
	_, seconds := at.Zone()
	minutes := seconds / 60
	f.offset = int64(minutes) * 60e9
	f.suffix = "Z"
	if minutes != 0 {
		sign := byte('+')
		if minutes < 0 {
			sign, minutes = '-', -minutes
		}
		b := appendTwo([]byte{sign}, uint32(minutes/60))
		f.suffix = string(appendTwo(append(b, ':'), uint32(minutes%60)))
	}
	f.dayKnown = false
}

// findDay remembers the day that holds the local time.
func (f *TimeFormatter) findDay(local int64) {
	inDay := local % model.Day
	if inDay < 0 {
		inDay += model.Day
	}
	f.dayStart = local - inDay
	time.Unix(0, f.dayStart).UTC().AppendFormat(f.date[:0], "2006-01-02T")
	f.dayKnown = true
}

func appendTwo(dst []byte, n uint32) []byte {
	return append(dst, byte('0'+n/10), byte('0'+n%10))
}

// appendFraction appends nanoseconds as a decimal fraction without trailing
// zeros.
func appendFraction(dst []byte, nanoseconds uint32) []byte {
	var digits [10]byte
	digits[0] = '.'
	for i := 9; i > 0; i-- {
		digits[i] = byte('0' + nanoseconds%10)
		nanoseconds /= 10
	}
	end := len(digits)
	for digits[end-1] == '0' {
		end--
	}
	return append(dst, digits[:end]...)
}
