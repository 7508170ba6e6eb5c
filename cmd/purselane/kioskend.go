package main

import (
	"context"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"github.com/alecthomas/kong"

	"github.com/purselane/purselane/card/ep"
	"github.com/purselane/purselane/internal/money"
	"github.com/purselane/purselane/terminal/kiosk"
	"github.com/purselane/purselane/terminal/reader"
)

// kioskDesk is how a desk reaches the backend.
type kioskDesk struct {
	Backend   string `default:"http://127.0.0.1:8080" help:"The backend's API."`
	TokenFile string `required:"" placeholder:"FILE" type:"path" help:"File with the agent's token."`
	JSON      bool   `name:"json" help:"Print the result as JSON; what goes on is told on standard error."`
}

func (c kioskDesk) host() (*kiosk.HTTPHost, error) {
	raw, err := os.ReadFile(c.TokenFile)
	if err != nil {
		return nil, fmt.Errorf("--token-file: %w", err)
	}
	return kiosk.NewHTTPHost(c.Backend, strings.TrimSpace(string(raw)))
}

// KioskEndCmd is `purselane kiosk end`.
type KioskEndCmd struct {
	kioskDesk
	cardReader
	Yes      bool          `help:"End the card. It cannot be undone: nothing accepts the card again. Without this its balance is shown, and no more."`
	Terminal string        `default:"000000009901" help:"The kiosk's terminal number, 12 hexadecimal digits."`
	Family   string        `enum:"tunion,pboc" default:"tunion" help:"Which EP purse: tunion or pboc. A card without one is read as electronic cash."`
	Patience time.Duration `default:"1m" help:"How long a card that left is waited for."`
}

// endResult is the JSON form of both commands.
type endResult struct {
	Card    string        `json:"card,omitempty"` // its middle hidden
	Token   string        `json:"token,omitempty"`
	Balance *money.Amount `json:"balance,omitempty"` // as the card showed it; absent where no card was read
	Receipt string        `json:"receipt,omitempty"`
	State   string        `json:"state,omitempty"`
	Due     *time.Time    `json:"due,omitempty"`
	PayOut  *money.Amount `json:"pay_out,omitempty"` // hand this over
	Reason  string        `json:"reason,omitempty"`
	Settled []settledLoad `json:"settled"`
}

// Run ends one card.
func (c *KioskEndCmd) Run(ctx context.Context, k *kong.Kong) (err error) {
	tell := k.Stdout
	if c.JSON {
		tell = k.Stderr
	}
	r := kiosk.Request{Step: func(text string) { fmt.Fprintln(tell, "  "+text) }}
	term, err := hex.DecodeString(c.Terminal)
	if err != nil || len(term) != len(r.Terminal) {
		return fmt.Errorf("--terminal %q: want 12 hexadecimal digits", c.Terminal)
	}
	copy(r.Terminal[:], term)
	if c.Family == "pboc" {
		r.AID, r.Levels = ep.AIDPBOC, 1
	}
	host, err := c.host()
	if err != nil {
		return err
	}
	reading, done, err := c.open()
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, done()) }()
	out, err := c.present(ctx, reading, host, r, tell)
	if err != nil {
		return err
	}
	if err := c.print(k.Stdout, out); err != nil {
		return err
	}
	if out.Why != "" {
		return fmt.Errorf("not ended: %s", out.Why)
	}
	return nil
}

// present presents the card until it stays long enough.
func (c *KioskEndCmd) present(ctx context.Context, r reader.Reader, host kiosk.EndHost, req kiosk.Request, tell io.Writer) (kiosk.Ended, error) {
	for {
		wait, cancel := context.WithTimeout(ctx, c.Patience)
		card, err := r.Wait(wait)
		cancel()
		if err != nil {
			return kiosk.Ended{}, fmt.Errorf("wait for a card: %w", err)
		}
		var out kiosk.Ended
		if c.Yes {
			out, err = kiosk.EndCard(ctx, card, host, req)
		} else {
			out.Seen, err = kiosk.Look(ctx, card, host, req)
			out.Why = out.Refusal
		}
		if err == nil {
			return out, card.Close(reader.Leave)
		}
		if !kiosk.Left(err) {
			return out, errors.Join(err, card.Close(reader.Reset))
		}
		fmt.Fprintln(tell, "the card left the field: present the same card again")
		if err := card.Close(reader.Leave); err != nil {
			return out, err
		}
		wait, cancel = context.WithTimeout(ctx, c.Patience)
		err = card.Removed(wait)
		cancel()
		if err != nil {
			return out, fmt.Errorf("wait for the card to be lifted: %w", err)
		}
	}
}

