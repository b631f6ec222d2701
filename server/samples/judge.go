package samples

import (
	"math"
	"slices"
	"strconv"
	"time"

	"github.com/hokan-db/hokan/engine"
	"github.com/hokan-db/hokan/engine/model"
	"github.com/hokan-db/hokan/engine/policy"
	"github.com/hokan-db/hokan/query"
	"github.com/hokan-db/hokan/server/api"
)

// The reasons for which samples are refused.
const (
	badTime         = "bad_time"
	tooFarAhead     = "too_far_ahead"
	beforeRetention = "before_retention"
	notANumber      = "not_a_number"
	badLabel        = "bad_label"
)

// mostErrors is how many refused samples an answer names.
const mostErrors = 20

// judge gives every sample its verdict: r.columns becomes what may be kept, and
// the answer tells the rest. now and ahead are in nanoseconds, as are floors:
// the times before which each channel keeps nothing, nil where all keep
// everything.
func (r *request) judge(now, ahead int64, floors []int64) (*api.SamplesBody, error) {
	unit, err := query.ParseUnit(r.unit)
	if err != nil {
		return nil, api.AsError(err)
	}
	j := judge{request: r, unit: unit, now: now, answer: &api.SamplesBody{
		Reasons: map[string]int64{}, Errors: []api.SampleError{},
	}}
	j.setBounds(ahead)
	j.finish(&r.shared)
	for i := range r.channels {
		if j.floor = policy.NoFloor; floors != nil {
			j.floor = floors[i]
		}
		if err := j.channel(i, &r.channels[i]); err != nil {
			return nil, err
		}
	}
	if isJanuary1970(r.columns) {
		j.answer.Warnings = []string{"all times, read in " + unit.Name + ", lie in January 1970: is that the unit? \"unit\" names it, and is ms if left out"}
	}
	return j.answer, nil
}

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
	request *request
	unit    query.Unit
	now     int64
	answer  *api.SamplesBody
	floor   int64 // of the channel that is judged, in nanoseconds

	// Times that can be stored, and of those the ones that are not too far
	// ahead, in units: from first to last, and up to latest.
	first, last, latest int64
}

func (j *judge) setBounds(ahead int64) {
	j.first = -j.unit.Floor(-model.MinTime) // rounded up
	j.last = j.unit.Floor(model.MaxTime - 1)
	horizon := j.now + ahead
	if horizon < j.now {
		horizon = math.MaxInt64
	}
	j.latest = min(j.last, j.unit.Floor(horizon))
}

// finish turns a list of times into nanoseconds, if all of it may be kept.
func (j *judge) finish(t *times) {
	if len(t.odd) > 0 {
		return
	}
	least, most := int64(math.MaxInt64), int64(math.MinInt64)
	for _, at := range t.list {
		least, most = min(least, at), max(most, at)
	}
	if len(t.list) > 0 && (least < j.first || most > j.latest) {
		return
	}
	t.clean = true
	if j.unit.Nanoseconds > 1 {
		for i := range t.list {
			t.list[i] *= j.unit.Nanoseconds
		}
	}
}

