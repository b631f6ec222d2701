package block

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math/bits"
	"sort"

	"github.com/hokan-db/hokan/engine/model"
)

// charge is what a channel's rows of one UTC day are charged.
type charge struct {
	day         int64 // days since 1970
	rows, bytes uint64
}

// chargeWriter finds what the rows of a block in the small form are charged. A
// day is charged the bytes of its rows in that form when these are first
// written in it, and what was charged is carried from block to block.
type chargeWriter struct {
	enabled bool
	carried []charge // of the channel
	days    []charge // of the channel: rows, and bytes that they have here
	pages   pages
	before  charge // of the page
	channel model.ChannelID
	start   int64 // day of that channel's first charge
	total   uint64
}

// carry notes what the channel's rows of a day were charged before, of which
// there were so many.
func (w *chargeWriter) carry(day int64, rows, bytes uint64) error {
	if n := len(w.carried); n > 0 {
		last := &w.carried[n-1]
		if day < last.day {
			return fmt.Errorf("%w: a charge of day %d after %d", ErrOrder, day, last.day)
		}
		if day == last.day {
			last.rows += rows
			last.bytes += bytes
			return nil
		}
	}
	w.carried = append(w.carried, charge{day, rows, bytes})
	return nil
}

// add counts the rows of a chunk of so many bytes, which are split among its
// days by their rows.
func (w *chargeWriter) add(times []int64, size uint64) {
	all, done := uint64(len(times)), uint64(0)
	for from := 0; from < len(times); {
		n := intervalRows(times[from:], model.Day)
		day, _ := intervalOf(times[from], model.Day)
		from += n
		till := size * uint64(from) / all
		if k := len(w.days); k > 0 && w.days[k-1].day == day {
			w.days[k-1].rows += uint64(n)
			w.days[k-1].bytes += till - done
		} else {
			w.days = append(w.days, charge{day, uint64(n), till - done})
		}
		done = till
	}
}

// end charges the channel's days.
func (w *chargeWriter) end(id model.ChannelID) {
	days, carried := w.days, w.carried
	w.days, w.carried = w.days[:0], w.carried[:0]
	if len(days) == 0 {
		return
	}
	for i := range days {
		d := &days[i]
		for len(carried) > 0 && carried[0].day < d.day {
			carried = carried[1:]
		}
		if len(carried) > 0 && carried[0].day == d.day {
			d.bytes = chargeOf(d, &carried[0])
		}
		w.total += d.bytes
	}
	p := &w.pages
	if !p.open {
		w.before, w.channel, w.start = charge{}, 0, 0
		p.begin(page{firstChannel: id})
	}
	p.payload = binary.AppendUvarint(p.payload, uint64(id-w.channel))
	p.payload = binary.AppendUvarint(p.payload, uint64(len(days)))
	expected := w.start
	for i := range days {
		d := &days[i]
		p.payload = binary.AppendVarint(p.payload, d.day-expected)
		p.payload = binary.AppendVarint(p.payload, int64(d.rows-w.before.rows))
		p.payload = binary.AppendVarint(p.payload, int64(d.bytes-w.before.bytes))
		w.before, expected = *d, d.day+1
	}
	w.channel, w.start = id, days[0].day
	p.endIfFull()
}

// chargeOf returns what a day's rows are charged that have so many bytes here,
// where some were charged before: these keep their charge, fewer rows their
// share of it, and more rows have theirs of the bytes.
func chargeOf(d, carried *charge) uint64 {
	if carried.rows == 0 {
		return d.bytes
	}
	if d.rows <= carried.rows {
		return share(carried.bytes, d.rows, carried.rows)
	}
	return carried.bytes + share(d.bytes, d.rows-carried.rows, d.rows)
}

// share returns bytes * part / whole, rounded down; part is at most whole.
func share(bytes, part, whole uint64) uint64 {
	high, low := bits.Mul64(bytes, part)
	quotient, _ := bits.Div64(high, low, whole)
	return quotient
}

var errCharges = errors.New("the charges page is damaged")

// Charges visits what the rows of each channel and UTC day (days since 1970)
// are charged, by ascending channel, then day, until visit returns an error. A
// block that is not in the small form has none.
func (r *Reader) Charges(visit func(id model.ChannelID, day int64, rows, bytes uint64) error) error {
	return r.visitCharges(r.charges, visit)
}

// ChargesOf visits those of Charges that are of the channels from one to
// another, both included.
func (r *Reader) ChargesOf(first, last model.ChannelID, visit func(id model.ChannelID, day int64, rows, bytes uint64) error) error {
	// The channel that a page begins with may be the last of the page before.
	from := sort.Search(len(r.charges), func(i int) bool { return r.charges[i].firstChannel >= first })
	to := sort.Search(len(r.charges), func(i int) bool { return r.charges[i].firstChannel > last })
	return r.visitCharges(r.charges[max(from-1, 0):to], func(id model.ChannelID, day int64, rows, bytes uint64) error {
		if id < first || id > last {
			return nil
		}
		return visit(id, day, rows, bytes)
	})
}

func (r *Reader) visitCharges(list []page, visit func(id model.ChannelID, day int64, rows, bytes uint64) error) error {
	return r.readPages(list, func(p *page, payload []byte) error {
		stopped := false
		err := decodeCharges(payload, p.firstChannel, func(id model.ChannelID, day int64, rows, bytes uint64) error {
			err := visit(id, day, rows, bytes)
			stopped = err != nil
			return err
		})
		if err != nil && !stopped {
			return r.damage(p.Position, err)
		}
		return err
	})
}

// decodeCharges reads what chargeWriter wrote, up to an error of visit.
func decodeCharges(payload []byte, first model.ChannelID, visit func(id model.ChannelID, day int64, rows, bytes uint64) error) error {
	in := input{rest: payload}
	var before charge
	id, start := model.ChannelID(0), int64(0)
	for len(in.rest) > 0 {
		more := in.uint32Varint()
		count := in.count(3)
		last := id
		id += model.ChannelID(more)
		if id <= last || id < first || count == 0 || in.failed {
			return errCharges
		}
		expected := start
		for i := range count {
			day := expected + in.varint()
			rows, bytes := before.rows+uint64(in.varint()), before.bytes+uint64(in.varint())
			if in.failed || rows == 0 || i > 0 && day <= before.day {
				return errCharges
			}
			before, expected = charge{day, rows, bytes}, day+1
			if i == 0 {
				start = day
			}
			if err := visit(id, day, rows, bytes); err != nil {
				return err
			}
		}
	}
	return nil
}
