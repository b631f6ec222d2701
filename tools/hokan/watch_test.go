package main

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

// incoming is a folder that a running program watches.
type incoming struct {
	*testing.T
	folder string
	args   []string
	run    *process
}

func watching(t *testing.T, args ...string) *incoming {
	w := &incoming{T: t, folder: t.TempDir()}
	w.args = append([]string{"watch", "--zone", "UTC", "--every", "20ms", "--settle", "60ms", "-o", "json", w.folder}, args...)
	w.start()
	return w
}

func (w *incoming) start() { w.run = start(w.T, nil, w.args...) }

func (w *incoming) kill() {
	w.Helper()
	if err := w.run.command.Process.Kill(); err != nil {
		w.Fatal(err)
	}
	_ = w.run.command.Wait() // by the signal
}

// put writes a file as programs should: under another name first.
func (w *incoming) put(name, text string) {
	w.Helper()
	path := filepath.Join(w.folder, name)
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		w.Fatal(err)
	}
	if err := os.WriteFile(path+".tmp", []byte(text), 0o644); err != nil {
		w.Fatal(err)
	}
	if err := os.Rename(path+".tmp", path); err != nil {
		w.Fatal(err)
	}
}

// next is the next file that the program says something of.
func (w *incoming) next() string {
	w.Helper()
	line, err := w.run.stdout.ReadString('\n')
	if err != nil {
		w.Fatalf("%v: %s", err, w.run.stderr)
	}
	var b imported
	if err := json.Unmarshal([]byte(line), &b); err != nil {
		w.Fatal(err, line)
	}
	f := b.Files[0]
	text := fmt.Sprintf("%s %s %s %d/%d", f.File, f.Dialect, f.Instrument, f.Accepted, f.Rejected)
	if len(f.Errors) > 0 {
		text += " " + f.Errors[0].Code
	}
	return text
}

func (w *incoming) want(text string) {
	w.Helper()
	if got := w.next(); got != text {
		w.Errorf("%q, want %q", got, text)
	}
}

func wave(value string) string {
	return loggerHeader + " 0.000000000E+00," + value + ",2,0,\n"
}

// What appears is imported once, whatever is copied, killed and started again.
func TestWatch(t *testing.T) {
	data := filepath.Join(t.TempDir(), "d")
	flags := []string{"--data", data, "--tenant", "t"}
	w := watching(t, flags...)
	w.put("lake/a.csv", wave("1"))
	w.want("lake/a.csv hioki-lr8400 lake 3/0")
	w.put("lake/copy.csv", wave("1")) // the same content: nothing is said of it
	w.put("pond/a.csv", wave("1"))    // another instrument
	w.want("pond/a.csv hioki-lr8400 pond 3/0")
	w.put("lake/b.csv", wave("x"))
	w.want("lake/b.csv hioki-lr8400 lake 2/1 not_a_number")
	w.put("lake/c.csv", "hello\n")
	w.want("lake/c.csv  lake 0/0 malformed")
	w.put("stray.csv", wave("7")) // of no instrument
	w.kill()

	w.put("lake/a.csv", wave("3")) // it changed while nobody watched
	w.start()
	w.want("lake/c.csv  lake 0/0 malformed") // what was refused is tried again; the oldest comes first
	w.want("lake/a.csv hioki-lr8400 lake 3/0")
	w.put("lake/d.csv", wave("4"))
	w.want("lake/d.csv hioki-lr8400 lake 3/0")
	if text := w.run.stderr.String(); !strings.Contains(text, "bad_label: stray.csv: ") {
		t.Errorf("stderr: %s", text)
	}
	w.run.stop(t, syscall.SIGTERM)
	r := expect(t, 0, append([]string{"table", `{channel="2-1"}`, "-o", "csv"}, flags...)...)
	if !strings.HasSuffix(r.stdout, "\n2022-06-06T18:43:33Z,4,1\n") {
		t.Errorf("%s", r.stdout)
	}
}

// A file that a server cannot take now waits, and is imported when it can.
func TestWatchThroughAServer(t *testing.T) {
	data := filepath.Join(t.TempDir(), "d")
	token := newToken(t, data, "--tenant", "t")
	server, address := serveFolder(t, data)
	w := watching(t, "--server", address, "--token", token, "--instrument", "lake")
	w.put("a.csv", wave("1"))
	w.want("a.csv hioki-lr8400 lake 3/0")
	w.put("deep/er/b.csv", wave("2"))
	w.want("deep/er/b.csv hioki-lr8400 lake 3/0")
	w.run.stop(t, syscall.SIGINT)
	server.stop(t, syscall.SIGTERM)
}

// One folder may have tables, which a map describes, and files of instruments.
func TestWatchOfTablesAndInstruments(t *testing.T) {
	w := watching(t, "--data", filepath.Join(t.TempDir(), "d"), "--tenant", "t", "--map", "time=when,channel=depth")
	w.put("lake/a.csv", "when,depth\n2024-01-02 00:00:00,1\n")
	w.want("lake/a.csv csv lake 1/0")
	w.put("lake/b.csv", wave("1"))
	w.want("lake/b.csv hioki-lr8400 lake 3/0")
	w.run.stop(t, syscall.SIGTERM)
}

func TestWatchRefusesBadFlags(t *testing.T) {
	flags := []string{"--data", t.TempDir(), "--tenant", "t"}
	expectCode(t, 1, "not_found", with(flags, "watch", filepath.Join(t.TempDir(), "none"))...)
	expectCode(t, 2, "usage", with(flags, "watch", "--every", "0s", t.TempDir())...)
	expectCode(t, 2, "malformed", with(flags, "watch", "--map", "x", t.TempDir())...)
	folder := t.TempDir()
	if err := os.WriteFile(filepath.Join(folder, ".hokan-watch"), []byte("hello\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	expectCode(t, 2, "invalid", with(flags, "watch", folder)...)
}
