// Package alarm folds alarm conditions over rows: which alarms a tenant has,
// what state each is in, and the events that rows bring about.
//
// It is part of the fold over the log: a Set changes only by entries, so the
// same entries give the same events, whatever crashes when.
package alarm

import (
	"errors"
	"fmt"
	"math"
)

// ErrInvalid is wrapped by every refusal of an alarm's definition.
var ErrInvalid = errors.New("invalid alarm")

// Operator is how a condition compares a value v.
type Operator uint8

// The operators. Numbers are part of the log format and never reused.
const (
	Greater        Operator = 1 // v > T
	GreaterOrEqual Operator = 2 // v ≥ T
	LessOrEqual    Operator = 3 // v ≤ T
	Less           Operator = 4 // v < T
	Outside        Operator = 5 // v < L or v > H
	OutsideOrEqual Operator = 6 // v ≤ L or v ≥ H
)

var operatorNames = [...]string{
	Greater: ">", GreaterOrEqual: ">=", LessOrEqual: "<=", Less: "<",
	Outside: "outside", OutsideOrEqual: "outside_or_equal",
}

// ParseOperator reads what String writes; the error wraps ErrInvalid.
func ParseOperator(s string) (Operator, error) {
	for o, name := range operatorNames {
		if name == s && s != "" {
			return Operator(o), nil
		}
	}
	return 0, fmt.Errorf("%w: operator %q is none of > >= <= < outside outside_or_equal", ErrInvalid, s)
}

// String returns the operator as it is written in requests.
func (o Operator) String() string {
	if o.valid() {
		return operatorNames[o]
	}
	return fmt.Sprintf("operator %d", uint8(o))
}

func (o Operator) valid() bool { return o >= Greater && o <= OutsideOrEqual }

// Ranged reports whether o compares with Low and High instead of Threshold.
func (o Operator) Ranged() bool { return o == Outside || o == OutsideOrEqual }

// Condition is what a value must satisfy for an alarm to be active.
type Condition struct {
	Operator  Operator
	Threshold float64 // for > >= <= <
	Low, High float64 // for the outside operators
}

// Validate reports why c is no condition; the error wraps ErrInvalid.
func (c Condition) Validate() error {
	if !c.Operator.valid() {
		return fmt.Errorf("%w: %s does not exist", ErrInvalid, c.Operator)
	}
	for _, v := range [...]float64{c.Threshold, c.Low, c.High} {
		if math.IsNaN(v) || math.IsInf(v, 0) {
			return fmt.Errorf("%w: %v is not finite", ErrInvalid, v)
		}
	}
	if c.Operator.Ranged() && c.Low > c.High {
		return fmt.Errorf("%w: low %v is above high %v", ErrInvalid, c.Low, c.High)
	}
	return nil
}

// Holds reports whether v satisfies c. A NaN satisfies nothing; infinities
// compare as numbers, and -0 equals 0.
func (c Condition) Holds(v float64) bool {
	switch c.Operator {
	case Greater:
		return v > c.Threshold
	case GreaterOrEqual:
		return v >= c.Threshold
	case LessOrEqual:
		return v <= c.Threshold
	case Less:
		return v < c.Threshold
	case Outside:
		return v < c.Low || v > c.High
	case OutsideOrEqual:
		return v <= c.Low || v >= c.High
	}
	return false
}
