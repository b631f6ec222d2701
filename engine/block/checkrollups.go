package block

import (
	"errors"
	"fmt"
	"math"
	"slices"

	"github.com/hokan-db/hokan/engine/model"
)

// rollupCheck compares rollups and charges with the raw rows of a block, which
// are added as they are read. Once anything is damaged it compares no more, as
// rows may be missing.
type rollupCheck struct {
	*checker
	frames  map[int64]int64 // of rollup pages: where they begin and end
	folder  rollupWriter
	streams [model.StepCount]rollupStream
	charges []chargeOfChannel // of the page read last
	page    int               // of charges: the next one
	days    chargeWriter      // of the channel
	total   uint64
	broken  error // the file cannot be read
}

type chargeOfChannel struct {
	id model.ChannelID
	charge
}

// rollupStream yields the rows of one step in the order of the pages.
type rollupStream struct {
	step    model.Step
	left    []page
	payload []byte
	page    page
	scratch rollupScratch
	channel model.ChannelID // of the rows; 0: at the end
	rest    RollupRows
	last    int64 // time of the row before
	rows    uint64
}

func (r *rollupCheck) start(c *checker) {
	*r = rollupCheck{checker: c, frames: map[int64]int64{}, folder: newRollupWriter(true)}
	r.folder.emit = r.compare
	for step, list := range c.directory.rollups {
		for i := range list {
			r.frames[list[i].Position] = list[i].end()
		}
		r.streams[step] = rollupStream{step: model.Step(step), left: list}
	}
}

// add takes the next chunk's rows.
func (r *rollupCheck) add(id model.ChannelID, times []int64, values []float64, size uint64) error {
	if r.damaged {
		return nil
	}
	if id != r.folder.channel {
		if err := r.endChannel(); err != nil {
			return err
		}
		stored := r.Stored(id)
		if !stored.Has(model.StepRaw) {
			return r.tell(r.damage(int64(r.footer.directory), fmt.Errorf("the directory knows no raw rows of channel %d", id)))
		}
		r.folder.begin(id)
		for step := model.StepSecond; step < model.StepCount; step++ {
			r.folder.steps[step].state = dropped
			if stored.Has(step) {
				r.folder.steps[step].state = chosen
			}
		}
	}
	r.folder.add(times, values)
	r.days.add(times, size)
	return nil
}

// compare compares the pending rows of a step with those that are stored.
func (r *rollupCheck) compare(step model.Step) {
	s, stream := &r.folder.steps[step], &r.streams[step]
	for i := 0; i < s.pending.Len() && !r.damaged; i++ {
		for stream.channel < r.folder.channel || stream.rest.Len() == 0 {
			if stream.channel > r.folder.channel || !r.advance(stream) {
				break
			}
		}
		if r.damaged {
			return
		}
		if stream.channel != r.folder.channel || stream.rest.Len() == 0 ||
			!sameRollup(&s.pending, i, &stream.rest, s.absolutes[i]) {
			r.tell(r.damage(stream.page.Position, fmt.Errorf("the rollups of %s of channel %d differ from its rows", step, r.folder.channel)))
			return
		}
		stream.rest = stream.rest.slice(1, stream.rest.Len())
	}
}

// sameRollup compares row i with the first one stored, whose sum may be off by
// a little of the sum of |v|, and is anything where that overflows: what finite
// numbers and infinities make on the way depends on how they are grouped.
func sameRollup(rows *RollupRows, i int, stored *RollupRows, absolute float64) bool {
	if rows.FirstTimes[i] != stored.FirstTimes[0] || rows.LastTimes[i] != stored.LastTimes[0] ||
		rows.Counts[i] != stored.Counts[0] || rows.Qualities[i] != stored.Qualities[0] {
		return false
	}
	if rows.Counts[i] == 0 {
		return true
	}
	for _, pair := range [...][2]float64{{rows.Firsts[i], stored.Firsts[0]}, {rows.Lasts[i], stored.Lasts[0]},
		{rows.Mins[i], stored.Mins[0]}, {rows.Maxs[i], stored.Maxs[0]}} {
		if math.Float64bits(pair[0]) != math.Float64bits(pair[1]) {
			return false
		}
	}
	sum, other := rows.Sums[i], stored.Sums[0]
	return sum == other || absolute-absolute != 0 || math.Abs(sum-other) <= absolute*2*sumTolerance
}

// advance reads the next channel's rows of a step, false at the end. It reports
// pages that are damaged, and goes on with the next.
func (r *rollupCheck) advance(s *rollupStream) bool {
	for r.broken == nil {
		more, err := r.nextRows(s)
		if err == nil && more {
			return true
		}
		if err == nil {
			break
		}
		s.scratch.segments = segments{}
		r.failure(err)
	}
	s.channel, s.rest = math.MaxUint32, RollupRows{}
	return false
}

