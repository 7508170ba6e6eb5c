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
	"github.com/google/uuid"

	"github.com/purselane/purselane/card/ep"
	"github.com/purselane/purselane/internal/money"
	"github.com/purselane/purselane/terminal/kiosk"
	"github.com/purselane/purselane/terminal/reader"
)

// KioskCmd are the commands of a load kiosk, and of the desk it stands on.
type KioskCmd struct {
	Load   KioskLoadCmd   `cmd:"" help:"Load a card with cash that an agent has taken."`
	Relay  KioskRelayCmd  `cmd:"" help:"Load a card that lies elsewhere (docs/relay.md)."`
	End    KioskEndCmd    `cmd:"" help:"Take a card back: block it, and give a receipt for what is left of it (docs/card-life.md)."`
	Payout KioskPayoutCmd `cmd:"" help:"Pay the holder of such a receipt, once, when its time has come."`
}

// KioskLoadCmd is `purselane kiosk load`.
type KioskLoadCmd struct {
	kioskSale
	cardReader
}

// Run loads one card.
func (c *KioskLoadCmd) Run(ctx context.Context, k *kong.Kong) error {
	return c.sell(ctx, k, c.open)
}

// kioskSale is what is sold, and how a kiosk reaches the backend.
type kioskSale struct {
	Backend   string `default:"http://127.0.0.1:8080" help:"The backend's API."`
	TokenFile string `required:"" placeholder:"FILE" type:"path" help:"File with the agent's token."`

	Amount string `xor:"sale" placeholder:"AMOUNT" help:"Cash taken, such as 50.00."`
	Order  string `xor:"sale" placeholder:"ID" help:"An order that is paid already."`
	Key    string `placeholder:"TEXT" help:"Names the sale for ever. Give it again, with the same amount, to go on with a sale that was cut short. Default: a new one, printed before anything is booked."`

	Terminal string        `default:"000000009901" help:"The kiosk's terminal number, 12 hexadecimal digits."`
	Family   string        `enum:"tunion,pboc" default:"tunion" help:"Which EP purse: tunion or pboc. A card without one is loaded as electronic cash."`
	Patience time.Duration `default:"1m" help:"How long a card that left is waited for."`
	JSON     bool          `name:"json" help:"Print the result as JSON; what goes on is told on standard error."`
}

// kioskResult is the JSON form.
type kioskResult struct {
	Outcome string        `json:"outcome"`
	Order   string        `json:"order"`
	Key     string        `json:"key,omitempty"`
	Amount  money.Amount  `json:"amount"`
	Balance *money.Amount `json:"balance,omitempty"` // absent: not known
	Reason  string        `json:"reason,omitempty"`
	Settled []settledLoad `json:"settled"`
}

type settledLoad struct {
	Order string `json:"order"`
	State string `json:"state"`
}

// sell loads one card in the reader that open opens. A card that leaves too early is waited for, with the same sale.
func (c *kioskSale) sell(ctx context.Context, k *kong.Kong, open func() (reader.Reader, func() error, error)) (err error) {
	tell := k.Stdout
	if c.JSON {
		tell = k.Stderr
	}
	req, err := c.request(tell)
	if err != nil {
		return err
	}
	raw, err := os.ReadFile(c.TokenFile)
	if err != nil {
		return fmt.Errorf("--token-file: %w", err)
	}
	host, err := kiosk.NewHTTPHost(c.Backend, strings.TrimSpace(string(raw)))
	if err != nil {
		return err
	}
	r, done, err := open()
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, done()) }()
	res, err := c.load(ctx, r, host, req, tell)
	if err != nil {
		var decided *kiosk.HostError
		if req.IdempotencyKey != "" && !errors.As(err, &decided) {
			return fmt.Errorf("%w\nNothing is lost: go on with --key %s and the same amount", err, req.IdempotencyKey)
		}
		return err
	}
	if err := c.print(k.Stdout, req, res); err != nil {
		return err
	}
	if res.Outcome == kiosk.Refused || res.Outcome == kiosk.PresentAgain {
		return fmt.Errorf("not loaded: %s. The money waits in order %s", res.Reason, res.Order)
	}
	return nil
}

