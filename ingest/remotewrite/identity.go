package remotewrite

import (
	"fmt"
	"slices"

	"github.com/hokan-db/hokan/engine/model"
)

// identity is what the labels of a series stand for.
type identity struct {
	labels     model.Labels
	properties *model.Properties // that came with it, nil for none
	families   [2]*family        // that may know its properties, nil for none
}

// current returns what is known of the channel, nil for nothing.
func (i *identity) current() *model.Properties {
	if i.properties != nil {
		return i.properties
	}
	for _, f := range i.families {
		if f == nil {
			break
		}
		if p := f.properties.Load(); p != nil {
			return p
		}
	}
	return nil
}

// Labels that have a meaning.
const (
	nameLabel     = "__name__"
	instanceLabel = "instance"
	jobLabel      = "job"
)

// renamed begins the name of a label that has the name of one of ours.
const renamed = "exported_"

// identify returns the channel that a series is, or why it is none. The list is
// changed.
func identify(series []model.Label) (labels model.Labels, refused string) {
	if refused := checkSeries(series); refused != "" {
		return labels, refused
	}
	name := indexOf(series, nameLabel)
	if name < 0 {
		return labels, "there is no label " + nameLabel
	}
	from := -1 // where the instrument comes from
	for _, wanted := range [...]string{instanceLabel, jobLabel, model.InstrumentLabel} {
		if from = indexOf(series, wanted); from >= 0 {
			break
		}
	}
	for i := range series {
		switch l := &series[i]; {
		case i == name:
			l.Name = model.ChannelLabel
		case i == from:
			l.Name = model.InstrumentLabel
		case l.Name == model.ChannelLabel || l.Name == model.InstrumentLabel:
			l.Name = renamed + l.Name
		}
	}
	if from < 0 {
		series = append(series, model.Label{Name: model.InstrumentLabel, Value: series[name].Value})
	}
	labels, err := model.NewLabels(series...)
	if err != nil {
		return labels, err.Error()
	}
	return labels, ""
}

// checkSeries says what is wrong with labels by the names that their sender knows.
func checkSeries(series []model.Label) string {
	if len(series) > model.MaxLabels {
		return fmt.Sprintf("there are more than %d labels", model.MaxLabels)
	}
	for i, l := range series {
		switch {
		case l.Name == "":
			return "a label has no name; its value is " + quote(l.Value)
		case l.Value == "":
			return "label " + quote(l.Name) + " is empty"
		case indexOf(series[:i], l.Name) >= 0:
			return "label " + quote(l.Name) + " is given twice"
		}
	}
	return ""
}

func indexOf(labels []model.Label, name string) int {
	return slices.IndexFunc(labels, func(l model.Label) bool { return l.Name == name })
}

// cutOff says that a body ends too early, or is none.
func cutOff(series int) error {
	return &Error{"malformed", fmt.Sprintf("the body is cut off or no such message, behind %d series", series)}
}
