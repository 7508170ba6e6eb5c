package store

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"time"

	"github.com/purselane/purselane/internal/money"
)

// PartyAccount is a party's account at its bank.
type PartyAccount struct {
	Kind, Party        string // kind: acquirer, channel, or scheme with party "trust"
	Name, Number, Bank string
	NotedAt            time.Time
}

// PutPartyAccount notes a party's account, in place of the one before. What was ordered before goes to the account of then.
func (t *Tx) PutPartyAccount(ctx context.Context, a PartyAccount) error {
	_, err := t.exec(ctx, "put party account", `INSERT INTO party_account (kind, party, name, number, bank, noted_ms) VALUES (?, ?, ?, ?, ?, ?)
		ON CONFLICT (kind, party) DO UPDATE SET name = excluded.name, number = excluded.number, bank = excluded.bank, noted_ms = excluded.noted_ms`,
		a.Kind, a.Party, a.Name, a.Number, a.Bank, a.NotedAt.UnixMilli())
	return err
}

// PartyAccounts lists the accounts by kind and party.
func (t *Tx) PartyAccounts(ctx context.Context) ([]PartyAccount, error) {
	var out []PartyAccount
	err := t.rows(ctx, "party accounts", func(scan func(...any) error) error {
		var a PartyAccount
		var noted int64
		err := scan(&a.Kind, &a.Party, &a.Name, &a.Number, &a.Bank, &noted)
		a.NotedAt = time.UnixMilli(noted)
		out = append(out, a)
		return err
	}, `SELECT kind, party, name, number, bank, noted_ms FROM party_account ORDER BY kind, party`)
	return out, err
}

// PartyMandate is what a party has signed: that its account may be debited for what it owes.
type PartyMandate struct {
	Kind, Party string
	ID, Signed  string
	Creditor    string // by which the bank knows the scheme among those who may debit
	NotedAt     time.Time
}

// PutPartyMandate notes a party's mandate, in place of the one before.
func (t *Tx) PutPartyMandate(ctx context.Context, m PartyMandate) error {
	_, err := t.exec(ctx, "put party mandate", `INSERT INTO party_mandate (kind, party, id, signed, creditor, noted_ms) VALUES (?, ?, ?, ?, ?, ?)
		ON CONFLICT (kind, party) DO UPDATE SET id = excluded.id, signed = excluded.signed, creditor = excluded.creditor, noted_ms = excluded.noted_ms`,
		m.Kind, m.Party, m.ID, m.Signed, m.Creditor, m.NotedAt.UnixMilli())
	return err
}

// DropPartyMandate forgets a party's mandate: it has ended it.
func (t *Tx) DropPartyMandate(ctx context.Context, kind, party string) error {
	_, err := t.exec(ctx, "drop party mandate", `DELETE FROM party_mandate WHERE kind = ? AND party = ?`, kind, party)
	return err
}

// PartyMandates lists the mandates by kind and party.
func (t *Tx) PartyMandates(ctx context.Context) ([]PartyMandate, error) {
	var out []PartyMandate
	err := t.rows(ctx, "party mandates", func(scan func(...any) error) error {
		var m PartyMandate
		var noted int64
		err := scan(&m.Kind, &m.Party, &m.ID, &m.Signed, &m.Creditor, &noted)
		m.NotedAt = time.UnixMilli(noted)
		out = append(out, m)
		return err
	}, `SELECT kind, party, id, signed, creditor, noted_ms FROM party_mandate ORDER BY kind, party`)
	return out, err
}

// BankMessage is a message with orders to the bank.
type BankMessage struct {
	ID, Day             string
	Number              int // of the day, from 1
	CreatedAt           time.Time
	Initiator, Due      string
	Name, Account, Bank string // that it is paid from
	Currency            string
	State               string // of the bank's last status report
	Creditor            string // of a message that collects: by which the bank knows the scheme; "" for one that pays
}

// PutBankMessage writes a message that is being ordered.
func (t *Tx) PutBankMessage(ctx context.Context, m BankMessage) error {
	_, err := t.exec(ctx, "put bank message", `INSERT INTO bank_message (id, day, number, created_ms, initiator, due, name, account, bank, currency, state, creditor)
		VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`, m.ID, m.Day, m.Number, m.CreatedAt.UnixMilli(), m.Initiator, m.Due, m.Name, m.Account, m.Bank, m.Currency, m.State, m.Creditor)
	return err
}

