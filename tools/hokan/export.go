package main

import (
	"archive/zip"
	"bufio"
	"context"
	"encoding/csv"
	"errors"
	"fmt"
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
	return c.with(t, func(from source) error {
		e, err := from.export(t.ctx, api.ExportRequest{
			Selection: api.Selection{Match: c.Selector, From: c.From, To: c.To, Unit: c.Unit}, Format: c.Format, Zone: c.Zone,
		})
		if err != nil {
			return err
		}
		defer e.Close()
		bar := newBar(t, "export", -1)
		defer bar.finish()
		if c.Out == "-" {
			return e.WriteZip(t.ctx, t.stdout, bar.set)
		}
		if err := writeFile(c.Out, func(w io.Writer) error { return e.WriteZip(t.ctx, w, bar.set) }); err != nil {
			return writeError(c.Out, err)
		}
		bar.finish()
		n, err := e.counts(c.Out)
		if err != nil {
			return err
		}
		return c.print(t, exported{c.Out, n.Channels, n.Rows, n.Bytes}, func() *grid {
			g := &grid{header: []string{"file", "channels", "rows", "bytes"}}
			g.add(c.Out, number(n.Channels), number(n.Rows), number(n.Bytes))
			return g
		})
	})
}

// archive is an export that is ready to be written.
type archive interface {
	// WriteZip writes it; progress is told bytes now and then.
	WriteZip(ctx context.Context, w io.Writer, progress func(bytes int64)) error
	// counts says what was written to the file of that name.
	counts(name string) (query.ExportCounts, error)
	Close()
}

// localArchive is an export from a folder.
type localArchive struct{ *query.Export }

func (l local) export(ctx context.Context, r api.ExportRequest) (archive, error) {
	e, err := l.api.Export(ctx, l.tenant, r)
	if err != nil {
		return nil, err
	}
	return localArchive{e}, nil
}

// WriteZip implements archive; bytes are of CSV.
func (a localArchive) WriteZip(ctx context.Context, w io.Writer, progress func(bytes int64)) error {
	a.Progress = func(n query.ExportCounts) { progress(n.Bytes) }
	return a.Export.WriteZip(ctx, w)
}

func (a localArchive) counts(string) (query.ExportCounts, error) { return a.Counts(), nil }

// remoteArchive is an export from a server.
type remoteArchive struct{ body io.ReadCloser }

func (r remote) export(ctx context.Context, request api.ExportRequest) (archive, error) {
	body, err := r.Export(ctx, request)
	if err != nil {
		return nil, err
	}
	return remoteArchive{body}, nil
}

// WriteZip implements archive; bytes are of the archive.
func (a remoteArchive) WriteZip(ctx context.Context, w io.Writer, progress func(bytes int64)) error {
	_, err := io.Copy(w, &progressReader{from: a.body, progress: progress})
	if cause := ctx.Err(); cause != nil {
		return cause
	}
	return err
}

// Close implements archive.
func (a remoteArchive) Close() { a.body.Close() }

// progressReader tells how much was read.
type progressReader struct {
	from     io.Reader
	read     int64
	progress func(bytes int64)
}

// Read implements io.Reader.
func (p *progressReader) Read(b []byte) (int, error) {
	n, err := p.from.Read(b)
	p.read += int64(n)
	p.progress(p.read)
	return n, err
}

// counts reads the archive: a server does not say what is in it.
func (a remoteArchive) counts(name string) (n query.ExportCounts, err error) {
	r, err := zip.OpenReader(name)
	if err != nil {
		return n, fmt.Errorf("%s: %w", name, err)
	}
	defer r.Close()
	f, err := r.Open("samples.csv")
	if err != nil {
		return n, fmt.Errorf("%s: %w", name, err)
	}
	defer f.Close()
	counted := &progressReader{from: f, progress: func(int64) {}}
	lines := csv.NewReader(counted)
	lines.ReuseRecord = true
	for {
		row, err := lines.Read()
		if err == io.EOF {
			n.Bytes, n.Rows = counted.read, n.Rows-1
			return n, nil
		}
		if err != nil {
			return n, fmt.Errorf("%s: %w", name, err)
		}
		n.Rows++
		n.Channels = len(row) - 1
	}
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
