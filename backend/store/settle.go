package store

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/purselane/purselane/internal/ids"
	"github.com/purselane/purselane/internal/money"
	"github.com/purselane/purselane/shadowaccount"
	"github.com/purselane/purselane/shadowaccount/books"
)

// ClearingChannel is a payment channel that loads are paid through. Fees is its JSON list of fee standards.
type ClearingChannel struct {
	ID, Name, Fees string
}

// PutChannel registers or changes a payment channel.
func (t *Tx) PutChannel(ctx context.Context, c ClearingChannel) error {
	if err := ids.Check(c.ID); err != nil {
		return fmt.Errorf("channel %q: %w", c.ID, err)
	}
	if c.Fees == "" {
		c.Fees = "[]"
	}
	_, err := t.exec(ctx, "put channel", `INSERT INTO channel (id, name, fees) VALUES (?, ?, ?)
		ON CONFLICT (id) DO UPDATE SET name = excluded.name, fees = excluded.fees`, c.ID, c.Name, c.Fees)
	return err
}

// Channels lists the payment channels by id.
func (t *Tx) Channels(ctx context.Context) ([]ClearingChannel, error) {
	var out []ClearingChannel
	err := t.rows(ctx, "channels", func(scan func(...any) error) error {
		var c ClearingChannel
		err := scan(&c.ID, &c.Name, &c.Fees)
		out = append(out, c)
		return err
	}, `SELECT id, name, fees FROM channel ORDER BY id`)
	return out, err
}

// ClearingDay is a closed clearing day.
type ClearingDay struct {
	Day, Term, Due string
	ClosedAt       time.Time
	Digest         string // of the JSON report
	PaidAt         time.Time
	BankRef        string // "" while unpaid
	Version        int    // of the report's format when it closed
	Currency       string // ISO 4217 letters
	CaseAfter      int    // days after which what is held becomes a case
	ExpireAfter    int    // days between tap and arrival after which a tap is not paid for; 0: never
}

// Paid reports whether the day's positions were paid.
func (d ClearingDay) Paid() bool { return !d.PaidAt.IsZero() }

// CloseDay writes a clearing day that has just been closed. A day is closed once.
func (t *Tx) CloseDay(ctx context.Context, d ClearingDay) error {
	_, err := t.exec(ctx, "close day", `INSERT INTO settlement_day (day, term, due, closed_ms, digest, version, currency, case_after, expire_after) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)`,
		d.Day, d.Term, d.Due, d.ClosedAt.UnixMilli(), d.Digest, d.Version, d.Currency, d.CaseAfter, d.ExpireAfter)
	return err
}

// SetDayDigest notes the digest of the report of a day that is being closed.
func (t *Tx) SetDayDigest(ctx context.Context, day, digest string) error {
	_, err := t.exec(ctx, "digest of day", `UPDATE settlement_day SET digest = ? WHERE day = ? AND digest = ''`, digest, day)
	return err
}

// PayDay notes that a closed day was paid.
func (t *Tx) PayDay(ctx context.Context, day, bankRef string, at time.Time) error {
	_, err := t.exec(ctx, "pay day", `UPDATE settlement_day SET paid_ms = ?, bank_ref = ? WHERE day = ? AND paid_ms = 0`, at.UnixMilli(), bankRef, day)
	return err
}

// UnpayDay notes that a day which was paid through the bank no longer is: a payment came back.
func (t *Tx) UnpayDay(ctx context.Context, day string) error {
	_, err := t.exec(ctx, "unpay day", `UPDATE settlement_day SET paid_ms = 0, bank_ref = '' WHERE day = ?`, day)
	return err
}

// ClosedDay finds a closed clearing day, or ErrNotFound.
func (t *Tx) ClosedDay(ctx context.Context, day string) (ClearingDay, error) {
	all, err := t.closedDays(ctx, `WHERE day = ?`, day)
	if err == nil && len(all) == 0 {
		err = fmt.Errorf("clearing day %s: %w", day, ErrNotFound)
	}
	if err != nil {
		return ClearingDay{}, err
	}
	return all[0], nil
}