// SetBankMessageState notes what a status report said of a message.
func (t *Tx) SetBankMessageState(ctx context.Context, id, state string) error {
	_, err := t.exec(ctx, "state of bank message", `UPDATE bank_message SET state = ? WHERE id = ?`, state, id)
	return err
}

// BankMessages lists the messages of a day by number.
func (t *Tx) BankMessages(ctx context.Context, day string) ([]BankMessage, error) {
	return t.bankMessages(ctx, `WHERE day = ? ORDER BY number`, day)
}

// BankMessage finds a message, or ErrNotFound.
func (t *Tx) BankMessage(ctx context.Context, id string) (BankMessage, error) {
	all, err := t.bankMessages(ctx, `WHERE id = ?`, id)
	if err == nil && len(all) == 0 {
		err = fmt.Errorf("bank message %q: %w", id, ErrNotFound)
	}
	if err != nil {
		return BankMessage{}, err
	}
	return all[0], nil
}

func (t *Tx) bankMessages(ctx context.Context, where string, args ...any) ([]BankMessage, error) {
	var out []BankMessage
	err := t.rows(ctx, "bank messages", func(scan func(...any) error) error {
		var m BankMessage
		var created int64
		err := scan(&m.ID, &m.Day, &m.Number, &created, &m.Initiator, &m.Due, &m.Name, &m.Account, &m.Bank, &m.Currency, &m.State, &m.Creditor)
		m.CreatedAt = time.UnixMilli(created)
		out = append(out, m)
		return err
	}, `SELECT id, day, number, created_ms, initiator, due, name, account, bank, currency, state, creditor FROM bank_message `+where, args...)
	return out, err
}

// BankPayment is a party's position of a day on its way through the bank.
type BankPayment struct {
	ID, Day, Kind, Party string
	Attempt              int    // from 1
	Message              string // "" for what a party pays us by itself
	Incoming             bool   // the party pays us
	Amount               money.Amount
	Name, Account, Bank  string
	State                string // expected, ordered, accepted, rejected, paid, returned
	Moved                bool   // the position is off the party's account
	Reason               string
	NotedAt              time.Time
	Mandate, Signed      string // of what is collected: the mandate that it rests on, and its day
}

// PutBankPayment writes a payment, or its new state: state, reason and what was moved are all of it that change.
func (t *Tx) PutBankPayment(ctx context.Context, p BankPayment) error {
	_, err := t.exec(ctx, "put bank payment", `INSERT INTO bank_payment (id, day, kind, party, attempt, message, incoming, amount, name, account, bank, state, moved, reason, noted_ms, mandate, signed)
		VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
		ON CONFLICT (id) DO UPDATE SET state = excluded.state, moved = excluded.moved, reason = excluded.reason, noted_ms = excluded.noted_ms`,
		p.ID, p.Day, p.Kind, p.Party, p.Attempt, p.Message, asInt(p.Incoming), p.Amount.Minor(), p.Name, p.Account, p.Bank, p.State, asInt(p.Moved), p.Reason, p.NotedAt.UnixMilli(), p.Mandate, p.Signed)
	return err
}

func asInt(b bool) int {
	if b {
		return 1
	}
	return 0
}

// BankPayments lists the payments of a day by party and attempt.
func (t *Tx) BankPayments(ctx context.Context, day string) ([]BankPayment, error) {
	return t.bankPayments(ctx, `WHERE day = ? ORDER BY kind, party, attempt`, day)
}

// BankPaymentsOf lists the payments of a message by party.
func (t *Tx) BankPaymentsOf(ctx context.Context, message string) ([]BankPayment, error) {
	return t.bankPayments(ctx, `WHERE message = ? ORDER BY kind, party, attempt`, message)
}

// BankPayment finds a payment, or ErrNotFound.
func (t *Tx) BankPayment(ctx context.Context, id string) (BankPayment, error) {
	all, err := t.bankPayments(ctx, `WHERE id = ?`, id)
	if err == nil && len(all) == 0 {
		err = fmt.Errorf("bank payment %q: %w", id, ErrNotFound)
	}
	if err != nil {
		return BankPayment{}, err
	}
	return all[0], nil
}

