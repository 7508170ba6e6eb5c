package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"os"

	"github.com/alecthomas/kong"

	"github.com/purselane/purselane/backend/intake"
	"github.com/purselane/purselane/backend/store"
	"github.com/purselane/purselane/card/apdu"
	"github.com/purselane/purselane/card/ep"
	"github.com/purselane/purselane/card/keys"
	"github.com/purselane/purselane/internal/ids"
	"github.com/purselane/purselane/internal/money"
	"github.com/purselane/purselane/shadowaccount"
)

// CardVerifyCmd is `purselane card verify`.
type CardVerifyCmd struct {
	cardTool
	Dir            string `xor:"keys" required:"" placeholder:"FOLDER" type:"path" help:"The scheme's folder: its keys, and its books if it has any."`
	TestKeys       bool   `xor:"keys" required:"" help:"Use the well-known test keys."`
	PassphraseFile string `xor:"lock" placeholder:"FILE" type:"path" help:"With --dir: file with the key file's passphrase."`
	IdentityFile   string `xor:"lock" placeholder:"FILE" type:"path" help:"With --dir: file with the key file's age identity. Default: keys.identity in the folder."`
	Store          string `env:"PURSELANE_STORE" placeholder:"ADDRESS" help:"With --dir: the database, as for serve."`
	Levels         int    `default:"0" help:"Key diversification levels, 1 or 2. 0: what the family does."`
	KeyIndex       byte   `default:"1" help:"Index of the purchase and load keys."`
}

// Verdicts on a log record.
const (
	verified    = "verified"
	notProvable = "not provable"
	wrong       = "WRONG"
)

type cardVerdicts struct {
	Number  string    `json:"card_number"`
	Records []verdict `json:"records"` // as in the card's log, newest first
	Wrong   int       `json:"wrong"`
}

type verdict struct {
	logRecord
	Verdict string `json:"verdict"`
	Why     string `json:"why"`
	MAC2    string `json:"mac2,omitempty"` // as the card proves it, with nothing to check it by
	TAC     string `json:"tac,omitempty"`
}

// Run checks the card's log and fails if a record is wrong.
func (c *CardVerifyCmd) Run(ctx context.Context, k *kong.Kong) (err error) {
	if c.Levels < 0 || c.Levels > 2 {
		return fmt.Errorf("--levels %d: want 1 or 2, or 0 for what the family does", c.Levels)
	}
	hsm, done, err := c.keys(ctx)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, done()) }()
	var s shown
	if err := c.meet(ctx, func(ctx context.Context, t apdu.Transmitter) (err error) {
		s, err = c.look(ctx, t)
		return err
	}); err != nil {
		return err
	}
	b, err := c.books(ctx, hsm, s)
	if err != nil {
		return err
	}
	out := cardVerdicts{Number: shownNumber(s.public.CardNumber, c.Reveal), Records: []verdict{}}
	for i, l := range s.log {
		v := verdict{logRecord: logRecord{l.Counter, named(transactionTypes, byte(l.Type)), l.Amount, money.Minor(int64(l.Overdraft)), l.Terminal.String(), purseTime(l.At)}}
		if err := s.judge(ctx, hsm, b, i, &v); err != nil {
			return err
		}
		if v.Verdict == wrong {
			out.Wrong++
		}
		out.Records = append(out.Records, v)
	}
	if c.JSON {
		err = json.NewEncoder(k.Stdout).Encode(out)
	} else {
		p := &printer{out: k.Stdout}
		p.line("card %s: %d transactions in its log, newest first", out.Number, len(out.Records))
		for _, v := range out.Records {
			p.line("  %5d  %s  %-21s %9v  %s: %s", v.Counter, v.At, v.Type, v.Amount, v.Verdict, v.Why)
		}
		err = p.err
	}
	if err == nil && out.Wrong > 0 {
		err = fmt.Errorf("%d of %d records are WRONG", out.Wrong, len(out.Records))
	}
	return err
}

func (c *CardVerifyCmd) folder() schemeFolder {
	return schemeFolder{Dir: c.Dir, PassphraseFile: c.PassphraseFile, IdentityFile: c.IdentityFile, Store: c.Store}
}

