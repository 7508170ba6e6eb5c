package settlement

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/purselane/purselane/backend/store"
	"github.com/purselane/purselane/internal/ids"
	"github.com/purselane/purselane/internal/money"
	"github.com/purselane/purselane/shadowaccount/books"
	"github.com/purselane/purselane/shadowaccount/calendar"
)

// Options of a close.
type Options struct {
	Now      time.Time      // the moment of closing; a day that lies after it is refused
	Location *time.Location // of the scheme, for "today"; nil: Now's own
	Term     calendar.Term  // when positions are due; zero: T+1
	Calendar calendar.Table // zero: plain weeks without holidays
	Currency string         // of the files, ISO 4217 letters; "": CNY
	// CaseAfter is how many days a record is held before the acquirer's report calls it a case; 0: 30.
	CaseAfter int
	// ExpireAfter is how many calendar days of the scheme may lie between a tap, by its terminal's clock, and the arrival of its first record. One that comes later
	// expires: the card has paid, and the acquirer is not. 0: none expires.
	ExpireAfter int
}

// What a scheme has that says nothing else.
const (
	defaultCurrency  = "CNY"
	defaultCaseAfter = 30
)

// Entries of settlement, so that what they move is not settled once more.
const (
	kindPrefix  = "settle-"
	kindClose   = kindPrefix + "close"
	kindExpired = kindPrefix + "expired"
	kindFees    = kindPrefix + "fees"
	kindPayment = kindPrefix + "pay"
)

// Close closes a clearing day: it freezes its items, posts its entries and returns its report. Closing a closed day
// returns the same report, byte for byte, whatever has happened since. Everything is one transaction: a day is closed or it
// is not.
//
// A record that arrives on a day that is closed already is settled with the next day. Errors: [ErrFuture], [ErrNotPosted],
// [ErrOrder], [ErrBooks], and a fault in a party's fee standards.
//
// The files are in memory; [CloseDay] and [Write] keep none there.
func Close(ctx context.Context, s *store.Store, day string, o Options) (Output, error) {
	var out Output
	head, err := closeDay(ctx, s, day, o, func() Create {
		out = Output{}
		return out.create
	})
	if err != nil {
		return Output{}, err
	}
	out.Head = head
	return out, nil
}

// CloseDay is [Close] for a day of any size: its files are hashed and not kept. [Write] writes them.
func CloseDay(ctx context.Context, s *store.Store, day string, o Options) (Head, error) {
	return closeDay(ctx, s, day, o, func() Create { return discard })
}

// closeDay closes a day and renders it. It may render more than once; each time it asks where to.
func closeDay(ctx context.Context, s *store.Store, day string, o Options, to func() Create) (Head, error) {
	date, err := calendar.ParseDate(day)
	if err != nil {
		return Head{}, err
	}
	if out, err := writeDay(ctx, s, day, to); !errors.Is(err, ErrNotClosed) {
		return out, err
	}
	if o.Location == nil {
		o.Location = o.Now.Location()
	}
	if o.Term == (calendar.Term{}) {
		o.Term = calendar.Term{Unit: calendar.Working, Days: 1}
	}
	if o.Currency == "" {
		o.Currency = defaultCurrency
	}
	if o.CaseAfter == 0 {
		o.CaseAfter = defaultCaseAfter
	}
	if today := calendar.DateOf(o.Now.In(o.Location)); date > today {
		return Head{}, fmt.Errorf("close %s: %w: today is %s", day, ErrFuture, today)
	}
	due, err := o.Calendar.Due(date, o.Term)
	if err != nil {
		return Head{}, fmt.Errorf("close %s: %w", day, err)
	}
	var out Head
	err = s.Update(ctx, func(tx *store.Tx) error {
		var err error
		if out, err = loadDay(ctx, tx, day, to()); !errors.Is(err, ErrNotClosed) {
			return err // somebody closed it while we waited
		}
		c := closing{tx: tx, day: day, expireAfter: o.ExpireAfter, location: o.Location, expiry: map[ids.MerchantID]int{}}
		if err := c.allowed(ctx); err != nil {
			return err
		}
		head := store.ClearingDay{Day: day, Term: o.Term.String(), Due: string(due), ClosedAt: o.Now, Version: Version, Currency: o.Currency, CaseAfter: o.CaseAfter,
			ExpireAfter: o.ExpireAfter}
		if err := tx.CloseDay(ctx, head); err != nil {
			return err
		}
		if err := c.freeze(ctx); err != nil {
			return err
		}
		frozen, err := thaw(ctx, tx, head)
		if err != nil {
			return err
		}
		if out, err = frozen.render(to()); err != nil {
			return err
		}
		if err := c.post(ctx, out.Report); err != nil {
			return err
		}
		if err := c.check(ctx, out.Report); err != nil {
			return err
		}
		return tx.SetDayDigest(ctx, day, out.Digest)
	})
	if err != nil {
		return Head{}, fmt.Errorf("close %s: %w", day, err)
	}
	return out, nil
}

