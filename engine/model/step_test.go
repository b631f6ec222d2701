package model_test

import (
	"math"
	"testing"

	"pgregory.net/rapid"

	"github.com/hokan-db/hokan/engine/model"
)

func TestSteps(t *testing.T) {
	names := []string{"raw", "1s", "1m", "1h", "1d"}
	widths := []int64{0, 1_000_000_000, 60_000_000_000, 3_600_000_000_000, 86_400_000_000_000}
	steps := model.Steps()
	if len(steps) != len(names) || model.StepCount != len(names) {
		t.Fatalf("%d steps", len(steps))
	}
	for i, s := range steps {
		if int(s) != i || s.String() != names[i] || s.Width() != widths[i] {
			t.Errorf("%d: %d %s %d", i, s, s, s.Width())
		}
	}
	if s := model.Step(9); s.Width() != 0 || s.String() != "step 9" {
		t.Errorf("%d: %s %d", s, s, s.Width())
	}
}

func TestStepOf(t *testing.T) {
	const second = int64(1e9)
	for width, want := range map[int64]model.Step{
		0: model.StepRaw, -60 * second: model.StepRaw, 1: model.StepRaw, second / 2: model.StepRaw, second + 1: model.StepRaw,
		second: model.StepSecond, 90 * second: model.StepSecond, 60 * second: model.StepMinute, 5400 * second: model.StepMinute,
		3600 * second: model.StepHour, 7 * 3600 * second: model.StepHour, 86400 * second: model.StepDay, 30 * 86400 * second: model.StepDay,
	} {
		if got := model.StepOf(width); got != want {
			t.Errorf("%d ns: %s, want %s", width, got, want)
		}
	}
}

// TestStepStart: a row begins at a multiple of the width and holds the time.
func TestStepStart(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		s := rapid.SampledFrom(model.Steps()[1:]).Draw(t, "step")
		at := rapid.OneOf(rapid.Int64(), rapid.Int64Range(-100, 100)).Draw(t, "time")
		start := s.Start(at)
		if start > at || uint64(at)-uint64(start) >= uint64(s.Width()) || start%s.Width() != 0 && start != math.MinInt64 {
			t.Fatalf("%s at %d starts at %d", s, at, start)
		}
	})
	if got := model.StepRaw.Start(7); got != 7 {
		t.Error(got)
	}
}

func TestTombstoneCovers(t *testing.T) {
	all, some := model.Tombstone{}, model.Tombstone{Channels: []model.ChannelID{2, 5}}
	none := model.Tombstone{Channels: []model.ChannelID{}}
	for id := model.ChannelID(1); id < 7; id++ {
		if !all.Covers(id) || none.Covers(id) || some.Covers(id) != (id == 2 || id == 5) {
			t.Errorf("channel %d", id)
		}
	}
}