func (c *KioskEndCmd) print(out io.Writer, e kiosk.Ended) error {
	read := e.Token != ""
	if c.JSON {
		j := endResult{Card: e.Card, Token: e.Token, Reason: e.Why, Settled: []settledLoad{}}
		if read {
			j.Balance = &e.Balance
		}
		if e.End != nil {
			j.Receipt, j.State, j.Due = e.End.Order, string(e.End.State), &e.End.Due
		}
		for _, s := range e.Settled {
			j.Settled = append(j.Settled, settledLoad{s.Order, string(s.State)})
		}
		return json.NewEncoder(out).Encode(j)
	}
	p := printer{out: out}
	for _, s := range e.Settled {
		p.line("an earlier load is settled: order %s is %s", s.Order, s.State)
	}
	switch {
	case e.End != nil:
		p.line("RECEIPT %s", e.End.Order)
		p.line("card %s, balance shown %v, given back %s", e.Card, e.Balance, e.End.Asked.Format(time.DateTime))
		p.line("Paid out at this desk from %s, for this receipt: what is left when the last journeys have arrived.", e.End.Due.Format(time.DateOnly))
	case read && e.Why == "":
		p.line("card %s, balance %v", e.Card, e.Balance)
		if e.Blocked {
			p.line("It is blocked.")
		} else {
			p.line("To end it for ever and pay out what is left of it: the same with --yes.")
		}
	}
	return p.err
}

// KioskPayoutCmd is `purselane kiosk payout`.
type KioskPayoutCmd struct {
	kioskDesk
	Receipt string `arg:"" help:"The receipt of 'kiosk end'."`
}

// Run pays out once, when its time has come.
func (c *KioskPayoutCmd) Run(ctx context.Context, k *kong.Kong) error {
	host, err := c.host()
	if err != nil {
		return err
	}
	p, err := kiosk.PayOut(ctx, host, c.Receipt)
	if errors.Is(err, kiosk.ErrUnavailable) {
		return fmt.Errorf("%w\nHand nothing over. Ask again; should it say then that it was paid out before, the desk's till says whether it was", err)
	}
	if err != nil {
		return err
	}
	var why error
	switch {
	case p.Now:
	case p.Then:
		why = errors.New("hand nothing over: it was paid out, or loaded onto another card, before")
	case p.End.State == kiosk.EndRequested:
		why = errors.New("hand nothing over yet: an operator has to approve it")
	case p.End.State == kiosk.EndSettling:
		why = fmt.Errorf("hand nothing over yet: it waits for the card's last records, until %s or later", p.End.Due.Format(time.DateOnly))
	case p.End.State == kiosk.EndEmpty:
		why = errors.New("hand nothing over: nothing was left on the card")
	case p.End.State == kiosk.EndCancelled:
		why = errors.New("hand nothing over: an operator has cancelled it; send the holder there")
	}
	if c.JSON {
		j := endResult{Token: p.End.Token, Receipt: p.End.Order, State: string(p.End.State), Due: &p.End.Due, Settled: []settledLoad{}}
		if why != nil {
			j.Reason = why.Error()
		} else {
			j.PayOut = &p.End.Amount
		}
		return errors.Join(json.NewEncoder(k.Stdout).Encode(j), why)
	}
	if why != nil {
		return why
	}
	_, err = fmt.Fprintf(k.Stdout, "HAND OVER %v for receipt %s: it is noted as paid out\n", p.End.Amount, p.End.Order)
	return err
}
