// Package refusal says what an import refused, where it stood and why.
package refusal

import "fmt"

// The codes of refusals. Scripts branch on them: they never change.
const (
	ZoneRequired  = "zone_required"  // a start time without an offset needs a zone
	StartRequired = "start_required" // the file holds no trigger time
	MapRequired   = "map_required"   // a table of no dialect needs a map
	BadTime       = "bad_time"       // no time, or none that can be stored
	NotANumber    = "not_a_number"   // a cell that is neither number nor quality word
	Malformed     = "malformed"      // not the format that was expected
	BadLabel      = "bad_label"      // a name that cannot identify a channel
)

// Error is one refusal. Line and Column (the cell in its line) count from 1;
// 0 means that the refusal has no such place.
type Error struct {
	File   string `json:"-"`
	Line   int    `json:"line"`
	Column int    `json:"column"`
	Code   string `json:"code"`
	Detail string `json:"detail"`
}

// Error returns "CODE: PLACE: DETAIL".
func (e *Error) Error() string {
	text := e.Code + ": "
	if e.File != "" {
		text += e.File + ": "
	}
	switch {
	case e.Line > 0 && e.Column > 0:
		text += fmt.Sprintf("line %d, column %d: ", e.Line, e.Column)
	case e.Line > 0:
		text += fmt.Sprintf("line %d: ", e.Line)
	case e.Column > 0:
		text += fmt.Sprintf("column %d: ", e.Column)
	}
	return text + e.Detail
}
