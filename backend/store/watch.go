package store

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/purselane/purselane/internal/ids"
	"github.com/purselane/purselane/internal/money"
	"github.com/purselane/purselane/shadowaccount"
)

// The watch (package backend/watch) reads what is posted and committed, and writes tables of its own: posting never waits for a row of
// its.

// ErrWatchMoved says that another watch has got on since this one looked: what it found may be old, and nothing of it was written.
var ErrWatchMoved = errors.New("another watch has got on")

// WatchMark is how far the watch has come in what a name stands for; zero: nowhere.
func (t *Tx) WatchMark(ctx context.Context, name string) (int64, error) {
	var n int64
	_, err := t.one(ctx, "watch mark", `SELECT n FROM watch_mark WHERE name = ?`, []any{name}, &n)
	return n, err
}

// MoveWatchMark moves a mark on, or gives ErrWatchMoved if it does not stand where the caller saw it.
func (t *Tx) MoveWatchMark(ctx context.Context, name string, from, to int64) error {
	was, err := t.WatchMark(ctx, name)
	if err != nil {
		return err
	}
	if was != from {
		return ErrWatchMoved
	}
	_, err = t.exec(ctx, "move watch mark", `INSERT INTO watch_mark (name, n) VALUES (?, ?) ON CONFLICT (name) DO UPDATE SET n = excluded.n`, name, to)
	return err
}

// GroupAfter is the number of the first posting group of a chain, after one of it or from its begin, that posted records; zero: there is none.
func (t *Tx) GroupAfter(ctx context.Context, chain int, number int64) (int64, error) {
	var n int64
	first := int64(chain) * chainSpan
	_, err := t.one(ctx, "group after", `SELECT number FROM posting_group WHERE number > ? AND number < ? AND records > 0 ORDER BY number LIMIT 1`, []any{max(number, first), first + chainSpan}, &n)
	return n, err
}

// Posted is a record that was posted.
type Posted struct {
	Pending
	Label shadowaccount.Label // how it looked when it came
}

// GroupRecords lists the records of a posting group.
func (t *Tx) GroupRecords(ctx context.Context, number int64) ([]Posted, error) {
	runs, err := t.postedIn(ctx, number)
	if err != nil {
		return nil, err
	}
	keys, of := keysOfRuns(runs)
	var out []Posted
	err = t.recordsIn(ctx, "records of group", `r.terminal, r.epoch, r.seq, r.body, r.received_ms`, spansOf(keys), func(scan func(...any) error) error {
		var p Posted
		var epoch int64
		err := scan(&p.Terminal, &epoch, &p.Seq, &p.Body, &p.ReceivedMS)
		p.Epoch = uint64(epoch)
		if run := of[keyOf(p.Pending)]; run != nil {
			p.Day, p.Label = run.day, run.Label
			out = append(out, p)
		}
		return err
	})
	return out, err
}

// Sight is what a record says of its tap beside the money, as far as the watch needs it.
type Sight struct {
	ErrorMS     int64 // bound of the error of the terminal's time
	Sure        shadowaccount.Sure
	Spot        string // line and station, LLLL/SSSS; "": none
	DenyVersion uint64
}

