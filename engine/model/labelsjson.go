package model

import (
	"encoding/json"
	"fmt"
)

// UnmarshalJSON reads what MarshalJSON writes: an object of names and values.
func (l *Labels) UnmarshalJSON(text []byte) error {
	var pairs map[string]string
	if err := json.Unmarshal(text, &pairs); err != nil {
		return fmt.Errorf("%w: %w", ErrBadLabel, err)
	}
	labels := make([]Label, 0, len(pairs))
	for name, value := range pairs {
		labels = append(labels, Label{name, value})
	}
	read, err := NewLabels(labels...)
	if err != nil {
		return err
	}
	*l = read
	return nil
}