// ClosedDays lists closed clearing days, latest first, at most limit.
func (t *Tx) ClosedDays(ctx context.Context, limit int) ([]ClearingDay, error) {
	return t.closedDays(ctx, `ORDER BY day DESC LIMIT ?`, limit)
}

func (t *Tx) closedDays(ctx context.Context, where string, args ...any) ([]ClearingDay, error) {
	var out []ClearingDay
	err := t.rows(ctx, "closed days", func(scan func(...any) error) error {
		var d ClearingDay
		var closed, paid int64
		err := scan(&d.Day, &d.Term, &d.Due, &closed, &d.Digest, &paid, &d.BankRef, &d.Version, &d.Currency, &d.CaseAfter, &d.ExpireAfter)
		d.ClosedAt = time.UnixMilli(closed)
		if paid != 0 {
			d.PaidAt = time.UnixMilli(paid)
		}
		out = append(out, d)
		return err
	}, `SELECT day, term, due, closed_ms, digest, paid_ms, bank_ref, version, currency, case_after, expire_after FROM settlement_day `+where, args...)
	return out, err
}

// ClearingDay is the day in which something that comes at a moment is cleared: that moment's in its own time zone, the scheme's, unless it is
// closed.
func (t *Tx) ClearingDay(ctx context.Context, at time.Time) (string, error) {
	return t.openDay(ctx, at.Format(time.DateOnly))
}

// openDay is a day, or if that is closed the first after the last closed one.
func (t *Tx) openDay(ctx context.Context, day string) (string, error) {
	last, err := t.LastClosedDay(ctx)
	if err != nil || day > last {
		return day, err
	}
	closed, err := time.Parse(time.DateOnly, last)
	if err != nil {
		return "", fmt.Errorf("last closed day: %w", err)
	}
	return closed.AddDate(0, 0, 1).Format(time.DateOnly), nil
}

// LastClosedDay is the latest closed clearing day, "" for none.
func (t *Tx) LastClosedDay(ctx context.Context) (string, error) {
	var day string
	_, err := t.one(ctx, "last closed day", `SELECT day FROM settlement_day ORDER BY day DESC LIMIT 1`, nil, &day)
	return day, err
}

// PartyDay is a party's frozen inputs of a closed day, and its position.
type PartyDay struct {
	Kind, Party, Name string
	Fees              string // JSON list of fee standards, as they were
	Since             string // first day that charges per month count; "" before there were any
	Loads             money.Amount
	Net               money.Amount
}

// PutPartyDay freezes a party's day.
func (t *Tx) PutPartyDay(ctx context.Context, day string, p PartyDay) error {
	_, err := t.exec(ctx, "freeze party", `INSERT INTO settlement_party (day, kind, party, name, fees, since, loads, net) VALUES (?, ?, ?, ?, ?, ?, ?, ?)`,
		day, p.Kind, p.Party, p.Name, p.Fees, p.Since, p.Loads.Minor(), p.Net.Minor())
	return err
}

// SetPartyNet notes the position that came out for a party of a day that is being closed.
func (t *Tx) SetPartyNet(ctx context.Context, day, kind, party string, net money.Amount) error {
	_, err := t.exec(ctx, "net of party", `UPDATE settlement_party SET net = ? WHERE day = ? AND kind = ? AND party = ?`, net.Minor(), day, kind, party)
	return err
}

// PartyDays lists the parties of a closed day by kind and name.
func (t *Tx) PartyDays(ctx context.Context, day string) ([]PartyDay, error) {
	var out []PartyDay
	err := t.rows(ctx, "parties of day", func(scan func(...any) error) error {
		var p PartyDay
		var loads, net int64
		err := scan(&p.Kind, &p.Party, &p.Name, &p.Fees, &p.Since, &loads, &net)
		p.Loads, p.Net = money.Minor(loads), money.Minor(net)
		out = append(out, p)
		return err
	}, `SELECT kind, party, name, fees, since, loads, net FROM settlement_party WHERE day = ? ORDER BY kind, party`, day)
	return out, err
}

