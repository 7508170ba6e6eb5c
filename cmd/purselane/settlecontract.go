package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"

	"github.com/alecthomas/kong"
	"go.yaml.in/yaml/v3"

	"github.com/purselane/purselane/backend/settlement"
	"github.com/purselane/purselane/backend/store"
	"github.com/purselane/purselane/internal/money"
	"github.com/purselane/purselane/shadowaccount/calendar"
	"github.com/purselane/purselane/shadowaccount/fee"
)

// SettleContractCmd is `purselane settle contract`.
type SettleContractCmd struct {
	schemeFolder
	Party string `required:"" placeholder:"KIND:ID" help:"Whose: acquirer:ID, channel:ID or merchant:ID."`
	File  string `placeholder:"FILE" type:"existingfile" help:"Note this contract (YAML, see docs/settlement.md) in place of the one there is. Without it, the contract is printed."`
	On    string `placeholder:"YYYY-MM-DD" help:"Print only what is in force on a day, and with --gross what it comes to."`
	Gross string `placeholder:"AMOUNT" help:"With --on: explain the fee on this sum of a day."`
	Count int64  `default:"1" help:"With --gross: of how many taps."`
}

// Run notes a contract, prints it, or explains a fee by it.
func (c *SettleContractCmd) Run(ctx context.Context, k *kong.Kong) error {
	kind, party, ok := strings.Cut(c.Party, ":")
	if !ok {
		return fmt.Errorf("--party %q: want acquirer:ID, channel:ID or merchant:ID", c.Party)
	}
	if c.Gross != "" && c.On == "" {
		return errors.New("--gross: say the day too, with --on")
	}
	return c.withStore(ctx, func(s *store.Store) error {
		if c.File != "" {
			raw, err := os.ReadFile(c.File)
			if err != nil {
				return err
			}
			schedule, err := fee.Parse(raw)
			if err != nil {
				return fmt.Errorf("%s: %w", c.File, err)
			}
			if err := settlement.SetContract(ctx, s, kind, party, schedule, now()); err != nil {
				return err
			}
		}
		schedule, err := settlement.ContractOf(ctx, s, kind, party)
		if errors.Is(err, store.ErrNotFound) {
			return fmt.Errorf("%w: note one with --file; until then the fees of scheme.yaml apply", err)
		}
		if err != nil {
			return err
		}
		if c.On == "" {
			return printYAML(k, schedule)
		}
		return c.printTerm(k, schedule)
	})
}

func (c *SettleContractCmd) printTerm(k *kong.Kong, schedule fee.Schedule) error {
	day, err := calendar.ParseDate(c.On)
	if err != nil {
		return err
	}
	term, err := schedule.On(day)
	if err != nil {
		return err
	}
	if c.Gross == "" {
		return printYAML(k, term)
	}
	gross, err := money.Parse(c.Gross)
	if err != nil {
		return fmt.Errorf("--gross: %w", err)
	}
	basis := fee.Basis{Gross: gross, Count: c.Count}
	// One transaction is the sum itself; of several, the single amounts are not known here.
	if c.Count == 1 {
		basis.Each = []fee.Each{{Amount: gross, Count: 1}}
	}
	for _, s := range term.Standards {
		text, err := s.Explain(basis)
		if err != nil {
			return err
		}
		fmt.Fprint(k.Stdout, text)
	}
	return nil
}

func printYAML(k *kong.Kong, v any) error {
	e := yaml.NewEncoder(k.Stdout)
	e.SetIndent(2)
	if err := e.Encode(v); err != nil {
		return err
	}
	return e.Close()
}
