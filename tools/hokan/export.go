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
	"path/filepath"
	"syscall"

	"github.com/hokan-db/hokan/query"
	"github.com/hokan-db/hokan/server/api"
)

type exportCommand struct {
	tenantFlags
	outputFlags
	spanFlags
	Format string `enum:"csv,hok" default:"csv" help:"csv: a zip archive with samples.csv; hok: a file that import takes bit for bit."`
	Zone   string `placeholder:"Z" help:"IANA time zone of the time column, or an offset such as +08:00 (default UTC)."`
	Out    string `required:"" placeholder:"FILE" help:"The file to write; - is stdout."`
}

// Help gives examples.
func (c *exportCommand) Help() string {
	return `Examples:
  hokan export --data d --tenant t --format csv --zone Asia/Shanghai --out lake.zip '{instrument="lake"}'
  hokan export --data d --tenant t --format csv --from now-30d --out - | bsdtar -xOf -
  hokan export --data d --tenant t --format hok --out lake.hok '{instrument="lake"}'`
}

// exported is what is printed about an export: its body is the file.
type exported struct {
	File     string `json:"file"`
	Channels int    `json:"channels"`
	Rows     int64  `json:"rows"`
	Bytes    int64  `json:"bytes"`     // of the file
	CSVBytes int64  `json:"csv_bytes"` // before zip
}

// Run implements the command.
func (c *exportCommand) Run(t *terminal) error {
	if c.Out == "" {
		return api.NewError("malformed", "--out is empty, want a file")
	}
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
			return e.WriteFile(t.ctx, t.stdout, bar.set)
		}
		size, err := writeFile(c.Out, func(w io.Writer) error { return e.WriteFile(t.ctx, w, bar.set) })
		if err != nil {
			return writeError(c.Out, err)
		}
		bar.finish()
		n, err := e.counts(c.Out)
		if err != nil {
			return err
		}
		return c.print(t, exported{c.Out, n.Channels, n.Rows, size, n.CSVBytes}, func() *grid {
			g := &grid{header: []string{"file", "channels", "rows", "bytes"}}
			g.add(c.Out, number(n.Channels), number(n.Rows), number(size))
			return g
		})
	})
}

// archive is an export that is ready to be written.
type archive interface {
	// WriteFile writes it; progress is told bytes, or rows, now and then.
	WriteFile(ctx context.Context, w io.Writer, progress func(bytes int64)) error
	// counts says what was written to the file of that name.
	counts(name string) (query.ExportCounts, error)
	Close()
}

// localArchive is an export from a folder.
type localArchive struct {
	*query.Export
	format string
}

func (l local) export(ctx context.Context, r api.ExportRequest) (archive, error) {
	e, err := l.api.Export(ctx, l.tenant, r)
	if err != nil {
		return nil, err
	}
	return localArchive{e, r.Format}, nil
}

// WriteFile implements archive; bytes are of CSV.
func (a localArchive) WriteFile(ctx context.Context, w io.Writer, progress func(bytes int64)) error {
	if a.format == formatHOK {
		a.Progress = func(n query.ExportCounts) { progress(n.Rows) }
		return a.WriteHOK(ctx, w)
	}
	a.Progress = func(n query.ExportCounts) { progress(n.CSVBytes) }
	return a.Export.WriteZip(ctx, w)
}

func (a localArchive) counts(string) (query.ExportCounts, error) { return a.Counts(), nil }

// remoteArchive is an export from a server.
type remoteArchive struct {
	body   io.ReadCloser
	format string
}

// formatHOK is the format that import takes bit for bit.
const formatHOK = "hok"

func (r remote) export(ctx context.Context, request api.ExportRequest) (archive, error) {
	body, err := r.Export(ctx, request)
	if err != nil {
		return nil, err
	}
	return remoteArchive{body, request.Format}, nil
}

// WriteFile implements archive; bytes are of the file.
func (a remoteArchive) WriteFile(ctx context.Context, w io.Writer, progress func(bytes int64)) error {
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
	if a.format == formatHOK {
		h, file, err := openHOK(name)
		if err != nil {
			return n, err
		}
		defer file.Close()
		n.Channels = len(h.Channels())
		n.Rows, _, _ = h.Rows()
		return n, nil
	}
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
			n.CSVBytes, n.Rows = counted.read, n.Rows-1
			return n, nil
		}
		if err != nil {
			return n, fmt.Errorf("%s: %w", name, err)
		}
		n.Rows++
		n.Channels = len(row) - 1
	}
}

// writeError says in whose hands it lies that the file cannot be written.
func writeError(path string, err error) error {
	switch {
	case errors.Is(err, syscall.EISDIR):
		return api.NewError("invalid", "--out "+path+" is a folder")
	case errors.Is(err, os.ErrNotExist):
		return api.NewError("not_found", "there is no folder "+filepath.Dir(path)+" to write --out to")
	case errors.Is(err, syscall.ENOTDIR):
		return api.NewError("not_found", filepath.Dir(path)+" is no folder to write --out to")
	case errors.Is(err, os.ErrPermission), errors.Is(err, syscall.EROFS):
		return api.NewError("read_only", "--out "+path+" cannot be written: "+reason(err))
	case errors.Is(err, syscall.ENOSPC), errors.Is(err, syscall.EDQUOT):
		return api.NewError("disk_full", "no room for "+path)
	}
	return err
}

// reason is what the operating system says, without the path.
func reason(err error) string {
	var of *os.PathError
	if errors.As(err, &of) {
		err = of.Err
	}
	return err.Error()
}

// counter counts what is written through it.
type counter struct {
	to      io.Writer
	written int64
}

// Write implements io.Writer.
func (c *counter) Write(p []byte) (int, error) {
	n, err := c.to.Write(p)
	c.written += int64(n)
	return n, err
}

// writeFile writes a file beside path and renames it when it is whole, so that
// nothing half done is left under the name. What is no regular file (a pipe, a
// device) is written as it is. It returns the size of the file.
func writeFile(path string, write func(io.Writer) error) (size int64, err error) {
	if info, err := os.Stat(path); err == nil && !info.Mode().IsRegular() {
		f, err := os.OpenFile(path, os.O_WRONLY, 0)
		if err != nil {
			return 0, err
		}
		return fillFile(f, write)
	}
	part := path + ".part"
	f, err := os.Create(part)
	if err != nil {
		return 0, err
	}
	if size, err = fillFile(f, write); err == nil {
		err = os.Rename(part, path)
	}
	if err != nil {
		os.Remove(part)
	}
	return size, err
}

func fillFile(f *os.File, write func(io.Writer) error) (size int64, err error) {
	counted := counter{to: f}
	buffered := bufio.NewWriterSize(&counted, 256<<10)
	if err = write(buffered); err == nil {
		err = buffered.Flush()
	}
	if closing := f.Close(); err == nil {
		err = closing
	}
	return counted.written, err
}