// closing is one close under way.
type closing struct {
	tx          *store.Tx
	day         string
	expireAfter int
	location    *time.Location
	quarantined map[store.RecordName]store.Told // what earlier days told of as such
	expiry      map[ids.MerchantID]int          // expireAfter, or what contracts say instead, of the merchants looked at
}

// allowed reports why the day cannot be closed now.
func (c closing) allowed(ctx context.Context) error {
	last, err := c.tx.LastClosedDay(ctx)
	if err != nil {
		return err
	}
	if last != "" && c.day < last {
		return fmt.Errorf("%w: %s is closed already, and what arrives late belongs to a later day", ErrOrder, last)
	}
	earlier, err := c.tx.EarlierOpenDay(ctx, last, c.day)
	if err != nil {
		return err
	}
	if earlier != "" {
		return fmt.Errorf("%w: close %s first", ErrOrder, earlier)
	}
	waiting, err := c.tx.PendingThrough(ctx, c.day)
	if err != nil {
		return err
	}
	if waiting > 0 {
		return fmt.Errorf("%w: %d records that arrived on or before the day wait to be verified: run the intake, then close again", ErrNotPosted, waiting)
	}
	return nil
}

// atOnce is how many taps are frozen with one look at the store: a day of a million is never held in memory.
const atOnce = 5000

// freeze writes the day's items and its parties' inputs.
func (c closing) freeze(ctx context.Context) error {
	var err error
	if c.quarantined, err = c.tx.QuarantinedItems(ctx, c.day); err != nil {
		return err
	}
	var after store.TapKey
	for {
		taps, err := c.tx.UnsettledTaps(ctx, c.day, after, atOnce)
		if err != nil {
			return err
		}
		if err := c.freezeTaps(ctx, taps); err != nil {
			return err
		}
		if len(taps) < atOnce {
			break
		}
		after = taps[len(taps)-1].TapKey
	}
	if err := c.freezeRejects(ctx); err != nil {
		return err
	}
	return c.freezeParties(ctx)
}

// freezeRejects writes the day's items of records that never became taps.
func (c closing) freezeRejects(ctx context.Context) error {
	var after store.RejectedRecord
	for {
		rejects, err := c.tx.UnsettledRejects(ctx, c.day, after, atOnce)
		if err != nil {
			return err
		}
		var items []store.Item
		for _, r := range rejects {
			if r.Acquirer == "" {
				return fmt.Errorf("record %s/%x/%d: its terminal is not registered: register it, so that its acquirer can be told", r.Terminal, r.Epoch, r.Seq)
			}
			items = append(items, store.Item{TapKey: store.TapKey{Terminal: r.Terminal, Epoch: r.Epoch}, Seq: r.Seq, Merchant: r.Merchant,
				Acquirer: r.Acquirer, Arrived: r.Arrived, Class: string(Rejected), Reason: r.Verdict})
		}
		if err := c.tx.PutItems(ctx, c.day, items); err != nil {
			return err
		}
		if len(rejects) < atOnce {
			return nil
		}
		after = rejects[len(rejects)-1]
	}
}

func (c closing) freezeTaps(ctx context.Context, taps []store.Unsettled) error {
	var items []store.Item
	settled := make([]store.SettledTap, 0, len(taps))
	for _, u := range taps {
		late, err := c.late(ctx, u)
		if err != nil {
			return err
		}
		item, state, tell, err := c.freezeTap(ctx, u, late)
		if err != nil {
			return fmt.Errorf("tap %v: %w", ids.TapID{Terminal: u.Terminal, Epoch: u.Epoch, Tap: u.Tap}, err)
		}
		settled = append(settled, store.SettledTap{TapKey: u.TapKey, SettledState: state})
		if tell {
			items = append(items, item)
		}
	}
	if err := c.tx.PutSettled(ctx, settled); err != nil {
		return err
	}
	return c.tx.PutItems(ctx, c.day, items)
}