func (c *kioskSale) request(tell io.Writer) (kiosk.Request, error) {
	r := kiosk.Request{OrderID: c.Order, Step: func(text string) { fmt.Fprintln(tell, "  "+text) }}
	term, err := hex.DecodeString(c.Terminal)
	if err != nil || len(term) != len(r.Terminal) {
		return r, fmt.Errorf("--terminal %q: want 12 hexadecimal digits", c.Terminal)
	}
	copy(r.Terminal[:], term)
	if c.Family == "pboc" {
		r.AID, r.Levels = ep.AIDPBOC, 1
	}
	if c.Order != "" {
		if c.Key != "" {
			return r, errors.New("--order names a sale that is booked: --key goes with --amount")
		}
		return r, nil
	}
	if r.Amount, err = money.Parse(c.Amount); err != nil {
		return r, fmt.Errorf("--amount %q: want an amount such as 50.00 (or --order)", c.Amount)
	}
	if r.IdempotencyKey = c.Key; r.IdempotencyKey == "" {
		id, err := uuid.NewV7()
		if err != nil {
			return r, err
		}
		r.IdempotencyKey = id.String()
	}
	// Before anything is booked: who loses everything else can go on with this.
	fmt.Fprintf(tell, "sale %s over %v\n", r.IdempotencyKey, r.Amount)
	return r, nil
}

// load presents the card until it is loaded, refuses, or is not presented again.
func (c *kioskSale) load(ctx context.Context, r reader.Reader, host kiosk.Host, req kiosk.Request, tell io.Writer) (kiosk.Result, error) {
	var res kiosk.Result
	for try := 1; ; try++ {
		wait, cancel := context.WithTimeout(ctx, c.Patience)
		card, err := r.Wait(wait)
		cancel()
		if errors.Is(err, context.DeadlineExceeded) && try > 1 {
			return res, nil // the last presentation's result: present again
		}
		if err != nil {
			return res, fmt.Errorf("wait for a card: %w", err)
		}
		if res, err = kiosk.Load(ctx, card, host, req); err != nil {
			return res, errors.Join(err, card.Close(reader.Reset))
		}
		if err := card.Close(reader.Leave); err != nil {
			return res, err
		}
		if res.Outcome == kiosk.DoneUnconfirmed {
			return res, c.confirm(ctx, host, &res, tell)
		}
		if res.Outcome != kiosk.PresentAgain {
			return res, nil
		}
		fmt.Fprintln(tell, "present the same card again")
		wait, cancel = context.WithTimeout(ctx, c.Patience)
		err = card.Removed(wait)
		cancel()
		if err != nil {
			return res, nil
		}
	}
}

// confirm hands in what the card said of a load whose backend could not be told. The value is on the card whether it works or not, and
// the backend finds out by the card's next word at the latest.
func (c *kioskSale) confirm(ctx context.Context, host kiosk.Host, res *kiosk.Result, tell io.Writer) error {
	if _, err := kiosk.Confirm(ctx, host, *res); err != nil {
		fmt.Fprintf(tell, "the value is on the card, the backend was not told: %v. The card's next tap or load settles it.\n", err)
		return nil
	}
	res.Outcome = kiosk.LoadDone
	return nil
}

func (c *kioskSale) print(out io.Writer, req kiosk.Request, res kiosk.Result) error {
	known := res.Outcome == kiosk.LoadDone || res.Outcome == kiosk.DoneUnconfirmed
	if c.JSON {
		j := kioskResult{Outcome: res.Outcome.String(), Order: res.Order, Key: req.IdempotencyKey, Amount: res.Amount, Reason: res.Reason, Settled: []settledLoad{}}
		if known {
			j.Balance = &res.Balance
		}
		for _, s := range res.Settled {
			j.Settled = append(j.Settled, settledLoad{s.Order, string(s.State)})
		}
		return json.NewEncoder(out).Encode(j)
	}
	for _, s := range res.Settled {
		fmt.Fprintf(out, "an earlier load is settled: order %s is %s\n", s.Order, s.State)
	}
	if known {
		fmt.Fprintf(out, "%v: %v on order %s, balance %v\n", res.Outcome, res.Amount, res.Order, res.Balance)
		return nil
	}
	fmt.Fprintf(out, "%v: order %s over %v\n", res.Outcome, res.Order, res.Amount)
	return nil
}
