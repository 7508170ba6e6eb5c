package session

import (
	"context"
	"encoding/hex"
	"errors"
	"slices"
	"time"

	"github.com/google/uuid"

	"github.com/purselane/purselane/internal/money"
	"github.com/purselane/purselane/terminal/kiosk"
	"github.com/purselane/purselane/terminal/reader"
)

// act does the work of a state and says what came of it. An error ends the kiosk: its disk does not keep what riders pay, or its reader is closed.
func (r *rider) act(ctx context.Context) (Event, error) {
	p := r.Patience
	switch r.state {
	case Idle:
		r.show(0)
		return r.awaitCard(ctx, 0)
	case NoReader:
		r.show(0)
		return r.awaitReader(ctx, 0)
	case Reading:
		r.show(0)
		return r.read(ctx)
	case Amount, Way:
		if len(r.offer.Ways) == 0 { // the sale is of an earlier visit
			if e, err := r.offered(ctx); e != "" || err != nil {
				return e, err
			}
		}
		r.show(p.Choose)
		return r.choose(ctx, p.Choose)
	case Ordering:
		r.show(0)
		return r.order(ctx)
	case QR:
		d := min(max(r.ends.Sub(r.Clock.Now()), 10*time.Second), 10*time.Minute) // whatever this machine's clock says
		r.show(d)
		return r.poll(ctx, d, r.Host.Sale, true)
	case QROffline:
		r.show(p.Check)
		return r.poll(ctx, p.Check, r.Host.Sale, false)
	case Checking:
		r.show(p.Check)
		return r.poll(ctx, p.Check, r.Host.Sale, false)
	case Closing:
		r.show(p.Refund)
		return r.poll(ctx, p.Refund, r.Host.CancelSale, false)
	case Hold: // the card may lie there still
		r.fresh = false
		r.show(p.Hold)
		return r.awaitCard(ctx, p.Hold)
	case Again, WrongCard:
		r.show(p.Hold)
		return r.awaitCard(ctx, p.Hold)
	case Loading:
		r.show(0)
		return r.load(ctx)
	case PaidOffline:
		r.show(p.Hold)
		return r.poll(ctx, p.Hold, r.Host.Sale, false)
	case PaidNoReader:
		r.show(p.Hold)
		return r.awaitReader(ctx, p.Hold)
	case NotLoaded:
		r.show(p.Hold)
		return r.choose(ctx, p.Hold)
	case Refunding:
		r.show(p.Refund)
		return r.refund(ctx)
	case Unread:
		r.show(p.Notice)
		return r.awaitCard(ctx, p.Notice)
	}
	r.show(p.Notice)
	return r.choose(ctx, p.Notice)
}

// after is a channel that fires after d; 0: never.
func after(d time.Duration) (<-chan time.Time, func()) {
	if d <= 0 {
		return nil, func() {}
	}
	t := time.NewTimer(d)
	return t.C, func() { t.Stop() }
}

// meant reports that a choice is of the view that is shown, and what it says can be said.
func (r *rider) meant(c Choice) bool {
	v, _ := r.hub.Now()
	if c.Seq != v.Seq || !slices.Contains(v.Choices, c.Choice) {
		return false
	}
	switch c.Choice {
	case AmountChosen:
		if !slices.Contains(v.Amounts, c.Amount) {
			return false
		}
		r.sale.Amount = c.Amount
	case WayChosen:
		if !slices.Contains(v.Ways, c.Way) {
			return false
		}
		r.sale.Way = c.Way
	}
	return true
}

// choose waits for a choice.
func (r *rider) choose(ctx context.Context, d time.Duration) (Event, error) {
	over, stop := after(d)
	defer stop()
	for {
		select {
		case <-ctx.Done():
			return "", ctx.Err()
		case <-over:
			return TimeOut, nil
		case c := <-r.choices:
			if r.meant(c) {
				return c.Choice, nil
			}
		}
	}
}

type presented struct {
	card reader.Card
	err  error
}

// awaitCard waits for a card, or a choice. Where another presentation is wanted, a card that still lies there is none.
func (r *rider) awaitCard(ctx context.Context, d time.Duration) (Event, error) {
	over, stop := after(d)
	defer stop()
	for {
		g, event, err := r.presentation(ctx, over)
		switch {
		case err != nil || event != "":
			return event, err
		case g.err == nil:
			r.card, r.fresh = g.card, false
			return CardSeen, nil
		case errors.Is(g.err, reader.ErrReaderLost):
			return ReaderLost, nil
		case errors.Is(g.err, reader.ErrTwoCards):
			r.reason = "two-cards"
			r.show(d)
		default:
			return "", g.err
		}
	}
}

