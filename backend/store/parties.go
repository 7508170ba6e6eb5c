package store

import (
	"context"
	"crypto/ed25519"
	"fmt"
	"slices"
	"time"

	"github.com/purselane/purselane/internal/ids"
)

// Acquirer is a party we settle with. Fees is its JSON list of fee standards (see docs/settlement.md).
type Acquirer struct {
	ID   ids.AcquirerID
	Name string
	Fees string
}

// Merchant is paid for purchases, through its acquirer.
type Merchant struct {
	ID       ids.MerchantID
	Acquirer ids.AcquirerID
	Name     string
}

// Terminal is a registered terminal. A record counts for the merchant the terminal is registered to, whatever the record
// says.
type Terminal struct {
	ID        ids.TerminalID
	Merchant  ids.MerchantID
	PSAMs     [][6]byte // terminal numbers of its PSAMs, in rising order; a terminal of families without one has none
	PublicKey ed25519.PublicKey
	Active    bool
	LastSeen  time.Time // zero: never
	Online    bool      // its link is up, as far as we were told
	Backlog   int       // records not yet received, as the terminal last said
	Place     string
}

// PutAcquirer registers or changes an acquirer.
func (t *Tx) PutAcquirer(ctx context.Context, a Acquirer) error {
	if a.Fees == "" {
		a.Fees = "[]"
	}
	_, err := t.exec(ctx, "put acquirer", `INSERT INTO acquirer (id, name, fees) VALUES (?, ?, ?)
		ON CONFLICT (id) DO UPDATE SET name = excluded.name, fees = excluded.fees`, string(a.ID), a.Name, a.Fees)
	return err
}

// Acquirers lists the acquirers by id.
func (t *Tx) Acquirers(ctx context.Context) ([]Acquirer, error) {
	var out []Acquirer
	err := t.rows(ctx, "acquirers", func(scan func(...any) error) error {
		var a Acquirer
		if err := scan(&a.ID, &a.Name, &a.Fees); err != nil {
			return err
		}
		out = append(out, a)
		return nil
	}, `SELECT id, name, fees FROM acquirer ORDER BY id`)
	return out, err
}

// PutMerchant registers or changes a merchant.
func (t *Tx) PutMerchant(ctx context.Context, m Merchant) error {
	_, err := t.exec(ctx, "put merchant", `INSERT INTO merchant (id, acquirer, name) VALUES (?, ?, ?)
		ON CONFLICT (id) DO UPDATE SET acquirer = excluded.acquirer, name = excluded.name`, string(m.ID), string(m.Acquirer), m.Name)
	return err
}

// Merchants lists the merchants by id.
func (t *Tx) Merchants(ctx context.Context) ([]Merchant, error) {
	var out []Merchant
	err := t.rows(ctx, "merchants", func(scan func(...any) error) error {
		var m Merchant
		if err := scan(&m.ID, &m.Acquirer, &m.Name); err != nil {
			return err
		}
		out = append(out, m)
		return nil
	}, `SELECT id, acquirer, name FROM merchant ORDER BY id`)
	return out, err
}

// HasPSAM reports whether a terminal number is of one of its PSAMs.
func (m Terminal) HasPSAM(n [6]byte) bool { return slices.Contains(m.PSAMs, n) }

// PutTerminal registers or changes a terminal, its PSAMs with it; what it said last (seen, backlog) stays.
func (t *Tx) PutTerminal(ctx context.Context, m Terminal) error {
	if len(m.PublicKey) != ed25519.PublicKeySize {
		return fmt.Errorf("terminal %s: public key of %d bytes: want %d", m.ID, len(m.PublicKey), ed25519.PublicKeySize)
	}
	if err := ids.Check(string(m.ID)); err != nil {
		return fmt.Errorf("terminal %q: %w", m.ID, err)
	}
	status := "stopped"
	if m.Active {
		status = "active"
	}
	if _, err := t.exec(ctx, "put terminal", `INSERT INTO terminal (id, merchant, public_key, status, place) VALUES (?, ?, ?, ?, ?)
		ON CONFLICT (id) DO UPDATE SET merchant = excluded.merchant, public_key = excluded.public_key,
		status = excluded.status, place = excluded.place`, string(m.ID), string(m.Merchant), []byte(m.PublicKey), status, m.Place); err != nil {
		return err
	}
	if _, err := t.exec(ctx, "clear PSAMs", `DELETE FROM terminal_psam WHERE terminal = ?`, string(m.ID)); err != nil {
		return err
	}
	for _, n := range m.PSAMs {
		if _, err := t.exec(ctx, "put PSAM", `INSERT INTO terminal_psam (terminal, psam) VALUES (?, ?) ON CONFLICT DO NOTHING`, string(m.ID), n[:]); err != nil {
			return err
		}
	}
	return nil
}

