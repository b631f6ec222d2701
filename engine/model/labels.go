package model

import (
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"iter"
	"sort"
	"strconv"
	"strings"
	"unicode/utf8"
)

// Label names that every channel has.
const (
	InstrumentLabel = "instrument"
	ChannelLabel    = "channel"
)

// Limits on labels. They keep a definition far below the size of a log entry.
const (
	MaxLabels          = 32   // per channel
	MaxLabelNameBytes  = 128  // per label name
	MaxLabelValueBytes = 1024 // per label value
)

// ErrBadLabel is wrapped by every refusal of a label.
var ErrBadLabel = errors.New("bad label")

// Labels is a channel's identity within its tenant: label names and values,
// sorted by name. It is immutable, comparable with ==, and usable as a map
// key. The zero value has no labels and identifies nothing.
type Labels struct {
	// encoded is, for each label in ascending order of name, the name and the
	// value, each as a uvarint length followed by that many bytes.
	encoded string
}

// Label is one name and value.
type Label struct{ Name, Value string }

// NewLabels builds the identity of a channel. It refuses missing instrument or
// channel labels, doubled names, names that are not [a-zA-Z_][a-zA-Z0-9_]*,
// values that are empty, too long or not UTF-8 or that hold a NUL; the error
// wraps ErrBadLabel.
func NewLabels(labels ...Label) (Labels, error) {
	sorted := append([]Label(nil), labels...)
	sort.Slice(sorted, func(i, j int) bool { return sorted[i].Name < sorted[j].Name })
	if err := checkLabels(sorted); err != nil {
		return Labels{}, err
	}
	var b []byte
	for _, l := range sorted {
		b = binary.AppendUvarint(b, uint64(len(l.Name)))
		b = append(b, l.Name...)
		b = binary.AppendUvarint(b, uint64(len(l.Value)))
		b = append(b, l.Value...)
	}
	return Labels{encoded: string(b)}, nil
}

func checkLabels(sorted []Label) error {
	if len(sorted) > MaxLabels {
		return fmt.Errorf("%w: %d labels, at most %d", ErrBadLabel, len(sorted), MaxLabels)
	}
	required := 0
	for i, l := range sorted {
		if !validLabelName(l.Name) {
			return fmt.Errorf("%w: name %s is not [a-zA-Z_][a-zA-Z0-9_]* of at most %d bytes",
				ErrBadLabel, shorten(l.Name), MaxLabelNameBytes)
		}
		if i > 0 && sorted[i-1].Name == l.Name {
			return fmt.Errorf("%w: %q is given twice", ErrBadLabel, l.Name)
		}
		switch {
		case l.Value == "":
			return fmt.Errorf("%w: %q is empty", ErrBadLabel, l.Name)
		case len(l.Value) > MaxLabelValueBytes:
			return fmt.Errorf("%w: %q has %d bytes, at most %d", ErrBadLabel, l.Name, len(l.Value), MaxLabelValueBytes)
		case !utf8.ValidString(l.Value):
			return fmt.Errorf("%w: %q is not UTF-8: %s", ErrBadLabel, l.Name, shorten(l.Value))
		case strings.IndexByte(l.Value, 0) >= 0:
			return fmt.Errorf("%w: %q holds a NUL: %s", ErrBadLabel, l.Name, shorten(l.Value))
		}
		if l.Name == InstrumentLabel || l.Name == ChannelLabel {
			required++
		}
	}
	if required != 2 {
		return fmt.Errorf("%w: %q and %q are required", ErrBadLabel, InstrumentLabel, ChannelLabel)
	}
	return nil
}

func validLabelName(s string) bool {
	if s == "" || len(s) > MaxLabelNameBytes {
		return false
	}
	for i := 0; i < len(s); i++ {
		c := s[i]
		letter := c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c == '_'
		if !letter && (i == 0 || c < '0' || c > '9') {
			return false
		}
	}
	return true
}

// shorten quotes s for an error message, cut to a readable length.
func shorten(s string) string {
	const most = 40
	if len(s) > most {
		return strconv.Quote(s[:most]) + "…"
	}
	return strconv.Quote(s)
}

