package main

import (
	"context"
	"errors"
	"slices"
	"time"
	"unicode/utf8"

	"github.com/hokan-db/hokan/engine/model"
	"github.com/hokan-db/hokan/ingest"
	"github.com/hokan-db/hokan/ingest/admit"
	"github.com/hokan-db/hokan/query"
	"github.com/hokan-db/hokan/server/api"
	"github.com/hokan-db/hokan/server/client"
)

type importCommand struct {
	tenantFlags
	outputFlags
	Instrument *string  `placeholder:"I" help:"The label instrument of every channel. Files in the format hok name theirs."`
	Group      string   `placeholder:"G" help:"The measurement group that the channels belong to."`
	Zone       string   `placeholder:"Z" help:"IANA time zone of the trigger time, such as Asia/Shanghai, or an offset, +08:00."`
	Start      string   `placeholder:"TIME" help:"Replaces the trigger time: 'YYYY-MM-DD hh:mm:ss[±hh:mm]'."`
	Map        string   `placeholder:"MAP" help:"How a table is written that no instrument's format describes: KEY=VALUE,…; what is left out is guessed; auto: all of it. @FILE reads it from a file."`
	SaveMap    string   `placeholder:"FILE" help:"Writes the map of the first table, as it was completed, to a file for --map @FILE."`
	DryRun     bool     `help:"Read everything, keep nothing, and show the map that is guessed of a table."`
	Files      []string `arg:"" name:"file" help:"Instruments' files; - is stdin."`
}

// Validate completes and checks the flags. The parser calls it.
func (c *importCommand) Validate() error {
	if err := c.tenantFlags.Validate(); err != nil {
		return err
	}
	if c.Instrument == nil && !c.onlyHOK() {
		return errors.New("missing flags: --instrument=I")
	}
	return nil
}

// instrument returns the instrument that is told, "" where none is.
func (c *importCommand) instrument() string {
	if c.Instrument == nil {
		return ""
	}
	return *c.Instrument
}

// onlyHOK reports whether all files are in the format HOK.
func (c *importCommand) onlyHOK() bool {
	return !slices.ContainsFunc(c.Files, func(path string) bool { return !isHOK(path) })
}

// Help gives examples.
func (c *importCommand) Help() string {
	return `Makes the database and the tenant where they are missing. What a file is, is told
by its content. A map has these settings, with commas between:
  separator=comma|semicolon|tab|pipe|blank  decimal=comma|point  header=LINE (0: none)  data=LINE
  time=COLUMN+…  format=YYYY-MM-DD hh:mm:ss | unix | unix-ms | s | h | h:mm:ss …  interval=20ms
  start=TIME  zone=ZONE  channel=COLUMN+COLUMN:NAME[UNIT]+…  missing=-200+NA  words=open:1+shut:0
A column is its name or its number.

Examples:
  hokan import --data d --tenant t --instrument lake --zone America/Port_of_Spain WAVE0002.CSV
  hokan import --data d --tenant t --instrument lake --start '2022-06-06 18:43:33-04:00' WAVE0001.CSV
  hokan import --data d --tenant t --instrument roof --zone Asia/Tokyo --dry-run *.CSV -o json
  hokan import --data d --tenant t lake.hok
  hokan import --data d --tenant t --instrument air --zone Europe/Rome --dry-run --save-map air.map AirQuality.csv
  hokan import --data d --tenant t --instrument air --zone Europe/Rome --map @air.map AirQuality.csv
  hokan import --data d --tenant t --instrument fan --map 'interval=20ms,start=2024-01-01 00:00:00Z' accelerometer.csv
  gunzip -c WAVE.CSV.gz | hokan import --data d --tenant t --instrument lake --zone UTC -`
}