// late says whether a tap came too late. The first day that settles it says so for good: neither a new rule nor a record that corrects its time changes what
// was told.
func (c closing) late(ctx context.Context, u store.Unsettled) (store.Late, error) {
	if u.Was.Day != "" {
		return u.Was.Late, nil
	}
	days, err := c.expiryOf(ctx, u)
	if err != nil || !tooLate(u.At, u.ReceivedAt, c.location, days) {
		return store.InTime, err
	}
	// A terminal that says itself that it does not know the time does not make its taps late by it.
	known, err := c.clockKnown(ctx, u)
	if err != nil || !known {
		return store.InTime, err
	}
	return store.TooLate, nil
}

// freezeTap works out what the day says of a tap, and whether it tells its acquirer of it.
func (c closing) freezeTap(ctx context.Context, u store.Unsettled, late store.Late) (store.Item, store.SettledState, bool, error) {
	class, reason, err := classify(u.Status, late)
	if err != nil {
		return store.Item{}, store.SettledState{}, false, err
	}
	item := store.Item{TapKey: u.TapKey, Seq: u.Seq, Merchant: u.Merchant, Acquirer: u.Acquirer, Arrived: u.Arrived,
		Class: string(class), Reason: reason, Amount: u.Amount, Expired: reason == ReasonExpired}
	same := false
	if u.Was.Day != "" {
		wasLate := u.Was.Late
		if u.Was.Expired {
			wasLate = store.TooLate // whatever officers have decided since
		}
		wasClass, wasReason, err := classify(u.Was.Status, wasLate)
		if err != nil {
			return store.Item{}, store.SettledState{}, false, err
		}
		// A correction goes to whom the tap was settled with, also if the merchant has changed its acquirer since.
		item.Acquirer = u.Was.Acquirer
		item.WasDay, item.WasClass, item.WasAmount, item.WasExpired = u.Was.Day, string(wasClass), u.Was.Amount, u.Was.Expired
		same = class == wasClass && reason == wasReason && u.Amount == u.Was.Amount
	}
	if told, found := c.quarantined[store.RecordName{Terminal: u.Terminal, Epoch: u.Epoch, Seq: u.Seq}]; found {
		// The number was told of as one that nobody could read; its good record has come since, and goes to whom it was told. A tap that seemed not to have happened may have
		// been settled before that, and in no report.
		before := false
		if u.Was.Day != "" {
			if before, err = c.tx.WasTold(ctx, u.Was.Day, u.TapKey); err != nil {
				return store.Item{}, store.SettledState{}, false, err
			}
		}
		if !before {
			item.Acquirer, item.WasDay, item.WasClass, item.WasAmount, item.WasExpired = told.Acquirer, told.Day, string(Rejected), money.Amount{}, false
			same = false
		}
	}
	if item.Acquirer == "" {
		return store.Item{}, store.SettledState{}, false, fmt.Errorf("merchant %q has no acquirer: register it", u.Merchant)
	}
	state := store.SettledState{Day: c.day, Acquirer: item.Acquirer, Status: u.Status, Amount: u.Amount, Late: late, Expired: item.Expired}
	if same {
		state.Day = u.Was.Day // a correction names the day that told of the tap
	}
	// Proved instead of inferred is worth the same; and a tap that never happened was never anybody's, unless a day told of it.
	return item, state, !same && (class != Void || item.WasDay != ""), nil
}

// freezeParties notes each party's fee standards as they are now, and what its loads came to since the last close.
func (c closing) freezeParties(ctx context.Context) error {
	acquirers, err := c.tx.Acquirers(ctx)
	if err != nil {
		return err
	}
	channels, err := c.tx.Channels(ctx)
	if err != nil {
		return err
	}
	put := func(kind, party, name, fees string, account books.Account) error {
		moved, err := c.tx.MovedThrough(ctx, account, c.day, kindPrefix)
		if err != nil {
			return err
		}
		settled, err := c.tx.LoadsSettled(ctx, kind, party)
		if err != nil {
			return err
		}
		loads, err := moved.Sub(settled)
		if err != nil {
			return fmt.Errorf("%s %s: loads: %w", kind, party, err)
		}
		fees, since, _, err := inForce(ctx, c.tx, kind, party, fees, c.day)
		if err != nil {
			return err
		}
		return c.tx.PutPartyDay(ctx, c.day, store.PartyDay{Kind: kind, Party: party, Name: name, Fees: fees, Since: since, Loads: loads})
	}
	for _, a := range acquirers {
		if err := put(partyAcquirer, string(a.ID), a.Name, a.Fees, books.AcquirerSoldLoads(a.ID)); err != nil {
			return err
		}
	}
	for _, ch := range channels {
		if err := put(partyChannel, ch.ID, ch.Name, ch.Fees, books.Channel(ch.ID)); err != nil {
			return err
		}
	}
	if err := c.freezeMerchants(ctx); err != nil {
		return err
	}
	return c.freezeDue(ctx)
}

