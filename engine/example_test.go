package engine_test

import (
	"context"
	"fmt"
	"log"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/hokan-db/hokan/engine"
	"github.com/hokan-db/hokan/engine/model"
)

// Open a database, write a temperature every minute, set an alarm on it, and
// view the hour in quarters. On a real disk FS is disk.Default().
func Example() {
	ctx := context.Background()
	db, err := engine.Open(engine.Options{FS: vfs.NewMem(), Dir: "data", Clock: time.Now})
	if err != nil {
		log.Fatal(err)
	}
	defer db.Close()
	if err := db.CreateTenant(ctx, "lake"); err != nil {
		log.Fatal(err)
	}
	labels, err := model.NewLabels(model.Label{Name: "instrument", Value: "logger"}, model.Label{Name: "channel", Value: "1-1"})
	if err != nil {
		log.Fatal(err)
	}
	noon := time.Date(2026, 6, 1, 12, 0, 0, 0, time.UTC).UnixNano()
	write := func(minute int, celsius float64) {
		_, err := db.Append(ctx, &model.Batch{Tenant: "lake", Columns: []model.Column{{
			Labels: labels, Properties: &model.Properties{Name: "Surface", Unit: "C"},
			Times: []int64{noon + int64(minute)*60e9}, Values: []float64{celsius},
		}}})
		if err != nil {
			log.Fatal(err)
		}
	}
	write(0, 25)
	if _, err := db.PutAlarm(ctx, "lake", engine.AlarmDefinition{
		Name: "hot", Channel: 1, Operator: uint8(engine.Greater), Threshold: 26, Enabled: true,
	}); err != nil {
		log.Fatal(err)
	}
	for minute := 1; minute < 60; minute++ {
		write(minute, 25+float64(minute)/25)
	}
	buckets, _ := model.PlanBuckets(model.Span{From: noon, To: noon + 3600e9}, 4)
	view, _ := db.Aggregate(ctx, "lake", []model.ChannelID{1}, buckets)
	for _, quarter := range view[0] {
		fmt.Printf("%d rows, %.2f to %.2f, mean %.2f\n", quarter.Count, quarter.Min, quarter.Max, quarter.Mean())
	}
	events, _, _ := db.Events(ctx, "lake", engine.EventQuery{Span: model.AllTime(), Limit: 10})
	fmt.Printf("%s at %g\n", events[0].Kind, events[0].Value)
	// Output:
	// 15 rows, 25.00 to 25.56, mean 25.28
	// 15 rows, 25.60 to 26.16, mean 25.88
	// 15 rows, 26.20 to 26.76, mean 26.48
	// 15 rows, 26.80 to 27.36, mean 27.08
	// start at 26.04
}