// WatchedCard reads a card as the watch sees it, with its token and what the audit says of it. tell reads a tap's record. place names where a tap was
// taken, from the spot in its record and where its terminal is registered.
func (t *Tx) WatchedCard(ctx context.Context, n ids.CardNumber, tell func(body []byte) Sight, place func(spot, terminal string) string) (token string, w shadowaccount.Watched, audit []shadowaccount.Note, err error) {
	found, err := t.one(ctx, "card", `SELECT token, family FROM card WHERE number = ?`, []any{n[:]}, &token, &w.Family)
	if err != nil {
		return "", w, nil, err
	}
	if !found {
		return "", w, nil, fmt.Errorf("card %v: %w", n, ErrNotFound)
	}
	if err := t.rows(ctx, "taps of card", func(scan func(...any) error) error {
		var s shadowaccount.Seen
		var epoch, tap, amount int64
		var body []byte
		var at string
		if err := scan(&s.Counter, &s.Claim.Tap.Terminal, &epoch, &tap, &s.Claim.Seq, &s.Claim.At, &amount, &s.Claim.Said, &s.Claim.Proof, &s.Claim.Spent,
			&s.Status, &s.ReceivedMS, &body, &at); err != nil {
			return err
		}
		told := tell(body)
		s.Claim.Tap.Epoch, s.Claim.Tap.Tap, s.Claim.Amount = uint64(epoch), uint64(tap), money.Minor(amount)
		s.AtMS, s.ErrorMS, s.Sure, s.Tap, s.DenyVersion, s.Place = s.Claim.At, told.ErrorMS, told.Sure, uint64(tap), told.DenyVersion, place(told.Spot, at)
		w.Taps = append(w.Taps, s)
		return nil
	}, `SELECT c.counter, c.terminal, c.epoch, c.tap, c.seq, c.at_ms, c.amount, c.said, c.proof, c.spent, c.status, c.received_ms,
		r.body, COALESCE(m.place, '')
		FROM claim c LEFT JOIN record r ON r.terminal = c.terminal AND r.epoch = c.epoch AND r.seq = c.seq LEFT JOIN terminal m ON m.id = c.terminal
		WHERE c.card = ? ORDER BY c.counter, c.terminal, c.epoch, c.tap`, n[:]); err != nil {
		return "", w, nil, err
	}
	if err := t.rows(ctx, "gaps of card", func(scan func(...any) error) error {
		var g shadowaccount.Gap
		var value int64
		err := scan(&g.First, &g.Last, &value)
		g.Value = money.Minor(value)
		w.Gaps = append(w.Gaps, g)
		return err
	}, `SELECT first, last, value FROM gap WHERE card = ? ORDER BY first`, n[:]); err != nil {
		return "", w, nil, err
	}
	if err := t.rows(ctx, "findings of card", func(scan func(...any) error) error {
		var note shadowaccount.Note
		var counter uint32
		err := scan(&note.Code, &counter, &note.Detail)
		note.Item = fmt.Sprint(counter)
		audit = append(audit, note)
		return err
	}, `SELECT code, counter, detail FROM finding WHERE card = ? ORDER BY code, counter`, n[:]); err != nil {
		return "", w, nil, err
	}
	var d shadowaccount.Denial
	var version, until int64
	denied, err := t.one(ctx, "denial of card", `SELECT version, until, at_ms FROM watch_denial WHERE card = ?`, []any{n[:]}, &version, &until, &d.AtMS)
	if denied {
		d.Version, d.Until = uint64(version), uint64(until)
		w.Denial = &d
	}
	return token, w, audit, err
}

// PutDenial notes which deny list names a card, and has the watch look at the card.
func (t *Tx) PutDenial(ctx context.Context, n ids.CardNumber, d shadowaccount.Denial) error {
	if d.Version == 0 || d.Until != 0 && d.Until <= d.Version {
		return fmt.Errorf("store: card %v: on the deny list from version %d until %d: versions begin at 1, and the end is above the beginning", n, d.Version, d.Until)
	}
	if _, err := t.exec(ctx, "put denial", `INSERT INTO watch_denial (card, version, until, at_ms) VALUES (?, ?, ?, ?)
		ON CONFLICT (card) DO UPDATE SET version = excluded.version, until = excluded.until, at_ms = excluded.at_ms`, n[:], int64(d.Version), int64(d.Until), d.AtMS); err != nil {
		return err
	}
	_, err := t.exec(ctx, "want a look", `INSERT INTO watch_look (card, n) VALUES (?, 1) ON CONFLICT (card) DO UPDATE SET n = watch_look.n + 1`, n[:])
	return err
}

// Look is a card that the watch was asked to look at.
type Look struct {
	Card ids.CardNumber
	n    int64
}

// WantedLooks lists them, at most limit.
func (t *Tx) WantedLooks(ctx context.Context, limit int) ([]Look, error) {
	var out []Look
	err := t.rows(ctx, "wanted looks", func(scan func(...any) error) error {
		var l Look
		var card []byte
		err := scan(&card, &l.n)
		copy(l.Card[:], card)
		out = append(out, l)
		return err
	}, `SELECT card, n FROM watch_look ORDER BY card LIMIT ?`, limit)
	return out, err
}

