package settlement

import (
	"context"
	"crypto/sha256"
	"encoding/base32"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/purselane/purselane/backend/bankfile"
	"github.com/purselane/purselane/backend/store"
	"github.com/purselane/purselane/shadowaccount/books"
	"github.com/purselane/purselane/shadowaccount/calendar"
)

// BankOptions of what goes through the bank.
type BankOptions struct {
	Now       time.Time
	Location  *time.Location // of the scheme; nil: Now's own
	Initiator string         // who orders, in the message
	Currency  string         // of the scheme, for transfers between own accounts; "": CNY
}

// The scheme's own account, among the parties'.
const (
	KindScheme = "scheme"
	PartyTrust = "trust"
)

// The states of a payment. One that is rejected or returned is followed by another attempt, or is not paid.
const (
	payExpected = "expected" // the party is to pay us
	payOrdered  = "ordered"  // the bank was told, or will be
	payAccepted = "accepted" // the bank has taken it
	payRejected = "rejected" // the bank will not pay it
	payPaid     = "paid"     // a statement shows it
	payReturned = "returned" // a statement showed it, and a later line that it came back
)

// Entries of what goes through the bank.
const (
	kindOrder  = kindPayment + "-order"  // the position is on its way
	kindBooked = kindPayment + "-booked" // the statement shows the payment
	kindBack   = kindPayment + "-back"   // it did not go, or came back
)

// Order is what goes to the bank, and what parties are to pay us by themselves.
type Order struct {
	Name        string // of the file; "" where nobody is owed anything
	Body        []byte // pain.001
	Payments    []store.BankPayment
	Collections []CollectionFile // of those who have signed that they may be debited
	Expected    []store.BankPayment
}

// CollectionFile is a message that collects what parties owe us.
type CollectionFile struct {
	Name   string
	Body   []byte // pain.008
	Debits []store.BankPayment
}

// SetBankAccount notes whom a party is paid to. Kind is acquirer or channel, or [KindScheme] for an account of the scheme's own: [PartyTrust], which
// parties are paid from, or another one.
// Errors: [ErrParty], and what is wrong with the account.
func SetBankAccount(ctx context.Context, s *store.Store, kind, party string, a bankfile.Account, now time.Time) error {
	if err := a.Check(); err != nil {
		return fmt.Errorf("account of %s %s: %w", kind, party, err)
	}
	return s.Update(ctx, func(tx *store.Tx) error {
		switch {
		case kind == KindScheme && ownID.MatchString(party):
		case kind == KindScheme || kind == partyMerchant:
			return fmt.Errorf("%w: %s %q: want acquirer:ID, channel:ID, scheme:trust, or scheme:NAME of a-z 0-9 - for another own account", ErrParty, kind, party)
		default:
			if err := partyExists(ctx, tx, kind, party); err != nil {
				return err
			}
		}
		return tx.PutPartyAccount(ctx, store.PartyAccount{Kind: kind, Party: party, Name: a.Name, Number: a.Number, Bank: a.Bank, NotedAt: now})
	})
}

// Instruct orders the payment of a closed day's positions at the bank: one payment for each party that is owed something, in one message. What
// is owed moves to the account of payments on their way; what a party owes us is expected. Instructing again gives the same bytes and orders
// nothing. Errors: [ErrNotClosed], [ErrPaid], [ErrAccount].
func Instruct(ctx context.Context, s *store.Store, day string, o BankOptions) (Order, error) {
	if _, err := calendar.ParseDate(day); err != nil {
		return Order{}, err
	}
	var out Order
	err := s.Update(ctx, func(tx *store.Tx) error {
		head, err := tx.ClosedDay(ctx, day)
		if errors.Is(err, store.ErrNotFound) {
			return fmt.Errorf("%w: close it first", ErrNotClosed)
		}
		if err != nil {
			return err
		}
		before, err := tx.BankPayments(ctx, day)
		if err != nil {
			return err
		}
		if len(before) > 0 {
			out, err = orderOf(ctx, tx, day, first)
			return err
		}
		if head.Paid() {
			return fmt.Errorf("%w: under reference %q", ErrPaid, head.BankRef)
		}
		if _, err := prove(ctx, tx, day); err != nil {
			return err // a day that was changed after it closed is not paid
		}
		parties, err := tx.PartyDays(ctx, day)
		if err != nil {
			return err
		}
		var due []store.BankPayment
		for _, p := range parties {
			pay := store.BankPayment{Day: day, Kind: p.Kind, Party: p.Party, Attempt: 1, Amount: p.Net, Incoming: p.Net.Sign() < 0}
			if pay.Incoming {
				if pay.Amount, err = p.Net.Neg(); err != nil {
					return err
				}
			}
			if !p.Net.IsZero() {
				due = append(due, pay)
			}
		}
		if len(due) == 0 {
			return tx.PayDay(ctx, day, "nothing is due", o.Now)
		}
		if err := put(ctx, tx, head, 1, due, o); err != nil {
			return err
		}
		if out, err = orderOf(ctx, tx, day, first); err != nil {
			return err
		}
		_, err = alarmLow(ctx, tx, o.Now)
		return err
	})
	if err != nil {
		return Order{}, fmt.Errorf("instruct %s: %w", day, err)
	}
	return out, nil
}

