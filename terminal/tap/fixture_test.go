package tap_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"path/filepath"
	"slices"
	"time"

	"github.com/stretchr/testify/require"
	"google.golang.org/protobuf/proto"

	"github.com/purselane/purselane/card/ep"
	"github.com/purselane/purselane/card/keys"
	firmwareconfig "github.com/purselane/purselane/firmware-config"
	"github.com/purselane/purselane/firmware-config/fare"
	"github.com/purselane/purselane/internal/ids"
	"github.com/purselane/purselane/internal/money"
	"github.com/purselane/purselane/simulator/epcard"
	"github.com/purselane/purselane/simulator/personalise"
	"github.com/purselane/purselane/simulator/psam"
	"github.com/purselane/purselane/terminal/edge"
	"github.com/purselane/purselane/terminal/journal"
	"github.com/purselane/purselane/terminal/tap"
	"github.com/purselane/purselane/uplink/wire"
)

// tb is what testing.T and rapid.T have in common.
type tb interface {
	require.TestingT
	Helper()
}

var (
	masters = personalise.Masters{
		{Purpose: keys.Purchase, Version: 1}: {1}, {Purpose: keys.Load, Version: 1}: {2}, {Purpose: keys.TAC, Version: 1}: {3},
	}
	// issuers also make cards of a key version that no PSAM of this city has yet.
	issuers = personalise.Masters{
		{Purpose: keys.Purchase, Version: 1}: {1}, {Purpose: keys.Load, Version: 1}: {2}, {Purpose: keys.TAC, Version: 1}: {3},
		{Purpose: keys.Purchase, Version: 2}: {4}, {Purpose: keys.Load, Version: 2}: {5}, {Purpose: keys.TAC, Version: 2}: {6},
	}
	issuer  = ep.Factor{1, 1, 0x10, 0, 0xFF, 0xFF, 0xFF, 0xFF}
	morning = time.Date(2026, 11, 24, 0, 30, 0, 0, time.UTC) // 08:30 where the purses are

	line7   = fare.Code{0x00, 0x07}
	harbour = fare.Code{0x01, 0x01}
	market  = fare.Code{0x01, 0x02}
	airport = fare.Code{0x01, 0x05}
)

var errPower = errors.New("power cut")

// town is a few terminals that share cards and a clock, and what their journals must say in the end.
type town struct {
	dir       string
	profile   *firmwareconfig.Profile
	now       time.Time
	terminals []*terminal
	cards     int
}

func newTown(dir string) *town {
	return &town{dir: dir, profile: firmwareconfig.Sample(), now: morning}
}

// terminal is one terminal with a real journal and a simulated PSAM.
type terminal struct {
	w       *town
	place   tap.Request // mode, line and station of its only reader
	path    string
	number  ep.TerminalNumber
	psam    *psam.PSAM
	sam     keys.SAM // its only one
	journal *journal.Journal
	tap     tap.Terminal

	seen   []*wire.Record
	byCard map[string][]*wire.Record

	cutAt int // 0: the power stays
}

func (w *town) terminal(t tb, place tap.Request) *terminal {
	t.Helper()
	n := byte(len(w.terminals) + 1)
	m := &terminal{w: w, place: place, number: ep.TerminalNumber{0x30, 0, 0, 0, 0, n}, path: filepath.Join(w.dir, fmt.Sprintf("t%d.journal", n)), byCard: map[string][]*wire.Record{}}
	m.tap = tap.Terminal{ID: ids.TerminalID(fmt.Sprintf("T-%d", n)), Merchant: "city-bus", Profile: w.profile, Location: w.profile.Location(), BootID: []byte{n}}
	w.terminals = append(w.terminals, m)
	m.insertPSAM(t, 1)
	m.boot(t)
	return m
}