// UnpaidNet sums a party's positions of closed days that are not paid, nor on their way through the bank.
func (t *Tx) UnpaidNet(ctx context.Context, kind, party string) (money.Amount, error) {
	var sum int64
	_, err := t.one(ctx, "unpaid net", `SELECT COALESCE(SUM(p.net), 0) FROM settlement_party p JOIN settlement_day d ON d.day = p.day
		WHERE p.kind = ? AND p.party = ? AND d.paid_ms = 0
			AND NOT EXISTS (SELECT 1 FROM bank_payment b WHERE b.day = p.day AND b.kind = p.kind AND b.party = p.party AND b.moved = 1)`, []any{kind, party}, &sum)
	return money.Minor(sum), err
}

// LoadsSettled sums what closed days have settled of a party's loads.
func (t *Tx) LoadsSettled(ctx context.Context, kind, party string) (money.Amount, error) {
	var sum int64
	_, err := t.one(ctx, "loads settled", `SELECT COALESCE(SUM(loads), 0) FROM settlement_party WHERE kind = ? AND party = ?`, []any{kind, party}, &sum)
	return money.Minor(sum), err
}

// MovedThrough sums what entries up to a clearing day moved on an account, leaving out entries whose kind begins with
// the prefix given.
func (t *Tx) MovedThrough(ctx context.Context, a books.Account, day, exceptKind string) (money.Amount, error) {
	var sum int64
	_, err := t.one(ctx, "moved through", `SELECT COALESCE(SUM(l.amount), 0) FROM journal_line l JOIN journal_entry e ON e.id = l.entry
		WHERE l.account = ? AND e.day <= ? AND NOT (e.kind >= ? AND e.kind < ?)`, []any{string(a), day, exceptKind, exceptKind + "\U0010FFFF"}, &sum)
	return money.Minor(sum), err
}

// TapKey names a tap's claim to one counter of one card. Card is empty for a record that could not be read.
type TapKey struct {
	Card       []byte
	Counter    uint32
	Terminal   ids.TerminalID
	Epoch, Tap uint64
}

// Late is what is known of a tap that came too late to be paid for. Numbers are stored: they are never given a new meaning.
type Late int8

// Values of Late. The first day that settles a tap says whether it came in time, and that stays.
const (
	InTime      Late = 0
	TooLate     Late = 1 // not paid for; officers may decide otherwise
	LateGranted Late = 2 // too late, and officers decided to pay
	LateDenied  Late = 3 // too late, and officers decided that it stays so
)

// SettledState is what the last closed day left a tap in. Day is empty for a tap never settled.
type SettledState struct {
	Day      string
	Acquirer ids.AcquirerID
	Status   shadowaccount.Status
	Amount   money.Amount
	Late     Late
	Expired  bool // the day paid nothing for it, for it came too late
}

// Unsettled is a tap that is worth something else than the last closed day settled.
type Unsettled struct {
	TapKey
	Seq        uint64
	Merchant   ids.MerchantID
	Acquirer   ids.AcquirerID // the merchant's now; empty: the merchant is not registered
	Arrived    string         // clearing day
	At         time.Time      // by the terminal's clock
	ReceivedAt time.Time      // when the tap's first record came
	Status     shadowaccount.Status
	Amount     money.Amount
	Was        SettledState
}

