package webtest

import (
	"fmt"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/hokan-db/hokan/server/auth"
)

// probe names a channel of one instrument.
func probe(channel string) map[string]string {
	return map[string]string{"instrument": "Probe", "channel": channel}
}

// probePath is the viewer's address with all channels of the instrument.
func probePath(rest string) string {
	return "/viewer?match=" + url.QueryEscape(`{instrument="Probe"}`) + rest
}

// cells is the JavaScript for the texts of a column of the legend or the list.
func cells(selector string) string {
	return `[...document.querySelectorAll(` + quote(selector) + `)].map(e => e.textContent).join(" ")`
}

// TestExactNumbers: a number of a channel whose decimals nobody told is shown as
// it was measured, wherever it is.
func TestExactNumbers(t *testing.T) {
	p := serve(t)
	start := p.now - 3*24*60*minute
	var channels []sampleChannel
	for i, value := range []float64{-0.00105, 0.00015, 1234567.25, 0, float64(float32(0.1)), 0.30000000000000004} {
		channels = append(channels, sampleChannel{
			Labels: probe(string(rune('A' + i))), Times: []int64{start, start + minute, start + 2*minute}, Values: []any{value, value, value}})
	}
	p.samples(channels...)
	const want = "−0.00105 0.00015 1,234,567.25 0 0.1 0.3"
	b := p.signedIn(laptop, probePath("&hours=1"))
	b.wait("the newest values", cells("#legend td.v")+`.replace(/ · late, 2\sd\s\d+\sh/g, "") === `+quote(want))
	b.visit(fmt.Sprintf("%s%s&from=%d&to=%d", p.url, probePath(""), start-minute, start+5*minute))
	b.wait("the statistics", `document.querySelector("#tab-statistics")`)
	b.drawn()
	b.click("#tab-statistics")
	b.wait("the exact statistics", cells("#legend .statistic td:nth-child(3)")+" === "+quote(want))
	b.click("#mode-list")
	b.wait("the exact list", cells("#list tbody tr:last-child td:not(:first-child)")+" === "+quote(want))
}

// TestOldData: what was measured years ago is shown with its year, is no alarm
// of lateness, and is found.
func TestOldData(t *testing.T) {
	p := serve(t)
	first, last := time.Date(2021, 12, 31, 0, 0, 0, 0, time.UTC).UnixMilli(), time.Date(2022, 1, 2, 3, 0, 0, 0, time.UTC).UnixMilli()
	body := sampleChannel{Labels: probe("A"), Properties: map[string]any{"unit": "V"}}
	for at := first; at <= last; at += 10 * minute {
		body.Times, body.Values = append(body.Times, at), append(body.Values, float64(at/minute%100))
	}
	p.samples(body, sampleChannel{Labels: probe("B"), Times: []int64{time.Date(1975, 5, 1, 0, 0, 0, 0, time.UTC).UnixMilli()}, Values: []any{1.5}})
	b := p.signedIn(laptop, "/monitor")
	b.wait("the states", cells(hook("channel")+" .state")+` === "Ended Ended"`)
	b.wait("the year of the newest sample", `document.querySelector("#d-time").textContent.includes("2022")`)
	b.click("#d-open")
	b.drawn()
	b.wait("the year of the range", `/Jan 1, 2022.*Jan 2, 2022/.test(document.querySelector("#range-text").textContent)`)

	b.visit(p.url + probePath("&hours=24"))
	b.shown("#away")
	if got := b.text(`document.querySelector("#away").textContent`); !strings.Contains(got, "Jan 2, 2022 12:00") { // in Tokyo
		t.Errorf("an empty range says %q", got)
	}
	b.click("#away-go")
	b.drawn()
	b.wait("no word about an empty range", `document.querySelector("#away").hidden`)

	b.click("#range")
	b.click("#range-all")
	b.wait("both years of the whole span", `/197[0-9].* – .*202[0-9]/.test(document.querySelector("#range-text").textContent)`)
	b.drawn()
	if from, to := b.number("hokan.state.from"), b.number("hokan.state.to"); from > float64(first) || to < float64(last) {
		t.Errorf("everything is from %v to %v", from, to)
	}
}

