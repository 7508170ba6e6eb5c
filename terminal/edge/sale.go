package edge

import (
	"context"
	"errors"
	"fmt"
	"sync"

	"google.golang.org/protobuf/proto"

	"github.com/purselane/purselane/card/apdu"
	"github.com/purselane/purselane/internal/ids"
	"github.com/purselane/purselane/internal/money"
	"github.com/purselane/purselane/terminal/journal"
	"github.com/purselane/purselane/terminal/tap"
	"github.com/purselane/purselane/uplink/wire"
)

// Sale is what became of a till's request.
//
//	State          what happened                          what Sell does when asked again
//	COMPLETED      debited                                answers AlreadyPaid, takes nothing
//	UNKNOWN        DEBIT went out, no answer came         asks the same card; no other card is debited for it
//	VOIDED         the card has shown: not debited        sells
//	AGED           the card cannot tell any more          refuses: only the backend can tell
type Sale struct {
	Request string
	State   wire.State
	Tap     ids.TapID
	Amount  money.Amount
	Balance money.Amount // of the card after it, of a COMPLETED one
	Family  string       // of the card, as records name it

	card ids.CardNumber
}

// Errors of a till's request. Nothing was taken, and nothing is said about an earlier request of that name.
var (
	// ErrRequestID: a request needs a name of its own, 1 to 64 printable ASCII characters without spaces.
	ErrRequestID = errors.New("bad request id")
	// ErrRequestReused: the request id was used for another amount. It is an alarm: a till must never do that.
	ErrRequestReused = errors.New("request id used before for another amount")
	// ErrRequestBusy: the same request is being served at this moment.
	ErrRequestBusy = errors.New("request is being served")
	// ErrNotATill: the lane does not sell amounts.
	ErrNotATill = errors.New("not a lane that sells amounts")
	// ErrNoLane: there is no lane of that number.
	ErrNoLane = errors.New("no such lane")
)

// Sell takes an amount from the card in front of a lane of mode Sale, once for each request id however often it is asked. Asked
// again after a sale was completed, by whatever card, it answers AlreadyPaid with the amount and tap of then, and sends the
// card nothing. While the outcome of an earlier attempt is unknown, only the card of that attempt is served.
//
// A request is remembered as long as the journal holds its record: until its receipt, and Options.Keep records more.
func (t *Terminal) Sell(ctx context.Context, lane int, card apdu.Transmitter, amount money.Amount, requestID string) (tap.Result, error) {
	done, err := t.sales.begin(requestID)
	if err != nil {
		return tap.Result{Outcome: tap.OutOfService, Reason: err.Error()}, err
	}
	defer done()
	r, earlier, answer, err := t.asked(lane, amount, requestID)
	if err != nil {
		return tap.Result{Outcome: tap.OutOfService, Reason: err.Error()}, err
	}
	if answer != nil {
		t.show(Event{Lane: lane, At: r.Now, Result: *answer})
		return *answer, nil
	}
	return t.serve(ctx, lane, card, r, earlier)
}

// asked checks a till's request. It returns the answer, if there is one without any card, or the earlier attempt, if
// there is one that may have been debited.
func (t *Terminal) asked(lane int, amount money.Amount, requestID string) (r tap.Request, earlier *Sale, answer *tap.Result, err error) {
	if r, err = t.request(lane); err != nil {
		return r, nil, nil, err
	}
	if r.Mode != tap.Sale {
		return r, nil, nil, fmt.Errorf("terminal: lane %d: %w", lane, ErrNotATill)
	}
	if err := checkRequestID(requestID); err != nil {
		return r, nil, nil, err
	}
	r.Amount, r.RequestID = amount, requestID
	s, found, err := t.sales.find(t.journal, requestID)
	if err != nil {
		err = fmt.Errorf("terminal: look for request %s: %w", requestID, err)
		t.fail(err)
		return r, nil, nil, err
	}
	switch {
	case !found:
	case s.Amount != amount:
		return r, nil, nil, fmt.Errorf("terminal: request %s asks for %v: %w (%v)", requestID, amount, ErrRequestReused, s.Amount)
	case s.State == wire.State_STATE_COMPLETED, s.State == wire.State_STATE_AGED:
		known := s.Result()
		answer = &known
	case s.State != wire.State_STATE_VOIDED:
		earlier = &s
	}
	return r, earlier, answer, nil
}

