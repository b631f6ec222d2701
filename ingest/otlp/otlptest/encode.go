// Package otlptest makes bodies of OTLP metrics for tests, as agents send them.
package otlptest

import (
	"fmt"
	"math"

	"google.golang.org/protobuf/encoding/protowire"
)

// Numbers of fields, from the protocol's definition.
const (
	resourceMetrics   = 1 // of the request
	resource          = 1 // of resource metrics
	scopeMetrics      = 2
	scope             = 1 // of scope metrics
	metrics           = 2
	name              = 1 // of a metric
	description       = 2
	unit              = 3
	gauge             = 5
	sum               = 7
	dataPoints        = 1 // of gauges and sums
	temporality       = 2
	monotonic         = 3
	startTime         = 2 // of a data point
	time              = 3
	asDouble          = 4
	pointAttributes   = 7
	resourceAttribute = 1
)

// Agent is what an agent sends of a machine: of so many metrics, half of them
// gauges, so many data points each, at a time in nanoseconds.
func Agent(machine string, count, points int, at int64) []byte {
	var all []byte
	for m := range count {
		kind, data := protowire.Number(gauge), []byte(nil)
		for p := range points {
			data = nested(data, dataPoints, point(m, p, at))
		}
		if m%2 == 1 {
			kind = sum
			data = number(number(data, temporality, 2), monotonic, 1)
		}
		one := text(text(text(nil, name, fmt.Sprintf("system.disk.operations_%d", m)), description, "Disk operations count."), unit, "{operations}")
		all = nested(all, metrics, nested(one, kind, data))
	}
	all = append(nested(nil, scope, text(text(nil, 1, "diskscraper"), 2, "0.140.0")), all...)
	var about []byte
	for _, key := range []string{"service.name", "host.name", "host.id", "os.type", "cloud.region", "deployment.environment.name"} {
		about = nested(about, resourceAttribute, attribute(key, key+"-0123456789"))
	}
	about = nested(about, resourceAttribute, attribute("service.instance.id", machine))
	return nested(nil, resourceMetrics, nested(nested(nil, resource, about), scopeMetrics, all))
}

func point(m, p int, at int64) []byte {
	one := fixed(fixed(nil, startTime, 1_700_000_000_000_000_000), time, uint64(at))
	value := float64(1000+m*20+p) + float64(at/1_000_000_000%100)/10
	one = fixed(one, asDouble, math.Float64bits(value))
	one = nested(one, pointAttributes, attribute("device", fmt.Sprintf("nvme%dn1", p/2)))
	return nested(one, pointAttributes, attribute("direction", []string{"read", "write"}[p%2]))
}

// attribute is a key with a text.
func attribute(key, value string) []byte {
	return nested(text(nil, 1, key), 2, text(nil, 1, value))
}

func nested(b []byte, n protowire.Number, content []byte) []byte {
	return protowire.AppendBytes(protowire.AppendTag(b, n, protowire.BytesType), content)
}

func text(b []byte, n protowire.Number, content string) []byte {
	return protowire.AppendString(protowire.AppendTag(b, n, protowire.BytesType), content)
}

func number(b []byte, n protowire.Number, v uint64) []byte {
	return protowire.AppendVarint(protowire.AppendTag(b, n, protowire.VarintType), v)
}

func fixed(b []byte, n protowire.Number, v uint64) []byte {
	return protowire.AppendFixed64(protowire.AppendTag(b, n, protowire.Fixed64Type), v)
}
