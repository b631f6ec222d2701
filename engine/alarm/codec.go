package alarm

// The bytes of a Set, for checkpoints. Integers are little-endian, floats raw
// bits; every Set has exactly one encoding. Flipped bits inside numbers are
// found by the checksum of the frame that it is stored in, not here.
//
//	u8   version, 1
//	u32  number of alarms, ascending by ID, then each:
//	     u64 ID (not 0)       u64 version (not 0)   u32 channel ID (not 0)
//	     u8 operator          f64 threshold         f64 low       f64 high
//	     u8 flags: 1 enabled, 2 folded
//	     u8 state             i64 since (0 while unknown)
//	     i64 folded to (0 unless folded)            u64 late rows (0 unless folded)
//	     u32 length, name     u32 length, match

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math"

	"github.com/hokan-db/hokan/engine/model"
)

// ErrMalformed is wrapped when bytes are not those of a Set.
var ErrMalformed = errors.New("malformed alarms")

const (
	codecVersion = 1
	flagEnabled  = 1 << 0
	flagFolded   = 1 << 1
	// leastAlarm is how many bytes an alarm takes without its texts.
	leastAlarm = 8 + 8 + 4 + 1 + 3*8 + 1 + 1 + 3*8 + 2*4
)

// AppendTo appends the encoded set to dst.
func (s *Set) AppendTo(dst []byte) []byte {
	le := binary.LittleEndian
	dst = append(dst, codecVersion)
	dst = le.AppendUint32(dst, uint32(len(s.alarms)))
	for _, a := range s.alarms {
		dst = le.AppendUint64(dst, a.ID)
		dst = le.AppendUint64(dst, a.Version)
		dst = le.AppendUint32(dst, uint32(a.Channel))
		dst = append(dst, byte(a.Operator))
		for _, v := range [...]float64{a.Threshold, a.Low, a.High} {
			dst = le.AppendUint64(dst, math.Float64bits(v))
		}
		var flags byte
		if a.Enabled {
			flags |= flagEnabled
		}
		if a.Folded {
			flags |= flagFolded
		}
		dst = append(dst, flags, byte(a.State))
		dst = le.AppendUint64(dst, uint64(a.Since))
		dst = le.AppendUint64(dst, uint64(a.FoldedTo))
		dst = le.AppendUint64(dst, a.Late)
		for _, text := range [...]string{a.Name, a.Match} {
			dst = le.AppendUint32(dst, uint32(len(text)))
			dst = append(dst, text...)
		}
	}
	return dst
}

// DecodeSet reads what AppendTo wrote; any other bytes are refused with an
// error that wraps ErrMalformed and names the byte.
func DecodeSet(b []byte) (*Set, error) {
	r := reader{b: b}
	if version := r.u8(); !r.short && version != codecVersion {
		return nil, fmt.Errorf("%w: byte 0: version %d", ErrMalformed, version)
	}
	count := r.u32()
	if int64(count) > int64(len(b)/leastAlarm) {
		return nil, fmt.Errorf("%w: byte 1: %d alarms in %d bytes", ErrMalformed, count, len(b))
	}
	s := NewSet()
	var before uint64
	for range count {
		start := r.at
		a := r.alarm()
		if r.short {
			break
		}
		if err := checkDecoded(a, before, r.flags); err != nil {
			return nil, fmt.Errorf("%w: the alarm at byte %d: %w", ErrMalformed, start, err)
		}
		before = a.ID
		s.alarms = append(s.alarms, a)
		s.watch(a)
	}
	if r.short || r.at != len(b) {
		return nil, fmt.Errorf("%w: byte %d: cut short, or bytes after the end", ErrMalformed, r.at)
	}
	return s, nil
}

// checkDecoded reports what no Set would have written.
func checkDecoded(a *Alarm, before uint64, flags byte) error {
	switch {
	case a.ID <= before:
		return fmt.Errorf("ID %d after %d", a.ID, before)
	case a.Version == 0 || a.Channel == 0:
		return fmt.Errorf("version %d, channel %d", a.Version, a.Channel)
	case flags&^(flagEnabled|flagFolded) != 0:
		return fmt.Errorf("flags %d", flags)
	case a.State > Active:
		return errors.New(a.State.String())
	case !a.Folded && (a.State != Unknown || a.FoldedTo != 0 || a.Late != 0):
		return errors.New("it knows rows but folded none")
	case a.State == Unknown && a.Since != 0, a.State != Unknown && a.Since > a.FoldedTo:
		return fmt.Errorf("%s since %d, folded to %d", a.State, a.Since, a.FoldedTo)
	}
	return a.Validate()
}

// reader reads numbers off b; short is set and zeros are read where it ends.
type reader struct {
	b     []byte
	at    int
	short bool
	flags byte // of the alarm read last
}

func (r *reader) alarm() *Alarm {
	a := &Alarm{ID: r.u64(), Version: r.u64(), Channel: model.ChannelID(r.u32())}
	a.Operator = Operator(r.u8())
	a.Threshold, a.Low, a.High = r.f64(), r.f64(), r.f64()
	r.flags = r.u8()
	a.Enabled, a.Folded = r.flags&flagEnabled != 0, r.flags&flagFolded != 0
	a.State = State(r.u8())
	a.Since, a.FoldedTo, a.Late = int64(r.u64()), int64(r.u64()), r.u64()
	a.Name, a.Match = r.text(), r.text()
	return a
}

// take returns the next n bytes, or zeros where there are not as many.
func (r *reader) take(n int) []byte {
	if n > len(r.b)-r.at {
		r.short = true
		return make([]byte, min(n, 8))
	}
	r.at += n
	return r.b[r.at-n : r.at]
}

func (r *reader) u8() byte     { return r.take(1)[0] }
func (r *reader) u32() uint32  { return binary.LittleEndian.Uint32(r.take(4)) }
func (r *reader) u64() uint64  { return binary.LittleEndian.Uint64(r.take(8)) }
func (r *reader) f64() float64 { return math.Float64frombits(r.u64()) }

func (r *reader) text() string {
	n := r.u32()
	if int64(n) > int64(len(r.b)-r.at) {
		r.short = true
		return ""
	}
	return string(r.take(int(n)))
}
