package turns

import (
	"context"
	"errors"
	"slices"
	"testing"

	"github.com/hokan-db/hokan/engine/model"
)

// TestTurns: with one tenant's requests in every place it may have and many
// more waiting, others get places, in turns.
func TestTurns(t *testing.T) {
	ctx := context.Background()
	places := New(3, 2)
	entered := make(chan model.Tenant)
	enter := func(name model.Tenant) {
		go func() {
			if err := places.Enter(ctx, name); err != nil {
				t.Error(err)
			}
			entered <- name
		}()
	}
	for range 2 {
		enter("greedy")
		<-entered
	}
	for i := range 20 {
		enter("greedy")
		places.AwaitWaiting("greedy", i+1)
	}
	enter("a")
	if got := <-entered; got != "a" {
		t.Fatalf("%s entered, the place is a's", got)
	}
	for i, name := range []model.Tenant{"a", "a", "b", "c"} {
		enter(name)
		places.AwaitWaiting(name, []int{1, 2, 1, 1}[i])
	}
	var order []model.Tenant
	for _, leaving := range []model.Tenant{"a", "greedy", "a", "b", "greedy", "c"} {
		places.Leave(leaving)
		order = append(order, <-entered)
	}
	if want := []model.Tenant{"a", "greedy", "b", "c", "a", "greedy"}; !slices.Equal(order, want) {
		t.Errorf("entered %v, want %v", order, want)
	}
}

// TestTurnsCancelled: whoever stops waiting leaves no trace.
func TestTurnsCancelled(t *testing.T) {
	places := New(2, 1)
	if err := places.Enter(context.Background(), "t"); err != nil {
		t.Fatal(err)
	}
	for range 1000 {
		ctx, cancel := context.WithCancel(context.Background())
		done := make(chan error)
		go func() { done <- places.Enter(ctx, "t") }()
		places.AwaitWaiting("t", 1)
		go places.Leave("t")
		cancel()
		if err := <-done; err != nil { // else it has the place now
			if !errors.Is(err, context.Canceled) {
				t.Fatal(err)
			}
			if err := places.Enter(context.Background(), "t"); err != nil {
				t.Fatal(err)
			}
		}
	}
	places.Leave("t")
	if places.free != 2 || len(places.tenants) > 0 || len(places.waiting) > 0 {
		t.Errorf("left: %+v", places)
	}
}
