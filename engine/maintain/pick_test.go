package maintain

import (
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/hokan-db/hokan/engine/model"
)

// failer is what testing.T and rapid.T share.
type failer interface {
	Helper()
	Fatalf(format string, args ...any)
}

// checkJob checks what every job must keep: it is of one month, its name's days
// and offsets hold all of its blocks, and every other block over these days is
// of entries before or after all of those.
func checkJob(t failer, v View, j *Job) {
	t.Helper()
	if j.Reason == Dead {
		for _, i := range j.Blocks {
			if !v.Blocks[i].Dead {
				t.Fatalf("%+v deletes a block that can be read", j)
			}
		}
		return
	}
	if len(j.Blocks) == 0 || j.Level == Flush {
		t.Fatalf("%+v", j)
	}
	month := monthOf(j.Span.From)
	if j.Span.To > month.To || j.Span.From%model.Day != 0 || j.Span.To%model.Day != 0 {
		t.Fatalf("%+v is not of days of one month", j)
	}
	taken := map[int]bool{}
	first, last := ^uint64(0), uint64(0)
	var bytes uint64
	for _, i := range j.Blocks {
		b := &v.Blocks[i]
		if taken[i] || b.Damaged || b.Dead || b.Alone && len(unitsOf(pick(v.Blocks, j.Blocks))[month.From]) > 1 {
			t.Fatalf("%+v takes %+v", j, b)
		}
		if b.Span.From < j.Span.From || b.Span.To > j.Span.To {
			t.Fatalf("%+v takes a block of %v", j, b.Span)
		}
		taken[i] = true
		first, last = min(first, b.FirstOffset), max(last, b.LastOffset)
		bytes += b.Bytes
	}
	if bytes != j.Bytes || v.Room > 0 && bytes > v.Room {
		t.Fatalf("%+v writes %d bytes, room is for %d", j, bytes, v.Room)
	}
	for i := range v.Blocks {
		b := &v.Blocks[i]
		if !taken[i] && !b.Dead && overlaps(b.Span, j.Span) && b.FirstOffset <= last && first <= b.LastOffset {
			t.Fatalf("%+v does not take %+v", j, b)
		}
	}
}

// pick returns some of blocks.
func pick(blocks []Block, at []int) []Block {
	var some []Block
	for _, i := range at {
		some = append(some, blocks[i])
	}
	return some
}

var start = time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC).UnixNano()

// TestAnyHistoryKeepsItsLayout draws flushes of now and of any past, waits,
// deletions and expiry, and checks every job, that picking comes to an end, and
// how much may lie over a block.
func TestAnyHistoryKeepsItsLayout(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		s := &simulation{now: start + 400*model.Day}
		s.view.Stagger = rapid.Float64Range(0, 0.99).Draw(t, "stagger")
		s.check = func(v View, j *Job) { checkJob(t, v, j) }
		steps := rapid.IntRange(1, 120).Draw(t, "steps")
		for range steps {
			switch rapid.SampledFrom([]string{"live", "live", "late", "late", "wide", "wait", "hide", "dead", "all"}).Draw(t, "step") {
			case "live":
				s.live(rapid.Int64Range(1, 30).Draw(t, "hours")*3600e9, 6*3600e9, 60e9, rapid.Uint64Range(1, 50).Draw(t, "channels"))
			case "late":
				at := s.now - rapid.Int64Range(0, 70*24).Draw(t, "hours ago")*3600e9
				s.flush(at, at+rapid.Int64Range(1, 3e12).Draw(t, "length"), rapid.Uint64Range(1, 1e7).Draw(t, "rows"), 3)
			case "wide":
				at := s.now - rapid.Int64Range(10, 90).Draw(t, "days ago")*model.Day
				s.flush(at, at+rapid.Int64Range(1, 9).Draw(t, "days")*model.Day, rapid.Uint64Range(1, 1e8).Draw(t, "rows"), 2)
			case "wait":
				s.until(s.now + rapid.Int64Range(1, 40*24).Draw(t, "hours")*3600e9)
			case "hide", "dead":
				if n := len(s.view.Blocks); n > 0 {
					b := &s.view.Blocks[rapid.IntRange(0, n-1).Draw(t, "block")]
					b.Hidden, b.Stale = b.Bytes/rapid.Uint64Range(1, 9).Draw(t, "share"), s.now+model.Day
					b.Dead = rapid.Bool().Draw(t, "dead")
					b.Alone = b.Level != Flush && rapid.Bool().Draw(t, "alone")
				}
			case "all":
				s.view.All = true
				s.run()
				s.view.All = false
			}
			s.run()
			alone := slices.ContainsFunc(s.view.Blocks, func(b Block) bool { return b.Alone })
			if over := s.overlaysOver(); over > stackUnits && !alone {
				t.Fatalf("%d units over one:\n%s", over, s.draw())
			}
		}
		s.until(s.now + 100*model.Day)
		if job, due := Pick(s.view, s.now); job != nil || due <= s.now {
			t.Fatalf("there is %+v at rest, due %d", job, due)
		}
		for _, b := range s.view.Blocks {
			if b.Level == Flush && !slices.ContainsFunc(s.view.Blocks, func(o Block) bool { return o.Alone && overlaps(o.Span, b.Span) }) {
				t.Fatalf("a flush block stays:\n%s", s.draw())
			}
		}
	})
}

