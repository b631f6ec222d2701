package engine

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"syscall"
	"testing"
	"testing/iotest"

	"github.com/cockroachdb/pebble/v2/vfs"
	"pgregory.net/rapid"

	"github.com/hokan-db/hokan/engine/disk"
	"github.com/hokan-db/hokan/engine/disk/disktest"
	"github.com/hokan-db/hokan/engine/model"
	"github.com/hokan-db/hokan/engine/policy"
)

func readTestFile(db *DB, tenant model.Tenant, name string) (string, error) {
	_, r, err := db.OpenFile(context.Background(), tenant, name)
	if err != nil {
		return "", err
	}
	content, err := io.ReadAll(r)
	return string(content), errors.Join(err, r.Close())
}

func fileNames(t *testing.T, db *DB, tenant model.Tenant, prefix string) string {
	t.Helper()
	list, err := db.ListFiles(context.Background(), tenant, prefix)
	if err != nil {
		t.Fatal(err)
	}
	var text []string
	for _, f := range list {
		text = append(text, fmt.Sprintf("%s:%d", f.Name, f.Size))
	}
	return strings.Join(text, " ")
}

// TestFiles puts, reads, lists and deletes files of two tenants, crashing in
// between: what was put is whole and durable, and of its own tenant alone.
func TestFiles(t *testing.T) {
	ctx := context.Background()
	fs := vfs.NewCrashableMem()
	db := openTest(t, fs)
	if err := errors.Join(db.CreateTenant(ctx, "t"), db.CreateTenant(ctx, "u")); err != nil {
		t.Fatal(err)
	}
	large := strings.Repeat("0123456789abcdef", uploadFrame/8)
	contents := map[string]string{"empty": "", "测量/报告 1.csv": "电压,1.5\r\n", "测量/large": large, "测量": large[:uploadFrame]}
	for name, content := range contents {
		f, err := db.PutFile(ctx, "t", name, iotest.OneByteReader(strings.NewReader(content)))
		if err != nil || f.Size != uint64(len(content)) || f.Name != name {
			t.Fatalf("put %s: %+v, %v", name, f, err)
		}
	}
	if _, err := db.PutFile(ctx, "t", "empty", strings.NewReader("other")); !errors.Is(err, ErrFileExists) {
		t.Errorf("a taken name: %v", err)
	}
	if _, err := db.PutFile(ctx, "t", "half", io.MultiReader(strings.NewReader("half"), iotest.ErrReader(syscall.EPIPE))); !errors.Is(err, syscall.EPIPE) {
		t.Errorf("a source that fails: %v", err)
	}
	if _, err := db.PutFile(ctx, "u", "empty", strings.NewReader("of u")); err != nil {
		t.Fatal(err)
	}
	crashed := openTest(t, fs.CrashClone(vfs.CrashCloneCfg{}))
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
	db = crashed
	defer db.Close()
	for name, content := range contents {
		if got, err := readTestFile(db, "t", name); got != content || err != nil {
			t.Errorf("%s holds %d bytes, want %d, %v", name, len(got), len(content), err)
		}
	}
	all := fmt.Sprintf("empty:0 测量:%d 测量/large:%d 测量/报告 1.csv:%d", uploadFrame, len(large), len(contents["测量/报告 1.csv"]))
	if got := fileNames(t, db, "t", ""); got != all {
		t.Errorf("files %s, want %s", got, all)
	}
	if got := fileNames(t, db, "t", "测量/l"); got != fmt.Sprint("测量/large:", len(large)) {
		t.Errorf("files with a prefix: %s", got)
	}
	_, open, err := db.OpenFile(ctx, "t", "测量/large")
	if err != nil {
		t.Fatal(err)
	}
	if err := db.DeleteFile(ctx, "t", "测量/large"); err != nil {
		t.Fatal(err)
	}
	if content, err := io.ReadAll(open); string(content) != large || errors.Join(err, open.Close()) != nil {
		t.Errorf("an open file that is deleted: %d bytes, %v", len(content), err)
	}
	if _, err := readTestFile(db, "t", "测量/large"); !errors.Is(err, ErrNotFound) {
		t.Errorf("a deleted file: %v", err)
	}
	if err := db.DeleteFile(ctx, "t", "测量/large"); !errors.Is(err, ErrNotFound) {
		t.Errorf("deleting it again: %v", err)
	}
	if _, err := db.purgeFiles("t"); err != nil {
		t.Fatal(err)
	}
	names, err := db.blocks.List(disk.FilesDir + "/")
	if err != nil || len(names) != 1 || !strings.HasPrefix(names[0], "files/u/") {
		t.Errorf("after removing t's files there are %v, %v", names, err)
	}
}

