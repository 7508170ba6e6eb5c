package cardacquirer

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/purselane/purselane/backend/gateway/channel"
	"github.com/purselane/purselane/internal/money"
)

// state is where a journalled message stands. The text is stored.
type state string

const (
	asked    state = "asked"    // sent, or about to be: after a crash nobody knows
	owed     state = "owed"     // must be sent until it is answered
	answered state = "answered" // the acquirer's word is in Code
	reversed state = "reversed" // got no answer, and was taken back
)

// record is what the journal keeps of a number. It holds no card number and no token.
type record struct {
	Ask       ask
	State     state
	Tried     bool      `json:",omitempty"` // what is owed was sent before, or may have been
	Code      string    `json:",omitempty"`
	ChannelID string    `json:",omitempty"`
	At        time.Time `json:",omitzero"`
}

func journalKey(number string) string { return "n/" + number }

// load reads the journal once. The adapter is the only one that writes it.
func (a *Adapter) load(ctx context.Context) error {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.records != nil {
		return nil
	}
	all := map[string]record{}
	err := a.s.Journal.Each(ctx, func(_ string, value []byte) error {
		var r record
		if json.Unmarshal(value, &r) != nil || r.Ask.Number == "" {
			return errors.New("it holds something else")
		}
		all[r.Ask.Number] = r
		return nil
	})
	if err != nil {
		return fmt.Errorf("cardacquirer: the journal cannot be read: %w", err)
	}
	a.records = all
	return nil
}

