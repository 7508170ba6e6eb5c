package topup

import (
	"context"
	"errors"
	"fmt"
	"math"

	"github.com/purselane/purselane/backend/store"
	"github.com/purselane/purselane/card/ec"
	"github.com/purselane/purselane/card/keys"
	"github.com/purselane/purselane/internal/ids"
	"github.com/purselane/purselane/internal/money"
	"github.com/purselane/purselane/shadowaccount"
	"github.com/purselane/purselane/shadowaccount/books"
)

// An electronic cash card is loaded by a script that sets its balance to an absolute value (EC facts 15). Orders, states and books are the
// same as an EP purse's; the card's ATC stands where the online counter does. A script's MAC is of one ATC and one request, so a
// card that shows a later ATC has ended the session: no challenge is needed.

// ECCard is an electronic cash card and what it says in a session over full PBOC: its request to go online.
type ECCard struct {
	PAN      ec.PAN
	Sequence byte
	ChipData []byte // field 55 of the request; see ec.Online
}

// ECEvidence is what a card says of an open load: a request of a later session, and its load log, read in that session or another
// later one. The log may be missing; then the balance alone tells.
type ECEvidence struct {
	ECCard
	Log []byte // READ RECORD of the load log in one answer
}

func (c ECCard) number() ids.CardNumber { return ids.CardNumber(c.PAN) }

// request is a card's request, its cryptogram and balance verified.
type request struct {
	claim   ec.Claim
	keys    ec.CardKeys
	balance money.Amount
}

// verifyEC finds the card in the registry and verifies its request: from here on the card itself has said what c says.
func (s *Service) verifyEC(ctx context.Context, c ECCard) (request, store.Card, error) {
	if s.cfg.EC == nil {
		return request{}, store.Card{}, fmt.Errorf("electronic cash: %w", ErrUnknownKey)
	}
	var card store.Card
	err := s.store.View(ctx, func(tx *store.Tx) (err error) {
		card, err = tx.CardByNumber(ctx, c.number())
		return err
	})
	switch {
	case errors.Is(err, store.ErrNotFound) || err == nil && card.Status == store.CardUnknown:
		return request{}, store.Card{}, fmt.Errorf("card %v: %w", c.PAN, ErrUnknownCard)
	case err != nil:
		return request{}, store.Card{}, err
	case card.Family != "ec":
		return request{}, store.Card{}, fmt.Errorf("card %v: it was issued as a card of family %s: %w", c.PAN, card.Family, ErrCardData)
	}
	r := request{}
	if r.claim, err = ec.ParseField55(c.ChipData); err != nil {
		return request{}, store.Card{}, fmt.Errorf("card %v: %w: %w", c.PAN, ErrChipData, err)
	}
	r.keys = ec.CardKeys{DKI: r.claim.IAD.DKI, PAN: c.PAN, PSN: c.Sequence, Algorithm: r.claim.IAD.Algorithm}
	for _, noPadding := range []bool{false, true} { // cards differ in the padding of the long form of the balance's MAC
		if r.balance, err = ec.VerifyRequest(ctx, s.cfg.EC, r.keys, r.claim, noPadding); !errors.Is(err, ec.ErrBalanceMAC) {
			break
		}
	}
	switch {
	case errors.Is(err, keys.ErrUnknownKey):
		return request{}, store.Card{}, fmt.Errorf("card %v: key index %02X: %w", c.PAN, r.claim.IAD.DKI, ErrUnknownKey)
	case errors.Is(err, ec.ErrCryptogram), errors.Is(err, ec.ErrBalanceMAC):
		return request{}, store.Card{}, fmt.Errorf("card %v: %w: %w", c.PAN, ErrARQC, err)
	case errors.Is(err, ec.ErrNoRequest), errors.Is(err, ec.ErrMalformed), errors.Is(err, ec.ErrUnknownCVN):
		return request{}, store.Card{}, fmt.Errorf("card %v: %w: %w", c.PAN, ErrChipData, err)
	case err != nil:
		return request{}, store.Card{}, err
	}
	return r, card, nil
}

