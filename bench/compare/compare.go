package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"syscall"
	"time"

	"github.com/hokan-db/hokan/bench/peer"
	"github.com/hokan-db/hokan/bench/report"
)

// comparison is one run of everything.
type comparison struct {
	options
	results *report.Results
	started time.Time
	self    string                          // this program
	hokan   string                          // the program hokan
	folder  string                          // for the stores
	data    string                          // folder of real files, "" for none
	values  map[string]map[string][]float64 // by measure and subject
}

// settings that hold for all subjects.
var settings = []string{
	"One core: client, server and store share it (`taskset`), GOMAXPROCS=1, GOGC=100, no GOMEMLIMIT.",
	"Each subject does each job in a process of its own, servers besides; the subjects take turns in each round.",
	"Rates are over the time from the first batch to the last acknowledgement, making batches of rows included; those per CPU-second count all that the store's process uses from before it is opened until it is closed.",
	"Live samples come in batches of 1,000 rows in order of time, of as many channels; a backfill in calls of 10,000: of one channel after another, or for Hokan of 32 channels together, as a logger's file has them. 16 batches or calls are in flight, for Prometheus one.",
	"Answers of servers are read whole and not parsed.",
	"Exports are each store's own: of the stores in process lines of channel, time and value; of servers their CSV, Hokan's zipped.",
	"kill -9 leaves what the system holds in its cache: it is no power cut. Prometheus has written but not synced what it acknowledged.",
}

func compare(ctx context.Context, o options) (*report.Results, error) {
	c := &comparison{options: o, started: time.Now(), data: os.Getenv("HOKAN_DATA"), values: map[string]map[string][]float64{}}
	if c.rounds == 0 {
		c.rounds = fullRounds
		if c.short {
			c.rounds = shortRounds
		}
	}
	if err := c.prepare(ctx); err != nil {
		return nil, err
	}
	defer os.RemoveAll(c.folder)
	for round := range c.rounds {
		for _, s := range scenarios {
			if s.once && round > 0 || s.name == "files" && c.data == "" {
				continue
			}
			for _, subject := range c.results.Subjects {
				if err := c.turn(ctx, s, subject, round); err != nil {
					return nil, err
				}
			}
		}
	}
	c.finish()
	return c.results, nil
}

// prepare finds the subjects, builds what they need and measures the machine.
func (c *comparison) prepare(ctx context.Context) error {
	var err error
	if c.self, err = os.Executable(); err != nil {
		return err
	}
	if c.folder, err = os.MkdirTemp(c.dir, "hokan-compare-"); err != nil {
		return err
	}
	if c.folder, err = filepath.Abs(c.folder); err != nil {
		return err
	}
	c.hokan = filepath.Join(c.folder, "hokan")
	build := exec.CommandContext(ctx, "go", "build", "-o", c.hokan, "./tools/hokan")
	build.Dir, build.Stderr = "..", os.Stderr
	if err := build.Run(); err != nil {
		return fmt.Errorf("build hokan: %w", err)
	}
	c.results = &report.Results{Made: c.started.UTC().Truncate(time.Second), Short: c.short, Rounds: c.rounds,
		Settings: settings, Sizes: sizesOf(c.short)}
	for _, s := range peer.Subjects() {
		c.results.Subjects = append(c.results.Subjects, describe(s))
	}
	if c.data == "" {
		c.results.Skipped = append(c.results.Skipped, "HOKAN_DATA is not set: no real files.")
	}
	if c.short {
		c.results.Skipped = append(c.results.Skipped, "In a short run InfluxDB is given no time to settle: its samples are in its log, and its sizes are left out, as are most of the real files.")
	}
	if _, err := exec.LookPath("taskset"); err != nil && c.core >= 0 {
		c.core = -1
		c.results.Skipped = append(c.results.Skipped, "There is no taskset: nothing is pinned to a core.")
	}
	c.results.Machine, err = machine(c.folder)
	c.results.Machine.Pinned = c.core >= 0
	return err
}