// channel judges the samples of channel i.
func (j *judge) channel(i int, c *channel) error {
	t := &c.times
	if !t.given {
		t = &j.request.shared
		if !t.given {
			return malformed("channels[" + strconv.Itoa(i) + "]: it has no times, and there are none at the top")
		}
	} else {
		j.finish(t)
	}
	if !c.values.given {
		return malformed("channels[" + strconv.Itoa(i) + "]: it has no values")
	}
	if len(t.list) != len(c.values.list) {
		return malformed("channels[" + strconv.Itoa(i) + "]: " + strconv.Itoa(len(t.list)) + " times and " +
			strconv.Itoa(len(c.values.list)) + " values")
	}
	if c.refused != "" {
		j.refuseAll(i, c)
		return nil
	}
	column := model.Column{Labels: c.labels, Properties: c.properties, Times: t.list, Values: c.values.list}
	if !t.clean || len(c.values.odd) > 0 || j.expired(t.list) {
		column.Times, column.Values = j.sift(i, t, &c.values)
	}
	if len(column.Times) > 0 {
		j.request.columns = append(j.request.columns, column)
		j.request.origins = append(j.request.origins, int32(i))
	}
	return nil
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

// refuseMany refuses n samples of a channel, and names the first.
func (j *judge) refuseMany(i, n int, code string, detail func() string) {
	j.refuse(i, 0, code, detail)
	j.answer.Rejected += int64(n - 1)
	j.answer.Reasons[code] += int64(n - 1)
}

// refuseAll refuses every sample of a channel, and names the first.
func (j *judge) refuseAll(i int, c *channel) {
	samples := len(c.values.list)
	for _, o := range c.values.odd {
		if o.null {
			samples--
		}
	}
	if samples == 0 {
		return
	}
	j.refuseMany(i, samples, badLabel, func() string { return c.refused + "; the channel is refused whole" })
}

// sift returns the samples of a channel that may be kept. Their lists are
// new: the times may be those of other channels too.
func (j *judge) sift(i int, t *times, v *values) (keptTimes []int64, keptValues []float64) {
	keptTimes = make([]int64, 0, len(t.list))
	keptValues = v.list[:0]
	oddTimes, oddValues := t.odd, v.odd
	for index, at := range t.list {
		timeOdd, valueOdd := cutOdd(&oddTimes, index), cutOdd(&oddValues, index)
		switch {
		case valueOdd != nil && valueOdd.null:
			continue // no sample
		case timeOdd != nil:
			j.refuse(i, index, badTime, func() string {
				return "time " + j.request.describe(j.request.body, int(timeOdd.at)) + " is no integer"
			})
			continue
		case !t.clean && !j.keepsTime(i, index, at):
			continue
		case valueOdd != nil:
			j.refuse(i, index, notANumber, func() string {
				text := j.request.describe(j.request.body, int(valueOdd.at))
				if text != "" && (text[0] == '-' || text[0]-'0' <= 9) {
					return "value " + text + " is beyond what a 64-bit float can hold"
				}
				return "value " + text + " is neither a number nor a word for one"
			})
			continue
		}
		if !t.clean {
			at *= j.unit.Nanoseconds
		}
		if at < j.floor {
			j.refuse(i, index, beforeRetention, func() string {
				return "time " + time.Unix(0, at).UTC().Format(time.RFC3339Nano) + " is older than the channel keeps samples: what is kept begins at " +
					time.Unix(0, j.floor).UTC().Format(time.RFC3339Nano)
			})
			continue
		}
		keptTimes = append(keptTimes, at)
		keptValues = append(keptValues, v.list[index])
	}
	return keptTimes, keptValues
}

// cutOdd returns the first of the odd elements if it has the index, and takes
// it from the list.
func cutOdd(list *[]odd, index int) *odd {
	if len(*list) == 0 || int((*list)[0].index) != index {
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
		j.refuse(i, index, badTime, func() string {
			return "time " + strconv.FormatInt(at, 10) + " " + j.unit.Name + " lies outside the years 1678 to 2261: is the unit right?"
		})
		return false
	case at > j.latest:
		j.refuse(i, index, tooFarAhead, func() string {
			return "time " + strconv.FormatInt(at, 10) + " " + j.unit.Name + " lies " + leadText(time.Duration(at*j.unit.Nanoseconds-j.now)) +
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

// refuse counts a refused sample, and names it if it is one of the first.
func (j *judge) refuse(channel, index int, code string, detail func() string) {
	j.answer.Rejected++
	j.answer.Reasons[code]++
	if len(j.answer.Errors) < mostErrors {
		j.answer.Errors = append(j.answer.Errors, api.SampleError{Channel: channel, Index: index, Code: code, Detail: detail()})
	}
}

// refuseColumns counts the columns that the engine refused, and takes them out
// of r.columns.
func (r *request) refuseColumns(answer *api.SamplesBody, refused []engine.RefusedColumn) {
	for _, c := range refused {
		column := &r.columns[c.Column]
		samples := int64(len(column.Times))
		answer.Rejected += samples
		answer.Reasons[c.Code] += samples
		if len(answer.Errors) < mostErrors {
			answer.Errors = append(answer.Errors, api.SampleError{
				Channel: int(r.origins[c.Column]), Code: c.Code, Detail: limitText(c.Code, column.Labels),
			})
		}
		column.Times = nil
	}
	r.columns = slices.DeleteFunc(r.columns, func(c model.Column) bool { return c.Times == nil })
}

// limitText says that a channel would be one too many.
func limitText(code string, l model.Labels) string {
	if code == policy.CodeInstrumentLimit {
		return "instrument " + quote(l.Instrument()) + " has as many channels as it may; the channel is refused whole"
	}
	return "there are as many channels as there may be; the channel is refused whole"
}