// UnsettledTaps lists taps that arrived on or before a day and are worth something else than was settled: at most limit of them, those after a key, in
// the order of their keys. The zero key is before all.
func (t *Tx) UnsettledTaps(ctx context.Context, through string, after TapKey, limit int) ([]Unsettled, error) {
	var out []Unsettled
	err := t.rows(ctx, "unsettled taps", func(scan func(...any) error) error {
		var u Unsettled
		var epoch, amount, at, received, wasAmount int64
		err := scan(&u.Card, &u.Counter, &u.Terminal, &epoch, &u.Tap, &u.Seq, &u.Merchant, &u.Acquirer, &u.Arrived, &at, &received, &u.Status, &amount,
			&u.Was.Day, &u.Was.Acquirer, &u.Was.Status, &wasAmount, &u.Was.Late, &u.Was.Expired)
		u.Epoch, u.Amount, u.Was.Amount, u.At, u.ReceivedAt = uint64(epoch), money.Minor(amount), money.Minor(wasAmount), time.UnixMilli(at), time.UnixMilli(received)
		out = append(out, u)
		return err
	}, `SELECT c.card, c.counter, c.terminal, c.epoch, c.tap, c.seq, c.merchant, COALESCE(m.acquirer, ''), c.day, c.at_ms, c.received_ms, c.status, c.amount,
			COALESCE(s.day, ''), COALESCE(s.acquirer, ''), COALESCE(s.status, 0), COALESCE(s.amount, 0), COALESCE(s.late, 0), COALESCE(s.expired, 0)
		FROM claim c LEFT JOIN merchant m ON m.id = c.merchant
		LEFT JOIN settled s ON s.card = c.card AND s.counter = c.counter AND s.terminal = c.terminal AND s.epoch = c.epoch AND s.tap = c.tap
		WHERE (c.card, c.counter, c.terminal, c.epoch, c.tap) > (?, ?, ?, ?, ?)
			AND c.day <= ? AND (s.day IS NULL OR s.status <> c.status OR s.amount <> c.amount OR s.late = ? AND s.expired = 1)
		ORDER BY c.card, c.counter, c.terminal, c.epoch, c.tap LIMIT ?`,
		blob(after.Card), int64(after.Counter), string(after.Terminal), int64(after.Epoch), int64(after.Tap), through, LateGranted, limit)
	return out, err
}

// RejectedRecord is a record that never became a tap.
type RejectedRecord struct {
	Terminal   ids.TerminalID
	Epoch, Seq uint64
	Merchant   ids.MerchantID
	Acquirer   ids.AcquirerID // empty: the terminal is not registered
	Arrived    string
	Verdict    string
}

// UnsettledRejects lists the records up to a day that never became taps and are in no closed day: at most limit of them, those after a record of a
// terminal, in the order of terminal, epoch and sequence number. An empty terminal is before all.
func (t *Tx) UnsettledRejects(ctx context.Context, through string, after RejectedRecord, limit int) ([]RejectedRecord, error) {
	var out []RejectedRecord
	err := t.rows(ctx, "unsettled rejects", func(scan func(...any) error) error {
		var r RejectedRecord
		var epoch int64
		err := scan(&r.Terminal, &epoch, &r.Seq, &r.Merchant, &r.Acquirer, &r.Arrived, &r.Verdict)
		r.Epoch = uint64(epoch)
		out = append(out, r)
		return err
	}, `SELECT r.terminal, r.epoch, r.seq, COALESCE(m.id, ''), COALESCE(m.acquirer, ''), r.day, r.verdict
		FROM record_apart r LEFT JOIN terminal x ON x.id = r.terminal LEFT JOIN merchant m ON m.id = x.merchant
		WHERE (r.terminal, r.epoch, r.seq) > (?, ?, ?) AND r.day <= ? AND r.verdict <> ?
			AND NOT EXISTS (SELECT 1 FROM settlement_item i WHERE i.terminal = r.terminal AND i.epoch = r.epoch AND i.tap = 0 AND i.seq = r.seq AND i.card = ?)
		ORDER BY r.terminal, r.epoch, r.seq LIMIT ?`, string(after.Terminal), int64(after.Epoch), int64(after.Seq), through, verdictUnnamed, []byte{}, limit)
	return out, err
}