// keys opens the door to the TAC keys.
func (c *CardVerifyCmd) keys(ctx context.Context) (keys.HSM, func() error, error) {
	nothing := func() error { return nil }
	if c.TestKeys {
		return keys.NewSoft(testKeys()), nothing, nil
	}
	s, err := c.folder().scheme()
	if err != nil {
		return nil, nil, err
	}
	ring, err := c.folder().ring()
	if err != nil {
		return nil, nil, err
	}
	hsm, err := c.folder().hsm(ctx, s, ring, slog.New(slog.NewTextHandler(os.Stderr, nil)))
	if err != nil {
		return nil, nil, err
	}
	if d, ok := hsm.(interface{ Close() error }); ok {
		return hsm, d.Close, nil
	}
	return hsm, nothing, nil
}

// shown is what a card showed for its log to be judged by.
type shown struct {
	public  ep.Public
	levels  int
	log     []ep.LogRecord // newest first
	offline proved
	online  proved
	balance money.Amount // now
}

// proved is what a card says of the newest transaction of one of its counters.
type proved struct {
	at        int    // its place in the log; -1: the log has none
	next      uint16 // the counter as it is now: that of the newest transaction, after it
	version   byte
	algorithm byte
	proof     *ep.Proof
	why       string // without a proof
}

// before is the counter before record l, by how this card logs the newest one: before or after the increment (conflict C1).
func (p proved) before(newest, l ep.LogRecord) (uint16, bool) {
	switch newest.Counter {
	case p.next - 1:
		return l.Counter, true
	case p.next:
		return l.Counter - 1, true
	}
	return 0, false
}

func isDebit(k ep.Type) bool { return k == ep.TypePurchase || k == ep.TypeComposite }

// look reads the log and asks for the proofs of the newest debit and the newest load. The INITIALIZE before each tells the counter that the
// proof goes by, and the key version; it does not erase the proof (purse facts 3.10).
func (c *CardVerifyCmd) look(ctx context.Context, t apdu.Transmitter) (shown, error) {
	s := shown{levels: c.Levels, offline: proved{at: -1}, online: proved{at: -1}}
	card, fci, err := selectPurse(ctx, t)
	if err != nil {
		return s, err
	}
	if s.levels == 0 {
		s.levels = 1
		if bytes.Equal(fci.Name, ep.AIDTUnion) {
			s.levels = 2
		}
	}
	if s.public, err = card.ReadPublic(ctx); err != nil {
		return s, err
	}
	if s.log, err = readLog(ctx, card); err != nil {
		return s, err
	}
	for i, l := range s.log {
		if s.offline.at < 0 && isDebit(l.Type) {
			s.offline.at = i
		}
		if s.online.at < 0 && l.Type == ep.TypeLoad {
			s.online.at = i
		}
	}
	if s.offline.at >= 0 {
		init, err := card.InitPurchase(ctx, ep.TypeComposite, c.KeyIndex, money.Amount{}, ep.TerminalNumber{})
		if err != nil {
			return s, err
		}
		s.offline.next, s.offline.version, s.offline.algorithm = init.Counter, init.Version, init.Algorithm
		if err := s.offline.ask(ctx, card, s.log[s.offline.at].Type); err != nil {
			return s, err
		}
	}
	if s.online.at >= 0 {
		init, err := card.InitLoad(ctx, c.KeyIndex, smallestLoad, ep.TerminalNumber{})
		if err != nil {
			return s, err
		}
		s.balance, s.online.next, s.online.version, s.online.algorithm = init.Balance, init.Counter, init.Version, init.Algorithm
		if err := s.online.ask(ctx, card, ep.TypeLoad); err != nil {
			return s, err
		}
	}
	return s, nil
}

func (p *proved) ask(ctx context.Context, card *ep.Card, kind ep.Type) error {
	proof, err := card.Prove(ctx, kind, p.next)
	if err == nil {
		p.proof = &proof
		return nil
	}
	if !cardSays(err) {
		return err
	}
	p.why = err.Error()
	return nil
}

// backendBooks is what the backend knows of the card.
type backendBooks struct {
	known bool
	taps  map[uint32][]bookedTap // by offline counter before
	loads map[uint16]shadowaccount.Load
}

// bookedTap is a tap in the books, with what its stored record shows now.
type bookedTap struct {
	store.Tap
	record  intake.EPDebit
	problem string // why the record shows nothing
}

