package hioki

import (
	"strings"

	"github.com/hokan-db/hokan/engine/model"
	"github.com/hokan-db/hokan/ingest/text"
)

// layoutColumns turns the cells of the column line into columns.
func (h *header) layoutColumns() []text.Column {
	columns := []text.Column{{Kind: text.Time}}
	for _, cell := range h.columns[1:] {
		name, unit := text.SplitUnit(cell)
		d := h.channels[text.StripBlanks(name)]
		column := text.Column{Kind: text.Number, Name: name, Line: d.line,
			Properties: model.Properties{Name: d.comment, Unit: unit, Scaling: d.scalingText()}}
		if holdsText(name, d.mode) {
			column.Kind = text.Skip
		}
		columns = append(columns, column)
	}
	return columns
}

// holdsText tells the columns that name what set off an alarm.
func holdsText(name, mode string) bool {
	return strings.HasPrefix(text.Key(name), "alm-source") || text.Key(mode) == "alarmsource"
}

// scalingText says what the instrument made of the reading before it printed
// it, or "" where it printed the reading.
func (d described) scalingText() string {
	switch text.Key(d.scaling) {
	case "", "-", "off", "オフ":
		return ""
	}
	scaling := d.scaling
	if d.ratio != "" && d.ratio != "-" {
		scaling += " ratio " + d.ratio
	}
	if d.offset != "" && d.offset != "-" {
		scaling += " offset " + d.offset
	}
	return scaling
}