// keep journals a record. It is durable when keep returns.
func (a *Adapter) keep(ctx context.Context, r record) error {
	value, err := json.Marshal(r)
	if err != nil {
		return errors.New("cardacquirer: a record cannot be written")
	}
	if err := a.s.Journal.Put(ctx, journalKey(r.Ask.Number), value); err != nil {
		return fmt.Errorf("cardacquirer: the journal does not take it: %w", err)
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	a.records[r.Ask.Number] = r
	return nil
}

// drop takes a record out of the journal.
func (a *Adapter) drop(ctx context.Context, number string) error {
	if err := a.s.Journal.Delete(context.WithoutCancel(ctx), journalKey(number)); err != nil {
		return fmt.Errorf("cardacquirer: the journal does not forget it: %w", err)
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	delete(a.records, number)
	return nil
}

// kept finds the record of a number.
func (a *Adapter) kept(ctx context.Context, number string) (record, bool, error) {
	if err := a.load(ctx); err != nil {
		return record{}, false, err
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	r, ok := a.records[number]
	return r, ok, nil
}

// claim reports that no other call has a number in hand: the second one would send the same message, hear that it is on its way already, and owe the reversal
// of what the first one is told was approved. [Adapter.unclaim] comes after it.
func (a *Adapter) claim(number string) bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.hands[number] {
		return false
	}
	a.hands[number] = true
	return true
}

func (a *Adapter) unclaim(number string) {
	a.mu.Lock()
	defer a.mu.Unlock()
	delete(a.hands, number)
}

func (a *Adapter) claimed(number string) bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.hands[number]
}

// advise sends a message that is owed from now on: it is journalled first, and forgotten once it is answered.
func (a *Adapter) advise(ctx context.Context, q ask) (channel.Result, error) {
	m, err := a.message(ctx, q, "")
	if err != nil {
		return channel.Result{}, err
	}
	known, again, err := a.kept(ctx, q.Number)
	if err != nil {
		return channel.Result{}, errors.Join(err, channel.ErrNotSent)
	}
	if again && (known.Ask.Minor != q.Minor || known.Ask.Of != q.Of || known.Ask.MTI != q.MTI) {
		return channel.Result{}, errors.New("cardacquirer: this number was asked for with other content: give every request a number of its own")
	}
	if again && known.State == owed {
		m.MTI = Repeat(m.MTI)
	} else if err := a.keep(ctx, record{Ask: q, State: owed, Tried: true}); err != nil {
		return channel.Result{}, errors.Join(err, channel.ErrNotSent)
	}
	answer, err := a.send(ctx, m)
	if errors.Is(err, channel.ErrNotSent) && !again {
		return channel.Result{}, errors.Join(err, a.drop(ctx, q.Number))
	}
	if err != nil {
		return channel.Result{}, errors.New(err.Error()) // once it was sent it is owed, whatever became of this try
	}
	result, err := a.result(answer, q.Number, q.Minor)
	if err != nil || result.Outcome == channel.Unknown {
		return result, err
	}
	return result, a.settled(ctx, record{Ask: q}, answer, result)
}

// settled notes the acquirer's word. Where it answers enquiries nothing needs to be noted.
func (a *Adapter) settled(ctx context.Context, r record, answer Message, result channel.Result) error {
	if a.s.Enquiry {
		return a.drop(ctx, r.Ask.Number)
	}
	r.State, r.Code, r.ChannelID, r.At = answered, answer.Fields[fCode], result.ChannelID, result.At
	return a.keep(context.WithoutCancel(ctx), r)
}

// reversible sends a request to an acquirer that answers no enquiries: without an answer it is reversed, and the reversal is owed.
func (a *Adapter) reversible(ctx context.Context, q ask, m Message) (channel.Result, error) {
	if !a.claim(q.Number) {
		return channel.Result{Number: q.Number}, nil // another call has it in hand
	}
	defer a.unclaim(q.Number)
	known, again, err := a.kept(ctx, q.Number)
	switch {
	case err != nil:
		return channel.Result{}, errors.Join(err, channel.ErrNotSent)
	case again && known.State == asked:
		return channel.Result{Number: q.Number}, nil // on its way just now, or before a crash: then [Adapter.Recover] reverses it
	case again:
		return a.recall(ctx, channel.Ref{Number: q.Number, Sent: q.Sent})
	}
	r := record{Ask: q, State: asked}
	if err := a.keep(ctx, r); err != nil {
		return channel.Result{}, errors.Join(err, channel.ErrNotSent)
	}
	answer, err := a.send(ctx, m)
	if errors.Is(err, channel.ErrNotSent) {
		return channel.Result{}, errors.Join(err, a.drop(ctx, q.Number))
	}
	var result channel.Result
	if err == nil {
		result, err = a.result(answer, q.Number, q.Minor)
	}
	if err != nil || result.Outcome == channel.Unknown {
		r.State = owed
		return result, errors.Join(err, a.keep(context.WithoutCancel(ctx), r))
	}
	if err := a.settled(ctx, r, answer, result); err != nil {
		return channel.Result{Number: q.Number}, err
	}
	return result, nil
}

// recall answers from the journal, and pays what is owed for that number first. What is not in it was not sent, as long as the journal
// reaches back so far.
func (a *Adapter) recall(ctx context.Context, ref channel.Ref) (channel.Result, error) {
	number := ref.Number
	if err := ctx.Err(); err != nil {
		return channel.Result{}, err
	}
	r, ok, err := a.kept(ctx, number)
	if err != nil {
		return channel.Result{}, err
	}
	if !ok && a.claimed(number) {
		return channel.Result{Number: number}, nil // it is being asked for at this moment
	}
	if !ok {
		out := channel.Result{Outcome: channel.Missing, Number: number}
		if ref.Sent.IsZero() || a.s.Clock.Now().Sub(ref.Sent) > a.s.Keep {
			out.Outcome, out.Message = channel.Unknown, "the journal does not reach back so far"
		}
		return out, nil
	}
	if r.State == owed {
		if r, err = a.deliverOwed(ctx, r); err != nil {
			return channel.Result{}, err
		}
	}
	switch r.State {
	case reversed:
		return channel.Result{Outcome: channel.Failed, Number: number, Code: Reversed, Class: channel.ByChannel, Message: "it got no answer and was reversed"}, nil
	case answered:
		out := channel.Result{Outcome: codes[r.Code].outcome, Number: number, Class: codes[r.Code].class, Code: r.Code}
		if out.Outcome == channel.Succeeded {
			out.Code, out.ChannelID, out.At = "", r.ChannelID, r.At
			out.Money = channel.Money{Amount: money.Minor(r.Ask.Minor), Currency: a.s.Currency}
		}
		return out, nil
	}
	return channel.Result{Number: number}, nil
}

// due is the message that is owed for a record: an advice or a void itself, or the reversal of a request.
func (r record) due() ask {
	if r.Ask.MTI == "0220" || r.Ask.MTI == "0400" {
		return r.Ask
	}
	return ask{MTI: "0400", Proc: r.Ask.Proc, Function: fnReversal, Reason: whySilence, Number: "R" + r.Ask.Number, Of: r.Ask.Number,
		OfMTI: r.Ask.MTI, OfSent: r.Ask.Sent, Minor: r.Ask.Minor, Sent: r.Ask.Sent}
}

// deliverOwed sends what is owed for a record; from the second time on it says that it is a repeat. A reversal of what the acquirer never saw
// is done.
func (a *Adapter) deliverOwed(ctx context.Context, r record) (record, error) {
	a.saf.Lock()
	defer a.saf.Unlock()
	now, ok, err := a.kept(ctx, r.Ask.Number)
	if err != nil || !ok || now.State != owed {
		return now, err // somebody has sent it meanwhile
	}
	q := r.due()
	m, err := a.message(ctx, q, "")
	if err != nil {
		return r, err
	}
	if now.Tried {
		m.MTI = Repeat(m.MTI)
	}
	answer, err := a.send(ctx, m)
	if err != nil {
		if !now.Tried && !errors.Is(err, channel.ErrNotSent) {
			now.Tried = true
			err = errors.Join(err, a.keep(context.WithoutCancel(ctx), now))
		}
		return now, err
	}
	result, err := a.result(answer, r.Ask.Number, 0)
	if err != nil || result.Outcome == channel.Unknown {
		return r, err
	}
	if q.Number == r.Ask.Number {
		r.State, r.Code, r.ChannelID, r.At = answered, answer.Fields[fCode], result.ChannelID, result.At
		if a.s.Enquiry {
			return r, a.drop(ctx, r.Ask.Number)
		}
		return r, a.keep(ctx, r)
	}
	if code := answer.Fields[fCode]; code != "00" && code != "25" {
		return r, fmt.Errorf("cardacquirer: a reversal is refused with code %.2q: it stays owed", code)
	}
	r.State, r.At = reversed, a.s.Clock.Now()
	return r, a.keep(ctx, r)
}

// Recover is called once at the start, before anything is asked: what was under way when the process ended is reversed, as nobody waits
// for its answer any more.
func (a *Adapter) Recover(ctx context.Context) error {
	return a.each(ctx, func(r record) error {
		if r.State != asked {
			return nil
		}
		r.State = owed
		return a.keep(ctx, r)
	})
}

// Flush sends what is owed and drops from the journal what is older than [Settings].Keep. It says how many messages are still owed. Call it
// every minute or so; an error is that of the last message that failed.
func (a *Adapter) Flush(ctx context.Context) (left int, err error) {
	var failed error
	err = a.each(ctx, func(r record) error {
		switch {
		case r.State == owed:
			now, err := a.deliverOwed(ctx, r)
			if err != nil {
				failed = err
			}
			if now.State == owed {
				left++
			}
		case r.State != asked && a.s.Clock.Now().Sub(r.Ask.Sent) > a.s.Keep:
			return a.drop(ctx, r.Ask.Number)
		}
		return nil
	})
	return left, errors.Join(err, failed)
}

// each calls f with every record, by number.
func (a *Adapter) each(ctx context.Context, f func(record) error) error {
	if err := a.load(ctx); err != nil {
		return err
	}
	a.mu.Lock()
	all := slices.SortedFunc(maps.Values(a.records), func(x, y record) int { return strings.Compare(x.Ask.Number, y.Ask.Number) })
	a.mu.Unlock()
	for _, r := range all {
		if err := f(r); err != nil {
			return err
		}
	}
	return nil
}

// noteLate takes an answer that nobody waits for any more. An approval of what is already reversed makes the reversal owed anew: the
// acquirer may have had the two in the wrong order. Otherwise what is owed undoes it, or an enquiry finds it.
func (a *Adapter) noteLate(m Message) {
	a.mu.Lock()
	a.late++
	a.mu.Unlock()
	number := m.Fields[fNumber]
	if a.s.Enquiry || number == "" || codes[m.Fields[fCode]].outcome != channel.Succeeded {
		return
	}
	ctx := context.Background()
	if r, ok, err := a.kept(ctx, number); err == nil && ok && r.State == reversed {
		r.State = owed
		if a.keep(ctx, r) != nil { // owed all the same, while this process lives; after it the acquirer's file shows it
			a.mu.Lock()
			a.records[number] = r
			a.mu.Unlock()
		}
	}
}

// Late counts the answers that came when nobody waited any more.
func (a *Adapter) Late() int {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.late
}

// goodbye bounds the sign-off: a process that ends does not wait for an acquirer that is silent.
const goodbye = 3 * time.Second

// Run keeps the connection alive and sends what is owed, at once and then every so often until ctx ends; then it signs off. [Adapter.Recover] comes
// before it. Failed is told what went wrong; it goes on.
func (a *Adapter) Run(ctx context.Context, every time.Duration, failed func(error)) {
	if _, err := a.Flush(ctx); err != nil && ctx.Err() == nil {
		failed(err)
	}
	for {
		select {
		case <-ctx.Done():
			last, cancel := context.WithTimeout(context.WithoutCancel(ctx), goodbye)
			defer cancel()
			if err := a.SignOff(last); err != nil {
				failed(err)
			}
			return
		case <-a.s.After(every):
		}
		_, err := a.Flush(ctx)
		if err = errors.Join(err, a.Echo(ctx)); err != nil && ctx.Err() == nil {
			failed(err)
		}
	}
}
