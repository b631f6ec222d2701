package main

import (
	"encoding/json"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strconv"
	"time"

	"github.com/hokan-db/hokan/bench/peer"
	"github.com/hokan-db/hokan/bench/workload"
)

// childCommand is the first argument of a process that does one job.
const childCommand = "job"

// Rounds of a run.
const fullRounds, shortRounds = 5, 1

// scenario is jobs on one folder, each in a process of its own.
type scenario struct {
	name  string
	jobs  []func(*task) error
	once  bool // it comes out the same in every round
	sizes bool // it tells of files alone
}

var scenarios = []scenario{
	{name: "small", jobs: []func(*task) error{writeSmall, readSmall}},
	{name: "year", jobs: []func(*task) error{writeYear, readYear}},
	{name: "backfill", jobs: []func(*task) error{backfillSmall}},
	{name: "wide", jobs: []func(*task) error{writeWide}},
	{name: "crash", jobs: []func(*task) error{crash, reopen}},
	{name: "classes", jobs: []func(*task) error{writeClasses}, once: true, sizes: true},
	{name: "files", jobs: []func(*task) error{writeFiles}, once: true, sizes: true},
}

// extent is how many channels and samples of each a data set has.
type extent struct{ channels, samples int }

func (e extent) String() string {
	return grouped(e.channels) + " channels × " + grouped(e.samples)
}

func grouped(n int) string {
	s := strconv.Itoa(n)
	for i := len(s) - 3; i > 0; i -= 3 {
		s = s[:i] + "," + s[i:]
	}
	return s
}

// Sets of workload G, and what a short run has of them.
var (
	full = map[string]extent{"small": {1000, 10_000}, "year": {32, 365 * 1440}, "wide": {100_000, 60}, "class": {100, 10_000}}
	less = map[string]extent{"small": {1000, 500}, "year": {32, 10 * 1440}, "wide": {20_000, 20}, "class": {100, 1000}}
)

func extentOf(set string, short bool) extent {
	if short {
		return less[set]
	}
	return full[set]
}

// sizesOf tells the sizes of the sets.
func sizesOf(short bool) map[string]string {
	sizes := map[string]string{}
	for set := range full {
		sizes[set] = extentOf(set, short).String()
	}
	year := extentOf("year", short)
	sizes["export"] = fmt.Sprintf("%d channels × %d days", year.channels, min(exportDays, year.samples/1440))
	return sizes
}

// job is what a child process is asked to do.
type job struct {
	Scenario string
	Step     int // which of the scenario's jobs
	Subject  string
	Folder   string
	Hokan    string
	Data     string
	Short    bool
	Round    int
}

// killsItself reports whether the process is meant to die by SIGKILL.
func (j *job) killsItself() bool { return j.Scenario == "crash" && j.Step == 0 }

// point is one value that was measured.
type point struct {
	Measure string
	Value   float64
}

// task is a job while it is done.
type task struct {
	job
	subject peer.Subject
	points  []point
	out     io.Writer
}

// runChild does the job that text describes and writes its points.
func runChild(text string, out io.Writer) error {
	t := &task{out: out}
	if err := json.Unmarshal([]byte(text), &t.job); err != nil {
		return err
	}
	var known bool
	if t.subject, known = peer.Find(t.Subject); !known {
		return fmt.Errorf("unknown subject %q", t.Subject)
	}
	for _, s := range scenarios {
		if s.name == t.Scenario && t.Step < len(s.jobs) {
			if err := s.jobs[t.Step](t); err != nil {
				return err
			}
			return t.tell()
		}
	}
	return fmt.Errorf("unknown scenario %q", t.Scenario)
}

// tell writes the points.
func (t *task) tell() error { return json.NewEncoder(t.out).Encode(t.points) }

func (t *task) add(measure string, value float64) {
	t.points = append(t.points, point{measure, value})
}

// generate makes a set of workload G.
func (t *task) generate(set string) *workload.Set {
	e := extentOf(set, t.Short)
	return workload.Generate(set, e.channels, e.samples)
}

// settleSeconds is how long the files of a store that does not say when it has
// settled must stay as they are.
func (t *task) settleSeconds() int {
	if t.Short {
		return 0
	}
	return 5
}

// open opens the subject in a folder of the job's, for channels whose newest
// sample is at now, and tells how long that took.
func (t *task) open(name string, channels int, now int64) (peer.Store, time.Duration, error) {
	folder := filepath.Join(t.Folder, name)
	if err := os.MkdirAll(folder, 0o755); err != nil {
		return nil, 0, err
	}
	started := time.Now()
	store, err := t.subject.Open(peer.Options{Dir: folder, Channels: channels, Now: now, Hokan: t.Hokan, Settle: t.settleSeconds()})
	return store, time.Since(started), err
}

// now is the time of the newest sample of a set of workload G. All sets have a
// first channel with exact times, and jitter is less than what this adds.
func now(e extent) int64 { return workload.Start + int64(e.samples-1)*workload.Step + workload.Jitter }
