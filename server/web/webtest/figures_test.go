package webtest

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"io"
	"math"
	"math/rand/v2"
	"net/http"
	"net/url"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/chromedp/cdproto/page"
	"github.com/chromedp/chromedp"
)

// The figures that the README gives are measured by benchmarks:
//
//	go test -run '^$' -bench . -benchtime 10x ./server/web/webtest
//
// Those of a gigabyte and of memory run where HOKAN_LONG=1.

// assetBudget is what the viewer may load of its own on a cold start: bytes on
// the wire.
const assetBudget = 200_000

// TestViewerIsLight holds what the viewer loads to its budget.
func TestViewerIsLight(t *testing.T) {
	p := serve(t).fill()
	b := p.signedIn(laptop, "/monitor")
	address := b.viewerAddress(0, 1)
	b = p.cold(b, address)
	total := 0.0
	for _, r := range b.own() {
		t.Logf("%7.0f bytes: %s", r.encoded, r.url)
		total += r.encoded
	}
	t.Logf("%.0f bytes in all", total)
	if total > assetBudget {
		t.Errorf("the viewer loads %.0f bytes, more than %d", total, assetBudget)
	}
	if len(b.asked("/api/v1/view")) == 0 {
		t.Error("the viewer asked for no view")
	}
	for _, r := range b.asked("") {
		if !strings.HasPrefix(r.url, p.url) && !strings.HasPrefix(r.url, "data:") && !strings.HasPrefix(r.url, "about:") {
			t.Errorf("the page asks another host: %s", r.url)
		}
	}
}

// viewerAddress returns the address of the viewer with some channels.
func (b *tab) viewerAddress(channels ...int) string {
	b.Helper()
	b.shown(channelRow(0))
	for _, i := range channels {
		b.click(channelRow(i) + " input[type=checkbox]")
	}
	b.wait("the viewer's link", `document.querySelector('a[href^="/viewer?"]')`)
	return b.text(`document.querySelector('a[href^="/viewer?"]').href`)
}

// own returns the requests for files of the pages, not for data.
func (b *tab) own() (found []request) {
	for _, r := range b.asked("http") {
		if !strings.Contains(r.url, "/api/") {
			found = append(found, r)
		}
	}
	return found
}

// watcher notes when the chart was stroked, at what time the last drag ended,
// and leaves both where evaluate finds them. It runs before the page's scripts.
const watcher = `(() => {
	const strokes = window.hokanStrokes = [];
	const stroke = CanvasRenderingContext2D.prototype.stroke;
	CanvasRenderingContext2D.prototype.stroke = function (...a) {
		if (this.canvas.closest && this.canvas.closest('[data-testid="chart"]')) strokes.push(performance.now());
		return stroke.apply(this, a);
	};
	addEventListener("mouseup", () => window.hokanReleased = performance.now(), true);
	addEventListener("pointerup", () => window.hokanReleased = performance.now(), true);
})()`

// drawnAfter is the JavaScript for when, in milliseconds of the page, the chart
// was first drawn from a view that was asked for after a time; 0 if not yet.
func drawnAfter(after string) string {
	return `(() => { const after = ` + after + `;
		const views = performance.getEntriesByType("resource").filter(r => r.name.includes("/api/v1/view?") && r.startTime >= after && r.responseEnd > 0);
		if (after === undefined || !views.length) return 0;
		return window.hokanStrokes.find(at => at >= views[0].responseEnd) || 0 })()`
}

// cold opens an address in a new tab with the session of another and nothing
// cached, and waits until the chart is drawn.
func (p *plant) cold(session *tab, address string) *tab {
	p.Helper()
	b := open(p, session.device)
	p.session(b)
	if _, err := chromedp.Call(b.ctx, page.AddScriptToEvaluateOnNewDocument, page.AddScriptToEvaluateOnNewDocumentParams{Source: watcher}); err != nil {
		p.Fatal(err)
	}
	b.visit(address)
	b.wait("the first chart", drawnAfter("0")+" > 0")
	return b
}

