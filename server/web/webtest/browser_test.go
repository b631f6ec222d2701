package webtest

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/chromedp/cdproto/browser"
	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/cdproto/fetch"
	"github.com/chromedp/cdproto/input"
	"github.com/chromedp/cdproto/log"
	"github.com/chromedp/cdproto/network"
	"github.com/chromedp/cdproto/page"
	"github.com/chromedp/cdproto/runtime"
	"github.com/chromedp/chromedp"
)

// patience bounds every wait for the page; the machine may be busy.
const patience = 60 * time.Second

// chromium is the one browser that all tests share, each in a context of its
// own, so that no cookie or cache passes from one to the next. It is nil where
// there is no chromium.
var chromium context.Context

func TestMain(m *testing.M) { os.Exit(run(m)) }

func run(m *testing.M) int {
	path, err := exec.LookPath("chromium")
	if err != nil {
		return m.Run()
	}
	options := append(chromedp.DefaultExecAllocatorOptions[:],
		chromedp.ExecPath(path), chromedp.NoSandbox,
		chromedp.Flag("headless", "new"), chromedp.Flag("hide-scrollbars", true))
	ctx, stop := chromedp.NewExecAllocator(context.Background(), options...)
	defer stop()
	ctx, stopBrowser := chromedp.NewContext(ctx)
	defer stopBrowser()
	if err := chromedp.Do(ctx); err != nil {
		fmt.Fprintln(os.Stderr, "chromium does not start:", err)
		return 1
	}
	chromium = ctx
	return m.Run()
}

// device is what a person looks at the pages with.
type device struct {
	name          string
	width, height int64
	phone, dark   bool
	language      string // empty: en
	zone          string // IANA; empty: Asia/Tokyo
}

var (
	laptop = device{name: "laptop", width: 1366, height: 768}
	phone  = device{name: "phone", width: 375, height: 667, phone: true}
)

// request is one that the page made.
type request struct {
	id               network.RequestID
	method, url      string
	status           int64
	encoded          float64 // bytes on the wire
	started, touched time.Time
	done, fromCache  bool
}

// tab is one page of the browser. It remembers everything that went wrong in
// it, and fails the test at its end unless that was expected.
type tab struct {
	testing.TB
	ctx       context.Context
	device    device
	downloads string

	mutex    sync.Mutex
	problems []string
	requests []*request
	expected []string                    // what a problem may contain
	paused   []*fetch.EventRequestPaused // by hold
}

// open opens an empty tab. It skips the test where there is no browser.
func open(t testing.TB, d device) *tab {
	t.Helper()
	if chromium == nil {
		t.Skip("there is no chromium in PATH: install Debian's package chromium to run the pages in a browser")
	}
	b := &tab{TB: t, device: d, downloads: t.TempDir()}
	ctx, done := chromedp.NewContext(chromium, chromedp.WithNewBrowserContext(), chromedp.WithListener(b.listen))
	b.ctx = ctx
	t.Cleanup(func() {
		if t.Failed() {
			b.keepPicture()
		}
		done()
		for _, problem := range b.unexpected() {
			t.Error("in the browser: " + problem)
		}
	})
	if err := chromedp.Do(ctx); err != nil {
		t.Fatal(err)
	}
	b.emulate(d)
	if _, err := chromedp.CallBrowser(ctx, browser.SetDownloadBehavior, browser.SetDownloadBehaviorParams{
		Behavior:         browser.SetDownloadBehaviorBehaviorAllow,
		BrowserContextID: chromedp.FromContext(ctx).BrowserContextID,
		DownloadPath:     b.downloads,
	}); err != nil {
		t.Fatal(err)
	}
	return b
}

// keepPicture saves what the page shows, for a test that failed, where the
// environment names a folder for it.
func (b *tab) keepPicture() {
	folder := os.Getenv("HOKAN_PICTURES")
	if folder == "" {
		return
	}
	ctx, cancel := context.WithTimeout(b.ctx, 5*time.Second)
	defer cancel()
	shot, err := chromedp.Call(ctx, page.CaptureScreenshot, page.CaptureScreenshotParams{})
	if err == nil {
		name := strings.NewReplacer("/", "-", " ", "-").Replace(b.Name()) + ".png"
		err = os.WriteFile(filepath.Join(folder, name), shot.Data, 0o644)
	}
	if err != nil {
		b.Log(err)
	}
}

