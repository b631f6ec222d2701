package engine

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"sync"
	"unicode/utf8"

	"github.com/hokan-db/hokan/engine/disk"
	"github.com/hokan-db/hokan/engine/model"
	"github.com/hokan-db/hokan/engine/policy"
)

// ErrFileExists refuses a file under a name that is taken: files never change.
var ErrFileExists = disk.ErrExists

// File is an uploaded file.
type File struct {
	Name string
	Size uint64 // bytes of its content
	Time int64  // when it was put, in nanoseconds since the epoch
}

// tenantFiles are a tenant's uploaded files. They are looked up on the disk
// when they are first asked for.
type tenantFiles struct {
	mu      sync.Mutex
	loaded  bool
	byName  map[string]File
	bytes   uint64 // of content
	onDisk  uint64 // bytes of the files themselves
	writing uint64 // bytes of files that are being written
}

// add notes a file. The caller holds mu.
func (f *tenantFiles) add(info File) {
	f.byName[info.Name] = info
	f.bytes += info.Size
	f.onDisk += info.fileBytes()
}

// remove takes out a file. The caller holds mu.
func (f *tenantFiles) remove(info File) {
	delete(f.byName, info.Name)
	f.bytes -= info.Size
	f.onDisk -= info.fileBytes()
}

// physical returns how many bytes the files take on the disk.
func (f *tenantFiles) physical() uint64 {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.onDisk
}

// PutFile stores what r gives under a name, whole and durable, or nothing at
// all. A name that is taken is ErrFileExists; a file that would take the tenant
// beyond the bytes of its quota is ErrOverQuota.
func (db *DB) PutFile(ctx context.Context, name model.Tenant, file string, r io.Reader) (File, error) {
	t, err := db.enterTenant(name)
	if err != nil {
		return File{}, err
	}
	defer db.gate.leave()
	switch err := validFileName(file); {
	case err != nil:
		return File{}, err
	case db.options.ReadOnly:
		return File{}, ErrReadOnly
	}
	if err := t.writeBlock(); err != nil {
		return File{}, err
	}
	files, err := db.loadedFiles(t)
	if err != nil {
		return File{}, err
	}
	info := File{Name: file, Time: db.options.Clock().UnixNano()}
	limited := &limitedReader{ctx: ctx, db: db, t: t, files: files, r: r}
	defer limited.settle()
	if limited.quota, err = db.fileQuota(ctx, t); err != nil {
		return File{}, err
	}
	object := disk.UploadName(name, file)
	if err := db.blocks.Put(object, func(w io.Writer) error { return writeUpload(w, info, limited) }); err != nil {
		return File{}, fmt.Errorf("file %q: %w", file, err)
	}
	info.Size = limited.read
	files.mu.Lock()
	files.add(info)
	files.mu.Unlock()
	if state, err := db.tenant(name); err != nil || state != t { // deleted meanwhile, with all files of then
		return File{}, errors.Join(fmt.Errorf("%w %q", ErrUnknownTenant, string(name)), db.blocks.Delete(object))
	}
	return info, nil
}

// fileQuota returns the bytes that rows leave for files, and an error if there
// may not be one more file.
func (db *DB) fileQuota(ctx context.Context, t *tenant) (uint64, error) {
	t.files.mu.Lock()
	count := len(t.files.byName)
	t.files.mu.Unlock()
	if int64(count) >= policy.TenantFiles.Default {
		return 0, fmt.Errorf("%w: there are %d files, the most that one tenant may have", ErrOverQuota, count)
	}
	quota := t.limits().Bytes
	if quota == 0 {
		return 1 << 63, nil
	}
	usage, err := db.Usage(ctx, t.name)
	if err != nil {
		return 0, err
	}
	rows := usage.Charged - usage.Files
	return quota - min(rows, quota), nil
}

// validFileName refuses names that are no path of folders and a file. Of a name
// the disk sees only a hash, so that any file system will do.
func validFileName(name string) error {
	if int64(len(name)) > policy.FileNameBytes.Default {
		return fmt.Errorf("%w: the file's name has %d bytes, at most %d are allowed", ErrInvalid, len(name), policy.FileNameBytes.Default)
	}
	if !utf8.ValidString(name) || strings.ContainsFunc(name, func(r rune) bool { return r < ' ' || r == 0x7f || r == '\\' }) {
		return fmt.Errorf("%w: file name %q", ErrInvalid, name)
	}
	for element := range strings.SplitSeq(name, "/") {
		if element == "" || element == "." || element == ".." {
			return fmt.Errorf("%w: file name %q", ErrInvalid, name)
		}
	}
	return nil
}

// limitedReader reads a file that is being put, and refuses more bytes than
// there is room for: on the disk and in the quota, of which files that are
// being put at the same time take their part.
type limitedReader struct {
	ctx   context.Context
	db    *DB
	t     *tenant
	files *tenantFiles
	r     io.Reader
	quota uint64 // bytes for files, those that are there included
	read  uint64
}

// Read implements io.Reader.
func (l *limitedReader) Read(p []byte) (int, error) {
	if err := l.ctx.Err(); err != nil {
		return 0, err
	}
	if err := l.db.reserve.check(); err != nil {
		return 0, err
	}
	n, err := l.r.Read(p)
	l.files.mu.Lock()
	defer l.files.mu.Unlock()
	l.read += uint64(n)
	l.files.writing += uint64(n)
	if n > 0 && l.files.bytes+l.files.writing > l.quota {
		return 0, fmt.Errorf("%w: files would have more than the %d bytes that are left for them", ErrOverQuota, l.quota)
	}
	return n, err
}

