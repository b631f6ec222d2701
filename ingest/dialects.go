package ingest

import (
	"io"
	"strings"

	"github.com/hokan-db/hokan/ingest/graphtec"
	"github.com/hokan-db/hokan/ingest/hioki"
	"github.com/hokan-db/hokan/ingest/keyence"
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

// openFile finds the dialect of a file and reads its header.
func openFile(source io.Reader, name string, o *FileOptions) (*text.Reader, error) {
	lines := text.NewLines(source)
	begin, _ := lines.Beginning()
	read := refuse
	for i := range dialects {
		if dialects[i].knows(begin) {
			read = dialects[i].read
			break
		}
	}
	return text.NewReader(lines, name, o.reader(), read)
}

// refuse refuses a file that is of no dialect.
func refuse(l *text.Lines, _ *text.Options) (*text.Layout, *refusal.Error) {
	if _, refused := l.HeaderLine(1<<20, "a line"); refused != nil {
		return nil, refused // says more
	}
	var names []string
	for i := range dialects {
		names = append(names, dialects[i].name)
	}
	return nil, text.At(0, 0, refusal.Malformed, "this is no file that is known: it is not of %s", strings.Join(names, ", "))
}
