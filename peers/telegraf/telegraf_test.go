// Package telegraf tries Hokan with Telegraf's agent and its outputs for InfluxDB.
package telegraf

import (
	"context"
	"fmt"
	"os"
	"sync/atomic"
	"testing"
	"time"

	"github.com/influxdata/telegraf"
	"github.com/influxdata/telegraf/agent"
	"github.com/influxdata/telegraf/config"
	"github.com/influxdata/telegraf/plugins/inputs"
	_ "github.com/influxdata/telegraf/plugins/outputs/influxdb"
	_ "github.com/influxdata/telegraf/plugins/outputs/influxdb_v2"

	"github.com/hokan-db/hokan/peers/hokan"
)

func TestMain(m *testing.M) { os.Exit(hokan.Main(m)) }

// counter is an input that counts: every gathering brings some more.
type counter struct{}

var counted, most atomic.Int64

// SampleConfig implements telegraf.PluginDescriber.
func (*counter) SampleConfig() string { return "" }

// Gather implements telegraf.Input.
func (*counter) Gather(to telegraf.Accumulator) error {
	for range 50 {
		i := counted.Load()
		if i == most.Load() {
			return nil
		}
		to.AddFields("counter", map[string]any{"n": i, "odd": i%2 == 1}, map[string]string{"host": "h1"}, time.Unix(1_700_000_000, i))
		counted.Add(1)
	}
	return nil
}

func init() {
	inputs.Add("hokan_counter", func() telegraf.Input { return &counter{} })
}

// TestTelegraf lets Telegraf's agent write through each of its outputs while the
// server is killed and started again.
func TestTelegraf(t *testing.T) {
	if !hokan.IsLong() {
		t.Skip("HOKAN_LONG=1 runs it")
	}
	for _, output := range []string{
		"[[outputs.influxdb]]\n  urls = [\"%s\"]\n  database = \"any\"\n  username = \"any\"\n  password = \"%s\"\n",
		"[[outputs.influxdb_v2]]\n  urls = [\"%s\"]\n  token = \"%s\"\n  organization = \"any\"\n  bucket = \"any\"\n",
	} {
		h := hokan.Start(t)
		counted.Store(0)
		most.Store(10_000)
		c := config.NewConfig()
		// Without a precision times are rounded to the interval.
		text := "[agent]\n  interval = \"10ms\"\n  precision = \"1ns\"\n  flush_interval = \"20ms\"\n  metric_batch_size = 500\n  metric_buffer_limit = 100000\n  omit_hostname = true\n  quiet = true\n" +
			"[[inputs.hokan_counter]]\n" + fmt.Sprintf(output, h.URL(), h.Token)
		if err := c.LoadConfigData([]byte(text), ""); err != nil {
			t.Fatal(err)
		}
		ctx, stop := context.WithCancel(h.Context())
		ended := make(chan error, 1)
		go func() { ended <- agent.NewAgent(c).Run(ctx) }()
		again := time.NewTicker(5 * time.Millisecond)
		defer again.Stop()
		for kills := int64(1); counted.Load() < most.Load(); {
			select {
			case <-again.C:
			case err := <-ended:
				t.Fatal("the agent ended: ", err)
			}
			if counted.Load() > kills*most.Load()/5 {
				h.Restart()
				kills++
			}
		}
		for until := time.Now().Add(2 * time.Minute); time.Now().Before(until); <-again.C {
			if h.Count(`{instrument="h1",channel="counter.n"}`) == int(most.Load()) {
				break // what was not acknowledged was sent again
			}
		}
		stop()
		if err := <-ended; err != nil {
			t.Error(err)
		}
		h.CheckCount(`{instrument="h1",channel="counter.n"}`, int(most.Load()))
	}
}
