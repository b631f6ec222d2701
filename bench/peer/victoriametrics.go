package peer

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/klauspost/compress/snappy"

	"github.com/hokan-db/hokan/bench/workload"
)

var victoriaSubject = Subject{
	ID: "victoriametrics", Name: "VictoriaMetrics server", Server: true, Counterpart: hokanServerID,
	Settings: "retention 100 years, otherwise defaults; live samples by remote write, backfill by JSON import, " +
		"views by rollup() over HTTP; it acknowledges from memory and writes to disk later",
	Writers: inFlight, Columns: 1,
	Version: victoriaVersion,
	Open:    openVictoria,
	Size:    sizeBy(victoriaPart),
}

// program finds an executable: the one that a variable names, or else the one
// in PATH.
func program(variable, name string) (string, error) {
	if named := os.Getenv(variable); named != "" {
		return named, nil
	}
	path, err := exec.LookPath(name)
	if err != nil {
		return "", fmt.Errorf("%w: no %s in PATH, and %s names none", ErrNotThere, name, variable)
	}
	return path, nil
}

const victoriaFlag = "-version"

func victoriaVersion() (string, error) {
	path, err := program("VM_BIN", "victoria-metrics")
	if err != nil {
		return "", err
	}
	said, err := exec.Command(path, victoriaFlag).CombinedOutput()
	if err != nil {
		return "", fmt.Errorf("%s %s: %w", path, victoriaFlag, err)
	}
	if text := strings.TrimSpace(string(said)); text != "" {
		return text, nil
	}
	return packaged("victoria-metrics"), nil
}

// packaged is the version of a Debian package, for a program that does not
// know its own.
func packaged(name string) string {
	said, err := exec.Command("dpkg-query", "--show", "--showformat=${Version}", name).Output()
	if err != nil {
		return "version unknown"
	}
	return string(said) + " (Debian)"
}

type victoria struct {
	*server
	dir      string
	now      int64
	channels int
	labels   [][]byte  // of each channel, as remote write has them
	buffers  sync.Pool // of *[2][]byte: a request before and after compression
}

func openVictoria(o Options) (Store, error) {
	path, err := program("VM_BIN", "victoria-metrics")
	if err != nil {
		return nil, err
	}
	address, err := freePort()
	if err != nil {
		return nil, err
	}
	v := &victoria{dir: o.Dir, now: o.Now, channels: o.Channels, buffers: sync.Pool{New: func() any { return new([2][]byte) }}}
	v.server, err = startServer(address, "/health", o.Dir, path, "-storageDataPath="+o.Dir, "-httpListenAddr="+address,
		"-retentionPeriod=100y", "-search.maxSamplesPerQuery=2000000000", "-loggerLevel=WARN")
	if err != nil {
		return nil, err
	}
	for i := range o.Channels {
		v.labels = append(v.labels, remoteLabels(i))
	}
	return v, nil
}

// remoteLabels are the labels of a channel as fields 1 of a TimeSeries message
// of remote write, each a Label with the fields 1, its name, and 2, its value.
func remoteLabels(channel int) (b []byte) {
	text := func(b []byte, field byte, s string) []byte {
		return append(append(b, field<<3|2, byte(len(s))), s...)
	}
	for _, l := range [][2]string{{metricLabel, "m"}, {"ch", workload.Name(channel)}, {"inst", workload.Instrument(channel)}} {
		label := string(text(text(nil, 1, l[0]), 2, l[1]))
		b = text(b, 1, label)
	}
	return b
}

// Append sends a WriteRequest: a TimeSeries as field 1 for each row, with a
// Sample as its field 2.
func (v *victoria) Append(rows []workload.Row) error {
	buffers := v.buffers.Get().(*[2][]byte)
	defer v.buffers.Put(buffers)
	b := buffers[0][:0]
	for i := range rows {
		r := &rows[i]
		var sample [24]byte
		sample[0] = 1<<3 | 1
		binary.LittleEndian.PutUint64(sample[1:], math.Float64bits(r.Value))
		sample[9] = 2 << 3
		n := 10 + binary.PutUvarint(sample[10:], uint64(r.Time))
		b = append(b, 1<<3|2)
		b = binary.AppendUvarint(b, uint64(len(v.labels[r.Channel])+2+n))
		b = append(b, v.labels[r.Channel]...)
		b = append(append(b, 2<<3|2, byte(n)), sample[:n]...)
	}
	buffers[0] = b
	buffers[1] = snappy.Encode(buffers[1][:cap(buffers[1])], b)
	return v.post("/api/v1/write", nil, buffers[1], "Content-Encoding", "snappy", "Content-Type", "application/x-protobuf")
}

func (v *victoria) Backfill(columns []Column) error {
	buffers := v.buffers.Get().(*[2][]byte)
	defer v.buffers.Put(buffers)
	b := buffers[0][:0]
	for _, c := range columns {
		b = appendSeries(b, c)
	}
	buffers[0] = b
	return v.post("/api/v1/import", nil, b)
}

