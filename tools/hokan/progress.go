package main

import (
	"os"
	"time"

	"github.com/schollz/progressbar/v3"
	"golang.org/x/term"
)

// bar shows progress in bytes on stderr if that is a terminal, and else does
// nothing.
type bar struct{ shown *progressbar.ProgressBar }

// newBar returns a bar; total -1 is unknown.
func newBar(t *terminal, what string, total int64) bar {
	file, ok := t.stderr.(*os.File)
	if !ok || !term.IsTerminal(int(file.Fd())) {
		return bar{}
	}
	return bar{progressbar.NewOptions64(total,
		progressbar.OptionSetWriter(file),
		progressbar.OptionSetDescription(printable(what)),
		progressbar.OptionShowBytes(true),
		progressbar.OptionThrottle(100*time.Millisecond),
		progressbar.OptionClearOnFinish(),
	)}
}

func (b bar) set(bytes int64) {
	if b.shown != nil {
		b.shown.Set64(bytes)
	}
}

func (b bar) finish() {
	if b.shown != nil {
		b.shown.Finish()
	}
}
