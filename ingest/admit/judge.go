package admit

import (
	"math"
	"strconv"
	"strings"
	"time"

	"github.com/hokan-db/hokan/engine/model"
	"github.com/hokan-db/hokan/engine/policy"
)

// The reasons for which samples are refused here.
const (
	BadTime         = "bad_time"
	TooFarAhead     = "too_far_ahead"
	BeforeRetention = "before_retention"
	NotANumber      = "not_a_number"
	BadLabel        = "bad_label"
)

// Judge gives every sample its verdict and returns what is refused; Columns is
// then what may be kept. now and ahead, how far after it a time may lie, are in
// nanoseconds, as are floors: the times before which each channel keeps nothing,
// nil where all keep everything.
func (r *Request) Judge(now, ahead int64, floors []int64) *Result {
	if r.result == nil {
		r.result = newResult()
	}
	if r.Unit.Nanoseconds == 0 {
		r.Unit = Nanoseconds
	}
	j := judge{Request: r, now: now}
	j.setBounds(ahead)
	for i := range r.Channels {
		if j.floor = policy.NoFloor; floors != nil {
			j.floor = floors[i]
		}
		j.channel(i, &r.Channels[i])
	}
	if r.UnitHint != "" && isJanuary1970(r.columns) {
		r.result.Warnings = append(r.result.Warnings,
			"all times, read in "+r.Unit.Name+", lie in January 1970: is that the unit? "+r.UnitHint)
	}
	return r.result
}

// Columns returns what may be kept of a request that was judged.
func (r *Request) Columns() []model.Column { return r.columns }

// isJanuary1970 reports whether all samples lie in the month in which recent
// times lie that are given in a coarser unit than they are read in.
func isJanuary1970(columns []model.Column) bool {
	const month = int64(31 * 24 * time.Hour)
	for i := range columns {
		for _, at := range columns[i].Times {
			if at < 0 || at >= month {
				return false
			}
		}
	}
	return len(columns) > 0
}

// judge is the state of judging one request.
type judge struct {
	*Request
	now   int64
	floor int64 // of the channel that is judged, in nanoseconds

	// Times that can be stored, and of those the ones that are not too far
	// ahead, in units: from first to last, and up to latest.
	first, last, latest int64
}

func (j *judge) setBounds(ahead int64) {
	j.first = -j.Unit.floor(-model.MinTime) // rounded up
	j.last = j.Unit.floor(model.MaxTime - 1)
	horizon := j.now + ahead
	if horizon < j.now {
		horizon = math.MaxInt64
	}
	j.latest = min(j.last, j.Unit.floor(horizon))
}

// finish turns a list of times into nanoseconds, if all of it may be kept.
func (j *judge) finish(c *Clock) {
	c.judged = true
	if len(c.Odd) > 0 {
		return
	}
	least, most := int64(math.MaxInt64), int64(math.MinInt64)
	for _, at := range c.Times {
		least, most = min(least, at), max(most, at)
	}
	if len(c.Times) > 0 && (least < j.first || most > j.latest) {
		return
	}
	c.clean = true
	if j.Unit.Nanoseconds > 1 {
		for i := range c.Times {
			c.Times[i] *= j.Unit.Nanoseconds
		}
	}
}

// channel judges the samples of channel i.
func (j *judge) channel(i int, c *Channel) {
	clock := &j.Clocks[c.Clock]
	if !clock.judged {
		j.finish(clock)
	}
	if c.Refused != "" {
		j.refuseAll(i, c)
		return
	}
	column := model.Column{Labels: c.Labels, Properties: c.Properties, Times: clock.Times, Values: c.Values}
	if !clock.clean || len(c.Odd) > 0 || j.expired(clock.Times) {
		column.Times, column.Values = j.sift(i, clock, c)
	}
	if len(column.Times) > 0 {
		j.columns = append(j.columns, column)
		j.origins = append(j.origins, int32(i))
	}
}

// expired reports whether one of the times, in nanoseconds, is older than the
// channel keeps.
func (j *judge) expired(times []int64) bool {
	if j.floor == policy.NoFloor {
		return false
	}
	for _, at := range times {
		if at < j.floor {
			return true
		}
	}
	return false
}

