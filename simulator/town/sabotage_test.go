package town

import (
	"context"
	"database/sql"
	"errors"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/purselane/purselane/backend/store"
	firmwareconfig "github.com/purselane/purselane/firmware-config"
	"github.com/purselane/purselane/internal/ids"
	"github.com/purselane/purselane/internal/money"
	"github.com/purselane/purselane/shadowaccount/books"
	"github.com/purselane/purselane/terminal/tap"
	uplink "github.com/purselane/purselane/uplink/intake"
	"github.com/purselane/purselane/uplink/wire"
)

// Each of these towns has one part that does wrong. The check named must notice; a check that cannot fail proves nothing.

// rough is a town where much breaks, so that a fault in any part has its chance.
var rough = Faults{CardPulled: 200, PowerCut: 60, RiderGone: 100, MessageLost: 100, MessageDoubled: 100, MessageLate: 50, ModemDead: 2, BackendDies: 10, KioskAnswer: 100}

func TestChecksNoticeWhatIsWrong(t *testing.T) {
	for name, c := range map[string]struct {
		check  string
		detail string
		wrong  func(dir string) *sabotage
	}{
		"a light before the record is on disk":  {"light", "no completed record", func(string) *sabotage { return &sabotage{light: lightFirst} }},
		"a terminal that forgets the same trip": {"charged twice", "", func(string) *sabotage { return &sabotage{profile: noSameTrip} }},
		"a backend that posts a record twice":   {"posting", "is posted 2 times", func(string) *sabotage { return &sabotage{posting: postTwice()} }},
		"a backend that posts what nobody paid": {"posting", "the card has no such debit", func(string) *sabotage { return &sabotage{posting: postNothing()} }},
		"a shadow account that drifts":          {"books", "shadow account", func(string) *sabotage { return &sabotage{posting: onceSQL(`UPDATE card SET shadow = shadow - 1`)} }},
		"an entry that was changed": {"books", "", func(string) *sabotage {
			return &sabotage{posting: onceSQL(`UPDATE journal_line SET amount = amount + 1 WHERE line = 0`)}
		}},
		"a receipt for what is not kept":          {"acknowledged", "the store holds 0 bytes", func(string) *sabotage { return &sabotage{handler: forgetful()} }},
		"a record that is lost after its receipt": {"acknowledged", "the store holds 0 bytes", func(string) *sabotage { return &sabotage{posting: onceSQL(loseOne)} }},
		"records that came before they were made": {"watch", "CLOCK_AHEAD", func(string) *sabotage {
			return &sabotage{posting: onceSQL(`UPDATE record SET received_ms = received_ms - 86400000`)}
		}},
		"a load that is called loaded by guess": {"load", "", func(string) *sabotage { return &sabotage{posting: guessLoads} }},
		"a journal put back from a copy":        {"sequence", "", func(dir string) *sabotage { return &sabotage{posting: oldCopy(dir)} }},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			for seed := range uint64(6) {
				dir := t.TempDir()
				_, err := Run(t.Context(), Config{Seed: 900 + seed, Taps: 400, Dir: dir, Faults: &rough, sabotage: c.wrong(dir)})
				if err == nil {
					continue // here it had no chance to do harm
				}
				var v *Violation
				require.ErrorAs(t, err, &v)
				require.Equal(t, c.check, v.Check, v.Detail)
				require.Contains(t, v.Detail, c.detail)
				require.Contains(t, v.Error(), "-args -seed 90")
				return
			}
			t.Fatal("nobody noticed")
		})
	}
}

// lightFirst shows green although the power went out before the record was committed.
func lightFirst(m *terminal, died error) (tap.Result, bool) {
	if !strings.Contains(died.Error(), "finish:before") {
		return tap.Result{}, false
	}
	open, err := m.journal.OpenIntents()
	must(err)
	last := open[len(open)-1]
	return tap.Result{Outcome: tap.Granted, Tap: ids.TapID{Terminal: m.id, Epoch: last.GetEpoch(), Tap: last.GetTap()}}, true
}

func noSameTrip(p *firmwareconfig.Profile) { p.SameTrip = time.Nanosecond }

// forgetful is a backend that answers for one batch without keeping it, and never asks for it again.
func forgetful() func(uplink.Handler) uplink.Handler {
	f := &forget{}
	return func(h uplink.Handler) uplink.Handler { f.Handler = h; return f }
}

type forget struct {
	uplink.Handler
	terminal ids.TerminalID // whose batch it was
	through  uint64
}

