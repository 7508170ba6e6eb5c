package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"

	"github.com/alecthomas/kong"
	"golang.org/x/crypto/ssh"

	"github.com/purselane/purselane/backend/settlement"
	"github.com/purselane/purselane/backend/settlement/delivery"
	"github.com/purselane/purselane/backend/store"
	"github.com/purselane/purselane/internal/ids"
)

// fileDelivery is where the acquirers' SFTP servers stand, in the scheme's folder.
const fileDelivery = "delivery.yaml"

// SettleDeliverCmd is `purselane settle deliver`.
type SettleDeliverCmd struct {
	schemeFolder
	Day      string `required:"" placeholder:"YYYY-MM-DD" help:"A closed clearing day."`
	Acquirer string `placeholder:"ID" help:"To this one alone."`
}

// Run brings the day's files to every server, and says what became of each. One that cannot be reached does not keep the others from theirs.
func (c *SettleDeliverCmd) Run(ctx context.Context, k *kong.Kong) error {
	raw, err := os.ReadFile(c.path(fileDelivery))
	if err != nil {
		return err
	}
	targets, err := delivery.ParseTargets(raw)
	if err != nil {
		return fmt.Errorf("%s: %w", c.path(fileDelivery), err)
	}
	key, err := c.fileKey()
	if err != nil {
		return err
	}
	return c.withStore(ctx, func(s *store.Store) error {
		files, err := settlement.SignedFiles(ctx, s, c.Day, key)
		if err != nil {
			return err
		}
		own := map[ids.AcquirerID][]settlement.AcquirerFile{}
		for _, f := range files {
			own[f.Acquirer] = append(own[f.Acquirer], f)
		}
		var faults []error
		known := false
		for _, t := range targets {
			if c.Acquirer != "" && c.Acquirer != string(t.Acquirer) {
				continue
			}
			known = true
			faults = append(faults, c.push(ctx, s, t, own[t.Acquirer]))
		}
		if c.Acquirer != "" && !known {
			faults = append(faults, fmt.Errorf("%s names no server of acquirer %q", fileDelivery, c.Acquirer))
		}
		return errors.Join(append(faults, printDeliveries(ctx, k.Stdout, s, c.Day))...)
	})
}

func (c *SettleDeliverCmd) push(ctx context.Context, s *store.Store, t delivery.Target, files []settlement.AcquirerFile) error {
	if len(files) == 0 {
		return fmt.Errorf("deliver to %s: %s has no files of it", t.Acquirer, c.Day)
	}
	raw, err := os.ReadFile(c.path(t.KeyFile))
	if err != nil {
		return fmt.Errorf("deliver to %s: key_file: %w", t.Acquirer, err)
	}
	signer, err := ssh.ParsePrivateKey(raw)
	if err != nil {
		return fmt.Errorf("deliver to %s: key_file %s: %w", t.Acquirer, t.KeyFile, err)
	}
	_, err = delivery.Pusher{Store: s}.Push(ctx, t, signer, c.Day, files)
	return err
}

func printDeliveries(ctx context.Context, w io.Writer, s *store.Store, day string) error {
	return s.View(ctx, func(tx *store.Tx) error {
		all, err := tx.Deliveries(ctx, day)
		for _, d := range all {
			fmt.Fprintf(w, "%-9s  %s  %s  %.16s…  %d tries  %s\n", d.State, d.Way, d.Name, d.Digest, d.Attempts, d.Error)
		}
		return err
	})
}