// refuseAll refuses every sample of a channel, and names the first.
func (j *judge) refuseAll(i int, c *Channel) {
	samples := len(c.Values)
	for _, o := range c.Odd {
		if o.Null {
			samples--
		}
	}
	if samples > 0 {
		j.result.refuse(i, 0, samples, BadLabel, func() string { return c.Refused + "; the channel is refused whole" })
	}
}

// sift returns the samples of a channel that may be kept. Their lists are
// new: the times may be those of other channels too.
func (j *judge) sift(i int, clock *Clock, c *Channel) (keptTimes []int64, keptValues []float64) {
	keptTimes = make([]int64, 0, len(clock.Times))
	keptValues = c.Values[:0]
	oddTimes, oddValues := clock.Odd, c.Odd
	for index, at := range clock.Times {
		timeOdd, valueOdd := cutOdd(&oddTimes, index), cutOdd(&oddValues, index)
		switch {
		case valueOdd != nil && valueOdd.Null:
			continue // no sample
		case timeOdd != nil:
			j.result.refuse(i, index, 1, BadTime, func() string { return oddTimeText(j.Describe(int(timeOdd.At))) })
			continue
		case !clock.clean && !j.keepsTime(i, index, at):
			continue
		case valueOdd != nil:
			j.result.refuse(i, index, 1, NotANumber, func() string { return oddValueText(j.Describe(int(valueOdd.At))) })
			continue
		}
		if !clock.clean {
			at *= j.Unit.Nanoseconds
		}
		if at < j.floor {
			j.result.refuse(i, index, 1, BeforeRetention, func() string {
				return "time " + time.Unix(0, at).UTC().Format(time.RFC3339Nano) + " is older than the channel keeps samples: what is kept begins at " +
					time.Unix(0, j.floor).UTC().Format(time.RFC3339Nano)
			})
			continue
		}
		keptTimes = append(keptTimes, at)
		keptValues = append(keptValues, c.Values[index])
	}
	return keptTimes, keptValues
}

// oddTimeText says why a time that the body describes so is refused.
func oddTimeText(text string) string {
	digits := strings.TrimPrefix(text, "-")
	if digits != "" && strings.Trim(digits, "0123456789") == "" {
		return "time " + text + " is beyond 64 bits: is the unit right?"
	}
	return "time " + text + " is no integer"
}

// oddValueText says why a value that the body describes so is refused.
func oddValueText(text string) string {
	if text != "" && (text[0] == '-' || text[0]-'0' <= 9) {
		return "value " + text + " is beyond what a 64-bit float can hold"
	}
	return "value " + text + " is neither a number nor a word for one"
}

// cutOdd returns the first of the odd elements if it has the index, and takes
// it from the list.
func cutOdd(list *[]Odd, index int) *Odd {
	if len(*list) == 0 || int((*list)[0].Index) != index {
		return nil
	}
	first := &(*list)[0]
	*list = (*list)[1:]
	return first
}

// keepsTime refuses a time, in units, that cannot be kept.
func (j *judge) keepsTime(i, index int, at int64) bool {
	switch {
	case at < j.first || at > j.last:
		j.result.refuse(i, index, 1, BadTime, func() string {
			return "time " + strconv.FormatInt(at, 10) + " " + j.Unit.Name + " lies outside the years 1678 to 2261: is the unit right?"
		})
		return false
	case at > j.latest:
		j.result.refuse(i, index, 1, TooFarAhead, func() string {
			return "time " + strconv.FormatInt(at, 10) + " " + j.Unit.Name + " lies " + leadText(time.Duration(at*j.Unit.Nanoseconds-j.now)) +
				" ahead of the server's clock, " + time.Unix(0, j.now).UTC().Format(time.RFC3339)
		})
		return false
	}
	return true
}

// leadText says how far ahead a time lies.
func leadText(lead time.Duration) string {
	const day = 24 * time.Hour
	switch {
	case lead >= 2*365*day:
		return strconv.Itoa(int(lead/(365*day))) + " years"
	case lead >= 2*day:
		return strconv.Itoa(int(lead/day)) + " days"
	}
	return lead.Round(time.Second).String()
}
