// Package catalog keeps the small values that everything else is found by:
// which blocks a tenant has, how far a partition's checkpoint reaches, what
// the log may drop, who the database is; and the alarm events, which follow
// from the log. It stores them with pebble.
//
// A commit is synced and made of whole records, each with a revision that
// must be the stored one plus 1. Events are written without a sync: a later
// commit makes them durable, and a crash that loses them is repaired by
// replaying the log.
package catalog

import (
	"errors"
	"fmt"
	"io/fs"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/hokan-db/hokan/engine/disk"
)

// What callers branch on. Damage is disk.ErrCorrupt, another opener
// disk.ErrLocked, a catalog that is not there disk.ErrNotFound.
var (
	// ErrFailed says that a write or sync failed since the catalog was opened,
	// so what was not acknowledged may or may not be stored. Reads go on, every
	// write is refused until the catalog is opened again. It comes with its
	// cause.
	ErrFailed = errors.New("catalog failed, open it again")
	// ErrConflict refuses a commit whose revision does not follow the stored one.
	ErrConflict = errors.New("catalog revision conflict")
	// ErrReadOnly refuses a write to a catalog that was opened for reading only.
	ErrReadOnly = errors.New("catalog is open for reading only")
	// ErrClosed refuses everything after Close.
	ErrClosed = errors.New("catalog is closed")
	// ErrBadCursor refuses a cursor of Events that Events did not return for
	// that query.
	ErrBadCursor = errors.New("bad event cursor")
)

// formatVersion is the newest file format of pebble that a catalog may use.
// It is pinned so that a newer pebble does not make files that the previous
// Hokan cannot read. From this one on every byte of a table is covered by a
// checksum, and a log tells a torn tail from damage.
const formatVersion = pebble.FormatTableFormatV6

const (
	// memTableBytes bounds the rows that a restart replays, and with twice as
	// much the memory that they take.
	memTableBytes = 4 << 20
	// cacheBytes is enough for the index blocks of a catalog of some hundred
	// MB: manifests are read when the database is opened, events by ranges.
	cacheBytes = 8 << 20
	// maxOpenFiles is far above the number of tables of such a catalog.
	maxOpenFiles = 128
)

// Options say how a catalog is opened.
type Options struct {
	ReadOnly bool // write nothing at all, not even the lock file
	// Overlay writes nothing to the disk either, but keeps in memory what is
	// committed and put, until Close.
	Overlay bool

	memTableBytes uint64 // 0: the constant; tests flush more often
}

// Catalog is an open catalog. Its methods may be called concurrently.
type Catalog struct {
	dir   string
	guard *guardFS
	db    *pebble.DB
	log   *logger

	readOnly      bool
	memTableBytes uint64

	// closing is held for reading by every call, so that Close waits for them.
	closing sync.RWMutex
	closed  bool

	commit sync.Mutex // serialises Commit
}

// Open opens the catalog in the folder dir of files, which it makes if needed.
// One process at a time may hold a catalog open for writing; opening for
// reading only takes no lock and needs a catalog that nobody writes to.
func Open(files vfs.FS, dir string, o Options) (*Catalog, error) {
	c := &Catalog{
		dir:      dir,
		guard:    newGuardFS(files, o.ReadOnly || o.Overlay),
		readOnly: o.ReadOnly,

		memTableBytes: o.memTableBytes,
	}
	if c.memTableBytes == 0 {
		c.memTableBytes = memTableBytes
	}
	c.log = &logger{guard: c.guard}
	err := protect(func() (err error) {
		if err = c.checkPebbleFiles(); err != nil {
			return err
		}
		c.db, err = pebble.Open(dir, c.options())
		return err
	})
	if err != nil {
		return nil, c.openError(err)
	}
	if failure := c.failure(); failure != nil {
		return nil, errors.Join(failure, protect(c.db.Close))
	}
	return c, nil
}

// options returns how pebble is run: small, quiet and pinned.
func (c *Catalog) options() *pebble.Options {
	return &pebble.Options{
		FS:                 c.guard,
		ReadOnly:           c.readOnly,
		FormatMajorVersion: formatVersion,
		MemTableSize:       c.memTableBytes,
		CacheSize:          cacheBytes,
		MaxOpenFiles:       maxOpenFiles,
		// Statistics of tables would be gathered in the background after opening.
		DisableTableStats: true,
		Logger:            c.log,
		EventListener: &pebble.EventListener{
			DataCorruption: func(info pebble.DataCorruptionInfo) { c.log.corrupt(info.Path) },
		},
	}
}

