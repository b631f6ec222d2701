package alarm_test

import (
	"errors"
	"math"
	"testing"

	"github.com/hokan-db/hokan/engine/alarm"
	"github.com/hokan-db/hokan/engine/model"
)

var operators = []alarm.Operator{alarm.Greater, alarm.GreaterOrEqual, alarm.LessOrEqual, alarm.Less,
	alarm.Outside, alarm.OutsideOrEqual}

// TestOperators states the exact meaning: strictly greater does not fire at
// the threshold, greater or equal does, and so on (thresholds 25; 10 and 30).
func TestOperators(t *testing.T) {
	inf := math.Inf(1)
	below := func(v float64) float64 { return math.Nextafter(v, -inf) }
	above := func(v float64) float64 { return math.Nextafter(v, inf) }
	const yes, no = true, false
	thresholds := []struct {
		v                                          float64
		greater, greaterOrEqual, lessOrEqual, less bool
	}{
		{25, no, yes, yes, no},
		{below(25), no, no, yes, yes},
		{above(25), yes, yes, no, no},
		{inf, yes, yes, no, no},
		{-inf, no, no, yes, yes},
		{math.Copysign(0, -1), no, no, yes, yes},
		{math.NaN(), no, no, no, no},
		{model.QualityOver.NaN(), no, no, no, no},
		{model.QualityBurnout.NaN(), no, no, no, no},
	}
	for _, c := range thresholds {
		for i, want := range []bool{c.greater, c.greaterOrEqual, c.lessOrEqual, c.less} {
			if got := (alarm.Condition{Operator: operators[i], Threshold: 25}).Holds(c.v); got != want {
				t.Errorf("%v %s 25 is %v", c.v, operators[i], got)
			}
		}
	}
	ranges := []struct {
		v                       float64
		outside, outsideOrEqual bool
	}{
		{10, no, yes}, {below(10), yes, yes}, {above(10), no, no},
		{30, no, yes}, {above(30), yes, yes}, {below(30), no, no},
		{20, no, no}, {inf, yes, yes}, {-inf, yes, yes}, {math.Copysign(0, -1), yes, yes},
		{math.NaN(), no, no}, {model.QualityUnder.NaN(), no, no},
	}
	for _, c := range ranges {
		for i, want := range []bool{c.outside, c.outsideOrEqual} {
			if got := (alarm.Condition{Operator: operators[4+i], Low: 10, High: 30}).Holds(c.v); got != want {
				t.Errorf("%v %s 10..30 is %v", c.v, operators[4+i], got)
			}
		}
	}
	negativeZero := math.Copysign(0, -1)
	for i, want := range []bool{no, yes, yes, no, no, yes} { // -0 equals 0
		if got := (alarm.Condition{Operator: operators[i]}).Holds(negativeZero); got != want {
			t.Errorf("-0 %s 0 is %v", operators[i], got)
		}
	}
}

func TestOperatorNames(t *testing.T) {
	for i, name := range []string{">", ">=", "<=", "<", "outside", "outside_or_equal"} {
		o, err := alarm.ParseOperator(name)
		if err != nil || o != operators[i] || o.String() != name {
			t.Errorf("%s: %v %q %v", name, uint8(o), o, err)
		}
	}
	for _, name := range []string{"", "=", "=>", "OUTSIDE", "outside "} {
		if o, err := alarm.ParseOperator(name); !errors.Is(err, alarm.ErrInvalid) {
			t.Errorf("%q is %v, %v", name, o, err)
		}
	}
}

func TestConditionsThatAreRefused(t *testing.T) {
	inf, nan := math.Inf(1), math.NaN()
	for _, c := range []alarm.Condition{
		{}, {Operator: 7}, {Operator: 255},
		{Operator: alarm.Greater, Threshold: nan}, {Operator: alarm.Less, Threshold: -inf},
		{Operator: alarm.Greater, Low: nan},
		{Operator: alarm.Outside, Low: nan, High: 1}, {Operator: alarm.Outside, Low: 1, High: inf},
		{Operator: alarm.Outside, Low: 2, High: 1}, {Operator: alarm.OutsideOrEqual, Low: 2, High: 1},
	} {
		if err := c.Validate(); !errors.Is(err, alarm.ErrInvalid) {
			t.Errorf("%+v: %v", c, err)
		}
	}
	for _, c := range []alarm.Condition{
		{Operator: alarm.Greater}, {Operator: alarm.Less, Threshold: -math.MaxFloat64},
		{Operator: alarm.Outside, Low: 1, High: 1}, {Operator: alarm.Greater, Low: 2, High: 1},
	} {
		if err := c.Validate(); err != nil {
			t.Errorf("%+v: %v", c, err)
		}
	}
}

func TestWords(t *testing.T) {
	for got, want := range map[string]string{
		alarm.Unknown.String(): "unknown", alarm.Normal.String(): "normal", alarm.Active.String(): "active",
		alarm.State(9).String(): "state 9", alarm.Start.String(): "start", alarm.End.String(): "end",
		alarm.EventKind(9).String(): "event 9", alarm.Operator(9).String(): "operator 9",
	} {
		if got != want {
			t.Errorf("%q, want %q", got, want)
		}
	}
}
