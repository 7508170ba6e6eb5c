package settlement

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"regexp"
	"strings"

	"github.com/purselane/purselane/backend/bankfile"
	"github.com/purselane/purselane/backend/store"
	"github.com/purselane/purselane/internal/money"
	"github.com/purselane/purselane/shadowaccount/books"
)

// ImportStatement reads a camt.053 and takes it in, whole or not at all: a line that shows a payment of ours books it, one that shows that it
// came back makes it owed again. Reading a line again changes nothing; a line that says something else than when it was read first is an
// alarm, and is not booked. What no payment of ours explains is kept for people. Errors: those of [bankfile.ReadCamt053], [ErrAccount].
func ImportStatement(ctx context.Context, s *store.Store, r io.Reader, o BankOptions) (Imported, error) {
	var lines []bankfile.Entry
	var closing []bankfile.Balance
	if err := bankfile.ReadStatements(r, func(e bankfile.Entry) error {
		if e.Booked { // what is only announced comes again when it is
			lines = append(lines, e)
		}
		return nil
	}, func(c bankfile.Balance) error { closing = append(closing, c); return nil }); err != nil {
		return Imported{}, err
	}
	var out Imported
	err := s.Update(ctx, func(tx *store.Tx) error {
		out = Imported{}
		b := banking{ctx: ctx, tx: tx, o: o, out: &out}
		if err := b.statement(lines, closing); err != nil {
			return err
		}
		low, err := alarmLow(ctx, tx, o.Now)
		out.Alarms = append(out.Alarms, low...)
		return err
	})
	if err != nil {
		return Imported{}, fmt.Errorf("statement: %w", err)
	}
	return out, nil
}

func (b *banking) statement(lines []bankfile.Entry, closing []bankfile.Balance) error {
	accounts, err := b.tx.PartyAccounts(b.ctx)
	if err != nil {
		return err
	}
	own := map[string]string{} // by number
	for _, a := range accounts {
		if a.Kind == KindScheme {
			own[a.Number] = a.Party
		}
	}
	if len(own) == 0 {
		return fmt.Errorf("%w of the scheme is not known: note it with 'purselane settle account'", ErrAccount)
	}
	for _, c := range closing {
		if own[c.Account] == "" {
			return fmt.Errorf("%w: statement %q is of account %s, which is none of the scheme's", ErrAccount, c.Statement.ID, c.Account)
		}
		if err := b.tx.PutBankBalance(b.ctx, store.BankBalance{Account: c.Account, Day: c.Day, Statement: c.Statement.ID, Amount: c.Amount, Currency: c.Currency, ReadAt: b.o.Now}); err != nil {
			return err
		}
	}
	if b.day, err = openDay(b.ctx, b.tx, b.o); err != nil {
		return err
	}
	// A bank may list what came back before what went out: money that left is looked at first.
	for _, credit := range []bool{false, true} {
		for _, e := range lines {
			if own[e.Account] == "" {
				return fmt.Errorf("%w: statement %q is of account %s, which is none of the scheme's", ErrAccount, e.Statement.ID, e.Account)
			}
			if e.Credit != credit {
				continue
			}
			if err := b.line(own[e.Account], e); err != nil {
				return fmt.Errorf("%s, line %s: %w", e.Statement.ID, e.Ref, err)
			}
		}
	}
	return nil
}

// line takes one line of an own account in, if it is new.
func (b *banking) line(own string, e bankfile.Entry) error {
	raw, err := json.Marshal(e)
	if err != nil {
		return err
	}
	sum := sha256.Sum256(raw)
	digest := hex.EncodeToString(sum[:])
	about := e.Account + "/" + e.Statement.ID + "/" + e.Ref
	have, err := b.tx.BankEntryDigest(b.ctx, e.Account, e.Statement.ID, e.Ref)
	if err != nil {
		return err
	}
	if have == digest {
		b.out.Same++
		return nil
	}
	if have != "" {
		return b.alarm(about, alarmChanged, "it was read with digest %.16s…, and now says %v %s of %s, digest %.16s…", have, e.Amount, e.Currency, e.Day, digest)
	}
	b.out.New++
	row := store.BankEntry{Account: e.Account, Statement: e.Statement.ID, Ref: e.Ref, Digest: digest, Day: e.Day, Amount: e.Amount, Currency: e.Currency, Credit: e.Credit, ReadAt: b.o.Now}
	if e.Uneven {
		row.Unmatched, row.Text = e.Amount, "its payments do not come to its amount"
		if err := b.alarm(about, alarmUneven, "%v %s", e.Amount, e.Currency); err != nil {
			return err
		}
	} else {
		var ids, texts []string
		for _, d := range e.Details {
			id, err := b.detail(about, own, e, d)
			if err != nil {
				return err
			}
			if id != "" {
				ids = append(ids, id)
				continue
			}
			if row.Unmatched, err = row.Unmatched.Add(d.Amount); err != nil {
				return err
			}
			texts = append(texts, strings.TrimSpace(d.Party+" "+d.Text))
		}
		row.Payments, row.Text = strings.Join(ids, " "), strings.Join(texts, "; ")
	}
	if !row.Unmatched.IsZero() {
		b.out.Unmatched++
	}
	return b.tx.PutBankEntry(b.ctx, row)
}

// ours finds an end to end id of ours in a text: parties that pay us write it where they can.
var ours = regexp.MustCompile(`\b` + paymentPrefix + `[0-9]{8}[A-Z2-7]{20}\b`)

