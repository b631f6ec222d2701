package server

import (
	"context"
	"net"
	"net/http"
	"strconv"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"github.com/hokan-db/hokan/engine"
	"github.com/hokan-db/hokan/engine/model"
	"github.com/hokan-db/hokan/engine/policy"
	"github.com/hokan-db/hokan/ingest/admit"
	"github.com/hokan-db/hokan/server/rate"
	"github.com/hokan-db/hokan/server/tenants"
)

// metrics counts what the server does, in a registry of its own.
type metrics struct {
	registry *prometheus.Registry
	handler  http.Handler

	requests  *prometheus.CounterVec   // route, method, code
	seconds   *prometheus.HistogramVec // route
	sent      prometheus.Counter
	refused   *prometheus.CounterVec // limit
	panics    prometheus.Counter
	exemplars prometheus.Counter
	replayed  prometheus.Counter
	accepted  prometheus.Counter
	rejected  *prometheus.CounterVec // reason

	mu          sync.Mutex
	connections map[net.Conn]struct{}
}

func newMetrics(s *Server) *metrics {
	counter := func(name, help string, labels ...string) *prometheus.CounterVec {
		return prometheus.NewCounterVec(prometheus.CounterOpts{Name: name, Help: help}, labels)
	}
	m := &metrics{
		registry: prometheus.NewRegistry(),
		requests: counter("hokan_http_requests_total", "Requests answered.", "route", "method", "code"),
		seconds: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name: "hokan_http_request_seconds", Help: "Time from a request's headers to the end of its answer, streams included.",
			Buckets: []float64{.001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 2.5, 10, 60},
		}, []string{"route"}),
		sent:        prometheus.NewCounter(prometheus.CounterOpts{Name: "hokan_http_sent_bytes_total", Help: "Bytes of bodies sent."}),
		refused:     counter(metricRefused, "Requests refused, by the limit that they met.", "limit"),
		panics:      prometheus.NewCounter(prometheus.CounterOpts{Name: "hokan_http_panics_total", Help: "Handlers that panicked."}),
		exemplars:   prometheus.NewCounter(prometheus.CounterOpts{Name: "hokan_exemplars_ignored_total", Help: "Exemplars that came with samples and are not kept."}),
		replayed:    prometheus.NewCounter(prometheus.CounterOpts{Name: "hokan_http_replayed_total", Help: "Requests answered as the same was before."}),
		accepted:    prometheus.NewCounter(prometheus.CounterOpts{Name: "hokan_samples_accepted_total", Help: "Samples written."}),
		rejected:    counter(metricRejected, "Samples refused, by reason.", "reason"),
		connections: map[net.Conn]struct{}{},
	}
	gauge := func(name, help string, value func() float64) prometheus.Collector {
		return prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: name, Help: help}, value)
	}
	m.registry.MustRegister(
		m.requests, m.seconds, m.sent, m.refused, m.panics, m.exemplars, m.replayed, m.accepted, m.rejected,
		gauge(metricConnections, "Open connections.", func() float64 { return float64(m.open()) }),
		gauge(metricRequests, "Requests in progress that show a token, streams apart.", func() float64 { return float64(s.admitted.now().requests) }),
		gauge(metricOpen, "Requests in progress that show no token.", func() float64 { return float64(s.admitted.now().open) }),
		gauge(metricBytes, "Bytes of request bodies in progress.", func() float64 { return float64(s.admitted.now().bytes) }),
		gauge(metricAnswers, "Bytes of answers that wait in memory.", func() float64 { return float64(s.admitted.now().answers) }),
		gauge(metricStreams, "Live streams.", func() float64 { return float64(s.admitted.now().streams) }),
		&databaseCollector{s.options.DB},
		&quotaCollector{s},
		collectors.NewGoCollector(),
		collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}),
	)
	for _, row := range LimitTable() {
		m.refused.WithLabelValues(row.Name)
	}
	for _, name := range rateLimits {
		m.refused.WithLabelValues(name)
	}
	m.refused.WithLabelValues(quotaBytes)
	m.handler = promhttp.HandlerFor(m.registry, promhttp.HandlerOpts{})
	return m
}

// rateLimits are what refusals of samples that come too fast are counted as, by
// whose rate it is.
var rateLimits = map[rate.Holder]string{rate.Tenant: "samples_per_second", rate.Token: "token_samples_per_second"}

// quotaBytes is what refusals of over_quota are counted as.
const quotaBytes = "bytes"

// connection follows what happens to the connections.
func (m *metrics) connection(c net.Conn, state http.ConnState) {
	m.mu.Lock()
	defer m.mu.Unlock()
	switch state {
	case http.StateNew:
		m.connections[c] = struct{}{}
	case http.StateClosed, http.StateHijacked:
		delete(m.connections, c)
	}
}

func (m *metrics) open() int {
	m.mu.Lock()
	defer m.mu.Unlock()
	return len(m.connections)
}

// answered counts one answer.
func (m *metrics) answered(a *answer, method string, status int, taken time.Duration) {
	m.requests.WithLabelValues(a.route, knownMethod(method), strconv.Itoa(status)).Inc()
	m.seconds.WithLabelValues(a.route).Observe(taken.Seconds())
	m.sent.Add(float64(a.sent))
	if a.limit != "" {
		m.refused.WithLabelValues(a.limit).Inc()
	}
}

