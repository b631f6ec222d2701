package webtest

import (
	"archive/zip"
	"fmt"
	"io"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/cdproto/page"
	"github.com/chromedp/chromedp"
)

// devices are what every page is held to: both sizes, both themes, the three
// languages, and zones on both sides of Greenwich, one of them 5:45 off.
var devices = []device{
	{name: "laptop", width: 1366, height: 768, language: "en", zone: "America/New_York"},
	{name: "laptop-dark", width: 1366, height: 768, dark: true, language: "ja", zone: "Asia/Tokyo"},
	{name: "phone", width: 375, height: 667, phone: true, language: "zh", zone: "Asia/Kathmandu"},
	{name: "phone-dark", width: 375, height: 667, phone: true, dark: true, language: "en", zone: "Asia/Shanghai"},
}

// channelRow selects the row of a channel in the tree.
func channelRow(i int) string {
	c := plantChannels[i]
	return fmt.Sprintf(`%s[data-instrument="%s"][data-channel="%s"]`, hook("channel"), c.instrument, c.channel)
}

// viewerPath is the viewer's address with some channels, made by the page.
func (b *tab) openViewer(channels ...int) {
	b.Helper()
	for _, i := range channels {
		b.click(channelRow(i) + " input[type=checkbox]")
	}
	b.wait("the viewer's link", `document.querySelector('a[href^="/viewer?"]')`)
	b.click(`#tray-open`)
	b.wait("the viewer", `location.pathname === "/viewer"`)
	b.drawn()
}

// drawn waits until the chart shows lines.
func (b *tab) drawn() {
	b.Helper()
	b.shown(hook("chart"))
	b.wait("lines in the chart", ink(hook("chart"))+" > 200")
}

// visible counts the channels shown in the tree.
const visible = `[...document.querySelectorAll('[data-testid="channel"]')].filter(e => e.checkVisibility()).length`

func TestSignIn(t *testing.T) {
	p := serve(t).fill()

	t.Run("by the field", func(t *testing.T) {
		b := open(t, laptop)
		b.expect("401") // a page without a session asks once and is sent to the form
		b.visit(p.url + "/monitor")
		b.wait("the form", `location.pathname === "/login"`)
		b.shown(hook("token"))
		b.sound("sign-in")
		b.write(hook("token"), "hkn_nobody")
		b.press("Enter")
		b.wait("a word about the wrong token", `[...document.querySelectorAll("[role=alert]")].some(e => e.checkVisibility() && e.textContent.trim())`)
		b.write(hook("token"), p.token)
		b.press("Enter")
		b.shown(hook("channel"))
		b.wait("the monitor", `location.pathname === "/monitor" || location.pathname === "/"`)
		if cookie := b.text("document.cookie"); strings.Contains(cookie, "hkn_") {
			t.Error("a script can read the token")
		}
	})

	t.Run("by the address", func(t *testing.T) {
		b := open(t, laptop)
		b.visit(p.url + "/#token=" + p.token)
		b.shown(hook("channel"))
		if at := b.text("location.href"); strings.Contains(at, "token") {
			t.Errorf("the token stays in the address: %s", at)
		}
		b.click(`[popovertarget="user-pop"]`)
		b.expect("401")
		b.click("#sign-out")
		b.wait("the form", `location.pathname === "/login"`)
		b.visit(p.url + "/viewer")
		b.wait("the form again", `location.pathname === "/login"`)
		var status int
		if err := b.evaluate(`fetch("/api/v1/channels").then(r => r.status)`, &status); err != nil || status != 401 {
			t.Errorf("channels after signing out: %d %v", status, err)
		}
	})
}

func TestMonitor(t *testing.T) {
	p := serve(t).fill()
	for _, d := range devices {
		t.Run(d.name, func(t *testing.T) {
			b := p.onBehalf(t).signedIn(d, "/monitor")
			b.wait("all channels", visible+" === "+strconv.Itoa(len(plantChannels)))
			b.sound("monitor")
			b.themed()
			if got := b.text("document.documentElement.lang"); got != d.language {
				t.Errorf("the page is in %q, the device in %q", got, d.language)
			}

			if got, want := b.text(`document.querySelector("#zone").textContent`), offset(t, d.zone); !strings.Contains(got, want) {
				t.Errorf("the page names the zone %q, which is %s", got, want)
			}

			b.streaming()
			value := 500 + float64(time.Now().UnixMilli()%1000)/10
			p.write(1, value)
			shown := strconv.FormatFloat(value, 'f', 1, 64)
			b.wait("the live value "+shown, `document.querySelector(`+quote(channelRow(1)+" "+hook("latest-value"))+`)?.textContent.includes(`+quote(shown)+`)`)

			// Two neighbours are ticked at once; that opens nothing.
			b.click(channelRow(0) + " input[type=checkbox]")
			b.click(channelRow(1) + " input[type=checkbox]")
			b.wait("two ticked", `document.querySelectorAll('[data-testid="channel"] input:checked').length === 2`)
			b.shown("#tray-open")
			b.sound("monitor with ticks")

			b.write("#find", "draught")
			b.wait("what was searched alone", visible+" === 1")
			b.write("#find", "no such thing")
			b.wait("nothing found", visible+" === 0")
			b.sound("empty monitor")
			b.write("#find", "kiln")
			b.wait("the instrument's channels", visible+" === 4")
		})
	}
}

