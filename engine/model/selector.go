package model

import (
	"errors"
	"fmt"
	"regexp"
	"regexp/syntax"
	"strconv"
	"strings"
)

// ErrBadSelector is wrapped by every refusal of a selector.
var ErrBadSelector = errors.New("bad selector")

// MaxSelectorBytes bounds a selector's text.
const MaxSelectorBytes = 8192

// MatchOp is how a matcher compares.
type MatchOp uint8

// The four comparisons.
const (
	MatchEqual     MatchOp = iota // =
	MatchNotEqual                 // !=
	MatchRegexp                   // =~, RE2, anchored at both ends
	MatchNotRegexp                // !~
)

// String returns the operator as it is written.
func (o MatchOp) String() string { return [...]string{"=", "!=", "=~", "!~"}[o] }

// Matcher compares one label or property with a value. A channel without it
// has the empty value.
type Matcher struct {
	Name  string
	Op    MatchOp
	Value string
	re    *regexp.Regexp
}

// NewMatcher builds a matcher; a pattern that does not compile is refused with
// an error that wraps ErrBadSelector.
func NewMatcher(name string, op MatchOp, value string) (Matcher, error) {
	m := Matcher{Name: name, Op: op, Value: value}
	if err := m.compile(); err != nil {
		return Matcher{}, fmt.Errorf("%w: %w", ErrBadSelector, err)
	}
	return m, nil
}

func (m *Matcher) compile() error {
	if m.Op != MatchRegexp && m.Op != MatchNotRegexp {
		return nil
	}
	// By itself first: "a)|(b" would compile once it stands in parentheses.
	parsed, err := syntax.Parse(m.Value, syntax.Perl)
	if err == nil && patternSize(parsed) > maxPatternSize {
		err = fmt.Errorf("its repeats make it too large")
	}
	if err == nil {
		m.re, err = regexp.Compile("^(?s:" + m.Value + ")$")
	}
	if err != nil {
		return fmt.Errorf("%s%s: %w", m.Name, m.Op, err)
	}
	return nil
}

// maxPatternSize bounds what a pattern compiles to: more than any text without
// counted repeats needs, and little enough to be matched against every channel.
const maxPatternSize = 10_000

// patternSize is about how many instructions re compiles to. Counted repeats
// multiply: a few bytes of text can ask for millions.
func patternSize(re *syntax.Regexp) int {
	size := 1 + len(re.Rune)
	for _, sub := range re.Sub {
		size = min(size+patternSize(sub), maxPatternSize+1)
	}
	if re.Op == syntax.OpRepeat {
		size *= max(re.Min, re.Max, 1)
	}
	return min(size, maxPatternSize+1)
}

// IsPattern reports whether m compares with a regular expression, which can
// take far longer than the others.
func (m *Matcher) IsPattern() bool { return m.re != nil }

// Matches reports whether the value that a channel has satisfies m.
func (m *Matcher) Matches(value string) bool {
	switch m.Op {
	case MatchEqual:
		return value == m.Value
	case MatchNotEqual:
		return value != m.Value
	case MatchRegexp:
		return m.re.MatchString(value)
	default:
		return !m.re.MatchString(value)
	}
}

// String writes m as it is written in a selector.
func (m *Matcher) String() string { return m.Name + m.Op.String() + strconv.Quote(m.Value) }

// Selector is a list of matchers that must all hold. The empty selector
// matches every channel.
type Selector []Matcher

// Matches reports whether every matcher holds for c.
func (s Selector) Matches(c *Channel) bool {
	for i := range s {
		if !s[i].Matches(c.Get(s[i].Name)) {
			return false
		}
	}
	return true
}

// String writes s in the form that ParseSelector reads.
func (s Selector) String() string {
	parts := make([]string, len(s))
	for i := range s {
		parts[i] = s[i].String()
	}
	return "{" + strings.Join(parts, ",") + "}"
}

// ParseSelector reads `{name="value",name=~"RE2",…}` with the operators
// = != =~ !~; blanks between the parts and a last comma are allowed. Values
// are quoted with " (Go escapes) or ` (none). `{}` matches everything. The
// error wraps ErrBadSelector and names the byte where reading stopped.
func ParseSelector(text string) (Selector, error) {
	if len(text) > MaxSelectorBytes {
		return nil, fmt.Errorf("%w: %d bytes, at most %d", ErrBadSelector, len(text), MaxSelectorBytes)
	}
	p := selectorParser{text: text}
	s, err := p.parse()
	if err != nil {
		return nil, err
	}
	return s, nil
}

type selectorParser struct {
	text string
	at   int
}

func (p *selectorParser) fail(want string) error {
	return fmt.Errorf("%w: byte %d: want %s", ErrBadSelector, p.at, want)
}

func (p *selectorParser) blanks() {
	for p.at < len(p.text) && strings.IndexByte(" \t\r\n", p.text[p.at]) >= 0 {
		p.at++
	}
}

func (p *selectorParser) take(token string) bool {
	p.blanks()
	if strings.HasPrefix(p.text[p.at:], token) {
		p.at += len(token)
		return true
	}
	return false
}

func (p *selectorParser) parse() (Selector, error) {
	if !p.take("{") {
		return nil, p.fail("{")
	}
	s := Selector{}
	for !p.take("}") {
		m, err := p.matcher()
		if err != nil {
			return nil, err
		}
		s = append(s, m)
		if p.take("}") {
			break
		}
		if !p.take(",") {
			return nil, p.fail(", or }")
		}
	}
	p.blanks()
	if p.at != len(p.text) {
		return nil, p.fail("nothing after }")
	}
	return s, nil
}

func (p *selectorParser) matcher() (Matcher, error) {
	p.blanks()
	start := p.at
	for p.at < len(p.text) && validLabelName(p.text[start:p.at+1]) {
		p.at++
	}
	name := p.text[start:p.at]
	if name == "" {
		return Matcher{}, p.fail("a label or property name")
	}
	op, err := p.operator()
	if err != nil {
		return Matcher{}, err
	}
	p.blanks()
	quoted, err := strconv.QuotedPrefix(p.text[p.at:])
	if err != nil || quoted[0] == '\'' {
		return Matcher{}, p.fail("a quoted value")
	}
	value, err := strconv.Unquote(quoted)
	if err != nil {
		return Matcher{}, p.fail("a quoted value")
	}
	m := Matcher{Name: name, Op: op, Value: value}
	if err := m.compile(); err != nil {
		return Matcher{}, fmt.Errorf("%w: byte %d: %w", ErrBadSelector, p.at, err)
	}
	p.at += len(quoted)
	return m, nil
}

func (p *selectorParser) operator() (MatchOp, error) {
	switch {
	case p.take("=~"):
		return MatchRegexp, nil
	case p.take("!~"):
		return MatchNotRegexp, nil
	case p.take("!="):
		return MatchNotEqual, nil
	case p.take("="):
		return MatchEqual, nil
	}
	return 0, p.fail("one of = != =~ !~")
}
