package model

import "fmt"

// Step is a length of time for which rows are summarised and kept in place of
// the rows themselves. A step's rows begin at multiples of its width since the
// epoch, in UTC.
type Step uint8

// The steps, each coarser than the one before. StepRaw stands for the rows as
// they were written.
const (
	StepRaw Step = iota
	StepSecond
	StepMinute
	StepHour
	StepDay
)

// StepCount is the number of steps, StepRaw among them.
const StepCount = 5

var (
	stepNames  = [StepCount]string{"raw", "1s", "1m", "1h", "1d"}
	stepWidths = [StepCount]int64{0, 1e9, 60e9, 3600e9, 86400e9}
)

// Steps returns all steps, the finest first.
func Steps() []Step { return []Step{StepRaw, StepSecond, StepMinute, StepHour, StepDay} }

// Width returns the length of the step in nanoseconds, 0 of StepRaw.
func (s Step) Width() int64 {
	if s >= StepCount {
		return 0
	}
	return stepWidths[s]
}

// String returns raw, 1s, 1m, 1h or 1d.
func (s Step) String() string {
	if s >= StepCount {
		return fmt.Sprintf("step %d", uint8(s))
	}
	return stepNames[s]
}

// StepOf returns the coarsest step whose width divides width, StepRaw where
// there is none.
func StepOf(width int64) Step {
	for s := StepDay; s > StepRaw && width > 0; s-- {
		if width%s.Width() == 0 {
			return s
		}
	}
	return StepRaw
}

// Start returns the beginning of the step's row that holds t, with Width the
// bounds of the row: the greatest multiple of the width that is not after t.
// For StepRaw it is t. Where the earliest times do not reach back to a multiple
// it is the earliest time.
func (s Step) Start(t int64) int64 {
	width := s.Width()
	if width == 0 {
		return t
	}
	past := t % width
	if past < 0 {
		past += width
	}
	if start := t - past; start <= t {
		return start
	}
	return -1 << 63
}