// PendingThrough counts the records up to a clearing day that are accepted and not posted.
func (t *Tx) PendingThrough(ctx context.Context, day string) (int, error) {
	var n int
	_, err := t.one(ctx, "pending through", `SELECT CAST(COALESCE(SUM(records), 0) AS BIGINT) FROM record_waiting WHERE day <= ?`, []any{day}, &n)
	return n, err
}

// EarlierOpenDay is the first day after the last closed one and before day that has taps or records, "" for none.
func (t *Tx) EarlierOpenDay(ctx context.Context, lastClosed, day string) (string, error) {
	var first string
	_, err := t.one(ctx, "earlier open day", `SELECT COALESCE(MIN(d), '') FROM (
		SELECT MIN(day) AS d FROM claim WHERE day > ?1 AND day < ?2 UNION ALL SELECT MIN(day) FROM record_waiting WHERE day > ?1 AND day < ?2
		UNION ALL SELECT MIN(day) FROM record_posted WHERE day > ?1 AND day < ?2 UNION ALL SELECT MIN(day) FROM record_apart WHERE day > ?1 AND day < ?2) AS days`,
		[]any{lastClosed, day}, &first)
	return first, err
}

// Item is what a closed day settled of one tap or of one unreadable record.
type Item struct {
	TapKey
	Seq        uint64
	Merchant   ids.MerchantID
	Acquirer   ids.AcquirerID
	Arrived    string
	Class      string
	Reason     string
	Amount     money.Amount
	Expired    bool // it stands, and is not paid for: it came too late
	WasDay     string
	WasClass   string
	WasAmount  money.Amount
	WasExpired bool
}

// CardNumber is the card the item names; zero for a record that could not be read.
func (i Item) CardNumber() (n ids.CardNumber) {
	copy(n[:], i.Card)
	return n
}

// perStatement is how many rows one statement writes: enough that a statement costs little a row, and far below the number of placeholders that the
// engines allow.
const perStatement = 500

// writeRows writes rows of n columns, many with a statement. fill appends one row's values.
func writeRows[T any](ctx context.Context, t *Tx, what, insert, rest string, n int, rows []T, fill func([]any, T) []any) error {
	one := "(" + strings.Repeat("?, ", n-1) + "?)"
	for part := range slices.Chunk(rows, perStatement) {
		args := make([]any, 0, n*len(part))
		for _, r := range part {
			args = fill(args, r)
		}
		if _, err := t.exec(ctx, what, insert+" VALUES "+strings.Repeat(one+", ", len(part)-1)+one+rest, args...); err != nil {
			return err
		}
	}
	return nil
}

// Told is how a closed day told of a number: to which acquirer, on which day.
type Told struct {
	Day      string
	Acquirer ids.AcquirerID
}

// QuarantinedItems are the numbers that days closed before one told of as quarantined: few, for it takes a batch that its terminal signed and nobody can read.
func (t *Tx) QuarantinedItems(ctx context.Context, before string) (map[RecordName]Told, error) {
	out := map[RecordName]Told{}
	err := t.rows(ctx, "quarantined items", func(scan func(...any) error) error {
		var n RecordName
		var told Told
		var epoch int64
		err := scan(&n.Terminal, &epoch, &n.Seq, &told.Day, &told.Acquirer)
		n.Epoch = uint64(epoch)
		out[n] = told
		return err
	}, `SELECT terminal, epoch, seq, day, acquirer FROM settlement_item WHERE reason = 'quarantined' AND day < ? ORDER BY day, terminal, epoch, seq`, before)
	return out, err
}

// WasTold reports whether a day told of a tap: one that leaves it without a debit, and that no day had told of, says nothing.
func (t *Tx) WasTold(ctx context.Context, day string, k TapKey) (bool, error) {
	var n int
	return t.one(ctx, "tap that was told of", `SELECT 1 FROM settlement_item WHERE terminal = ? AND epoch = ? AND tap = ? AND day = ? AND card = ? AND counter = ? LIMIT 1`,
		[]any{string(k.Terminal), int64(k.Epoch), k.Tap, day, blob(k.Card), int(k.Counter)}, &n)
}

