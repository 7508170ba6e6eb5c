package main

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/alecthomas/kong"

	"github.com/purselane/purselane/backend/store"
	"github.com/purselane/purselane/shadowaccount"
)

// FindingsCmd are the commands on what is suspicious.
type FindingsCmd struct {
	List    FindingsListCmd    `cmd:"" help:"List what is suspicious about cards, terminals, PSAMs and loads, alarms first."`
	Explain FindingsExplainCmd `cmd:"" help:"Say what a code means, and what to do."`
	Denied  FindingsDeniedCmd  `cmd:"" help:"Note which deny list names a card: it decides who bears the card's debits."`
}

// FindingsListCmd is `purselane findings list`.
type FindingsListCmd struct {
	schemeFolder
	State       string `enum:"open,cleared,all" default:"open" help:"open, cleared, or all."`
	Kind        string `enum:"any,card,terminal,psam,load" default:"any" help:"Of what: any, card, terminal, psam or load."`
	Subject     string `placeholder:"NAME" help:"Of one card (its token), terminal (its id), PSAM (its number) or load (its order)."`
	Code        string `placeholder:"CODE" help:"Of one code."`
	Severity    string `enum:"any,alarm,watch,info" default:"any" help:"any, alarm, watch or info."`
	Consequence string `enum:"any,none,watch,hold,deny,case" default:"any" help:"any, none, watch, hold, deny (proposals for the deny list) or case (open cases)."`
	Most        int    `default:"1000" help:"How many at most."`
	JSON        bool   `name:"json" help:"Print JSON."`
}

// findingLine is one finding as it is printed. It holds no card number.
type findingLine struct {
	Kind        string                    `json:"kind"`
	Subject     string                    `json:"subject"`
	Code        shadowaccount.Code        `json:"code"`
	Severity    shadowaccount.Severity    `json:"severity"`
	Consequence shadowaccount.Consequence `json:"consequence"`
	Item        string                    `json:"item"`
	Detail      string                    `json:"detail"`
	State       string                    `json:"state"`
	First       time.Time                 `json:"first_seen"`
	Last        time.Time                 `json:"last_seen"`
}

// mostRead bounds what is read of the database.
const mostRead = 1_000_000

// Run lists them.
func (c *FindingsListCmd) Run(ctx context.Context, k *kong.Kong) error {
	if c.Most < 1 {
		return fmt.Errorf("--most %d: want 1 or more", c.Most)
	}
	if _, known := shadowaccount.Explain(shadowaccount.Code(c.Code)); c.Code != "" && !known {
		return unknownCode(c.Code)
	}
	return c.withStore(ctx, func(s *store.Store) error {
		lines := []findingLine{}
		err := s.View(ctx, func(tx *store.Tx) error {
			watched, err := tx.WatchedFindings(ctx, store.WatchedFilter{Subject: c.Subject, Code: shadowaccount.Code(c.Code)}, mostRead)
			if err != nil {
				return err
			}
			for _, f := range watched {
				lines = append(lines, line(f.Kind, f.Subject, f.Note, f.State, f.First, f.Last))
			}
			loads, err := tx.LoadFindings(ctx, "", mostRead)
			for _, f := range loads { // they stay until an officer has looked
				note := shadowaccount.Note{Code: shadowaccount.Code(f.Code), Item: f.Token, Detail: f.Detail}
				lines = append(lines, line("load", f.Order, note, store.FindingOpen, f.At, f.At))
			}
			return err
		})
		if err != nil {
			return err
		}
		lines = slices.DeleteFunc(lines, func(l findingLine) bool { return !c.wants(l) })
		slices.SortStableFunc(lines, func(a, b findingLine) int { return cmp.Compare(rankOf(a.Severity), rankOf(b.Severity)) })
		lines = lines[:min(len(lines), c.Most)]
		if c.JSON {
			return json.NewEncoder(k.Stdout).Encode(lines)
		}
		for _, l := range lines {
			fmt.Fprintf(k.Stdout, "%-5s  %-17s  %-8s %-32s  %s  %-7s  %s\n", l.Severity, l.Code, l.Kind, l.Subject, l.First.UTC().Format(time.RFC3339), l.State, l.Detail)
		}
		return nil
	})
}

