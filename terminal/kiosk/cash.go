package kiosk

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"

	"github.com/purselane/purselane/card/apdu"
	"github.com/purselane/purselane/card/ec"
	"github.com/purselane/purselane/internal/money"
)

// accepted are the applications with electronic cash.
var accepted = []ec.Accepted{{AID: ec.AIDDebit}, {AID: ec.AIDCredit}, {AID: ec.AIDQuasiCredit}, {AID: ec.AIDPureEC}}

// errDeclines says that a card gave another cryptogram than one to go online. No issuer's answer belongs to that.
var errDeclines = errors.New("the card declines to go online")

// cashPurse is an electronic cash card in a session over full PBOC, and the request to go online that it made in it (docs/card-ec.md).
type cashPurse struct {
	*loading
	host    CashHost
	t       apdu.Transmitter
	card    *ec.Card
	online  *ec.Online
	request CashRequest
}

// begin begins a session: the card counts one transaction more, and whatever it was asked before is over.
func (p *cashPurse) begin(ctx context.Context) error {
	now := p.Now()
	term := ec.Terminal{TTQ: ec.FullPBOC, Country: p.Country, Currency: p.Currency, Date: ec.DateOf(now),
		Time: [3]byte{bcd(now.Hour()), bcd(now.Minute()), bcd(now.Second())}}
	if _, err := rand.Read(term.UN[:]); err != nil {
		return fmt.Errorf("unpredictable number: %w", err)
	}
	var err error
	if p.card, err = ec.Select(ctx, p.t, accepted); err != nil {
		return err
	}
	if p.online, err = p.card.BeginOnline(ctx, term); err != nil {
		return err
	}
	if p.online.Request != ec.ARQC {
		return fmt.Errorf("%w: %v", errDeclines, p.online.Request)
	}
	p.request = CashRequest{Card: p.online.Track2.PAN, Sequence: p.online.PSN}
	p.request.ChipData, err = p.online.Field55(nil)
	return err
}

func bcd(n int) byte { return byte(n/10<<4 | n%10) }

// balance reads the card's balance.
func (p *cashPurse) balance(ctx context.Context) (money.Amount, error) {
	raw, err := p.card.GetData(ctx, ec.TagBalance)
	if err != nil {
		return money.Amount{}, err
	}
	return ec.ParseAmount(raw)
}

// present implements purse. What is open is settled first, our own order too: a session that goes on after it needs its end.
func (p *cashPurse) present(ctx context.Context, order Order) error {
	p.Step("card " + p.request.Card.String() + ", electronic cash")
	info, err := p.host.LookupCash(ctx, p.request)
	if err != nil {
		return err
	}
	if info.Open != "" {
		p.Step("the card has an open load: settling it first")
		state, err := p.settle(ctx, info.Open)
		if err != nil {
			return err
		}
		if info.Open == order.ID && state == Loaded {
			return p.done(ctx, p.balance, info.Balance)
		}
	}
	p.Step("balance " + info.Balance.String() + ", asking the backend")
	wasOpen := p.open
	p.open = true
	answer, err := p.host.AuthoriseCash(ctx, order.ID, p.request)
	if err != nil {
		if decided(err) {
			p.open = wasOpen
		}
		return err
	}
	return p.credit(ctx, order, answer, info.Balance)
}

// credit hands the card the issuer's answer.
func (p *cashPurse) credit(ctx context.Context, order Order, answer ec.Answer, before money.Amount) error {
	after, err := before.Add(order.Amount)
	if err != nil {
		return err
	}
	result, err := p.online.Answer(ctx, answer)
	switch {
	case err == nil && result.Outcome == ec.ScriptDone:
	case left(err):
		p.doubt(ctx, order.ID)
		return err
	default:
		return p.afterRefusal(ctx, order, result, err)
	}
	p.Step("credited, reporting")
	o, err := p.host.ReportScript(ctx, order.ID, result)
	switch {
	case err == nil && o.State == Loaded:
		return p.done(ctx, p.balance, after)
	case err == nil:
		return fmt.Errorf("the card was credited, and the backend holds the order for %s: %w", o.State, ErrState)
	case decided(err):
		return fmt.Errorf("the card was credited, and the report was not accepted: %w", err)
	}
	p.result.Script = &result
	return p.unconfirmed(after)
}

// afterRefusal asks the card, still in the field, what became of an answer that it took badly: a status word may hide a script that ran, and one that
// did not leaves the money waiting in the order. It takes a session of its own: within the old one nothing shows that no script runs any more.
func (p *cashPurse) afterRefusal(ctx context.Context, order Order, result ec.ScriptResult, refusal error) error {
	p.Step("the card refused the issuer's answer, asking it what happened")
	if _, err := p.host.ReportScript(ctx, order.ID, result); err != nil {
		p.Step("the backend could not be told: " + err.Error())
	}
	if err := p.begin(ctx); err != nil {
		if left(err) {
			return err
		}
		return refusal
	}
	state, err := p.settle(ctx, order.ID)
	if err != nil {
		return err
	}
	if state == Loaded {
		shown, _ := p.online.IAD.Balance()
		return p.done(ctx, p.balance, shown)
	}
	return refusal
}

// settle finds out from the card what became of an open load of an earlier session, and tells the backend. The load log tells best; a card without one, or
// with one that does not verify, has its balance.
func (p *cashPurse) settle(ctx context.Context, order string) (State, error) {
	log, err := p.card.LoadLog(ctx)
	if left(err) {
		return "", err
	}
	if err != nil {
		p.Step("the card gives no load log: " + err.Error())
		log = nil
	}
	o, err := p.host.ResolveCash(ctx, order, CashEvidence{CashRequest: p.request, Log: log})
	if len(log) > 0 && (errors.Is(err, ErrARQC) || errors.Is(err, ErrChipData) || errors.Is(err, ErrRequest)) {
		o, err = p.host.ResolveCash(ctx, order, CashEvidence{CashRequest: p.request})
	}
	if err != nil {
		return "", fmt.Errorf("settle open load %s: %w", order, err)
	}
	return p.settled(o), nil
}
