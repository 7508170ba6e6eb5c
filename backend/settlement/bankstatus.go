package settlement

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"

	"github.com/purselane/purselane/backend/bankfile"
	"github.com/purselane/purselane/backend/store"
	"github.com/purselane/purselane/shadowaccount/books"
)

// Imported says what a file from the bank changed.
type Imported struct {
	New       int // lines or statuses that changed something
	Same      int // that were known
	Unmatched int // lines, or parts of them, that no payment of ours explains
	Alarms    []store.BankAlarm
}

// ImportStatus reads a pain.002 and takes it in: a payment that the bank will not make is owed again. Reading it again changes nothing. A
// status never says that money has moved, and one that we do not know changes nothing. Errors: those of [bankfile.ReadPain002], [ErrMessage].
func ImportStatus(ctx context.Context, s *store.Store, r io.Reader, o BankOptions) (Imported, error) {
	report, err := bankfile.ReadPain002(r)
	if err != nil {
		return Imported{}, err
	}
	var out Imported
	err = s.Update(ctx, func(tx *store.Tx) error {
		out = Imported{}
		b := banking{ctx: ctx, tx: tx, o: o, out: &out}
		return b.status(report)
	})
	if err != nil {
		return Imported{}, fmt.Errorf("status report %q: %w", report.ID, err)
	}
	return out, nil
}

// banking is one file from the bank on its way in.
type banking struct {
	ctx context.Context
	tx  *store.Tx
	o   BankOptions
	out *Imported
	day string // that entries are posted in
}

func (b *banking) alarm(about, what, format string, args ...any) error {
	a := store.BankAlarm{About: about, What: what, Text: fmt.Sprintf(format, args...), At: b.o.Now}
	fresh, err := b.tx.PutBankAlarm(b.ctx, a)
	if fresh {
		b.out.Alarms = append(b.out.Alarms, a)
	}
	return err
}

// The alarms; an outside contract.
const (
	alarmRejected  = "payment-rejected"      // the bank will not pay; owed again
	alarmReturned  = "payment-returned"      // paid, and came back; owed again
	alarmLate      = "rejected-after-booked" // a status contradicts the statement
	alarmUnknown   = "payment-not-ours"      // the bank speaks of a payment that is not in its message
	alarmAmount    = "amount-differs"        // a line names a payment of ours with another sum
	alarmTwice     = "payment-twice"         // a line names a payment that is done already
	alarmEarly     = "return-before-booking" // a payment comes back that no line has shown
	alarmChanged   = "line-changed"          // a line of a statement says something else than when it was read first
	alarmUneven    = "line-uneven"           // a line's payments do not come to its amount
	alarmUnbilled  = "debit-not-ours"        // money left the account without an order of ours
	alarmDirection = "wrong-direction"       // a line names a payment of ours, and goes the other way or through another account
)

func (b *banking) status(r bankfile.StatusReport) error {
	message, err := b.tx.BankMessage(b.ctx, r.Original)
	if errors.Is(err, store.ErrNotFound) {
		x, found, err := b.transfer(r.Original, "")
		if found {
			return b.transferStatus(x, r)
		}
		if err != nil {
			return err
		}
	}
	if err != nil {
		return fmt.Errorf("%w: %q: %w", ErrMessage, r.Original, err)
	}
	if b.day, err = openDay(b.ctx, b.tx, b.o); err != nil {
		return err
	}
	payments, err := b.tx.BankPaymentsOf(b.ctx, message.ID)
	if err != nil {
		return err
	}
	if r.Group != "" && string(r.Group) != message.State {
		if err := b.tx.SetBankMessageState(b.ctx, message.ID, string(r.Group)); err != nil {
			return err
		}
	}
	each := map[string]bankfile.Status{}
	for _, s := range r.Payments {
		each[s.Payment] = s
		if !slices.ContainsFunc(payments, func(p store.BankPayment) bool { return p.ID == s.Payment }) {
			if err := b.alarm(message.ID, alarmUnknown, "report %s speaks of payment %q", r.ID, s.Payment); err != nil {
				return err
			}
		}
	}
	for _, p := range payments {
		s, said := each[p.ID]
		if !said {
			if r.Group == bankfile.Partial || r.Group == "" {
				continue // it speaks of others
			}
			s = bankfile.Status{Outcome: r.Group, Code: r.Code, Reason: r.Reason}
		}
		if err := b.take(p, s); err != nil {
			return err
		}
	}
	return nil
}

// take takes in what the bank says of one payment.
func (b *banking) take(p store.BankPayment, s bankfile.Status) error {
	waiting := p.State == payOrdered || p.State == payAccepted
	switch {
	case s.Outcome == bankfile.Accepted && p.State == payOrdered:
		b.out.New++
		p.State, p.NotedAt = payAccepted, b.o.Now
		return b.tx.PutBankPayment(b.ctx, p)
	case s.Outcome == bankfile.Rejected && waiting:
		b.out.New++
		if err := b.alarm(p.ID, alarmRejected, "%s %s, %v of day %s: %s", p.Kind, p.Party, p.Amount, p.Day, s.Reason); err != nil {
			return err
		}
		return b.back(p, payRejected, s.Reason.String(), books.BankTransit)
	case s.Outcome == bankfile.Rejected && p.State == payPaid:
		return b.alarm(p.ID, alarmLate, "%s %s, %v of day %s: %s", p.Kind, p.Party, p.Amount, p.Day, s.Reason)
	}
	b.out.Same++
	return nil
}

// back makes a payment owed again: what was on its way, or at the bank, stands on the party's account once more. Of what is collected nothing has moved until
// a statement shows it.
func (b *banking) back(p store.BankPayment, state, reason string, from books.Account) error {
	if !p.Moved {
		p.State, p.Reason, p.NotedAt = state, reason, b.o.Now
		return b.tx.PutBankPayment(b.ctx, p)
	}
	lines := move(from, positionAccount(p.Kind, p.Party), p.Amount)
	if p.Incoming {
		lines = move(positionAccount(p.Kind, p.Party), from, p.Amount)
	}
	if err := b.tx.Post(b.ctx, books.Entry{ID: kindBack + ":" + p.ID, Kind: kindBack, Day: b.day, Ref: p.ID, Lines: lines}); err != nil {
		return err
	}
	p.State, p.Moved, p.Reason, p.NotedAt = state, false, reason, b.o.Now
	if err := b.tx.PutBankPayment(b.ctx, p); err != nil {
		return err
	}
	return b.tx.UnpayDay(b.ctx, p.Day)
}