// TestFileNames refuses what is no name of a file.
func TestFileNames(t *testing.T) {
	db := tenantDB(t, vfs.NewMem())
	defer db.Close()
	for _, name := range []string{"", ".", "..", "a/../b", "/a", "a/", "a//b", "a\\b", "a\nb", "a\x00", "\xff", strings.Repeat("a", 1025)} {
		if _, err := db.PutFile(context.Background(), "t", name, strings.NewReader("")); !errors.Is(err, ErrInvalid) {
			t.Errorf("%q: %v", name, err)
		}
	}
	for _, name := range []string{"a.tmp", "a.quarantine", "A", "a", "con", strings.Repeat("测", 341)} {
		if _, err := db.PutFile(context.Background(), "t", name, strings.NewReader(name)); err != nil {
			t.Errorf("%q: %v", name, err)
		}
	}
}

// TestFilesAreCharged holds the usage to the files there are, and a quota to
// what it allows.
func TestFilesAreCharged(t *testing.T) {
	ctx := context.Background()
	fs := vfs.NewMem()
	db := tenantDB(t, fs)
	if err := db.SetQuota("t", policy.Quota{Bytes: 200_000}); err != nil {
		t.Fatal(err)
	}
	check := func(charged int, names ...string) {
		t.Helper()
		var physical uint64
		for _, name := range names {
			o, err := db.blocks.Open(disk.UploadName("t", name))
			if err != nil {
				t.Fatal(err)
			}
			physical += uint64(o.Size())
			o.Close()
		}
		u, err := db.Usage(ctx, "t")
		if err != nil || u.Charged != uint64(charged) || u.Files != uint64(charged) || u.Physical != physical {
			t.Errorf("usage %+v, %v; want %d charged and %d physical", u, err, charged, physical)
		}
	}
	put := func(name string, size int) error {
		_, err := db.PutFile(ctx, "t", name, bytes.NewReader(make([]byte, size)))
		return err
	}
	check(0)
	if err := errors.Join(put("a", 150_000), put("b", 1)); err != nil {
		t.Fatal(err)
	}
	check(150_001, "a", "b")
	if err := put("c", 50_000); !errors.Is(err, ErrOverQuota) {
		t.Errorf("beyond the quota: %v", err)
	}
	check(150_001, "a", "b")
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
	db = openTest(t, fs)
	defer db.Close()
	check(150_001, "a", "b")
	if err := db.SetQuota("t", policy.Quota{Bytes: 200_000}); err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(put("c", 49_999), db.DeleteFile(ctx, "t", "a")); err != nil {
		t.Fatal(err)
	}
	check(50_000, "b", "c")
	machine, err := db.MachineBytes()
	if err != nil || machine.Log == 0 || machine.Catalog == 0 || machine.Blocks < 50_000 || machine.Temporary != 0 {
		t.Errorf("machine %+v, %v", machine, err)
	}
}

// TestFileFaults fails each operation of putting and deleting a file: a name
// that was answered is whole, and one that was not is whole or absent.
func TestFileFaults(t *testing.T) {
	ctx := context.Background()
	content := strings.Repeat("x", 3*uploadFrame/2)
	for i := 0; ; i++ {
		base := vfs.NewCrashableMem()
		fs := disktest.New(base)
		db := openTest(t, fs)
		if err := db.CreateTenant(ctx, "t"); err != nil {
			t.Fatal(err)
		}
		if _, err := db.PutFile(ctx, "t", "old", strings.NewReader(content)); err != nil {
			t.Fatal(err)
		}
		fs.Count(func(op disktest.Op) bool { return op.Writes() && strings.Contains(op.Path, "data/files") })
		fs.ShortWrites(true)
		fs.FailOnce(i, syscall.EIO)
		_, putting := db.PutFile(ctx, "t", "new", strings.NewReader(content))
		deleting := db.DeleteFile(ctx, "t", "old")
		failed := fs.Failed()
		crashed := openTest(t, base.CrashClone(vfs.CrashCloneCfg{}))
		fs.Reset()
		db.Close()
		got, err := readTestFile(crashed, "t", "new")
		if putting == nil && got != content || err == nil && got != content || err != nil && !errors.Is(err, ErrNotFound) {
			t.Errorf("fault %d: put %v, then %d bytes, %v", i, putting, len(got), err)
		}
		got, err = readTestFile(crashed, "t", "old")
		if deleting == nil && !errors.Is(err, ErrNotFound) || deleting != nil && err == nil && got != content {
			t.Errorf("fault %d: delete %v, then %d bytes, %v", i, deleting, len(got), err)
		}
		if putting != nil {
			if _, err := crashed.PutFile(ctx, "t", "new", strings.NewReader("")); err != nil && !errors.Is(err, ErrFileExists) {
				t.Errorf("fault %d: a second try: %v", i, err)
			}
		}
		if err := crashed.Close(); err != nil {
			t.Error(err)
		}
		if failed == 0 {
			if i < 5 {
				t.Errorf("only %d operations", i)
			}
			return
		}
		if putting == nil && deleting == nil {
			t.Errorf("fault %d was not noticed", i)
		}
	}
}

