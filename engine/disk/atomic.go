package disk

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"path/filepath"

	"github.com/cockroachdb/pebble/v2/vfs"
)

// ReadFile returns the contents of a small file.
func ReadFile(fsys FS, path string) ([]byte, error) {
	file, err := fsys.Open(path)
	if err != nil {
		return nil, Wrap(err)
	}
	data, err := io.ReadAll(file)
	if closeErr := file.Close(); err == nil {
		err = closeErr
	}
	return data, Wrap(err)
}

// syncStep is how many bytes of a growing file are written before the disk is
// asked to take them. One sync of hundreds of MiB at the end would stall the
// log's own sync behind it.
const syncStep = 512 << 10

// WriteAtomic makes data the contents of path, durably: whatever happens, the
// path has its old contents or the new.
func WriteAtomic(fsys FS, path string, data []byte) error {
	return writeAtomic(fsys, path, func(w io.Writer) error {
		_, err := w.Write(append([]byte(nil), data...)) // a vfs file may change what it is given
		return err
	})
}

// writeAtomic writes a temporary file beside path, syncs it, renames it and
// syncs the folder. Nothing new remains after an error, unless removing it
// fails as well.
func writeAtomic(fsys FS, path string, write func(io.Writer) error) error {
	temporary := path + TemporarySuffix
	if err := writeSynced(fsys, temporary, write); err != nil {
		fsys.Remove(temporary)
		return Wrap(err)
	}
	if err := fsys.Rename(temporary, path); err != nil {
		fsys.Remove(temporary)
		return Wrap(err)
	}
	return SyncDir(fsys, fsys.PathDir(path))
}

func writeSynced(fsys FS, path string, write func(io.Writer) error) error {
	file, err := fsys.Create(path, vfs.WriteCategoryUnspecified)
	if err != nil {
		return err
	}
	file = vfs.NewSyncingFile(file, vfs.SyncingFileOptions{NoSyncOnClose: true, BytesPerSync: syncStep})
	err = write(file)
	if err == nil {
		err = file.Sync()
	}
	if closeErr := file.Close(); err == nil {
		err = closeErr
	}
	return err
}

// SyncDir makes the names in a folder durable.
func SyncDir(fsys FS, dir string) error {
	file, err := fsys.OpenDir(dir)
	if err != nil {
		return Wrap(err)
	}
	err = file.Sync()
	if closeErr := file.Close(); err == nil {
		err = closeErr
	}
	return Wrap(err)
}

// MakeDir makes a folder and its parents and syncs the folder that it is in.
func MakeDir(fsys FS, dir string) error {
	if err := fsys.MkdirAll(dir, 0o755); err != nil {
		return Wrap(err)
	}
	return SyncDir(fsys, fsys.PathDir(dir))
}

// LockDir takes the folder for this process until the result is closed or the
// process ends. The error is ErrLocked when another process, or this one, has
// it, and ErrReadOnly when the lock file cannot be written.
func LockDir(fsys FS, dir string) (io.Closer, error) {
	if vfs.Root(fsys) == vfs.Default {
		// The process's own locks are told apart by the spelling of the path.
		resolved, err := filepath.EvalSymlinks(dir)
		if err == nil {
			resolved, err = filepath.Abs(resolved)
		}
		if err != nil {
			return nil, Wrap(err)
		}
		dir = resolved
	}
	path := fsys.PathJoin(dir, LockName)
	lock, err := fsys.Lock(path)
	if err == nil {
		return lock, nil
	}
	// A path error is about the lock file; a refused lock is a bare number.
	var pathError *fs.PathError
	if errors.As(err, &pathError) {
		return nil, Wrap(err)
	}
	if wrapped := Wrap(err); errors.Is(wrapped, ErrFull) {
		return nil, wrapped
	}
	return nil, fmt.Errorf("%s: %w (%v)", path, ErrLocked, err)
}
