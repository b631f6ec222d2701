package engine

import (
	"context"
	"fmt"
	"math/rand/v2"
	"testing"

	"github.com/hokan-db/hokan/engine/model"
)

// TestAppendInAnyOrder writes channels that were made together again: together,
// in other orders, with others between, and with new properties. Each row is in
// its own channel, and each channel has its own properties.
func TestAppendInAnyOrder(t *testing.T) {
	db := tapped(t)
	ctx, random := context.Background(), rand.New(rand.NewPCG(1, 2))
	const channels = 30
	latest, units := map[string]float64{}, map[string]string{}
	for round := range 200 {
		order := random.Perm(channels)
		if round%2 == 0 {
			for i := range order {
				order[i] = i
			}
		}
		b := &model.Batch{Tenant: "t"}
		for _, i := range order[:random.IntN(channels)+1] {
			name := fmt.Sprint(i)
			c := model.Column{Labels: testLabels(name), Times: []int64{int64(round)}, Values: []float64{float64(round*channels + i)}}
			if random.IntN(3) == 0 {
				units[name] = fmt.Sprint("V", random.IntN(3))
				c.Properties = &model.Properties{Unit: units[name]}
			}
			latest[name] = c.Values[0]
			b.Columns = append(b.Columns, c)
		}
		appendTo(t, db, b)
	}
	found, err := db.Channels(ctx, "t", nil)
	if err != nil || len(found) != channels {
		t.Fatalf("%d channels, %v", len(found), err)
	}
	for _, c := range found {
		rows, err := db.Latest(ctx, "t", []model.ChannelID{c.ID})
		name := c.Labels.Channel()
		if err != nil || rows[0].Value != latest[name] || c.Get("unit") != units[name] {
			t.Errorf("channel %s: %v, unit %s, %v; want %v, %s", name, rows, c.Get("unit"), err, latest[name], units[name])
		}
	}
}
