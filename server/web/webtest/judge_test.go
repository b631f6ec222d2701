package webtest

import (
	"fmt"
)

// overflow says what is wider than the window, "" if nothing is.
func (b *tab) overflow() string {
	b.Helper()
	return b.text(`(() => {
		const limit = innerWidth, page = document.documentElement.scrollWidth;
		if (page <= limit) return "";
		const wide = [...document.querySelectorAll("body *")].filter(e => e.getBoundingClientRect().right > limit + 0.5)
			.slice(0, 5).map(e => e.tagName.toLowerCase() + (e.id ? "#" + e.id : "") + "." + e.className);
		return "the page is " + page + " wide in a window of " + limit + ": " + wide.join(" ");
	})()`)
}

// nameless lists the shown controls that a screen reader has no name for.
func (b *tab) nameless() (found []string) {
	b.Helper()
	if err := b.evaluate(`[...document.querySelectorAll("input:not([type=hidden]), button, select, textarea, a[href]")]
		.filter(e => e.checkVisibility({visibilityProperty: true}) && !e.closest("[aria-hidden=true]"))
		.filter(e => {
			const by = (e.getAttribute("aria-labelledby") || "").split(/\s+/).map(i => document.getElementById(i)?.textContent || "").join("");
			const label = [...(e.labels || [])].map(l => l.textContent).join("");
			const inside = /^(BUTTON|A)$/.test(e.tagName) ? e.textContent + [...e.querySelectorAll("[aria-label],[alt],title")].map(x => x.getAttribute("aria-label") || x.alt || x.textContent).join("") : "";
			const button = e.type === "submit" && e.tagName === "INPUT" ? e.value : "";
			return !(e.getAttribute("aria-label") || by || label || inside || button || e.title || "").trim();
		})
		.map(e => e.outerHTML.slice(0, 120))`, &found); err != nil {
		b.Fatal(err)
	}
	return found
}

// sound fails the test where the page as it stands is wider than its window or
// has a control without a name.
func (b *tab) sound(where string) {
	b.Helper()
	if wide := b.overflow(); wide != "" {
		b.Errorf("%s: %s", where, wide)
	}
	for _, control := range b.nameless() {
		b.Errorf("%s: no name: %s", where, control)
	}
}

// ink returns how many pixels of the canvases in an element are of a colour of
// a line, not of grey: what is drawn of the data.
func ink(selector string) string {
	return fmt.Sprintf(`(() => {
		let coloured = 0;
		for (const canvas of document.querySelectorAll(%s + " canvas")) {
			if (!canvas.width || !canvas.height) continue;
			const p = canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height).data;
			for (let i = 0; i < p.length; i += 4)
				if (p[i+3] > 60 && Math.max(p[i], p[i+1], p[i+2]) - Math.min(p[i], p[i+1], p[i+2]) > 40) coloured++;
		}
		return coloured;
	})()`, quote(selector))
}

// drawing returns how many canvases in an element are not blank.
func drawing(selector string) string {
	return fmt.Sprintf(`[...document.querySelectorAll(%s + " canvas")].filter(canvas => canvas.width && canvas.height &&
		canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height).data.some((v, i) => i %% 4 === 3 && v > 60)).length`, quote(selector))
}