// knownMethod keeps what clients make up out of the labels.
func knownMethod(method string) string {
	switch method {
	case http.MethodGet, http.MethodHead, http.MethodPost, http.MethodPut, http.MethodDelete:
		return method
	}
	return "other"
}

// written counts the samples of one request.
func (m *metrics) written(b *admit.Result) {
	m.accepted.Add(float64(b.Accepted))
	for reason, n := range b.Reasons {
		m.rejected.WithLabelValues(reason).Add(float64(n))
	}
}

// databaseCollector tells how much a database holds.
type databaseCollector struct{ db *engine.DB }

var (
	tenantsDescription  = prometheus.NewDesc("hokan_tenants", "Tenants.", nil, nil)
	blocksDescription   = prometheus.NewDesc("hokan_blocks", "Block files.", nil, nil)
	rowsDescription     = prometheus.NewDesc("hokan_block_rows", "Rows in blocks.", nil, nil)
	headDescription     = prometheus.NewDesc("hokan_head_rows", "Rows that no block holds yet.", nil, nil)
	bytesDescription    = prometheus.NewDesc("hokan_block_bytes", "Bytes of block files, by what they hold.", []string{"part"}, nil)
	faultsDescription   = prometheus.NewDesc("hokan_faults", "Damage found since the database was opened.", nil, nil)
	brokenDescription   = prometheus.NewDesc("hokan_quarantined_total", "What was set aside because it was damaged.", []string{"kind"}, nil)
	databaseDescription = []*prometheus.Desc{
		tenantsDescription, blocksDescription, rowsDescription, headDescription, bytesDescription, faultsDescription, brokenDescription,
	}
)

// Describe implements prometheus.Collector.
func (c *databaseCollector) Describe(to chan<- *prometheus.Desc) {
	for _, d := range databaseDescription {
		to <- d
	}
}

// Collect implements prometheus.Collector.
func (c *databaseCollector) Collect(to chan<- prometheus.Metric) {
	stats, err := c.db.Stats()
	if err != nil {
		return // the database is closed: there is nothing to tell
	}
	faults, _ := c.db.Faults()
	gauge := func(d *prometheus.Desc, v float64, labels ...string) {
		to <- prometheus.MustNewConstMetric(d, prometheus.GaugeValue, v, labels...)
	}
	gauge(tenantsDescription, float64(stats.Tenants))
	gauge(blocksDescription, float64(stats.Blocks))
	gauge(rowsDescription, float64(stats.Rows))
	gauge(headDescription, float64(stats.HeadRows))
	gauge(bytesDescription, float64(stats.RawBytes), "raw")
	gauge(bytesDescription, float64(stats.IndexBytes), "index")
	gauge(faultsDescription, float64(len(faults)))
	for kind, n := range c.db.Quarantined() {
		to <- prometheus.MustNewConstMetric(brokenDescription, prometheus.CounterValue, float64(n), kind)
	}
}

// quotaCollector tells what of each quota is in use: what the tenants use of
// theirs, and, with no tenant, what all use together of what the machine has.
type quotaCollector struct{ *Server }

var (
	quotaUsedDescription = prometheus.NewDesc("hokan_quota_used",
		"What is used of a quota: bytes, channels, the channels of the instrument that has most, samples per second; of limits that all share, by a tenant or, with no tenant, by all.",
		[]string{"tenant", "quota"}, nil)
	quotaLimitDescription = prometheus.NewDesc("hokan_quota_limit", "What may be used of a quota.", []string{"tenant", "quota"}, nil)
)

// Describe implements prometheus.Collector.
func (c *quotaCollector) Describe(to chan<- *prometheus.Desc) {
	to <- quotaUsedDescription
	to <- quotaLimitDescription
}

// Collect implements prometheus.Collector.
func (c *quotaCollector) Collect(to chan<- prometheus.Metric) {
	tell := func(t model.Tenant, quota string, used, limit float64) {
		to <- prometheus.MustNewConstMetric(quotaUsedDescription, prometheus.GaugeValue, used, string(t), quota)
		to <- prometheus.MustNewConstMetric(quotaLimitDescription, prometheus.GaugeValue, limit, string(t), quota)
	}
	c.Server.tenants.Quotas(context.Background(), func(q tenants.Used) { tell(q.Tenant, q.Quota, q.Used, float64(q.Limit)) })
	for t, u := range c.admitted.byTenant() {
		bytes, answers := c.limits.InFlightBytes, c.limits.AnswerBytes
		if t != "" {
			bytes, answers = c.limits.TenantInFlightBytes, c.limits.TenantAnswerBytes
		}
		tell(t, policy.InFlightBytes.Name, float64(u.bytes), float64(bytes))
		tell(t, policy.AnswerBytes.Name, float64(u.answers), float64(answers))
	}
	memory := c.options.DB.Memory()
	tell("", policy.Memory.Name, float64(memory.Used()), float64(memory.Limit))
	rows, most := c.options.DB.QueryRows()
	tell("", policy.QueryRows.Name, float64(rows), float64(most))
}