// AuthoriseEC moves an order's money towards the electronic cash card whose request verifies, and makes the issuer's answer: ARPC and the
// script with the new balance. One transaction holds the order's state, the booking, the session and the load in the card's shadow
// account; the answer is made after it and from it, so that the same request gets the same answer again.
func (s *Service) AuthoriseEC(ctx context.Context, agent ids.AcquirerID, id string, c ECCard) (ec.Answer, error) {
	fail := func(err error) (ec.Answer, error) {
		return ec.Answer{}, fmt.Errorf("authorise load %s: %w", id, err)
	}
	r, card, err := s.verifyEC(ctx, c)
	if errors.Is(err, ErrARQC) {
		if _, err := s.Order(ctx, agent, id); err != nil {
			return fail(err)
		}
		if err := s.report(ctx, id, FindECAuthFailed, fmt.Sprintf("card %v", c.PAN)); err != nil {
			return fail(err)
		}
	}
	if err != nil {
		return fail(err)
	}
	if card.Status != store.CardActive {
		return fail(fmt.Errorf("card %v is %s: %w", c.PAN, card.Status, ErrCardBlocked))
	}
	var session store.ECSession
	var amount money.Amount
	var found error
	if err := s.store.Update(ctx, func(tx *store.Tx) error {
		found = nil
		o, err := owned(ctx, tx, agent, id)
		if err != nil {
			return err
		}
		amount = o.Amount
		if session, err = s.sameRequest(ctx, tx, o, c, r); err != nil || session.N != 0 {
			return err
		}
		if err := s.allowEC(ctx, tx, o, c.number(), r); err != nil {
			if errors.Is(err, errCounterBack) {
				found = err
				return s.find(ctx, tx, o.ID, FindCounterBack, err.Error())
			}
			return err
		}
		session, err = s.beginEC(ctx, tx, &o, c, r)
		return err
	}); err != nil {
		return fail(err)
	}
	if found != nil {
		return fail(found)
	}
	_, answer, err := s.ecLoad(ctx, session, amount)
	if err != nil {
		return fail(err)
	}
	return answer, nil
}

// sameRequest finds the session that this very request was authorised with, in the booking that is open now.
func (s *Service) sameRequest(ctx context.Context, tx *store.Tx, o store.LoadOrder, c ECCard, r request) (store.ECSession, error) {
	if !State(o.State).Open() {
		return store.ECSession{}, nil
	}
	all, err := tx.ECSessions(ctx, o.ID)
	for _, have := range all {
		if have.Booking != o.Bookings || have.Card != c.number() || have.Sequence != c.Sequence || have.ATC != r.claim.ATC {
			continue
		}
		was, err := ec.ParseField55(have.ChipData)
		if err != nil {
			return store.ECSession{}, err
		}
		if was.AC == r.claim.AC {
			return have, nil
		}
	}
	return store.ECSession{}, err
}

// allowEC refuses a request that the order, the card's history or the scheme's limits do not allow.
func (s *Service) allowEC(ctx context.Context, tx *store.Tx, o store.LoadOrder, n ids.CardNumber, r request) error {
	if o.Sessions >= maxSessions {
		return fmt.Errorf("order %s was authorised %d times: resolve it: %w", o.ID, o.Sessions, ErrOpenLoad)
	}
	if State(o.State).Open() && *o.Card != n {
		return fmt.Errorf("its money is on its way to card %v, this is %v: %w", *o.Card, n, ErrOtherCard)
	}
	if State(o.State).Open() { // a second script for one booking might set the balance twice: the first one's end must be known before
		return fmt.Errorf("the card's session at ATC %d has an answer: resolve it: %w", o.Counter, ErrOpenLoad)
	}
	if _, err := Next(State(o.State), Authorised); err != nil {
		return fmt.Errorf("order %s: %w", o.ID, err)
	}
	if err := reserved(ctx, tx, o, n); err != nil {
		return err
	}
	if after, err := r.balance.Add(o.Amount); err != nil || after.Cmp(s.cfg.MaxBalance) > 0 {
		return fmt.Errorf("balance %v, load %v, maximum %v: %w", r.balance, o.Amount, s.cfg.MaxBalance, ErrMaxBalance)
	}
	open, err := tx.OpenLoadOrder(ctx, n)
	if err == nil {
		return fmt.Errorf("order %s at ATC %d: %w", open.ID, open.Counter, ErrOpenLoad)
	}
	if !errors.Is(err, store.ErrNotFound) {
		return err
	}
	newest, err := newestATC(ctx, tx, n)
	if err != nil {
		return err
	}
	if newest > int(r.claim.ATC) {
		return fmt.Errorf("ATC %d, the card has shown %d: %w", r.claim.ATC, newest, errCounterBack)
	}
	// Two scripts of one session would each set the balance from what it was before: the second undoes the first.
	if used, err := tx.HasECSession(ctx, n, r.claim.ATC); err != nil {
		return err
	} else if used {
		return fmt.Errorf("the session of ATC %d has had its load: %w", r.claim.ATC, ErrStale)
	}
	return nil
}