func (f *forget) Accept(ctx context.Context, a uplink.Accepted) (uplink.Committed, error) {
	if f.terminal == "" && a.FirstSeq > 3 {
		f.terminal, f.through = a.Terminal, a.LastSeq
		return uplink.Committed{Through: a.LastSeq}, nil
	}
	c, err := f.Handler.Accept(ctx, a)
	if err == nil && a.Terminal == f.terminal {
		f.through = max(f.through, a.LastSeq)
	}
	return f.pretend(a.Terminal, c), err
}

func (f *forget) Hello(ctx context.Context, h *wire.Hello, at time.Time) (uplink.Committed, error) {
	c, err := f.Handler.Hello(ctx, h, at)
	return f.pretend(ids.TerminalID(h.GetTerminal()), c), err
}

func (f *forget) pretend(t ids.TerminalID, c uplink.Committed) uplink.Committed {
	if t == f.terminal {
		c.Through, c.Wanted, c.ThroughHash = f.through, nil, [32]byte{}
	}
	return c
}

// spoil runs statements on the backend's database from outside, as a faulty backend might from inside.
func spoil(b *backend, statements ...string) {
	db, err := sql.Open("sqlite", "file:"+(&url.URL{Path: b.path}).EscapedPath())
	must(err)
	defer db.Close()
	for _, s := range statements {
		_, err := db.Exec(s)
		must(err)
	}
}

// loseOne loses one posted record.
const loseOne = `DELETE FROM record WHERE rowid = (SELECT MIN(rowid) FROM record)`

// onceSQL spoils the database once, after some postings.
func onceSQL(statement string) func(*backend) {
	n := 0
	return func(b *backend) {
		if n++; n == 20 {
			spoil(b, statement)
		}
	}
}

// again books one more claim to a debit, with books that agree with it in every way they can be proved.
func again(b *backend, from, amount string) {
	var merchant string
	var minor int64
	db, err := sql.Open("sqlite", "file:"+(&url.URL{Path: b.path}).EscapedPath())
	must(err)
	defer db.Close()
	err = db.QueryRow(`SELECT merchant, `+amount+` FROM claim WHERE `+from).Scan(&merchant, &minor)
	must(err)
	lines, err := books.Move(books.Float, books.MerchantPending(ids.MerchantID(merchant)), money.Minor(minor))
	must(err)
	must(b.store.Update(b.w.ctx, func(tx *store.Tx) error {
		return tx.Post(b.w.ctx, books.Entry{ID: "again", Kind: "records", Day: opening.Format(time.DateOnly), Lines: lines})
	}))
	spoil(b, `UPDATE card SET shadow = shadow - (SELECT `+amount+` FROM claim WHERE `+from+`) WHERE number = (SELECT card FROM claim WHERE `+from+`)`,
		`INSERT INTO claim SELECT card, counter, terminal, epoch, tap + 1000000, seq, at_ms, merchant, `+amount+`, before, after, said, proof, flags, debit, spent, status, kind, rule, day, received_ms, decision
		FROM claim WHERE `+from)
}

// postTwice posts one debit a second time, under another tap.
func postTwice() func(*backend) {
	n := 0
	return func(b *backend) {
		if n++; n == 20 {
			again(b, `(card, counter, terminal, epoch, tap) = (SELECT card, counter, terminal, epoch, tap FROM claim WHERE status = 1 AND amount > 0 ORDER BY received_ms LIMIT 1)`, "amount")
		}
	}
}

// postNothing posts a debit of another amount than any card gave.
func postNothing() func(*backend) {
	n := 0
	return func(b *backend) {
		if n++; n == 20 {
			again(b, `(card, counter, terminal, epoch, tap) = (SELECT card, counter, terminal, epoch, tap FROM claim WHERE status = 1 AND amount > 0 ORDER BY received_ms LIMIT 1)`, "amount + 1")
		}
	}
}

// guessLoads takes a load whose answer was lost for one that reached the card.
func guessLoads(b *backend) {
	spoil(b, `UPDATE card_load SET explained = 1 WHERE loaded = 0`)
}

// oldCopy puts a terminal's journal back to an earlier state while it is dark, as someone might after swapping a disk.
func oldCopy(dir string) func(*backend) {
	var copied *journalFiles
	n := 0
	return func(b *backend) {
		m := b.w.terminals[0]
		n++
		switch {
		case n == 10 && m.journal != nil:
			files, err := readJournal(m.path)
			must(err)
			copied = &files
		case n > 30 && copied != nil && m.journal != nil && m.journal.LastSeq() > 5:
			must(m.edge.Close())
			must(copied.write(m.path))
			m.dark(errors.Join(errPower))
			copied = nil
		}
	}
}
