package api

import (
	"encoding/json"
	"fmt"
	"math"
	"strconv"

	"github.com/hokan-db/hokan/engine/model"
)

// Answers read back from JSON, for clients written in Go. The bits of every
// value are those that were written, but for a NaN that is no quality.

// words are the values that JSON has no number for.
var words = map[string]float64{
	`"Infinity"`: math.Inf(1), `"-Infinity"`: math.Inf(-1), `"NaN"`: math.NaN(),
	`"over"`: model.QualityOver.NaN(), `"under"`: model.QualityUnder.NaN(), `"burnout"`: model.QualityBurnout.NaN(),
	`"nodata"`: model.QualityNoData.NaN(), `"math"`: model.QualityMath.NaN(),
}

// UnmarshalJSON implements json.Unmarshaler.
func (v *Value) UnmarshalJSON(text []byte) error {
	if string(text) == "null" {
		*v = Value{}
		return nil
	}
	if special, ok := words[string(text)]; ok {
		*v = known(special)
		return nil
	}
	n, err := strconv.ParseFloat(string(text), 64)
	if err != nil {
		return fmt.Errorf("%s is no value", quote(string(text)))
	}
	*v = known(n)
	return nil
}

// UnmarshalJSON implements json.Unmarshaler. Rows must be of one length.
func (r *Rows) UnmarshalJSON(text []byte) error {
	var rows []Values
	if err := json.Unmarshal(text, &rows); err != nil {
		return err
	}
	*r = Rows{}
	for i, row := range rows {
		if i > 0 && len(row) != r.width {
			return fmt.Errorf("row %d has %d cells, the first %d", i, len(row), r.width)
		}
		r.width = len(row)
		for _, v := range row {
			r.values, r.present = append(r.values, v.Number), append(r.present, v.Known)
		}
	}
	return nil
}