// emulate makes the tab the given device.
func (b *tab) emulate(d device) {
	b.Helper()
	zone, language := d.zone, d.language
	if zone == "" {
		zone = "Asia/Tokyo"
	}
	if language == "" {
		language = "en"
	}
	scheme := "light"
	if d.dark {
		scheme = "dark"
	}
	_, err := chromedp.Call(b.ctx, emulation.SetDeviceMetricsOverride, emulation.SetDeviceMetricsOverrideParams{
		Width: d.width, Height: d.height, DeviceScaleFactor: 1, Mobile: d.phone})
	_, errTouch := chromedp.Call(b.ctx, emulation.SetTouchEmulationEnabled, emulation.SetTouchEmulationEnabledParams{Enabled: d.phone})
	_, errZone := chromedp.Call(b.ctx, emulation.SetTimezoneOverride, emulation.SetTimezoneOverrideParams{TimezoneID: zone})
	_, errMedia := chromedp.Call(b.ctx, emulation.SetEmulatedMedia, emulation.SetEmulatedMediaParams{
		Features: []*emulation.MediaFeature{{Name: "prefers-color-scheme", Value: scheme}, {Name: "prefers-reduced-motion", Value: "reduce"}}})
	// What navigator.languages says, and the header of every request.
	agent := b.text("navigator.userAgent")
	_, errLanguage := chromedp.Call(b.ctx, emulation.SetUserAgentOverride, emulation.SetUserAgentOverrideParams{
		UserAgent: agent, AcceptLanguage: language})
	if err := errors.Join(err, errTouch, errZone, errMedia, errLanguage); err != nil {
		b.Fatal(err)
	}
}

// listen remembers requests and problems. It must return fast.
func (b *tab) listen(event any) {
	b.mutex.Lock()
	defer b.mutex.Unlock()
	now := time.Now()
	switch e := event.(type) {
	case *fetch.EventRequestPaused:
		b.paused = append(b.paused, e)
	case *runtime.EventExceptionThrown:
		text := e.ExceptionDetails.Text
		if x := e.ExceptionDetails.Exception; x != nil {
			text += " " + x.Description
		}
		b.problems = append(b.problems, fmt.Sprintf("uncaught: %s (%s:%d)", text, e.ExceptionDetails.URL, e.ExceptionDetails.LineNumber+1))
	case *runtime.EventConsoleAPICalled:
		if kind := string(e.Type); kind == "error" || kind == "assert" || kind == "warning" {
			var words []string
			for _, argument := range e.Args {
				words = append(words, strings.Trim(string(argument.Value), `"`)+argument.Description)
			}
			b.problems = append(b.problems, "console."+kind+": "+strings.Join(words, " "))
		}
	case *log.EventEntryAdded:
		if e.Entry.Level == "error" {
			b.problems = append(b.problems, fmt.Sprintf("%s: %s (%s)", e.Entry.Source, e.Entry.Text, e.Entry.URL))
		}
	case *network.EventRequestWillBeSent:
		b.requests = append(b.requests, &request{id: e.RequestID, method: e.Request.Method, url: e.Request.URL, started: now, touched: now})
	case *network.EventResponseReceived:
		if r := b.request(e.RequestID); r != nil {
			r.status, r.touched = e.Response.Status, now
			r.fromCache = e.Response.FromDiskCache
		}
		if e.Response.Status >= 400 {
			b.problems = append(b.problems, fmt.Sprintf("answer %d to %s", e.Response.Status, e.Response.URL))
		}
	case *network.EventLoadingFinished:
		if r := b.request(e.RequestID); r != nil {
			r.encoded, r.done, r.touched = e.EncodedDataLength, true, now
		}
	case *network.EventLoadingFailed:
		r := b.request(e.RequestID)
		if r != nil {
			r.done, r.touched = true, now
		}
		if !e.Canceled && e.ErrorText != "net::ERR_ABORTED" {
			url := ""
			if r != nil {
				url = r.url
			}
			b.problems = append(b.problems, fmt.Sprintf("request failed: %s %s %s", url, e.ErrorText, e.BlockedReason))
		}
	}
}

