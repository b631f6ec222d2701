package peer

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"math"
	"path/filepath"
	"runtime/debug"

	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/storage"
	"github.com/prometheus/prometheus/tsdb"
	"github.com/prometheus/prometheus/tsdb/chunkenc"
	"github.com/prometheus/prometheus/util/compression"

	"github.com/hokan-db/hokan/bench/workload"
)

const (
	// metricLabel holds the name of a metric, for Prometheus and VictoriaMetrics.
	metricLabel = "__name__"
	hour        = int64(3_600_000)
	// prometheusBlock is the longest block that the Prometheus server makes.
	prometheusBlock = 31 * 24 * hour
	// prometheusCommit is after how many samples promtool commits a backfill.
	prometheusCommit = 5000
	// prometheusHead is how much time a head holds before its first two hours
	// become a block.
	prometheusHead = 3 * hour
	// lookback is how far back from now an instant query finds a sample.
	lookback = 300_000
)

var prometheusSubject = Subject{
	ID: "prometheus", Name: "Prometheus TSDB, in process", Counterpart: hokanID,
	Settings: "blocks of 2 hours to 31 days, WAL compressed with snappy, no retention, nothing out of order; " +
		"compaction runs in step with the data; a backfill is a BlockWriter per 31 days as in promtool; " +
		"one writer, as samples of a channel must come in order; its WAL is written but not synced before it acknowledges",
	Writers: 1, Columns: 1, Window: prometheusBlock,
	Version: func() (string, error) { return moduleVersion("github.com/prometheus/prometheus"), nil },
	Open:    openPrometheus,
	Size:    sizeBy(prometheusPart),
}

// moduleVersion is the version of a dependency that this program is built with.
func moduleVersion(path string) string {
	if info, ok := debug.ReadBuildInfo(); ok {
		for _, m := range info.Deps {
			if m.Path == path {
				return m.Version
			}
		}
	}
	return "unknown"
}

type prometheus struct {
	inThisProcess
	dir        string
	db         *tsdb.DB
	labels     []labels.Labels
	references []storage.SeriesRef
	now        int64
	headStart  int64 // the time from which on the head holds samples; 0: not known

	backfill    *tsdb.BlockWriter
	appender    storage.Appender
	uncommitted int
	unknown     bool // there are blocks that db does not know of
}

func quiet() *slog.Logger { return slog.New(slog.NewTextHandler(io.Discard, nil)) }

func openPrometheus(o Options) (Store, error) {
	p := &prometheus{dir: o.Dir, now: o.Now,
		labels: make([]labels.Labels, o.Channels), references: make([]storage.SeriesRef, o.Channels)}
	if err := p.open(); err != nil {
		return nil, err
	}
	for i := range p.labels {
		p.labels[i] = labels.FromStrings(metricLabel, "m", "ch", workload.Name(i), "inst", workload.Instrument(i))
	}
	return p, nil
}

func (p *prometheus) open() (err error) {
	options := tsdb.DefaultOptions()
	options.RetentionDuration = 0
	options.MaxBlockDuration = prometheusBlock
	options.WALCompression = compression.Snappy
	if p.db, err = tsdb.Open(p.dir, quiet(), nil, options, nil); err != nil {
		return fmt.Errorf("open Prometheus TSDB: %w", err)
	}
	p.db.DisableCompactions() // compactHead does it
	return nil
}

func (p *prometheus) Append(rows []workload.Row) error {
	appender := p.db.Appender(context.Background())
	for i := range rows {
		r := &rows[i]
		reference, err := appender.Append(p.references[r.Channel], p.labels[r.Channel], r.Time, r.Value)
		if err != nil {
			return fmt.Errorf("append: %w", err)
		}
		p.references[r.Channel] = reference
	}
	if err := appender.Commit(); err != nil {
		return err
	}
	return p.compactHead(rows[len(rows)-1].Time)
}

// compactHead compacts when the head is full. Live, a timer does that; here the
// samples come thousands of times faster than the clock.
func (p *prometheus) compactHead(now int64) error {
	if p.headStart == 0 {
		p.headStart = now
	}
	if now-p.headStart <= prometheusHead+workload.Step {
		return nil
	}
	if err := p.db.Compact(context.Background()); err != nil {
		return err
	}
	p.headStart = p.db.Head().MinTime()
	return nil
}

func (p *prometheus) Backfill(columns []Column) error {
	if p.backfill == nil {
		var err error
		// Of twice the length, so that no sample of the window is too old.
		if p.backfill, err = tsdb.NewBlockWriter(quiet(), p.dir, 2*prometheusBlock); err != nil {
			return err
		}
		p.appender = p.backfill.Appender(context.Background())
	}
	for _, c := range columns {
		var reference storage.SeriesRef
		for i, t := range c.Times {
			var err error
			if reference, err = p.appender.Append(reference, p.labels[c.Channel], t, c.Values[i]); err != nil {
				return fmt.Errorf("backfill: %w", err)
			}
		}
		p.uncommitted += len(c.Times)
	}
	if p.uncommitted < prometheusCommit {
		return nil
	}
	p.uncommitted = 0
	if err := p.appender.Commit(); err != nil {
		return err
	}
	p.appender = p.backfill.Appender(context.Background())
	return nil
}