// resend orders a payment again that was rejected or came back, in a message of its own; one that we expect is expected again. Somebody has
// looked at why.
func resend(ctx context.Context, tx *store.Tx, day, kind, party string, o BankOptions) (Order, error) {
	head, err := tx.ClosedDay(ctx, day)
	if err != nil {
		return Order{}, err
	}
	all, err := tx.BankPayments(ctx, day)
	if err != nil {
		return Order{}, err
	}
	var last store.BankPayment
	for _, p := range all {
		if p.Kind == kind && p.Party == party {
			last = p // by attempt
		}
	}
	if last.State != payRejected && last.State != payReturned {
		return Order{}, fmt.Errorf("%w: %s %s of %s is %q", ErrResend, kind, party, day, last.State)
	}
	messages, err := tx.BankMessages(ctx, day)
	if err != nil {
		return Order{}, err
	}
	last.Attempt++
	number := len(messages) + 1
	if err := put(ctx, tx, head, number, []store.BankPayment{last}, o); err != nil {
		return Order{}, err
	}
	return orderOf(ctx, tx, day, func(p store.BankPayment) bool { return p.Kind == kind && p.Party == party && p.Attempt == last.Attempt })
}

// first are the payments that a day was ordered with.
func first(p store.BankPayment) bool { return p.Attempt == 1 }

// put writes payments, their messages, and their entries. Number is that of the first message; those that collect come after the one that pays.
func put(ctx context.Context, tx *store.Tx, head store.ClearingDay, number int, due []store.BankPayment, o BankOptions) error {
	accounts, err := accountsOf(ctx, tx)
	if err != nil {
		return err
	}
	day, err := openDay(ctx, tx, o)
	if err != nil {
		return err
	}
	message := store.BankMessage{ID: messageID(head.Day, number), Day: head.Day, Number: number, CreatedAt: o.Now, Initiator: o.Initiator, Due: head.Due, Currency: head.Currency}
	if today := string(calendar.DateOf(o.Now.In(o.location()))); message.Due < today {
		message.Due = today // no bank pays in the past
	}
	var missing []error
	account := func(kind, party string) store.PartyAccount {
		a, found := accounts[kind+":"+party]
		if !found {
			missing = append(missing, fmt.Errorf("%w of %s:%s is not known: note it with 'purselane settle account'", ErrAccount, kind, party))
		}
		return a
	}
	mandates, err := mandatesOf(ctx, tx)
	if err != nil {
		return err
	}
	outgoing := false
	collecting := map[string][]*store.BankPayment{} // by creditor
	for i := range due {
		p := &due[i]
		p.ID, p.NotedAt, p.Reason, p.State, p.Moved, p.Message = paymentID(*p), o.Now, "", payExpected, false, ""
		p.Mandate, p.Signed = "", ""
		if m, signed := mandates[p.Kind+":"+p.Party]; p.Incoming && signed {
			of := account(p.Kind, p.Party)
			p.Name, p.Account, p.Bank, p.State, p.Mandate, p.Signed = of.Name, of.Number, of.Bank, payOrdered, m.ID, m.Signed
			collecting[m.Creditor] = append(collecting[m.Creditor], p)
		}
		if p.Incoming {
			continue
		}
		outgoing = true
		to := account(p.Kind, p.Party)
		p.Name, p.Account, p.Bank, p.Message, p.State, p.Moved = to.Name, to.Number, to.Bank, message.ID, payOrdered, true
	}
	if outgoing || len(collecting) > 0 {
		own := account(KindScheme, PartyTrust)
		message.Name, message.Account, message.Bank = own.Name, own.Number, own.Bank
	}
	if err := errors.Join(missing...); err != nil {
		return err
	}
	if outgoing {
		if err := tx.PutBankMessage(ctx, message); err != nil {
			return err
		}
		number++
	}
	for _, creditor := range slices.Sorted(maps.Keys(collecting)) {
		m := message
		m.ID, m.Number, m.Creditor = messageID(head.Day, number), number, creditor
		if err := tx.PutBankMessage(ctx, m); err != nil {
			return err
		}
		for _, p := range collecting[creditor] {
			p.Message = m.ID
		}
		number++
	}
	for _, p := range due {
		if err := tx.PutBankPayment(ctx, p); err != nil {
			return err
		}
		if p.Incoming {
			continue
		}
		if err := tx.Post(ctx, books.Entry{ID: kindOrder + ":" + p.ID, Kind: kindOrder, Day: day, Ref: p.Message,
			Lines: move(positionAccount(p.Kind, p.Party), books.BankTransit, p.Amount)}); err != nil {
			return err
		}
	}
	return nil
}