// offset returns how far a zone is from UTC now, as "+05:45".
func offset(t *testing.T, zone string) string {
	t.Helper()
	location, err := time.LoadLocation(zone)
	if err != nil {
		t.Skip("no time zone database: ", err)
	}
	return strings.Replace(time.Now().In(location).Format("-07:00"), "-", "−", 1) // as the pages write minus
}

// onBehalf returns the plant for a test within the one that made it.
func (p *plant) onBehalf(t testing.TB) *plant {
	inner := *p
	inner.TB = t
	return &inner
}

// themed fails the test where the page is not as light or dark as the device.
func (b *tab) themed() {
	b.Helper()
	var light float64
	if err := b.evaluate(`(() => { const c = document.createElement("canvas").getContext("2d"); c.fillStyle = getComputedStyle(document.body).backgroundColor;
		c.fillRect(0, 0, 1, 1); const p = c.getImageData(0, 0, 1, 1).data; return (p[0] + p[1] + p[2]) / 765 })()`, &light); err != nil {
		b.Fatal(err)
	}
	if dark := light < 0.5; dark != b.device.dark {
		b.Errorf("the ground's lightness is %.2f on a device that is dark: %v", light, b.device.dark)
	}
}

// views returns the view requests that were answered so far.
func (b *tab) views() (found []request) {
	for _, r := range b.asked("/api/v1/view?") {
		// One that ends at "now" asks the server's clock only.
		if r.done && r.status == 200 && !strings.Contains(r.url, "to=now") {
			found = append(found, r)
		}
	}
	return found
}

// span is what a view request asks for.
func span(t testing.TB, r request) (from, to float64, buckets int) {
	t.Helper()
	u, err := url.Parse(r.url)
	if err != nil {
		t.Fatal(err)
	}
	read := func(name string) float64 {
		n, err := strconv.ParseFloat(u.Query().Get(name), 64)
		if err != nil {
			t.Fatalf("%s of %s: %v", name, r.url, err)
		}
		return n
	}
	return read("from"), read("to"), int(read("buckets"))
}

func TestViewer(t *testing.T) {
	p := serve(t).fill()
	for _, d := range devices {
		t.Run(d.name, func(t *testing.T) {
			b := p.onBehalf(t).signedIn(d, "/monitor")
			b.shown(channelRow(0))
			b.openViewer(0, 5, 1)
			b.shown(hook("viewer"))
			b.sound("viewer")
			b.themed()
			before := b.views()
			if len(before) == 0 {
				t.Fatal("the chart was drawn without a view")
			}
			_, _, buckets := span(t, before[len(before)-1])
			if limit := int(d.width) * 2; buckets < 50 || buckets > limit {
				t.Errorf("%d buckets for a screen %d wide", buckets, d.width)
			}
			list(t, b, p.now)
			if !d.phone {
				zoom(t, b)
			}
		})
	}
}

// zoom drags over the chart: the page must ask anew for the part, and put it
// into its address.
func zoom(t *testing.T, b *tab) {
	t.Helper()
	before := b.views()
	from, to, _ := span(t, before[len(before)-1])
	address := b.text("location.href")
	b.drag(hook("chart")+" .u-over", 0.3, 0.6)
	b.poll("a view of the part", func() (bool, error) {
		now := b.views()
		if len(now) == len(before) {
			return false, nil
		}
		f, u, _ := span(t, now[len(now)-1])
		return u-f < (to-from)*0.6 && f >= from && u <= to+float64(minute), nil
	})
	b.wait("the part in the address", "location.href !== "+quote(address))
	b.drawn()
	// The address restores the view.
	at := b.text("location.href")
	count := len(b.views())
	b.visit(b.text("location.origin") + "/login")
	b.visit(at)
	b.drawn()
	after := b.views()[count:]
	if len(after) == 0 {
		t.Fatal("the restored view asked for nothing")
	}
	wantFrom, wantTo, _ := span(t, b.views()[count-1])
	gotFrom, gotTo, _ := span(t, after[0])
	if wide := wantTo - wantFrom; abs(gotFrom-wantFrom) > wide*0.05 || abs(gotTo-wantTo) > wide*0.05 {
		t.Errorf("the address restored %v–%v, was %v–%v", gotFrom, gotTo, wantFrom, wantTo)
	}
}