// TestClockAhead: a sample that has yet to come is not normal.
func TestClockAhead(t *testing.T) {
	p := serve(t)
	p.samples(sampleChannel{Labels: probe("A"), Times: []int64{p.now + 22*60*minute}, Values: []any{1}})
	for language, want := range map[string][2]string{"en": {"Clock ahead", "in 21"}, "ja": {"時計の進み", "後"}, "zh": {"时钟超前", "后"}} {
		d := laptop
		d.language = language
		b := p.signedIn(d, "/monitor")
		b.wait("the state", cells(hook("channel")+" .state")+" === "+quote(want[0]))
		b.wait("the age", cells(hook("channel")+" .age")+".includes("+quote(want[1])+")")
	}
}

// TestTokenThatCannotRead: the pages are of no use with one, and say so.
func TestTokenThatCannotRead(t *testing.T) {
	p := serve(t).fill()
	for name, made := range map[string]auth.Token{"write only": {Tenant: "plant", Scope: auth.Write}, "administrator": {Admin: true}} {
		t.Run(name, func(t *testing.T) {
			secret, _, err := p.tokens.Create(t.Context(), made)
			if err != nil {
				t.Fatal(err)
			}
			b := open(t, laptop)
			b.expect("403")
			b.expect("401")
			b.visit(p.url + "/login")
			b.wait("a page that listens", `document.documentElement.classList.contains("ready")`)
			b.write(hook("token"), secret)
			b.press("Enter")
			b.wait("why it is refused", `document.querySelector("#error").textContent.includes("cannot read")`)
			b.visit(p.url + "/#token=" + secret)
			b.wait("why the link is refused", `location.pathname === "/login" && document.querySelector("#error")?.textContent.includes("cannot read")`)
		})
	}
}

// TestSignedOutIsQuiet: one question finds out that there is no session.
func TestSignedOutIsQuiet(t *testing.T) {
	p := serve(t)
	b := open(t, laptop)
	b.expect("401")
	b.visit(p.url + "/")
	b.shown(hook("token"))
	if asked := b.asked("/api/"); len(asked) != 1 {
		t.Errorf("%d questions without a session: %v", len(asked), asked)
	}
}

// TestNoSuchPage: a browser is shown a page with a way back.
func TestNoSuchPage(t *testing.T) {
	p := serve(t).fill()
	b := p.signedIn(phone, "/nope")
	b.expect("404")
	b.sound("no such page")
	b.click("main a")
	b.wait("the monitor", `location.pathname === "/monitor"`)
}

// TestDecimalComma: a limit typed with a comma is the number that was meant, or is
// refused.
func TestDecimalComma(t *testing.T) {
	p := serve(t).fill()
	b := p.signedIn(laptop, "/alarms?new=")
	b.shown("#editor")
	b.write(`[name="name"]`, "Warm")
	b.write(`[name="first"]`, "1,234")
	b.click("#editor .primary")
	b.wait("the unclear number is refused", `!document.querySelector('[name="first"]').checkValidity()`)
	b.write(`[name="first"]`, "12,5")
	b.click("#editor .primary")
	b.wait("the alarm", `document.querySelector("#alarms .cond")?.textContent.includes("> 12.5")`)
	b.choose(`[name="operator"]`, "outside")
	b.wait("the unit of both limits", `["first", "high"].every(k => document.querySelector("#" + k + "-limit").textContent.endsWith(", °C"))`)
}

// TestRulerIsOneStop: however many alarms there were, the tab key passes them at
// once, and arrows go from one to the next.
func TestRulerIsOneStop(t *testing.T) {
	p := serve(t).fill()
	p.send("POST", "/api/v1/alarms", map[string]any{"name": "High", "match": `{instrument="Kiln",channel="CH1"}`, "operator": ">", "threshold": 300, "enabled": true})
	for range 3 {
		p.write(0, 400)
		p.write(0, 100)
	}
	b := p.signedIn(laptop, "/monitor")
	b.wait("the marks", `document.querySelectorAll("#ruler a").length === 3`)
	if stops := b.number(`[...document.querySelectorAll("#ruler a")].filter(a => a.tabIndex === 0).length`); stops != 1 {
		t.Errorf("the ruler has %v stops", stops)
	}
	b.text(`document.querySelector('#ruler a[tabindex="0"]').focus(), ""`)
	b.press("ArrowLeft")
	b.wait("the mark before", `[...document.querySelectorAll("#ruler a")].indexOf(document.activeElement) === 1`)
}