// presentation is what the reader says first, or what the rider does instead.
func (r *rider) presentation(ctx context.Context, over <-chan time.Time) (g presented, e Event, err error) {
	wait, stop := context.WithCancel(ctx)
	cards := make(chan presented, 1)
	go func() {
		if r.fresh && r.last != nil {
			if err := r.last.Removed(wait); err != nil {
				cards <- presented{nil, err}
				return
			}
		}
		c, err := r.Reader.Wait(wait)
		cards <- presented{c, err}
	}()
	drained := false
	defer func() {
		stop()
		if drained {
			return
		}
		if late := <-cards; late.card != nil {
			_ = late.card.Close(reader.Leave) // nothing was said to it: it is there again in a moment
		}
	}()
	for {
		select {
		case <-ctx.Done():
			return g, "", ctx.Err()
		case <-over:
			return g, TimeOut, nil
		case c := <-r.choices:
			if r.meant(c) {
				return g, c.Choice, nil
			}
		case g = <-cards:
			drained = true
			return g, "", nil
		}
	}
}

// awaitReader waits for the reader to come back, or a choice.
func (r *rider) awaitReader(ctx context.Context, d time.Duration) (Event, error) {
	watched, knows := r.Reader.(reader.Watched)
	if !knows { // only a card shows it
		e, err := r.awaitCard(ctx, d)
		if e == CardSeen {
			r.close()
			e, r.fresh = ReaderBack, false
		}
		return e, err
	}
	over, stop := after(d)
	defer stop()
	tick := time.NewTicker(r.Patience.Poll)
	defer tick.Stop()
	for {
		if watched.Lost() == nil {
			return ReaderBack, nil
		}
		select {
		case <-ctx.Done():
			return "", ctx.Err()
		case <-over:
			return TimeOut, nil
		case c := <-r.choices:
			if r.meant(c) {
				return c.Choice, nil
			}
		case <-tick.C:
		}
	}
}

// close ends the session with the card in the field.
func (r *rider) close() {
	if err := r.card.Close(reader.Leave); err != nil {
		r.Log.Warn("kiosk: close the card", "err", err)
	}
	r.last, r.card, r.fresh = r.card, nil, true
}

// read looks at the card, at what is owed to it, and at what can be bought for it.
func (r *rider) read(ctx context.Context) (Event, error) {
	e, err := r.look(ctx)
	if e != OwedFound { // which goes on with the card in the field
		r.close()
	}
	return e, err
}

func (r *rider) look(ctx context.Context) (Event, error) {
	var err error
	if r.seen, err = kiosk.Look(ctx, r.card, r.Host, r.Request); err != nil {
		r.Log.Info("kiosk: the card is not served", "err", err)
		r.seen.Token = ""
		switch {
		case kiosk.Left(err):
			return Unreadable, nil
		case !kiosk.Decided(err):
			return LinkLost, nil
		case errors.Is(err, kiosk.ErrAccess) || errors.Is(err, kiosk.ErrRequest):
			return IsOff, nil
		}
		return NotServed, nil
	}
	if r.seen.Refusal != "" {
		r.Log.Info("kiosk: the card is not served", "why", r.seen.Refusal)
		return NotServed, nil
	}
	if e, err := r.owed(ctx); e != "" || err != nil {
		return e, err
	}
	if r.seen.Blocked {
		return IsBlocked, nil
	}
	if e, err := r.offered(ctx); e != "" || err != nil {
		return e, err
	}
	if len(r.fitting()) == 0 {
		return IsFull, nil
	}
	if r.seen.Loaded != nil { // what was paid elsewhere for this card
		r.reason = "settled"
	}
	for _, s := range r.seen.Settled {
		if s.State == kiosk.Loaded {
			r.reason = "settled"
		}
	}
	return CardRead, nil
}

// offered asks what can be bought. "": something.
func (r *rider) offered(ctx context.Context) (Event, error) {
	var err error
	if r.offer, err = r.Host.Offer(ctx); err == nil {
		return "", nil
	}
	r.Log.Warn("kiosk: nothing can be bought", "err", err)
	if kiosk.Decided(err) {
		return IsOff, nil
	}
	return LinkLost, ctx.Err()
}

// fitting are the amounts that the card and the scheme take.
func (r *rider) fitting() []money.Amount {
	var out []money.Amount
	for _, a := range r.Amounts {
		sum, err := r.seen.Balance.Add(a)
		if err == nil && sum.Cmp(r.offer.MaxBalance) <= 0 && a.Cmp(r.offer.MaxAmount) <= 0 {
			out = append(out, a)
		}
	}
	return out
}

