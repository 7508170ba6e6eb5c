package store

import (
	"context"
	"errors"
	"fmt"

	"github.com/purselane/purselane/internal/ids"
	"github.com/purselane/purselane/internal/money"
	"github.com/purselane/purselane/shadowaccount"
)

// auditCard writes a card's findings and gaps anew from its whole chain. They are a function of what is in the store, so
// the order in which records came leaves no trace.
func (t *Tx) auditCard(ctx context.Context, n ids.CardNumber) error {
	card, err := t.CardByNumber(ctx, n)
	stranger := errors.Is(err, ErrNotFound)
	if err != nil && !stranger {
		return err
	}
	var occupied []shadowaccount.Occupied
	var findings []shadowaccount.Finding
	if err := t.rows(ctx, "audit claims", func(scan func(...any) error) error {
		var o shadowaccount.Occupied
		var status shadowaccount.Status
		var amount, before, after int64
		var terminal string
		if err := scan(&o.Counter, &terminal, &amount, &before, &after, &status); err != nil {
			return err
		}
		o.Amount, o.Before, o.After = money.Minor(amount), money.Minor(before), money.Minor(after)
		switch status {
		case shadowaccount.Stands, shadowaccount.Inferred:
			o.Proved = status == shadowaccount.Stands
			occupied = append(occupied, o)
		case shadowaccount.Clone:
			findings = append(findings, shadowaccount.Finding{Code: shadowaccount.FindClone, Counter: o.Counter, Detail: "second claim by terminal " + terminal})
		case shadowaccount.BadTAC:
			findings = append(findings, shadowaccount.Finding{Code: shadowaccount.FindBadTAC, Counter: o.Counter, Detail: "from terminal " + terminal})
		}
		return nil
	}, `SELECT counter, terminal, amount, before, after, status FROM claim WHERE card = ? AND status IN (1, 2, 4, 5) ORDER BY counter, terminal, epoch, tap`, n[:]); err != nil {
		return err
	}
	loads, err := t.CardLoads(ctx, n)
	if err != nil {
		return err
	}
	audit, err := shadowaccount.AuditCard(card.OpeningCounter, card.OpeningBalance, occupied, loads)
	if err != nil {
		return fmt.Errorf("audit card %v: %w", n, err)
	}
	if stranger {
		audit.Gaps, audit.Findings = nil, nil // nothing of it is posted
	}
	findings = append(findings, audit.Findings...)
	if card.Status == CardUnknown {
		findings = append(findings, shadowaccount.Finding{Code: shadowaccount.FindUnknownCard, Counter: card.OpeningCounter, Detail: "never issued by us"})
	}
	if card.Shadow.Sign() < 0 {
		findings = append(findings, shadowaccount.Finding{Code: shadowaccount.FindNegativeShadow, Detail: "shadow balance " + card.Shadow.String()})
	}
	if _, err := t.exec(ctx, "clear findings", `DELETE FROM finding WHERE card = ?`, n[:]); err != nil {
		return err
	}
	for _, f := range findings {
		if _, err := t.exec(ctx, "write finding", `INSERT INTO finding (card, code, counter, detail) VALUES (?, ?, ?, ?)
			ON CONFLICT (card, code, counter) DO NOTHING`, n[:], string(f.Code), int(f.Counter), f.Detail); err != nil {
			return err
		}
	}
	if _, err := t.exec(ctx, "clear gaps", `DELETE FROM gap WHERE card = ?`, n[:]); err != nil {
		return err
	}
	for _, g := range audit.Gaps {
		if _, err := t.exec(ctx, "write gap", `INSERT INTO gap (card, first, last, value) VALUES (?, ?, ?, ?)`, n[:], int(g.First), int(g.Last), g.Value.Minor()); err != nil {
			return err
		}
	}
	for _, counter := range audit.Explained {
		if _, err := t.exec(ctx, "explain load", `UPDATE card_load SET explained = 1 WHERE card = ? AND counter = ? AND loaded = 0`, n[:], int(counter)); err != nil {
			return err
		}
	}
	return nil
}

// ExplainedLoad is a load not yet proved that the card's later records show to have happened.
type ExplainedLoad struct {
	Card    ids.CardNumber
	Counter uint16 // online counter before the load
	Ref     string // the order
}

// ExplainedLoads lists them.
func (t *Tx) ExplainedLoads(ctx context.Context) ([]ExplainedLoad, error) {
	var out []ExplainedLoad
	err := t.rows(ctx, "explained loads", func(scan func(...any) error) error {
		var l ExplainedLoad
		var card []byte
		err := scan(&card, &l.Counter, &l.Ref)
		copy(l.Card[:], card)
		out = append(out, l)
		return err
	}, `SELECT card, counter, ref FROM card_load WHERE loaded = 0 AND explained = 1 ORDER BY card, counter`)
	return out, err
}