func line(kind, subject string, n shadowaccount.Note, state string, first, last time.Time) findingLine {
	l := findingLine{Kind: kind, Subject: subject, Code: n.Code, Item: n.Item, Detail: n.Detail, State: state, First: first.UTC(), Last: last.UTC()}
	l.Severity, _ = shadowaccount.SeverityOf(n.Code)
	l.Consequence = shadowaccount.OpensCase
	if e, ok := shadowaccount.Explain(n.Code); ok {
		l.Consequence = e.Consequence
	}
	return l
}

func (c *FindingsListCmd) wants(l findingLine) bool {
	return (c.State == "all" || c.State == l.State) && (c.Kind == "any" || c.Kind == l.Kind) && (c.Subject == "" || c.Subject == l.Subject) &&
		(c.Code == "" || c.Code == string(l.Code)) && (c.Severity == "any" || c.Severity == string(l.Severity)) && (c.Consequence == "any" || c.Consequence == string(l.Consequence))
}

func rankOf(s shadowaccount.Severity) int {
	return slices.Index([]shadowaccount.Severity{shadowaccount.Alarm, shadowaccount.Watch, shadowaccount.Info}, s)
}

func unknownCode(code string) error {
	return fmt.Errorf("no finding has the code %q: `purselane findings explain` lists them", code)
}

// FindingsExplainCmd is `purselane findings explain`.
type FindingsExplainCmd struct {
	Code    string `arg:"" optional:"" help:"A code, such as CLONE. Default: all, in a line each."`
	Chinese bool   `help:"In Chinese."`
	JSON    bool   `name:"json" help:"Print JSON."`
}

// explained is an entry of the catalogue as it is printed.
type explained struct {
	Code        shadowaccount.Code        `json:"code"`
	Severity    shadowaccount.Severity    `json:"severity"`
	Consequence shadowaccount.Consequence `json:"consequence"`
	Meaning     string                    `json:"meaning"`
	Do          string                    `json:"do"`
}

// Run explains.
func (c *FindingsExplainCmd) Run(k *kong.Kong) error {
	entries := shadowaccount.Catalogue()
	if c.Code != "" {
		e, ok := shadowaccount.Explain(shadowaccount.Code(c.Code))
		if !ok {
			return unknownCode(c.Code)
		}
		entries = []shadowaccount.Entry{e}
	}
	var all []explained
	for _, e := range entries {
		words := e.English
		if c.Chinese {
			words = e.Chinese
		}
		all = append(all, explained{e.Code, e.Severity, e.Consequence, words.Meaning, words.Do})
	}
	switch {
	case c.JSON:
		return json.NewEncoder(k.Stdout).Encode(all)
	case c.Code == "":
		for _, e := range all {
			fmt.Fprintf(k.Stdout, "%-17s  %-5s  %-5s  %s\n", e.Code, e.Severity, e.Consequence, e.Meaning)
		}
	default:
		e := all[0]
		fmt.Fprintf(k.Stdout, "%s  severity %s, consequence %s\n\n%s\n\n%s\n", e.Code, e.Severity, e.Consequence, e.Meaning, e.Do)
	}
	return nil
}

// FindingsDeniedCmd is `purselane findings denied`.
type FindingsDeniedCmd struct {
	schemeFolder
	Token   string `required:"" placeholder:"TOKEN" help:"The card, by its token."`
	Version uint64 `required:"" placeholder:"N" help:"First version of the deny list that names it."`
	Until   uint64 `placeholder:"N" help:"First version that no longer does. Default: none."`
	At      string `placeholder:"TIME" help:"When that first version was published, such as 2026-11-25T08:00:00Z. Default: now."`
}

// Run notes it.
func (c *FindingsDeniedCmd) Run(ctx context.Context, k *kong.Kong) error {
	at := now()
	if c.At != "" {
		var err error
		if at, err = time.Parse(time.RFC3339, c.At); err != nil {
			return fmt.Errorf("--at %q: want a time such as 2026-11-25T08:00:00Z", c.At)
		}
	}
	return c.withStore(ctx, func(s *store.Store) error {
		err := s.Update(ctx, func(tx *store.Tx) error {
			card, err := tx.CardByToken(ctx, c.Token)
			if errors.Is(err, store.ErrNotFound) {
				return errors.New("--token: no card has that token")
			}
			if err != nil {
				return err
			}
			return tx.PutDenial(ctx, card.Number, shadowaccount.Denial{Version: c.Version, Until: c.Until, AtMS: at.UnixMilli()})
		})
		if err != nil {
			return err
		}
		fmt.Fprintf(k.Stdout, "noted: list %d denies the card; the watch looks at it next\n", c.Version)
		return nil
	})
}