// payment finds the payment that a line's part speaks of.
func (b *banking) payment(d bankfile.Detail) (store.BankPayment, bool, error) {
	for _, id := range append([]string{d.EndToEnd}, ours.FindAllString(d.Text, 4)...) {
		p, err := b.tx.BankPayment(b.ctx, id)
		if err == nil {
			return p, true, nil
		}
		if !errors.Is(err, store.ErrNotFound) {
			return p, false, err
		}
	}
	return store.BankPayment{}, false, nil
}

// detail books one payment of a line and returns its id, or "" for what is left to people.
func (b *banking) detail(about, own string, e bankfile.Entry, d bankfile.Detail) (string, error) {
	if x, found, err := b.transfer(d.EndToEnd, d.Text); err != nil || found {
		if err != nil {
			return "", err
		}
		return b.transferred(about, own, e, d, x)
	}
	p, found, err := b.payment(d)
	if err != nil {
		return "", err
	}
	if !found {
		if !e.Credit {
			return "", b.alarm(about, alarmUnbilled, "%v %s went to %q: %s", d.Amount, d.Currency, d.Party, d.Text)
		}
		return "", nil
	}
	if own != PartyTrust { // parties are paid from one account
		return "", b.alarm(p.ID, alarmDirection, "line %s is of account %s", about, own)
	}
	currency, err := b.currencyOf(p)
	if err != nil {
		return "", err
	}
	if d.Amount != p.Amount || d.Currency != currency {
		return "", b.alarm(p.ID, alarmAmount, "line %s has %v %s, ordered was %v %s", about, d.Amount, d.Currency, p.Amount, currency)
	}
	forth := e.Credit == p.Incoming // the way that the payment goes; else it comes back
	switch {
	case forth && (d.Returned || e.Reversal):
		return "", b.alarm(p.ID, alarmDirection, "line %s says that it came back, and goes the same way", about)
	case forth && (p.State == payExpected || p.State == payOrdered || p.State == payAccepted):
		return p.ID, b.booked(p)
	case forth:
		return "", b.alarm(p.ID, alarmTwice, "line %s shows it, and it is %s", about, p.State)
	case p.State == payPaid:
		if err := b.alarm(p.ID, alarmReturned, "%s %s, %v of day %s: %s", p.Kind, p.Party, p.Amount, p.Day, d.Reason); err != nil {
			return "", err
		}
		return p.ID, b.back(p, payReturned, d.Reason.String(), books.Trust)
	case p.State == payRejected || p.State == payReturned:
		return "", b.alarm(p.ID, alarmTwice, "line %s shows that it came back, and it is %s", about, p.State)
	}
	return "", b.alarm(p.ID, alarmEarly, "line %s shows that it came back, and it is %s", about, p.State)
}

func (b *banking) currencyOf(p store.BankPayment) (string, error) {
	head, err := b.tx.ClosedDay(b.ctx, p.Day)
	return head.Currency, err
}

// booked books a payment that a statement shows.
func (b *banking) booked(p store.BankPayment) error {
	lines := move(books.BankTransit, books.Trust, p.Amount)
	if p.Incoming {
		lines = move(books.Trust, positionAccount(p.Kind, p.Party), p.Amount)
	}
	if err := b.tx.Post(b.ctx, books.Entry{ID: kindBooked + ":" + p.ID, Kind: kindBooked, Day: b.day, Ref: p.ID, Lines: lines}); err != nil {
		return err
	}
	p.State, p.Moved, p.NotedAt = payPaid, true, b.o.Now
	if err := b.tx.PutBankPayment(b.ctx, p); err != nil {
		return err
	}
	return b.dayPaid(p.Day)
}

// dayPaid notes that a day is paid once the last attempt of each of its payments is.
func (b *banking) dayPaid(day string) error {
	all, err := b.tx.BankPayments(b.ctx, day)
	if err != nil {
		return err
	}
	last := map[string]string{}
	for _, p := range all { // by attempt
		last[p.Kind+":"+p.Party] = p.State
	}
	for _, state := range last {
		if state != payPaid {
			return nil
		}
	}
	return b.tx.PayDay(b.ctx, day, messageID(day, 1), b.o.Now)
}

// BankState is what a day's payments and the bank's lines look like.
type BankState struct {
	Payments  []store.BankPayment
	Unmatched []store.BankEntry // of all days
	Alarms    []store.BankAlarm // of all days, latest first
	InTransit money.Amount      // ordered and not booked, of all days
}

// mostListed bounds the lists of a state.
const mostListed = 1000

// BankStateOf reads the state of a day's payments; without a day, of none.
func BankStateOf(ctx context.Context, s *store.Store, day string) (BankState, error) {
	var out BankState
	err := s.View(ctx, func(tx *store.Tx) error {
		var err1, err2, err3, err4 error
		out.Payments, err1 = tx.BankPayments(ctx, day)
		out.Unmatched, err2 = tx.UnmatchedBankEntries(ctx, mostListed)
		out.Alarms, err3 = tx.BankAlarms(ctx, mostListed)
		var balance money.Amount
		balance, err4 = tx.Balance(ctx, books.BankTransit)
		if err := errors.Join(err1, err2, err3, err4); err != nil {
			return err
		}
		var err error
		out.InTransit, err = balance.Neg()
		return err
	})
	return out, err
}
