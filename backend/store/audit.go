package store

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/purselane/purselane/internal/ids"
	"github.com/purselane/purselane/internal/money"
	"github.com/purselane/purselane/shadowaccount"
)

// auditCard writes a card's findings and gaps anew from its whole chain. They are a function of what is in the store, so
// the order in which records came leaves no trace.
func (t *Tx) auditCard(ctx context.Context, n ids.CardNumber) error {
	card, err := t.CardByNumber(ctx, n)
	known := err == nil
	if err != nil && !errors.Is(err, ErrNotFound) {
		return err
	}
	claims, err := t.countedClaims(ctx, n)
	if err != nil {
		return err
	}
	loads, err := t.CardLoads(ctx, n)
	if err != nil {
		return err
	}
	chain := shadowaccount.ChainOf(card.Family)
	audit, err := shadowaccount.AuditCard(shadowaccount.Card{
		Issued: known && card.Status != CardUnknown, Opening: card.OpeningCounter, OpeningBalance: card.OpeningBalance, Shadow: card.Shadow, BlockedAt: card.BlockedMS,
		Chain: chain,
	}, claims, loads)
	if err != nil {
		return fmt.Errorf("audit card %v: %w", n, err)
	}
	if err := t.writeFindings(ctx, n, audit.Findings); err != nil {
		return err
	}
	if err := t.writeGaps(ctx, n, audit.Gaps); err != nil {
		return err
	}
	missing := 0
	for _, g := range audit.Gaps {
		missing += g.Missing(chain)
	}
	if known {
		if _, err := t.exec(ctx, "write audit", `UPDATE card SET complete = ?, next = ?, tail = ?, missing = ?, loads_from = ? WHERE number = ?`,
			int64(audit.Complete), int64(audit.Next), audit.Tail.Minor(), missing, audit.LoadsFrom, n[:]); err != nil {
			return err
		}
	}
	return t.explainLoads(ctx, n, loads, audit.Explained)
}

func (t *Tx) countedClaims(ctx context.Context, n ids.CardNumber) ([]shadowaccount.Counted, error) {
	var out []shadowaccount.Counted
	err := t.rows(ctx, "audit claims", func(scan func(...any) error) error {
		var c shadowaccount.Counted
		var epoch, amount, before, after int64
		if err := scan(&c.Counter, &c.Claim.Tap.Terminal, &epoch, &c.Claim.Seq, &c.Claim.At, &amount, &before, &after, &c.Claim.Proof, &c.Claim.Flags, &c.Claim.Spent, &c.Status); err != nil {
			return err
		}
		c.Claim.Tap.Epoch = uint64(epoch)
		c.Claim.Amount, c.Claim.Before, c.Claim.After = money.Minor(amount), money.Minor(before), money.Minor(after)
		out = append(out, c)
		return nil
	}, `SELECT counter, terminal, epoch, seq, at_ms, amount, before, after, proof, flags, spent, status FROM claim WHERE card = ?`, n[:])
	return out, err
}

// writeFindings makes the card's findings what the audit says, touching only those that differ: most cards have none.
func (t *Tx) writeFindings(ctx context.Context, n ids.CardNumber, now []shadowaccount.Finding) error {
	was := map[shadowaccount.Finding]bool{}
	if err := t.rows(ctx, "findings of card", func(scan func(...any) error) error {
		var f shadowaccount.Finding
		err := scan(&f.Code, &f.Counter, &f.Detail)
		was[f] = true
		return err
	}, `SELECT code, counter, detail FROM finding WHERE card = ?`, n[:]); err != nil {
		return err
	}
	var fresh []shadowaccount.Finding
	for _, f := range now {
		if !was[f] {
			fresh = append(fresh, f)
		}
		delete(was, f)
	}
	for f := range was {
		if _, err := t.exec(ctx, "drop finding", `DELETE FROM finding WHERE card = ? AND code = ? AND counter = ?`, n[:], string(f.Code), int64(f.Counter)); err != nil {
			return err
		}
	}
	for _, f := range fresh {
		if err := t.addFinding(ctx, n, f); err != nil {
			return err
		}
	}
	return nil
}

func (t *Tx) addFinding(ctx context.Context, n ids.CardNumber, f shadowaccount.Finding) error {
	_, err := t.exec(ctx, "write finding", `INSERT INTO finding (card, code, counter, detail) VALUES (?, ?, ?, ?)`, n[:], string(f.Code), int64(f.Counter), f.Detail)
	return err
}