// settle ends the counting of a file that is being put.
func (l *limitedReader) settle() {
	l.files.mu.Lock()
	defer l.files.mu.Unlock()
	l.files.writing -= l.read
}

// loadedFiles returns t's files, reading what is on the disk the first time.
func (db *DB) loadedFiles(t *tenant) (*tenantFiles, error) {
	f := &t.files
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.loaded {
		return f, nil
	}
	objects, err := db.blocks.List(disk.UploadDir(t.name) + "/")
	if err != nil {
		return nil, err
	}
	f.byName, f.bytes, f.onDisk = map[string]File{}, 0, 0
	for _, object := range objects {
		info, err := db.readFileInfo(t.name, object)
		if errors.Is(err, ErrCorrupt) { // it costs its own file alone
			db.setAside(object, err)
			continue
		}
		if err != nil {
			return nil, err
		}
		f.add(info)
	}
	f.loaded = true
	return f, nil
}

// OpenFile returns a file and its content, which is to be closed. A file that
// is open can be read to its end when it is deleted. There being none is
// ErrNotFound; damage is ErrCorrupt, from Read, or at once where the file was
// set aside for it.
func (db *DB) OpenFile(ctx context.Context, name model.Tenant, file string) (File, io.ReadCloser, error) {
	t, err := db.enterTenant(name)
	if err != nil {
		return File{}, nil, err
	}
	defer db.gate.leave()
	files, err := db.loadedFiles(t)
	if err != nil {
		return File{}, nil, err
	}
	files.mu.Lock()
	info, ok := files.byName[file]
	files.mu.Unlock()
	if object := disk.UploadName(name, file); !ok && db.quarantine.has(object) {
		return File{}, nil, fmt.Errorf("file %q: %w", file, disk.Corrupt(object, 0, "the file was set aside: damage was found in it"))
	}
	if !ok {
		return File{}, nil, fmt.Errorf("file %q: %w", file, ErrNotFound)
	}
	content, err := db.openUpload(t.name, disk.UploadName(name, file))
	if err != nil {
		return File{}, nil, err
	}
	return info, content, ctx.Err()
}

// ListFiles returns the files whose names begin with prefix, in order of name.
func (db *DB) ListFiles(ctx context.Context, name model.Tenant, prefix string) ([]File, error) {
	t, err := db.enterTenant(name)
	if err != nil {
		return nil, err
	}
	defer db.gate.leave()
	files, err := db.loadedFiles(t)
	if err != nil {
		return nil, err
	}
	files.mu.Lock()
	defer files.mu.Unlock()
	var list []File
	for _, f := range files.byName {
		if strings.HasPrefix(f.Name, prefix) {
			list = append(list, f)
		}
	}
	slices.SortFunc(list, func(a, b File) int { return strings.Compare(a.Name, b.Name) })
	return list, ctx.Err()
}

// DeleteFile removes a file, durably, and credits its bytes at once. There
// being none is ErrNotFound.
func (db *DB) DeleteFile(ctx context.Context, name model.Tenant, file string) error {
	t, err := db.enterTenant(name)
	if err != nil {
		return err
	}
	defer db.gate.leave()
	if db.options.ReadOnly {
		return ErrReadOnly
	}
	files, err := db.loadedFiles(t)
	if err != nil {
		return err
	}
	files.mu.Lock()
	defer files.mu.Unlock()
	info, ok := files.byName[file]
	object := disk.UploadName(name, file)
	if !ok && !db.quarantine.has(object) {
		return fmt.Errorf("file %q: %w", file, ErrNotFound)
	}
	if err := db.blocks.Delete(object); err != nil {
		return err
	}
	if ok {
		files.remove(info)
	}
	if err := db.removeQuarantined(object); err != nil {
		return err
	}
	return ctx.Err()
}

// removeQuarantined removes what was set aside and whose names begin with
// prefix: of what is deleted nothing stays readable.
func (db *DB) removeQuarantined(prefix string) error {
	if err := db.local.RemoveQuarantined(prefix); err != nil {
		return err
	}
	db.quarantine.forget(prefix)
	return nil
}

// unlistFile takes a file that was set aside from those that there are.
func (db *DB) unlistFile(object string) {
	name, ok := disk.ParseUploadName(object)
	if !ok {
		return
	}
	t, err := db.tenant(name)
	if err != nil {
		return // deleted meanwhile
	}
	t.files.mu.Lock()
	defer t.files.mu.Unlock()
	for _, info := range t.files.byName {
		if disk.UploadName(name, info.Name) == object {
			t.files.remove(info)
			return
		}
	}
}

// purgeFiles removes every file of a tenant that is deleted, and returns how
// many bytes they had on the disk. It may be repeated.
func (db *DB) purgeFiles(name model.Tenant) (bytes uint64, err error) {
	objects, err := db.blocks.List(disk.UploadDir(name) + "/")
	for _, object := range objects {
		o, openErr := db.blocks.Open(object)
		if openErr == nil {
			bytes += uint64(o.Size())
			o.Close() // of a file that was only read
		}
		err = errors.Join(err, db.blocks.Delete(object))
	}
	return bytes, err
}
