package folder

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// scene is a folder and its journal, looked at with a clock of its own.
type scene struct {
	*testing.T
	root    string
	journal string
	folder  *Folder
	now     time.Time
}

func newScene(t *testing.T) *scene {
	s := &scene{T: t, root: t.TempDir(), now: time.Unix(1e9, 0)}
	s.journal = filepath.Join(s.root, ".journal")
	s.restart()
	return s
}

func (s *scene) restart() {
	j, err := OpenJournal(s.journal)
	if err != nil {
		s.Fatal(err)
	}
	s.Cleanup(func() { j.Close() })
	s.folder = New(s.root, 10*time.Second, j)
}

// write writes a file with a time of its own.
func (s *scene) write(name, text string, modified int64) {
	s.Helper()
	path := filepath.Join(s.root, name)
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		s.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
		s.Fatal(err)
	}
	if err := os.Chtimes(path, time.Time{}, time.Unix(modified, 0)); err != nil {
		s.Fatal(err)
	}
}

// ready lets time pass and returns what is complete.
func (s *scene) ready(seconds int) string {
	s.Helper()
	s.now = s.now.Add(time.Duration(seconds) * time.Second)
	files, err := s.folder.Scan(s.now)
	if err != nil {
		s.Fatal(err)
	}
	var names []string
	for _, f := range files {
		names = append(names, f.Path)
	}
	return strings.Join(names, " ")
}

func (s *scene) want(seconds int, want string) {
	s.Helper()
	if got := s.ready(seconds); got != want {
		s.Errorf("ready: %q, want %q", got, want)
	}
}

// done notes a file as done and returns its hash.
func (s *scene) done(name, instrument string) string {
	s.Helper()
	file := s.folder.seen[name].file
	hash, err := s.folder.Hash(file)
	if err == nil {
		err = s.folder.Done(file, hash, instrument)
	}
	if err != nil {
		s.Fatal(err)
	}
	return hash
}

// A file is taken when it has not changed for the time to settle, the oldest
// first.
func TestFilesSettle(t *testing.T) {
	s := newScene(t)
	s.write("b.csv", "1", 200)
	s.write("sub/a.csv", "1", 300)
	s.want(0, "")
	s.want(9, "")
	s.write("b.csv", "12", 201) // it grows
	s.write("c.csv", "1", 100)
	s.want(1, "sub/a.csv")
	s.want(8, "sub/a.csv")
	s.want(2, "c.csv b.csv sub/a.csv")
	s.write("b.csv", "21", 202) // of the same size
	s.want(1, "c.csv sub/a.csv")
	if err := os.Remove(filepath.Join(s.root, "c.csv")); err != nil {
		t.Fatal(err)
	}
	s.want(10, "b.csv sub/a.csv")
}

// What is hidden, empty or says that it is being written is never taken.
func TestPassedOver(t *testing.T) {
	s := newScene(t)
	for _, name := range []string{".a.csv", "a.csv.tmp", "A.TMP", "b.part", "c.csv.filepart", "d~", "~e", ".hidden/x.csv", "f.crdownload"} {
		s.write(name, "1", 1)
	}
	s.write("empty.csv", "", 1)
	if err := os.Symlink(s.root, filepath.Join(s.root, "link")); err != nil {
		t.Fatal(err)
	}
	s.want(0, "")
	s.want(60, "")
}

// What is done stays done across restarts, by content for the instrument; what
// changes is new.
func TestDoneOnce(t *testing.T) {
	s := newScene(t)
	s.write("a.csv", "1", 1)
	s.want(0, "")
	s.want(10, "a.csv")
	hash := s.done("a.csv", "i")
	s.want(10, "")
	s.restart()
	s.want(0, "")
	s.want(20, "")
	if !s.folder.IsDone(hash, "i") || s.folder.IsDone(hash, "other") || s.folder.IsDone("x", "i") {
		t.Error("what is done is told wrongly")
	}
	s.write("a.csv", "12", 2)
	s.want(0, "")
	s.want(10, "a.csv")
	if file := s.folder.seen["a.csv"].file; !s.folder.IsUnchanged(file) {
		t.Error("it did not change")
	} else if s.write("a.csv", "123", 3); s.folder.IsUnchanged(file) {
		t.Error("it changed")
	}
}

func TestLeaveAndRetry(t *testing.T) {
	s := newScene(t)
	s.write("a.csv", "1", 1)
	s.write("b.csv", "1", 2)
	s.want(0, "")
	s.want(10, "a.csv b.csv")
	s.folder.Leave(s.folder.seen["a.csv"].file)
	s.folder.Retry(s.folder.seen["b.csv"].file, s.now.Add(time.Minute))
	s.want(10, "")
	s.want(50, "b.csv")
	s.restart() // what was refused is tried again: the flags may be others
	s.want(0, "")
	s.want(10, "a.csv b.csv")
}

// A line that a crash cut off is forgotten; other text is no journal.
func TestTornJournal(t *testing.T) {
	s := newScene(t)
	s.write("a.csv", "1", 1)
	s.write("b.csv", "2", 2)
	s.want(0, "")
	s.want(10, "a.csv b.csv")
	s.done("a.csv", "i")
	s.done("b.csv", "i")
	text, err := os.ReadFile(s.journal)
	if err != nil {
		t.Fatal(err)
	}
	for cut := len(text) - 1; cut > len(text)-20; cut-- {
		if err := os.WriteFile(s.journal, text[:cut], 0o644); err != nil {
			t.Fatal(err)
		}
		s.restart()
		s.want(0, "")
		s.want(10, "b.csv")
		s.done("b.csv", "i")
		s.restart()
		s.want(0, "")
		s.want(10, "")
	}
	if err := os.WriteFile(s.journal, []byte("hello\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	if _, err := OpenJournal(s.journal); err == nil || !strings.Contains(err.Error(), "line 1") {
		t.Error(err)
	}
}