// owed finds an open sale of the card: what was paid and not loaded comes before anything new. "": there is none.
func (r *rider) owed(ctx context.Context) (Event, error) {
	all, err := r.Journal.Sales()
	if err != nil {
		return "", err
	}
	for _, s := range all {
		if s.Token != r.seen.Token || s.Phase != Showed && s.Phase != Settled {
			continue
		}
		seen := r.seen
		r.take(s) // waits for the work in the background, which may have moved it
		r.seen = seen
		now, still, err := r.Journal.sale(s.Key)
		if err != nil {
			return "", err
		}
		if !still || now.Phase != Showed && now.Phase != Settled {
			r.release()
			continue
		}
		r.sale = now
		e, err := r.stands(ctx, r.Host.Sale)
		switch {
		case err != nil:
			return "", err
		case e == LinkLost:
			return LinkLost, nil
		case e == PaidHeard:
			return OwedFound, nil
		case e == DoubtHeard || e == Shown:
			return DoubtFound, nil
		}
		r.release()
	}
	r.sale = Sale{}
	return "", nil
}

// order asks for the payment. Its key is on disk first.
func (r *rider) order(ctx context.Context) (Event, error) {
	r.release() // of the one that was refused
	id, err := uuid.NewV7()
	if err != nil {
		return "", err
	}
	at := r.Clock.Now()
	r.sale = Sale{Key: id.String(), Token: r.seen.Token, Card: r.seen.Card, Amount: r.sale.Amount, Before: r.seen.Balance, Currency: r.offer.Currency, Way: r.sale.Way, Phase: Named, Made: at, Changed: at}
	r.Journal.claim(r.sale.Key)
	if err := r.Journal.Put(r.sale); err != nil {
		return "", err
	}
	return r.stands(ctx, func(ctx context.Context, _ string) (kiosk.Sale, error) {
		return r.Host.Buy(ctx, r.sale.Key, r.sale.Amount, r.sale.Way)
	})
}

// stands asks the backend how the sale stands, and keeps it.
func (r *rider) stands(ctx context.Context, ask func(context.Context, string) (kiosk.Sale, error)) (Event, error) {
	v, err := ask(ctx, r.sale.Payment)
	if err != nil {
		if ctx.Err() != nil {
			return "", ctx.Err()
		}
		if !kiosk.Decided(err) {
			r.Log.Debug("kiosk: ask about a payment", "payment", r.sale.Payment, "err", err) // once a second, while the link is gone
			return LinkLost, nil
		}
		r.Log.Warn("kiosk: ask about a payment", "payment", r.sale.Payment, "err", err)
		if r.sale.Phase != Named { // a rider may have paid it: whoever refuses to say leaves it in doubt
			return LinkLost, nil
		}
		if err := r.drop(); err != nil {
			return "", err
		}
		if errors.Is(err, kiosk.ErrNoChannel) {
			return NoWay, nil
		}
		return IsOff, nil
	}
	r.sale.Payment, r.ends = v.Payment, v.Expires
	switch v.State {
	case kiosk.SaleWaiting:
		r.qr, err = picture(v.QR)
		return Shown, errors.Join(err, r.put(Showed))
	case kiosk.SalePaid:
		r.sale.Load = v.Load
		o, err := r.Host.Order(ctx, v.Load)
		switch {
		case err != nil: // whatever it says: the money has come, and its order is what must be found
			r.Log.Warn("kiosk: ask about a load", "load", v.Load, "err", err)
			return LinkLost, r.put(Settled)
		case o.State == kiosk.Loaded: // the card has said so elsewhere
			return LoadedHeard, r.drop()
		case o.State == kiosk.Refunded:
			return GoingBack, r.put(Giving)
		}
		r.moving = o.State != kiosk.Paid
		return PaidHeard, r.put(Settled)
	case kiosk.SaleRefused:
		e := RefusedHeard
		if r.state == Ordering && slices.Contains([]string{"channel", "setting", "not supported"}, v.Reason) {
			e = NoWay // nothing that the rider did
		} else if r.state == Ordering && v.Reason == kiosk.WantsProof {
			e = ProofHeard
		}
		return e, r.drop()
	case kiosk.SaleClosed:
		return ClosedHeard, r.drop()
	case kiosk.SaleRefunded:
		return RefundedHeard, r.drop()
	case kiosk.SaleRefunding:
		return GoingBack, r.put(Giving)
	}
	return DoubtHeard, r.put(Showed)
}

// put keeps the sale in a phase.
func (r *rider) put(p Phase) error {
	if r.sale.Phase == p {
		return nil
	}
	r.sale.Phase, r.sale.Changed = p, r.Clock.Now()
	return r.Journal.Put(r.sale)
}

// drop forgets a sale that has ended. What a screen shows of it stays.
func (r *rider) drop() error {
	err := r.Journal.Drop(r.sale.Key)
	r.release()
	return err
}

