package otlp_test

import (
	"fmt"
	"strings"
	"syscall"
	"testing"

	"github.com/hokan-db/hokan/ingest/otlp"
)

// agent is what an agent sends of a machine every minute: 1,000 data points of 50
// metrics, each with a few attributes.
func agent(tb testing.TB) (text, wire []byte) {
	tb.Helper()
	var metrics []string
	for m := range 50 {
		var points []string
		for p := range 20 {
			points = append(points, fmt.Sprintf(`{"attributes":[{"key":"device","value":{"stringValue":"nvme%dn1"}},{"key":"direction","value":{"stringValue":"%s"}}],`+
				`"startTimeUnixNano":"1700000000000000000","timeUnixNano":"1700000060000000000","asDouble":%d.%d}`, p/2, []string{"read", "write"}[p%2], 1000+m*20+p, p%10))
		}
		metrics = append(metrics, fmt.Sprintf(`{"name":"system.disk.operations_%d","description":"Disk operations count.","unit":"{operations}",`+
			`"sum":{"aggregationTemporality":2,"isMonotonic":true,"dataPoints":[%s]}}`, m, strings.Join(points, ",")))
	}
	resource := []string{}
	for _, name := range []string{"service.name", "service.instance.id", "host.name", "host.id", "os.type", "cloud.region", "deployment.environment.name"} {
		resource = append(resource, `{"key":"`+name+`","value":{"stringValue":"`+name+`-0123456789"}}`)
	}
	text = []byte(request(strings.Join(resource, ","), `"name":"diskscraper","version":"0.140.0"`, strings.Join(metrics, ",")))
	wire, err := otlp.Transcode(text)
	if err != nil {
		tb.Fatal(err)
	}
	return text, wire
}

// BenchmarkDecode reads what an agent sends every minute.
//
//	GOMAXPROCS=1 taskset -c 0 go test -run '^$' -bench Decode ./ingest/otlp
func BenchmarkDecode(b *testing.B) {
	text, wire := agent(b)
	for _, c := range []struct {
		name     string
		encoding otlp.Encoding
		body     []byte
	}{{"protobuf", otlp.Protobuf, wire}, {"json", otlp.JSON, text}} {
		b.Run(c.name, func(b *testing.B) {
			d := &otlp.Decoder{}
			b.SetBytes(int64(len(c.body)))
			b.ReportAllocs()
			before := processorTime()
			for b.Loop() {
				r, err := d.Decode(tenant, c.body, c.encoding)
				if err != nil || len(r.Channels) != 1000 {
					b.Fatal(err)
				}
			}
			used := processorTime() - before
			b.ReportMetric(float64(used)/float64(b.N)/1000, "cpu-ns/sample")
			b.ReportMetric(float64(len(c.body))*float64(b.N)/float64(used)*1000, "cpu-MB/s")
		})
	}
}

// processorTime is what this process has used, in nanoseconds: others may use the
// same core.
func processorTime() int64 {
	var u syscall.Rusage
	_ = syscall.Getrusage(syscall.RUSAGE_SELF, &u)
	return u.Utime.Nano() + u.Stime.Nano()
}

// TestDecodingCostsNoMemory reads what was read before.
func TestDecodingCostsNoMemory(t *testing.T) {
	text, wire := agent(t)
	d := &otlp.Decoder{}
	for encoding, body := range map[otlp.Encoding][]byte{otlp.Protobuf: wire, otlp.JSON: text} {
		allocated := testing.AllocsPerRun(20, func() {
			if _, err := d.Decode(tenant, body, encoding); err != nil {
				t.Fatal(err)
			}
		})
		if allocated > 10 {
			t.Errorf("%d: a body of 1,000 data points costs %v allocations", encoding, allocated)
		}
	}
}