func abs(x float64) float64 { return max(x, -x) }

// list shows the view as a table, with times in the device's zone; the newest
// sample is of the time now.
func list(t *testing.T, b *tab, now int64) {
	t.Helper()
	b.click("#mode-list")
	b.shown(hook("list"))
	b.wait("rows", `document.querySelectorAll('[data-testid="list"] tr, [data-testid="list"] [role=row]').length > 3`)
	b.sound("list")
	location, err := time.LoadLocation(b.device.zone)
	if err != nil {
		t.Fatal(err)
	}
	clock := time.UnixMilli(now).In(location).Format("15:04:05")
	b.wait("the newest sample at "+clock, `document.querySelector('[data-testid="list"]').innerText.includes(`+quote(clock)+`)`)
	b.click("#mode-graph")
	b.drawn()
}

// TestLiveViewer writes while the viewer follows: the value must arrive.
func TestLiveViewer(t *testing.T) {
	p := serve(t).fill()
	b := p.signedIn(laptop, "/monitor")
	b.shown(channelRow(0))
	b.openViewer(0)
	following := `document.querySelector("#live").getAttribute("aria-pressed") === "true"`
	var yes bool
	if err := b.evaluate("Boolean("+following+")", &yes); err != nil {
		t.Fatal(err)
	}
	if !yes {
		b.key("l")
		b.wait("following", following)
	}
	b.streaming()
	for i := range 3 {
		value := 700.5 + float64(i)
		p.write(0, value)
		shown := strconv.FormatFloat(value, 'f', 1, 64)
		b.wait("the live value "+shown, `document.querySelector('[data-testid="viewer"]').innerText.includes(`+quote(shown)+`)`)
	}
}

// streaming waits until the page is told what is written.
func (b *tab) streaming() {
	b.Helper()
	b.poll("the live stream", func() (bool, error) {
		for _, r := range b.asked("/api/v1/live") {
			if r.status == 200 && !r.done {
				return true, nil
			}
		}
		return false, nil
	})
}

func TestDownload(t *testing.T) {
	p := serve(t).fill()
	b := p.signedIn(laptop, "/monitor")
	b.shown(channelRow(0))
	b.openViewer(0, 4)
	b.click(hook("download-csv"))
	var file string
	b.poll("the download", func() (bool, error) {
		entries, err := os.ReadDir(b.downloads)
		for _, e := range entries {
			if filepath.Ext(e.Name()) == ".zip" {
				file = filepath.Join(b.downloads, e.Name())
				return true, nil
			}
		}
		return false, err
	})
	z, err := zip.OpenReader(file)
	if err != nil {
		t.Fatal(err)
	}
	defer z.Close()
	f, err := z.Open("samples.csv")
	if err != nil {
		t.Fatal(err)
	}
	text, err := io.ReadAll(f)
	if err != nil {
		t.Fatal(err)
	}
	lines := strings.Split(string(text), "\r\n")
	head := strings.Split(lines[0], ",")
	if want := []string{"\ufefftime[Asia/Tokyo]", "Kiln/CH1[°C]", "Substation/P1[kW]"}; !slices.Equal(head, want) {
		t.Errorf("the head is %q, not %q", head, want)
	}
	if len(lines) < 50 {
		t.Errorf("%d lines", len(lines))
	}
	if len(lines) > 1 && !strings.Contains(lines[1], "+09:00") {
		t.Errorf("the times are not in the device's zone: %s", lines[1])
	}
}

func TestAlarms(t *testing.T) {
	p := serve(t).fill()
	for _, d := range []device{devices[0], devices[3]} {
		t.Run(d.name, func(t *testing.T) { alarms(t, p.onBehalf(t), d) })
	}
}