// openError turns an error of pebble.Open into one that callers can branch on.
func (c *Catalog) openError(err error) error {
	switch {
	case errors.Is(err, pebble.ErrDBDoesNotExist), c.readOnly && c.isMissing():
		return fmt.Errorf("catalog %s: %w", c.dir, disk.ErrNotFound)
	case errors.Is(err, disk.ErrCorrupt):
		return err
	case isLocked(err):
		return fmt.Errorf("catalog %s: %w: %w", c.dir, disk.ErrLocked, err)
	}
	if failure := c.failure(); failure != nil {
		return failure
	}
	var call *fs.PathError
	var number syscall.Errno
	if errors.As(err, &call) && !errors.Is(err, fs.ErrNotExist) || errors.As(err, &number) {
		return c.readError(err)
	}
	// Everything else that pebble refuses to open is a file with other bytes
	// than pebble wrote; not all such errors are marked as corruption.
	return disk.Corrupt(c.fileNamedBy(err), 0, "%w", err)
}

// isMissing reports whether there is no catalog folder.
func (c *Catalog) isMissing() bool {
	_, err := c.guard.lower.Stat(c.dir)
	return errors.Is(err, fs.ErrNotExist)
}

// isLocked recognises the refusals of pebble's file systems to lock a file
// twice; they have no sentinel.
func isLocked(err error) bool {
	text := err.Error()
	return strings.Contains(text, "lock held by current process") || strings.Contains(text, "already locked") ||
		strings.Contains(text, "resource temporarily unavailable")
}

// readError gives an error that pebble met while reading its place: the file
// that pebble names, else the catalog's folder.
func (c *Catalog) readError(err error) error {
	if err == nil {
		return nil
	}
	if pebble.IsCorruptionError(err) || errors.Is(err, errPanic) || errors.Is(err, fs.ErrNotExist) {
		return disk.Corrupt(c.fileNamedBy(err), 0, "%w", err)
	}
	return fmt.Errorf("catalog %s: %w", c.dir, disk.Wrap(err))
}

// Close releases the catalog. What was not synced is written, but a failed
// catalog leaves the disk as the failure left it.
func (c *Catalog) Close() error {
	c.closing.Lock()
	defer c.closing.Unlock()
	if c.closed {
		return ErrClosed
	}
	c.closed = true
	failed := c.failure()
	if errors.Is(failed, errPanic) {
		return failed // pebble may have kept its locks: closing could hang
	}
	err := protect(c.db.Close)
	if failed == nil {
		failed = c.failure()
	}
	if failed != nil {
		return failed
	}
	if err != nil {
		return fmt.Errorf("close catalog %s: %w", c.dir, err)
	}
	return nil
}

// failure returns ErrFailed and its cause once a write or sync has failed.
func (c *Catalog) failure() error {
	cause := c.guard.failure()
	if fatal := c.log.fatal.Load(); fatal != nil {
		cause = fatal
	}
	if cause == nil || cause == errReadOnlyGuard {
		return nil
	}
	return fmt.Errorf("catalog %s: %w: %w", c.dir, ErrFailed, disk.Wrap(cause))
}

// Err returns ErrFailed and its cause where writes are refused, else nil.
func (c *Catalog) Err() error { return c.failure() }

// enter begins a call; leave ends it.
func (c *Catalog) enter() error {
	c.closing.RLock()
	if c.closed {
		c.closing.RUnlock()
		return ErrClosed
	}
	return nil
}

func (c *Catalog) leave() { c.closing.RUnlock() }

// errPanic marks a panic of pebble that was turned into an error.
var errPanic = errors.New("pebble panicked")

// protect runs f, which calls pebble, and returns its panic as an error: a
// damaged file must not end the process.
func protect(f func() error) (err error) {
	defer func() {
		if r := recover(); r != nil {
			if cause, ok := r.(error); ok {
				err = fmt.Errorf("%w: %w", errPanic, cause)
			} else {
				err = fmt.Errorf("%w: %v", errPanic, r)
			}
		}
	}()
	return f()
}

// logger is what pebble reports to. It is quiet, as errors are returned; but
// there are failures that pebble reports only by Fatalf, which is expected to
// end the process, and then goes on as if nothing had happened. Such a report
// detaches the guard, so that the disk stays as it is and every later write is
// refused. It may come from any goroutine.
type logger struct {
	guard *guardFS
	fatal atomic.Pointer[fatal]
	// corrupted is the file that pebble last found damaged.
	corrupted atomic.Pointer[string]
}

// Infof implements pebble.Logger.
func (*logger) Infof(string, ...any) {}

// Errorf implements pebble.Logger. Errors are reported where they are returned.
func (*logger) Errorf(string, ...any) {}

// Fatalf implements pebble.Logger.
func (l *logger) Fatalf(format string, arguments ...any) {
	f := &fatal{text: fmt.Sprintf(format, arguments...)}
	for _, argument := range arguments {
		if err, ok := argument.(error); ok {
			f.cause = err
		}
	}
	l.fatal.CompareAndSwap(nil, f)
	l.guard.detach(f)
}

// corrupt notes the file that pebble found damaged.
func (l *logger) corrupt(path string) { l.corrupted.Store(&path) }

// fatal is a report to Fatalf.
type fatal struct {
	text  string
	cause error // nil where the report names none
}

// Error implements error.
func (f *fatal) Error() string { return f.text }

// Unwrap gives errors.Is the cause.
func (f *fatal) Unwrap() error { return f.cause }