// RecordName names a record: its terminal, the epoch of its journal, and its number there.
type RecordName struct {
	Terminal   ids.TerminalID
	Epoch, Seq uint64
}

// PutItems freezes items of a day.
func (t *Tx) PutItems(ctx context.Context, day string, items []Item) error {
	return writeRows(ctx, t, "freeze items", `INSERT INTO settlement_item (day, card, counter, terminal, epoch, tap, seq, merchant, acquirer, arrived,
		class, reason, amount, expired, was_day, was_class, was_amount, was_expired)`, "", 18, items, func(args []any, i Item) []any {
		return append(args, day, blob(i.Card), int(i.Counter), string(i.Terminal), int64(i.Epoch), i.Tap, i.Seq, string(i.Merchant), string(i.Acquirer), i.Arrived,
			i.Class, i.Reason, i.Amount.Minor(), i.Expired, i.WasDay, i.WasClass, i.WasAmount.Minor(), i.WasExpired)
	})
}

// SettledTap is a tap with the state that a closing day leaves it in.
type SettledTap struct {
	TapKey
	SettledState
}

// PutSettled notes the states a closing day leaves taps in.
func (t *Tx) PutSettled(ctx context.Context, taps []SettledTap) error {
	return writeRows(ctx, t, "note settled", `INSERT INTO settled (card, counter, terminal, epoch, tap, day, acquirer, status, amount, late, expired)`,
		` ON CONFLICT (card, counter, terminal, epoch, tap) DO UPDATE SET day = excluded.day, status = excluded.status, amount = excluded.amount, late = excluded.late,
			expired = excluded.expired`, 11, taps, func(args []any, s SettledTap) []any {
			return append(args, blob(s.Card), int(s.Counter), string(s.Terminal), int64(s.Epoch), s.Tap, s.Day, string(s.Acquirer), int(s.Status), s.Amount.Minor(), int(s.Late), s.Expired)
		})
}

// blob keeps an empty card number from becoming NULL.
func blob(b []byte) []byte {
	if b == nil {
		return []byte{}
	}
	return b
}

const itemColumns = `i.card, i.counter, i.terminal, i.epoch, i.tap, i.seq, i.merchant, i.acquirer, i.arrived, i.class, i.reason, i.amount,
	i.expired, i.was_day, i.was_class, i.was_amount, i.was_expired`

const itemOrder = ` ORDER BY i.terminal, i.epoch, i.tap, i.seq, i.card, i.counter`

// EachItem calls each with the items of a closed day in one fixed order, one at a time: there may be millions. each must not ask the database.
func (t *Tx) EachItem(ctx context.Context, day string, each func(Item) error) error {
	return t.eachItem(ctx, each, `WHERE i.day = ?`+itemOrder, day)
}

// EachItemOf is [Tx.EachItem] for the items of one acquirer, with the tokens of their cards. Error: ErrNotFound if a card is gone.
func (t *Tx) EachItemOf(ctx context.Context, day string, acquirer ids.AcquirerID, each func(i Item, token string) error) error {
	return t.rows(ctx, "items of acquirer", func(scan func(...any) error) error {
		var token string
		i, err := scanItem(scan, &token)
		if err != nil {
			return err
		}
		if token == "" && len(i.Card) > 0 {
			return fmt.Errorf("token of card %v: %w", i.CardNumber(), ErrNotFound)
		}
		return each(i, token)
	}, `SELECT `+itemColumns+`, COALESCE(c.token, '') FROM settlement_item i LEFT JOIN card c ON c.number = i.card WHERE i.day = ? AND i.acquirer = ?`+itemOrder,
		day, string(acquirer))
}

// EachSuspect calls each with the items that stood as suspect when a day closed: held, and getting older. The order is that of [Tx.EachItem].
func (t *Tx) EachSuspect(ctx context.Context, day string, each func(Item) error) error {
	return t.eachItem(ctx, each, `WHERE i.class = 'suspect' AND i.day <= ? AND NOT EXISTS (SELECT 1 FROM settlement_item n
		WHERE n.terminal = i.terminal AND n.epoch = i.epoch AND n.tap = i.tap AND n.card = i.card AND n.counter = i.counter AND n.day > i.day AND n.day <= ?)`+itemOrder, day, day)
}

