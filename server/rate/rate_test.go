package rate_test

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/hokan-db/hokan/server/rate"
)

// TestDebt lets a large request in, whatever its size, and says how long those
// after it wait.
func TestDebt(t *testing.T) {
	now := time.Unix(1_800_000_000, 0)
	l := rate.New(rate.Token, 100)
	if err := l.Owed(now); err != nil {
		t.Fatalf("nothing was taken: %v", err)
	}
	l.Take(now, 1000)
	var tooFast *rate.Error
	if err := l.Owed(now); !errors.As(err, &tooFast) || tooFast.Holder != rate.Token || tooFast.PerSecond != 100 ||
		tooFast.After < 9*time.Second || tooFast.After > 10*time.Second || !strings.Contains(err.Error(), "the token's 100 samples per second") {
		t.Fatalf("after ten seconds' worth: %v", err)
	}
	if used := l.Used(now); used != 1000 {
		t.Errorf("%v are used, want 1000", used)
	}
	if err := l.Owed(now.Add(tooFast.After - time.Millisecond)); err == nil {
		t.Error("let in too early")
	}
	if err := l.Owed(now.Add(tooFast.After + time.Millisecond)); err != nil {
		t.Errorf("when it is paid for: %v", err)
	}
}

// TestNoRate: what is not limited owes nothing.
func TestNoRate(t *testing.T) {
	l, now := rate.New(rate.Tenant, 0), time.Unix(1_800_000_000, 0)
	l.Take(now, 1e9)
	if err := l.Owed(now); err != nil {
		t.Error(err)
	}
}