func (t *Tx) writeGaps(ctx context.Context, n ids.CardNumber, now []shadowaccount.Gap) error {
	var was []shadowaccount.Gap
	if err := t.rows(ctx, "gaps of card", func(scan func(...any) error) error {
		var g shadowaccount.Gap
		var value int64
		err := scan(&g.First, &g.Last, &value)
		g.Value = money.Minor(value)
		was = append(was, g)
		return err
	}, `SELECT first, last, value FROM gap WHERE card = ? ORDER BY first`, n[:]); err != nil {
		return err
	}
	if slices.Equal(was, now) {
		return nil
	}
	if _, err := t.exec(ctx, "clear gaps", `DELETE FROM gap WHERE card = ?`, n[:]); err != nil {
		return err
	}
	for _, g := range now {
		if err := t.addGap(ctx, n, g); err != nil {
			return err
		}
	}
	return nil
}

func (t *Tx) addGap(ctx context.Context, n ids.CardNumber, g shadowaccount.Gap) error {
	_, err := t.exec(ctx, "write gap", `INSERT INTO gap (card, first, last, value) VALUES (?, ?, ?, ?)`, n[:], int64(g.First), int64(g.Last), g.Value.Minor())
	return err
}

// explainLoads notes which loads that are not proved the card's own balance shows.
func (t *Tx) explainLoads(ctx context.Context, n ids.CardNumber, loads []shadowaccount.Load, explained []uint16) error {
	for _, l := range loads {
		if l.Loaded {
			continue
		}
		if _, err := t.exec(ctx, "explain load", `UPDATE card_load SET explained = ? WHERE card = ? AND counter = ?`,
			slices.Contains(explained, l.Counter), n[:], int(l.Counter)); err != nil {
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
	Counter  uint32
	Detail   string
	Severity shadowaccount.Severity
	Remedy   string
}

// Findings lists what is suspicious now, of one card or, with an empty token, of all; these include what is suspicious about
// terminals alone, with no token.
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
		WHERE ? = '' OR c.token = ? ORDER BY f.code, 1, f.counter, f.detail LIMIT ?`, token, token, limit)
	if err != nil {
		return nil, err
	}
	if token == "" {
		conflicts, err := t.conflictRows(ctx, limit)
		if err != nil {
			return nil, err
		}
		out = append(out, conflicts...)
		slices.SortStableFunc(out, func(a, b FoundRow) int { return cmp.Compare(a.Code, b.Code) })
	}
	return out[:min(len(out), limit)], nil
}

// conflictRows lists the numbers of terminals' journals that came with two contents, as findings.
func (t *Tx) conflictRows(ctx context.Context, limit int) ([]FoundRow, error) {
	var out []FoundRow
	err := t.rows(ctx, "conflicts", func(scan func(...any) error) error {
		var terminal string
		var epoch, seq int64
		if err := scan(&terminal, &epoch, &seq); err != nil {
			return err
		}
		f := FoundRow{Code: shadowaccount.FindRecordConflict, Detail: fmt.Sprintf("terminal %s, record %d of its journal %x", terminal, seq, uint64(epoch))}
		f.Severity, f.Remedy = shadowaccount.SeverityOf(f.Code)
		out = append(out, f)
		return nil
	}, `SELECT terminal, epoch, seq FROM record_conflict ORDER BY terminal, epoch, seq, hash LIMIT ?`, limit)
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
	Counter    uint32
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
	where, args, err := t.latestClaims(ctx, limit)
	if err != nil || where == "" {
		return nil, err
	}
	return t.taps(ctx, `WHERE `+where+` ORDER BY c.received_ms DESC, c.terminal, c.epoch, c.seq DESC LIMIT ?`, append(args, limit)...)
}

// CardTaps lists the claims of one card by counter.
func (t *Tx) CardTaps(ctx context.Context, n ids.CardNumber) ([]Tap, error) {
	return t.taps(ctx, `WHERE c.card = ? ORDER BY c.counter, c.terminal, c.epoch, c.tap`, n[:])
}

// TapsThrough lists the claims whose records arrived on or before a clearing day, in one fixed order.
func (t *Tx) TapsThrough(ctx context.Context, day string) ([]Tap, error) {
	return t.taps(ctx, `WHERE c.day <= ? ORDER BY c.terminal, c.epoch, c.tap, c.counter`, day)
}