// newestATC is the highest ATC that the card has shown online, -1 for none. A request below it was kept, or comes from a copy.
func newestATC(ctx context.Context, tx *store.Tx, n ids.CardNumber) (int, error) {
	newest := -1
	all, err := tx.Witnesses(ctx, n, math.MaxInt32)
	for _, w := range all {
		newest = max(newest, int(w.Counter))
	}
	return newest, err
}

// beginEC books the money towards the card and writes the session. The card has shown its balance, which is kept as a witness.
func (s *Service) beginEC(ctx context.Context, tx *store.Tx, o *store.LoadOrder, c ECCard, r request) (store.ECSession, error) {
	at, n := s.now(), c.number()
	o.Bookings++
	o.Sessions++
	o.Card, o.Counter = &n, r.claim.ATC
	if err := s.move(ctx, tx, o, Authorised); err != nil {
		return store.ECSession{}, err
	}
	session := store.ECSession{Order: o.ID, N: o.Sessions, Booking: o.Bookings, Card: n, Sequence: c.Sequence, ATC: r.claim.ATC, ChipData: c.ChipData,
		Balance: r.balance, Script: scriptID(o.ID, o.Sessions), At: at}
	if err := tx.AddECSession(ctx, session); err != nil {
		return store.ECSession{}, err
	}
	if err := tx.AddWitness(ctx, n, at, r.claim.ATC, r.balance, o.Agent); err != nil {
		return store.ECSession{}, err
	}
	if err := tx.MoveLoad(ctx, fmt.Sprintf("load:%s:authorise:%d", o.ID, o.Bookings), "load-authorise", s.day(at), o.ID, books.Funding, books.LoadInProgress, o.Amount); err != nil {
		return store.ECSession{}, err
	}
	return session, tx.NoteLoad(ctx, n, shadowaccount.Load{Counter: r.claim.ATC, Amount: o.Amount}, o.ID)
}

// ecLoad is the load of a session as package ec knows it, and the answer that was made for it.
func (s *Service) ecLoad(ctx context.Context, v store.ECSession, amount money.Amount) (ec.Load, ec.Answer, error) {
	claim, err := ec.ParseField55(v.ChipData)
	if err != nil {
		return ec.Load{}, ec.Answer{}, err
	}
	after, err := v.Balance.Add(amount)
	if err != nil {
		return ec.Load{}, ec.Answer{}, err
	}
	card := ec.CardKeys{DKI: claim.IAD.DKI, PAN: ec.PAN(v.Card), PSN: v.Sequence, Algorithm: claim.IAD.Algorithm}
	put, err := ec.PutBalance(ctx, s.cfg.EC, card, v.ATC, claim.AC, after)
	if err != nil {
		return ec.Load{}, ec.Answer{}, err
	}
	auth, err := ec.IssuerAuthentication(ctx, s.cfg.EC, card, v.ATC, claim.AC, ec.Approved)
	if err != nil {
		return ec.Load{}, ec.Answer{}, err
	}
	script, err := ec.Script(v.Script, put)
	return ec.Load{Card: card, ATC: v.ATC, ARQC: claim.AC, Amount: amount, Before: v.Balance, After: after, Script: v.Script}, ec.Answer{Auth: auth, Script: script}, err
}

// openECLoad is the load of an order's open booking; ErrState if it has none.
func (s *Service) openECLoad(ctx context.Context, tx *store.Tx, o store.LoadOrder) (ec.Load, error) {
	all, err := tx.ECSessions(ctx, o.ID)
	if err != nil {
		return ec.Load{}, err
	}
	if len(all) == 0 || all[len(all)-1].Booking != o.Bookings {
		return ec.Load{}, fmt.Errorf("order %s is of no electronic cash card: %w", o.ID, ErrState)
	}
	l, _, err := s.ecLoad(ctx, all[len(all)-1], o.Amount)
	return l, err
}

