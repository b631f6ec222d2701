package webtest

import (
	"strconv"
	"strings"
	"testing"

	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/fetch"
	"github.com/chromedp/cdproto/page"
	"github.com/chromedp/chromedp"
)

// eavesdropper keeps the page's stream, so that a test can say on it that
// samples were missed and thereby make the page ask anew, and counts the answers
// that the page has taken in: those whose text it has read, and whatever it did
// with it at once. It runs before the page's scripts.
const eavesdropper = `(() => {
	const Source = EventSource;
	window.EventSource = function (url) { return window.hokanStream = new Source(url) };
	const text = Response.prototype.text;
	window.hokanTaken = [];
	Response.prototype.text = async function () {
		const got = await text.call(this);
		setTimeout(() => window.hokanTaken.push(this.url), 0);
		return got;
	};
})()`

// eavesdrop opens a page of the plant in a tab that listens in.
func (p *plant) eavesdrop(path string) *tab {
	p.Helper()
	b := open(p, laptop)
	p.session(b)
	if _, err := chromedp.Call(b.ctx, page.AddScriptToEvaluateOnNewDocument, page.AddScriptToEvaluateOnNewDocumentParams{Source: eavesdropper}); err != nil {
		p.Fatal(err)
	}
	b.visit(p.url + path)
	return b
}

// hold keeps the answers to questions from the page, which the server has
// already given, until release.
func (b *tab) hold(patterns ...string) {
	b.Helper()
	var all []*fetch.RequestPattern
	for _, pattern := range patterns {
		all = append(all, &fetch.RequestPattern{URLPattern: pattern, RequestStage: fetch.RequestStageResponse})
	}
	if _, err := chromedp.Call(b.ctx, fetch.Enable, fetch.EnableParams{Patterns: all}); err != nil {
		b.Fatal(err)
	}
}

// held returns the questions whose answers are kept.
func (b *tab) held(text string) (found []*fetch.EventRequestPaused) {
	b.mutex.Lock()
	defer b.mutex.Unlock()
	for _, e := range b.paused {
		if strings.Contains(e.Request.URL, text) {
			found = append(found, e)
		}
	}
	return found
}

// release lets the answers go, and all that follow.
func (b *tab) release() {
	b.Helper()
	for _, e := range b.held("") {
		_, err := chromedp.Call(b.ctx, fetch.ContinueRequest, fetch.ContinueRequestParams{RequestID: e.RequestID})
		if err != nil { // the page may have given up the question
			b.Log(e.Request.URL, err)
		}
	}
	if _, err := chromedp.Call(b.ctx, fetch.Disable, cdp.Empty{}); err != nil {
		b.Fatal(err)
	}
}

// TestOlderAnswer holds answers back until a live sample that came after them
// is shown: they must not undo it.
func TestOlderAnswer(t *testing.T) {
	p := serve(t).fill()
	for i, c := range []struct {
		path, shown string // shown is JavaScript for the text with the newest value
		asks        []string
		values      string // JavaScript for numbers among which it must be as well
	}{
		{"/monitor", `document.querySelector(` + quote(channelRow(1)+" "+hook("latest-value")) + `)?.textContent`,
			[]string{"/api/v1/latest?"}, ""},
		{"/viewer?match=" + `%7Binstrument%3D%22Kiln%22%2Cchannel%3D%22CH2%22%7D&hours=1`, `document.querySelector('[data-testid="viewer"]').innerText`,
			[]string{"/api/v1/latest?", "/api/v1/view?"}, `hokan.state.rows[0].v.max`},
	} {
		name, _, _ := strings.Cut(c.path[1:], "?")
		t.Run(name, func(t *testing.T) {
			p := p.onBehalf(t)
			b := p.eavesdrop(c.path)
			b.wait("a value", `/\d/.test(`+c.shown+`)`)
			b.streaming()
			b.settled()
			var patterns []string
			for _, ask := range c.asks {
				patterns = append(patterns, "*"+strings.ReplaceAll(ask, "?", `\?`)+"*")
			}
			b.hold(patterns...)
			if err := b.evaluate(`hokanTaken.length = 0, hokanStream.dispatchEvent(new MessageEvent("missed", {data: '{"dropped":1}'}))`, nil); err != nil {
				t.Fatal(err)
			}
			b.poll("the questions", func() (bool, error) {
				for _, ask := range c.asks {
					if len(b.held(ask)) == 0 {
						return false, nil
					}
				}
				return true, nil
			})
			value := 654.2 + float64(i)
			p.write(1, value)
			text := strconv.FormatFloat(value, 'f', 1, 64)
			live := c.shown + `.includes(` + quote(text) + `)`
			b.wait("the live value "+text, live)
			b.release()
			for _, ask := range c.asks {
				b.wait("the held answer of "+ask, `hokanTaken.some(url => url.includes(`+quote(ask)+`))`)
			}
			var stays bool
			if err := b.evaluate(live, &stays); err != nil || !stays {
				t.Errorf("an older answer undid the live value %s (%v): %s", text, err, b.text(c.shown))
			}
			if c.values != "" {
				if err := b.evaluate(c.values+`.includes(`+text+`)`, &stays); err != nil || !stays {
					t.Errorf("an older answer undid the live value %s in the chart (%v)", text, err)
				}
			}
		})
	}
}