// wide fills a plant with channels of quantised one-minute values and returns
// the selector of them all.
func (p *plant) wide(channels, days int) string {
	p.Helper()
	random := rand.New(rand.NewPCG(1, 2))
	count := days * 24 * 60
	for c := range channels {
		body := sampleChannel{Labels: map[string]string{"instrument": "Logger", "channel": fmt.Sprintf("CH%02d", c+1)},
			Properties: map[string]any{"unit": "°C", "decimals": 1, "group": "Plant"}}
		level := 20 + 2*float64(c)
		for k := range count {
			level += random.NormFloat64() / 20
			value := level + 5*math.Sin(float64(k)/230)
			body.Times = append(body.Times, p.now-int64(count-1-k)*minute)
			body.Values = append(body.Values, math.Round(value*10)/10)
		}
		p.samples(body)
	}
	return `{instrument="Logger"}`
}

// BenchmarkFirstPaint measures from the start of navigation to the first frame
// with data, on a cold load of the viewer.
func BenchmarkFirstPaint(b *testing.B) {
	p := serve(b).fill()
	session := p.signedIn(laptop, "/monitor")
	address := session.viewerAddress(0, 1, 4, 5)
	var useful, paint []float64
	total := 0.0
	for b.Loop() {
		t := p.cold(session, address)
		useful = append(useful, t.number(drawnAfter("0")))
		paint = append(paint, t.number(`performance.getEntriesByName("first-contentful-paint")[0]?.startTime || 0`))
		total = 0
		for _, r := range t.own() {
			total += r.encoded
		}
	}
	b.ReportMetric(median(paint), "ms/first-paint")
	b.ReportMetric(median(useful), "ms/first-chart")
	b.ReportMetric(total/1000, "kB/assets")
}

// BenchmarkZoom measures from the release of a drag to the chart drawn from
// the answer.
func BenchmarkZoom(b *testing.B) {
	p := serve(b).fill()
	session := p.signedIn(laptop, "/monitor")
	address := session.viewerAddress(0, 1, 4, 5)
	var took []float64
	for b.Loop() {
		t := p.cold(session, address)
		t.drag(hook("chart")+" .u-over", 0.3, 0.7)
		t.wait("the zoomed chart", drawnAfter("window.hokanReleased")+" > 0")
		took = append(took, t.number(drawnAfter("window.hokanReleased")+" - window.hokanReleased"))
	}
	b.ReportMetric(median(took), "ms/zoom")
}

// BenchmarkView asks for 32 channels of 30 days over HTTP, compressed as for a
// browser: of the simulated plant, and of random walks resolved to 0.1; whole,
// and what the pages ask for.
func BenchmarkView(b *testing.B) {
	b.Run("plant", func(b *testing.B) {
		p := serve(b)
		p.demo()
		p.view(b, `{instrument=~"LR8450-SH1|PW3360-BJ1",channel=~"1-.*|2-.*|Urms|Irms"}`)
	})
	b.Run("walks", func(b *testing.B) {
		p := serve(b)
		p.view(b, p.wide(32, 30))
	})
}

func (p *plant) view(b *testing.B, selector string) {
	query := url.Values{"match": {selector}, "from": {strconv.FormatInt((p.now-30*24*60*minute)*1e6, 10)},
		"to": {strconv.FormatInt((p.now+minute)*1e6, 10)}, "buckets": {"1366"}}
	b.Run("whole", func(b *testing.B) { p.viewAs(b, query) })
	query.Set("fields", "count,quality,min,max,sum,last") // FIELDS in channels.js
	b.Run("drawn", func(b *testing.B) { p.viewAs(b, query) })
}