// poll asks about the payment until the table has something to say to the answer. A lost link is an answer where told.
func (r *rider) poll(ctx context.Context, d time.Duration, ask func(context.Context, string) (kiosk.Sale, error), lost bool) (Event, error) {
	over, stop := after(d)
	defer stop()
	tick := time.NewTicker(r.Patience.Poll)
	defer tick.Stop()
	for {
		e, err := r.stands(ctx, ask)
		if err != nil {
			return "", err
		}
		if r.state == PaidOffline && e == PaidHeard {
			e = LinkBack
		}
		if _, no := Next(r.state, e); no == nil && (e != LinkLost || lost) {
			return e, nil
		}
		select {
		case <-ctx.Done():
			return "", ctx.Err()
		case <-over:
			return TimeOut, nil
		case c := <-r.choices:
			if r.meant(c) {
				return c.Choice, nil
			}
		case <-tick.C:
		}
	}
}

// load brings the value to the card in the field.
func (r *rider) load(ctx context.Context) (Event, error) {
	defer r.close()
	seen, err := kiosk.Look(ctx, r.card, r.Host, r.Request)
	switch {
	case kiosk.Left(err):
		return Left, nil
	case err != nil && !kiosk.Decided(err):
		return LinkLost, ctx.Err()
	case errors.Is(err, kiosk.ErrUnknownCard), err == nil && seen.Token != r.sale.Token:
		return OtherCard, nil
	case err != nil:
		return r.refused(ctx, err), nil
	}
	request := r.Request
	request.OrderID = r.sale.Load
	result, err := kiosk.Load(ctx, r.card, r.Host, request)
	switch {
	case errors.Is(err, kiosk.ErrOtherCard):
		return OtherCard, nil
	case errors.Is(err, kiosk.ErrState): // it went back, say
		if e, err := r.stands(ctx, r.Host.Sale); e == GoingBack || e == RefundedHeard || err != nil {
			return e, err
		}
		return r.refused(ctx, err), nil
	case err != nil && kiosk.Decided(err):
		return r.refused(ctx, err), nil
	case err != nil:
		r.Log.Warn("kiosk: load", "load", r.sale.Load, "err", err)
		r.moving = true // for all that is known
		return LinkLost, ctx.Err()
	}
	r.after = &result.Balance
	switch result.Outcome {
	case kiosk.AlreadyDone:
		r.after = &seen.Balance
		fallthrough
	case kiosk.LoadDone:
		r.told = true
		return LoadedHeard, r.drop()
	case kiosk.DoneUnconfirmed:
		if result.TAC != nil {
			r.sale.TAC = hex.EncodeToString(result.TAC[:])
		}
		if result.Script != nil {
			raw := result.Script.Bytes()
			r.sale.Script = hex.EncodeToString(raw[:])
		}
		return LoadedHeard, r.put(Credit)
	case kiosk.PresentAgain:
		r.moving = r.onItsWay(ctx)
		return Left, nil
	}
	return r.refused(ctx, errors.New(result.Reason)), nil
}

// refused says why a load was refused. Where the money is, the order says.
func (r *rider) refused(ctx context.Context, err error) Event {
	r.Log.Warn("kiosk: the load was refused", "load", r.sale.Load, "err", err)
	r.reason = "card"
	if no, is := errors.AsType[*kiosk.HostError](err); is {
		r.reason = no.Code
	}
	r.moving = r.onItsWay(ctx)
	return LoadRefused
}

// onItsWay reports that the load's money may be on the card.
func (r *rider) onItsWay(ctx context.Context) bool {
	o, err := r.Host.Order(ctx, r.sale.Load)
	return err != nil || o.State == kiosk.InProgress || o.State == kiosk.Uncertain
}

// refund asks for the money back, and waits a little for it.
func (r *rider) refund(ctx context.Context) (Event, error) {
	if err := r.put(Giving); err != nil {
		return "", err
	}
	_, err := r.Host.RefundSale(ctx, r.sale.Payment)
	switch {
	case err != nil && kiosk.Decided(err):
		r.Log.Warn("kiosk: the refund was refused", "payment", r.sale.Payment, "err", err)
		r.moving = r.onItsWay(ctx)
		if errors.Is(err, kiosk.ErrNoRefund) {
			r.reason = "no-refund"
		}
		return RefundImpossible, r.put(Settled)
	case err != nil:
		return LinkLost, ctx.Err()
	}
	over, stop := context.WithTimeout(ctx, r.Patience.Refund)
	defer stop()
	for {
		if e, err := r.stands(over, r.Host.Sale); e == RefundedHeard {
			return e, err
		}
		select {
		case <-over.Done():
			return TimeOut, ctx.Err()
		case <-time.After(r.Patience.Poll):
		}
	}
}