func (t *Tx) eachItem(ctx context.Context, each func(Item) error, where string, args ...any) error {
	return t.rows(ctx, "items", func(scan func(...any) error) error {
		i, err := scanItem(scan)
		if err != nil {
			return err
		}
		return each(i)
	}, `SELECT `+itemColumns+` FROM settlement_item i `+where, args...)
}

func scanItem(scan func(...any) error, more ...any) (i Item, err error) {
	var epoch, amount, was int64
	err = scan(append([]any{&i.Card, &i.Counter, &i.Terminal, &epoch, &i.Tap, &i.Seq, &i.Merchant, &i.Acquirer, &i.Arrived, &i.Class, &i.Reason, &amount,
		&i.Expired, &i.WasDay, &i.WasClass, &was, &i.WasExpired}, more...)...)
	i.Epoch, i.Amount, i.WasAmount = uint64(epoch), money.Minor(amount), money.Minor(was)
	return i, err
}

// SettledMerchants lists the merchants that a closed day says something of.
func (t *Tx) SettledMerchants(ctx context.Context, day string) ([]ids.MerchantID, error) {
	var out []ids.MerchantID
	err := t.rows(ctx, "merchants of day", func(scan func(...any) error) error {
		var m ids.MerchantID
		err := scan(&m)
		out = append(out, m)
		return err
	}, `SELECT DISTINCT merchant FROM settlement_item WHERE day = ? ORDER BY merchant`, day)
	return out, err
}

// UnsettledValues sums, by merchant, what its accepted taps of all days are worth less what closed days settled or let expire: what the
// books must hold as pending. A merchant without taps has no entry.
func (t *Tx) UnsettledValues(ctx context.Context) (map[ids.MerchantID]money.Amount, error) {
	out := map[ids.MerchantID]money.Amount{}
	err := t.rows(ctx, "unsettled values", func(scan func(...any) error) error {
		var m ids.MerchantID
		var sum int64
		err := scan(&m, &sum)
		out[m] = money.Minor(sum)
		return err
	}, `SELECT merchant, SUM(amount) FROM (
			SELECT merchant, amount FROM claim WHERE status IN (?, ?, ?)
			UNION ALL SELECT merchant, -amount FROM settlement_item WHERE class = 'accepted' OR expired = 1
			UNION ALL SELECT merchant, was_amount FROM settlement_item WHERE was_class = 'accepted' OR was_expired = 1)
		AS worth GROUP BY merchant ORDER BY merchant`, int(shadowaccount.Stands), int(shadowaccount.Inferred), int(shadowaccount.Granted))
	return out, err
}

// ExpiredSum is what expired of a merchant's taps, less what an earlier day let expire and this one takes back.
type ExpiredSum struct {
	Merchant ids.MerchantID
	Amount   money.Amount
}

// ExpiredSums lists what expired in a closed day, or with an empty one in all, by merchant; merchants of whose taps nothing did are not in it.
func (t *Tx) ExpiredSums(ctx context.Context, day string) ([]ExpiredSum, error) {
	var out []ExpiredSum
	err := t.rows(ctx, "expired", func(scan func(...any) error) error {
		var e ExpiredSum
		var sum int64
		err := scan(&e.Merchant, &sum)
		e.Amount = money.Minor(sum)
		out = append(out, e)
		return err
	}, `SELECT merchant, SUM(CASE WHEN expired = 1 THEN amount ELSE 0 END) - SUM(CASE WHEN was_expired = 1 THEN was_amount ELSE 0 END)
		FROM settlement_item WHERE (? = '' OR day = ?) AND (expired = 1 OR was_expired = 1) GROUP BY merchant ORDER BY merchant`, day, day)
	return out, err
}
