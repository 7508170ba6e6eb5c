package ledger

import (
	"bytes"
	"context"
	"encoding/csv"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/purselane/purselane/backend/store"
	"github.com/purselane/purselane/internal/ids"
	"github.com/purselane/purselane/internal/money"
	"github.com/purselane/purselane/shadowaccount/books"
)

// StatementVersion is that of a statement's forms (docs/books-proof.md).
const StatementVersion = 1

// Statement is what happened on the accounts of one owner. Amounts are the owner's: what is owed to the owner is positive.
type Statement struct {
	Version  int       `json:"version"`
	Of       string    `json:"of"` // "card TOKEN" or "merchant ID"
	From     string    `json:"from"`
	To       string    `json:"to"` // included
	Sections []Section `json:"sections"`
}

// Section is one account of a statement. Opening and all lines come to closing.
type Section struct {
	Account string       `json:"account"`
	Opening money.Amount `json:"opening"`
	Lines   []Line       `json:"lines"`
	Closing money.Amount `json:"closing"`
}

// Line is one line of a statement, with the balance after it.
type Line struct {
	Day     string       `json:"day"`
	What    string       `json:"what"`
	Ref     string       `json:"ref"`
	Amount  money.Amount `json:"amount"`
	Balance money.Amount `json:"balance"`
}

// ErrAdds says that opening and lines do not come to the closing balance.
var ErrAdds = errors.New("the statement does not add up: prove the books first (`purselane books prove`)")

// add puts a line behind the others.
func (s *Section) add(l Line) error {
	last := s.Opening
	if n := len(s.Lines); n > 0 {
		last = s.Lines[n-1].Balance
	}
	var err error
	l.Balance, err = last.Add(l.Amount)
	s.Lines = append(s.Lines, l)
	return err
}

// ends reports a section whose lines do not lead to its closing balance.
func (s *Section) ends() error {
	last := s.Opening
	if n := len(s.Lines); n > 0 {
		last = s.Lines[n-1].Balance
	}
	if last != s.Closing {
		return fmt.Errorf("account %s: lines end at %v, the account at %v: %w", s.Account, last, s.Closing, ErrAdds)
	}
	return nil
}

func checkDays(from, to string) error {
	for _, d := range []string{from, to} {
		if _, err := time.Parse(time.DateOnly, d); err != nil {
			return fmt.Errorf("day %q: want YYYY-MM-DD", d)
		}
	}
	if from > to {
		return fmt.Errorf("statement from %s to %s: the first day comes after the last", from, to)
	}
	return nil
}

var tapNames = map[int]string{1: "purchase", 2: "entry", 3: "exit", 4: "correction"}

// CardStatement is what happened on a card's shadow account from one clearing day to another, both included. A tap stands in the day its record came,
// with what it is worth now: a tap that was taken back later is not in it.
func CardStatement(ctx context.Context, tx *store.Tx, token, from, to string) (Statement, error) {
	s := Statement{Version: StatementVersion, Of: "card " + token, From: from, To: to}
	if err := checkDays(from, to); err != nil {
		return s, err
	}
	card, err := tx.CardByToken(ctx, token)
	if err != nil {
		return s, fmt.Errorf("card %s: %w", token, err)
	}
	all, err := tx.CardLines(ctx, card.Number)
	if err != nil {
		return s, err
	}
	section := Section{Account: "shadow", Opening: card.OpeningBalance, Closing: card.Shadow, Lines: []Line{}}
	var inside []store.CardLine
	for _, l := range all {
		switch {
		case l.Day < from:
			section.Opening, err = section.Opening.Add(l.Change)
		case l.Day > to:
			section.Closing, err = section.Closing.Sub(l.Change)
		default:
			inside = append(inside, l)
		}
		if err != nil {
			return s, err
		}
	}
	for _, l := range inside {
		line := Line{Day: l.Day, What: l.What, Ref: l.Ref, Amount: l.Change}
		if l.What == "tap" {
			line.What, line.Ref = tapNames[l.Kind], l.Tap.String()
			if l.Place != "" {
				line.What += " at " + l.Place
			}
		}
		if err := section.add(line); err != nil {
			return s, err
		}
	}
	s.Sections = []Section{section}
	return s, section.ends()
}

// MerchantStatement is what happened on a merchant's accounts from one clearing day to another, both included, by the journal.
func MerchantStatement(ctx context.Context, tx *store.Tx, id ids.MerchantID, from, to string) (Statement, error) {
	s := Statement{Version: StatementVersion, Of: "merchant " + string(id), From: from, To: to}
	if err := checkDays(from, to); err != nil {
		return s, err
	}
	known, err := tx.Merchants(ctx)
	if err != nil {
		return s, err
	}
	found := false
	for _, m := range known {
		found = found || m.ID == id
	}
	if !found {
		return s, fmt.Errorf("merchant %s: %w", id, store.ErrNotFound)
	}
	for _, a := range []books.Account{books.MerchantPending(id), books.MerchantAvailable(id), books.MerchantHeld(id)} {
		section, err := accountSection(ctx, tx, a, from, to)
		if err != nil {
			return s, err
		}
		s.Sections = append(s.Sections, section)
	}
	due, err := accountSection(ctx, tx, books.MerchantFeesDue(id), from, to)
	if err != nil {
		return s, err
	}
	if len(due.Lines) > 0 || !due.Opening.IsZero() { // few merchants have fees that are taken once a month
		s.Sections = append(s.Sections, due)
	}
	return s, nil
}