// insertPSAM gives the terminal a new PSAM of its number, which goes on with that serial.
func (m *terminal) insertPSAM(t tb, serial uint32) {
	t.Helper()
	img, err := personalise.PSAM(masters, personalise.PSAMSpec{Terminal: m.number, Issuer: issuer, NextSerial: serial})
	require.NoError(t, err)
	m.psam, err = psam.New(img)
	require.NoError(t, err)
	m.sam, err = ep.OpenPSAM(context.Background(), m.psam, ep.PSAMTUnion)
	require.NoError(t, err)
}

// Acquire implements keys.SAMs: its SAM is always free.
func (m *terminal) Acquire(context.Context) (keys.SAM, func(), error) { return m.sam, func() {}, nil }

// fault cuts the power at the cutAt-th point of the journal: odd ones are before a commit, even ones after it.
func (m *terminal) fault(point string) error {
	if m.cutAt == 0 {
		return nil
	}
	if m.cutAt--; m.cutAt == 0 {
		return fmt.Errorf("%w at %s", errPower, point)
	}
	return nil
}

// plan sets the point at which the power goes, 0 for none, and reports whether the one before was reached.
func (m *terminal) plan(cutAt int) (reached bool) {
	reached = m.cutAt == 0
	m.cutAt = cutAt
	return reached
}

func (m *terminal) boot(t tb) {
	t.Helper()
	if m.journal != nil {
		require.NoError(t, m.journal.Close())
	}
	m.plan(0)
	j, err := journal.Open(m.path, journal.Options{Terminal: m.tap.ID, NoSync: true, Fault: m.fault})
	require.NoError(t, err)
	_, err = j.RecoverBoot()
	require.NoError(t, err)
	m.psam.Power(true)
	sam, err := ep.OpenPSAM(context.Background(), m.psam, ep.PSAMTUnion)
	require.NoError(t, err)
	m.journal, m.tap.Journal, m.sam = j, j, sam
	m.tap.Drivers = edge.Drivers(m.w.profile, m)
}

// close ends the journals; the files go with the test's folder.
func (w *town) close() {
	for _, m := range w.terminals {
		m.journal.Close()
	}
}

// rider is a card, and what it has truly debited.
type rider struct {
	*epcard.Card
	debits []debit
	noted  uint16 // the counter after the last of them
}

// debit is one committed debit, by the card's own memory.
type debit struct {
	before uint16 // counter before the increment
	log    ep.LogRecord
}

// rider makes a card with an own number; with says how it differs from an ordinary one with 100.00 on it.
func (w *town) rider(t tb, with func(*personalise.CardSpec)) *rider {
	t.Helper()
	return w.riderOf(t, with, func(*epcard.Image) {})
}

// riderOf is rider with a last word on the card's memory.
func (w *town) riderOf(t tb, with func(*personalise.CardSpec), change func(*epcard.Image)) *rider {
	t.Helper()
	w.cards++
	spec := personalise.CardSpec{Number: ids.CardNumber{0, 1, 2, 3, 4, 5, 6, 7, byte(w.cards >> 8), byte(w.cards)}, Issuer: issuer, Balance: money.Minor(100_00)}
	if with != nil {
		with(&spec)
	}
	img, err := personalise.Card(issuers, spec)
	require.NoError(t, err)
	change(&img)
	card, err := epcard.New(img, seeded(w.cards))
	require.NoError(t, err)
	return &rider{Card: card, noted: card.OfflineCounter()}
}

// seeded is a source of random numbers for a simulated card.
func seeded(n int) *rand.ChaCha8 { return rand.NewChaCha8([32]byte{byte(n), byte(n >> 8)}) }

// note takes in the debits that the card made since the last call.
func (r *rider) note(t tb) {
	t.Helper()
	all, err := r.Log()
	require.NoError(t, err)
	all = slices.DeleteFunc(all, func(l ep.LogRecord) bool { return l.Type == ep.TypeLoad })
	now := r.OfflineCounter()
	fresh := int(now - r.noted)
	require.LessOrEqual(t, fresh, len(all), "a debit that is not in the card's log")
	for n := fresh; n > 0; n-- {
		r.debits = append(r.debits, debit{now - uint16(n), all[n-1]})
	}
	r.noted = now
}