// freezeDue notes the fees of earlier months that nobody has taken: those of the month before in the first day that is closed of a month, else none.
func (c closing) freezeDue(ctx context.Context) error {
	due, err := c.tx.FeesOutstanding(ctx, string(calendar.Date(c.day).MonthStart()))
	if err != nil {
		return err
	}
	for _, d := range due {
		if err := c.tx.PutCollected(ctx, c.day, d); err != nil {
			return err
		}
	}
	return nil
}

// freezeMerchants notes the fee standards of the merchants that are charged by contracts of their own. A contract that has
// ended matters only to a merchant that the day settles something of.
func (c closing) freezeMerchants(ctx context.Context) error {
	contracts, err := c.tx.Contracts(ctx)
	if err != nil || len(contracts) == 0 {
		return err
	}
	all, err := c.tx.SettledMerchants(ctx, c.day)
	if err != nil {
		return err
	}
	settled := map[string]bool{}
	for _, m := range all {
		settled[string(m)] = true
	}
	for _, k := range contracts {
		if k.Kind != partyMerchant || !settled[k.Party] {
			continue
		}
		fees, since, kept, err := inForce(ctx, c.tx, k.Kind, k.Party, "", c.day)
		if err != nil {
			return err
		}
		if !kept {
			continue
		}
		if err := c.tx.PutMerchantFees(ctx, c.day, store.MerchantFees{Merchant: ids.MerchantID(k.Party), Fees: fees, Since: since}); err != nil {
			return err
		}
	}
	return nil
}

// post writes the day's entries: merchant pending → available and fees, available and sold loads → acquirer clearing,
// channel fees. Their ids name day and party, so that no day is posted twice.
func (c closing) post(ctx context.Context, r Report) error {
	if err := c.postExpired(ctx); err != nil {
		return err
	}
	for _, a := range r.Acquirers {
		id := ids.AcquirerID(a.ID)
		var clearing []books.Line
		for _, m := range a.Merchants {
			if err := c.entry(ctx, "merchant:"+a.ID+":"+m.ID, merchantLines(m)); err != nil {
				return err
			}
			if err := c.postMonthly(ctx, id, m); err != nil {
				return err
			}
			clearing = append(clearing, move(books.MerchantAvailable(ids.MerchantID(m.ID)), books.AcquirerClearing(id), m.Net)...)
		}
		clearing = append(clearing, move(books.AcquirerClearing(id), books.AcquirerSoldLoads(id), a.SoldLoads)...)
		if err := c.entry(ctx, "acquirer:"+a.ID, clearing); err != nil {
			return err
		}
		if err := c.tx.SetPartyNet(ctx, c.day, partyAcquirer, a.ID, a.Net); err != nil {
			return err
		}
	}
	for _, ch := range r.Channels {
		if ch.BorneBy == "issuer" {
			if err := c.entry(ctx, "channel:"+ch.ID, move(books.FeeChannel, books.Channel(ch.ID), ch.Fees.Total)); err != nil {
				return err
			}
		}
		if err := c.tx.SetPartyNet(ctx, c.day, partyChannel, ch.ID, ch.Net); err != nil {
			return err
		}
	}
	return nil
}

func (c closing) entry(ctx context.Context, what string, lines []books.Line) error {
	id := kindClose + ":" + c.day + ":" + what // ids hold no colon, so no two entries share a name
	return c.tx.Post(ctx, books.Entry{ID: id, Kind: kindClose, Day: c.day, Ref: c.day, Lines: lines})
}

// postMonthly takes what a merchant owes in fees of earlier months, and notes what its day adds to what it owes for this one.
func (c closing) postMonthly(ctx context.Context, a ids.AcquirerID, m MerchantSection) error {
	id := ids.MerchantID(m.ID)
	entry := books.Entry{ID: kindFees + ":" + c.day + ":" + string(a) + ":" + m.ID, Kind: kindFees, Day: c.day, Ref: c.day,
		Lines: move(books.MerchantAvailable(id), books.MerchantFeesDue(id), m.Collected)}
	if err := c.tx.Post(ctx, entry); err != nil {
		return err
	}
	if m.Accrued == nil || m.Accrued.Total.IsZero() {
		return nil
	}
	return c.tx.PutAccrued(ctx, c.day, store.FeesDue{Acquirer: a, Merchant: id, Amount: m.Accrued.Total})
}