// failure reports what is damaged; other errors are for run to return.
func (r *rollupCheck) failure(err error) {
	if err := r.tell(err); err != nil && r.broken == nil {
		r.broken, r.damaged = err, true
	}
}

func (r *rollupCheck) nextRows(s *rollupStream) (bool, error) {
	for {
		more, err := s.scratch.segments.next()
		if err != nil {
			return false, r.damage(s.page.Position, err)
		}
		if more {
			break
		}
		if len(s.left) == 0 {
			return false, nil
		}
		s.page, s.left = s.left[0], s.left[1:]
		err = r.readPages([]page{s.page}, func(_ *page, payload []byte) error {
			s.payload = append(s.payload[:0], payload...)
			return nil
		})
		if err == nil {
			if err = s.scratch.segments.start(s.payload, s.step); err != nil {
				err = r.damage(s.page.Position, err)
			}
		}
		if err != nil {
			return false, err
		}
	}
	if err := s.scratch.decode(s.step); err != nil {
		return false, r.damage(s.page.Position, err)
	}
	rows, id, p := &s.scratch.rows, s.scratch.segments.head.channel, &s.page
	n := rows.Len()
	if id < s.channel || id == s.channel && rows.FirstTimes[0] <= s.last || id < p.firstChannel || id > p.lastChannel ||
		rows.FirstTimes[0] < p.first || rows.LastTimes[n-1] > p.last || !r.Stored(id).Has(s.step) {
		return false, r.damage(p.Position, fmt.Errorf("rollups of channel %d are out of order or unknown to the directory", id))
	}
	s.channel, s.rest, s.last = id, *rows, rows.LastTimes[n-1]
	s.rows += uint64(n)
	return true, nil
}

// endChannel compares what the channel's last rows complete, and its charges.
func (r *rollupCheck) endChannel() error {
	if r.folder.channel == 0 || r.damaged {
		return r.broken
	}
	r.folder.end()
	for step := range r.streams {
		s := &r.streams[step]
		if !r.damaged && s.channel == r.folder.channel && s.rest.Len() > 0 {
			r.failure(r.damage(s.page.Position, fmt.Errorf("the rollups of %s of channel %d are more than its rows", s.step, s.channel)))
		}
	}
	days := r.days.days
	r.days.days = r.days.days[:0]
	if r.broken != nil || r.damaged || len(r.directory.charges) == 0 {
		return r.broken
	}
	stored, err := r.chargesOf(r.folder.channel)
	if err != nil {
		return r.tell(err)
	}
	same := slices.EqualFunc(days, stored, func(a charge, b chargeOfChannel) bool { return a.day == b.day && a.rows == b.rows })
	if !same {
		return r.tell(r.damage(int64(r.footer.bodyEnd), fmt.Errorf("the charges of channel %d are not of its rows", r.folder.channel)))
	}
	return nil
}

// chargesOf returns the charges of a channel, which is greater than those
// before.
func (r *rollupCheck) chargesOf(id model.ChannelID) ([]chargeOfChannel, error) {
	for r.page < len(r.directory.charges) && (len(r.charges) == 0 || r.directory.charges[r.page].firstChannel <= id) {
		r.charges = r.charges[:0]
		r.page++
		err := r.visitCharges(r.directory.charges[r.page-1:r.page], func(id model.ChannelID, day int64, rows, bytes uint64) error {
			r.charges = append(r.charges, chargeOfChannel{id, charge{day, rows, bytes}})
			r.total += bytes
			return nil
		})
		if err != nil {
			return nil, err
		}
	}
	from := slices.IndexFunc(r.charges, func(c chargeOfChannel) bool { return c.id >= id })
	if from < 0 {
		return nil, nil
	}
	to := from
	for to < len(r.charges) && r.charges[to].id == id {
		to++
	}
	return r.charges[from:to], nil
}

// end compares what is left, and the numbers in the footer.
func (r *rollupCheck) end() error {
	if err := r.endChannel(); err != nil {
		return err
	}
	for r.page < len(r.directory.charges) {
		if _, err := r.chargesOf(math.MaxUint32); err != nil {
			if err := r.tell(err); err != nil {
				return err
			}
		}
	}
	rows := uint64(0)
	for step := range r.streams {
		s := &r.streams[step]
		for r.advance(s) {
			if id := s.channel; !r.damaged && r.HasRaw(id) {
				r.failure(r.damage(s.page.Position, fmt.Errorf("rollups of %s of channel %d are of no rows", s.step, id)))
			}
		}
		rows += s.rows
	}
	if !r.damaged && (rows != r.meta.RollupRows || r.total != r.meta.Charged) {
		r.failure(r.damage(int64(r.meta.Bytes)-footerSize, errors.New("rollup rows or charges are not those that the footer says")))
	}
	return r.broken
}