// importer is one run of import.
type importer struct {
	*importCommand
	terminal *terminal
	tenant   model.Tenant
	options  ingest.FileOptions
	opened   *api.API       // nil until something is to be kept in a folder
	writer   admit.Writer   // into opened
	request  admit.Request  // the memory of a batch
	quota    error          // why the tenant's quota could not be looked at
	server   *client.Client // nil where a folder is meant
	refused  []string       // codes of the files that were not read to their end

	rejected admit.Result // what was refused of the file in hand when it was written
}

// Run implements the command.
func (c *importCommand) Run(t *terminal) (err error) {
	i, err := c.prepare(t)
	if err != nil {
		return err
	}
	body, err := api.NewImportBody(c.Unit)
	if err != nil {
		return err
	}
	defer func() {
		if i.server != nil {
			i.server.Close()
		}
		if i.opened == nil {
			return
		}
		if closing := i.opened.DB.Close(); closing != nil && (err == nil || errors.As(err, new(exitCode))) {
			err = closing
		}
	}()
	var failure error
	for _, path := range c.Files {
		result, err := i.file(path)
		if err != nil && !errors.As(err, new(*ingest.Error)) {
			err = failureOf(err)
		}
		if !utf8.ValidString(path) { // JSON has no bytes
			result.File = printable(path)
		}
		body.Add(result, err)
		if failure = i.complain(path, result, err); failure != nil {
			break
		}
	}
	if failure == nil && !c.DryRun && len(i.refused) < len(c.Files) {
		failure = i.open() // also where good files hold no sample
	}
	if err := c.print(t, body, func() *grid { return importGrid(body) }); err != nil {
		return err
	}
	if failure != nil {
		return failure
	}
	return i.verdict(body)
}

func (c *importCommand) prepare(t *terminal) (*importer, error) {
	if c.Start != "" && len(c.Files) > 1 {
		return nil, api.NewError("malformed", "--start is when one file begins: import several one by one")
	}
	name, to := model.Tenant("t"), (*client.Client)(nil) // the token says whose
	var err error
	if c.Server != "" {
		to, err = c.connect()
	} else if name, err = c.tenantFlags.tenant(); err == nil {
		_, err = c.folder().options(making)
	}
	if err != nil {
		return nil, err
	}
	var zone *time.Location
	if c.Zone != "" {
		if zone, err = query.ParseZone(c.Zone); err != nil {
			return nil, err
		}
	}
	i := &importer{importCommand: c, terminal: t, server: to, tenant: name, options: ingest.FileOptions{
		Tenant: name, Instrument: c.instrument(), Group: c.Group, Zone: zone, Start: c.Start, DryRun: c.DryRun,
	}}
	if i.options.Map, err = c.readMap(); err != nil {
		return nil, err
	}
	if c.onlyHOK() {
		if c.Instrument != nil || c.Group != "" || c.Zone != "" || c.Start != "" {
			return nil, api.NewError("malformed", "files in the format hok name their instruments, groups and times themselves")
		}
		return i, nil
	}
	var refused *ingest.Error
	if errors.As(i.options.Validate(), &refused) {
		return nil, api.NewError(refused.Code, refused.Detail)
	}
	return i, nil
}

// open opens the database with the first batch: an import of which nothing is
// kept makes nothing.
func (i *importer) open() error {
	if i.opened != nil || i.server != nil {
		return nil
	}
	opened, err := i.folder().openData(i.terminal, making)
	if err != nil {
		return err
	}
	i.opened = opened
	i.writer = admit.Writer{DB: opened.DB, Clock: opened.Clock, Wrote: func(ctx context.Context, t model.Tenant, samples int) {
		i.quota = opened.Tenants.Wrote(ctx, t, samples)
	}}
	if err := opened.DB.CreateTenant(i.terminal.ctx, i.tenant); err != nil {
		return err
	}
	_, err = opened.Tenants.Check(i.terminal.ctx, i.tenant) // who is over the quota may write nothing
	return err
}

