// Package books is double-entry bookkeeping as the scheme uses it: accounts, entries that sum to zero, and the classes by
// which a trial balance is read.
//
// Start with [Entry]. Books are append-only: a correction is a new entry. The package keeps nothing; backend/store
// does.
package books

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"sort"

	"github.com/purselane/purselane/internal/ids"
	"github.com/purselane/purselane/internal/money"
)

// Account names one account. Owners stand in the middle: "merchant:m1:pending".
type Account string

// Accounts without an owner.
const (
	Float          Account = "float"            // unspent value on cards, owed to holders: the sum of all shadow accounts
	LoadInProgress Account = "load-in-progress" // authorised, not yet proved to be on the card
	Funding        Account = "funding"          // paid, not yet on the way to a card
	Trust          Account = "trust"            // mirror of the trust account at the bank
	BankTransit    Account = "bank-transit"     // payments that a bank was ordered to make and has not booked
	FeeMerchant    Account = "fee:merchant"     // earned from merchants
	FeeChannel     Account = "fee:channel"      // paid to channels
	LossGranted    Account = "loss:granted"     // taps that nothing proves and that officers decided to pay for
	LossGoodwill   Account = "loss:goodwill"    // debits that stand and that officers decided to give back to holders
	Rounding       Account = "rounding"         // residue of fee arithmetic
	SuspUnknown    Account = "suspense:unknown" // taps whose outcome nobody knows yet
	SuspClone      Account = "suspense:clone"   // second records of one counter
	SuspBadTAC     Account = "suspense:bad-tac" // records whose TAC does not verify
	SuspExpired    Account = "suspense:expired" // what cards paid by taps that came too late to be paid for
)

// MerchantPending is what a merchant earned in days not yet settled; MerchantAvailable what is settled and not paid out;
// MerchantHeld what is claimed by records under suspicion.
func MerchantPending(m ids.MerchantID) Account { return Account("merchant:" + string(m) + ":pending") }
func MerchantAvailable(m ids.MerchantID) Account {
	return Account("merchant:" + string(m) + ":available")
}
func MerchantHeld(m ids.MerchantID) Account { return Account("merchant:" + string(m) + ":held") }

// MerchantFeesDue is what a merchant owes in fees that are taken once a month.
func MerchantFeesDue(m ids.MerchantID) Account { return Account("merchant:" + string(m) + ":fees-due") }

// HolderBalance is what a holder has with us beside cards, and pays from (package backend/gateway/channel/balance).
func HolderBalance(holder string) Account { return Account("holder:" + holder + ":balance") }

// AcquirerClearing is the position against an acquirer, zero when settled; AcquirerSoldLoads the cash it took for loads
// and owes us; Channel what a payment channel owes us.
func AcquirerClearing(a ids.AcquirerID) Account {
	return Account("acquirer:" + string(a) + ":clearing")
}
func AcquirerSoldLoads(a ids.AcquirerID) Account {
	return Account("acquirer:" + string(a) + ":sold-loads")
}
func Channel(id string) Account { return Account("channel:" + id) }

// Bank mirrors one of the scheme's own accounts at banks beside the trust account, which is [Trust].
func Bank(id string) Account {
	if id == string(Trust) {
		return Trust
	}
	return Account("bank:" + id)
}

// Tax is a tax on fees that we took and owe to the state.
func Tax(kind string) Account { return Account("tax:" + kind) }

// Class is what kind of account it is.
type Class string

// Classes.
const (
	Asset     Class = "asset"
	Liability Class = "liability"
	Income    Class = "income"
	Expense   Class = "expense"
	Suspense  Class = "suspense"
	Clearing  Class = "clearing"
)

// ErrNoAccount says that a name is no account of the chart.
var ErrNoAccount = errors.New("no such account in the chart")

// Line is one side of an entry: a debit is positive, a credit negative.
type Line struct {
	Account  Account
	Amount   money.Amount
	Currency string // ISO 4217; "" is the book's own. A book keeps one currency
}