func (c *CardVerifyCmd) books(ctx context.Context, hsm keys.HSM, s shown) (backendBooks, error) {
	b := backendBooks{taps: map[uint32][]bookedTap{}, loads: map[uint16]shadowaccount.Load{}}
	if c.TestKeys {
		return b, nil
	}
	if ran, err := c.folder().ran(); err != nil || !ran {
		return b, err
	}
	b.known = true
	return b, c.folder().withStore(ctx, func(st *store.Store) error {
		return st.View(ctx, func(tx *store.Tx) error {
			taps, err := tx.CardTaps(ctx, s.public.CardNumber)
			if err != nil {
				return err
			}
			for _, t := range taps {
				booked, err := recheck(ctx, hsm, tx, t)
				if err != nil {
					return err
				}
				b.taps[t.Counter] = append(b.taps[t.Counter], booked)
			}
			loads, err := tx.CardLoads(ctx, s.public.CardNumber)
			for _, l := range loads {
				b.loads[l.Counter] = l
			}
			return err
		})
	})
}

// recheck makes the TAC of a tap's stored record anew with the keys given: the books' own verdict is not taken for it.
func recheck(ctx context.Context, hsm keys.HSM, tx *store.Tx, t store.Tap) (bookedTap, error) {
	out := bookedTap{Tap: t}
	body, err := tx.RecordBody(ctx, t.Tap.Terminal, t.Tap.Epoch, t.Seq)
	if errors.Is(err, store.ErrNotFound) {
		out.problem = "its record is not kept any more"
		return out, nil
	}
	if err != nil {
		return out, err
	}
	out.record, err = intake.Recheck(ctx, hsm, body, t.Tap.Terminal, t.Tap.Epoch, t.Seq)
	if errors.Is(err, intake.ErrUnreadable) {
		out.problem = err.Error()
		return out, nil
	}
	out.problem = out.record.Reason
	return out, err
}

// judge says of one record of the log what can be proved.
func (s shown) judge(ctx context.Context, hsm keys.HSM, b backendBooks, i int, v *verdict) error {
	l := s.log[i]
	switch {
	case isDebit(l.Type):
		s.judgeDebit(b, i, v)
		return nil
	case l.Type == ep.TypeLoad:
		return s.judgeLoad(ctx, hsm, b, i, v)
	}
	v.Verdict, v.Why = notProvable, "verify knows debits and loads of EP only"
	return nil
}

// judgeDebit: the TAC covers the PSAM's transaction serial and MAC2 the card's random, and the card keeps neither. Whoever has the record does: the
// TAC of the record that the backend has is made anew.
func (s shown) judgeDebit(b backendBooks, i int, v *verdict) {
	l, newest := s.log[i], s.log[s.offline.at]
	v.Verdict = notProvable
	before, ok := s.offline.before(newest, l)
	switch {
	case int16(newest.Counter-s.offline.next) > 0:
		v.Verdict, v.Why = wrong, fmt.Sprintf("the log shows debit %d, the card's counter is %d", newest.Counter, s.offline.next)
		return
	case !ok:
		v.Why = fmt.Sprintf("the newest debit of the log has counter %d, the card's counter is %d: other debits are not in this log", newest.Counter, s.offline.next)
		return
	}
	why := "the card keeps the proof of its newest debit only"
	var card *ep.MAC // the card's own TAC of this debit
	if i == s.offline.at {
		if why = s.offline.why; s.offline.proof != nil {
			card = &s.offline.proof.TAC
			v.MAC2, v.TAC = s.offline.proof.MAC2.String(), card.String()
			why = "the card's TAC covers the PSAM's serial and its MAC2 the card's random, and the card keeps neither"
		}
	}
	v.Why = why
	if !b.known {
		return
	}
	taps := b.taps[uint32(before)]
	if len(taps) == 0 {
		v.Why += "; the backend has no record of it yet"
	}
	rank := map[string]int{notProvable: 1, wrong: 2, verified: 3}
	best := 0
	for _, t := range taps {
		said, told := t.judge(l, before, s.public.CardNumber, card)
		if rank[said] <= best {
			continue
		}
		if best = rank[said]; said == notProvable {
			told += "; " + why
		}
		v.Verdict, v.Why = said, told
	}
}