// HolderStatement is what happened on a holder's balance from one clearing day to another, both included, by the journal. One who has never had anything has an
// empty one.
func HolderStatement(ctx context.Context, tx *store.Tx, holder, from, to string) (Statement, error) {
	s := Statement{Version: StatementVersion, Of: "holder " + holder, From: from, To: to}
	if err := checkDays(from, to); err != nil {
		return s, err
	}
	section, err := accountSection(ctx, tx, books.HolderBalance(holder), from, to)
	s.Sections = []Section{section}
	return s, err
}

func accountSection(ctx context.Context, tx *store.Tx, a books.Account, from, to string) (Section, error) {
	s := Section{Account: string(a), Lines: []Line{}}
	opening, err := tx.OpeningAt(ctx, a, from)
	if err != nil {
		return s, err
	}
	if s.Opening, err = opening.Neg(); err != nil {
		return s, err
	}
	all, err := tx.AccountLinesBetween(ctx, a, from, to) // years before the period are added up by the database, and not read
	if err != nil {
		return s, err
	}
	for _, l := range all {
		own, err := l.Amount.Neg()
		if err != nil {
			return s, err
		}
		if err := s.add(Line{Day: l.Day, What: l.Kind, Ref: l.Entry, Amount: own}); err != nil {
			return s, err
		}
	}
	closing, err := tx.BalanceAt(ctx, a, to)
	if err != nil {
		return s, err
	}
	if s.Closing, err = closing.Neg(); err != nil {
		return s, err
	}
	return s, s.ends()
}

// JSON is the statement for a machine.
func (s Statement) JSON() ([]byte, error) {
	raw, err := json.MarshalIndent(s, "", "  ")
	return append(raw, '\n'), err
}

// CSV is the statement for a spreadsheet: one row a line, with rows named opening and closing round each account's.
func (s Statement) CSV() ([]byte, error) {
	var b bytes.Buffer
	w := csv.NewWriter(&b)
	rows := [][]string{{"account", "day", "what", "ref", "amount", "balance"}}
	for _, c := range s.Sections {
		rows = append(rows, []string{c.Account, s.From, "opening", "", "", c.Opening.String()})
		for _, l := range c.Lines {
			rows = append(rows, []string{c.Account, l.Day, plain(l.What), plain(l.Ref), l.Amount.String(), l.Balance.String()})
		}
		rows = append(rows, []string{c.Account, s.To, "closing", "", "", c.Closing.String()})
	}
	err := w.WriteAll(rows)
	return b.Bytes(), err
}

// plain keeps a spreadsheet from reading a text that somebody typed as a formula.
func plain(text string) string {
	if text != "" && bytes.IndexByte([]byte("=+-@\t\r"), text[0]) >= 0 {
		return "'" + text
	}
	return text
}

// Text is the statement for a person.
func (s Statement) Text() []byte {
	var b bytes.Buffer
	fmt.Fprintf(&b, "%s, %s to %s\n", s.Of, s.From, s.To)
	for _, c := range s.Sections {
		fmt.Fprintf(&b, "\n%s\n  %-10s  %-32s %46v\n", c.Account, s.From, "opening", c.Opening)
		for _, l := range c.Lines {
			fmt.Fprintf(&b, "  %-10s  %-32s %-32s %13v %13v\n", l.Day, l.What, l.Ref, l.Amount, l.Balance)
		}
		fmt.Fprintf(&b, "  %-10s  %-32s %46v\n", s.To, "closing", c.Closing)
	}
	return b.Bytes()
}

// BalanceAt is an account's balance at the end of a clearing day, by the journal's lines alone, debits positive. Error: [ErrExternal].
func BalanceAt(ctx context.Context, tx *store.Tx, a books.Account, day string) (money.Amount, error) {
	if err := checkDays(day, day); err != nil {
		return money.Amount{}, err
	}
	if _, err := books.ClassOf(a); err != nil {
		return money.Amount{}, err
	}
	if books.External(a) {
		return money.Amount{}, fmt.Errorf("account %s: %w", a, ErrExternal)
	}
	return tx.BalanceAt(ctx, a, day)
}

// ErrExternal says that somebody else keeps an account's balance: a bank, a payment channel. Ours is a mirror of what we told and were told, and
// only its turnover is known here.
var ErrExternal = errors.New("its balance is in the statement of whoever keeps it; ask for its turnover")
