package main

import (
	"context"
	"errors"
	"fmt"

	"github.com/alecthomas/kong"

	"github.com/purselane/purselane/backend/settlement"
	"github.com/purselane/purselane/backend/store"
)

// SettleMandateCmd is `purselane settle mandate`.
type SettleMandateCmd struct {
	schemeFolder
	Party    string `required:"" placeholder:"KIND:ID" help:"Whose: acquirer:ID or channel:ID."`
	ID       string `name:"id" placeholder:"TEXT" help:"Of the mandate, as the party signed it."`
	Signed   string `placeholder:"YYYY-MM-DD" help:"When it was signed."`
	Creditor string `placeholder:"TEXT" help:"By which the bank knows the scheme among those who may debit."`
	End      bool   `help:"The party has ended it: it pays by itself from now on."`
}

// Run notes the mandate, or its end.
func (c *SettleMandateCmd) Run(ctx context.Context, k *kong.Kong) error {
	kind, id, err := partyName(c.Party)
	if err != nil {
		return err
	}
	if c.End != (c.ID == "" && c.Signed == "" && c.Creditor == "") {
		return errors.New("give --id, --signed and --creditor, or --end")
	}
	return c.withStore(ctx, func(s *store.Store) error {
		if c.End {
			if err := settlement.EndMandate(ctx, s, kind, id); err != nil {
				return err
			}
			fmt.Fprintf(k.Stdout, "%s is waited for\n", c.Party)
			return nil
		}
		if err := settlement.SetMandate(ctx, s, store.PartyMandate{Kind: kind, Party: id, ID: c.ID, Signed: c.Signed, Creditor: c.Creditor, NotedAt: now()}); err != nil {
			return err
		}
		fmt.Fprintf(k.Stdout, "%s is debited by mandate %s, with the next day that is ordered\n", c.Party, c.ID)
		return nil
	})
}