// ReportEC takes the kiosk's report on the script. Nobody signs it: that the script ran is taken from the agent, who was paid for it; that it did
// not is not taken, and makes the order uncertain. A report on an order that is settled changes nothing; one that a script ran whose money
// was taken back is a finding, because the card itself has said that it did not.
func (s *Service) ReportEC(ctx context.Context, agent ids.AcquirerID, id string, r ec.ScriptResult) (Order, error) {
	var out Order
	err := s.store.Update(ctx, func(tx *store.Tx) error {
		o, err := owned(ctx, tx, agent, id)
		if err != nil {
			return err
		}
		out = orderOf(o)
		if returned, err := takenBack(ctx, tx, o, r); err != nil || returned {
			return errors.Join(err, s.find(ctx, tx, o.ID, FindAfterReturn, "a report that a script ran came while the order was "+o.State))
		}
		if !State(o.State).Open() {
			return nil
		}
		l, err := s.openECLoad(ctx, tx, o)
		if err != nil {
			return err
		}
		if l.ByResult(r) == ec.Loaded {
			return s.credited(ctx, tx, &o, ByScript, &out)
		}
		if State(o.State) == InProgress {
			err = s.move(ctx, tx, &o, Doubted)
			out = orderOf(o)
		}
		return err
	})
	if err != nil {
		return Order{}, fmt.Errorf("report on load %s: %w", id, err)
	}
	return out, nil
}

// takenBack reports whether a script that is said to have run is of a booking whose money was taken back.
func takenBack(ctx context.Context, tx *store.Tx, o store.LoadOrder, r ec.ScriptResult) (bool, error) {
	if r.Outcome != ec.ScriptDone {
		return false, nil
	}
	all, err := tx.ECSessions(ctx, o.ID)
	for _, v := range all {
		if v.Script == r.ID {
			return v.Booking < o.Bookings || State(o.State) == Paid || State(o.State) == Refunded, err
		}
	}
	return false, err
}

// ECInfo is what the scheme knows of an electronic cash card.
type ECInfo struct {
	Token   string
	Balance money.Amount // as the card's MAC proves it
	Blocked bool         // it is not loaded
	Open    string       // the order whose money is on its way to it, "" for none
	Waiting *Waiting     // paid for this card, and not on its way to it yet
}

// LookupEC says what is known of the card in the field. Its request is verified, so what it showed of its ATC and balance is kept as a
// witness. The request may be authorised after it.
func (s *Service) LookupEC(ctx context.Context, agent ids.AcquirerID, c ECCard) (ECInfo, error) {
	r, card, err := s.verifyEC(ctx, c)
	if err != nil {
		return ECInfo{}, fmt.Errorf("look up: %w", err)
	}
	out := ECInfo{Token: card.Token, Balance: r.balance, Blocked: card.Status != store.CardActive}
	err = s.store.Update(ctx, func(tx *store.Tx) error {
		out.Open = ""
		if err := tx.AddWitness(ctx, c.number(), s.now(), r.claim.ATC, r.balance, agent); err != nil {
			return err
		}
		var err error
		if out.Waiting, err = waiting(ctx, tx, c.number()); err != nil {
			return err
		}
		o, err := tx.OpenLoadOrder(ctx, c.number())
		if errors.Is(err, store.ErrNotFound) {
			return nil
		}
		out.Open = o.ID
		return err
	})
	if err != nil {
		return ECInfo{}, fmt.Errorf("look up: %w", err)
	}
	return out, nil
}

// ResolveEC settles an open load by what the card says in a later session. Any agent may bring it: it is the card's word, not the agent's.
//
//   - A load log with the load in it, or a balance that only the load can have made: loaded.
//   - A load log of a later session without it, or the old balance in the very next session: paid again. This is the load's reversal.
//   - Anything else decides nothing.
//
// The request itself may then be authorised: the card is still in its session. An order that is settled already is returned as it is.
func (s *Service) ResolveEC(ctx context.Context, agent ids.AcquirerID, id string, e ECEvidence) (Order, error) {
	o, err := s.resolveEC(ctx, agent, id, e)
	if err != nil {
		return Order{}, fmt.Errorf("resolve load %s: %w", id, err)
	}
	return o, nil
}

