package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"reflect"
	"strconv"
	"syscall"

	"github.com/alecthomas/kong"

	"github.com/hokan-db/hokan/engine/policy"
	"github.com/hokan-db/hokan/server/api"
)

// Exit codes. Scripts branch on them.
const (
	exitDone    = 0
	exitFailed  = 1
	exitUsage   = 2
	exitPartial = 3 // part of the input was refused, the rest is kept
	exitFaults  = 4 // verify found faults
)

// grammar is the command line: one field per command.
type grammar struct {
	Demo      demoCommand      `cmd:"" help:"Start a server with a simulated plant and a month of data."`
	Serve     serveCommand     `cmd:"" help:"Serve a folder: the API and the pages."`
	Token     tokenCommand     `cmd:"" help:"Create, list and revoke what opens a server."`
	Import    importCommand    `cmd:"" help:"Bring logger files in."`
	Watch     watchCommand     `cmd:"" help:"Bring in what appears in a folder, once."`
	Channels  channelsCommand  `cmd:"" help:"List channels and how much they hold."`
	Latest    latestCommand    `cmd:"" help:"Show the newest sample of every channel."`
	View      viewCommand      `cmd:"" help:"Summarise channels in buckets of time."`
	Table     tableCommand     `cmd:"" help:"Show samples joined on time, a page at a time."`
	Export    exportCommand    `cmd:"" help:"Write samples to a file."`
	Alarm     alarmCommand     `cmd:"" help:"Create, edit, list, switch and delete alarms."`
	Events    eventsCommand    `cmd:"" help:"List the starts and ends of alarms."`
	Delete    deleteCommand    `cmd:"" help:"Delete samples, or channels."`
	Tenant    tenantCommand    `cmd:"" help:"Create, change and delete tenants."`
	Retention retentionCommand `cmd:"" help:"Set how long what is kept."`
	Usage     usageCommand     `cmd:"" help:"Show what a tenant uses, of what it may."`
	Outbox    outboxCommand    `cmd:"" help:"List what somebody should be told: of quotas, deletions and alarms."`
	Live      liveCommand      `cmd:"" help:"Show samples and alarms as they are written."`
	Compact   compactCommand   `cmd:"" help:"Merge blocks, by month, into small ones."`
	Inspect   inspectCommand   `cmd:"" help:"Show how every chunk of every block is kept."`
	Snapshot  snapshotCommand  `cmd:"" help:"Copy a database, also one that a server has open."`
	Repair    repairCommand    `cmd:"" help:"Make a damaged folder whole again, as far as can be."`
	Verify    verifyCommand    `cmd:"" help:"Read every byte and name every fault."`
	Version   versionCommand   `cmd:"" help:"Print the version."`
}

// terminal is what a command talks to. Results go to stdout; progress, notes
// and errors go to stderr.
type terminal struct {
	ctx    context.Context
	stdin  io.Reader
	stdout *bufio.Writer
	stderr io.Writer
}

// note prints one line for people on stderr.
func (t *terminal) note(format string, args ...any) {
	fmt.Fprintf(t.stderr, "hokan: %s\n", printable(fmt.Sprintf(format, args...)))
}

// exitCode is the error of a command that has said on stderr what there was to
// say.
type exitCode int

// Error implements error.
func (e exitCode) Error() string { return fmt.Sprintf("exit %d", int(e)) }

// helpShown unwinds the parser after it has printed help.
type helpShown struct{}

// run is the program: it returns the exit code.
func run(args []string, stdin io.Reader, stdout, stderr io.Writer) int {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	context.AfterFunc(ctx, stop) // a second signal ends the program at once
	t := &terminal{ctx, stdin, bufio.NewWriterSize(stdout, 64<<10), stderr}
	err := parseAndRun(args, t)
	var code exitCode
	if flushError := t.stdout.Flush(); flushError != nil && (err == nil || errors.As(err, &code)) {
		err = flushError
	}
	switch {
	case err == nil:
		return exitDone
	case errors.As(err, &code):
		return int(code)
	}
	var usage *kong.ParseError
	if errors.As(err, &usage) {
		t.note("usage: %v (see hokan --help)", usage)
		return exitUsage
	}
	failure := failureOf(err)
	t.note("%v", failure)
	return exitOf(failure)
}

// failureOf gives err its code: that of the handlers or, where the program
// itself writes, that of a full disk.
func failureOf(err error) *api.Error {
	switch {
	case errors.Is(err, context.Canceled):
		return api.NewError("interrupted", "stopped by a signal; what was acknowledged is kept")
	case errors.Is(err, syscall.ENOSPC), errors.Is(err, syscall.EDQUOT):
		if known := api.AsError(err); known.Code != "internal" {
			return known
		}
		return api.NewError("disk_full", err.Error())
	}
	return api.AsError(err)
}

// exitOf tells a request that was put wrongly from one that failed.
func exitOf(e *api.Error) int {
	if e.Status == 400 || e.Code == "invalid" {
		return exitUsage
	}
	return exitFailed
}

const description = `Hokan keeps instruments' measurements.

Channels are chosen by a SELECTOR such as {instrument="lake",channel=~"2-.*"},
with = != =~ !~ on labels and properties; {} is all. Times are RFC 3339 with an
offset, integers of nanoseconds since 1970, now, or now-30d (ns us ms s m h d).

Exit: 0 done, 1 failed, 2 wrong usage, 3 part of the input refused and the rest
kept, 4 verify found faults.`

func parseAndRun(args []string, t *terminal) (err error) {
	defer func() {
		if r := recover(); r != nil {
			if _, ok := r.(helpShown); !ok {
				panic(r)
			}
			err = nil
		}
	}()
	parser, err := kong.New(&grammar{},
		kong.Name("hokan"),
		kong.Description(description),
		kong.Vars{"address_connections": strconv.FormatInt(policy.AddressConnections.Default, 10)},
		kong.Writers(t.stdout, t.stderr),
		kong.Exit(func(int) { panic(helpShown{}) }),
		kong.ConfigureHelp(kong.HelpOptions{Compact: true, WrapUpperBound: 100}),
		kong.WithHyphenPrefixedParameters(true), // --threshold -5
		kong.KindMapper(reflect.String, kong.MapperFunc(verbatim)),
	)
	if err != nil {
		return err
	}
	command, err := parser.Parse(args)
	if err != nil {
		return err
	}
	return command.Run(t)
}

// verbatim takes a text as it is. The parser's own way replaces bytes that are
// not UTF-8, and they would be kept as what they are not.
func verbatim(ctx *kong.DecodeContext, target reflect.Value) error {
	token, err := ctx.Scan.PopValue("string")
	if err != nil {
		return err
	}
	if name := ctx.Value.Name; token.String() == "" && ctx.Value.Flag != nil && (name == "server" || name == "token" || name == "ca") {
		return errors.New("it is empty") // and does not mean the environment's
	}
	target.SetString(token.String())
	return nil
}
