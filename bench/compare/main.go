// Command compare measures Hokan beside other stores, on one machine in one
// run, and writes RESULTS.md, RESULTS.json and the table of ../README.md.
//
//	go -C bench run ./compare            # medians of five rounds
//	go -C bench run ./compare -short     # a minute: does everything work?
//	go -C bench run ./compare -only 'year|hokan' -rounds 7
//	go -C bench run ./compare -readme    # only writes the texts again
//
// VictoriaMetrics and InfluxDB are the programs that VM_BIN and INFLUX_BIN
// name, or those in PATH (Debian: victoria-metrics, influxdb); without them
// their columns are left out. HOKAN_DATA is a folder of real files.
//
// Every subject does every job in a process of its own, pinned to one core; the
// subjects take turns, so that what else happens on the machine hits all alike.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"regexp"
	"runtime"
	"syscall"

	"github.com/hokan-db/hokan/bench/report"
)

// Where the results go, relative to the module's folder.
const (
	resultsJSON = "RESULTS.json"
	resultsText = "RESULTS.md"
	readme      = "../README.md"
)

// options are the flags.
type options struct {
	short  bool
	only   *regexp.Regexp // of "scenario subject"; nil: all
	rounds int            // 0: as many as the mode has
	dir    string         // for the stores' folders
	core   int            // that everything is pinned to; negative: none
}

func main() {
	if len(os.Args) == 3 && os.Args[1] == childCommand {
		if err := runChild(os.Args[2], os.Stdout); err != nil {
			fmt.Fprintln(os.Stderr, "compare:", err)
			os.Exit(1)
		}
		return
	}
	if err := run(); err != nil {
		fmt.Fprintln(os.Stderr, "compare:", err)
		os.Exit(1)
	}
}

func run() error {
	var o options
	var only string
	var textsOnly bool
	flag.BoolVar(&o.short, "short", false, "little data and few rounds: about a minute")
	flag.StringVar(&only, "only", "", "`pattern` of \"scenario subject\": only what matches; nothing is written then but on stdout")
	flag.IntVar(&o.rounds, "rounds", 0, "how many rounds (default 5, with -short 1)")
	flag.StringVar(&o.dir, "dir", "", "`folder` for the stores, on the disk to be measured (default a temporary one)")
	flag.IntVar(&o.core, "core", runtime.NumCPU()-1, "core to pin everything to; -1: none")
	flag.BoolVar(&textsOnly, "readme", false, "measure nothing: write the texts from RESULTS.json again")
	flag.Parse()
	if flag.NArg() > 0 {
		return fmt.Errorf("unknown argument %q", flag.Arg(0))
	}
	if _, err := os.Stat("compare/main.go"); err != nil {
		return errors.New("run it in its module's folder: go -C bench run ./compare")
	}
	if textsOnly {
		results, err := report.Read(resultsJSON)
		if err != nil {
			return err
		}
		return writeTexts(results)
	}
	if only != "" {
		var err error
		if o.only, err = regexp.Compile(only); err != nil {
			return fmt.Errorf("-only: %w", err)
		}
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	results, err := compare(ctx, o)
	if err != nil {
		return err
	}
	if o.only != nil {
		fmt.Print(results.Markdown())
		return nil
	}
	if err := results.Write(resultsJSON); err != nil {
		return err
	}
	return writeTexts(results)
}

func writeTexts(results *report.Results) error {
	results.Compute()
	return errors.Join(os.WriteFile(resultsText, []byte(results.Markdown()), 0o644), results.WriteReadme(readme))
}
