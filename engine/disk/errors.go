package disk

import (
	"errors"
	"fmt"
	"io/fs"
	"syscall"
)

// What callers tell apart, by errors.Is.
var (
	ErrCorrupt  = errors.New("corrupt")
	ErrFull     = errors.New("disk full")
	ErrReadOnly = errors.New("not writable")
	ErrLocked   = errors.New("locked by another process")
	ErrNotFound = errors.New("not found")
	ErrExists   = errors.New("exists already")
	ErrBadName  = errors.New("bad object name")
	ErrVersion  = errors.New("written by a newer version")
)

// Corruption says where a file does not hold what was written: at byte Offset
// of Path. It is ErrCorrupt, whatever Err is.
type Corruption struct {
	Path   string
	Offset int64 // bytes from the start of the file
	Err    error
}

// Error implements error.
func (c *Corruption) Error() string {
	return fmt.Sprintf("%s: byte %d: %v", c.Path, c.Offset, c.Err)
}

// Unwrap returns what is wrong there.
func (c *Corruption) Unwrap() error {
	if errors.Is(c.Err, ErrNotFound) || errors.Is(c.Err, fs.ErrNotExist) {
		return nil // what a database lacks is damage: nobody may take it for no database
	}
	return c.Err
}

// Is makes every Corruption an ErrCorrupt.
func (c *Corruption) Is(target error) bool { return target == ErrCorrupt }

// Corrupt returns a *Corruption; the format and arguments say what is wrong.
func Corrupt(path string, offset int64, format string, args ...any) error {
	return &Corruption{Path: path, Offset: offset, Err: fmt.Errorf(format, args...)}
}

// Wrap marks an error of the file system with what it means to callers: a full
// disk or an exhausted disk quota is ErrFull, a read-only disk or a missing
// permission is ErrReadOnly, a missing file is ErrNotFound. Other errors, and
// those that are marked already, stay as they are.
func Wrap(err error) error {
	mark := func(kind error) error {
		if errors.Is(err, kind) {
			return err
		}
		return fmt.Errorf("%w: %w", kind, err)
	}
	switch {
	case err == nil:
		return nil
	case errors.Is(err, syscall.ENOSPC), errors.Is(err, syscall.EDQUOT):
		return mark(ErrFull)
	case errors.Is(err, syscall.EROFS), errors.Is(err, fs.ErrPermission):
		return mark(ErrReadOnly)
	case errors.Is(err, fs.ErrNotExist):
		return mark(ErrNotFound)
	}
	return err
}
