package settlement

import (
	"context"
	"errors"
	"fmt"
	"regexp"
	"strings"
	"time"

	"github.com/purselane/purselane/backend/bankfile"
	"github.com/purselane/purselane/backend/store"
	"github.com/purselane/purselane/internal/money"
	"github.com/purselane/purselane/shadowaccount/books"
	"github.com/purselane/purselane/shadowaccount/calendar"
)

// The states of a transfer between own accounts.
const (
	transferProposed = "proposed" // another person decides
	transferOrdered  = "ordered"  // it is in a message; the statements of both accounts are waited for
	transferRejected = "rejected" // the bank will not make it
	transferReturned = "returned" // it left, and came back
	transferDone     = "done"     // both statements show it
	transferRefused  = "refused"  // it is not ordered
)

var (
	// ErrLimit: a transfer would take more than the account's limits allow, or than is free above its minimum.
	ErrLimit = errors.New("more than the account may give")
	// ErrOwnAccount: it is not one of the scheme's own accounts.
	ErrOwnAccount = errors.New("no own account")
)

// alarmMinimum says that less is free on an own account than should stay there.
const alarmMinimum = "below-minimum"

var ownID = regexp.MustCompile(`^[a-z0-9][a-z0-9-]{0,31}$`)

// Level is how one of the scheme's own accounts stands.
type Level struct {
	ID       string
	Account  store.PartyAccount
	Rules    store.OwnAccount
	Books    money.Amount // as our entries say
	Bank     money.Amount // as the last statement said, at the end of BankDay
	BankDay  string       // "" if no statement said a balance
	Promised money.Amount // ordered from it, and not gone
	Free     money.Amount // what the bank has, or without its word the books, less what is promised
	Below    bool         // Free is less than the minimum
}

// SetOwnAccount notes what is kept to on an own account: how much stays there, and how much one transfer, and those of a day, may take. A limit of zero is
// none. Errors: [ErrOwnAccount] if its number is not noted.
func SetOwnAccount(ctx context.Context, s *store.Store, a store.OwnAccount) error {
	for _, m := range []money.Amount{a.Minimum, a.MostOnce, a.MostDay} {
		if m.Sign() < 0 {
			return fmt.Errorf("account %s: %v: want nothing or more", a.ID, m)
		}
	}
	return s.Update(ctx, func(tx *store.Tx) error {
		if _, err := ownAccount(ctx, tx, a.ID); err != nil {
			return err
		}
		return tx.PutOwnAccount(ctx, a)
	})
}

func ownAccount(ctx context.Context, tx *store.Tx, id string) (store.PartyAccount, error) {
	all, err := accountsOf(ctx, tx)
	if err != nil {
		return store.PartyAccount{}, err
	}
	a, found := all[KindScheme+":"+id]
	if !found {
		return a, fmt.Errorf("%w %q: note it with 'purselane settle account --party scheme:%s'", ErrOwnAccount, id, id)
	}
	return a, nil
}

// Levels says how each own account stands, by id.
func Levels(ctx context.Context, s *store.Store) ([]Level, error) {
	var out []Level
	err := s.View(ctx, func(tx *store.Tx) (err error) {
		out, err = levels(ctx, tx)
		return err
	})
	return out, err
}

func levels(ctx context.Context, tx *store.Tx) ([]Level, error) {
	accounts, err := tx.PartyAccounts(ctx)
	if err != nil {
		return nil, err
	}
	rules, err := tx.OwnAccounts(ctx)
	if err != nil {
		return nil, err
	}
	var out []Level
	for _, a := range accounts {
		if a.Kind != KindScheme {
			continue
		}
		l := Level{ID: a.Party, Account: a, Rules: store.OwnAccount{ID: a.Party}}
		for _, r := range rules {
			if r.ID == a.Party {
				l.Rules = r
			}
		}
		if err := l.fill(ctx, tx); err != nil {
			return nil, fmt.Errorf("own account %s: %w", a.Party, err)
		}
		out = append(out, l)
	}
	return out, nil
}

// fill reads what is on the account, and what is promised of it.
func (l *Level) fill(ctx context.Context, tx *store.Tx) error {
	var err error
	if l.Books, err = tx.Balance(ctx, books.Bank(l.ID)); err != nil {
		return err
	}
	have := l.Books
	said, found, err := tx.LastBankBalance(ctx, l.Account.Number)
	if err != nil {
		return err
	}
	if found {
		l.Bank, l.BankDay = said.Amount, said.Day
		have = l.Bank
	}
	if _, l.Promised, err = tx.OwnOrdered(ctx, l.ID, ""); err != nil {
		return err
	}
	if l.ID == PartyTrust {
		payments, err := tx.PaymentsInTransit(ctx)
		if err != nil {
			return err
		}
		if l.Promised, err = l.Promised.Add(payments); err != nil {
			return err
		}
	}
	if l.Free, err = have.Sub(l.Promised); err != nil {
		return err
	}
	l.Below = l.Free.Cmp(l.Rules.Minimum) < 0
	return nil
}