// request returns the newest with an ID, nil if none. The mutex is held.
func (b *tab) request(id network.RequestID) *request {
	for i := len(b.requests) - 1; i >= 0; i-- {
		if b.requests[i].id == id {
			return b.requests[i]
		}
	}
	return nil
}

// expect lets problems pass that contain text.
func (b *tab) expect(text string) {
	b.mutex.Lock()
	defer b.mutex.Unlock()
	b.expected = append(b.expected, text)
}

// unexpected returns the problems that nobody expected.
func (b *tab) unexpected() []string {
	b.mutex.Lock()
	defer b.mutex.Unlock()
	var found []string
next:
	for _, problem := range b.problems {
		for _, text := range b.expected {
			if strings.Contains(problem, text) {
				continue next
			}
		}
		found = append(found, problem)
	}
	return found
}

// broken returns a problem after which there is nothing to wait for, "" if none.
func (b *tab) broken() string {
	for _, problem := range b.unexpected() {
		if strings.HasPrefix(problem, "answer 5") || strings.HasPrefix(problem, "uncaught") {
			return problem
		}
	}
	return ""
}

// asked returns the requests so far whose URL contains text.
func (b *tab) asked(text string) []request {
	b.mutex.Lock()
	defer b.mutex.Unlock()
	var found []request
	for _, r := range b.requests {
		if strings.Contains(r.url, text) {
			found = append(found, *r)
		}
	}
	return found
}

// evaluate runs an expression in the page and reads its value; a promise is
// awaited.
func (b *tab) evaluate(expression string, into any) error {
	ctx, cancel := context.WithTimeout(b.ctx, patience)
	defer cancel()
	answer, err := chromedp.Call(ctx, runtime.Evaluate, runtime.EvaluateParams{
		Expression: expression, ReturnByValue: new(true), AwaitPromise: new(true), UserGesture: new(true)})
	if err != nil {
		return fmt.Errorf("%s: %w", expression, err)
	}
	if details := answer.ExceptionDetails; details != nil {
		text := details.Text
		if details.Exception != nil {
			text += " " + details.Exception.Description
		}
		return fmt.Errorf("%s: %s", expression, text)
	}
	if into == nil || answer.Result == nil || len(answer.Result.Value) == 0 {
		return nil
	}
	return json.Unmarshal(answer.Result.Value, into)
}

// text returns the value of an expression that is a string.
func (b *tab) text(expression string) (value string) {
	b.Helper()
	if err := b.evaluate(expression, &value); err != nil {
		b.Fatal(err)
	}
	return value
}

// number returns the value of an expression that is a number.
func (b *tab) number(expression string) (value float64) {
	b.Helper()
	if err := b.evaluate(expression, &value); err != nil {
		b.Fatal(err)
	}
	return value
}

// poll asks until done says so, and fails the test with what was awaited
// where it never does. It asks often: the page offers no event for "ready".
func (b *tab) poll(what string, done func() (bool, error)) {
	b.Helper()
	deadline := time.Now().Add(patience)
	ticker := time.NewTicker(10 * time.Millisecond)
	defer ticker.Stop()
	var last error
	for {
		ok, err := done()
		if ok {
			return
		}
		if err != nil {
			last = err // a page on its way to the next one may not answer
		}
		if broken := b.broken(); broken != "" {
			b.Fatalf("%s: %s", what, broken)
		}
		if time.Now().After(deadline) {
			b.Fatalf("%s: not within %v (%v); the page is %s", what, patience, last, b.summary())
		}
		<-ticker.C
	}
}

// wait waits until an expression is true.
func (b *tab) wait(what, expression string) {
	b.Helper()
	b.poll(what, func() (bool, error) {
		var yes bool
		err := b.evaluate("Boolean("+expression+")", &yes)
		return yes, err
	})
}

