package peer

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/hokan-db/hokan/bench/workload"
)

var influxSubject = Subject{
	ID: "influxdb", Name: "InfluxDB 1 server", Server: true, Counterpart: hokanServerID, SlowToSettle: true,
	Settings: "defaults; line protocol, InfluxQL; each write is synced before it is acknowledged; " +
		"it cannot be told to compact: to settle it is started again to compact shards that rest for 1 s, and given until its files stay as they are",
	Writers: inFlight, Columns: 1,
	Version: influxVersion,
	Open:    func(o Options) (Store, error) { return openInflux(o, "10m", "4h") },
	Size:    sizeBy(influxPart),
}

func influxVersion() (string, error) {
	path, err := program("INFLUX_BIN", "influxd")
	if err != nil {
		return "", err
	}
	said, err := exec.Command(path, "version").Output()
	if err != nil {
		return "", fmt.Errorf("%s version: %w", path, err)
	}
	version, _, _ := strings.Cut(strings.TrimSpace(string(said)), " (")
	return version, nil
}

type influx struct {
	*server
	options  Options
	prefixes []string  // of each channel's lines
	buffers  sync.Pool // of *[]byte
}

// influxConfig has the folders, the addresses and the two durations after
// which a shard that rests is written out and compacted.
const influxConfig = `reporting-disabled = true
bind-address = %[2]q
[meta]
  dir = "%[1]s/meta"
[data]
  dir = "%[1]s/data"
  wal-dir = "%[1]s/wal"
  query-log-enabled = false
  cache-snapshot-write-cold-duration = %[4]q
  compact-full-write-cold-duration = %[5]q
[monitor]
  store-enabled = false
[http]
  bind-address = %[3]q
  log-enabled = false
  max-body-size = 0
`

// openInflux starts the server. A shard that was not written to for the
// duration cold is written out, and for full compacted.
func openInflux(o Options, cold, full string) (Store, error) {
	path, err := program("INFLUX_BIN", "influxd")
	if err != nil {
		return nil, err
	}
	backup, err := freePort()
	if err != nil {
		return nil, err
	}
	address, err := freePort()
	if err != nil {
		return nil, err
	}
	config := o.Dir + ".conf"
	if err := os.WriteFile(config, fmt.Appendf(nil, influxConfig, o.Dir, backup, address, cold, full), 0o644); err != nil {
		return nil, err
	}
	f := &influx{options: o, buffers: sync.Pool{New: func() any { return new([]byte) }}}
	if f.server, err = startServer(address, "/ping", o.Dir, path, "run", "-config", config); err != nil {
		return nil, err
	}
	for i := range o.Channels {
		f.prefixes = append(f.prefixes, "m,inst="+workload.Instrument(i)+",ch="+workload.Name(i)+" v=")
	}
	return f, f.post("/query", url.Values{"q": {"CREATE DATABASE bench"}}, nil)
}

func (f *influx) line(b []byte, channel int, t int64, v float64) []byte {
	b = append(b, f.prefixes[channel]...)
	b = strconv.AppendFloat(b, v, 'g', -1, 64)
	b = append(b, ' ')
	return append(strconv.AppendInt(b, t, 10), '\n')
}

var influxWrite = url.Values{"db": {"bench"}, "precision": {"ms"}}

func (f *influx) Append(rows []workload.Row) error {
	buffer := f.buffers.Get().(*[]byte)
	defer f.buffers.Put(buffer)
	b := (*buffer)[:0]
	for i := range rows {
		b = f.line(b, rows[i].Channel, rows[i].Time, rows[i].Value)
	}
	*buffer = b
	return f.post("/write", influxWrite, b)
}

func (f *influx) Backfill(columns []Column) error {
	buffer := f.buffers.Get().(*[]byte)
	defer f.buffers.Put(buffer)
	b := (*buffer)[:0]
	for _, c := range columns {
		for i, t := range c.Times {
			b = f.line(b, c.Channel, t, c.Values[i])
		}
	}
	*buffer = b
	return f.post("/write", influxWrite, b)
}

func (f *influx) EndWindow() error { return nil }

// Settle restarts the server so that it compacts what rests, waits until its
// files stay unchanged, and starts it as it was.
func (f *influx) Settle() error {
	if f.options.Settle == 0 {
		return nil
	}
	if err := f.Close(); err != nil {
		return err
	}
	settling, err := openInflux(f.options, "1s", "1s")
	if err != nil {
		return err
	}
	if err := errors.Join(settled(f.options.Dir, f.options.Settle), settling.Close()); err != nil {
		return err
	}
	again, err := openInflux(f.options, "10m", "4h")
	if err != nil {
		return err
	}
	f.server = again.(*influx).server
	return nil
}

