package topup

import (
	"context"
	"crypto/rand"
	"crypto/subtle"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"time"

	"github.com/purselane/purselane/backend/store"
	"github.com/purselane/purselane/card/ec"
	"github.com/purselane/purselane/card/ep"
	"github.com/purselane/purselane/card/keys"
	"github.com/purselane/purselane/internal/clock"
	"github.com/purselane/purselane/internal/ids"
	"github.com/purselane/purselane/internal/money"
)

// Config bounds what the service sells.
type Config struct {
	// MaxAmount bounds one load. Required.
	MaxAmount money.Amount

	// MaxBalance bounds what a card may hold after a load, as the scheme's rules or its licence say. Required, and at most
	// what a purse can hold (four bytes with the top bit clear).
	MaxBalance money.Amount

	// MaxPaidOut bounds what one agent pays out of its till on one of the scheme's days: value of cards that were given back, and goodwill.
	//
	// Default 0.00: no limit.
	MaxPaidOut money.Amount

	// Location is the scheme's: the date and time in MAC2 and TAC, and the clearing day, are in it.
	//
	// Default time.UTC.
	Location *time.Location

	// UncertainAfter is how long MAC2 may be out without a word of the card before [Service.Sweep] calls the load
	// uncertain. A kiosk that lives says so itself at once; this is for one that died.
	//
	// Default 2 minutes.
	UncertainAfter time.Duration

	// Online is the agent that stands for the online gateway: load orders that were paid there are in its name. No acquirer may have the name.
	//
	// Default "": there are none.
	Online ids.AcquirerID

	// EC is the door to the keys of electronic cash cards.
	//
	// Default nil: such cards are not loaded.
	EC ec.Issuer

	// ECLogRecords is how many records the load log of the scheme's electronic cash cards keeps. A log that is not full excludes what is not
	// in it.
	//
	// Default 0: it is not known, and only an older load in the log excludes.
	ECLogRecords int

	// Rand makes the challenges. Only a simulation sets it: a challenge that can be foreseen proves nothing.
	//
	// Default crypto/rand.Reader.
	Rand io.Reader

	// Log gets what an operator should hear of at once: findings.
	//
	// Default slog.Default().
	Log *slog.Logger
}

// maxPurse is the largest balance a purse can show (purse facts 3.2).
const maxPurse = 0x7FFFFFFF

// maxSessions bounds the INITIALIZE answers authorised for one order. Each needs a card in a field; a kiosk that asks for more
// than this is broken.
const maxSessions = 100

func (c Config) withDefaults() (Config, error) {
	var errs []error
	if c.MaxAmount.Sign() <= 0 {
		errs = append(errs, fmt.Errorf("topup: MaxAmount %v: want more than zero", c.MaxAmount))
	}
	if c.MaxBalance.Sign() <= 0 || c.MaxBalance.Minor() > maxPurse {
		errs = append(errs, fmt.Errorf("topup: MaxBalance %v: want more than zero and at most %v", c.MaxBalance, money.Minor(maxPurse)))
	}
	if !c.MaxPaidOut.IsZero() && c.MaxPaidOut.Cmp(c.MaxBalance) < 0 {
		errs = append(errs, fmt.Errorf("topup: MaxPaidOut %v: want zero, or at least MaxBalance: what one card holds is paid out on one day", c.MaxPaidOut))
	}
	if c.UncertainAfter < 0 {
		errs = append(errs, fmt.Errorf("topup: UncertainAfter %v: want zero or more", c.UncertainAfter))
	}
	if c.Location == nil {
		c.Location = time.UTC
	}
	if c.UncertainAfter == 0 {
		c.UncertainAfter = 2 * time.Minute
	}
	if c.Rand == nil {
		c.Rand = rand.Reader
	}
	if c.Log == nil {
		c.Log = slog.Default()
	}
	return c, errors.Join(errs...)
}

// Service sells loads. It is safe for concurrent use.
type Service struct {
	store *store.Store
	hsm   keys.HSM
	clock clock.Clock
	cfg   Config
}

// New makes a service; it starts nothing.
func New(s *store.Store, hsm keys.HSM, c clock.Clock, cfg Config) (*Service, error) {
	cfg, err := cfg.withDefaults()
	if err != nil {
		return nil, err
	}
	return &Service{store: s, hsm: hsm, clock: c, cfg: cfg}, nil
}

// Order is a load order as its agent sees it.
type Order struct {
	ID             string
	Agent          ids.AcquirerID
	IdempotencyKey string
	Amount         money.Amount
	State          State
	Token          string // of the card, "" while none is bound
	Proof          Proof
	Created        time.Time
	Changed        time.Time
}

// Proof says how a credit is known. The text is stored and is part of the API.
type Proof string

// Proofs, "" for none.
const (
	ByTAC     Proof = "tac"     // of the CREDIT answer
	ByProve   Proof = "prove"   // TAC of GET TRANSACTION PROVE
	ByCounter Proof = "counter" // the card's own MAC1 shows a later online counter
	ByRecords Proof = "records" // a later debit shows the balance risen by it
	ByScript  Proof = "script"  // the kiosk's report that an electronic cash card has carried the script out
	ByCard    Proof = "card"    // the card's load log or balance, under its own MAC, in a later session
)