func (s *Service) resolveEC(ctx context.Context, agent ids.AcquirerID, id string, e ECEvidence) (Order, error) {
	if _, err := s.Order(ctx, "", id); err != nil {
		return Order{}, err
	}
	r, _, err := s.verifyEC(ctx, e.ECCard)
	if errors.Is(err, ErrARQC) {
		if err := s.report(ctx, id, FindECAuthFailed, fmt.Sprintf("card %v", e.PAN)); err != nil {
			return Order{}, err
		}
	}
	if err != nil {
		return Order{}, err
	}
	log, err := s.verifyLog(ctx, r.keys, e.Log)
	if err != nil {
		return Order{}, err
	}
	var out Order
	var refused error
	err = s.store.Update(ctx, func(tx *store.Tx) error {
		refused = nil
		o, err := tx.LoadOrder(ctx, id)
		if err != nil {
			return err
		}
		out = orderOf(o)
		if err := tx.AddWitness(ctx, e.number(), s.now(), r.claim.ATC, r.balance, agent); err != nil {
			return err
		}
		if !State(o.State).Open() {
			return nil
		}
		if *o.Card != e.number() {
			refused = fmt.Errorf("its money is on its way to card %v, this is %v: %w", *o.Card, e.number(), ErrOtherCard)
			return nil
		}
		l, err := s.openECLoad(ctx, tx, o)
		if err != nil {
			return err
		}
		verdict := ec.Uncertain
		if log != nil {
			verdict = l.ByLog(*log, s.cfg.ECLogRecords)
		}
		if verdict == ec.Uncertain {
			verdict = l.ByBalance(r.claim.ATC, r.balance)
		}
		if verdict == ec.Uncertain {
			refused = fmt.Errorf("ATC %d, balance %v: %w", r.claim.ATC, r.balance, ErrEvidence)
			return nil
		}
		return s.settleEC(ctx, tx, &o, verdict, ByCard, &out)
	})
	if err != nil {
		return Order{}, err // not refused: nothing is known
	}
	return out, refused
}

// verifyLog reads a load log; nil if none was given.
func (s *Service) verifyLog(ctx context.Context, card ec.CardKeys, raw []byte) (*ec.LoadLog, error) {
	if len(raw) == 0 {
		return nil, nil
	}
	log, err := ec.ParseLoadLog(raw)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrChipData, err)
	}
	switch err := log.Verify(ctx, s.cfg.EC, card); {
	case errors.Is(err, ec.ErrLoadLog):
		return nil, fmt.Errorf("%w: %w", ErrARQC, err)
	case err != nil:
		return nil, err
	}
	return &log, nil
}

// settleEC ends an open load by a verdict that is not uncertain.
func (s *Service) settleEC(ctx context.Context, tx *store.Tx, o *store.LoadOrder, v ec.Verdict, how Proof, out *Order) error {
	if v == ec.Loaded {
		return s.credited(ctx, tx, o, how, out)
	}
	return s.takeBack(ctx, tx, o, out)
}

// settleECByRecords ends every open load of an electronic cash card that its next proved debit tells of, and returns how many.
func (s *Service) settleECByRecords(ctx context.Context) (int, error) {
	if s.cfg.EC == nil {
		return 0, nil
	}
	var all []store.LoadOrder
	if err := s.store.View(ctx, func(tx *store.Tx) (err error) {
		all, err = tx.OpenECOrders(ctx)
		return err
	}); err != nil {
		return 0, fmt.Errorf("settle EC loads by records: %w", err)
	}
	settled := 0
	var errs []error // one order that cannot be settled must not hold up the others
	for _, o := range all {
		verdict, err := s.byRecords(ctx, o)
		if err == nil && verdict != ec.Uncertain {
			moved := false
			err = s.store.Update(ctx, func(tx *store.Tx) error {
				moved = false
				now, err := tx.LoadOrder(ctx, o.ID)
				if err != nil || !State(now.State).Open() || now.Bookings != o.Bookings {
					return err // settled meanwhile
				}
				var out Order
				moved = true
				return s.settleEC(ctx, tx, &now, verdict, ByRecords, &out)
			})
			if err == nil && moved {
				settled++
			}
		}
		if err != nil {
			errs = append(errs, fmt.Errorf("settle load %s by records: %w", o.ID, err))
		}
	}
	return settled, errors.Join(errs...)
}

// byRecords is what the card's next proved debit says of its open load.
func (s *Service) byRecords(ctx context.Context, o store.LoadOrder) (ec.Verdict, error) {
	verdict := ec.Uncertain
	err := s.store.View(ctx, func(tx *store.Tx) error {
		at, before, found, err := tx.NextProved(ctx, *o.Card, uint32(o.Counter))
		if err != nil || !found || at > math.MaxUint16 {
			return err
		}
		l, err := s.openECLoad(ctx, tx, o)
		if err != nil {
			return err
		}
		verdict = l.ByBalance(uint16(at), before)
		return nil
	})
	return verdict, err
}