// Entry moves money between accounts. ID is its idempotency key: the same ID with the same content is one entry, with
// other content an alarm.
type Entry struct {
	ID    string
	Kind  string // what happened, such as "purchase" or "load-confirm"
	Day   string // clearing day, YYYY-MM-DD
	Ref   string // what it is about: an order, a posting group
	Lines []Line
}

var (
	// ErrUnbalanced: an entry's lines do not sum to zero.
	ErrUnbalanced = errors.New("entry does not sum to zero")
	// ErrConflict: an entry of that id exists with other content.
	ErrConflict = errors.New("entry exists with other content")
	// ErrCurrency: a line is in another currency than the book's. Such money wants a book of its own and an exchange between them.
	ErrCurrency = errors.New("another currency than the book's")
)

// Check reports an entry that must not be posted.
func (e Entry) Check() error {
	if e.ID == "" || e.Kind == "" || e.Day == "" {
		return fmt.Errorf("entry %q: id, kind and day are all needed", e.ID)
	}
	var total money.Amount
	for _, l := range e.Lines {
		if l.Currency != "" {
			return fmt.Errorf("entry %q: account %s: %s: %w", e.ID, l.Account, l.Currency, ErrCurrency)
		}
		if _, err := ClassOf(l.Account); err != nil {
			return fmt.Errorf("entry %q: %w", e.ID, err)
		}
		var err error
		if total, err = total.Add(l.Amount); err != nil {
			return fmt.Errorf("entry %q: %w", e.ID, err)
		}
	}
	if !total.IsZero() {
		return fmt.Errorf("entry %q: off by %v: %w", e.ID, total, ErrUnbalanced)
	}
	return nil
}

// Compact returns the entry with one line an account, zero lines dropped, sorted by account: its canonical form.
func (e Entry) Compact() (Entry, error) {
	sum := map[Account]money.Amount{}
	for _, l := range e.Lines {
		s, err := sum[l.Account].Add(l.Amount)
		if err != nil {
			return Entry{}, fmt.Errorf("entry %q: %w", e.ID, err)
		}
		sum[l.Account] = s
	}
	e.Lines = nil
	for a, s := range sum {
		if !s.IsZero() {
			e.Lines = append(e.Lines, Line{Account: a, Amount: s})
		}
	}
	sort.Slice(e.Lines, func(i, j int) bool { return e.Lines[i].Account < e.Lines[j].Account })
	return e, nil
}

// Digest is a SHA-256 over the canonical form, in hexadecimal; call it on a Compact entry. A line that was set aside counts for the account it
// was meant for: the entry is the same, and posting it again finds it, whether or not the account is frozen then.
func (e Entry) Digest() string {
	h := sha256.New()
	str := func(s string) {
		var n [4]byte
		binary.BigEndian.PutUint32(n[:], uint32(len(s)))
		h.Write(n[:])
		h.Write([]byte(s))
	}
	str(e.ID)
	str(e.Kind)
	str(e.Day)
	str(e.Ref)
	for _, l := range e.Lines {
		str(string(Meant(l.Account)))
		var n [8]byte
		binary.BigEndian.PutUint64(n[:], uint64(l.Amount.Minor()))
		h.Write(n[:])
	}
	return hex.EncodeToString(h.Sum(nil))
}

// Move is the commonest entry: amount from the credited to the debited account.
func Move(debit, credit Account, amount money.Amount) ([]Line, error) {
	neg, err := amount.Neg()
	if err != nil {
		return nil, err
	}
	return []Line{{Account: debit, Amount: amount}, {Account: credit, Amount: neg}}, nil
}

// Balance is an account's balance: debits positive.
type Balance struct {
	Account Account
	Class   Class
	Amount  money.Amount
}

// Total sums balances; in sound books it is zero.
func Total(all []Balance) (money.Amount, error) {
	var total money.Amount
	for _, b := range all {
		var err error
		if total, err = total.Add(b.Amount); err != nil {
			return money.Amount{}, err
		}
	}
	return total, nil
}
