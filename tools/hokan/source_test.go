//go:build unix

package main

import (
	"bytes"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/hokan-db/hokan/ingest"
)

func TestImportFromStdin(t *testing.T) {
	flags, _ := newData(t)
	text, err := os.ReadFile(loggerFile(t, "1,2,0", "3,4,0"))
	if err != nil {
		t.Fatal(err)
	}
	var stdout, stderr bytes.Buffer
	code := run(with(flags, "import", "-"), bytes.NewReader(text), &stdout, &stderr)
	b := importBody(t, result{stdout: stdout.String()})
	if code != 0 || b.Files[0].File != "-" || b.Accepted != 6 {
		t.Errorf("exit %d, %+v, %s", code, b, stderr.String())
	}
}

func namedPipe(t *testing.T) string {
	t.Helper()
	pipe := filepath.Join(t.TempDir(), "pipe")
	if err := syscall.Mkfifo(pipe, 0o600); err != nil {
		t.Fatal(err)
	}
	return pipe
}

func TestImportFromANamedPipe(t *testing.T) {
	flags, _ := newData(t)
	pipe := namedPipe(t)
	go func() {
		text, _ := os.ReadFile(loggerFile(t, "1,2,0"))
		os.WriteFile(pipe, text, 0)
	}()
	if b := importBody(t, expect(t, 0, with(flags, "import", pipe)...)); b.Accepted != 3 {
		t.Errorf("%+v", b)
	}
}

// A signal ends an import while nothing comes, whether the pipe is being read
// or stdin, and the body says what stderr does.
func TestSignalEndsAWaitingImport(t *testing.T) {
	interrupt := func() { syscall.Kill(os.Getpid(), syscall.SIGINT) }
	check := func(code int, stdout, stderr string) {
		t.Helper()
		b := importBody(t, result{stdout: stdout})
		if code != 1 || len(b.Files) != 1 || len(b.Files[0].Errors) != 1 || b.Files[0].Errors[0].Code != "interrupted" ||
			!strings.HasPrefix(stderr, "hokan: interrupted: ") || strings.Count(stderr, "\n") != 1 {
			t.Errorf("exit %d, %+v, %q", code, b, stderr)
		}
	}
	flags, data := newData(t)
	pipe := namedPipe(t)
	go func() {
		writer, err := os.OpenFile(pipe, os.O_WRONLY, 0) // waits for the reader
		if err != nil {
			return
		}
		t.Cleanup(func() { writer.Close() })
		writer.WriteString(loggerHeader)
		interrupt()
	}()
	r := hokan(with(flags, "import", pipe)...)
	check(r.code, r.stdout, r.stderr)

	stdin, writer := io.Pipe()
	go func() {
		io.WriteString(writer, loggerHeader) // waits for the reader
		interrupt()
	}()
	defer writer.Close()
	var stdout, stderr bytes.Buffer
	check(run(with(flags, "import", "-"), stdin, &stdout, &stderr), stdout.String(), stderr.String())
	if _, err := os.Stat(data); !os.IsNotExist(err) {
		t.Errorf("the folder was made: %v", err)
	}
}

func TestUnreadableSources(t *testing.T) {
	flags, _ := newData(t)
	r := expectCode(t, 1, "not_found", with(flags, "import", filepath.Join(t.TempDir(), "none"))...)
	if len(importBody(t, r).Files[0].Reasons) != 0 {
		t.Errorf("reasons of a file that was not read: %s", r.stdout)
	}
	err := unreadable("f", &fs.PathError{Op: "open", Path: "f", Err: syscall.EACCES})
	if refused := err.(*ingest.Error); refused.Code != "forbidden" || refused.Error() != "forbidden: f: permission denied" {
		t.Errorf("%v", err)
	}
	for _, packed := range []string{"\x1F\x8B\x08\x00", "PK\x03\x04"} {
		r := expectCode(t, 1, "malformed", with(flags, "import", file(t, packed))...)
		if !strings.Contains(r.stderr, "unpack it first") || !strings.Contains(r.stdout, `"reasons":{}`) {
			t.Errorf("%s%s", r.stdout, r.stderr)
		}
	}
}

// Names of files are bytes, and may hold what separates values elsewhere.
func TestStrangeFileNames(t *testing.T) {
	flags, _ := newData(t)
	text, err := os.ReadFile(loggerFile(t, "1,2,0"))
	if err != nil {
		t.Fatal(err)
	}
	names := []string{filepath.Join(t.TempDir(), "a,b;c.csv"), filepath.Join(t.TempDir(), "\xFF.csv")}
	for _, name := range names {
		if err := os.WriteFile(name, text, 0o600); err != nil {
			t.Skip(err) // a file system that takes only text
		}
	}
	b := importBody(t, expect(t, 0, with(flags, "import", names[0], names[1])...))
	if b.Files[0].File != names[0] || !strings.HasSuffix(b.Files[1].File, `\xff.csv`) {
		t.Errorf("%+v", b)
	}
}