// TestLiveDataIsWrittenFewTimes bounds what a year of one-minute data costs.
func TestLiveDataIsWrittenFewTimes(t *testing.T) {
	for _, channels := range []uint64{1, 24, 1000, 80_000} {
		s := &simulation{now: start, check: func(v View, j *Job) { checkJob(t, v, j) }}
		files := 0
		for range 365 {
			s.live(model.Day, 6*3600e9, 60e9, channels)
			files = max(files, len(s.view.Blocks))
		}
		times := float64(s.flushed+s.merged) / float64(s.flushed)
		t.Logf("%d channels: %.2f bytes written for each first flushed, at most %d files", channels, times, files)
		if times > 3 || files > 11+31*2+8+int(channels/1000*2) {
			t.Errorf("%d channels: %.2f bytes written for each first flushed, at most %d files", channels, times, files)
		}
	}
}

// TestOneLateRowNeverRewritesAMonth writes a row of the past every day for two
// months: the month's base stays as it is.
func TestOneLateRowNeverRewritesAMonth(t *testing.T) {
	s := &simulation{now: start, check: func(v View, j *Job) { checkJob(t, v, j) }}
	s.live(31*model.Day, 6*3600e9, 60e9, 100)
	s.until(s.now + 10*model.Day)
	if len(s.view.Blocks) != 1 || s.view.Blocks[0].Level != Month {
		t.Fatalf("before:\n%s", s.draw())
	}
	base, flushed, merged := s.view.Blocks[0], s.flushed, s.merged
	for day := range int64(60) {
		s.flush(start+day%31*model.Day+5, start+day%31*model.Day+5, 1, 1)
		s.until(s.now + model.Day)
		if s.view.Blocks[0] != base {
			t.Fatalf("after %d days:\n%s", day, s.draw())
		}
		if len(s.view.Blocks) > stackUnits {
			t.Fatalf("%d files:\n%s", len(s.view.Blocks), s.draw())
		}
	}
	if late := s.merged - merged; late > 20*(s.flushed-flushed) {
		t.Errorf("%d bytes are written for %d of late rows", late, s.flushed-flushed)
	}
}

// TestAFastChannelStaysBounded writes one channel of 50 kHz, a block every five
// seconds: few files, each row written few times, no job that is too large.
func TestAFastChannelStaysBounded(t *testing.T) {
	largest := uint64(0)
	s := &simulation{now: start}
	s.check = func(v View, j *Job) {
		checkJob(t, v, j)
		largest = max(largest, j.Bytes)
	}
	s.live(model.Day, 5e9, 20_000, 1)
	s.until(s.now + 60*model.Day)
	times := float64(s.flushed+s.merged) / float64(s.flushed)
	t.Logf("%d blocks of %s, %.2f bytes written for each first flushed, the largest job %s",
		len(s.view.Blocks), size(s.flushed), times, size(largest))
	if times > 4 || largest > 1<<30 || uint64(len(s.view.Blocks)) > s.flushed/(64<<20)+20 {
		t.Errorf("%d blocks of %s, %.2f bytes written for each first flushed, the largest job %s",
			len(s.view.Blocks), size(s.flushed), times, size(largest))
	}
}

// TestWhatDoesNotFitIsPassedOver: a month too large for the disk does not keep
// smaller work from being done, and damage stays where it is.
func TestWhatDoesNotFitIsPassedOver(t *testing.T) {
	s := &simulation{now: start, check: func(v View, j *Job) { checkJob(t, v, j) }}
	s.live(31*model.Day, 6*3600e9, 60e9, 100)
	s.view.Room = 1 << 20
	s.until(s.now + 20*model.Day)
	for _, b := range s.view.Blocks {
		if b.Level != Day {
			t.Fatalf("with little room:\n%s", s.draw())
		}
	}
	s.view.Room = 0
	s.view.Blocks[3].Damaged = true
	s.run()
	if len(s.view.Blocks) != 31 {
		t.Fatalf("with damage:\n%s", s.draw())
	}
	s.view.Blocks[3].Damaged = false
	s.run()
	if len(s.view.Blocks) != 1 {
		t.Fatalf("at last:\n%s", s.draw())
	}
}

// TestDamageDoesNotKeepItsMonthFromSettling: a month with a block that cannot be
// merged gets no base, but its other flush blocks are merged all the same.
func TestDamageDoesNotKeepItsMonthFromSettling(t *testing.T) {
	var v View
	for i := range int64(4) {
		day := start + i/2*model.Day
		v.Blocks = append(v.Blocks, Block{
			Level: Flush, Span: model.Span{From: day, To: day + model.Day}, First: day, Last: day + 1,
			FirstOffset: uint64(i) + 1, LastOffset: uint64(i) + 1, Bytes: 1000, Channels: 1, Damaged: i == 0,
		})
	}
	job, _ := Pick(v, start+60*model.Day)
	if job == nil || job.Reason != Settle {
		t.Fatalf("the job is %+v", job)
	}
	checkJob(t, v, job)
}
