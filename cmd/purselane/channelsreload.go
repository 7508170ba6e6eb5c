package main

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"time"

	"github.com/alecthomas/kong"

	"github.com/purselane/purselane/backend/node"
	"github.com/purselane/purselane/backend/store"
)

// reloadLook is how often a running backend looks whether it is asked to read anew.
const reloadLook = time.Second

// ChannelsReloadCmd is `purselane channels reload`.
type ChannelsReloadCmd struct {
	schemeFolder
	By   string        `required:"" placeholder:"WHO" help:"Who asks."`
	Wait time.Duration `default:"5s" help:"How long backends may take to answer; they look once a second."`
}

var (
	errNotTakenOver = errors.New("not every backend uses what was read anew: put right what it says, and reload again")
	errNobodyReads  = errors.New("no running backend has answered: is one running over this database? What is in the files counts from its next start")
)

// Run asks every backend that runs over the scheme's database, and prints what each answers.
func (c *ChannelsReloadCmd) Run(ctx context.Context, k *kong.Kong) error {
	return c.withStore(ctx, func(s *store.Store) error {
		id := "L" + rand.Text()
		if err := s.Update(ctx, func(tx *store.Tx) error { return tx.AskReload(ctx, id, c.By, now()) }); err != nil {
			return err
		}
		over, done := context.WithTimeout(ctx, c.Wait)
		defer done()
		look := time.NewTicker(100 * time.Millisecond)
		defer look.Stop()
		shown, failed := map[string]bool{}, false
		for {
			var all []store.ReloadAnswer
			if err := s.Glance(ctx, func(tx *store.Tx) (err error) { all, err = tx.ReloadAnswers(ctx, id); return err }); err != nil {
				return err
			}
			for _, a := range all {
				if shown[a.Process] {
					continue
				}
				said := "reads rules, routing plan and BIN table anew"
				if a.Why != "" {
					failed, said = true, "everything is as it was: "+a.Why
				}
				shown[a.Process] = true
				if _, err := fmt.Fprintf(k.Stdout, "%s: %s\n", a.Process, said); err != nil {
					return err
				}
			}
			select {
			case <-look.C:
				continue
			case <-over.Done():
			}
			switch {
			case ctx.Err() != nil:
				return ctx.Err()
			case len(shown) == 0:
				return errNobodyReads
			case failed:
				return errNotTakenOver
			}
			return nil
		}
	})
}

// asked has a running backend answer whoever asks it to read anew, over the database, until ctx ends. What was asked for before it started it has read.
func (f schemeFolder) asked(ctx context.Context, n *node.Node, log *slog.Logger) error {
	host, err := os.Hostname()
	if err != nil {
		host = "unknown"
	}
	process := fmt.Sprintf("%s/%d", host, os.Getpid())
	s := n.Store()
	last := func() (id, by string, err error) {
		err = s.Glance(ctx, func(tx *store.Tx) (err error) { id, by, err = tx.LastReload(ctx); return err })
		return id, by, err
	}
	seen, _, err := last()
	if err != nil {
		return err
	}
	look := time.NewTicker(reloadLook)
	defer look.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-look.C:
		}
		id, by, err := last()
		if err == nil && id == seen {
			continue
		}
		if err == nil {
			a := store.ReloadAnswer{Process: process, At: now()}
			if err := f.readAnew(ctx, n, log, by); err != nil {
				a.Why = err.Error()
			}
			seen = id
			err = s.Apart(ctx, func(tx *store.Tx) error { return tx.AnswerReload(ctx, id, a) })
		}
		if err != nil && ctx.Err() == nil {
			log.WarnContext(ctx, "gateway: not looked whether to read anew, or not answered", "error", err)
		}
	}
}