func (o BankOptions) location() *time.Location {
	if o.Location == nil {
		return o.Now.Location()
	}
	return o.Location
}

// openDay is the clearing day of entries that are posted now: closed days stay as they are.
func openDay(ctx context.Context, tx *store.Tx, o BankOptions) (string, error) {
	return tx.ClearingDay(ctx, o.Now.In(o.location()))
}

func accountsOf(ctx context.Context, tx *store.Tx) (map[string]store.PartyAccount, error) {
	all, err := tx.PartyAccounts(ctx)
	out := map[string]store.PartyAccount{}
	for _, a := range all {
		out[a.Kind+":"+a.Party] = a
	}
	return out, err
}

// orderOf makes the files of some payments' messages from what was written when they were ordered: the same bytes, always.
func orderOf(ctx context.Context, tx *store.Tx, day string, of func(store.BankPayment) bool) (Order, error) {
	var out Order
	payments, err := tx.BankPayments(ctx, day)
	if err != nil {
		return out, err
	}
	messages, err := tx.BankMessages(ctx, day)
	if err != nil {
		return out, err
	}
	wanted := map[string]bool{}
	for _, p := range payments {
		if p.Message == "" {
			out.Expected = append(out.Expected, p)
		} else if of(p) {
			wanted[p.Message] = true
		}
	}
	for _, m := range messages {
		if !wanted[m.ID] {
			continue
		}
		each, err := tx.BankPaymentsOf(ctx, m.ID)
		if err != nil {
			return out, err
		}
		if m.Creditor != "" {
			body, err := collection(m, each).Pain008()
			if err != nil {
				return out, err
			}
			out.Collections = append(out.Collections, CollectionFile{Name: m.ID + ".xml", Body: body, Debits: each})
			continue
		}
		file := bankfile.Message{ID: m.ID, Created: m.CreatedAt, Initiator: m.Initiator, Due: m.Due, Currency: m.Currency,
			Debtor: bankfile.Account{Name: m.Name, Number: m.Account, Bank: m.Bank}}
		for _, p := range each {
			file.Payments = append(file.Payments, bankfile.Payment{ID: p.ID, Amount: p.Amount, Creditor: bankfile.Account{Name: p.Name, Number: p.Account, Bank: p.Bank}, Text: "clearing day " + day})
		}
		out.Name, out.Payments = m.ID+".xml", each
		if out.Body, err = file.Pain001(); err != nil {
			return out, err
		}
	}
	return out, nil
}

// paymentPrefix begins every end to end id of ours.
const paymentPrefix = "PS"

// paymentID names a payment: the same party, day and attempt have the same id for ever, so a bank pays it once. 30 characters, of which
// the first ten say the day.
func paymentID(p store.BankPayment) string {
	return paymentPrefix + strings.ReplaceAll(p.Day, "-", "") + hash20(p.Day, p.Kind, p.Party, fmt.Sprint(p.Attempt))
}

func messageID(day string, number int) string {
	return fmt.Sprintf("PM%s%04d", strings.ReplaceAll(day, "-", ""), number)
}

// hash20 is 100 bits of a hash over names, which hold no '|'.
func hash20(of ...string) string {
	sum := sha256.Sum256([]byte("purselane-payment-1|" + strings.Join(of, "|")))
	return base32.StdEncoding.EncodeToString(sum[:])[:20]
}