func (p *prometheus) EndWindow() error {
	if p.backfill == nil {
		return nil
	}
	if err := p.appender.Commit(); err != nil {
		return err
	}
	_, err := p.backfill.Flush(context.Background())
	closing := p.backfill.Close()
	p.backfill, p.uncommitted, p.unknown = nil, 0, true
	if err != nil {
		return err
	}
	return closing
}

// Settle makes blocks of the head and compacts all. Blocks that were backfilled
// are found by opening the folder again, as a server's timer would find them.
func (p *prometheus) Settle() error {
	if p.unknown {
		if err := p.db.Close(); err != nil {
			return err
		}
		if err := p.open(); err != nil {
			return err
		}
		p.unknown = false
	}
	ctx := context.Background()
	if err := p.db.Compact(ctx); err != nil {
		return err
	}
	head := p.db.Head()
	if head.NumSeries() > 0 && head.MinTime() != math.MaxInt64 && head.MaxTime() >= head.MinTime() {
		if err := p.db.CompactHead(tsdb.NewRangeHead(head, head.MinTime(), head.MaxTime())); err != nil {
			return err
		}
	}
	return p.db.Compact(ctx)
}

// scan visits the series of each channel.
func (p *prometheus) scan(channels []int, from, to int64, visit func(channel int, it chunkenc.Iterator) error) error {
	querier, err := p.db.Querier(from, to-1)
	if err != nil {
		return err
	}
	defer querier.Close()
	var it chunkenc.Iterator
	for _, channel := range channels {
		found := querier.Select(context.Background(), false, nil,
			labels.MustNewMatcher(labels.MatchEqual, metricLabel, "m"),
			labels.MustNewMatcher(labels.MatchEqual, "inst", workload.Instrument(channel)),
			labels.MustNewMatcher(labels.MatchEqual, "ch", workload.Name(channel)))
		for found.Next() {
			it = found.At().Iterator(it)
			if err := visit(channel, it); err != nil {
				return err
			}
			if err := it.Err(); err != nil {
				return err
			}
		}
		if err := found.Err(); err != nil {
			return err
		}
	}
	return nil
}

func (p *prometheus) View(channels []int, from, to int64, buckets int) (View, error) {
	var view View
	err := p.scan(channels, from, to, func(_ int, it chunkenc.Iterator) error {
		r := newReducer(from, to, buckets)
		for it.Next() == chunkenc.ValFloat {
			r.add(it.At())
		}
		r.flush()
		view.Buckets = append(view.Buckets, r.buckets)
		view.Channels++
		return nil
	})
	return view, err
}

// pieceRows is how many samples are handed out at once where the store itself
// hands them out one by one.
const pieceRows = 4096

func (p *prometheus) Raw(channels []int, from, to int64, visit Visit) error {
	times, values := make([]int64, 0, pieceRows), make([]float64, 0, pieceRows)
	return p.scan(channels, from, to, func(channel int, it chunkenc.Iterator) error {
		times, values = times[:0], values[:0]
		for it.Next() == chunkenc.ValFloat {
			t, v := it.At()
			times, values = append(times, t), append(values, v)
			if len(times) == pieceRows {
				if err := visit(channel, times, values); err != nil {
					return err
				}
				times, values = times[:0], values[:0]
			}
		}
		if len(times) == 0 {
			return nil
		}
		return visit(channel, times, values)
	})
}

// Latest reads what an instant query reads: the samples of the last five
// minutes, of all series at once.
func (p *prometheus) Latest(channels []int) (int, error) {
	querier, err := p.db.Querier(p.now-lookback, p.now)
	if err != nil {
		return 0, err
	}
	defer querier.Close()
	found := querier.Select(context.Background(), false, nil, labels.MustNewMatcher(labels.MatchEqual, metricLabel, "m"))
	var it chunkenc.Iterator
	told := 0
	for found.Next() {
		it = found.At().Iterator(it)
		newest := int64(math.MinInt64)
		for it.Next() == chunkenc.ValFloat {
			newest, _ = it.At()
		}
		if newest != math.MinInt64 && told < len(channels) {
			told++
		}
	}
	return told, found.Err()
}

func (p *prometheus) Export(w io.Writer, channels []int, from, to int64) error {
	return exportRaw(p, w, channels, from, to, shortest)
}

func (p *prometheus) Count() (int64, error) {
	return countRaw(p, len(p.labels))
}

func (p *prometheus) Close() error { return p.db.Close() }

// prometheusPart tells the files of blocks from the log, tombstones and
// meta.json.
func prometheusPart(path string) part {
	switch {
	case filepath.Base(filepath.Dir(path)) == "chunks":
		return partRaw
	case filepath.Base(path) == "index":
		return partIndex
	}
	return partOther
}
