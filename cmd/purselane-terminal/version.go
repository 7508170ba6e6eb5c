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
	version, revision := "unknown", ""
	if info, ok := debug.ReadBuildInfo(); ok {
		version = info.Main.Version
		for _, s := range info.Settings {
			if s.Key == "vcs.revision" {
				revision = " " + s.Value
			}
		}
	}
	fmt.Fprintf(k.Stdout, "purselane-terminal %s%s (%s, %s/%s)\nconfiguration 1, outcome lines %d, wire %d, PC/SC %v\n",
		version, revision, runtime.Version(), runtime.GOOS, runtime.GOARCH, linesVersion, wire.Version, pcsc.Available)
	return nil
}
