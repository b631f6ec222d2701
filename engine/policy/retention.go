package policy

import (
	"encoding/binary"
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"github.com/hokan-db/hokan/engine/model"
)

// Scope says whom a rule is for.
type Scope string

// The scopes, the farthest from a channel first.
const (
	ScopePlan       Scope = "plan"       // what the service sells: every channel of the tenant
	ScopeTenant     Scope = "tenant"     // every channel of the tenant
	ScopeGroup      Scope = "group"      // the channels of a measurement group
	ScopeInstrument Scope = "instrument" // the channels of an instrument
	ScopeChannel    Scope = "channel"    // single channels
)

// scopes are all of them; a scope's number in the log is its place here.
var scopes = []Scope{ScopePlan, ScopeTenant, ScopeGroup, ScopeInstrument, ScopeChannel}

// Rule says how long the channels that it matches keep their rows.
type Rule struct {
	Scope Scope
	// Match chooses the channels: a selector without patterns, or the bare name
	// of a group, an instrument or a channel. It is empty for plan and tenant.
	Match string
	// Keep is how long rows are kept, of each model.Step; nil: not said here.
	Keep [model.StepCount]*Keep
}

// ruleText is a rule as JSON.
type ruleText struct {
	Scope  Scope  `json:"scope"`
	Match  string `json:"match,omitempty"`
	Raw    *Keep  `json:"raw,omitempty"`
	Second *Keep  `json:"1s,omitempty"`
	Minute *Keep  `json:"1m,omitempty"`
	Hour   *Keep  `json:"1h,omitempty"`
	Day    *Keep  `json:"1d,omitempty"`
}

// MarshalJSON writes {"scope","match","raw","1s","1m","1h","1d"}; what is not
// said is absent.
func (r Rule) MarshalJSON() ([]byte, error) {
	return json.Marshal(ruleText{r.Scope, r.Match, r.Keep[0], r.Keep[1], r.Keep[2], r.Keep[3], r.Keep[4]})
}

// UnmarshalJSON reads what MarshalJSON writes.
func (r *Rule) UnmarshalJSON(b []byte) error {
	var t ruleText
	if err := json.Unmarshal(b, &t); err != nil {
		return err
	}
	*r = Rule{t.Scope, t.Match, [model.StepCount]*Keep{t.Raw, t.Second, t.Minute, t.Hour, t.Day}}
	return nil
}

// Rules are the whole policy of a tenant. For each step the rule of the nearest
// scope that matches a channel and says something wins, of rules of one scope
// the last. Where none says anything about raw rows they are kept for ever; a
// step that none says anything about is kept as long as raw rows.
type Rules []Rule

// Equal reports whether r and o are the same rules in the same order.
func (r Rules) Equal(o Rules) bool {
	return slices.EqualFunc(r, o, func(a, b Rule) bool {
		if a.Scope != b.Scope || a.Match != b.Match {
			return false
		}
		for s := range a.Keep {
			if (a.Keep[s] == nil) != (b.Keep[s] == nil) || a.Keep[s] != nil && *a.Keep[s] != *b.Keep[s] {
				return false
			}
		}
		return true
	})
}

// Compile checks the rules and makes them ready to be asked. The error wraps
// ErrRetention and tells which rule it is about.
func (r Rules) Compile() (*Policy, error) {
	if len(r) > int(RetentionRules.Default) {
		return nil, fmt.Errorf("%w: %d rules, at most %d", ErrRetention, len(r), RetentionRules.Default)
	}
	p := &Policy{rules: r}
	for i := range r {
		if err := p.add(&r[i]); err != nil {
			return nil, fmt.Errorf("%w: rule %d: %w", ErrRetention, i+1, err)
		}
	}
	// The nearest first, and of one scope the last.
	slices.Reverse(p.compiled)
	slices.SortStableFunc(p.compiled, func(a, b compiledRule) int { return b.rank - a.rank })
	return p, nil
}

// Policy is rules that were found to be good.
type Policy struct {
	rules    Rules
	compiled []compiledRule
}

type compiledRule struct {
	rank     int
	selector model.Selector
	rule     *Rule
}

// Rules returns what p was made of.
func (p *Policy) Rules() Rules { return p.rules }

func (p *Policy) add(r *Rule) error {
	rank := slices.Index(scopes, r.Scope)
	if rank < 0 {
		return fmt.Errorf("scope %q is none of %s", r.Scope, scopeList())
	}
	selector, err := r.selector()
	if err != nil {
		return err
	}
	said := false
	for _, k := range r.Keep {
		said = said || k != nil
		if k != nil && !k.valid() {
			return fmt.Errorf("%v is no length of time", *k)
		}
	}
	if !said {
		return fmt.Errorf("it says nothing of raw, 1s, 1m, 1h or 1d")
	}
	p.compiled = append(p.compiled, compiledRule{rank, selector, r})
	return nil
}

func scopeList() string {
	names := make([]string, len(scopes))
	for i, s := range scopes {
		names[i] = string(s)
	}
	return strings.Join(names, ", ")
}

// selector returns what a rule matches.
func (r *Rule) selector() (model.Selector, error) {
	if r.Scope == ScopePlan || r.Scope == ScopeTenant {
		if r.Match != "" {
			return nil, fmt.Errorf("a rule of a %s matches everything: match must be empty", r.Scope)
		}
		return nil, nil
	}
	if r.Match == "" {
		return nil, fmt.Errorf("a rule of scope %s needs a match", r.Scope)
	}
	if len(r.Match) > model.MaxSelectorBytes {
		return nil, fmt.Errorf("match has %d bytes, at most %d", len(r.Match), model.MaxSelectorBytes)
	}
	if !strings.HasPrefix(r.Match, "{") {
		m, err := model.NewMatcher(string(r.Scope), model.MatchEqual, r.Match)
		return model.Selector{m}, err
	}
	s, err := model.ParseSelector(r.Match)
	if err != nil {
		return nil, err
	}
	for i := range s {
		if s[i].IsPattern() { // it would be matched while others wait
			return nil, fmt.Errorf("match has a pattern, %s: only = and != are for rules", s[i].String())
		}
	}
	return s, nil
}