// postExpired moves what expires out of what merchants have pending, and back what an earlier day let expire and no longer does.
func (c closing) postExpired(ctx context.Context) error {
	all, err := c.tx.ExpiredSums(ctx, c.day)
	if err != nil {
		return err
	}
	for _, e := range all {
		lines := move(books.MerchantPending(e.Merchant), books.SuspExpired, e.Amount)
		id := kindExpired + ":" + c.day + ":" + string(e.Merchant)
		if err := c.tx.Post(ctx, books.Entry{ID: id, Kind: kindExpired, Day: c.day, Ref: c.day, Lines: lines}); err != nil {
			return err
		}
	}
	return nil
}

// merchantLines moves a merchant's gross out of pending: what is left of it becomes available, each kind of fee and tax gets its part,
// and rounding the rest. Fees that are taken once a month are earned today like others; the merchant owes them.
func merchantLines(m MerchantSection) []books.Line {
	id := ids.MerchantID(m.ID)
	left := money.Minor(m.Net.Minor() + m.Collected.Minor()) // netting has shown it to be in range
	lines := append(move(books.MerchantPending(id), books.MerchantAvailable(id), left), feeLines(books.MerchantPending(id), m.Fees)...)
	if m.Accrued != nil {
		lines = append(lines, feeLines(books.MerchantFeesDue(id), *m.Accrued)...)
	}
	return lines
}

// feeLines charges an account a fee, each part to where it belongs.
func feeLines(from books.Account, f Fees) []books.Line {
	var lines []books.Line
	for _, p := range f.Parts {
		to := books.FeeMerchant + books.Account(":"+p.Kind)
		if p.Tax {
			to = books.Tax(p.Kind)
		}
		lines = append(lines, move(from, to, p.Amount)...)
	}
	return append(lines, move(from, books.Rounding, f.Rounding)...)
}

// move is books.Move for sums that netting has already shown to be in range.
func move(debit, credit books.Account, a money.Amount) []books.Line {
	return []books.Line{{Account: debit, Amount: a}, {Account: credit, Amount: money.Minor(-a.Minor())}}
}

// check compares the books after the close with the taps and with the positions. A difference undoes the close: a day that does not
// prove must not be paid.
func (c closing) check(ctx context.Context, r Report) error {
	all, err := c.tx.TrialBalance(ctx)
	if err != nil {
		return err
	}
	total, err := books.Total(all)
	if err != nil {
		return err
	}
	if !total.IsZero() {
		return fmt.Errorf("%w: the trial balance is off by %v", ErrBooks, total)
	}
	left, err := c.tx.UnsettledValues(ctx)
	if err != nil {
		return err
	}
	merchants, err := c.tx.Merchants(ctx)
	if err != nil {
		return err
	}
	due, err := c.tx.FeesDueByMerchant(ctx)
	if err != nil {
		return err
	}
	for _, m := range merchants {
		if err := c.holds(ctx, books.MerchantPending(m.ID), left[m.ID]); err != nil {
			return err
		}
		if err := c.holds(ctx, books.MerchantFeesDue(m.ID), money.Minor(-due[m.ID].Minor())); err != nil {
			return err
		}
	}
	expired, err := c.tx.ExpiredSums(ctx, "")
	if err != nil {
		return err
	}
	var s sum
	var lies money.Amount
	for _, e := range expired {
		s.add(&lies, e.Amount)
	}
	if s.err != nil {
		return s.err
	}
	if err := c.holds(ctx, books.SuspExpired, lies); err != nil {
		return err
	}
	for _, a := range r.Acquirers {
		unpaid, err := c.tx.UnpaidNet(ctx, partyAcquirer, a.ID)
		if err != nil {
			return err
		}
		if err := c.holds(ctx, books.AcquirerClearing(ids.AcquirerID(a.ID)), unpaid); err != nil {
			return err
		}
	}
	return nil
}

// holds reports whether an account owes what it should.
func (c closing) holds(ctx context.Context, a books.Account, owes money.Amount) error {
	balance, err := c.tx.Balance(ctx, a)
	if err != nil {
		return err
	}
	off, err := balance.Add(owes)
	if err != nil {
		return err
	}
	if !off.IsZero() {
		return fmt.Errorf("%w: account %s holds %v, the taps say %v: run 'purselane books verify'", ErrBooks, a, balance, money.Minor(-owes.Minor()))
	}
	return nil
}