// summary describes the page for a message.
func (b *tab) summary() string {
	var s string
	if err := b.evaluate(`location.href + ": " + document.body.innerText.slice(0, 400)`, &s); err != nil {
		return err.Error()
	}
	return strings.Join(strings.Fields(s), " ")
}

// visit goes to an address and waits until its document is there.
func (b *tab) visit(url string) {
	b.Helper()
	answer, err := chromedp.Call(b.ctx, page.Navigate, page.NavigateParams{URL: url})
	if err != nil || answer.ErrorText != "" {
		b.Fatal(url, answer.ErrorText, err)
	}
	b.wait("document of "+url, `document.readyState !== "loading" && location.href !== "about:blank"`)
}

// hook is the CSS selector of one of the contract's page hooks.
func hook(name string) string { return `[data-testid="` + name + `"]` }

// quote writes s as a JavaScript string.
func quote(s string) string {
	text, _ := json.Marshal(s)
	return string(text)
}

// one is the JavaScript for the first shown element of a selector.
func one(selector string) string {
	return `[...document.querySelectorAll(` + quote(selector) + `)].find(e => e.checkVisibility({visibilityProperty: true}))`
}

// shown waits for an element that a person can see.
func (b *tab) shown(selector string) {
	b.Helper()
	b.wait(selector+" is shown", one(selector))
}

// box returns where an element is in the window, in CSS pixels, once it stands
// still there and nothing covers its middle.
func (b *tab) box(selector string) (x, y, width, height float64) {
	b.Helper()
	b.shown(selector)
	var at [4]float64
	// The page may replace the element meanwhile, so it is found anew each frame.
	if err := b.evaluate(`(async () => {
		const read = () => { const r = (`+one(selector)+`)?.getBoundingClientRect() || {}; return [r.x, r.y, r.width, r.height] };
		let at = null;
		(`+one(selector)+`)?.scrollIntoView({block: "center", inline: "nearest", behavior: "instant"});
		for (let before = read(), end = performance.now() + 30e3; performance.now() < end;) {
			await new Promise(requestAnimationFrame);
			const now = read();
			if (now[2] > 0 && now.join() === before.join()) {
				at = document.elementFromPoint(now[0] + now[2] / 2, now[1] + now[3] / 2);
				if (at && (`+one(selector)+`)?.contains(at)) return now;
			}
			before = now;
		}
		throw new Error("does not stand still or is covered by " + at?.outerHTML.slice(0, 200));
	})()`, &at); err != nil {
		b.Fatal(err)
	}
	return at[0], at[1], at[2], at[3]
}

// mouse sends one event of the mouse's left button.
func (b *tab) mouse(kind input.DispatchMouseEventType, x, y float64, buttons int64) {
	b.Helper()
	button := input.MouseButtonLeft
	if kind == input.DispatchMouseEventTypeMouseMoved && buttons == 0 {
		button = input.MouseButtonNone
	}
	if _, err := chromedp.Call(b.ctx, input.DispatchMouseEvent, input.DispatchMouseEventParams{
		Type: kind, X: x, Y: y, Button: button, Buttons: buttons, ClickCount: 1}); err != nil {
		b.Fatal(err)
	}
}

// click presses the middle of an element with the mouse, or taps it on a phone.
func (b *tab) click(selector string) {
	b.Helper()
	x, y, width, height := b.box(selector)
	x, y = x+width/2, y+height/2
	if b.device.phone {
		_, err := chromedp.Call(b.ctx, input.DispatchTouchEvent, input.DispatchTouchEventParams{
			Type: input.DispatchTouchEventTypeTouchStart, TouchPoints: []*input.TouchPoint{{X: x, Y: y}}})
		_, errEnd := chromedp.Call(b.ctx, input.DispatchTouchEvent, input.DispatchTouchEventParams{
			Type: input.DispatchTouchEventTypeTouchEnd, TouchPoints: []*input.TouchPoint{}})
		if err := errors.Join(err, errEnd); err != nil {
			b.Fatal(err)
		}
		return
	}
	b.mouse(input.DispatchMouseEventTypeMouseMoved, x, y, 0)
	b.mouse(input.DispatchMouseEventTypeMousePressed, x, y, 1)
	b.mouse(input.DispatchMouseEventTypeMouseReleased, x, y, 0)
}

