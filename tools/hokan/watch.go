package main

import (
	"encoding/csv"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/hokan-db/hokan/ingest"
	"github.com/hokan-db/hokan/ingest/folder"
	"github.com/hokan-db/hokan/server/api"
)

type watchCommand struct {
	tenantFlags
	outputFlags
	Instrument string        `placeholder:"I" help:"The label instrument of every channel; left out: the folder in DIR that a file is in."`
	Group      string        `placeholder:"G" help:"The measurement group that the channels belong to."`
	Zone       string        `placeholder:"Z" help:"IANA time zone of the files' times, such as Asia/Shanghai, or an offset, +08:00."`
	Map        string        `placeholder:"MAP" help:"How tables are written, as for import. Files of known instruments are taken by their own format."`
	Every      time.Duration `default:"2s" help:"How often the folder is looked at."`
	Settle     time.Duration `default:"5s" help:"For how long a file must not change to be complete."`
	State      string        `placeholder:"FILE" help:"Where it is kept what was imported (default DIR/.hokan-watch)."`
	Dir        string        `arg:"" help:"The folder."`
}

// Help gives examples.
func (c *watchCommand) Help() string {
	return `Imports what appears in a folder and its folders, and is complete, until Ctrl-C:
each content once for an instrument, also across restarts. A file that changes
is imported again. Names that begin with a point, or end in .tmp, .part and the
like, are passed over. A line is printed for each file.

Examples:
  hokan watch --server http://127.0.0.1:4180 --token $TOKEN --zone Asia/Tokyo loggers
  hokan watch --data d --tenant t --instrument lake --zone UTC --map @lake.map incoming`
}

// Validate checks the flags. The parser calls it.
func (c *watchCommand) Validate() error {
	if c.Every <= 0 || c.Settle < 0 {
		return errors.New("--every must be above 0, --settle not below")
	}
	return c.tenantFlags.Validate()
}

// watch is one run of the command.
type watch struct {
	*watchCommand
	*importer
	folder *folder.Folder
	told   string // what failed last, so that it is said once
}

// retryAfter is how long a file waits after a failure that may pass.
const retryAfter = 10 * time.Second

// Run implements the command.
func (c *watchCommand) Run(t *terminal) (err error) {
	instrument := c.Instrument
	if instrument == "" {
		instrument = "any" // is told for each file
	}
	command := &importCommand{tenantFlags: c.tenantFlags, outputFlags: c.outputFlags, Instrument: &instrument,
		Group: c.Group, Zone: c.Zone, Map: c.Map, Files: []string{"-"}}
	i, err := command.prepare(t)
	if err != nil {
		return err
	}
	i.options.MapForOthers = true // a folder may have tables and files of instruments
	if c.State == "" {
		c.State = filepath.Join(c.Dir, ".hokan-watch")
	}
	if info, err := os.Stat(c.Dir); err != nil || !info.IsDir() {
		return api.NewError("not_found", "there is no folder "+c.Dir)
	}
	journal, err := folder.OpenJournal(c.State)
	if err != nil {
		return api.NewError("invalid", "what was imported cannot be kept: "+err.Error()).Because(err)
	}
	defer journal.Close()
	defer func() {
		if i.server != nil {
			i.server.Close()
		}
		if i.opened != nil {
			if closing := i.opened.DB.Close(); err == nil {
				err = closing
			}
		}
	}()
	w := &watch{watchCommand: c, importer: i, folder: folder.New(c.Dir, c.Settle, journal)}
	t.note("watching %s", c.Dir)
	return w.loop()
}

// loop looks at the folder again and again until a signal comes.
func (w *watch) loop() error {
	ticks := time.NewTicker(w.Every)
	defer ticks.Stop()
	for {
		files, err := w.folder.Scan(time.Now())
		if err != nil {
			return api.NewError("not_found", err.Error()).Because(err)
		}
		for _, file := range files {
			if err := w.take(file); err != nil {
				return err
			}
			if w.terminal.ctx.Err() != nil {
				return nil
			}
		}
		select {
		case <-ticks.C:
		case <-w.terminal.ctx.Done():
			return nil
		}
	}
}

// take imports a file, unless its content is known. It returns only errors
// after which watching makes no sense.
func (w *watch) take(file folder.File) error {
	instrument := w.watchCommand.Instrument
	if instrument == "" {
		var below bool
		if instrument, _, below = strings.Cut(file.Path, "/"); !below {
			w.folder.Leave(file)
			w.terminal.note("bad_label: %s: it is in no folder that names its instrument: give --instrument", file.Path)
			return nil
		}
	}
	hash, err := w.folder.Hash(file)
	if err != nil {
		return w.later(file, err)
	}
	if w.folder.IsDone(hash, instrument) {
		return w.done(file, hash, instrument)
	}
	w.importCommand.Instrument, w.options.Instrument = &instrument, instrument
	path := w.folder.Path(file)
	result, err := w.file(path)
	var refused *ingest.Error
	switch {
	case err != nil && w.terminal.ctx.Err() != nil:
		return nil // whatever it was: the signal ends this
	case errors.As(err, &refused) && refused.Code != "not_found" && refused.Code != "internal":
		w.folder.Leave(file)
	case err != nil:
		return w.later(file, err)
	case !w.folder.IsUnchanged(file):
		return nil // it was not complete: it is taken again
	}
	if err := w.complain(path, result, err); err != nil {
		return err
	}
	if err == nil {
		if err := w.open(); err != nil { // also where it holds no sample
			return err
		}
		if err := w.done(file, hash, instrument); err != nil {
			return err
		}
	}
	w.told = ""
	result.File = file.Path
	return w.show(result, err)
}

// done notes that a file was imported.
func (w *watch) done(file folder.File, hash, instrument string) error {
	if err := w.folder.Done(file, hash, instrument); err != nil {
		return fmt.Errorf("%s: %w", w.State, err)
	}
	return nil
}

// later has a file wait where the failure may pass, and returns it otherwise.
func (w *watch) later(file folder.File, err error) error {
	if w.terminal.ctx.Err() != nil {
		return nil
	}
	failure := failureOf(err)
	var refused *ingest.Error
	unreadable := errors.As(err, &refused) || errors.Is(err, os.ErrNotExist) || errors.Is(err, os.ErrPermission)
	switch failure.Code {
	case "busy", "rate_limited", "disk_full", "over_quota", "unavailable", "internal", "corrupt":
	default:
		if !unreadable {
			return err
		}
	}
	w.folder.Retry(file, time.Now().Add(max(retryAfter, failure.After)))
	if text := failure.Error(); w.told != text && !folder.IsGone(err) {
		w.told = text
		w.terminal.note("%s: %s; it is tried again", file.Path, text)
	}
	return nil
}

// show prints a line about a file.
func (w *watch) show(result ingest.FileResult, refused error) error {
	body, err := api.NewImportBody(w.watchCommand.Unit)
	if err != nil {
		return err
	}
	body.Add(result, refused)
	out := w.terminal.stdout
	if w.watchCommand.Output == "json" {
		text, err := json.Marshal(body)
		if err != nil {
			return err
		}
		fmt.Fprintf(out, "%s\n", text)
		return out.Flush()
	}
	cells := importGrid(body).rows[0]
	if w.watchCommand.Output == "csv" {
		lines := csv.NewWriter(out)
		if err := lines.Write(cells); err != nil {
			return err
		}
		lines.Flush()
		return out.Flush()
	}
	for i := range cells {
		cells[i] = printable(cells[i])
	}
	fmt.Fprintln(out, strings.Join(cells, "  "))
	return out.Flush()
}