// settled waits until the folder's length was the same for so many seconds: by
// then what rests in the log has been written out. The log's last file stays,
// though all that it holds is in others.
func settled(dir string, seconds int) error {
	poll := time.NewTicker(time.Second)
	defer poll.Stop()
	last := int64(-1)
	for same := 0; same < seconds; same++ {
		<-poll.C
		total, err := FolderBytes(dir)
		if err != nil {
			return err
		}
		if total != last {
			last, same = total, -1
		}
	}
	return nil
}

func (f *influx) query(text string) url.Values {
	return url.Values{"db": {"bench"}, "epoch": {"ms"}, "chunked": {"true"}, "q": {text}}
}

func (f *influx) View(channels []int, from, to int64, buckets int) (View, error) {
	step := (width(from, to, buckets) + 999) / 1000
	answer, err := f.get("/query", url.Values{"db": {"bench"}, "epoch": {"ms"}, "q": {fmt.Sprintf(
		"SELECT min(v),max(v),mean(v) FROM m WHERE time >= %dms AND time < %dms AND inst =~ /^(%s)$/ GROUP BY time(%ds,%ds),inst,ch",
		from, to, instruments(channels), step, from/1000%step)}})
	return View{Channels: bytes.Count(answer, []byte(`"tags"`)), Bytes: len(answer)}, err
}

func (f *influx) rows(channels []int, from, to int64) url.Values {
	where := fmt.Sprintf("time >= %dms AND time < %dms", max(from, 0), min(to, f.options.Now+1))
	if len(channels) < f.options.Channels {
		where += " AND inst =~ /^(" + instruments(channels) + ")$/"
	}
	return f.query("SELECT v FROM m WHERE " + where + " GROUP BY inst,ch")
}

// Raw reads lines of the form name,"ch=c00,inst=i00000",time,value.
func (f *influx) Raw(channels []int, from, to int64, visit Visit) error {
	body, err := f.do("GET", "/query", f.rows(channels, from, to), nil, "Accept", "application/csv")
	if err != nil {
		return err
	}
	defer body.Close()
	wanted := byNames(channels)
	var times [1]int64
	var values [1]float64
	lines := bufio.NewScanner(body)
	for lines.Scan() {
		tags, rest, ok := strings.Cut(strings.TrimPrefix(lines.Text(), `m,"ch=`), `",`)
		name, instrument, tagged := strings.Cut(tags, ",inst=")
		at, value, both := strings.Cut(rest, ",")
		if !ok || !tagged || !both {
			continue // the heading, or an empty line
		}
		channel, ok := wanted[instrument+name]
		if !ok {
			continue
		}
		var failed [2]error
		times[0], failed[0] = strconv.ParseInt(at, 10, 64)
		values[0], failed[1] = strconv.ParseFloat(value, 64)
		if err := errors.Join(failed[:]...); err != nil {
			return err
		}
		if err := visit(channel, times[:], values[:]); err != nil {
			return err
		}
	}
	return lines.Err()
}

// Answer writes CSV.
func (f *influx) Answer(w io.Writer, channels []int, from, to int64) error {
	return f.Export(w, channels, from, to)
}

func (f *influx) Latest(channels []int) (int, error) {
	answer, err := f.get("/query", f.query("SELECT last(v) FROM m GROUP BY inst,ch"))
	return min(bytes.Count(answer, []byte(`"tags"`)), len(channels)), err
}

func (f *influx) Export(w io.Writer, channels []int, from, to int64) error {
	return f.copyTo(w, "/query", f.rows(channels, from, to), "Accept", "application/csv")
}

// Count reads the answer's one row, [time,count].
func (f *influx) Count() (int64, error) {
	answer, err := f.get("/query", url.Values{"db": {"bench"}, "epoch": {"ms"}, "q": {"SELECT count(v) FROM m"}})
	if err != nil {
		return 0, err
	}
	_, number, _ := bytes.Cut(answer, []byte(`"values":[[`))
	_, number, _ = bytes.Cut(number, []byte(","))
	number, _, found := bytes.Cut(number, []byte("]"))
	if !found {
		return 0, nil // no samples at all
	}
	return strconv.ParseInt(string(number), 10, 64)
}

// influxPart tells compacted samples from the file of series and the log.
func influxPart(path string) part {
	switch {
	case filepath.Ext(path) == ".tsm":
		return partRaw // with the files' own index
	case strings.Contains(path, "/_series/"):
		return partIndex
	}
	return partOther
}
