package main

import (
	"fmt"

	"github.com/alecthomas/kong"
)

// CheckCmd is `purselane-terminal check`.
type CheckCmd struct{ configFile }

// Run reads the configuration and every file it names, and opens no device: a terminal that runs on it is not disturbed.
func (c *CheckCmd) Run(k *kong.Kong) error {
	cfg, err := c.read()
	if err != nil {
		return err
	}
	settled, err := cfg.settled()
	if err != nil {
		return fmt.Errorf("%s:\n%w", c.Config, err)
	}
	p := settled.Profile
	fmt.Fprintf(k.Stdout, "%s is sound: terminal %s, profile %d of %s, %d lanes\n", c.Config, settled.Terminal, p.Version, p.Scheme, len(cfg.Lanes))
	for i, l := range cfg.Lanes {
		fmt.Fprintf(k.Stdout, "  lane %d: %s at %s reader %s%s\n", i, l.Mode, l.Kind, l.Reader, l.Listen)
	}
	if cfg.Uplink == nil {
		fmt.Fprintln(k.Stdout, "  no uplink: it sells until the limits of its profile, and then stops")
	}
	if cfg.PSAM.Kind == "simulated" {
		fmt.Fprintln(k.Stdout, simulatedWarning)
	}
	return nil
}