func (p *plant) viewAs(b *testing.B, query url.Values) {
	client := &http.Client{Transport: &http.Transport{DisableCompression: true}}
	defer client.CloseIdleConnections()
	ask := func(coding string) []byte {
		r, err := http.NewRequest("GET", p.url+"/api/v1/view?"+query.Encode(), nil)
		if err != nil {
			b.Fatal(err)
		}
		r.Header.Set("Authorization", "Bearer "+p.token)
		r.Header.Set("Accept-Encoding", coding)
		answer, err := client.Do(r)
		if err != nil {
			b.Fatal(err)
		}
		defer answer.Body.Close()
		body, err := io.ReadAll(answer.Body)
		if err != nil || answer.StatusCode != 200 {
			b.Fatal(answer.Status, err)
		}
		return body
	}
	plain := ask("identity")
	if channels := bytes.Count(plain, []byte(`"labels"`)); channels != 32 {
		b.Fatalf("the view has %d channels", channels)
	}
	var took []float64
	var packed []byte
	for b.Loop() {
		start := time.Now()
		packed = ask("gzip, deflate, br, zstd") // as browsers do
		took = append(took, float64(time.Since(start).Microseconds())/1000)
	}
	b.ReportMetric(median(took), "ms/view")
	b.ReportMetric(float64(len(packed))/1000, "kB/packed")
	b.ReportMetric(float64(len(plain))/1000, "kB/plain")
}

// BenchmarkLive measures how long after a write was answered as durable each
// of 100 subscribers has it; one of them is the browser, if there is one.
func BenchmarkLive(b *testing.B) {
	const subscribers = 100
	p := serve(b).fill()
	ctx, stop := context.WithCancel(context.Background())
	defer stop()
	var mutex sync.Mutex
	arrived := map[string][]time.Time{} // by the value written
	var ready, done sync.WaitGroup
	for range subscribers {
		r, err := http.NewRequestWithContext(ctx, "GET", p.url+"/api/v1/live?match="+url.QueryEscape(`{channel="CH1"}`), nil)
		if err != nil {
			b.Fatal(err)
		}
		r.Header.Set("Authorization", "Bearer "+p.token)
		ready.Add(1)
		done.Go(func() {
			answer, err := (&http.Client{Transport: &http.Transport{}}).Do(r)
			ready.Done()
			if err != nil {
				b.Error(err)
				return
			}
			defer answer.Body.Close()
			lines := bufio.NewScanner(answer.Body)
			lines.Buffer(nil, 1<<20)
			for lines.Scan() {
				_, values, ok := strings.Cut(lines.Text(), `"values":[`)
				if !ok {
					continue
				}
				now := time.Now()
				list, _, _ := strings.Cut(values, "]")
				mutex.Lock()
				for _, value := range strings.Split(list, ",") {
					arrived[value] = append(arrived[value], now)
				}
				mutex.Unlock()
			}
		})
	}
	ready.Wait()
	durable := map[string]time.Time{}
	ticker := time.NewTicker(20 * time.Millisecond)
	defer ticker.Stop()
	count := 0
	for b.Loop() {
		<-ticker.C
		count++
		p.write(0, 1000+float64(count))
		durable[strconv.Itoa(1000+count)] = time.Now()
	}
	deadline := time.Now().Add(patience)
	for time.Now().Before(deadline) {
		mutex.Lock()
		total := 0
		for _, times := range arrived {
			total += len(times)
		}
		mutex.Unlock()
		if total >= count*subscribers {
			break
		}
		<-ticker.C
	}
	stop()
	done.Wait()
	var delays []float64
	for value, times := range arrived {
		for _, at := range times {
			delays = append(delays, max(0, float64(at.Sub(durable[value]).Microseconds())/1000))
		}
	}
	if len(delays) < count*subscribers {
		b.Errorf("%d of %d events arrived", len(delays), count*subscribers)
	}
	slices.Sort(delays)
	if len(delays) > 0 {
		b.ReportMetric(delays[len(delays)*99/100], "ms/p99")
		b.ReportMetric(delays[len(delays)/2], "ms/p50")
	}
}

func median(values []float64) float64 {
	if len(values) == 0 {
		return 0
	}
	slices.Sort(values)
	return values[len(values)/2]
}

// long skips a benchmark that takes minutes unless it was asked for.
func long(b *testing.B) {
	b.Helper()
	if os.Getenv("HOKAN_LONG") != "1" {
		b.Skip("takes minutes: HOKAN_LONG=1 runs it")
	}
}