// FoundRow is a finding as it is shown: the card by its token.
type FoundRow struct {
	Token    string
	Code     shadowaccount.Code
	Counter  uint16
	Detail   string
	Severity shadowaccount.Severity
	Remedy   string
}

// Findings lists what is suspicious now, of one card or, with an empty token, of all.
func (t *Tx) Findings(ctx context.Context, token string, limit int) ([]FoundRow, error) {
	var out []FoundRow
	err := t.rows(ctx, "findings", func(scan func(...any) error) error {
		var f FoundRow
		if err := scan(&f.Token, &f.Code, &f.Counter, &f.Detail); err != nil {
			return err
		}
		f.Severity, f.Remedy = shadowaccount.SeverityOf(f.Code)
		out = append(out, f)
		return nil
	}, `SELECT COALESCE(c.token, ''), f.code, f.counter, f.detail FROM finding f LEFT JOIN card c ON c.number = f.card
		WHERE ? = '' OR c.token = ? ORDER BY f.code, c.token, f.counter LIMIT ?`, token, token, limit)
	return out, err
}

// GapRow is a run of missing records of a card.
type GapRow struct {
	Token string
	shadowaccount.Gap
}

// Gaps lists the missing records, of one card or, with an empty token, of all.
func (t *Tx) Gaps(ctx context.Context, token string, limit int) ([]GapRow, error) {
	var out []GapRow
	err := t.rows(ctx, "gaps", func(scan func(...any) error) error {
		var g GapRow
		var value int64
		if err := scan(&g.Token, &g.First, &g.Last, &value); err != nil {
			return err
		}
		g.Value = money.Minor(value)
		out = append(out, g)
		return nil
	}, `SELECT c.token, g.first, g.last, g.value FROM gap g JOIN card c ON c.number = g.card
		WHERE ? = '' OR c.token = ? ORDER BY c.token, g.first LIMIT ?`, token, token, limit)
	return out, err
}

// Tap is a claim as it is shown and settled: the card by its token, and the terminal's merchant and acquirer.
type Tap struct {
	Token      string
	Counter    uint16
	Tap        ids.TapID
	Seq        uint64
	AtMS       int64
	ReceivedMS int64
	Merchant   ids.MerchantID
	Acquirer   ids.AcquirerID
	Amount     money.Amount
	Before     money.Amount
	After      money.Amount
	Said       shadowaccount.Said
	Proof      shadowaccount.Proof
	Status     shadowaccount.Status
	Kind       int32 // wire.Kind
	Rule       string
	Day        string // clearing day of arrival
}

const tapColumns = `COALESCE(k.token, ''), c.counter, c.terminal, c.epoch, c.tap, c.seq, c.at_ms, c.received_ms, c.merchant, COALESCE(m.acquirer, ''),
	c.amount, c.before, c.after, c.said, c.proof, c.status, c.kind, c.rule, c.day
	FROM claim c LEFT JOIN card k ON k.number = c.card LEFT JOIN merchant m ON m.id = c.merchant`

func scanTap(scan func(...any) error) (Tap, error) {
	var p Tap
	var epoch, amount, before, after int64
	if err := scan(&p.Token, &p.Counter, &p.Tap.Terminal, &epoch, &p.Tap.Tap, &p.Seq, &p.AtMS, &p.ReceivedMS, &p.Merchant, &p.Acquirer,
		&amount, &before, &after, &p.Said, &p.Proof, &p.Status, &p.Kind, &p.Rule, &p.Day); err != nil {
		return Tap{}, err
	}
	p.Tap.Epoch = uint64(epoch)
	p.Amount, p.Before, p.After = money.Minor(amount), money.Minor(before), money.Minor(after)
	return p, nil
}

func (t *Tx) taps(ctx context.Context, where string, args ...any) ([]Tap, error) {
	var out []Tap
	err := t.rows(ctx, "taps", func(scan func(...any) error) error {
		p, err := scanTap(scan)
		out = append(out, p)
		return err
	}, `SELECT `+tapColumns+` `+where, args...)
	return out, err
}

// LatestTaps lists the newest claims of all cards, newest arrival first.
func (t *Tx) LatestTaps(ctx context.Context, limit int) ([]Tap, error) {
	return t.taps(ctx, `ORDER BY c.received_ms DESC, c.terminal, c.epoch, c.seq DESC LIMIT ?`, limit)
}

// CardTaps lists the claims of one card by counter.
func (t *Tx) CardTaps(ctx context.Context, n ids.CardNumber) ([]Tap, error) {
	return t.taps(ctx, `WHERE c.card = ? ORDER BY c.counter, c.terminal, c.epoch, c.tap`, n[:])
}

// TapsThrough lists the claims whose records arrived on or before a clearing day, in one fixed order.
func (t *Tx) TapsThrough(ctx context.Context, day string) ([]Tap, error) {
	return t.taps(ctx, `WHERE c.day <= ? ORDER BY c.terminal, c.epoch, c.tap, c.counter`, day)
}
