package main

import (
	"fmt"
	"runtime"
	"runtime/debug"

	"github.com/alecthomas/kong"

	"github.com/purselane/purselane/terminal/reader/pcsc"
	"github.com/purselane/purselane/uplink/wire"
)

// VersionCmd is `purselane-terminal version`.
type VersionCmd struct{}

// Run prints what the program is.
func (VersionCmd) Run(k *kong.Kong) error {
	fmt.Fprintf(k.Stdout, "%s (%s, %s/%s)\nconfiguration 1, outcome lines %d, wire %d, PC/SC %v\n",
		programName(), runtime.Version(), runtime.GOOS, runtime.GOARCH, linesVersion, wire.Version, pcsc.Available)
	return nil
}

// programName is the program with its version and revision.
func programName() string {
	version, revision := "unknown", ""
	if info, ok := debug.ReadBuildInfo(); ok {
		version = info.Main.Version
		for _, s := range info.Settings {
			if s.Key == "vcs.revision" {
				revision = " " + s.Value
			}
		}
	}
	return "purselane-terminal " + version + revision
}
