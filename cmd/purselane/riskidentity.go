package main

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	"github.com/alecthomas/kong"

	"github.com/purselane/purselane/backend/store"
)

// RiskIdentityCmd is `purselane risk identity`.
type RiskIdentityCmd struct {
	schemeFolder
	Day  string `placeholder:"YYYY-MM-DD" help:"Default: today, where the scheme is."`
	JSON bool   `name:"json" help:"Print JSON."`
}

// Run lists the processes that asked.
func (c *RiskIdentityCmd) Run(ctx context.Context, k *kong.Kong) error {
	s, err := c.scheme()
	if err != nil {
		return err
	}
	day := c.Day
	if day == "" {
		day = time.Now().In(s.Location()).Format(time.DateOnly)
	}
	if _, err := time.Parse(time.DateOnly, day); err != nil {
		return fmt.Errorf("--day: %q: want YYYY-MM-DD", day)
	}
	return c.withStore(ctx, func(st *store.Store) error {
		var all []store.IdentitySpending
		if err := st.View(ctx, func(tx *store.Tx) (err error) { all, err = tx.IdentitySpendings(ctx, day); return err }); err != nil {
			return err
		}
		if c.JSON {
			return json.NewEncoder(k.Stdout).Encode(all)
		}
		p := &printer{out: k.Stdout}
		for _, x := range all {
			p.line("%s  %s of %s: %d calls, %d without an answer; %d match, %d do not, %d are in no database; %d needed no call, %d were not made",
				x.Process, x.Spent, x.Budget, x.Calls, x.Silent, x.Matched, x.Wrong, x.Absent, x.Saved, x.Refused)
		}
		return p.err
	})
}
