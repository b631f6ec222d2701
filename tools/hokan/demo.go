package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"os"
	"runtime/debug"
	"slices"
	"strings"
	"sync"
	"time"

	"golang.org/x/term"

	"github.com/hokan-db/hokan/engine/model"
	"github.com/hokan-db/hokan/server"
	"github.com/hokan-db/hokan/server/api"
	"github.com/hokan-db/hokan/server/auth"
	"github.com/hokan-db/hokan/server/client"
	"github.com/hokan-db/hokan/server/demo"
)

type demoCommand struct {
	Data  string `default:"./hokan-data" placeholder:"DIR" help:"Folder of the database (default ${default})."`
	Clock string `placeholder:"TIME" help:"Let the clock start at this time: for drills and tests."`
	listenFlags
	Days int    `default:"30" placeholder:"N" help:"How many days of the past to fill in (default ${default})."`
	Log  string `enum:"debug,info,warn,error" default:"warn" help:"What to log on stderr: debug, info, warn or error (default ${default})."`
}

// Help gives examples.
func (c *demoCommand) Help() string {
	return `A server with a simulated plant: five instruments at two sites, a month of the
past, and a sample every five seconds. The first line on stdout is an address that
opens logged in. Ctrl-C ends it; when it is started again it fills in what it missed.

Examples:
  hokan demo
  hokan demo --data d --listen 127.0.0.1:0 --days 2`
}

// The demo's tenant, and the names of its tokens. The plant has one of its
// own, which no one else sees, and one is for the page. Every start makes both
// anew: secrets are not stored, so an earlier one cannot be shown again. A few
// earlier ones of the page stay, so that a page left open goes on.
const (
	demoTenant     = model.Tenant("demo")
	demoPlantToken = "demo plant"
	demoPageToken  = "demo page"
	demoPageTokens = 8
)

// maxDemoDays keeps the past within the years that samples may have.
const maxDemoDays = 3660

// Run implements the command.
func (c *demoCommand) Run(t *terminal) error {
	if c.Days < 1 || c.Days > maxDemoDays {
		return api.NewError("malformed", fmt.Sprintf("--days must be from 1 to %d", maxDemoDays))
	}
	folder := dataFlags{c.Data, c.Clock}
	return withPort(t, &folder, &c.listenFlags, false, func(l net.Listener, opened *api.API) error {
		page, plant, err := demoTokens(t.ctx, opened.Tenants.Tokens())
		if err != nil {
			return err
		}
		logger := newLogger(t, c.Log)
		s, err := newServer(opened, logger, nil, server.Limits{})
		if err != nil {
			return err
		}
		fmt.Fprintf(t.stdout, "%s/#token=%s\n", address(l, false), page)
		if err := t.stdout.Flush(); err != nil {
			return err
		}
		ctx, stop := context.WithCancel(t.ctx)
		defer stop()
		var running sync.WaitGroup
		var failed error
		running.Go(func() {
			failed = c.runPlant(ctx, t, opened.Clock, l, plant, logger)
			if failed != nil {
				stop()
			}
		})
		err = s.Serve(ctx, l)
		stop()
		running.Wait()
		return errors.Join(failed, err)
	})
}

// demoTokens makes the tokens of this run and revokes old ones.
func demoTokens(ctx context.Context, tokens *auth.Store) (page, plant string, err error) {
	list := tokens.List()
	slices.SortFunc(list, func(a, b auth.Token) int { return b.Created.Compare(a.Created) })
	pages := 1
	for _, known := range list {
		if known.Tenant != demoTenant {
			continue
		}
		if known.Name == demoPageToken {
			pages++
		}
		if known.Name == demoPlantToken || known.Name == demoPageToken && pages > demoPageTokens {
			if err := tokens.Revoke(ctx, known.ID); err != nil {
				return "", "", err
			}
		}
	}
	if plant, _, err = tokens.Create(ctx, auth.Token{Tenant: demoTenant, Name: demoPlantToken, Scope: auth.Both}); err != nil {
		return "", "", err
	}
	page, _, err = tokens.Create(ctx, auth.Token{Tenant: demoTenant, Name: demoPageToken, Scope: auth.Both})
	return page, plant, err
}

// runPlant lets the plant write to the server that listens on l, as a client
// over the network would.
func (c *demoCommand) runPlant(ctx context.Context, t *terminal, clock model.Clock, l net.Listener, token string, logger *slog.Logger) error {
	own, err := client.New(address(l, false), token)
	if err != nil {
		return err
	}
	defer own.Close()
	begun, shown := time.Now(), newPercentage(t.stderr)
	return demo.Run(ctx, own, demo.Options{
		Clock: clock, History: time.Duration(c.Days) * 24 * time.Hour, Logger: logger,
		Progress: shown.set,
		Filled: func(samples int64) {
			shown.finish()
			if samples == 0 {
				t.note("demo: the past is there already; a sample every 5 s from now on. Ctrl-C ends it")
				return
			}
			t.note("demo: %d samples of the past written in %.1f s; a sample every 5 s from now on. Ctrl-C ends it",
				samples, time.Since(begun).Seconds())
			debug.FreeOSMemory() // the past took memory that the present does not
		},
	})
}

// percentage shows how far something is: a line that is written over on a
// terminal, else a line per quarter.
type percentage struct {
	to       io.Writer
	terminal bool
	told     int64
}

func newPercentage(w io.Writer) *percentage {
	file, ok := w.(*os.File)
	return &percentage{w, ok && term.IsTerminal(int(file.Fd())), 0}
}

func (p *percentage) set(done, total int64) {
	now := 100 * done / max(total, 1)
	switch {
	case p.terminal && now > p.told:
		p.told = now
		fmt.Fprintf(p.to, "\rhokan: demo: writing the past: %d %%", now)
	case !p.terminal && now/25 > p.told/25:
		p.told = now
		fmt.Fprintf(p.to, "hokan: demo: writing the past: %d %%\n", now)
	}
}

func (p *percentage) finish() {
	if p.terminal && p.told > 0 {
		fmt.Fprint(p.to, "\r"+strings.Repeat(" ", 50)+"\r")
	}
}
