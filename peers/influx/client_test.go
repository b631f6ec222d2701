package influx

import (
	"context"
	"errors"
	"fmt"
	"os"
	"testing"
	"time"

	influxdb2 "github.com/influxdata/influxdb-client-go/v2"
	"github.com/influxdata/influxdb-client-go/v2/api/http"
	"github.com/influxdata/influxdb-client-go/v2/api/write"

	"github.com/hokan-db/hokan/peers/hokan"
)

func TestMain(m *testing.M) { os.Exit(hokan.Main(m)) }

func point(i int) *write.Point {
	return influxdb2.NewPoint("counter", map[string]string{"host": "h1", "a tag": "b,c=d"},
		map[string]any{"n": i, "half": float64(i) / 2, "even": i%2 == 0}, time.Unix(1_700_000_000, int64(i)))
}

const (
	counterMatch = `{instrument="h1",channel="counter.n",a_tag="b,c=d"}`
	halfMatch    = `{instrument="h1",channel="counter.half"}`
)

// TestInfluxClientBlocking writes batch after batch with InfluxDB's client, each
// until it is acknowledged, while the server is killed and started again.
func TestInfluxClientBlocking(t *testing.T) {
	h := hokan.Start(t)
	batches, size, kills := 300, 50, 3
	if hokan.IsLong() {
		batches, kills = 5000, 30
	}
	c := influxdb2.NewClientWithOptions(h.URL(), h.Token, influxdb2.DefaultOptions().SetUseGZip(true))
	defer c.Close()
	if up, err := c.Ping(h.Context()); !up || err != nil {
		t.Fatal("ping: ", err)
	}
	if health, err := c.Health(h.Context()); err != nil || health.Status != "pass" {
		t.Fatal("health: ", health, err)
	}
	w := c.WriteAPIBlocking("any", "any")
	progress := make(chan int, batches)
	done := make(chan error, 1)
	go func() {
		defer close(progress)
		for b := range batches {
			var points []*write.Point
			for i := range size {
				points = append(points, point(b*size+i))
			}
			for w.WritePoint(h.Context(), points...) != nil {
				if h.Context().Err() != nil {
					done <- h.Context().Err()
					return
				}
			}
			progress <- b
		}
		done <- nil
	}()
	for b := range progress {
		if (b+1)%(batches/(kills+1)) == 0 {
			h.Restart()
		}
	}
	if err := <-done; err != nil {
		t.Fatal(err)
	}
	h.CheckCount(counterMatch, batches*size)
	if _, values := h.Column(halfMatch); values[len(values)-1] != float64(batches*size-1)/2 {
		t.Errorf("the last is %v", values[len(values)-1])
	}
}

// TestInfluxClientRetries lets the client itself send again what a killed server
// did not acknowledge.
func TestInfluxClientRetries(t *testing.T) {
	h := hokan.Start(t)
	c := influxdb2.NewClientWithOptions(h.URL(), h.Token, influxdb2.DefaultOptions().
		SetBatchSize(100).SetFlushInterval(10).SetRetryInterval(50).SetMaxRetryInterval(200).SetMaxRetries(1000).SetMaxRetryTime(600_000))
	w := c.WriteAPI("any", "any")
	go func() {
		for range w.Errors() { // says what it sends again
		}
	}()
	const points = 5000
	for i := range points {
		w.WritePoint(point(i))
		if (i+1)%1500 == 0 {
			h.Restart()
		}
	}
	w.Flush()
	c.Close() // which sends what is left, once
	h.CheckCount(counterMatch, points)
}

// TestInfluxClientIsTold sends what is refused: the client says why, and what the
// error does not name is kept.
func TestInfluxClientIsTold(t *testing.T) {
	h := hokan.Start(t)
	c := influxdb2.NewClient(h.URL(), h.Token)
	defer c.Close()
	p := point(0).AddField("text", "hello")
	err := c.WriteAPIBlocking("any", "any").WritePoint(context.Background(), p)
	var told *http.Error
	if !errors.As(err, &told) || told.StatusCode != 400 || told.Code != "invalid" {
		t.Fatalf("%#v", err)
	}
	h.CheckCount(counterMatch, 1)
	stranger := influxdb2.NewClient(h.URL(), "none")
	defer stranger.Close()
	err = stranger.WriteAPIBlocking("any", "any").WriteRecord(context.Background(), fmt.Sprintf("m a=1 %d", 1))
	if !errors.As(err, &told) || told.StatusCode != 401 || told.Code != "unauthorized" {
		t.Errorf("%#v", err)
	}
}