// All yields names and values in ascending order of name.
func (l Labels) All() iter.Seq2[string, string] {
	return func(yield func(name, value string) bool) {
		for rest := l.encoded; rest != ""; {
			var name, value string
			name, rest = cutCounted(rest)
			value, rest = cutCounted(rest)
			if !yield(name, value) {
				return
			}
		}
	}
}

// cutCounted splits a uvarint-counted string off the front of a valid encoding.
func cutCounted(s string) (value, rest string) {
	var n uint64
	for shift := 0; ; shift += 7 {
		c := s[0]
		s = s[1:]
		n |= uint64(c&0x7f) << shift
		if c < 0x80 {
			return s[:n], s[n:]
		}
	}
}

// Get returns the value of the label called name, or "" if there is none.
func (l Labels) Get(name string) string {
	for n, v := range l.All() {
		if n == name {
			return v
		}
	}
	return ""
}

// Instrument returns the value of the instrument label.
func (l Labels) Instrument() string { return l.Get(InstrumentLabel) }

// Channel returns the value of the channel label.
func (l Labels) Channel() string { return l.Get(ChannelLabel) }

// IsZero reports whether l has no labels.
func (l Labels) IsZero() bool { return l.encoded == "" }

// Encoded returns the labels as bytes that DecodeLabels reads: for each label
// in ascending order of name, name and value, each as a uvarint length and
// that many bytes.
func (l Labels) Encoded() string { return l.encoded }

// DecodeLabels reads what Encoded returned. Any other bytes are refused with an
// error that wraps ErrBadLabel.
func DecodeLabels(b []byte) (Labels, error) {
	l := Labels{encoded: string(b)}
	labels := make([]Label, 0, 8) // on the stack where there are no more
	for rest := l.encoded; rest != ""; {
		var one Label
		var err error
		if one.Name, rest, err = readCounted(rest); err != nil {
			return Labels{}, err
		}
		if one.Value, rest, err = readCounted(rest); err != nil {
			return Labels{}, err
		}
		if n := len(labels); n > 0 && labels[n-1].Name > one.Name {
			return Labels{}, fmt.Errorf("%w: not sorted", ErrBadLabel)
		}
		if len(labels) == MaxLabels {
			return Labels{}, fmt.Errorf("%w: more than %d labels", ErrBadLabel, MaxLabels)
		}
		labels = append(labels, one)
	}
	if err := checkLabels(labels); err != nil {
		return Labels{}, err
	}
	return l, nil
}

// readCounted is cutCounted for bytes that may be anything.
func readCounted(s string) (value, rest string, err error) {
	var n uint64
	for i := 0; i < len(s) && i < 4; i++ { // 28 bits are more than any label has
		n |= uint64(s[i]&0x7f) << (7 * i)
		if s[i] >= 0x80 {
			continue
		}
		if i > 0 && s[i] == 0 {
			return "", "", fmt.Errorf("%w: a length that is not in its shortest form", ErrBadLabel)
		}
		s = s[i+1:]
		if n > uint64(len(s)) {
			break
		}
		return s[:n], s[n:], nil
	}
	return "", "", fmt.Errorf("%w: cut short", ErrBadLabel)
}

// String writes l as the selector that matches exactly it.
func (l Labels) String() string {
	var b strings.Builder
	b.WriteByte('{')
	for name, value := range l.All() {
		if b.Len() > 1 {
			b.WriteByte(',')
		}
		b.WriteString(name)
		b.WriteByte('=')
		b.WriteString(strconv.Quote(value))
	}
	b.WriteByte('}')
	return b.String()
}

// MarshalJSON writes l as an object of names and values, in order of name.
func (l Labels) MarshalJSON() ([]byte, error) {
	b := []byte{'{'}
	for name, value := range l.All() {
		if len(b) > 1 {
			b = append(b, ',')
		}
		v, err := json.Marshal(value)
		if err != nil {
			return nil, err
		}
		b = strconv.AppendQuote(b, name)
		b = append(b, ':')
		b = append(b, v...)
	}
	return append(b, '}'), nil
}
