// Package peer has the stores that are compared, each behind the same small
// interface: Prometheus and Hokan in this process, VictoriaMetrics, InfluxDB
// and Hokan as servers that are started for the purpose.
package peer

import (
	"errors"
	"io"
	"os"
	"syscall"

	"github.com/hokan-db/hokan/bench/workload"
)

// ErrNotThere says that a subject is not on this machine.
var ErrNotThere = errors.New("not there")

// Store is a subject that is open on a folder. Channels are numbered from 0;
// the store maps them to names with workload.Instrument and workload.Name.
// Times are milliseconds, spans half-open.
type Store interface {
	// Append writes live samples, which come from many channels in order of
	// time; nil acknowledges them. It is called by Subject.Writers goroutines.
	Append(rows []workload.Row) error
	// Backfill writes samples of at most Subject.Columns channels; nil
	// acknowledges them, or the next EndWindow does. It is called by
	// Subject.Writers goroutines.
	Backfill(columns []Column) error
	// EndWindow is called after every channel of a window was backfilled.
	EndWindow() error
	// Settle brings everything written into the form in which it stays:
	// flushed, merged, compacted.
	Settle() error
	// View reduces each channel to about so many buckets of minimum, maximum
	// and mean.
	View(channels []int, from, to int64, buckets int) (View, error)
	// Raw visits the samples of each channel in order of time, in pieces of any
	// length. The slices are valid during the call.
	Raw(channels []int, from, to int64, visit Visit) error
	// Latest returns how many of the channels told their newest sample.
	Latest(channels []int) (int, error)
	// Export writes samples as CSV in the form that the store has.
	Export(w io.Writer, channels []int, from, to int64) error
	// Count returns the number of samples stored.
	Count() (int64, error)
	// Process is the process whose memory and CPU are the store's.
	Process() int
	// Kill ends the store's process as kill -9 does. For a store in this process
	// it does not return.
	Kill() error
	// Close stops the store and leaves the folder as it is.
	Close() error
}

// Answerer is a Store over HTTP.
type Answerer interface {
	Store
	// Answer writes what the server answers when asked for samples of a day, as
	// it came: to parse it is the client's work.
	Answer(w io.Writer, channels []int, from, to int64) error
}

// inThisProcess is what all stores have in common that are not servers.
type inThisProcess struct{}

// Process is this one.
func (inThisProcess) Process() int { return os.Getpid() }

// Kill ends this process.
func (inThisProcess) Kill() error { return syscall.Kill(os.Getpid(), syscall.SIGKILL) }

// Column is samples of one channel that are written together. Columns whose
// clocks are equal share one Times slice.
type Column struct {
	Channel int
	Times   []int64
	Values  []float64
}

// Visit takes a piece of a channel's samples.
type Visit func(channel int, times []int64, values []float64) error

// Bucket is one reduced point of a view; where Count is 0 it is empty.
type Bucket struct {
	Min, Max, Mean float64
	Count          uint64
}

// View is the answer to a view. A server's is read whole but its numbers are
// not parsed, which would be the client's work: then Buckets is nil, and Bytes
// is the answer's length.
type View struct {
	Channels int
	Buckets  [][]Bucket
	Bytes    int
}

// Size is the bytes of a store's data by what they are for. What is on the disk
// beyond these is the log, the catalog and saved caches.
type Size struct {
	Raw     int64 // of the samples
	Rollups int64 // of aggregates stored beside them; of the peers none keeps any
	Index   int64 // of what finds them
}

// Subject is a store that can be compared.
type Subject struct {
	ID   string // in results
	Name string // for people
	// Settings say how it is run where that is not its default.
	Settings string
	// Server says that it is used over HTTP.
	Server bool
	// Counterpart is the form of Hokan that it is compared with; "" for Hokan's own.
	Counterpart string
	// SameFiles says that another subject writes the very same files, so that
	// their sizes by class are not taken twice.
	SameFiles bool
	// SlowToSettle says that it cannot be told to settle, only waited for.
	SlowToSettle bool
	// Writers is how many goroutines write at once.
	Writers int
	// Columns is how many channels are backfilled together; what is written at
	// once has as many samples for all stores. With one, channel follows upon
	// channel; with several, time upon time.
	Columns int
	// Window is how many milliseconds of all channels are backfilled before the
	// next begin; 0: all there is.
	Window int64
	// Version finds the store on this machine, or says ErrNotThere.
	Version func() (string, error)
	// Open opens the store in a folder, and makes it where it is new.
	Open func(Options) (Store, error)
	// Size says what the samples in the folder of a closed store take.
	Size func(dir string) (Size, error)
}

// Options say what a store is opened on.
type Options struct {
	Dir      string
	Channels int    // that there are or will be
	Now      int64  // the time of the newest sample there will be
	Hokan    string // the program hokan, for its server
	// Settle is how many seconds the files of a server that is SlowToSettle must
	// stay unchanged; 0: it is not waited for.
	Settle int
}

// inFlight is how many batches a store that acknowledges what is synced, or
// that is asked over HTTP, is given at once.
const inFlight = 16

// Subjects lists every store of the comparison, Hokan's own first.
func Subjects() []Subject {
	return []Subject{hokanSubject, hokanServerSubject, prometheusSubject, victoriaSubject, influxSubject}
}

// Find returns the subject called id.
func Find(id string) (Subject, bool) {
	for _, s := range Subjects() {
		if s.ID == id {
			return s, true
		}
	}
	return Subject{}, false
}

// width is the width of one of about n buckets that cover [from, to).
func width(from, to int64, n int) int64 { return (to - from + int64(n) - 1) / int64(n) }

// reducer folds samples in order of time into buckets, for a store that leaves
// that to its caller.
type reducer struct {
	from, width int64
	buckets     []Bucket
	end         int64 // of the bucket that is being filled
	at          int
	sum         float64
}

func newReducer(from, to int64, n int) *reducer {
	w := width(from, to, n)
	return &reducer{from: from, width: w, end: from + w, buckets: make([]Bucket, n)}
}

func (r *reducer) add(t int64, v float64) {
	if t >= r.end {
		r.flush()
		r.at = int((t - r.from) / r.width)
		r.end = r.from + int64(r.at+1)*r.width
	}
	b := &r.buckets[r.at]
	if b.Count == 0 {
		b.Min, b.Max = v, v
	} else if v < b.Min {
		b.Min = v
	} else if v > b.Max {
		b.Max = v
	}
	r.sum += v
	b.Count++
}

func (r *reducer) flush() {
	if b := &r.buckets[r.at]; b.Count > 0 {
		b.Mean = r.sum / float64(b.Count)
	}
	r.sum = 0
}
