package samples

import (
	"fmt"
	"math"
	"strconv"

	"github.com/hokan-db/hokan/engine/model"
)

// The members of a request, of a channel and of its properties.
var (
	topMembers      = []string{"unit", "times", "channels"}
	channelMembers  = []string{"labels", "properties", "times", "values"}
	propertyMembers = []string{"name", "unit", "decimals", "scaling", "group", "app"}
)

// memberSet is which members of an object were given: a bit for each.
type memberSet uint8

// add takes in a member by the name it has in the body, and returns that of
// the list, or why it is refused.
func (s *memberSet) add(members []string, name []byte) (member, refusal string) {
	for i, member := range members {
		if member != string(name) {
			continue
		}
		if *s&(1<<i) != 0 {
			return "", quote(name) + " is given twice"
		}
		*s |= 1 << i
		return member, ""
	}
	return "", "there is no member " + quote(name) + " here"
}

func (s *memberSet) has(members []string, name string) bool {
	for i, member := range members {
		if member == name {
			return *s&(1<<i) != 0
		}
	}
	return false
}

// place names a member in error messages.
func place(channel int, field string) string {
	switch {
	case channel >= 0 && field != "":
		return fmt.Sprintf(", in channels[%d].%s", channel, field)
	case channel >= 0:
		return ", in channels[" + strconv.Itoa(channel) + "]"
	case field != "":
		return ", in " + field
	}
	return ""
}

// wordValue returns the value that a word stands for.
func wordValue(word []byte) (float64, kind) {
	switch string(word) {
	case "NaN":
		return model.QualityUnknown.NaN(), isGood
	case "Infinity":
		return math.Inf(1), isGood
	case "-Infinity":
		return math.Inf(-1), isGood
	}
	for q := model.QualityOver; q <= model.QualityMath; q++ {
		if string(word) == q.String() {
			return q.NaN(), isGood
		}
	}
	return 0, isOdd
}

// wholeNumber turns a number without decimals into an integer.
func wholeNumber(v float64) (int64, kind) {
	if v != math.Trunc(v) || v < -(1<<63) || v >= 1<<63 {
		return 0, isOdd
	}
	return int64(v), isGood
}
