package otlp

import (
	"context"
	"fmt"
	"os"
	"sync"
	"testing"
	"time"

	"go.opentelemetry.io/collector/component"
	"go.opentelemetry.io/collector/component/componenttest"
	"go.opentelemetry.io/collector/config/configopaque"
	"go.opentelemetry.io/collector/config/configoptional"
	"go.opentelemetry.io/collector/exporter"
	"go.opentelemetry.io/collector/exporter/exporterhelper"
	"go.opentelemetry.io/collector/exporter/otlphttpexporter"
	"go.opentelemetry.io/collector/pdata/pcommon"
	"go.opentelemetry.io/collector/pdata/pmetric"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/exporters/otlp/otlpmetric/otlpmetrichttp"
	sdk "go.opentelemetry.io/otel/sdk/metric"
	"go.opentelemetry.io/otel/sdk/resource"

	"github.com/hokan-db/hokan/peers/hokan"
)

func TestMain(m *testing.M) { os.Exit(hokan.Main(m)) }

// TestOTLPCollector lets the exporter of the OpenTelemetry collector send, in
// both encodings, while the server is killed and started again. What it could not
// send it sends again, until it is acknowledged.
func TestOTLPCollector(t *testing.T) {
	for _, encoding := range []otlphttpexporter.EncodingType{otlphttpexporter.EncodingProto, otlphttpexporter.EncodingJSON} {
		t.Run(string(encoding), func(t *testing.T) {
			h := hokan.Start(t)
			sender := collectorExporter(t, h, encoding)
			requests, kills := 200, 3
			if hokan.IsLong() {
				requests, kills = 5000, 20
			}
			var sending sync.WaitGroup
			done := make(chan int, requests)
			sending.Go(func() {
				defer close(done)
				for i := range requests {
					if err := sender.ConsumeMetrics(context.Background(), collected(i)); err != nil {
						t.Errorf("request %d: %v", i, err)
						return
					}
					done <- i
				}
			})
			for i := range done {
				if i%(requests/kills) == requests/kills/2 {
					h.Restart()
				}
			}
			sending.Wait()
			for device := range 10 {
				h.CheckCount(fmt.Sprintf(`{instrument="pump-7",channel="temperature",device="%d"}`, device), requests)
				h.CheckCount(fmt.Sprintf(`{instrument="pump-7",channel="strokes",device="%d"}`, device), requests)
			}
		})
	}
}

// collectorExporter starts an exporter, which has no queue: what it returns from
// is acknowledged.
func collectorExporter(t *testing.T, h *hokan.Server, encoding otlphttpexporter.EncodingType) exporter.Metrics {
	t.Helper()
	factory := otlphttpexporter.NewFactory()
	c := factory.CreateDefaultConfig().(*otlphttpexporter.Config)
	c.ClientConfig.Endpoint = h.URL()
	c.ClientConfig.Headers.Set("Authorization", configopaque.String("Bearer "+h.Token))
	c.Encoding = encoding
	c.QueueConfig = configoptional.None[exporterhelper.QueueBatchConfig]()
	c.RetryConfig.InitialInterval, c.RetryConfig.MaxInterval, c.RetryConfig.MaxElapsedTime = 20*time.Millisecond, time.Second, 0
	settings := exporter.Settings{ID: component.NewID(factory.Type()), TelemetrySettings: componenttest.NewNopTelemetrySettings(), BuildInfo: component.NewDefaultBuildInfo()}
	e, err := factory.CreateMetrics(t.Context(), settings, c)
	if err != nil {
		t.Fatal(err)
	}
	if err := e.Start(t.Context(), componenttest.NewNopHost()); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := e.Shutdown(context.Background()); err != nil {
			t.Error(err)
		}
	})
	return e
}

// collected is the i-th request: a gauge and a sum of ten devices, with the value
// i, and a histogram, which is refused.
func collected(i int) pmetric.Metrics {
	all := pmetric.NewMetrics()
	ofResource := all.ResourceMetrics().AppendEmpty()
	ofResource.Resource().Attributes().PutStr("service.name", "pump")
	ofResource.Resource().Attributes().PutStr("service.instance.id", "pump-7")
	list := ofResource.ScopeMetrics().AppendEmpty().Metrics()
	gauge, sum, histogram := list.AppendEmpty(), list.AppendEmpty(), list.AppendEmpty()
	gauge.SetName("temperature")
	gauge.SetUnit("Cel")
	gauge.SetEmptyGauge()
	sum.SetName("strokes")
	sum.SetEmptySum().SetIsMonotonic(true)
	sum.Sum().SetAggregationTemporality(pmetric.AggregationTemporalityCumulative)
	histogram.SetName("times")
	histogram.SetEmptyHistogram().DataPoints().AppendEmpty().SetCount(1)
	at := pcommon.NewTimestampFromTime(time.Unix(1.7e9, 0).Add(time.Duration(i) * time.Second))
	for device := range 10 {
		p := gauge.Gauge().DataPoints().AppendEmpty()
		p.SetDoubleValue(float64(i))
		q := sum.Sum().DataPoints().AppendEmpty()
		q.SetIntValue(int64(i))
		for _, p := range []pmetric.NumberDataPoint{p, q} {
			p.SetTimestamp(at)
			p.Attributes().PutInt("device", int64(device))
		}
	}
	return all
}

// TestOTLPSDK lets the SDK of OpenTelemetry for Go send what it counts, while the
// server is killed and started again. It gives up what meets no server: all that
// was acknowledged must be there, and nothing twice.
func TestOTLPSDK(t *testing.T) {
	h := hokan.Start(t)
	ctx := t.Context()
	e, err := otlpmetrichttp.New(ctx, otlpmetrichttp.WithEndpointURL(h.URL()+"/v1/metrics"), otlpmetrichttp.WithCompression(otlpmetrichttp.GzipCompression),
		otlpmetrichttp.WithHeaders(map[string]string{"Authorization": "Bearer " + h.Token}))
	if err != nil {
		t.Fatal(err)
	}
	provider := sdk.NewMeterProvider(sdk.WithReader(sdk.NewPeriodicReader(e, sdk.WithInterval(time.Hour))),
		sdk.WithResource(resource.NewSchemaless(attribute.String("service.name", "app"))))
	defer provider.Shutdown(context.Background())
	counter, err := provider.Meter("meter").Int64Counter("counted")
	if err != nil {
		t.Fatal(err)
	}
	turns, kills := 200, 3
	if hokan.IsLong() {
		turns, kills = 5000, 20
	}
	acknowledged := map[float64]bool{}
	turn := make(chan struct{})
	go func() {
		defer close(turn)
		for i := range turns {
			counter.Add(ctx, 1)
			if provider.ForceFlush(ctx) == nil {
				acknowledged[float64(i+1)] = true
			}
			turn <- struct{}{}
		}
	}()
	i := 0
	for range turn {
		if i++; i%(turns/kills) == turns/kills/2 {
			h.Restart()
		}
	}
	_, values := h.Column(`{instrument="app",channel="counted",otel_scope_name="meter"}`)
	found := map[float64]bool{}
	for _, v := range values {
		if found[v] {
			t.Errorf("%v is there twice", v)
		}
		found[v] = true
	}
	for v := range acknowledged {
		if !found[v] {
			t.Errorf("%v was acknowledged and is lost", v)
		}
	}
	if len(acknowledged) < turns/2 {
		t.Errorf("only %d of %d were acknowledged", len(acknowledged), turns)
	}
}