// Looked takes a card off that list, unless it was asked for again since.
func (t *Tx) Looked(ctx context.Context, l Look) error {
	_, err := t.exec(ctx, "looked", `DELETE FROM watch_look WHERE card = ? AND n = ?`, l.Card[:], l.n)
	return err
}

// LooseCards lists cards after one, at most limit, about which something may change with time or without a record: an unknown tap, a gap,
// something that was found.
func (t *Tx) LooseCards(ctx context.Context, after ids.CardNumber, limit int) ([]ids.CardNumber, error) {
	var out []ids.CardNumber
	a := after[:]
	err := t.rows(ctx, "loose cards", func(scan func(...any) error) error {
		var raw []byte
		err := scan(&raw)
		var n ids.CardNumber
		copy(n[:], raw)
		out = append(out, n)
		return err
	}, `SELECT card FROM (
		SELECT card FROM (SELECT DISTINCT card FROM gap WHERE card > ? ORDER BY card LIMIT ?) AS of_gaps
		UNION SELECT card FROM (SELECT DISTINCT card FROM finding WHERE card > ? ORDER BY card LIMIT ?) AS of_findings
		UNION SELECT card FROM (SELECT DISTINCT card FROM claim WHERE status = 3 AND card > ? ORDER BY card LIMIT ?) AS of_unknowns
		UNION SELECT card FROM (SELECT DISTINCT k.number AS card FROM watch_finding f JOIN card k ON k.token = f.subject
			WHERE f.kind = 'card' AND f.state = 'open' AND k.number > ? ORDER BY k.number LIMIT ?) AS of_notes
		) AS loose ORDER BY card LIMIT ?`, a, limit, a, limit, a, limit, a, limit, limit)
	return out, err
}

// Ahead is by how much the time of a record is later than its arrival, beyond the error of the clock.
type Ahead struct {
	Terminal   ids.TerminalID
	Epoch, Seq uint64
	ReceivedMS int64
	MS         int64
}

// AheadOfArrival lists by how much the records of a terminal's epoch that came from a time to before another (Unix ms) were ahead of their arrival, by their numbers.
func (t *Tx) AheadOfArrival(ctx context.Context, terminal ids.TerminalID, epoch uint64, from, to int64) (map[uint64]int64, error) {
	out := map[uint64]int64{}
	err := t.rows(ctx, "ahead of arrival", func(scan func(...any) error) error {
		var seq, ms int64
		err := scan(&seq, &ms)
		out[uint64(seq)] = ms
		return err
	}, `SELECT seq, ahead_ms FROM watch_ahead WHERE terminal = ? AND epoch = ? AND received_ms >= ? AND received_ms < ?`, string(terminal), int64(epoch), from, to)
	return out, err
}

// KeepAhead keeps one; if it is kept it stays as it is.
func (t *Tx) KeepAhead(ctx context.Context, a Ahead) error {
	_, err := t.exec(ctx, "keep ahead", `INSERT INTO watch_ahead (terminal, epoch, seq, received_ms, ahead_ms) VALUES (?, ?, ?, ?, ?) ON CONFLICT DO NOTHING`,
		string(a.Terminal), int64(a.Epoch), int64(a.Seq), a.ReceivedMS, a.MS)
	return err
}

// Aging is a run of numbers that are missing, and since when that is known.
type Aging struct {
	Epoch uint64 // of a terminal's journal
	shadowaccount.Hole
	SinceMS int64
}

func (t *Tx) aging(ctx context.Context, query string, args ...any) ([]Aging, error) {
	var out []Aging
	err := t.rows(ctx, "holes", func(scan func(...any) error) error {
		var a Aging
		var epoch, first, last int64
		err := scan(&epoch, &first, &last, &a.SinceMS)
		a.Epoch, a.First, a.Last = uint64(epoch), uint64(first), uint64(last)
		out = append(out, a)
		return err
	}, query, args...)
	return out, err
}

