package hioki

import (
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/hokan-db/hokan/engine/model"
	"github.com/hokan-db/hokan/ingest/refusal"
)

// ChannelInfo is a numeric column as a channel.
type ChannelInfo struct {
	Labels     model.Labels
	Properties model.Properties
	Column     int // cell in its line, from 1; the time is 1
}

// channelsOf turns the columns into channels and returns beside them the names
// of the columns that hold text.
func channelsOf(h *header, o *Options) (channels []ChannelInfo, skipped []string, refused *refusal.Error) {
	seen := map[string]int{}
	for i, column := range h.columns[1:] {
		place := i + 2
		name, unit := splitUnit(column)
		d := h.channels[stripBlanks(name)]
		if holdsText(name, d.mode) {
			skipped = append(skipped, name)
			continue
		}
		if first, ok := seen[name]; ok {
			return nil, nil, at(h.columnLine, place, refusal.BadLabel,
				"column %d has the name %s already", first, shorten(name))
		}
		seen[name] = place
		labels, err := model.NewLabels(
			model.Label{Name: model.InstrumentLabel, Value: o.Instrument},
			model.Label{Name: model.ChannelLabel, Value: name})
		if err != nil {
			return nil, nil, at(h.columnLine, place, refusal.BadLabel, "%s", strings.TrimPrefix(err.Error(), model.ErrBadLabel.Error()+": "))
		}
		if strings.ContainsRune(name, utf8.RuneError) {
			return nil, nil, at(h.columnLine, place, refusal.BadLabel,
				"the name %s is text in neither UTF-8 nor Shift_JIS", shorten(name))
		}
		p := model.Properties{Name: d.comment, Unit: unit, Scaling: d.scalingText(), Group: o.Group}
		for _, text := range []string{p.Name, p.Unit, p.Scaling} {
			if len(text) > model.MaxLabelValueBytes {
				return nil, nil, at(max(d.line, 1), place, refusal.BadLabel,
					"what is said of %s has %d bytes, at most %d", shorten(name), len(text), model.MaxLabelValueBytes)
			}
		}
		channels = append(channels, ChannelInfo{Labels: labels, Properties: p, Column: place})
	}
	if len(channels) == 0 {
		return nil, nil, at(h.columnLine, 0, refusal.Malformed, "no column holds numbers")
	}
	return channels, skipped, nil
}

// splitUnit splits "2-4[V]" or "TEMP [C]" into name and unit.
func splitUnit(column string) (name, unit string) {
	open := strings.LastIndexByte(column, '[')
	if open < 0 || !strings.HasSuffix(column, "]") {
		return column, ""
	}
	return strings.TrimSpace(column[:open]), strings.TrimSpace(column[open+1 : len(column)-1])
}

// holdsText tells the columns that name what set off an alarm.
func holdsText(name, mode string) bool {
	return strings.HasPrefix(key(name), "alm-source") || key(mode) == "alarmsource"
}

// scalingText says what the instrument made of the reading before it printed
// it, or "" where it printed the reading.
func (d described) scalingText() string {
	switch key(d.scaling) {
	case "", "-", "off", "オフ":
		return ""
	}
	text := d.scaling
	if d.ratio != "" && d.ratio != "-" {
		text += " ratio " + d.ratio
	}
	if d.offset != "" && d.offset != "-" {
		text += " offset " + d.offset
	}
	return text
}

// shorten quotes text from a file for a message, cut to a readable length.
func shorten(text string) string {
	const most = 40
	if len(text) > most {
		return strconv.Quote(text[:most]) + "…"
	}
	return strconv.Quote(text)
}