func orderOf(o store.LoadOrder) Order {
	return Order{ID: o.ID, Agent: o.Agent, IdempotencyKey: o.IdempotencyKey, Amount: o.Amount, State: State(o.State), Token: o.Token,
		Proof: Proof(o.Proof), Created: o.Created, Changed: o.Changed}
}

// CardInit is a card's identity and its answer to INITIALIZE FOR LOAD, with what it was asked (purse facts 3.6).
type CardInit struct {
	Card      ids.CardNumber
	Issuer    ep.Factor
	Levels    int // of key diversification
	Version   byte
	Algorithm byte
	Balance   money.Amount // before
	Counter   uint16       // online, not yet incremented
	Random    [4]byte
	MAC1      ep.MAC
	Amount    money.Amount
	Terminal  ep.TerminalNumber
}

// verifyCard finds the card in the registry and verifies MAC1: from here on the card itself has said what c says.
func (s *Service) verifyCard(ctx context.Context, c CardInit) (store.Card, error) {
	// A MAC over a truncated amount would be a forged one; package ep refuses them by panicking, so they stop here.
	var scratch [4]byte
	if err := errors.Join(ep.PutAmount(scratch[:], c.Amount), ep.PutAmount(scratch[:], c.Balance)); err != nil {
		return store.Card{}, fmt.Errorf("%w: %w", ErrAmount, err)
	}
	var card store.Card
	err := s.store.View(ctx, func(tx *store.Tx) error {
		var err error
		card, err = tx.CardByNumber(ctx, c.Card)
		return err
	})
	switch {
	case errors.Is(err, store.ErrNotFound):
		return store.Card{}, fmt.Errorf("card %v: %w", c.Card, ErrUnknownCard)
	case err != nil:
		return store.Card{}, err
	case card.Status == store.CardUnknown:
		return store.Card{}, fmt.Errorf("card %v: %w", c.Card, ErrUnknownCard)
	case card.Family != "ep":
		return store.Card{}, fmt.Errorf("card %v: it was issued as a card of family %s: %w", c.Card, card.Family, ErrCardData)
	case card.Issuer != c.Issuer || card.Levels != c.Levels:
		return store.Card{}, fmt.Errorf("card %v: issuer %X, %d key levels: %w", c.Card, c.Issuer, c.Levels, ErrCardData)
	}
	want, err := s.sessionMAC(ctx, c, ep.LoadMAC1(c.Balance, c.Amount, ep.TypeLoad, c.Terminal))
	if err != nil {
		return store.Card{}, err
	}
	if subtle.ConstantTimeCompare(want[:], c.MAC1[:]) != 1 {
		return store.Card{}, fmt.Errorf("card %v: %w", c.Card, ErrMAC1)
	}
	return card, nil
}

// from says where an answer that does not verify came from. An honest kiosk with a good reader sends none: someone tries, or a
// reader garbles.
func (c CardInit) from() string { return fmt.Sprintf("card %v at terminal %v", c.Card, c.Terminal) }

func (c CardInit) key(p keys.Purpose) keys.Card {
	return keys.Card{ID: keys.ID{Purpose: p, Version: c.Version, Algorithm: c.Algorithm},
		Factors: ep.Public{Issuer: c.Issuer, CardNumber: c.Card}.Factors(c.Levels)}
}

// sessionMAC is the MAC over message under the session key of this INITIALIZE answer (purse facts 6.4).
func (s *Service) sessionMAC(ctx context.Context, c CardInit, message []byte) (ep.MAC, error) {
	mac, err := s.hsm.SessionMAC(ctx, c.key(keys.Load), ep.LoadSession(c.Random, c.Counter), message)
	if errors.Is(err, keys.ErrUnknownKey) {
		return ep.MAC{}, fmt.Errorf("card %v: key version %02X, algorithm %02X: %w", c.Card, c.Version, c.Algorithm, ErrUnknownKey)
	}
	if err != nil {
		return ep.MAC{}, fmt.Errorf("load session of card %v: %w", c.Card, err)
	}
	return mac, nil
}

// now is the time, cut to the resolution in which it is stored.
func (s *Service) now() time.Time { return time.UnixMilli(s.clock.Now().UnixMilli()) }

// day is the clearing day of a moment.
func (s *Service) day(at time.Time) string { return at.In(s.cfg.Location).Format(time.DateOnly) }

// find writes a finding about an order and tells the log.
func (s *Service) find(ctx context.Context, tx *store.Tx, order, code, detail string) error {
	s.cfg.Log.WarnContext(ctx, "load finding", "order", order, "code", code, "detail", detail)
	return tx.AddLoadFinding(ctx, store.LoadFinding{Order: order, Code: code, Detail: detail, At: s.now()})
}

// report is find in a transaction of its own, for a call that changes nothing else.
func (s *Service) report(ctx context.Context, order, code, detail string) error {
	return s.store.Update(ctx, func(tx *store.Tx) error { return s.find(ctx, tx, order, code, detail) })
}
