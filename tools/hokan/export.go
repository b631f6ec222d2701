package main

import (
	"bufio"
	"errors"
	"io"
	"os"
	"syscall"

	"github.com/hokan-db/hokan/query"
	"github.com/hokan-db/hokan/server/api"
)

type exportCommand struct {
	tenantFlags
	outputFlags
	spanFlags
	Format string `enum:"csv" default:"csv" help:"csv: a zip archive with samples.csv."`
	Zone   string `placeholder:"Z" help:"IANA time zone of the time column (default UTC)."`
	Out    string `required:"" placeholder:"FILE" help:"The file to write; - is stdout."`
}

// Help gives examples.
func (c *exportCommand) Help() string {
	return `Examples:
  hokan export --data d --tenant t --format csv --zone Asia/Shanghai --out lake.zip '{instrument="lake"}'
  hokan export --data d --tenant t --format csv --from now-30d --out - | bsdtar -xOf -`
}

// exported is what is printed about an export: its body is the file.
type exported struct {
	File     string `json:"file"`
	Channels int    `json:"channels"`
	Rows     int64  `json:"rows"`
	Bytes    int64  `json:"bytes"` // of CSV, before zip
}

// Run implements the command.
func (c *exportCommand) Run(t *terminal) error {
	return c.with(t, func(db database) error {
		e, err := db.Export(t.ctx, db.tenant, api.ExportRequest{
			Selection: api.Selection{Match: c.Selector, From: c.From, To: c.To, Unit: c.Unit}, Format: c.Format, Zone: c.Zone,
		})
		if err != nil {
			return err
		}
		defer e.Close()
		bar := newBar(t, "export", -1)
		e.Progress = func(n query.ExportCounts) { bar.set(n.Bytes) }
		if c.Out == "-" {
			err = e.WriteZip(t.ctx, t.stdout)
			bar.finish()
			return err
		}
		err = writeFile(c.Out, func(w io.Writer) error { return e.WriteZip(t.ctx, w) })
		bar.finish()
		if err != nil {
			return writeError(c.Out, err)
		}
		n := e.Counts()
		return c.print(t, exported{c.Out, n.Channels, n.Rows, n.Bytes}, func() *grid {
			g := &grid{header: []string{"file", "channels", "rows", "bytes"}}
			g.add(c.Out, number(n.Channels), number(n.Rows), number(n.Bytes))
			return g
		})
	})
}

// writeError tells a full disk from other reasons.
func writeError(path string, err error) error {
	if errors.Is(err, syscall.ENOSPC) {
		return api.NewError("disk_full", "no room for "+path)
	}
	return err
}

// writeFile writes a file beside path and renames it when it is whole, so that
// nothing half done is left under the name. What is no regular file (a pipe, a
// device) is written as it is.
func writeFile(path string, write func(io.Writer) error) error {
	if info, err := os.Stat(path); err == nil && !info.Mode().IsRegular() {
		f, err := os.OpenFile(path, os.O_WRONLY, 0)
		if err != nil {
			return err
		}
		return fillFile(f, write)
	}
	part := path + ".part"
	f, err := os.Create(part)
	if err != nil {
		return err
	}
	if err = fillFile(f, write); err == nil {
		err = os.Rename(part, path)
	}
	if err != nil {
		os.Remove(part)
	}
	return err
}

func fillFile(f *os.File, write func(io.Writer) error) error {
	buffered := bufio.NewWriterSize(f, 256<<10)
	err := write(buffered)
	if err == nil {
		err = buffered.Flush()
	}
	if closing := f.Close(); err == nil {
		err = closing
	}
	return err
}