// appendSeries writes a line of JSON import.
func appendSeries(b []byte, c Column) []byte {
	b = fmt.Appendf(b, `{"metric":{"__name__":"m","inst":%q,"ch":%q},"values":[`, workload.Instrument(c.Channel), workload.Name(c.Channel))
	for i, value := range c.Values {
		if i > 0 {
			b = append(b, ',')
		}
		b = strconv.AppendFloat(b, value, 'g', -1, 64)
	}
	b = append(b, `],"timestamps":[`...)
	for i, t := range c.Times {
		if i > 0 {
			b = append(b, ',')
		}
		b = strconv.AppendInt(b, t, 10)
	}
	return append(b, "]}\n"...)
}

func (v *victoria) EndWindow() error { return nil }

// Settle flushes, asks for a merge and waits until none runs.
func (v *victoria) Settle() error {
	for _, path := range []string{"/internal/force_flush", "/internal/force_merge"} {
		if _, err := v.get(path, nil); err != nil {
			return err
		}
	}
	poll := time.NewTicker(200 * time.Millisecond)
	defer poll.Stop()
	for idle := 0; idle < 2; idle++ { // a merge may not have begun yet
		<-poll.C
		metrics, err := v.get("/metrics", nil)
		if err != nil {
			return err
		}
		if merging(string(metrics)) {
			idle = -1
		}
	}
	return nil
}

func merging(metrics string) bool {
	for line := range strings.Lines(metrics) {
		if (strings.HasPrefix(line, "vm_active_force_merges") || strings.HasPrefix(line, "vm_active_merges")) &&
			!strings.HasSuffix(strings.TrimSpace(line), " 0") {
			return true
		}
	}
	return false
}

// instruments is a pattern of the instruments that channels belong to. What is
// asked of a server is asked of whole instruments.
func instruments(channels []int) string {
	var names []string
	for _, channel := range channels {
		if name := workload.Instrument(channel); len(names) == 0 || names[len(names)-1] != name {
			names = append(names, name)
		}
	}
	return strings.Join(names, "|")
}

func seconds(milliseconds int64) string {
	return strconv.FormatFloat(float64(milliseconds)/1000, 'f', 3, 64)
}

func (v *victoria) View(channels []int, from, to int64, buckets int) (View, error) {
	step := (width(from, to, buckets) + 999) / 1000
	answer, err := v.get("/api/v1/query_range", url.Values{
		"query": {fmt.Sprintf(`rollup(m{inst=~%q}[%ds])`, instruments(channels), step)},
		"start": {seconds(from + step*1000)}, "end": {seconds(from + int64(buckets)*step*1000)},
		"step": {fmt.Sprint(step, "s")}, "nocache": {"1"},
	})
	return View{Channels: bytes.Count(answer, []byte(`"rollup":"avg"`)), Bytes: len(answer)}, err
}

// selected is the query of an export.
func (v *victoria) selected(channels []int, from, to int64) url.Values {
	match := "m"
	if len(channels) < v.channels {
		match = fmt.Sprintf(`m{inst=~%q}`, instruments(channels))
	}
	return url.Values{"match[]": {match}, "start": {seconds(max(from, 0))}, "end": {seconds(min(to-1, v.now))}}
}

func (v *victoria) Raw(channels []int, from, to int64, visit Visit) error {
	body, err := v.do("GET", "/api/v1/export", v.selected(channels, from, to), nil)
	if err != nil {
		return err
	}
	defer body.Close()
	wanted := byNames(channels)
	for lines := bufio.NewReaderSize(body, 1<<20); ; {
		line, err := lines.ReadBytes('\n')
		if len(line) > 1 {
			var series struct {
				Metric     struct{ Inst, Ch string }
				Values     []float64
				Timestamps []int64
			}
			if err := json.Unmarshal(line, &series); err != nil {
				return err
			}
			if channel, ok := wanted[series.Metric.Inst+series.Metric.Ch]; ok {
				if err := visit(channel, series.Timestamps, series.Values); err != nil {
					return err
				}
			}
		}
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
	}
}

// Answer writes lines of JSON, one for each channel.
func (v *victoria) Answer(w io.Writer, channels []int, from, to int64) error {
	return v.copyTo(w, "/api/v1/export", v.selected(channels, from, to))
}

// byNames finds channels by instrument and name together.
func byNames(channels []int) map[string]int {
	wanted := make(map[string]int, len(channels))
	for _, channel := range channels {
		wanted[workload.Instrument(channel)+workload.Name(channel)] = channel
	}
	return wanted
}

func (v *victoria) Latest(channels []int) (int, error) {
	answer, err := v.get("/api/v1/query", url.Values{"query": {"m"}, "time": {seconds(v.now)}, "nocache": {"1"}})
	return min(bytes.Count(answer, []byte(`"metric"`)), len(channels)), err
}

func (v *victoria) Export(w io.Writer, channels []int, from, to int64) error {
	query := v.selected(channels, from, to)
	query.Set("format", "inst,ch,__timestamp__:unix_ms,__value__")
	return v.copyTo(w, "/api/v1/export/csv", query)
}

func (v *victoria) Count() (int64, error) { return countRaw(v, v.channels) }

// victoriaPart tells the files of parts, of samples and of labels (indexdb).
func victoriaPart(path string) part {
	switch filepath.Base(path) {
	case "values.bin", "timestamps.bin":
		return partRaw
	case "index.bin", "metaindex.bin", "items.bin", "lens.bin":
		return partIndex
	}
	return partOther
}
