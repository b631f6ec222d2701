package maintain

import (
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/hokan-db/hokan/engine/model"
)

var rewrite = flag.Bool("rewrite", false, "write what the scripts print again")

// TestScripts runs the scripts in testdata. A line that begins with "> " is a
// command, one with "# " a comment; what a command printed stands after it:
//
//	clock TIME                      the time at which all begins
//	stagger SHARE
//	live LENGTH EVERY STEP CHANNELS write at a step, flushed every so often
//	late FIRST LAST ROWS CHANNELS   a flush of rows of the past
//	wait LENGTH                     let time pass
//	hide MONTH SHARE                a deletion hides a share of a month's blocks
//	expire MONTH SHARE              retention does; 1: all is dead
//	all                             as hokan compact: whatever is left
//	room BYTES                      how much a job may write
//	draw                            the layout
//	total                           the bytes written so far
//
// With -rewrite the files are written again.
func TestScripts(t *testing.T) {
	files, err := filepath.Glob("testdata/*.txt")
	if err != nil || len(files) == 0 {
		t.Fatal(files, err)
	}
	for _, file := range files {
		t.Run(strings.TrimSuffix(filepath.Base(file), ".txt"), func(t *testing.T) {
			text, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			got := runScript(t, string(text))
			if *rewrite {
				if err := os.WriteFile(file, []byte(got), 0o644); err != nil {
					t.Fatal(err)
				}
			} else if got != string(text) {
				t.Errorf("it prints now:\n%s", got)
			}
		})
	}
}

func runScript(t *testing.T, text string) string {
	var out strings.Builder
	s := &simulation{}
	s.check = func(v View, j *Job) { checkJob(t, v, j) }
	s.log = func(j *Job, inputs []Block, written uint64) {
		line := fmt.Sprintf("  %s %s:", time.Unix(0, s.now).UTC().Format("2006-01-02 15:04"), j.Reason)
		levels := map[Level]int{}
		for _, b := range inputs {
			levels[b.Level]++
		}
		for l := Month; ; l-- {
			if levels[l] > 0 {
				line += fmt.Sprintf(" %d %s", levels[l], l)
			}
			if l == Flush {
				break
			}
		}
		line += ", " + size(j.Bytes)
		if j.Reason != Dead {
			line += fmt.Sprintf(" -> %s %s..%s, %s", j.Level, date(j.Span.From), date(j.Span.To-1), size(written))
		}
		fmt.Fprintln(&out, line)
	}
	for _, line := range strings.Split(text, "\n") {
		if strings.HasPrefix(line, "#") {
			fmt.Fprintln(&out, line)
		}
		if command, ok := strings.CutPrefix(line, "> "); ok {
			fmt.Fprintln(&out, line)
			s.command(t, strings.Fields(command), &out)
		}
	}
	return out.String()
}

func date(at int64) string { return time.Unix(0, at).UTC().Format("01-02") }

// command does one line of a script.
func (s *simulation) command(t *testing.T, words []string, out *strings.Builder) {
	t.Helper()
	word := func(i int) string {
		if i >= len(words) {
			t.Fatalf("%v: %d words are too few", words, len(words))
		}
		return words[i]
	}
	number := func(i int) float64 {
		n, err := strconv.ParseFloat(word(i), 64)
		if err != nil {
			t.Fatal(words, err)
		}
		return n
	}
	switch words[0] {
	case "clock":
		s.now = moment(t, word(1))
	case "stagger":
		s.view.Stagger = number(1)
	case "live":
		s.live(length(t, word(1)), length(t, word(2)), length(t, word(3)), uint64(number(4)))
	case "late":
		s.flush(moment(t, word(1)), moment(t, word(2)), uint64(number(3)), uint64(number(4)))
		s.run()
	case "wait":
		s.until(s.now + length(t, word(1)))
	case "hide", "expire":
		month := monthOf(moment(t, word(1)))
		for i := range s.view.Blocks {
			b := &s.view.Blocks[i]
			switch bytes := uint64(number(2) * float64(b.Bytes)); {
			case !overlaps(month, b.Span):
			case words[0] == "hide":
				b.Hidden, b.Stale = bytes, s.now+7*model.Day
			default:
				b.Expired, b.Dead = bytes, number(2) == 1
			}
		}
		s.run()
	case "all":
		s.view.All = true
		s.run()
		s.view.All = false
	case "room":
		s.view.Room = uint64(number(1))
	case "draw":
		out.WriteString(s.draw())
	case "total":
		fmt.Fprintf(out, "  %s flushed, %s merged: %.2f bytes written for each first flushed; %d files\n",
			size(s.flushed), size(s.merged), float64(s.flushed+s.merged)/float64(s.flushed), len(s.view.Blocks))
	default:
		t.Fatalf("unknown command %v", words)
	}
}

// moment reads a time such as 2026-01-31 or 2026-01-31T13:00.
func moment(t *testing.T, text string) int64 {
	t.Helper()
	for _, layout := range []string{"2006-01-02", "2006-01-02T15:04"} {
		if at, err := time.Parse(layout, text); err == nil {
			return at.UnixNano()
		}
	}
	t.Fatalf("%q is no time", text)
	return 0
}

// length reads a duration that may be in days.
func length(t *testing.T, text string) int64 {
	t.Helper()
	if days, ok := strings.CutSuffix(text, "d"); ok {
		if n, err := strconv.Atoi(days); err == nil {
			return int64(n) * model.Day
		}
	}
	d, err := time.ParseDuration(text)
	if err != nil {
		t.Fatal(err)
	}
	return int64(d)
}
