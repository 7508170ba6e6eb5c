package tcc

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"time"

	"github.com/purselane/purselane/backend/gateway/channel"
	"github.com/purselane/purselane/backend/store"
	"github.com/purselane/purselane/internal/money"
	"github.com/purselane/purselane/shadowaccount/books"
)

// Leg is one instrument's part of a payment.
type Leg struct {
	XID         string
	N           int    // from 1 on, in the order in which they are tried
	Participant string // by its name in Settings.Participants
	Account     string // whose value it is: a holder, or "" where the channel's request says it
	Money       channel.Money
	Worth       money.Amount // in the money of the payment; zero: as Money. Points have another worth than their number
	Payee       string       // who gets it: an account of the books, or a holder of points
	Context     string       // the 20-digit context code
	Until       time.Time    // of the payment
	Tell        Tell         // of the payment

	// Direct is set by the coordinator where there is one leg: nothing is reserved, it is done by the try and undone by the cancel.
	Direct bool
}

// Tell is what the channels of a payment's legs are told of it. It is no part of what is asked for: asked again, the first one stays.
type Tell struct {
	Subject   string
	ReturnURL string // where the payer's browser goes after paying; proves nothing
	ClientIP  string // of the payer; may be ""
}

// number of a leg at its channel and in the books. The last letter says what it is of.
func (l Leg) number(of string) string { return fmt.Sprintf("%s%02d%s", l.XID, l.N, of) }

func (l Leg) worth() money.Amount {
	if l.Worth.IsZero() {
		return l.Money.Amount
	}
	return l.Worth
}

func (l Leg) digest() string {
	sum := sha256.Sum256(fmt.Appendf(nil, "%s\n%d\n%s\n%s\n%d\n%s\n%d\n%s\n%s\n%v", l.XID, l.N, l.Participant, l.Account, l.Money.Amount.Minor(), l.Money.Currency, l.worth().Minor(), l.Payee, l.Context, l.Direct))
	return hex.EncodeToString(sum[:16])
}

// Word is a participant's answer. The zero value is Wait.
type Word int

// Words.
const (
	Wait Word = iota // not yet, or nobody knows: tell it again
	Done
	No // of a try, or a refund: refused for good
)

// Answer is a word, and what the payer must do for it.
type Answer struct {
	Word   Word
	Action channel.Action
	Why    string        // of a No: the code
	Class  channel.Class // of Why
}

// Refund is a leg's part of a refund.
type Refund struct {
	Number string // of this part, 20 to 32 characters
	Amount money.Amount
	Sent   time.Time // when it was ordered
	Again  bool      // it was asked for before
}

// Participant reserves, takes and gives up. Each call may come again, late, and in any order; [Decide] says what it may do then. An error is as
// [Wait], and is logged.
type Participant interface {
	Try(context.Context, Leg) (Answer, error)
	Confirm(context.Context, Leg) (Answer, error)
	Cancel(context.Context, Leg) (Answer, error)
	Refund(context.Context, Leg, Refund) (Answer, error)
}

// LateHearer is a participant that may hear of a success after it had given up.
type LateHearer interface {
	Late(context.Context, Leg) error
}

// ErrAbsurd says that a participant was told what no coordinator may tell it: somebody must look.
var ErrAbsurd = errors.New("told what cannot be")

// errRefused ends a transaction of a try with a refusal.
type errRefused struct {
	why   string
	class channel.Class
}

func (e errRefused) Error() string { return e.why }

// obey does what a message asks of a participant whose value lies in our own store: the deed and the memory of it are one transaction.
func obey(ctx context.Context, s *store.Store, l Leg, o Op, now time.Time, do func(*store.Tx, Branch) error) (Answer, error) {
	var a Answer
	var refusal errRefused
	run := func(tx *store.Tx) error {
		b, duty, err := hear(ctx, tx, l, o, now)
		if err != nil {
			return err
		}
		a = Answer{Word: Done}
		switch duty {
		case Same:
			return nil
		case Never:
			a = Answer{Word: No, Why: "it was refused or cancelled before"}
			return nil
		case Empty:
			b.State = string(Cancelled)
			return tx.PutTCCBranch(ctx, b)
		}
		before := Branch(b.State)
		switch {
		case o == Try && refusal.why != "":
			b.State, a = string(Refused), Answer{Word: No, Why: refusal.why, Class: refusal.class}
			return tx.PutTCCBranch(ctx, b)
		case o == Try:
			b.State = string(Tried)
		case o == Confirm:
			b.State = string(Confirmed)
		case o == Cancel:
			b.State = string(Cancelled)
		}
		if err := do(tx, before); err != nil {
			return err
		}
		return tx.PutTCCBranch(ctx, b)
	}
	err := s.Update(ctx, run)
	var no errRefused
	if o == Try && errors.As(err, &no) { // the refusal undid the transaction; another one keeps it
		refusal = no
		err = s.Update(ctx, run)
	}
	if err != nil {
		return Answer{}, err
	}
	return a, nil
}

// hear reads what a participant has done of a leg, and what it has to do now.
func hear(ctx context.Context, tx *store.Tx, l Leg, o Op, now time.Time) (store.TCCBranch, Duty, error) {
	b, err := tx.TCCBranch(ctx, l.XID, l.N)
	if err != nil {
		return b, Absurd, err
	}
	if b.State == "" {
		b.Began = now
		b.Digest = l.digest()
	} else if b.Digest != l.digest() {
		return b, Absurd, fmt.Errorf("%s of leg %d of %s: its content was another one before: %w", o, l.N, l.XID, books.ErrConflict)
	}
	duty := Decide(Branch(b.State), o)
	if duty == Absurd {
		return b, duty, fmt.Errorf("%s of leg %d of %s, which is %q: %w", o, l.N, l.XID, b.State, ErrAbsurd)
	}
	return b, duty, nil
}