// AlarmLow raises an alarm for each own account with less than its minimum, and returns those that are new. The same shortfall is told once.
func AlarmLow(ctx context.Context, s *store.Store, now time.Time) (fresh []store.BankAlarm, err error) {
	err = s.Update(ctx, func(tx *store.Tx) error {
		var err error
		fresh, err = alarmLow(ctx, tx, now)
		return err
	})
	return fresh, err
}

// alarmLow raises an alarm for each own account with less than its minimum. An account with no rule has none.
func alarmLow(ctx context.Context, tx *store.Tx, now time.Time) ([]store.BankAlarm, error) {
	all, err := levels(ctx, tx)
	if err != nil {
		return nil, err
	}
	var out []store.BankAlarm
	for _, l := range all {
		if !l.Below || l.Rules.NotedAt.IsZero() {
			continue
		}
		a := store.BankAlarm{About: KindScheme + ":" + l.ID, What: alarmMinimum, Text: fmt.Sprintf("%v is free, and %v should stay there", l.Free, l.Rules.Minimum), At: now}
		fresh, err := tx.PutBankAlarm(ctx, a)
		if err != nil {
			return nil, err
		}
		if fresh {
			out = append(out, a)
		}
	}
	return out, nil
}

// ProposeTransfer proposes to move an amount from one own account to another; an amount of nothing is all that is free above the minimum. Another person
// approves it. Errors: [ErrOwnAccount], [ErrLimit].
func ProposeTransfer(ctx context.Context, s *store.Store, from, to string, amount money.Amount, by, reason string, o BankOptions) (store.OwnTransfer, error) {
	if err := errors.Join(line("operator", by, 64), line("reason", reason, 500)); err != nil {
		return store.OwnTransfer{}, err
	}
	if from == to {
		return store.OwnTransfer{}, fmt.Errorf("transfer from %s to %s: want two accounts", from, to)
	}
	if amount.Sign() < 0 {
		return store.OwnTransfer{}, fmt.Errorf("transfer of %v: want more than 0.00", amount)
	}
	var out store.OwnTransfer
	err := s.Update(ctx, func(tx *store.Tx) error {
		if _, err := ownAccount(ctx, tx, to); err != nil {
			return err
		}
		amount := amount
		if amount.IsZero() {
			l, err := levelOf(ctx, tx, from)
			if err != nil {
				return err
			}
			if amount, err = l.Free.Sub(l.Rules.Minimum); err != nil {
				return err
			}
			if amount.Sign() <= 0 {
				return fmt.Errorf("%w: %v is free on %s, and %v stays there", ErrLimit, l.Free, from, l.Rules.Minimum)
			}
		}
		if err := mayTake(ctx, tx, from, amount, o); err != nil {
			return err
		}
		last, err := tx.LastOwnTransfer(ctx)
		if err != nil {
			return err
		}
		x := store.OwnTransfer{Number: last + 1, From: from, To: to, Amount: amount, Currency: o.currency(), Reason: reason, State: transferProposed, ProposedBy: by, ProposedAt: o.Now}
		x.ID = transferID(x, o)
		out = x
		return tx.PutOwnTransfer(ctx, x)
	})
	if err != nil {
		return store.OwnTransfer{}, fmt.Errorf("propose transfer: %w", err)
	}
	return out, nil
}

func levelOf(ctx context.Context, tx *store.Tx, id string) (Level, error) {
	if _, err := ownAccount(ctx, tx, id); err != nil {
		return Level{}, err
	}
	all, err := levels(ctx, tx)
	for _, l := range all {
		if l.ID == id {
			return l, err
		}
	}
	return Level{}, err
}

// mayTake holds a transfer to what its account may give.
func mayTake(ctx context.Context, tx *store.Tx, from string, amount money.Amount, o BankOptions) error {
	l, err := levelOf(ctx, tx, from)
	if err != nil {
		return err
	}
	left, err := l.Free.Sub(amount)
	if err != nil {
		return err
	}
	if left.Cmp(l.Rules.Minimum) < 0 {
		return fmt.Errorf("%w: %v is free on %s, and %v stays there", ErrLimit, l.Free, from, l.Rules.Minimum)
	}
	if most := l.Rules.MostOnce; most.Sign() > 0 && amount.Cmp(most) > 0 {
		return fmt.Errorf("%w: one transfer from %s takes %v at most", ErrLimit, from, most)
	}
	ofDay, _, err := tx.OwnOrdered(ctx, from, o.today())
	if err != nil {
		return err
	}
	sum, err := ofDay.Add(amount)
	if err != nil {
		return err
	}
	if most := l.Rules.MostDay; most.Sign() > 0 && sum.Cmp(most) > 0 {
		return fmt.Errorf("%w: the transfers of a day from %s take %v at most, and %v is ordered today", ErrLimit, from, most, ofDay)
	}
	return nil
}