func (t *Tx) bankPayments(ctx context.Context, where string, args ...any) ([]BankPayment, error) {
	var out []BankPayment
	err := t.rows(ctx, "bank payments", func(scan func(...any) error) error {
		var p BankPayment
		var incoming, moved int
		var amount, noted int64
		err := scan(&p.ID, &p.Day, &p.Kind, &p.Party, &p.Attempt, &p.Message, &incoming, &amount, &p.Name, &p.Account, &p.Bank, &p.State, &moved, &p.Reason, &noted, &p.Mandate, &p.Signed)
		p.Incoming, p.Moved, p.Amount, p.NotedAt = incoming == 1, moved == 1, money.Minor(amount), time.UnixMilli(noted)
		out = append(out, p)
		return err
	}, `SELECT id, day, kind, party, attempt, message, incoming, amount, name, account, bank, state, moved, reason, noted_ms, mandate, signed FROM bank_payment `+where, args...)
	return out, err
}

// BankEntry is a booked line of a statement that was read.
type BankEntry struct {
	Account, Statement, Ref string
	Digest                  string
	Day                     string
	Amount                  money.Amount
	Currency                string
	Credit                  bool
	Payments                string       // ids of ours, with a space between
	Unmatched               money.Amount // of it, what no payment of ours explains
	Text                    string
	ReadAt                  time.Time
}

// PutBankEntry writes a line that was read for the first time.
func (t *Tx) PutBankEntry(ctx context.Context, e BankEntry) error {
	_, err := t.exec(ctx, "put bank entry", `INSERT INTO bank_entry (account, statement, ref, digest, day, amount, currency, credit, payments, unmatched, text, read_ms)
		VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`,
		e.Account, e.Statement, e.Ref, e.Digest, e.Day, e.Amount.Minor(), e.Currency, asInt(e.Credit), e.Payments, e.Unmatched.Minor(), e.Text, e.ReadAt.UnixMilli())
	return err
}

// BankEntryDigest is the digest of a line that was read, "" for none.
func (t *Tx) BankEntryDigest(ctx context.Context, account, statement, ref string) (string, error) {
	var digest string
	_, err := t.one(ctx, "bank entry", `SELECT digest FROM bank_entry WHERE account = ? AND statement = ? AND ref = ?`, []any{account, statement, ref}, &digest)
	return digest, err
}

// UnmatchedBankEntries lists the lines that payments of ours do not explain, by day of booking, at most limit.
func (t *Tx) UnmatchedBankEntries(ctx context.Context, limit int) ([]BankEntry, error) {
	var out []BankEntry
	err := t.rows(ctx, "unmatched bank entries", func(scan func(...any) error) error {
		var e BankEntry
		var amount, unmatched, read int64
		var credit int
		err := scan(&e.Account, &e.Statement, &e.Ref, &e.Digest, &e.Day, &amount, &e.Currency, &credit, &e.Payments, &unmatched, &e.Text, &read)
		e.Amount, e.Unmatched, e.Credit, e.ReadAt = money.Minor(amount), money.Minor(unmatched), credit == 1, time.UnixMilli(read)
		out = append(out, e)
		return err
	}, `SELECT account, statement, ref, digest, day, amount, currency, credit, payments, unmatched, text, read_ms FROM bank_entry WHERE unmatched <> 0
		ORDER BY day, account, statement, ref LIMIT ?`, limit)
	return out, err
}

// BankAlarm is what somebody must look at.
type BankAlarm struct {
	About, What, Text string
	At                time.Time
}

// PutBankAlarm raises an alarm, once, and reports whether it is a new one.
func (t *Tx) PutBankAlarm(ctx context.Context, a BankAlarm) (bool, error) {
	digest := sha256.Sum256([]byte(a.Text))
	r, err := t.exec(ctx, "put bank alarm", `INSERT INTO bank_alarm (about, what, digest, text, noted_ms) VALUES (?, ?, ?, ?, ?) ON CONFLICT (about, what, digest) DO NOTHING`,
		a.About, a.What, hex.EncodeToString(digest[:]), a.Text, a.At.UnixMilli())
	if err != nil {
		return false, err
	}
	n, err := r.RowsAffected()
	return n == 1, err
}

// BankAlarms lists the alarms, latest first, at most limit.
func (t *Tx) BankAlarms(ctx context.Context, limit int) ([]BankAlarm, error) {
	var out []BankAlarm
	err := t.rows(ctx, "bank alarms", func(scan func(...any) error) error {
		var a BankAlarm
		var at int64
		err := scan(&a.About, &a.What, &a.Text, &at)
		a.At = time.UnixMilli(at)
		out = append(out, a)
		return err
	}, `SELECT about, what, text, noted_ms FROM bank_alarm ORDER BY noted_ms DESC, about, what, digest LIMIT ?`, limit)
	return out, err
}
