package scenario

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"crypto/sha256"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"net/http/httptest"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/purselane/purselane/backend/api"
	"github.com/purselane/purselane/backend/node"
	"github.com/purselane/purselane/backend/store"
	"github.com/purselane/purselane/card/ep"
	"github.com/purselane/purselane/card/keys"
	firmwareconfig "github.com/purselane/purselane/firmware-config"
	"github.com/purselane/purselane/firmware-config/fare"
	"github.com/purselane/purselane/internal/clock"
	"github.com/purselane/purselane/internal/ids"
	"github.com/purselane/purselane/internal/money"
	"github.com/purselane/purselane/shadowaccount"
	"github.com/purselane/purselane/simulator/epcard"
	"github.com/purselane/purselane/simulator/personalise"
	"github.com/purselane/purselane/simulator/psam"
	"github.com/purselane/purselane/terminal/edge"
	"github.com/purselane/purselane/terminal/kiosk"
	"github.com/purselane/purselane/terminal/tap"
)

// lanes are the terminal's, in its order.
var lanes = []string{"bus", "entry", "exit", "till"}

const (
	terminalID = ids.TerminalID("story-1")
	merchantID = ids.MerchantID("company")
	acquirerID = ids.AcquirerID("company")
)

const schemeText = `
name: story
time_zone: Asia/Shanghai
max_load: "1000.00"
max_balance: "1000.00"
term: T+1
api: {address: "127.0.0.1:8080"}
console: {address: "127.0.0.1:8081"}
broker: {address: "127.0.0.1:1883"}
acquirers:
  - id: company
    name: Company
    fees:
      - {name: half a percent, side: inside, charges: [{kind: service, model: rate, ppm: 5000}]}
merchants:
  - {id: company, acquirer: company, name: Company}
`

var (
	psamNumber  = ep.TerminalNumber{0x11, 0x22, 0x33, 0x44, 0x55, 0x66}
	kioskNumber = ep.TerminalNumber{0, 0, 0, 0, 0x99, 0x01}
	issuer      = ep.Factor{0x01, 0x01, 0x10, 0x00, 0xFF, 0xFF, 0xFF, 0xFF}
	// morning is when every story begins.
	morning = time.Date(2026, time.March, 2, 8, 0, 0, 0, time.FixedZone("CST", 8*3600))
)

// world is what a story plays in.
type world struct {
	way     Way
	clock   *clock.Manual
	chance  *rand.ChaCha8
	ring    *keys.Ring
	door    Door
	profile *firmwareconfig.Profile
	node    *node.Node
	server  *httptest.Server
	host    *kiosk.HTTPHost
	term    *edge.Terminal
	sam     keys.SAM
	device  ed25519.PrivateKey
	cards   map[string]*epcard.Card
	carried uint64 // records that the backend has
}

// Run plays a scenario in dir, which is empty, and returns the first step that went otherwise than expected.
func Run(ctx context.Context, s *Scenario, way Way, dir string) (err error) {
	w := &world{way: way, clock: clock.NewManual(morning), chance: rand.NewChaCha8(sha256.Sum256([]byte(s.Name))), cards: map[string]*epcard.Card{}, profile: firmwareconfig.Sample()}
	w.profile.Card.Variant = s.Variant
	defer func() { err = errors.Join(err, w.close()) }()
	if err := w.open(ctx, dir); err != nil {
		return fmt.Errorf("scenario %q: %w", s.Name, err)
	}
	for i, step := range s.Steps {
		if err := w.play(ctx, step); err != nil {
			return fmt.Errorf("scenario %q: step %d, %s %s%s: %w", s.Name, i+1, step.Do, step.Card, step.Lane, err)
		}
		w.clock.Advance(time.Second)
	}
	return nil
}