// Sale tells what became of a request; false: nothing that could have cost anybody anything is known of it here.
func (t *Terminal) Sale(requestID string) (Sale, bool, error) {
	return t.sales.find(t.journal, requestID)
}

// Result is the sale as a till is answered.
func (s Sale) Result() tap.Result {
	r := tap.Result{Amount: s.Amount, Tap: s.Tap, Card: s.card}
	switch s.State {
	case wire.State_STATE_COMPLETED:
		r.Outcome, r.Reason, r.Balance = tap.AlreadyPaid, "the request was served before", s.Balance
	case wire.State_STATE_AGED:
		refused := agedSale(s.Tap)
		r.Outcome, r.Reason = refused.outcome, refused.reason
	case wire.State_STATE_VOIDED:
		r.Outcome, r.Reason = tap.PresentAgain, "the card has shown that it was not debited"
	default:
		r.Outcome, r.Reason = tap.PresentAgain, "outcome unknown until the same card comes back"
	}
	return r
}

func checkRequestID(id string) error {
	if id == "" || len(id) > 64 {
		return fmt.Errorf("terminal: %w: %d characters: want 1 to 64", ErrRequestID, len(id))
	}
	for _, c := range id {
		if c <= ' ' || c > '~' {
			return fmt.Errorf("terminal: %w: character %q: want printable ASCII without spaces", ErrRequestID, c)
		}
	}
	return nil
}

// sales finds a sale by its request. The journal has no index of requests, so its records are read once and then as they
// come.
type sales struct {
	mu      sync.Mutex
	last    map[string]Sale // by request: its newest record
	through uint64          // records read
	busy    map[string]bool // requests being served
}

func newSales() *sales { return &sales{last: map[string]Sale{}, busy: map[string]bool{}} }

func (s *sales) begin(request string) (done func(), err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.busy[request] {
		return nil, fmt.Errorf("terminal: %w", ErrRequestBusy)
	}
	s.busy[request] = true
	return func() { s.mu.Lock(); defer s.mu.Unlock(); delete(s.busy, request) }, nil
}

// find looks at the open intents first: one that is on disk and not settled may have been debited, whatever its records say.
func (s *sales) find(j *journal.Journal, request string) (Sale, bool, error) {
	open, err := j.OpenIntents()
	if err != nil {
		return Sale{}, false, err
	}
	for _, draft := range open {
		if request != "" && draft.GetRequestId() == request {
			found := saleOf(draft)
			found.State = wire.State_STATE_UNKNOWN
			return found, true, nil
		}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := s.read(j); err != nil {
		return Sale{}, false, err
	}
	found, ok := s.last[request]
	return found, ok, nil
}

// read takes in the records that came since. The caller holds mu.
func (s *sales) read(j *journal.Journal) error {
	for {
		first := max(s.through+1, j.FirstSeq())
		raw, err := j.Read(first, 1000, 1<<20)
		if err != nil {
			return err
		}
		if len(raw) == 0 {
			return nil
		}
		for _, b := range raw {
			var r wire.Record
			if err := proto.Unmarshal(b, &r); err != nil {
				return fmt.Errorf("record %d: %w", first, err)
			}
			if r.GetRequestId() != "" {
				s.last[r.GetRequestId()] = saleOf(&r)
			}
			s.through = r.GetSeq()
		}
	}
}

func saleOf(r *wire.Record) Sale {
	s := Sale{
		Request: r.GetRequestId(), State: r.GetState(), Family: r.GetFamily(), Amount: money.Minor(r.GetAmount()), Balance: money.Minor(r.GetBalanceAfter()),
		Tap: ids.TapID{Terminal: ids.TerminalID(r.GetTerminal()), Epoch: r.GetEpoch(), Tap: r.GetTap()},
	}
	copy(s.card[:], r.GetCardNumber())
	return s
}