// ApproveTransfer orders what another person proposed: one message, of one payment. Approving an ordered transfer again gives the same bytes. Errors:
// [ErrSamePerson], [ErrDecided], [ErrLimit], [ErrOwnAccount].
func ApproveTransfer(ctx context.Context, s *store.Store, id, by string, o BankOptions) (Order, error) {
	if err := line("operator", by, 64); err != nil {
		return Order{}, err
	}
	var out Order
	err := s.Update(ctx, func(tx *store.Tx) error {
		out = Order{}
		x, err := tx.OwnTransfer(ctx, id)
		if err != nil {
			return err
		}
		if x.State == transferOrdered && same(x.DecidedBy, by) {
			out, err = transferOrder(x)
			return err
		}
		if x.State != transferProposed {
			return fmt.Errorf("%w: %s by %s", ErrDecided, x.State, x.DecidedBy)
		}
		if same(x.ProposedBy, by) {
			return fmt.Errorf("%w: %s proposed it", ErrSamePerson, x.ProposedBy)
		}
		if err := mayTake(ctx, tx, x.From, x.Amount, o); err != nil {
			return err
		}
		if x.Source, err = ownAccount(ctx, tx, x.From); err != nil {
			return err
		}
		if x.Target, err = ownAccount(ctx, tx, x.To); err != nil {
			return err
		}
		x.State, x.DecidedBy, x.DecidedAt, x.Day, x.Initiator = transferOrdered, by, o.Now, o.today(), o.Initiator
		if out, err = transferOrder(x); err != nil {
			return err
		}
		return tx.PutOwnTransfer(ctx, x)
	})
	if err != nil {
		return Order{}, fmt.Errorf("approve transfer %s: %w", id, err)
	}
	return out, nil
}

// RefuseTransfer decides that a transfer is not ordered. Its own author may take it back. Error: [ErrDecided].
func RefuseTransfer(ctx context.Context, s *store.Store, id, by, note string, now time.Time) error {
	if err := errors.Join(line("operator", by, 64), line("reason", note, 500)); err != nil {
		return err
	}
	err := s.Update(ctx, func(tx *store.Tx) error {
		x, err := tx.OwnTransfer(ctx, id)
		if err != nil {
			return err
		}
		if x.State != transferProposed {
			return fmt.Errorf("%w: %s by %s", ErrDecided, x.State, x.DecidedBy)
		}
		x.State, x.DecidedBy, x.DecidedAt, x.Note = transferRefused, by, now, note
		return tx.PutOwnTransfer(ctx, x)
	})
	if err != nil {
		return fmt.Errorf("refuse transfer %s: %w", id, err)
	}
	return nil
}

// Transfers lists transfers, the latest first, at most limit.
func Transfers(ctx context.Context, s *store.Store, limit int) ([]store.OwnTransfer, error) {
	var out []store.OwnTransfer
	err := s.View(ctx, func(tx *store.Tx) (err error) {
		out, err = tx.OwnTransfers(ctx, "", limit)
		return err
	})
	return out, err
}

// transferOrder makes a transfer's message from what was written when it was ordered: the same bytes, always.
func transferOrder(x store.OwnTransfer) (Order, error) {
	account := func(a store.PartyAccount) bankfile.Account {
		return bankfile.Account{Name: a.Name, Number: a.Number, Bank: a.Bank}
	}
	m := bankfile.Message{ID: x.ID, Created: x.DecidedAt, Initiator: x.Initiator, Due: x.Day, Currency: x.Currency, Debtor: account(x.Source),
		Payments: []bankfile.Payment{{ID: x.ID, Amount: x.Amount, Creditor: account(x.Target), Text: fmt.Sprintf("transfer %d from %s to %s", x.Number, x.From, x.To)}}}
	body, err := m.Pain001()
	return Order{Name: x.ID + ".xml", Body: body, Payments: []store.BankPayment{{ID: x.ID, Kind: KindScheme, Party: x.To, Amount: x.Amount, Message: x.ID, State: payOrdered}}}, err
}

// transferPrefix begins the ids of transfers.
const transferPrefix = "PX"

func transferID(x store.OwnTransfer, o BankOptions) string {
	return transferPrefix + strings.ReplaceAll(o.today(), "-", "") + hash20("transfer", x.From, x.To, fmt.Sprint(x.Number))
}