// TestDamagedFile changes each byte of a file: reading tells, or what is read
// is what was put, and verify says so too.
func TestDamagedFile(t *testing.T) {
	ctx := context.Background()
	for at := range 1 << 10 {
		fs := vfs.NewMem()
		db := tenantDB(t, fs)
		if _, err := db.PutFile(ctx, "t", "name", strings.NewReader("content")); err != nil {
			t.Fatal(err)
		}
		if err := db.Close(); err != nil {
			t.Fatal(err)
		}
		object := "data/" + disk.UploadName("t", "name")
		data, err := disk.ReadFile(fs, object)
		if err != nil {
			t.Fatal(err)
		}
		if at >= len(data) {
			return
		}
		data[at] ^= 4
		writeFile(t, fs, object, data)
		found := 0
		err = Verify(ctx, scriptOptions(fs), func(f Fault) {
			if strings.HasPrefix(f.Path, "files/") {
				found++
			}
		}, func(string) {})
		if err != nil || found != 1 {
			t.Errorf("byte %d: verify finds %d faults, %v", at, found, err)
		}
		db = openTest(t, fs)
		if got, err := readTestFile(db, "t", "name"); !errors.Is(err, ErrCorrupt) && !errors.Is(err, ErrNotFound) {
			t.Errorf("byte %d: read %q, %v", at, got, err)
		}
		if err := db.Close(); err != nil {
			t.Fatal(err)
		}
	}
	t.Error("the file has more bytes than were changed")
}

// TestContentSize computes the size of contents from those of their files.
func TestContentSize(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		f := File{Name: strings.Repeat("n", rapid.IntRange(1, 1024).Draw(t, "name"))}
		size := rapid.OneOf(rapid.IntRange(0, 4*uploadFrame), rapid.SampledFrom([]int{uploadFrame, 2 * uploadFrame})).Draw(t, "size")
		var file bytes.Buffer
		if err := writeUpload(&file, f, bytes.NewReader(make([]byte, size))); err != nil {
			t.Fatal(err)
		}
		f.Size = uint64(size)
		if got := contentSize(int64(file.Len()), len(f.Name)); got != int64(size) || f.fileBytes() != uint64(file.Len()) {
			t.Fatalf("%d bytes of content make a file of %d: back to %d, on to %d", size, file.Len(), got, f.fileBytes())
		}
	})
}

// dumpUpload writes an uploaded file.
func dumpUpload(t *testing.T) string {
	var file bytes.Buffer
	must(t, writeUpload(&file, File{Name: "report.csv", Time: formatTime}, strings.NewReader("1.5\r\n")))
	header, err := disk.ReadHeader(file.Bytes(), disk.KindUpload, 1)
	must(t, err)
	header.Salt = formatSalt() // it is random, and nothing depends on it
	d := newDump(t, append(disk.AppendHeader(nil, header), file.Bytes()[disk.HeaderSize:]...))
	d.header("HOKANUPL", 4)
	end := d.frame(0, "what it is")
	d.time("when it was put")
	d.text(d.u16("bytes of the name"), "name")
	d.ends(end)
	end = d.frame(1, "content")
	d.text(5, "content")
	d.ends(end)
	d.ends(d.frame(2, "the end"))
	return d.String()
}

// FuzzUpload reads anything as an uploaded file: it is refused, or it can be read
// and has the size that it says.
func FuzzUpload(f *testing.F) {
	for _, size := range []int{0, 7, uploadFrame + 1} {
		var file bytes.Buffer
		if err := writeUpload(&file, File{Name: "name", Time: 1}, bytes.NewReader(make([]byte, size))); err != nil {
			f.Fatal(err)
		}
		f.Add(file.Bytes())
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		stream, info, err := readUpload(memoryObject{bytes.NewReader(b)}, "files/t/x.upl")
		if err != nil {
			return
		}
		// Frames that are not as we cut them make the size wrong; reading them
		// does no harm.
		content, err := io.ReadAll(stream)
		if err == nil && uint64(len(content)) == info.Size && info.fileBytes() != uint64(len(b)) && len(content) < uploadFrame && len(content) > 0 {
			t.Errorf("a file of %d bytes should have %d", len(b), info.fileBytes())
		}
	})
}

type memoryObject struct{ *bytes.Reader }

func (memoryObject) Close() error { return nil }