const terminalColumns = `id, merchant, public_key, status, last_seen, backlog, place, online`

func scanTerminal(scan func(...any) error) (Terminal, error) {
	var m Terminal
	var key []byte
	var status string
	var seen int64
	if err := scan(&m.ID, &m.Merchant, &key, &status, &seen, &m.Backlog, &m.Place, &m.Online); err != nil {
		return Terminal{}, err
	}
	m.PublicKey, m.Active = key, status == "active"
	if seen != 0 {
		m.LastSeen = time.UnixMilli(seen)
	}
	return m, nil
}

// Terminals lists the terminals by id.
func (t *Tx) Terminals(ctx context.Context) ([]Terminal, error) {
	var out []Terminal
	err := t.rows(ctx, "terminals", func(scan func(...any) error) error {
		m, err := scanTerminal(scan)
		out = append(out, m)
		return err
	}, `SELECT `+terminalColumns+` FROM terminal ORDER BY id`)
	if err != nil {
		return nil, err
	}
	psams, err := t.psams(ctx, `ORDER BY terminal, psam`)
	for i := range out {
		out[i].PSAMs = psams[out[i].ID]
	}
	return out, err
}

// psams lists the terminal numbers of terminals' PSAMs, in rising order.
func (t *Tx) psams(ctx context.Context, where string, args ...any) (map[ids.TerminalID][][6]byte, error) {
	out := map[ids.TerminalID][][6]byte{}
	err := t.rows(ctx, "PSAMs", func(scan func(...any) error) error {
		var id ids.TerminalID
		var raw []byte
		err := scan(&id, &raw)
		var n [6]byte
		copy(n[:], raw)
		out[id] = append(out[id], n)
		return err
	}, `SELECT terminal, psam FROM terminal_psam `+where, args...)
	return out, err
}

// Terminal finds a terminal, or ErrNotFound.
func (t *Tx) Terminal(ctx context.Context, id ids.TerminalID) (Terminal, error) {
	var m Terminal
	found := false
	err := t.rows(ctx, "terminal", func(scan func(...any) error) error {
		var err error
		found = true
		m, err = scanTerminal(scan)
		return err
	}, `SELECT `+terminalColumns+` FROM terminal WHERE id = ?`, string(id))
	if err == nil && !found {
		err = fmt.Errorf("terminal %s: %w", id, ErrNotFound)
	}
	if err != nil {
		return m, err
	}
	psams, err := t.psams(ctx, `WHERE terminal = ? ORDER BY psam`, string(id))
	m.PSAMs = psams[id]
	return m, err
}

// TerminalSeen notes when a terminal was heard and what it still holds. It is online.
func (t *Tx) TerminalSeen(ctx context.Context, id ids.TerminalID, at time.Time, backlog int) error {
	_, err := t.exec(ctx, "terminal seen", `UPDATE terminal SET last_seen = ?, backlog = ?, online = 1 WHERE id = ?`, at.UnixMilli(), backlog, string(id))
	return err
}

// TerminalsGone notes that nothing is known of any link: the broker that knew has just started.
func (t *Tx) TerminalsGone(ctx context.Context) error {
	_, err := t.exec(ctx, "terminals gone", `UPDATE terminal SET online = 0 WHERE online <> 0`)
	return err
}

// TerminalGone notes that a terminal's link is down.
func (t *Tx) TerminalGone(ctx context.Context, id ids.TerminalID) error {
	_, err := t.exec(ctx, "terminal gone", `UPDATE terminal SET online = 0 WHERE id = ?`, string(id))
	return err
}
