package webtest

import (
	"context"
	"flag"
	"net/url"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/hokan-db/hokan/server/client"
	"github.com/hokan-db/hokan/server/demo"
)

// screenshots is the folder, seen from the repository's root or absolute, that
// the README's pictures are written to.
var screenshots = flag.String("screenshots", "", "write the README's screenshots of the simulated plant into this folder of the repository")

// pictureBudget keeps the repository small.
const pictureBudget = 200_000 // bytes

// TestScreenshots takes the pictures that the README shows, from the demo.
func TestScreenshots(t *testing.T) {
	if *screenshots == "" {
		t.Skip("-screenshots FOLDER takes the README's pictures")
	}
	folder := *screenshots
	if !filepath.IsAbs(folder) {
		folder = filepath.Join("..", "..", "..", folder)
	}
	if err := os.MkdirAll(folder, 0o755); err != nil {
		t.Fatal(err)
	}
	p := serve(t)
	p.demo()
	save := func(name string, b *tab) {
		t.Helper()
		b.sound(name)
		shot := b.picture()
		if len(shot) > pictureBudget {
			t.Errorf("%s has %d bytes, more than %d", name, len(shot), pictureBudget)
		}
		if err := os.WriteFile(filepath.Join(folder, name), shot, 0o644); err != nil {
			t.Fatal(err)
		}
		t.Logf("%s: %d bytes", name, len(shot))
	}
	shanghai := laptop
	shanghai.zone = "Asia/Shanghai"

	b := p.signedIn(shanghai, "/monitor")
	b.wait("the plant's channels", visible+" > 30")
	b.wait("the last hour of the channels", drawing(hook("channel-tree"))+" > 5")
	b.settled()
	save("monitor.png", b)

	channels := [][2]string{{"LR8450-SH1", "1-1"}, {"LR8450-SH1", "1-3"}, {"LR8450-SH1", "1-7"}, {"PW3390-SH2", "Irms"}, {"LR8450-SH1", "2-15"}}
	for _, c := range channels {
		b.click(hook("channel") + `[data-instrument="` + c[0] + `"][data-channel="` + c[1] + `"] input[type=checkbox]`)
	}
	address := b.text(`document.querySelector("#tray-open").href`)
	b.visit(address)
	b.drawn()
	b.settled()
	save("viewer.png", b)

	dark := phone
	dark.dark, dark.zone = true, "Asia/Shanghai"
	b = p.signedIn(dark, "/viewer?"+url.Values{"match": {`{instrument="LR8450-SH1",channel=~"1-1|1-3|1-7|2-15"}`}, "hours": {"24"}}.Encode())
	b.drawn()
	b.settled()
	save("viewer-phone.png", b)
}

// demo runs the simulated plant until the test ends, and returns when its past
// is there.
func (p *plant) demo() {
	p.Helper()
	c, err := client.New(p.url, p.token)
	if err != nil {
		p.Fatal(err)
	}
	ctx, stop := context.WithCancel(context.Background())
	filled, ended := make(chan struct{}), make(chan error, 1)
	go func() {
		ended <- demo.Run(ctx, c, demo.Options{Clock: time.Now, Filled: func(int64) { close(filled) }})
	}()
	p.Cleanup(func() {
		stop()
		if err := <-ended; err != nil {
			p.Error(err)
		}
	})
	select {
	case <-filled:
	case err := <-ended:
		ended <- nil
		p.Fatal("the demo ended:", err)
	case <-time.After(2 * time.Minute):
		p.Fatal("the demo did not fill in its past")
	}
}

// settled waits until the page has asked for nothing for half a second.
func (b *tab) settled() {
	b.Helper()
	b.poll("quiet", func() (bool, error) {
		newest := time.Time{}
		for _, r := range b.asked("/api/") {
			if r.touched.After(newest) {
				newest = r.touched
			}
		}
		return time.Since(newest) > 500*time.Millisecond, nil
	})
}