// WatchedPSAMs lists the PSAMs that have holes, or of which something was found.
func (t *Tx) WatchedPSAMs(ctx context.Context) ([][6]byte, error) {
	seen := map[[6]byte]bool{}
	if err := t.rows(ctx, "PSAMs with holes", func(scan func(...any) error) error {
		var raw []byte
		if err := scan(&raw); err != nil {
			return err
		}
		if len(raw) == 6 {
			seen[[6]byte(raw)] = true
		}
		return nil
	}, `SELECT psam FROM watch_serial GROUP BY psam HAVING COUNT(*) > 1`); err != nil {
		return nil, err
	}
	if err := t.rows(ctx, "PSAMs with findings", func(scan func(...any) error) error {
		var subject string
		if err := scan(&subject); err != nil {
			return err
		}
		raw, err := hex.DecodeString(subject)
		if err == nil && len(raw) == 6 {
			seen[[6]byte(raw)] = true
		}
		return err
	}, `SELECT DISTINCT subject FROM watch_finding WHERE kind = 'psam' AND state = 'open'`); err != nil {
		return nil, err
	}
	var out [][6]byte
	for n := range seen {
		out = append(out, n)
	}
	slices.SortFunc(out, func(a, b [6]byte) int { return slices.Compare(a[:], b[:]) })
	return out, nil
}

// HolesOfTerminal lists the records that are missing in the middle of a terminal's journals, at most limit a journal.
func (t *Tx) HolesOfTerminal(ctx context.Context, terminal ids.TerminalID, limit int) ([]Aging, error) {
	var epochs []uint64
	if err := t.rows(ctx, "epochs", func(scan func(...any) error) error {
		var epoch int64
		err := scan(&epoch)
		epochs = append(epochs, uint64(epoch))
		return err
	}, `SELECT epoch FROM terminal_epoch WHERE terminal = ? ORDER BY epoch`, string(terminal)); err != nil {
		return nil, err
	}
	var out []Aging
	for _, epoch := range epochs {
		runs, err := t.Missing(ctx, terminal, epoch, 0, limit)
		if err != nil {
			return nil, err
		}
		for _, r := range runs {
			a := Aging{Epoch: epoch, Hole: shadowaccount.Hole{First: r.First, Last: r.Last}}
			if _, err := t.one(ctx, "record above a hole", `SELECT received_ms FROM record WHERE terminal = ? AND epoch = ? AND seq = ?`,
				[]any{string(terminal), int64(epoch), int64(r.Last) + 1}, &a.SinceMS); err != nil {
				return nil, err
			}
			out = append(out, a)
		}
	}
	return out, nil
}

// LostOfTerminal lists the records that a terminal no longer has and that have not come after all.
func (t *Tx) LostOfTerminal(ctx context.Context, terminal ids.TerminalID) ([]Aging, error) {
	return t.aging(ctx, `SELECT l.epoch, l.first, l.last, l.noted_ms FROM record_lost l WHERE l.terminal = ? AND l.last - l.first + 1 >
		(SELECT COUNT(*) FROM record r WHERE r.terminal = l.terminal AND r.epoch = l.epoch AND r.seq BETWEEN l.first AND l.last) ORDER BY l.epoch, l.first`, string(terminal))
}

// ConflictsOfTerminal lists the numbers of its journals that came with two contents.
func (t *Tx) ConflictsOfTerminal(ctx context.Context, terminal ids.TerminalID) ([]Aging, error) {
	return t.aging(ctx, `SELECT epoch, seq, seq, MIN(received_ms) FROM record_conflict WHERE terminal = ? GROUP BY epoch, seq ORDER BY epoch, seq`, string(terminal))
}

// Kinds of subjects that findings are about.
const (
	OfCard     = "card"     // the subject is its token
	OfTerminal = "terminal" // its id
	OfPSAM     = "psam"     // its number, hexadecimal
)

// States of a finding.
const (
	FindingOpen    = "open"
	FindingCleared = "cleared" // what came later explains it
)

// WatchedFinding is something suspicious that the watch has found.
type WatchedFinding struct {
	Kind, Subject string
	shadowaccount.Note
	State       string
	First, Last time.Time // first opened; last opened, cleared, or found with another detail
}

// Notes are what was found about a subject.
type Notes struct {
	Kind, Subject string
	// Mine says which findings were looked for: others that are open stay as they are.
	Mine  func(code shadowaccount.Code, item string) bool
	Found []shadowaccount.Note
}

// change is what Notes change: findings to open, or to give another detail, and findings to clear.
type change struct {
	open    []shadowaccount.Note
	fresh   int // of open, those that were not open before
	cleared []shadowaccount.Note
}