func (w *world) open(ctx context.Context, dir string) (err error) {
	if w.ring, err = keys.NewRing(w.chance); err != nil {
		return err
	}
	// The backend and the issuer's desk hold no purchase key: that is the PSAM's alone.
	host := map[keys.ID]keys.Key{}
	for id, k := range w.ring.Masters {
		if slices.Contains([]keys.Purpose{keys.Load, keys.TAC, keys.Maintenance}, id.Purpose) {
			host[id] = k
		}
	}
	if w.door, err = w.way.Keys(ctx, host); err != nil {
		return err
	}
	if err := w.openBackend(ctx, filepath.Join(dir, "backend")); err != nil {
		return err
	}
	return w.openTerminal(ctx, filepath.Join(dir, "journal.db"))
}

func (w *world) openBackend(ctx context.Context, dir string) error {
	scheme, err := node.ParseScheme([]byte(schemeText))
	if err != nil {
		return err
	}
	tokenKey, err1 := w.ring.Secret(keys.SecretToken, 32)
	receipts, err2 := w.ring.SigningKey(keys.SecretReceipt)
	if err := errors.Join(err1, err2); err != nil {
		return err
	}
	token, hash := api.NewToken(w.chance)
	tokens, err := api.LoadTokens(fmt.Appendf(nil, "version: 1\ntokens:\n  - {name: kiosk, role: agent, acquirer: %s, sha256: %s}\n", acquirerID, hash))
	if err != nil {
		return err
	}
	w.node, err = node.Open(ctx, node.Config{Dir: dir, Scheme: scheme, HSM: w.door, TokenKey: tokenKey, ReceiptKey: receipts, Tokens: tokens, Clock: w.clock,
		Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		return err
	}
	w.server = httptest.NewServer(w.node.API())
	w.host, err = kiosk.NewHTTPHost(w.server.URL, token)
	return err
}

func (w *world) openTerminal(ctx context.Context, journalPath string) error {
	img, err := personalise.PSAM(w.ring.Masters, personalise.PSAMSpec{Terminal: psamNumber, Issuer: issuer, NextSerial: 1, Application: w.profile.Card.Variant.Application,
		SM4Algorithm: w.profile.Card.Variant.SM4Algorithm[0]})
	if err != nil {
		return err
	}
	chip, err := psam.New(img)
	if err != nil {
		return err
	}
	if w.sam, err = w.way.SAM(ctx, chip, w.profile.Card.Variant.Application); err != nil {
		return err
	}
	seed := make([]byte, ed25519.SeedSize)
	_, _ = w.chance.Read(seed) // a generator never fails
	w.device = ed25519.NewKeyFromSeed(seed)
	err = w.node.Store().Update(ctx, func(tx *store.Tx) error {
		return tx.PutTerminal(ctx, store.Terminal{ID: terminalID, Merchant: merchantID, PSAMs: [][6]byte{psamNumber}, PublicKey: w.device.Public().(ed25519.PublicKey), Active: true})
	})
	if err != nil {
		return err
	}
	here, far := fare.Code{0x01, 0x01}, fare.Code{0x01, 0x05}
	w.term, err = edge.Open(edge.Config{
		Terminal: terminalID, Merchant: merchantID, Profile: w.profile, SAM: w.sam, JournalPath: journalPath, Clock: w.clock,
		Rand: rand.New(rand.NewPCG(1, 2)),
		Lanes: []edge.Lane{{Mode: tap.BusFlat, Line: fare.Code{0x00, 0x07}}, {Mode: tap.MetroEntry, Line: here, Station: here},
			{Mode: tap.MetroExit, Line: here, Station: far}, {Mode: tap.Sale}},
	})
	return err
}

func (w *world) close() error {
	var all []error
	if w.term != nil {
		all = append(all, w.term.Close())
	}
	if slot, ok := w.sam.(interface{ Close() error }); ok {
		all = append(all, slot.Close())
	}
	if w.server != nil {
		w.server.Close()
	}
	switch closer, ok := w.door.(interface{ Close() error }); {
	case w.node != nil:
		all = append(all, w.node.Close())
	case ok:
		all = append(all, closer.Close())
	}
	return errors.Join(all...)
}

// play does one step and holds what came of it against what is expected.
func (w *world) play(ctx context.Context, s Step) error {
	var got Expect
	var err error
	switch s.Do {
	case "wait":
		w.clock.Advance(s.For)
		return nil
	case "issue":
		err = w.issue(ctx, s)
	case "load":
		got, err = w.load(ctx, s)
	case "tap":
		got, err = w.tap(ctx, s)
	case "block", "unblock":
		err = w.block(ctx, s)
	case "history":
		got, err = w.history(ctx, s)
	case "books":
		got, err = w.books(ctx, s)
	}
	if err != nil {
		return err
	}
	balance := w.cards[s.Card].Balance()
	got.Balance = &balance
	return s.Expect.hold(got)
}

// hold returns every difference from what came.
func (e Expect) hold(got Expect) error {
	var all []error
	differs := func(what string, want, have any) {
		all = append(all, fmt.Errorf("%s is %v, want %v", what, have, want))
	}
	text := func(what, want, have string) {
		if want != "" && want != have {
			differs(what, want, have)
		}
	}
	text("outcome", e.Outcome, got.Outcome)
	text("settled", e.Settled, got.Settled)
	amount := func(what string, want, have *money.Amount) {
		if want != nil && (have == nil || *want != *have) {
			differs(what, want, have)
		}
	}
	amount("amount", e.Amount, got.Amount)
	amount("balance", e.Balance, got.Balance)
	amount("shadow", e.Shadow, got.Shadow)
	number := func(what string, want, have *int) {
		switch {
		case want == nil:
		case have == nil:
			differs(what, *want, "not known")
		case *want != *have:
			differs(what, *want, *have)
		}
	}
	number("records", e.Records, got.Records)
	number("verified", e.Verified, got.Verified)
	number("findings", e.Findings, got.Findings)
	list := func(what string, want, have []string) {
		if want != nil && !slices.Equal(want, have) {
			differs(what, strings.Join(want, ", "), strings.Join(have, ", "))
		}
	}
	list("log", e.Log, got.Log)
	list("trips", e.Trips, got.Trips)
	return errors.Join(all...)
}

// issue makes a card as the profile says, without money, and registers it.
func (w *world) issue(ctx context.Context, s Step) error {
	number, err := ids.ParseCardNumber(s.Number)
	if err != nil {
		return err
	}
	spec, err := personalise.CardSpec{Number: number, Issuer: issuer}.For(w.profile.Card)
	if err != nil {
		return err
	}
	img, err := personalise.Card(w.ring.Masters, spec)
	if err != nil {
		return err
	}
	chip, err := epcard.New(img, w.chance)
	if err != nil {
		return err
	}
	tokenKey, err := w.ring.Secret(keys.SecretToken, 32)
	if err != nil {
		return err
	}
	w.cards[s.Card] = chip
	return w.node.Store().Update(ctx, func(tx *store.Tx) error {
		return tx.IssueCard(ctx, store.Card{Number: number, Token: store.Token(tokenKey, number), Issuer: issuer, Levels: spec.Keys.Levels, Status: store.CardActive})
	})
}

// load presents the card to the kiosk.
func (w *world) load(ctx context.Context, s Step) (got Expect, err error) {
	card, away, err := w.way.Present(ctx, &torn{Card: w.cards[s.Card], tear: s.Tear})
	if err != nil {
		return got, err
	}
	c := w.profile.Card
	r, err := kiosk.Load(ctx, card, w.host, kiosk.Request{AID: c.AIDs[0], KeyIndex: c.KeyIndex, Levels: c.KeyLevels, Terminal: kioskNumber, IdempotencyKey: s.Key, Amount: s.Amount})
	if err := errors.Join(err, away()); err != nil {
		return got, err
	}
	return Expect{Outcome: r.Outcome.String(), Amount: &r.Amount}, nil
}

// tap presents the card to a lane.
func (w *world) tap(ctx context.Context, s Step) (got Expect, err error) {
	card, away, err := w.way.Present(ctx, &torn{Card: w.cards[s.Card], tear: s.Tear})
	if err != nil {
		return got, err
	}
	var r tap.Result
	if lane := slices.Index(lanes, s.Lane); s.Lane == "till" {
		r, err = w.term.Sell(ctx, lane, card, s.Amount, s.Key)
	} else {
		r, err = w.term.Present(ctx, lane, card)
	}
	if err := errors.Join(err, away()); err != nil {
		return got, err
	}
	got = Expect{Outcome: r.Outcome.String(), Amount: &r.Amount}
	if r.Recovered != nil {
		got.Settled = map[bool]string{true: "completed", false: "voided"}[r.Recovered.Completed]
	}
	return got, nil
}

// block blocks the application of a card or lifts it, as the issuer's desk does: with a MAC by the maintenance key.
func (w *world) block(ctx context.Context, s Step) error {
	t, away, err := w.way.Present(ctx, w.cards[s.Card])
	if err != nil {
		return err
	}
	public, err := ep.ParsePublic([]byte(w.cards[s.Card].Image().Public))
	if err != nil {
		return errors.Join(err, away())
	}
	c := w.profile.Card
	key := keys.Card{ID: keys.ID{Purpose: keys.Maintenance, Version: 1, Algorithm: c.Variant.Algorithm[0]}, Factors: public.Factors(c.KeyLevels)}
	mac := func(ctx context.Context, challenge, message []byte) ([4]byte, error) {
		return w.door.SecureMAC(ctx, key, challenge, message)
	}
	card, _, err := ep.Select(ctx, t, c.AIDs[0])
	if s.Do == "unblock" && errors.Is(err, ep.ErrBlocked) {
		card, err = ep.Selected(t), nil
	}
	if err == nil {
		card = card.With(ep.Settings{ChallengeLength: c.Variant.Challenge})
		if s.Do == "block" {
			err = card.BlockApplication(ctx, false, mac)
		} else {
			err = card.UnblockApplication(ctx, mac)
		}
	}
	return errors.Join(err, away())
}

// Words of the card's own records.
var (
	transactionWords = map[ep.Type]string{ep.TypeLoad: "load", ep.TypeUnload: "unload", ep.TypePurchase: "purchase", ep.TypeComposite: "composite"}
	tripWords        = map[byte]string{ep.HistoryIn: "in", ep.HistoryOut: "out", ep.HistorySingle: "single", ep.HistoryCorrection: "correction"}
)

// history reads EF 18 and EF 1E.
func (w *world) history(ctx context.Context, s Step) (got Expect, err error) {
	t, away, err := w.way.Present(ctx, w.cards[s.Card])
	if err != nil {
		return got, err
	}
	got.Log, got.Trips, err = read(ctx, t, w.profile.Card.AIDs[0])
	return got, errors.Join(err, away())
}

// books carries the terminal's records to the backend, lets it post them, and looks at the card's account.
func (w *world) books(ctx context.Context, s Step) (got Expect, err error) {
	var file bytes.Buffer
	n, err := edge.Export(&file, w.term.Journal(), terminalID, w.device, w.carried+1, w.clock.Now())
	if err != nil {
		return got, err
	}
	w.carried += n
	if n > 0 {
		if _, err := w.node.Carry(ctx, &file); err != nil {
			return got, err
		}
	}
	if err := w.node.Post(ctx); err != nil {
		return got, err
	}
	err = w.node.Store().View(ctx, func(tx *store.Tx) error {
		card, err := tx.CardByNumber(ctx, w.cards[s.Card].Number())
		if err != nil {
			return err
		}
		taps, err := tx.CardTaps(ctx, card.Number)
		if err != nil {
			return err
		}
		found, err := tx.Findings(ctx, card.Token, 100)
		if err != nil {
			return err
		}
		faults, err := tx.VerifyBooks(ctx)
		if err != nil {
			return err
		}
		if len(faults) > 0 {
			return fmt.Errorf("the books: %s", strings.Join(faults, "; "))
		}
		records, verified, findings := len(taps), 0, len(found)
		for _, t := range taps {
			if t.Proof == shadowaccount.ProofGood {
				verified++
			}
		}
		got.Records, got.Verified, got.Findings, got.Shadow = &records, &verified, &findings, &card.Shadow
		return nil
	})
	return got, err
}