// taken is the sum of the debits from the n-th on.
func (r *rider) taken(n int) money.Amount {
	sum := money.Amount{}
	for _, d := range r.debits[n:] {
		sum, _ = sum.Add(d.log.Amount)
	}
	return sum
}

// watched is a card in the field with a witness: at every DEBIT the journal must hold the intent, and nothing of that card may be
// unknown.
type watched struct {
	*epcard.Field
	t tb
	m *terminal
	r *rider
}

func (c *watched) Transmit(ctx context.Context, command []byte) ([]byte, error) {
	if len(command) > 1 && command[0] == 0x80 && command[1] == 0x54 {
		draft, unknown, found, err := c.m.journal.OpenIntent(c.r.Number())
		require.NoError(c.t, err)
		require.True(c.t, found, "DEBIT is on the air and no intent is on disk")
		require.False(c.t, unknown, "DEBIT is on the air while an older outcome is unknown")
		require.Equal(c.t, uint32(c.r.OfflineCounter()), draft.GetOfflineCounter())
		require.Equal(c.t, command[5:9], serialBytes(draft.GetPsamSerial()), "the intent on disk is that of this very DEBIT")
		require.Equal(c.t, command[16:20], draft.GetMac1())
	}
	return c.Field.Transmit(ctx, command)
}

func serialBytes(n uint32) []byte { return []byte{byte(n >> 24), byte(n >> 16), byte(n >> 8), byte(n)} }

// present is one presentation: what the rider is shown, or lit false if the terminal died and showed nothing. It is booted
// again then.
func (m *terminal) present(t tb, r *rider, tear epcard.Tear) (result tap.Result, lit bool) {
	t.Helper()
	return m.presentFor(t, r, tear, m.place)
}

func (m *terminal) presentFor(t tb, r *rider, tear epcard.Tear, request tap.Request) (result tap.Result, lit bool) {
	t.Helper()
	request.Now, request.Clock = m.w.now, wire.ClockState_CLOCK_GOOD
	field := epcard.Present(r.Card, tear)
	result, err := m.tap.Purchase(context.Background(), &watched{field, t, m, r}, request)
	field.Leave()
	r.note(t)
	if err != nil {
		require.ErrorIs(t, err, errPower, "%+v", result)
		require.False(t, result.Outcome.Pass(), "a terminal that failed lets a rider pass")
		m.boot(t)
		return result, false
	}
	m.checkLight(t, r, result)
	m.w.check(t, r)
	return result, true
}

// checkLight: green promises a record that a power cut leaves alone. What the journal says now is committed.
func (m *terminal) checkLight(t tb, r *rider, result tap.Result) {
	t.Helper()
	if !result.Outcome.Pass() || result.Tap == (ids.TapID{}) {
		return
	}
	m.records(t)
	number := r.Number()
	for _, rec := range m.byCard[string(number[:])] {
		if rec.GetTap() == result.Tap.Tap && rec.GetState() == wire.State_STATE_COMPLETED {
			return
		}
	}
	require.Fail(t, "a light without a record", "%v: tap %d has no completed record", result.Outcome, result.Tap.Tap)
}

// records are all records of the journal. Those read before are not read again: a record never changes.
func (m *terminal) records(t tb) []*wire.Record {
	t.Helper()
	raw, err := m.journal.Read(uint64(len(m.seen))+1, 1<<20, 1<<30)
	require.NoError(t, err)
	for _, b := range raw {
		rec := &wire.Record{}
		require.NoError(t, proto.Unmarshal(b, rec))
		m.seen = append(m.seen, rec)
		m.byCard[string(rec.GetCardNumber())] = append(m.byCard[string(rec.GetCardNumber())], rec)
	}
	require.Equal(t, m.journal.LastSeq(), uint64(len(m.seen)), "a record that was there has gone")
	return m.seen
}