func alarms(t *testing.T, p *plant, d device) {
	b := p.signedIn(d, "/alarms")
	name := "Hot " + d.name
	listed := `[...document.querySelectorAll('[data-testid="alarm-list"] tr')].find(e => e.innerText.includes(` + quote(name) + `))`
	b.shown("#chips button") // the page is ready
	b.sound("alarms")
	b.click("#new")
	b.shown(`#editor [name="name"]`)
	b.sound("alarm editor")
	b.write(`#editor [name="name"]`, name)
	b.wait("channels to choose from", `document.querySelector('#editor [name="channel"]').options.length >= 6`)
	b.choose(`#editor [name="channel"]`, "Core")
	b.choose(`#editor [name="operator"]`, ">")
	b.write(`#editor [name="first"]`, "900")
	b.click(`#editor .primary`)
	b.wait("the alarm in the list", listed)

	p.write(1, 950.5)
	b.click("#tab-log")
	b.wait("the event", `[...document.querySelectorAll('[data-testid="event-list"] tbody tr')].some(e => e.innerText.includes(`+quote(name)+`) && e.innerText.includes("950.5"))`)
	p.write(1, 600)
	b.wait("the end of it", `[...document.querySelectorAll('[data-testid="event-list"] tbody tr')].filter(e => e.innerText.includes(`+quote(name)+`)).length === 2`)
	b.sound("event log")
	b.click("#tab-list")

	b.click(`[data-testid="alarm-list"] tbody tr`)
	b.shown(`#editor [name="first"]`)
	b.write(`#editor [name="first"]`, "910.5")
	b.click(`#editor .primary`)
	b.poll("the new limit on the server", func() (bool, error) {
		return strings.Contains(string(p.send("GET", "/api/v1/alarms", nil)), "910.5"), nil
	})
	b.wait("the new limit in the list", listed+`?.innerText.includes("910.5")`)

	b.evaluate(listed+`.querySelector("input[type=checkbox], [role=switch]").setAttribute("data-here", "")`, nil)
	b.click(`[data-testid="alarm-list"] [data-here]`)
	b.poll("the alarm is off on the server", func() (bool, error) {
		return strings.Contains(string(p.send("GET", "/api/v1/alarms", nil)), `"enabled":false`), nil
	})
	for _, alarm := range p.alarms() {
		p.send("DELETE", "/api/v1/alarms/"+alarm, nil)
	}
}

// TestLinkDoesNotReplaceSession follows a link with another tenant's token: the
// session that is there stays unless the person agrees.
func TestLinkDoesNotReplaceSession(t *testing.T) {
	p := serve(t).fill()
	other := p.tenant("other")

	b := open(t, laptop)
	b.visit(p.url + "/#token=" + p.token)
	b.shown(hook("channel"))
	b.follow(p.url + "/monitor#token=" + p.token) // the same token: nothing to ask
	b.shown(hook("channel"))

	const question = "#replace"
	b.follow(p.url + "/monitor#token=" + other)
	b.shown(question)
	b.sound("question")
	b.click(question + ` [value="no"]`)
	b.shown(hook("channel"))
	b.follow(p.url + "/monitor#token=" + other)
	b.shown(question)
	b.press("Escape")
	b.shown(hook("channel"))
	b.follow(p.url + "/monitor#token=" + other)
	b.shown(question)
	b.expect("404") // there are no channels
	b.click(question + ` [value="yes"]`)
	b.wait("the other tenant's monitor, which is empty", `!document.querySelector("#empty").hidden`)

	b.click(`[popovertarget="user-pop"]`)
	b.expect("401")
	b.click("#sign-out")
	b.wait("the form", `location.pathname === "/login"`)
	b.follow(p.url + "/monitor#token=" + p.token) // no session: nothing to ask
	b.shown(hook("channel"))
}

// follow opens an address as a link elsewhere does: in a fresh document.
func (b *tab) follow(url string) {
	b.Helper()
	if _, err := chromedp.Call(b.ctx, page.Navigate, page.NavigateParams{URL: "about:blank"}); err != nil {
		b.Fatal(err)
	}
	b.visit(url)
}

// TestViewerShowsAll opens channels of four units with a gap and a spell out of
// range: each pane is whole, the bar of what is out of range stands clear of the
// lines, and the ruler shows the gap.
func TestViewerShowsAll(t *testing.T) {
	p := serve(t).fill()
	for _, d := range devices {
		t.Run(d.name, func(t *testing.T) {
			b := p.onBehalf(t).signedIn(d, "/viewer?"+url.Values{"match": {`{instrument="Kiln",channel=~"CH3|CH4"}`, `{instrument="Substation"}`}, "hours": {"24"}}.Encode())
			b.drawn()
			b.wait("the gap in the ruler", `document.querySelector("#ruler .span-gap")?.getBoundingClientRect().width > 2`)
			b.wait("four panes, none cut off", `(() => { const panes = document.querySelectorAll(".pane"), end = document.querySelector("#time").getBoundingClientRect().top;
				return panes.length === 4 && [...panes].every(e => e.getBoundingClientRect().height > 90 && e.getBoundingClientRect().bottom <= end + 1) })()`)
			b.wait("room above the lines for what is out of range", `(() => { const plot = hokan.plots()[0], row = plot._rows[0];
				return row.v.q.includes(1) && plot.valToPos(row.v.stats.max, plot._groups[0].key) >= 16 })()`)
		})
	}
}
