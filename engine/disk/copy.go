package disk

import (
	"context"
	"errors"
	"io"
	"path/filepath"
	"strings"

	"github.com/cockroachdb/pebble/v2/vfs"
)

// copyBytes is how much is read and written at once.
const copyBytes = 1 << 20

// CopyFile writes the first bytes of a file, -1 is all of it, to another path,
// synced. The folder is not. It ends early with ctx, and nothing new remains
// after an error, unless removing it fails as well.
func CopyFile(ctx context.Context, fsys FS, from, to string, bytes int64) (copied int64, err error) {
	source, err := fsys.Open(from)
	if err != nil {
		return 0, Wrap(err)
	}
	defer source.Close()
	err = writeSynced(fsys, to, func(w io.Writer) error {
		buffer := make([]byte, copyBytes)
		for bytes < 0 || copied < bytes {
			if err := ctx.Err(); err != nil {
				return err
			}
			part := buffer
			if left := bytes - copied; bytes >= 0 && left < copyBytes {
				part = buffer[:left]
			}
			n, err := io.ReadFull(source, part)
			if n > 0 {
				// A vfs file may change what it is given: the rest of buffer is
				// read anew before it is written.
				if _, err := w.Write(part[:n]); err != nil {
					return err
				}
				copied += int64(n)
			}
			if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
				return nil
			}
			if err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		fsys.Remove(to)
		return copied, Wrap(err)
	}
	return copied, nil
}

// LinkFile gives a file that does not change any more a second name, or copies
// it where the file system cannot. The folder is not synced.
func LinkFile(ctx context.Context, fsys FS, from, to string) (linked bool, bytes int64, err error) {
	info, err := fsys.Stat(from)
	if err != nil {
		return false, 0, Wrap(err)
	}
	if err := fsys.Link(from, to); err == nil {
		return true, info.Size(), nil
	}
	bytes, err = CopyFile(ctx, fsys, from, to, -1)
	return false, bytes, err
}

// Within reports whether a path is that of a folder or lies below it, however
// the two are spelled.
func Within(fsys FS, folder, path string) bool {
	folder, path = fsys.PathJoin(folder), fsys.PathJoin(path)
	if vfs.Root(fsys) == vfs.Default {
		folder, path = resolved(folder), resolved(path)
	}
	return path == folder || strings.HasPrefix(path, strings.TrimSuffix(folder, "/")+"/")
}

// resolved returns a path without links, as far as it exists.
func resolved(path string) string {
	path, err := filepath.Abs(path)
	if err != nil {
		return path
	}
	rest := ""
	for at := path; ; at = filepath.Dir(at) {
		if real, err := filepath.EvalSymlinks(at); err == nil {
			return filepath.Join(real, rest)
		}
		if at == filepath.Dir(at) {
			return path
		}
		rest = filepath.Join(filepath.Base(at), rest)
	}
}
