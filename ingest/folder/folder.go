// Package folder tells which files of a folder are new and complete, each once,
// also across restarts.
//
// A file is complete when neither its size nor its time changed for a while. It
// is new when no file of the same content was done for the same instrument:
// what was done is kept in a [Journal]. Hidden files, and those whose names say
// that they are being written, are passed over.
package folder

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"
)

// File is one that seems complete.
type File struct {
	Path     string // below the folder, with slashes
	Size     int64
	Modified int64 // ns since the epoch
}

// Folder is watched by looking at it again and again. It is not safe for
// concurrent use.
type Folder struct {
	root    string
	settle  time.Duration
	journal *Journal
	seen    map[string]*sighting
}

// sighting is what is known of a file by its path.
type sighting struct {
	file  File
	since time.Time // when it was first seen as it is
	done  bool      // or refused: until it changes
	retry time.Time
}

// New returns a folder whose files are complete when they did not change for
// settle. What the journal says is done is done.
func New(root string, settle time.Duration, journal *Journal) *Folder {
	f := &Folder{root: root, settle: settle, journal: journal, seen: map[string]*sighting{}}
	for path, file := range journal.files {
		f.seen[path] = &sighting{file: file, done: true}
	}
	return f
}

// unfinished are ends of names of files that are being written.
var unfinished = []string{".tmp", ".temp", ".part", ".partial", ".filepart", ".crdownload", ".download", ".swp", "~"}

// isPassedOver tells what is never taken.
func isPassedOver(name string) bool {
	lower := strings.ToLower(name)
	return strings.HasPrefix(name, ".") || strings.HasPrefix(name, "~") ||
		slices.ContainsFunc(unfinished, func(end string) bool { return strings.HasSuffix(lower, end) })
}

// Scan looks at the folder and returns the complete files that nothing is known
// of, the oldest first. What cannot be read below the folder is passed over;
// an error is the folder's own.
func (f *Folder) Scan(now time.Time) ([]File, error) {
	var ready []File
	here := map[string]bool{}
	err := filepath.WalkDir(f.root, func(path string, entry fs.DirEntry, err error) error {
		switch {
		case err != nil && path == f.root:
			return err
		case err != nil:
			return nil
		case path == f.root:
			return nil
		case isPassedOver(entry.Name()) && entry.IsDir():
			return fs.SkipDir
		case isPassedOver(entry.Name()) || !entry.Type().IsRegular() || f.journal.isAt(path):
			return nil
		}
		info, err := entry.Info()
		below, relative := filepath.Rel(f.root, path)
		if err != nil || relative != nil || info.Size() == 0 {
			return nil // gone, or only begun
		}
		file := File{filepath.ToSlash(below), info.Size(), info.ModTime().UnixNano()}
		here[file.Path] = true
		if f.sight(file, now) {
			ready = append(ready, file)
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	for path := range f.seen {
		if !here[path] {
			delete(f.seen, path)
		}
	}
	slices.SortStableFunc(ready, func(a, b File) int {
		if a.Modified != b.Modified {
			return int(max(-1, min(1, a.Modified-b.Modified)))
		}
		return strings.Compare(a.Path, b.Path)
	})
	return ready, nil
}

// sight notes a file as it is and reports whether it is to be taken.
func (f *Folder) sight(file File, now time.Time) bool {
	known := f.seen[file.Path]
	if known == nil || known.file != file {
		known = &sighting{file: file, since: now}
		f.seen[file.Path] = known
	}
	return !known.done && now.Sub(known.since) >= f.settle && !now.Before(known.retry)
}

// Hash returns the hash of a file's content.
func (f *Folder) Hash(file File) (string, error) {
	source, err := os.Open(f.Path(file))
	if err != nil {
		return "", err
	}
	defer source.Close()
	h := sha256.New()
	if _, err := io.Copy(h, source); err != nil {
		return "", err
	}
	return fmt.Sprintf("%x", h.Sum(nil)), nil
}

// Path returns where a file is.
func (f *Folder) Path(file File) string { return filepath.Join(f.root, filepath.FromSlash(file.Path)) }

// IsUnchanged reports whether a file is still as it was found.
func (f *Folder) IsUnchanged(file File) bool {
	info, err := os.Stat(f.Path(file))
	return err == nil && info.Size() == file.Size && info.ModTime().UnixNano() == file.Modified
}

// Done notes, durably, that a file is done.
func (f *Folder) Done(file File, hash, instrument string) error {
	if err := f.journal.add(file, hash, instrument); err != nil {
		return err
	}
	f.Leave(file)
	return nil
}

// IsDone reports whether a file of that content was done for the instrument.
func (f *Folder) IsDone(hash, instrument string) bool {
	return f.journal.done[doneKey{hash, instrument}]
}

// Leave passes a file over until it changes or the program starts again.
func (f *Folder) Leave(file File) {
	if known := f.seen[file.Path]; known != nil && known.file == file {
		known.done = true
	}
}

// Retry passes a file over until a time.
func (f *Folder) Retry(file File, at time.Time) {
	if known := f.seen[file.Path]; known != nil && known.file == file {
		known.retry = at
	}
}

// IsGone reports whether an error means that a file is not there any more.
func IsGone(err error) bool { return errors.Is(err, fs.ErrNotExist) }