// transfers finds a transfer's id in a text.
var transfers = regexp.MustCompile(`\b` + transferPrefix + `[0-9]{8}[A-Z2-7]{20}\b`)

// transfer finds the transfer that a line's part speaks of.
func (b *banking) transfer(id, text string) (store.OwnTransfer, bool, error) {
	for _, id := range append([]string{id}, transfers.FindAllString(text, 4)...) {
		x, err := b.tx.OwnTransfer(b.ctx, id)
		if err == nil && x.Day != "" {
			return x, true, nil
		}
		if err != nil && !errors.Is(err, store.ErrNotFound) {
			return x, false, err
		}
	}
	return store.OwnTransfer{}, false, nil
}

// transferred takes in a line of an own account's statement that shows a transfer, and returns its id, or "" for what is left to people.
func (b *banking) transferred(about, own string, e bankfile.Entry, d bankfile.Detail, x store.OwnTransfer) (string, error) {
	if d.Amount != x.Amount || d.Currency != x.Currency {
		return "", b.alarm(x.ID, alarmAmount, "line %s has %v %s, ordered was %v %s", about, d.Amount, d.Currency, x.Amount, x.Currency)
	}
	came := d.Returned || e.Reversal
	from, to := books.Bank(x.From), books.Bank(x.To)
	switch {
	case own == x.From && !e.Credit && !came:
		if x.Gone || x.State == transferReturned || x.State == transferDone {
			return "", b.alarm(x.ID, alarmTwice, "line %s shows it, and it is %s", about, x.State)
		}
		x.Gone = true
		return x.ID, b.moveOwn(x, "gone", books.BankTransit, from)
	case own == x.To && e.Credit && !came:
		if x.Arrived || x.State == transferReturned {
			return "", b.alarm(x.ID, alarmTwice, "line %s shows it, and it is %s", about, x.State)
		}
		x.Arrived = true
		return x.ID, b.moveOwn(x, "arrived", to, books.BankTransit)
	case own == x.From && e.Credit && x.Gone && !x.Arrived:
		if err := b.alarm(x.ID, alarmReturned, "transfer %d, %v from %s to %s: %s", x.Number, x.Amount, x.From, x.To, d.Reason); err != nil {
			return "", err
		}
		x.Gone, x.State, x.Note = false, transferReturned, d.Reason.String()
		return x.ID, b.postOwn(x, "back", from, books.BankTransit)
	}
	return "", b.alarm(x.ID, alarmDirection, "line %s of account %s does not fit it, and it is %s", about, own, x.State)
}

// moveOwn books one half of a transfer; with both it is done.
func (b *banking) moveOwn(x store.OwnTransfer, what string, debit, credit books.Account) error {
	x.State = transferOrdered // a statement is believed, whatever a status said before
	if x.Gone && x.Arrived {
		x.State = transferDone
	}
	return b.postOwn(x, what, debit, credit)
}

func (b *banking) postOwn(x store.OwnTransfer, what string, debit, credit books.Account) error {
	if err := b.tx.Post(b.ctx, books.Entry{ID: "bank-transfer:" + x.ID + ":" + what, Kind: "bank-transfer", Day: b.day, Ref: x.ID, Lines: move(debit, credit, x.Amount)}); err != nil {
		return err
	}
	return b.tx.PutOwnTransfer(b.ctx, x)
}

// transferStatus takes in what the bank says of a transfer's message.
func (b *banking) transferStatus(x store.OwnTransfer, r bankfile.StatusReport) error {
	s := bankfile.Status{Outcome: r.Group, Code: r.Code, Reason: r.Reason}
	for _, each := range r.Payments {
		if each.Payment == x.ID {
			s = each
		}
	}
	text := fmt.Sprintf("transfer %d, %v from %s to %s: %s", x.Number, x.Amount, x.From, x.To, s.Reason)
	switch {
	case s.Outcome == bankfile.Rejected && x.State == transferOrdered && !x.Gone && !x.Arrived:
		b.out.New++
		x.State, x.Note = transferRejected, s.Reason.String()
		if err := b.alarm(x.ID, alarmRejected, "%s", text); err != nil {
			return err
		}
		return b.tx.PutOwnTransfer(b.ctx, x)
	case s.Outcome == bankfile.Rejected && (x.Gone || x.Arrived):
		return b.alarm(x.ID, alarmLate, "%s", text)
	}
	b.out.Same++
	return nil
}

// today is the date of now in the scheme's time zone.
func (o BankOptions) today() string { return string(calendar.DateOf(o.Now.In(o.location()))) }

func (o BankOptions) currency() string {
	if o.Currency == "" {
		return defaultCurrency
	}
	return o.Currency
}
