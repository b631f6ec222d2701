package block

import (
	"encoding/binary"
	"errors"

	"github.com/hokan-db/hokan/engine/disk"
	"github.com/hokan-db/hokan/engine/model"
)

// directory says where the frames are that are none of chunks.
type directory struct {
	channels []page
	index    []page
	charges  []page
	notes    []page
	rollups  [model.StepCount][]page
	stored   storedRuns
}

// appendTo encodes what decode reads.
func (d *directory) appendTo(dst []byte) []byte {
	dst = appendChannelPages(dst, d.channels)
	dst = appendBoundedPages(dst, d.index, nil)
	dst = appendChannelPages(dst, d.charges)
	dst = binary.AppendUvarint(dst, uint64(len(d.notes)))
	for _, p := range d.notes {
		dst = p.appendTo(dst)
	}
	for _, list := range d.rollups[model.StepSecond:] {
		end := int64(disk.HeaderSize)
		dst = appendBoundedPages(dst, list, func(dst []byte, p *page) []byte {
			dst = binary.AppendUvarint(dst, uint64(p.Position-end))
			end = p.end()
			return dst
		})
	}
	dst = binary.AppendUvarint(dst, uint64(len(d.stored)))
	before := model.ChannelID(0)
	for _, run := range d.stored {
		dst = binary.AppendUvarint(dst, uint64(run.first-before))
		dst = binary.AppendUvarint(dst, uint64(run.last-run.first))
		dst = append(dst, byte(run.steps))
		before = run.last
	}
	return dst
}

// appendTo encodes what a frame is found and checked by.
func (f *Frame) appendTo(dst []byte) []byte {
	dst = binary.AppendUvarint(dst, uint64(f.Length))
	return binary.LittleEndian.AppendUint32(dst, f.crc)
}

func appendChannelPages(dst []byte, list []page) []byte {
	dst = binary.AppendUvarint(dst, uint64(len(list)))
	before := model.ChannelID(0)
	for i := range list {
		p := &list[i]
		dst = binary.AppendUvarint(dst, uint64(p.firstChannel-before))
		dst = p.appendTo(dst)
		before = p.firstChannel
	}
	return dst
}

// appendBoundedPages encodes pages of channels and times, and more of each.
func appendBoundedPages(dst []byte, list []page, more func([]byte, *page) []byte) []byte {
	dst = binary.AppendUvarint(dst, uint64(len(list)))
	var before page
	for i := range list {
		p := &list[i]
		dst = binary.AppendUvarint(dst, uint64(p.firstChannel-before.lastChannel))
		dst = binary.AppendUvarint(dst, uint64(p.lastChannel-p.firstChannel))
		dst = binary.AppendVarint(dst, p.first-before.first)
		dst = binary.AppendUvarint(dst, uint64(p.last)-uint64(p.first))
		dst = p.appendTo(dst)
		if more != nil {
			dst = more(dst, p)
		}
		before = *p
	}
	return dst
}

var errDirectory = errors.New("the directory is damaged")

// directoryInput decodes a directory. The memory that this takes is bounded by
// the bytes of the file that the pages describe, not by the directory alone,
// where a page is much shorter than in memory.
type directoryInput struct {
	input
	position int64 // where the next page begins
	end      int64 // of the pages
	body     int64 // where they begin
}

// count reads a number of pages of at least size bytes each.
func (in *directoryInput) count(size int, room int64) int {
	n := in.input.count(size)
	if int64(n) > room/disk.FrameHeaderSize {
		return int(in.fail())
	}
	return n
}

// place reads where the next page is.
func (in *directoryInput) place(p *page) {
	p.Frame = Frame{Position: in.position, Length: in.payloadLength(), crc: in.uint32()}
	in.position = p.end()
}

func (in *directoryInput) channelPages() []page {
	list := make([]page, 0, in.count(6, in.end-in.position))
	before := model.ChannelID(0)
	for range cap(list) {
		p := page{firstChannel: before + model.ChannelID(in.uint32Varint())}
		in.place(&p)
		if p.firstChannel <= before {
			in.fail()
		}
		before = p.firstChannel
		list = append(list, p)
	}
	return list
}

// boundedPages reads pages of channels and times: of the index, or, in the
// body, of rollups.
func (in *directoryInput) boundedPages(rollups bool) []page {
	room := in.end - in.position
	if rollups {
		room = in.body - disk.HeaderSize
	}
	list := make([]page, 0, in.count(9, room))
	before := page{Frame: Frame{Position: disk.HeaderSize - disk.FrameHeaderSize}}
	for range cap(list) {
		p := page{firstChannel: before.lastChannel + model.ChannelID(in.uint32Varint())}
		p.lastChannel = p.firstChannel + model.ChannelID(in.uint32Varint())
		p.first = before.first + in.varint()
		p.last = int64(uint64(p.first) + in.uvarint())
		if rollups {
			p.Frame = Frame{Length: in.payloadLength(), crc: in.uint32()}
			gap := in.uvarint()
			if gap > uint64(in.body) {
				gap = in.fail()
			}
			if p.Position = before.end() + int64(gap); p.end() > in.body {
				in.fail()
			}
		} else {
			in.place(&p)
		}
		if p.firstChannel == 0 || p.firstChannel < before.lastChannel || p.lastChannel < p.firstChannel || p.last < p.first {
			in.fail()
		}
		before = p
		list = append(list, p)
	}
	return list
}

func (in *directoryInput) storedRuns() storedRuns {
	runs := make(storedRuns, 0, in.input.count(3))
	before := model.ChannelID(0)
	for range cap(runs) {
		run := storedRun{first: before + model.ChannelID(in.uint32Varint())}
		run.last = run.first + model.ChannelID(in.uint32Varint())
		run.steps = StepSet(in.byte())
		if run.first <= before || run.last < run.first || run.steps >= 1<<model.StepCount {
			in.fail()
		}
		before = run.last
		runs = append(runs, run)
	}
	return runs
}

// decode reads a directory whose pages but those of rollups must fill the bytes
// from where the body ends to end.
func (d *directory) decode(b []byte, body, end int64) error {
	in := directoryInput{input: input{rest: b}, position: body, end: end, body: body}
	d.channels = in.channelPages()
	d.index = in.boundedPages(false)
	d.charges = in.channelPages()
	d.notes = make([]page, in.count(5, in.end-in.position))
	for i := range d.notes {
		in.place(&d.notes[i])
	}
	for step := range d.rollups[model.StepSecond:] {
		d.rollups[step+1] = in.boundedPages(true)
	}
	d.stored = in.storedRuns()
	if in.failed {
		return errDirectory
	}
	if len(in.rest) > 0 || in.position != end {
		return errors.New("the directory does not describe the file")
	}
	return nil
}