func describe(s peer.Subject) report.Subject {
	described := report.Subject{ID: s.ID, Name: s.Name, Settings: s.Settings, Server: s.Server, Counterpart: s.Counterpart}
	version, err := s.Version()
	if err != nil {
		described.Absent = err.Error()
	}
	described.Version = version
	return described
}

// turn lets one subject do the jobs of a scenario, one after another on the
// same folder, which is then removed.
func (c *comparison) turn(ctx context.Context, s scenario, subject report.Subject, round int) error {
	if subject.Absent != "" || c.only != nil && !c.only.MatchString(s.name+" "+subject.ID) {
		return nil
	}
	if of, _ := peer.Find(subject.ID); s.sizes && (of.SameFiles || of.SlowToSettle && c.short) {
		return nil
	}
	folder := filepath.Join(c.folder, "stores", subject.ID)
	defer os.RemoveAll(folder)
	if err := os.MkdirAll(folder, 0o755); err != nil {
		return err
	}
	for k := range s.jobs {
		j := job{Scenario: s.name, Step: k, Subject: subject.ID, Folder: folder, Hokan: c.hokan, Data: c.data, Short: c.short, Round: round}
		started := time.Now()
		points, err := c.child(ctx, j)
		if ctx.Err() != nil {
			return ctx.Err()
		}
		if err != nil {
			return fmt.Errorf("%s of %s: %w", s.name, subject.ID, err)
		}
		fmt.Fprintf(os.Stderr, "%6.1f s  round %d  %s %d  %s  %.1f s\n",
			time.Since(c.started).Seconds(), round+1, s.name, k+1, subject.ID, time.Since(started).Seconds())
		for _, p := range points {
			if c.values[p.Measure] == nil {
				c.values[p.Measure] = map[string][]float64{}
			}
			c.values[p.Measure][subject.ID] = append(c.values[p.Measure][subject.ID], p.Value)
		}
	}
	return nil
}

// child runs a job in a process of its own, with whatever processes it starts
// in one group, so that none of them stays behind.
func (c *comparison) child(ctx context.Context, j job) ([]point, error) {
	text, err := json.Marshal(j)
	if err != nil {
		return nil, err
	}
	arguments := []string{c.self, childCommand, string(text)}
	if c.core >= 0 {
		arguments = append([]string{"taskset", "-c", strconv.Itoa(c.core)}, arguments...)
	}
	command := exec.CommandContext(ctx, arguments[0], arguments[1:]...)
	command.Env = append(os.Environ(), "GOMAXPROCS=1", "GOGC=100", "GOMEMLIMIT=off")
	command.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	endGroup := func() error { return syscall.Kill(-command.Process.Pid, syscall.SIGKILL) }
	command.Cancel = endGroup
	var said, complaints bytes.Buffer
	command.Stdout, command.Stderr = &said, &complaints
	err = command.Run()
	if command.Process != nil {
		_ = endGroup() // nothing is left in it, as a rule
	}
	if err != nil && !(j.killsItself() && wasKilled(err)) {
		return nil, fmt.Errorf("%w: %s", err, complaints.Bytes())
	}
	if err != nil {
		return nil, nil // it had nothing to tell
	}
	var points []point
	if err := json.Unmarshal(said.Bytes(), &points); err != nil {
		return nil, fmt.Errorf("job said %q: %w", said.Bytes(), err)
	}
	return points, nil
}

func wasKilled(err error) bool {
	var exit *exec.ExitError
	if !errors.As(err, &exit) {
		return false
	}
	status, ok := exit.Sys().(syscall.WaitStatus)
	return ok && status.Signaled() && status.Signal() == syscall.SIGKILL
}

// finish makes measures of the values.
func (c *comparison) finish() {
	r := c.results
	for id, bySubject := range c.values {
		figures := map[string]report.Figure{}
		for subject, values := range bySubject {
			figures[subject] = report.NewFigure(values)
		}
		if m, ok := report.Describe(id, r.Sizes, figures); ok {
			r.Measures = append(r.Measures, m)
		}
	}
	slices.SortFunc(r.Measures, func(a, b report.Measure) int { return report.Order(a, b) })
	r.Seconds = int(time.Since(c.started).Seconds())
	r.Compute()
}
