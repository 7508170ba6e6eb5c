package main

import (
	"errors"
	"fmt"
	"os"
	"time"

	"github.com/alecthomas/kong"

	"github.com/purselane/purselane/internal/ids"
	"github.com/purselane/purselane/terminal/edge"
	"github.com/purselane/purselane/terminal/journal"
)

// JournalCmd are the commands on a terminal's journal.
type JournalCmd struct {
	Verify     JournalVerifyCmd     `cmd:"" help:"Walk the whole file: pages, checksums, the chain, the open taps."`
	Stats      JournalStatsCmd      `cmd:"" help:"Say how full it is and what has no receipt yet."`
	Export     JournalExportCmd     `cmd:"" help:"Write the records without a receipt to a file, to be carried to the backend by hand."`
	Quarantine JournalQuarantineCmd `cmd:"" help:"Move a damaged file aside. Keep it: the taps in it are money."`
}

// with opens the journal for one command.
func (f configFile) with(do func(*journal.Journal) error) error {
	c, err := f.read()
	if err != nil {
		return err
	}
	j, err := journal.Open(c.path(c.Journal.Path), c.journalOptions())
	if err != nil {
		return err
	}
	if err := do(j); err != nil {
		_ = j.Close() // the error in hand says more
		return err
	}
	return j.Close()
}

// JournalVerifyCmd is `purselane-terminal journal verify`.
type JournalVerifyCmd struct{ configFile }

// Run walks the file.
func (c *JournalVerifyCmd) Run(k *kong.Kong) error {
	return c.with(func(j *journal.Journal) error {
		if err := j.Verify(); err != nil {
			return err
		}
		fmt.Fprintf(k.Stdout, "sound: records %d to %d, epoch %x\n", j.FirstSeq(), j.LastSeq(), j.Epoch())
		return nil
	})
}

// JournalStatsCmd is `purselane-terminal journal stats`.
type JournalStatsCmd struct{ configFile }

// Run prints the figures.
func (c *JournalStatsCmd) Run(k *kong.Kong) error {
	return c.with(func(j *journal.Journal) error {
		s, err := j.Stats()
		if err != nil {
			return err
		}
		fmt.Fprintf(k.Stdout, "epoch            %x\nrecords held     %d to %d\nwithout receipt  %d\nopen taps        %d\nfile             %d of %d bytes\n",
			j.Epoch(), j.FirstSeq(), j.LastSeq(), s.Backlog, s.OpenIntents, s.FileBytes, s.MaxBytes)
		if !s.Oldest.IsZero() {
			fmt.Fprintf(k.Stdout, "oldest of them   %s\n", s.Oldest.UTC().Format(time.RFC3339))
		}
		return nil
	})
}

// JournalExportCmd is `purselane-terminal journal export`.
type JournalExportCmd struct {
	configFile
	Out string `required:"" placeholder:"FILE" type:"path" help:"The file to make. One that exists is not touched."`
	All bool   `help:"Every record that is still held, not only those without a receipt."`
}

// Run writes the file.
func (c *JournalExportCmd) Run(k *kong.Kong) error {
	cfg, err := c.read()
	if err != nil {
		return err
	}
	if cfg.DeviceKey == "" {
		return errors.New("config: device_key: an export is signed with it: make one with \"purselane-terminal device-key\"")
	}
	key, err := readDeviceKey(cfg.path(cfg.DeviceKey))
	if err != nil {
		return fmt.Errorf("config: device_key: %w", err)
	}
	return c.with(func(j *journal.Journal) error {
		first := j.AckedSeq() + 1
		if c.All {
			first = j.FirstSeq()
		}
		out, err := os.OpenFile(c.Out, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600) // it holds card numbers
		if err != nil {
			return err
		}
		n, err := edge.Export(out, j, ids.TerminalID(cfg.Terminal), key, first, time.Now())
		if err := errors.Join(err, out.Sync(), out.Close()); err != nil {
			return err
		}
		fmt.Fprintf(k.Stdout, "%d records in %s. They stay in the journal until their receipt comes by the link.\n", n, c.Out)
		return nil
	})
}

// JournalQuarantineCmd is `purselane-terminal journal quarantine`.
type JournalQuarantineCmd struct {
	configFile
	Sound bool `help:"Move it even though it can be read, as for a journal that was restored from an old copy."`
}

// Run moves the file. One that can be read stays where it is unless asked for: its records would not be uploaded any more.
func (c *JournalQuarantineCmd) Run(k *kong.Kong) error {
	cfg, err := c.read()
	if err != nil {
		return err
	}
	path := cfg.path(cfg.Journal.Path)
	if !c.Sound {
		j, err := journal.Open(path, cfg.journalOptions())
		if err == nil {
			err = j.Verify()
			if err := j.Close(); err != nil {
				return err
			}
		}
		if err == nil {
			return fmt.Errorf("%s can be read: leave it, or say --sound", path)
		}
		if !errors.Is(err, journal.ErrDamaged) {
			return err // another terminal's, or a disk that cannot be read now: moving it mends nothing
		}
	}
	moved, err := journal.Quarantine(path, time.Now())
	if err != nil {
		return err
	}
	fmt.Fprintf(k.Stdout, "moved to %s\nKeep this file and send it to the backend: the taps in it are money.\n", moved)
	return nil
}
