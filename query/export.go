package query

import (
	"archive/zip"
	"context"
	"io"
	"sort"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/klauspost/compress/flate"

	"github.com/hokan-db/hokan/engine"
	"github.com/hokan-db/hokan/engine/model"
	"github.com/hokan-db/hokan/engine/policy"
)

// ExportRequest asks for samples as CSV.
type ExportRequest struct {
	Scope
	Window
	Zone *time.Location // of the time column; nil: UTC
	Made time.Time      // the time of the file in the archive; zero: none
}

// Export is an export that is ready to be written: what can be refused has
// been.
type Export struct {
	channels  []model.Channel
	zone      *time.Location
	made      time.Time
	selection *engine.Selection // nil: no row can lie in the span
	done      ExportCounts
	// Progress, if set, is called now and then while writing.
	Progress func(ExportCounts)
}

// ExportCounts says how much has been written.
type ExportCounts struct {
	Channels int
	Rows     int64
	CSVBytes int64 // before zip
}

// NewExport chooses the channels and takes a snapshot of their samples. The
// caller must Close it.
func NewExport(ctx context.Context, db *engine.DB, r ExportRequest) (*Export, error) {
	span, err := r.Bounds()
	if err != nil {
		return nil, err
	}
	channels, _, err := r.Scope.channels(ctx, db, policy.ExportChannels.Default)
	if err != nil {
		return nil, err
	}
	sort.SliceStable(channels, func(i, j int) bool {
		return channels[i].Labels.Instrument() < channels[j].Labels.Instrument()
	})
	e := &Export{channels: channels, zone: r.Zone, made: r.Made, done: ExportCounts{Channels: len(channels)}}
	if e.zone == nil {
		e.zone = time.UTC
	}
	if span.Empty() {
		return e, nil
	}
	e.selection, err = db.Select(ctx, r.Tenant, idsOf(channels), span)
	return e, err
}

// Close lets go of the snapshot.
func (e *Export) Close() {
	if e.selection != nil {
		e.selection.Close()
	}
}

// Counts returns what has been written so far.
func (e *Export) Counts() ExportCounts { return e.done }

// WriteZip writes a zip archive with the one file samples.csv.
func (e *Export) WriteZip(ctx context.Context, w io.Writer) error {
	archive := zip.NewWriter(w)
	archive.RegisterCompressor(zip.Deflate, func(out io.Writer) (io.WriteCloser, error) {
		return flate.NewWriter(out, flate.BestSpeed)
	})
	header := &zip.FileHeader{Name: "samples.csv", Method: zip.Deflate}
	if y := e.made.Year(); y >= 1980 && y < 2100 { // what the archive can say
		header.Modified = e.made.In(e.zone)
	}
	file, err := archive.CreateHeader(header)
	if err != nil {
		return err
	}
	if err := e.writeCSV(ctx, file); err != nil {
		return err
	}
	return archive.Close()
}

// WriteHOK writes a file in the format HOK, which a database can import bit for
// bit. Without rows it is engine.ErrEmpty.
func (e *Export) WriteHOK(ctx context.Context, w io.Writer) error {
	if e.selection == nil {
		return engine.ErrEmpty
	}
	_, err := e.selection.WriteHOK(ctx, w, e.channels, func(rows int64) {
		e.done.Rows = rows
		if e.Progress != nil {
			e.Progress(e.done)
		}
	})
	return err
}

// exportBuffer is how many bytes of CSV are collected before they are written.
const exportBuffer = 64 << 10

// writeCSV writes UTF-8 with BOM, lines that end in CRLF: a header, then one
// row per time.
func (e *Export) writeCSV(ctx context.Context, w io.Writer) error {
	buffer := e.appendHeader(make([]byte, 0, exportBuffer+exportBuffer/4))
	flush := func() error {
		n, err := w.Write(buffer)
		e.done.CSVBytes += int64(n)
		buffer = buffer[:0]
		if e.Progress != nil {
			e.Progress(e.done)
		}
		return err
	}
	if e.selection == nil {
		return flush()
	}
	joined, err := newJoin(e.selection, len(e.channels))
	if err != nil {
		return err
	}
	times := NewTimeFormatter(e.zone)
	values, present := make([]float64, len(e.channels)), make([]bool, len(e.channels))
	for {
		if err := calledOff(ctx, int(e.done.Rows)); err != nil {
			return err
		}
		t, more, err := joined.next(values, present)
		if err != nil {
			return err
		}
		if !more {
			return flush()
		}
		buffer = times.Append(buffer, t)
		for i, v := range values {
			buffer = append(buffer, ',')
			if present[i] {
				buffer = AppendText(buffer, v)
			}
		}
		buffer = append(buffer, '\r', '\n')
		e.done.Rows++
		if len(buffer) >= exportBuffer {
			if err := flush(); err != nil {
				return err
			}
		}
	}
}

// byteOrderMark tells spreadsheets that the text is UTF-8.
const byteOrderMark = "\uFEFF"

func (e *Export) appendHeader(dst []byte) []byte {
	dst = append(dst, byteOrderMark...)
	dst = appendCell(dst, "time["+e.zone.String()+"]")
	for i := range e.channels {
		c := &e.channels[i]
		dst = append(dst, ',')
		dst = appendCell(dst, inert(ColumnName(c)))
	}
	return append(dst, '\r', '\n')
}

// ColumnName is how a channel is called in the header of a table for people:
// INSTRUMENT/CHANNEL[UNIT], without the brackets where it has no unit.
func ColumnName(c *model.Channel) string {
	name := c.Labels.Instrument() + "/" + c.Labels.Channel()
	if unit := c.History.Current().Unit; unit != "" {
		name += "[" + unit + "]"
	}
	return name
}

// inert returns a name that no spreadsheet takes for a formula: who may write
// samples chooses names, and others open the file. Cells below the header hold
// numbers, times and words of ours alone.
func inert(name string) string {
	if first, _ := utf8.DecodeRuneInString(name); strings.ContainsRune("=+-@\t\r\n＝＋－＠", first) {
		return "'" + name
	}
	return name
}

// appendCell appends text as one cell of CSV, quoted where it must be.
func appendCell(dst []byte, text string) []byte {
	if !strings.ContainsAny(text, ",\"\r\n") && strings.TrimSpace(text) == text {
		return append(dst, text...)
	}
	dst = append(dst, '"')
	dst = append(dst, strings.ReplaceAll(text, `"`, `""`)...)
	return append(dst, '"')
}
