package main

import (
	"errors"
	"fmt"
	"os"
	"syscall"
	"time"

	"github.com/hokan-db/hokan/engine"
	"github.com/hokan-db/hokan/engine/model"
	"github.com/hokan-db/hokan/engine/policy"
	"github.com/hokan-db/hokan/query"
	"github.com/hokan-db/hokan/server/api"
	"github.com/hokan-db/hokan/server/auth"
	"github.com/hokan-db/hokan/server/tenants"
)

// dataFlags name a database.
type dataFlags struct {
	Data  string `required:"" placeholder:"DIR" help:"Folder of the database."`
	Clock string `placeholder:"TIME" help:"Let the clock start at this time: for drills and tests."`
}

// outputFlags say how results are printed.
type outputFlags struct {
	Output string `short:"o" enum:"table,json,csv" default:"table" help:"table, json (the body of the matching endpoint) or csv."`
	Unit   string `placeholder:"U" help:"Of times in JSON: s, ms, us or ns (default ms)."`
}

// unit is the unit to ask for: where times are printed as text they are whole
// unless the user wants less.
func (o *outputFlags) unit() string {
	if o.Unit == "" && o.Output != "json" {
		return query.Nanoseconds.Name
	}
	return o.Unit
}

// checkUnit refuses a unit that is none, where no handler will.
func (o *outputFlags) checkUnit() error {
	_, err := query.ParseUnit(o.Unit)
	return err
}

// checkCount refuses a count that no answer can have.
func checkCount(flag string, n int, most policy.Limit) error {
	if n < 1 || int64(n) > most.Default {
		return api.NewError("malformed", fmt.Sprintf("%s %d, want 1 to %d", flag, n, most.Default))
	}
	return nil
}

// spanFlags choose channels and a span.
type spanFlags struct {
	Selector string `arg:"" optional:"" default:"{}" help:"Which channels (default all)."`
	From     string `placeholder:"TIME" help:"Start of the span (default the first sample)."`
	To       string `placeholder:"TIME" help:"End of the span, itself left out (default just after the last sample)."`
}

// clock starts at the given time, or is the machine's.
func (f *dataFlags) clock() (model.Clock, error) {
	if f.Clock == "" {
		return time.Now, nil
	}
	begun := time.Now()
	at, err := query.ParseTime(f.Clock, begun)
	if err != nil {
		return nil, fmt.Errorf("--clock: %w", err)
	}
	start := time.Unix(0, at).UTC()
	return func() time.Time { return start.Add(time.Since(begun)) }, nil
}

// access is what a command does with a database.
type access int

const (
	reading access = iota // changes no byte of it; works on a full or read-only disk
	writing               // it must exist
	making                // it is made where it is missing
)

func (f *dataFlags) options(a access) (engine.Options, error) {
	if f.Data == "" {
		return engine.Options{}, api.NewError("malformed", "--data is empty, want a folder")
	}
	info, err := os.Stat(f.Data)
	if err == nil && !info.IsDir() {
		return engine.Options{}, api.NewError("malformed", "--data "+f.Data+" is a file, not a folder")
	}
	if errors.Is(err, syscall.ENOTDIR) {
		return engine.Options{}, api.NewError("malformed", "--data "+f.Data+" lies below a file, not a folder")
	}
	clock, err := f.clock()
	return engine.Options{FS: engine.DefaultFS(), Dir: f.Data, Clock: clock, MustExist: a != making, ReadOnly: a == reading}, err
}

// openData opens the database.
func (f *dataFlags) openData(t *terminal, a access) (*api.API, error) {
	options, err := f.options(a)
	if err != nil {
		return nil, err
	}
	db, err := engine.Open(options)
	if errors.Is(err, engine.ErrLocked) {
		return nil, f.locked()
	}
	if errors.Is(err, engine.ErrNotFound) && a != making {
		return nil, api.NewError("not_found", fmt.Sprintf("there is no database in %s", f.Data))
	}
	if errors.Is(err, engine.ErrCorrupt) {
		corrupt := api.AsError(err)
		return nil, api.NewError(corrupt.Code, corrupt.Detail+"; hokan repair --data "+f.Data+" saves what can be saved").Because(err)
	}
	if err != nil {
		return nil, err
	}
	faults, quarantined := db.Faults()
	for _, fault := range faults {
		t.note("%v", api.AsError(fault))
	}
	switch {
	case quarantined == 1:
		t.note("corrupt: 1 log entry could not be applied")
	case quarantined > 1:
		t.note("corrupt: %d log entries could not be applied", quarantined)
	}
	tokens, err := auth.Open(db, options.Clock)
	if err != nil {
		return nil, errors.Join(err, db.Close())
	}
	known, err := tenants.Open(db, options.Clock, tokens)
	if err != nil {
		return nil, errors.Join(err, db.Close())
	}
	return &api.API{DB: db, Clock: options.Clock, Tenants: known}, nil
}

// locked is why a database cannot be had that another process has, for commands
// that can also go through a server.
func (f *dataFlags) locked() error {
	return api.NewError("locked", f.Data+" is in use by another process: if a server has it, use --server and --token, or stop it").Because(engine.ErrLocked)
}

// onlyAtRest is why it cannot be had by commands that want the folder itself.
func (f *dataFlags) onlyAtRest() error {
	return api.NewError("locked", f.Data+" is in use by another process: if a server has it, stop it first, or use a snapshot of it (hokan snapshot)")
}

// withData opens the database for the length of do.
func (f *dataFlags) withData(t *terminal, a access, do func(*api.API) error) (err error) {
	opened, err := f.openData(t, a)
	if err != nil {
		return err
	}
	defer func() {
		if closing := opened.DB.Close(); err == nil {
			err = closing
		}
	}()
	return do(opened)
}
