package text

import (
	"fmt"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/hokan-db/hokan/engine/model"
	"github.com/hokan-db/hokan/ingest/refusal"
)

// Options say what the file does not.
type Options struct {
	Tenant     model.Tenant
	Instrument string         // the label of every channel
	Group      string         // measurement group, a property; may be empty
	Zone       *time.Location // of times that carry no offset
	// Start replaces the file's: YYYY-MM-DD hh:mm:ss[.fff][±hh:mm].
	Start     string
	BatchRows int // 0: chosen by the number of channels
}

// Bounds on what stands above the data, far above what instruments write.
const (
	MaxHeaderBytes = 4 << 20
	MaxColumns     = 10000
)

// Kind is what the cells of a column are.
type Kind byte

// The kinds of column.
const (
	Skip        Kind = iota
	Time             // the time, or a part of it
	Number           // a decimal, or a word for one or for a quality
	Hexadecimal      // bits, read as an integer
	Levels           // letters L and H: an integer whose lowest bit is the first letter

	elapsed // a time that is one cell with a number
)

// Column is one column of the data.
type Column struct {
	Kind       Kind
	Name       string // the label channel, or what is named as skipped
	Properties model.Properties
	Line       int // that describes it; 0: the column line
}

// Layout is what a dialect found out about a file before its data: how lines
// are read.
type Layout struct {
	Dialect    string
	Separator  byte
	Mark       byte // decimal mark beside the period, or a period
	Columns    []Column
	ColumnLine int // where they are named, for messages
	Extra      int // blank cells that may follow the columns; one always may
	Clock      Clock
	Charset    Charset            // of Words
	Words      map[string]float64 // what cells stand for that are no decimals
	Missing    []float64          // numbers that stand for no data
	EmptyIsNo  bool               // an empty cell is quality "nodata"; else no sample
	End        string             // what the first line behind the data begins with; "": the data reach to the end
	EndLines   int                // how many lines stand there where they say nothing
	Warnings   []string           // what the header says that looks wrong
}

// ChannelInfo is a column of numbers as a channel.
type ChannelInfo struct {
	Labels     model.Labels
	Properties model.Properties
	Column     int // cell in its line, from 1
}

// At makes a refusal.
func At(line, column int, code, format string, arguments ...any) *refusal.Error {
	return &refusal.Error{Line: line, Column: column, Code: code, Detail: fmt.Sprintf(format, arguments...)}
}

// channels returns the columns that are channels, with their labels.
func (l *Layout) channels(o *Options) (channels []ChannelInfo, refused *refusal.Error) {
	seen := map[string]int{}
	for i := range l.Columns {
		c := &l.Columns[i]
		if c.Kind < Number {
			continue
		}
		if first, ok := seen[c.Name]; ok {
			return nil, At(l.ColumnLine, i+1, refusal.BadLabel, "column %d has the name %s already", first, Shorten(c.Name))
		}
		seen[c.Name] = i + 1
		labels, err := model.NewLabels(
			model.Label{Name: model.InstrumentLabel, Value: o.Instrument},
			model.Label{Name: model.ChannelLabel, Value: c.Name})
		if err != nil {
			return nil, At(l.ColumnLine, i+1, refusal.BadLabel, "%s", strings.TrimPrefix(err.Error(), model.ErrBadLabel.Error()+": "))
		}
		if strings.ContainsRune(c.Name, utf8.RuneError) {
			return nil, At(l.ColumnLine, i+1, refusal.BadLabel, "the name %s is text in neither UTF-8 nor Shift_JIS", Shorten(c.Name))
		}
		p := c.Properties
		p.Group = o.Group
		for _, text := range []string{p.Name, p.Unit, p.Scaling} {
			if len(text) > model.MaxLabelValueBytes {
				line := c.Line
				if line == 0 {
					line = max(l.ColumnLine, 1)
				}
				return nil, At(line, i+1, refusal.BadLabel,
					"what is said of %s has %d bytes, at most %d", Shorten(c.Name), len(text), model.MaxLabelValueBytes)
			}
		}
		channels = append(channels, ChannelInfo{Labels: labels, Properties: p, Column: i + 1})
	}
	if len(channels) == 0 {
		return nil, At(l.ColumnLine, 0, refusal.Malformed, "no column holds numbers")
	}
	return channels, nil
}

// Validate refuses, with a *refusal.Error, what no file can make good: an
// instrument that is no label, a group that is no text, a start that is no
// time.
func (o *Options) Validate() error {
	_, err := model.NewLabels(
		model.Label{Name: model.InstrumentLabel, Value: o.Instrument},
		model.Label{Name: model.ChannelLabel, Value: "any"})
	switch {
	case err != nil:
		return At(0, 0, refusal.BadLabel, "%s", strings.TrimPrefix(err.Error(), model.ErrBadLabel.Error()+": "))
	case strings.ContainsFunc(o.Instrument, unicode.IsControl):
		return At(0, 0, refusal.BadLabel, "instrument %s holds a control character", Shorten(o.Instrument))
	case !utf8.ValidString(o.Group) || len(o.Group) > model.MaxLabelValueBytes || strings.ContainsFunc(o.Group, unicode.IsControl):
		return At(0, 0, refusal.BadLabel, "group %s is not UTF-8 without control characters of at most %d bytes",
			Shorten(o.Group), model.MaxLabelValueBytes)
	}
	if o.Start != "" {
		if _, refused := o.StartOf("", 0, 0); refused != nil {
			return refused
		}
	}
	return nil
}

// StartOf returns the instant that the times in a file count from: Start or,
// where that is empty, what the file says at line.
func (o *Options) StartOf(trigger string, line, columnLine int) (int64, *refusal.Error) {
	text, column := o.Start, 0
	if text == "" {
		text, column = trigger, 2
	} else {
		line = 0
	}
	if text == "" && o.Zone == nil {
		return 0, At(0, 0, refusal.ZoneRequired, "the file says neither when nor where it was recorded: give --zone and --start")
	}
	if text == "" {
		return 0, At(columnLine, 0, refusal.StartRequired, "the file has no trigger time: give --start 'YYYY-MM-DD hh:mm:ss'")
	}
	c, err := parseCivil(text)
	if err != nil && o.Start == "" {
		return 0, At(line, column, refusal.BadTime, "the file's trigger time %s: %v, or give --start", Shorten(text), err)
	}
	if err != nil {
		return 0, At(0, 0, refusal.BadTime, "--start %s: %v", Shorten(text), err)
	}
	if o.Zone == nil && !c.hasOffset {
		return 0, At(line, 0, refusal.ZoneRequired, "the time %s has no zone: give --zone, such as Europe/Berlin", text)
	}
	start, err := c.instant(o.Zone)
	if err != nil && o.Start == "" {
		return 0, At(line, column, refusal.BadTime, "the file's trigger time %s: %v", Shorten(text), err)
	}
	if err != nil {
		return 0, At(0, 0, refusal.BadTime, "--start %s: %v", Shorten(text), err)
	}
	return start, nil
}

// ClockTimes returns the clock of a file whose lines carry local times, or the
// refusal where its zone is not told or a start is, which none needs.
func (o *Options) ClockTimes(format *Format, line int) (Clock, *refusal.Error) {
	if o.Zone == nil {
		return Clock{}, At(line, 0, refusal.ZoneRequired, "the times in the file have no zone: give --zone, such as Europe/Berlin")
	}
	if o.Start != "" {
		return Clock{}, At(line, 0, refusal.BadTime, "every line of the file says when it was recorded: leave out --start")
	}
	return Clock{Format: format, Zone: o.Zone}, nil
}
