package main

import (
	"fmt"
	"runtime"
	"runtime/debug"
)

// version and commit are set when a release is linked:
// -ldflags "-X main.version=1.2.3 -X main.commit=abcdef".
var version, commit string

type versionCommand struct{}

// Run implements the command.
func (c *versionCommand) Run(t *terminal) error {
	v, revision := programVersion()
	fmt.Fprintf(t.stdout, "hokan %s %s %s\n", v, revision, runtime.Version())
	return nil
}

// programVersion returns the version and the commit that the program was built
// from.
func programVersion() (name, commitName string) {
	v, revision := version, commit
	if info, ok := debug.ReadBuildInfo(); ok {
		if v == "" && info.Main.Version != "" && info.Main.Version != "(devel)" {
			v = info.Main.Version
		}
		for _, s := range info.Settings {
			if s.Key == "vcs.revision" && revision == "" {
				revision = s.Value
			}
		}
	}
	return orUnknown(v, "dev"), orUnknown(revision, "unknown")
}

func orUnknown(text, otherwise string) string {
	if text == "" {
		return otherwise
	}
	return text
}