// attempt is what a journal says in the end of one tap of one card.
type attempt struct {
	m     *terminal
	rec   *wire.Record
	state wire.State // UNSPECIFIED: an intent without a record yet
}

// attempts are the taps of a card at all terminals that may have cost it something.
func (w *town) attempts(t tb, r *rider) []attempt {
	t.Helper()
	number := r.Number()
	var out []attempt
	for _, m := range w.terminals {
		last := map[uint64]*wire.Record{}
		var order []uint64
		m.records(t)
		for _, rec := range m.byCard[string(number[:])] {
			before := last[rec.GetTap()]
			if before == nil {
				order = append(order, rec.GetTap())
			} else {
				require.Equal(t, wire.State_STATE_UNKNOWN, before.GetState(), "tap %d of %s has two final records", rec.GetTap(), m.tap.ID)
			}
			last[rec.GetTap()] = rec
		}
		for _, n := range order {
			out = append(out, attempt{m, last[n], last[n].GetState()})
		}
		open, unknown, found, err := m.journal.OpenIntent(number)
		require.NoError(t, err)
		if found && !unknown {
			out = append(out, attempt{m, open, wire.State_STATE_UNSPECIFIED})
		}
	}
	return out
}

// check holds the journals against the card's memory: each debit has exactly one tap that claims it or does not know, and
// no tap claims a debit that did not happen or denies one that did.
func (w *town) check(t tb, r *rider) {
	t.Helper()
	attempts := w.attempts(t, r)
	mine := func(d debit, a attempt) bool {
		return uint32(d.before) == a.rec.GetOfflineCounter() && string(d.log.Terminal[:]) == string(a.rec.GetPsamTerminal()) &&
			string(d.log.At[:]) == string(a.rec.GetPurseTime()) && d.log.Amount.Minor() == a.rec.GetAmount() && uint32(d.log.Type) == a.rec.GetTxnType()
	}
	for _, d := range r.debits {
		var claims []wire.State
		for _, a := range attempts {
			if mine(d, a) {
				claims = append(claims, a.state)
			}
		}
		require.Len(t, claims, 1, "debit %+v: what the journals say of it", d)
		require.NotEqual(t, wire.State_STATE_VOIDED, claims[0], "debit %+v took place, and a journal says that it did not", d)
	}
	for _, a := range attempts {
		if a.state != wire.State_STATE_COMPLETED {
			continue
		}
		found := false
		for _, d := range r.debits {
			found = found || mine(d, a)
		}
		require.True(t, found, "%s claims a debit that the card has not made: %v", a.m.tap.ID, a.rec)
	}
}

// states counts what the journals say of a card's taps.
func (w *town) states(t tb, r *rider) map[wire.State]int {
	t.Helper()
	out := map[wire.State]int{}
	for _, a := range w.attempts(t, r) {
		out[a.state]++
	}
	return out
}

// load puts money on the card, as a kiosk does.
func (r *rider) load(t tb, amount money.Amount) {
	t.Helper()
	ctx, hsm := context.Background(), keys.NewSoft(masters)
	term := ep.TerminalNumber{0x40, 0, 0, 0, 0, 1}
	at := ep.DateTime{0x20, 0x26, 0x11, 0x24, 0x08, 0x30, 0x00}
	card, _, err := ep.Select(ctx, epcard.Present(r.Card, epcard.Tear{}), ep.AIDTUnion)
	require.NoError(t, err)
	init, err := card.InitLoad(ctx, 1, amount, term)
	require.NoError(t, err)
	number := r.Number()
	key := keys.Card{ID: keys.ID{Purpose: keys.Load, Version: 1}, Factors: [][8]byte{[8]byte(issuer), [8]byte(number[2:])}}
	mac2, err := hsm.SessionMAC(ctx, key, ep.LoadSession(init.Random, init.Counter), ep.LoadMAC2(amount, ep.TypeLoad, term, at))
	require.NoError(t, err)
	_, err = card.CreditLoad(ctx, at, mac2)
	require.NoError(t, err)
}
