package ingest

import (
	"io"
	"strings"

	"github.com/hokan-db/hokan/ingest/graphtec"
	"github.com/hokan-db/hokan/ingest/hioki"
	"github.com/hokan-db/hokan/ingest/keyence"
	"github.com/hokan-db/hokan/ingest/mapping"
	"github.com/hokan-db/hokan/ingest/refusal"
	"github.com/hokan-db/hokan/ingest/text"
	"github.com/hokan-db/hokan/ingest/yokogawa"
)

// dialect is a way in which instruments write files. Which one a file has is
// told by how it begins, never by its name.
type dialect struct {
	name  string // for people
	knows func(begin []byte) bool
	read  func(*text.Lines, *text.Options) (*text.Layout, *refusal.Error)
}

// dialects in the order in which they are asked.
var dialects = []dialect{
	{"Keyence NR-500", keyence.Knows, keyence.Read},
	{"Graphtec GL", graphtec.Knows, graphtec.Read},
	{"Yokogawa YREC", yokogawa.Knows, yokogawa.Read},
	{"HIOKI 8841", hioki.KnowsMemory, hioki.ReadMemory},
	{"HIOKI power meters (PW8001)", hioki.KnowsPower, hioki.ReadPower},
	{"HIOKI loggers and recorders (LR8400, LR8430, LR8450, MR8880, with or without header)", hioki.KnowsLogger, hioki.ReadLogger},
}

// openFile finds the dialect of a file, or takes the map where one is told, and
// reads its header. It notes in the result which map was taken or guessed.
func openFile(source io.Reader, name string, o *FileOptions, result *FileResult) (*text.Reader, error) {
	lines := text.NewLines(source)
	begin, whole := lines.Beginning()
	if o.Map == nil || o.Map.Guessed() || o.MapForOthers {
		for i := range dialects {
			if dialects[i].knows(begin) {
				return text.NewReader(lines, name, o.reader(), dialects[i].read)
			}
		}
	}
	m := o.Map
	if m == nil {
		m = &mapping.Map{Header: -1}
	}
	guess := m.Guess(begin, whole)
	read := guess.Read
	if o.Map != nil || guess.Found() {
		result.Map = guess.String()
	}
	if o.Map == nil && !(guess.Found() && o.DryRun) {
		read = func(l *text.Lines, _ *text.Options) (*text.Layout, *refusal.Error) { return nil, unknown(l, guess) }
	}
	return text.NewReader(lines, name, o.reader(), read)
}

// unknown refuses a file that is of no dialect.
func unknown(l *text.Lines, guess *mapping.Map) *refusal.Error {
	if _, refused := l.HeaderLine(1<<20, "a line"); refused != nil {
		return refused // says more
	}
	var names []string
	for i := range dialects {
		names = append(names, dialects[i].name)
	}
	known := strings.Join(names, ", ")
	if guess.Found() {
		return text.At(0, 0, refusal.MapRequired, "this is no file that is known (%s), but it looks like a table: see with --dry-run what would become of it, "+
			"and say --map auto, or as it is guessed: --map '%s'", known, guess)
	}
	return text.At(0, 0, refusal.Malformed, "this is no file that is known (%s), nor a table with a column of times; "+
		"a table without one needs --map interval=…,start=…", known)
}