// drag moves the pressed mouse over an element, from and to fractions of its
// width, in the middle of its height.
func (b *tab) drag(selector string, from, to float64) {
	b.Helper()
	x, y, width, height := b.box(selector)
	y += height / 2
	at := func(fraction float64) float64 { return x + width*fraction }
	b.mouse(input.DispatchMouseEventTypeMouseMoved, at(from), y, 0)
	b.mouse(input.DispatchMouseEventTypeMousePressed, at(from), y, 1)
	for i := 1; i <= 8; i++ {
		b.mouse(input.DispatchMouseEventTypeMouseMoved, at(from+(to-from)*float64(i)/8), y, 1)
	}
	b.mouse(input.DispatchMouseEventTypeMouseReleased, at(to), y, 0)
}

// write replaces what stands in a field, as a keyboard would.
func (b *tab) write(selector, text string) {
	b.Helper()
	b.shown(selector)
	if err := b.evaluate(`(() => { const e = `+one(selector)+`; e.focus(); e.select() })()`, nil); err != nil {
		b.Fatal(err)
	}
	if _, err := chromedp.Call(b.ctx, input.InsertText, input.InsertTextParams{Text: text}); err != nil {
		b.Fatal(err)
	}
}

// press sends one key that prints nothing.
func (b *tab) press(key string) {
	b.Helper()
	codes := map[string]int64{"Enter": 13, "Escape": 27, "Tab": 9}
	text := ""
	if key == "Enter" {
		text = "\r"
	}
	_, err := chromedp.Call(b.ctx, input.DispatchKeyEvent, input.DispatchKeyEventParams{
		Type: input.DispatchKeyEventTypeKeyDown, Key: key, Code: key, WindowsVirtualKeyCode: codes[key], Text: text})
	_, errUp := chromedp.Call(b.ctx, input.DispatchKeyEvent, input.DispatchKeyEventParams{
		Type: input.DispatchKeyEventTypeKeyUp, Key: key, Code: key, WindowsVirtualKeyCode: codes[key]})
	if err := errors.Join(err, errUp); err != nil {
		b.Fatal(err)
	}
}

// picture returns the window as PNG.
func (b *tab) picture() []byte {
	b.Helper()
	shot, err := chromedp.Call(b.ctx, page.CaptureScreenshot, page.CaptureScreenshotParams{})
	if err != nil {
		b.Fatal(err)
	}
	return shot.Data
}

// key types one character that is a shortcut of the page.
func (b *tab) key(character string) {
	b.Helper()
	code := "Key" + strings.ToUpper(character)
	number := int64(strings.ToUpper(character)[0])
	_, err := chromedp.Call(b.ctx, input.DispatchKeyEvent, input.DispatchKeyEventParams{
		Type: input.DispatchKeyEventTypeKeyDown, Key: character, Code: code, WindowsVirtualKeyCode: number, Text: character})
	_, errUp := chromedp.Call(b.ctx, input.DispatchKeyEvent, input.DispatchKeyEventParams{
		Type: input.DispatchKeyEventTypeKeyUp, Key: character, Code: code, WindowsVirtualKeyCode: number})
	if err := errors.Join(err, errUp); err != nil {
		b.Fatal(err)
	}
}

// choose picks the first option of a select whose text or value contains text.
func (b *tab) choose(selector, text string) {
	b.Helper()
	b.shown(selector)
	if err := b.evaluate(`(() => {
		const e = `+one(selector)+`, o = [...e.options].find(o => o.value === `+quote(text)+`) || [...e.options].find(o => o.text.includes(`+quote(text)+`));
		if (!o) throw new Error("no option " + `+quote(text)+`);
		e.value = o.value;
		e.dispatchEvent(new Event("input", {bubbles: true}));
		e.dispatchEvent(new Event("change", {bubbles: true}));
	})()`, nil); err != nil {
		b.Fatal(err)
	}
}