// judge says what a tap's record shows of a debit in the card's log. card is the card's own TAC of it, nil if it keeps none.
func (t bookedTap) judge(l ep.LogRecord, before uint16, n ids.CardNumber, card *ep.MAC) (said, why string) {
	r := t.record
	switch {
	case !r.Good && r.TAC != nil && !r.NoKey && t.Proof == shadowaccount.ProofGood:
		return wrong, fmt.Sprintf("the books have a good TAC for tap %v, and by these keys %s", t.Tap.Tap, t.problem)
	case !r.Good:
		return notProvable, fmt.Sprintf("the backend has tap %v over %v with this counter: %s", t.Tap.Tap, t.Amount, t.problem)
	case r.Card != n || r.Counter != before:
		return wrong, fmt.Sprintf("the record of tap %v is of another card or counter than the books have it for", t.Tap.Tap)
	case r.Amount != l.Amount || r.Type != l.Type || r.SAM != l.Terminal || r.At != l.At:
		return wrong, fmt.Sprintf("the TAC of the record of tap %v is of another debit with counter %d: %v at %s, PSAM %v", t.Tap.Tap, before, r.Amount, purseTime(r.At), r.SAM)
	case card != nil && *card != *r.TAC:
		return wrong, fmt.Sprintf("the card proves another TAC than that of the record of tap %v", t.Tap.Tap)
	}
	return verified, fmt.Sprintf("its TAC is that of the record of tap %v, made anew over amount, type, PSAM, serial and time", t.Tap.Tap)
}

// judgeLoad recomputes the TAC of the newest load. All that it covers is there: the balance after it is the balance now and the debits since.
func (s shown) judgeLoad(ctx context.Context, hsm keys.HSM, b backendBooks, i int, v *verdict) error {
	l, newest := s.log[i], s.log[s.online.at]
	v.Verdict = notProvable
	before, ok := s.online.before(newest, l)
	switch {
	case int16(newest.Counter-s.online.next) > 0:
		v.Verdict, v.Why = wrong, fmt.Sprintf("the log shows load %d, the card's counter is %d", newest.Counter, s.online.next)
		return nil
	case !ok:
		v.Why = fmt.Sprintf("the newest load of the log has counter %d, the card's counter is %d: other loads are not in this log", newest.Counter, s.online.next)
		return nil
	}
	booked, known := b.loads[before]
	told := ""
	switch {
	case known && booked.Loaded && booked.Amount != l.Amount:
		v.Verdict, v.Why = wrong, fmt.Sprintf("the backend has a load of %v with counter %d", booked.Amount, before)
		return nil
	case known && booked.Loaded:
		told = "; the backend has it"
	case b.known:
		told = "; the backend does not have it as loaded"
	}
	switch {
	case i != s.online.at:
		v.Why = "the card keeps the proof of its newest load only" + told
		return nil
	case s.online.proof == nil:
		v.Why = s.online.why + told
		return nil
	}
	v.TAC = s.online.proof.TAC.String()
	after := s.balance
	for _, d := range s.log[:i] {
		if !isDebit(d.Type) {
			v.Why = "the balance after it cannot be computed: a transaction since is no debit of EP" + told
			return nil
		}
		var err error
		if after, err = after.Add(d.Amount); err != nil {
			return err
		}
	}
	var room [4]byte
	if err := ep.PutAmount(room[:], after); err != nil {
		v.Verdict, v.Why = wrong, "balance now and debits since make a balance that no purse has"
		return nil
	}
	key := keys.Card{ID: keys.ID{Purpose: keys.TAC, Version: s.online.version, Algorithm: s.online.algorithm}, Factors: s.public.Factors(s.levels)}
	tac, err := hsm.TAC(ctx, key, ep.LoadTAC(after, before, l.Amount, l.Type, l.Terminal, l.At))
	switch {
	case errors.Is(err, keys.ErrUnknownKey):
		v.Why = err.Error() + told
	case err != nil:
		return err
	case ep.MAC(tac) != s.online.proof.TAC:
		v.Verdict, v.Why = wrong, fmt.Sprintf("the card's TAC is not that of this record with a balance of %v after it%s", after, told)
	default:
		v.Verdict, v.Why = verified, fmt.Sprintf("its TAC is that of this record with a balance of %v after it%s", after, told)
	}
	return nil
}