func (t *Tx) changeOf(ctx context.Context, n Notes) (change, error) {
	type key struct {
		code shadowaccount.Code
		item string
	}
	was := map[key]string{} // detail of those that are open
	var c change
	now := map[key]bool{}
	for _, f := range n.Found {
		now[key{f.Code, f.Item}] = true
	}
	if err := t.rows(ctx, "findings about a subject", func(scan func(...any) error) error {
		var f shadowaccount.Note
		if err := scan(&f.Code, &f.Item, &f.Detail); err != nil {
			return err
		}
		k := key{f.Code, f.Item}
		was[k] = f.Detail
		if !now[k] && n.Mine(f.Code, f.Item) {
			c.cleared = append(c.cleared, f)
		}
		return nil
	}, `SELECT code, item, detail FROM watch_finding WHERE kind = ? AND subject = ? AND state = 'open' ORDER BY code, item`, n.Kind, n.Subject); err != nil {
		return c, err
	}
	for _, f := range n.Found {
		detail, open := was[key{f.Code, f.Item}]
		if !open {
			c.fresh++
		}
		if !open || detail != f.Detail {
			c.open = append(c.open, f)
		}
	}
	return c, nil
}

// NotesChange reports whether SetNotes would change anything: a look at a snapshot is cheaper than a write transaction.
func (t *Tx) NotesChange(ctx context.Context, n Notes) (bool, error) {
	c, err := t.changeOf(ctx, n)
	return len(c.open)+len(c.cleared) > 0, err
}

// SetNotes makes the open findings about a subject what was found now, and returns how many were opened and cleared. Telling the same again
// changes nothing.
func (t *Tx) SetNotes(ctx context.Context, n Notes, at time.Time) (opened, cleared int, err error) {
	c, err := t.changeOf(ctx, n)
	if err != nil {
		return 0, 0, err
	}
	for _, f := range c.open {
		if _, err := t.exec(ctx, "open finding", `INSERT INTO watch_finding (kind, subject, code, item, detail, state, first_ms, last_ms) VALUES (?, ?, ?, ?, ?, ?, ?, ?)
			ON CONFLICT (kind, subject, code, item) DO UPDATE SET detail = excluded.detail, state = excluded.state, last_ms = excluded.last_ms`,
			n.Kind, n.Subject, string(f.Code), f.Item, f.Detail, FindingOpen, at.UnixMilli(), at.UnixMilli()); err != nil {
			return 0, 0, err
		}
	}
	for _, f := range c.cleared {
		if _, err := t.exec(ctx, "clear finding", `UPDATE watch_finding SET state = ?, last_ms = ? WHERE kind = ? AND subject = ? AND code = ? AND item = ?`,
			FindingCleared, at.UnixMilli(), n.Kind, n.Subject, string(f.Code), f.Item); err != nil {
			return 0, 0, err
		}
	}
	return c.fresh, len(c.cleared), nil
}

// WatchedFilter picks findings; empty fields pick all.
type WatchedFilter struct {
	State, Kind, Subject string
	Code                 shadowaccount.Code
}

// WatchedFindings lists findings by code and subject, at most limit.
func (t *Tx) WatchedFindings(ctx context.Context, f WatchedFilter, limit int) ([]WatchedFinding, error) {
	var out []WatchedFinding
	err := t.rows(ctx, "watched findings", func(scan func(...any) error) error {
		var w WatchedFinding
		var first, last int64
		err := scan(&w.Kind, &w.Subject, &w.Code, &w.Item, &w.Detail, &w.State, &first, &last)
		w.First, w.Last = time.UnixMilli(first), time.UnixMilli(last)
		out = append(out, w)
		return err
	}, `SELECT kind, subject, code, item, detail, state, first_ms, last_ms FROM watch_finding
		WHERE (? = '' OR state = ?) AND (? = '' OR kind = ?) AND (? = '' OR subject = ?) AND (? = '' OR code = ?)
		ORDER BY code, kind, subject, item LIMIT ?`, f.State, f.State, f.Kind, f.Kind, f.Subject, f.Subject, string(f.Code), string(f.Code), limit)
	return out, err
}