// Effective is the policy of one channel, by model.Step: how long rows are kept
// and the scope of the rule that says so. What no rule says comes from the plan.
type Effective struct {
	Keep [model.StepCount]Keep
	From [model.StepCount]Scope
}

// Effective returns the policy that holds for a channel with the properties
// that it has now. A nil policy keeps everything.
func (p *Policy) Effective(c *model.Channel) Effective {
	e := Effective{}
	e.From[model.StepRaw] = ScopePlan
	var said [model.StepCount]bool
	left := model.StepCount
	if p != nil {
		for i := range p.compiled {
			if left == 0 {
				break
			}
			r := &p.compiled[i]
			if !r.selector.Matches(c) {
				continue
			}
			for s, k := range r.rule.Keep {
				if k != nil && !said[s] {
					e.Keep[s], e.From[s], said[s] = *k, r.rule.Scope, true
					left--
				}
			}
		}
	}
	for s := model.StepSecond; s < model.StepCount; s++ {
		if !said[s] {
			e.Keep[s], e.From[s] = e.Keep[model.StepRaw], e.From[model.StepRaw]
		}
	}
	return e
}

// Always reports whether everything is kept.
func (p *Policy) Always() bool { return p == nil || len(p.compiled) == 0 }

// Floors are the times before which a channel's rows are gone, by model.Step,
// in nanoseconds since the epoch. Those of rollups are not above that of raw
// rows: as long as these are there, rollups can be made of them.
type Floors [model.StepCount]int64

// NoFloors are those of a channel that keeps everything.
var NoFloors = Floors{NoFloor, NoFloor, NoFloor, NoFloor, NoFloor}

// Floors returns where e's rows end at now.
func (e *Effective) Floors(now int64) Floors {
	var f Floors
	for s := range f {
		f[s] = e.Keep[s].Floor(now)
		f[s] = min(f[s], f[model.StepRaw])
	}
	return f
}

// Max returns the later floor of each step.
func (f Floors) Max(o Floors) Floors {
	for s := range f {
		f[s] = max(f[s], o[s])
	}
	return f
}

// Least returns the time before which nothing of a channel is kept at all.
func (f Floors) Least() int64 { return slices.Min(f[:]) }

// The bytes of rules, in the log, in checkpoints and in blocks; integers are
// little-endian:
//
//	u16  number of rules, then each:
//	u8   scope: its place among plan, tenant, group, instrument, channel
//	u16  length of match, and its bytes
//	u8   which of raw, 1s, 1m, 1h, 1d are said, from bit 0; then for each that is:
//	u8   unit: 0 for ever, 1 years, 2 months, 3 days, 4 hours, 5 minutes, 6 seconds
//	u32  how many

// AppendTo appends the rules' bytes to dst. They must be good.
func (r Rules) AppendTo(dst []byte) []byte {
	dst = binary.LittleEndian.AppendUint16(dst, uint16(len(r)))
	for i := range r {
		dst = append(dst, byte(slices.Index(scopes, r[i].Scope)))
		dst = binary.LittleEndian.AppendUint16(dst, uint16(len(r[i].Match)))
		dst = append(dst, r[i].Match...)
		said := byte(0)
		for s, k := range r[i].Keep {
			if k != nil {
				said |= 1 << s
			}
		}
		dst = append(dst, said)
		for _, k := range r[i].Keep {
			if k != nil {
				dst = append(dst, byte(k.unit))
				dst = binary.LittleEndian.AppendUint32(dst, k.count)
			}
		}
	}
	return dst
}

// DecodeRules reads what AppendTo wrote; anything else, and rules that are not
// good, are refused with an error that wraps ErrRetention.
func DecodeRules(b []byte) (Rules, error) {
	d := ruleDecoder{b: b}
	count := int(d.uint16())
	var rules Rules
	for range count {
		if d.short {
			break
		}
		rules = append(rules, d.rule())
	}
	if d.short || len(d.b) != 0 {
		return nil, fmt.Errorf("%w: %d bytes of rules are cut short or too many", ErrRetention, len(b))
	}
	if _, err := rules.Compile(); err != nil {
		return nil, err
	}
	return rules, nil
}

// ruleDecoder reads from the front of b; short is set where that ends.
type ruleDecoder struct {
	b     []byte
	short bool
}

func (d *ruleDecoder) take(n int) []byte {
	if n > len(d.b) {
		d.short, d.b = true, nil
		return make([]byte, n)
	}
	taken := d.b[:n]
	d.b = d.b[n:]
	return taken
}

func (d *ruleDecoder) uint16() uint16 { return binary.LittleEndian.Uint16(d.take(2)) }

func (d *ruleDecoder) rule() Rule {
	var r Rule
	if scope := int(d.take(1)[0]); scope < len(scopes) {
		r.Scope = scopes[scope]
	}
	r.Match = string(d.take(int(d.uint16())))
	said := d.take(1)[0]
	if said >= 1<<model.StepCount {
		d.short = true
	}
	for s := range r.Keep {
		if said>>s&1 != 0 {
			k := d.take(5)
			r.Keep[s] = &Keep{keepUnit(k[0]), binary.LittleEndian.Uint32(k[1:])}
		}
	}
	return r
}