func (i *importer) append(ctx context.Context, b *model.Batch) error {
	if i.server != nil {
		return i.send(ctx, b)
	}
	if err := i.open(); err != nil {
		return err
	}
	i.request.Reset()
	i.request.AddBatch(b)
	result, err := i.writer.Write(ctx, &i.request)
	if i.quota != nil {
		err, i.quota = errors.Join(err, i.quota), nil
	}
	return i.note((*api.SamplesBody)(result), err)
}

// send writes a batch to the server, and notes what that refuses.
func (i *importer) send(ctx context.Context, b *model.Batch) error {
	body, err := i.server.Write(ctx, b)
	return i.note(body, err)
}

// note keeps what was refused of a batch. That nothing of it was accepted is no
// failure: the file has more.
func (i *importer) note(body *api.SamplesBody, err error) error {
	if body != nil && body.Rejected > 0 {
		i.rejected.AddRefused((*admit.Result)(body))
		if err != nil && api.AsError(err).Code == "nothing_accepted" {
			return nil
		}
	}
	return err
}

func (i *importer) file(path string) (ingest.FileResult, error) {
	if isHOK(path) {
		return i.hokFile(path)
	}
	nothing := ingest.FileResult{File: path, Instrument: i.instrument()}
	source, size, err := openSource(i.terminal, path)
	if err != nil {
		return nothing, err
	}
	defer source.Close()
	options := i.options
	options.Total = max(size, 0)
	shown := newBar(i.terminal, path, size)
	defer shown.finish()
	options.Progress = func(read, _ int64) { shown.set(read) }
	i.rejected = admit.Result{}
	result, err := ingest.ImportFile(i.terminal.ctx, i.append, source, path, options)
	result.Settle(&i.rejected)
	return result, err
}

// complain says on stderr what was refused of a file. It returns an error only
// where going on makes no sense: not the file failed, but the database.
func (i *importer) complain(path string, result ingest.FileResult, err error) error {
	t := i.terminal
	for _, e := range result.Errors {
		e.File = path
		t.note("%v", &e)
	}
	if more := result.Rejected - int64(len(result.Errors)); more > 0 && len(result.Errors) > 0 {
		t.note("%s: %d samples rejected in all", path, result.Rejected)
	}
	if result.Map != "" {
		i.showMap(path, result.Map)
	}
	for _, warning := range result.Warnings {
		t.note("%s: %s", path, warning)
	}
	if month := int64(31 * 24 * time.Hour); result.From < result.To && result.From >= 0 && result.To <= month {
		t.note("%s: all times lie in January 1970: was the instrument's clock set? --start replaces its time", path)
	}
	var refused *ingest.Error
	if err == nil {
		return nil
	}
	if !errors.As(err, &refused) {
		return err
	}
	told := *refused
	told.File = path
	t.note("%v", &told)
	i.refused = append(i.refused, refused.Code)
	return nil
}

// verdict is the exit code: whether all, part or nothing was kept.
func (i *importer) verdict(body *api.ImportBody) error {
	switch {
	case len(i.refused) == 0 && body.Rejected == 0:
		return nil
	case body.Accepted > 0 || len(i.refused) < len(body.Files) && body.Rejected == 0:
		return exitCode(exitPartial)
	}
	for _, code := range i.refused {
		if code != "zone_required" && code != "start_required" && code != "map_required" {
			return exitCode(exitFailed)
		}
	}
	if len(i.refused) == 0 {
		return api.NewError("nothing_accepted", "every sample was rejected")
	}
	return exitCode(exitUsage)
}

func importGrid(body *api.ImportBody) *grid {
	times := newTimePrinter(body.Unit)
	g := &grid{header: []string{"file", "dialect", "instrument", "channels", "rows", "from", "to", "accepted", "rejected"}}
	for _, f := range body.Files {
		g.add(f.File, f.Dialect, f.Instrument, number(f.Channels), number(f.Rows), times.optional(f.From),
			times.optional(f.To), number(f.Accepted), number(f.Rejected))
	}
	return g
}
