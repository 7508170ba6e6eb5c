package intake_test

import (
	"context"
	"crypto/ecdh"
	"crypto/rand"
	mathrand "math/rand/v2"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/purselane/purselane/backend/intake"
	"github.com/purselane/purselane/backend/settlement"
	"github.com/purselane/purselane/backend/store"
	"github.com/purselane/purselane/card/ec"
	"github.com/purselane/purselane/card/purse"
	"github.com/purselane/purselane/card/purse/ecdriver"
	"github.com/purselane/purselane/card/tlv"
	"github.com/purselane/purselane/internal/ids"
	"github.com/purselane/purselane/internal/money"
	"github.com/purselane/purselane/shadowaccount"
	"github.com/purselane/purselane/simulator/eccard"
	"github.com/purselane/purselane/uplink/wire"
)

// ecWorld is an issuer and one card of it, never used: their keys take a while to make.
var ecWorld = sync.OnceValue(func() (w struct {
	issuer *eccard.Issuer
	blank  *eccard.Card
	pan    ec.PAN
	seal   *ecdh.PrivateKey
}) {
	var err error
	must := func() {
		if err != nil {
			panic(err)
		}
	}
	w.issuer, err = eccard.NewIssuer(rand.Reader, "621094")
	must()
	w.pan, err = ec.NewPAN("6210947315926483")
	must()
	w.blank, err = w.issuer.Card(w.pan, 1, money.Minor(10_00))
	must()
	w.seal, err = ecdh.X25519().GenerateKey(rand.Reader)
	must()
	return w
})

// ecScheme is a scheme with an electronic cash card that was loaded with 10.00.
type ecScheme struct {
	*scheme
	card   *eccard.Card
	number ids.CardNumber
	made   byte // drivers
}

var ecTokenKey = []byte("0123456789abcdeF")

func startEC(t testing.TB) *ecScheme {
	w := ecWorld()
	s := &ecScheme{scheme: start(t, store.Options{}), card: w.blank.Clone(), number: ids.CardNumber(w.pan)}
	s.opt.EC = &intake.ECKeys{Issuer: w.issuer.Door(), Sealed: []*ecdh.PrivateKey{w.seal}, TokenKey: ecTokenKey}
	require.NoError(t, s.store.Close())
	s.open(store.Options{})
	s.update(func(tx *store.Tx) error {
		require.NoError(t, tx.IssueCard(s.ctx, store.Card{Number: s.number, Token: store.Token(tokenKey, s.number), Family: "ec"}))
		s.loadOf(tx, s.number, 0, 10_00)
		return nil
	})
	return s
}

// tap makes a debit at a terminal; torn at its last command it is unknown.
func (s *ecScheme) tap(terminal ids.TerminalID, tap uint64, minor int64, tear eccard.Tear) told {
	w := ecWorld()
	a, err := ec.NewAuthorities([]ec.CAKey{w.issuer.Authority()}, nil)
	require.NoError(s.t, err)
	s.made++
	d, err := ecdriver.New(ecdriver.Settings{
		Accepted: []ec.Accepted{{AID: ec.AIDDebit}}, TTQ: ec.GateTTQ, Country: [2]byte{1, 0x56}, Currency: [2]byte{1, 0x56}, Authorities: a,
		TokenKey: ecTokenKey, SealTo: w.seal.PublicKey(), Location: time.UTC,
	}, mathrand.NewChaCha8([32]byte{s.made}))
	require.NoError(s.t, err)
	s.card.Insert()
	c, err := d.Open(s.ctx, s.card)
	require.NoError(s.t, err)
	defer c.Close()
	out := told{terminal: terminal, tap: tap}
	out.attempt, err = c.Begin(s.ctx, purse.Order{Kind: purse.Sale, Amount: money.Minor(minor), At: noon.Add(time.Duration(tap) * time.Second), Merchant: "M"})
	require.NoError(s.t, err)
	require.NoError(s.t, c.Stage(s.ctx))
	if tear != eccard.NoTear {
		s.card.TearAt = func(int) eccard.Tear { return tear }
		require.Error(s.t, c.Commit(s.ctx))
		s.card.TearAt = nil
		out.state = wire.State_STATE_UNKNOWN
		return out
	}
	require.NoError(s.t, c.Commit(s.ctx))
	out.evidence, err = c.Evidence(s.ctx)
	require.NoError(s.t, err)
	return out
}

func TestAnElectronicCashDebitIsPostedAndTheMerchantIsPaid(t *testing.T) {
	s := startEC(t)
	one, two := s.tap("bus-1", 1, 2_00, eccard.NoTear), s.tap("gate-3", 1, 3_00, eccard.NoTear)
	require.NotEqual(t, s.number, one.attempt.Card, "a record has a token")
	require.Empty(t, s.tell(one))
	require.Empty(t, s.tell(two))
	s.drain()
	require.Len(t, s.statusesOf(s.number), 2)
	for name, status := range s.statusesOf(s.number) {
		require.Equal(t, "accepted", status, name)
	}
	require.Empty(t, s.codes())
	c := s.cardOf(s.number)
	require.Equal(t, "5.00", c.Shadow.String())
	require.Equal(t, s.card.Balance(), c.Shadow)
	require.Zero(t, c.Missing)
	s.proveBooks()
	s.pay("5.00", "25.00")
}

func TestElectronicCashEvidenceThatIsNotTheRecords(t *testing.T) {
	for name, c := range map[string]struct {
		spoil  func(r *wire.Record)
		reason string
	}{
		"another amount":      {func(r *wire.Record) { r.Amount = 1_00 }, "its evidence names another amount"},
		"another counter":     {func(r *wire.Record) { r.OfflineCounter++ }, "its evidence names another counter"},
		"another date":        {func(r *wire.Record) { r.PurseTime[3]++ }, "its evidence names another date"},
		"another before":      {func(r *wire.Record) { r.BalanceBefore++ }, "its evidence shows another balance"},
		"another after":       {func(r *wire.Record) { r.BalanceAfter-- }, "its evidence shows another balance"},
		"no evidence":         {func(r *wire.Record) { r.EvidenceData = nil }, "no evidence of its family came with it"},
		"another kind of it":  {func(r *wire.Record) { r.EvidenceKind = "desfire-tmac/1" }, "no evidence of its family came with it"},
		"half of it":          {func(r *wire.Record) { r.EvidenceData = r.EvidenceData[:40] }, "its evidence cannot be read"},
		"a forged cryptogram": {func(r *wire.Record) { flipAfter(r.EvidenceData, []byte{0x9F, 0x26, 0x08}) }, "its cryptogram does not verify"},
		"a balance left out":  {func(r *wire.Record) { r.EvidenceData = withoutBalance(r.EvidenceData) }, "no balance under the card's own MAC came with it"},
		"a forged balance":    {func(r *wire.Record) { flipAfter(r.EvidenceData, []byte{0x0A, 0x01, 0x00, 0x00, 0x00, 0x08}) }, "the MAC over its balance does not verify"},
		"a forged random":     {func(r *wire.Record) { flipAfter(r.EvidenceData, []byte{0x9F, 0x37, 0x04}) }, "its cryptogram does not verify"},
	} {
		t.Run(name, func(t *testing.T) {
			s := startEC(t)
			d := s.tap("bus-1", 1, 2_00, eccard.NoTear)
			d.change = c.spoil
			require.Empty(t, s.tell(d))
			s.drain()
			require.Equal(t, "BAD_MAC/bad-tac", s.label("bus-1", 1))
			s.view(func(tx *store.Tx) error {
				v, err := tx.RecordVerdict(s.ctx, "bus-1", 7, 1)
				require.Equal(t, c.reason, v.Reason)
				return err
			})
			require.Equal(t, "10.00", s.cardOf(s.number).Shadow.String())
			require.Contains(t, s.balances(), "suspense:bad-tac")
			s.proveBooks()
		})
	}
}

// withoutBalance cuts the issuer application data to the 8 bytes that the cryptogram rests on.
func withoutBalance(raw []byte) []byte {
	list, err := tlv.Decode(raw[1:])
	if err != nil {
		panic(err)
	}
	for i, o := range list[0].Children {
		if o.Tag == ec.TagIAD {
			list[0].Children[i].Value = o.Value[:8]
		}
	}
	out, err := tlv.Encode(list)
	if err != nil {
		panic(err)
	}
	return append([]byte{raw[0]}, out...)
}

// flipAfter changes the byte behind a tag and its length.
func flipAfter(raw, head []byte) {
	for i := range raw {
		if len(raw) > i+len(head) && string(raw[i:i+len(head)]) == string(head) {
			raw[i+len(head)] ^= 1
			return
		}
	}
	panic("no such object")
}

func TestASealedNumberThatIsNotTheRecords(t *testing.T) {
	w := ecWorld()
	for name, c := range map[string]struct {
		spoil  func(r *wire.Record)
		reason string
	}{
		"damaged":                {func(r *wire.Record) { r.SealedCard[60] ^= 1 }, "unreadable: field sealed_card: sealed card number does not open: another token, or damaged"},
		"of another record":      {func(r *wire.Record) { r.CardNumber[0] ^= 1 }, "unreadable: field sealed_card: sealed card number does not open: another token, or damaged"},
		"of another key":         {func(r *wire.Record) { r.SealedCard[1] ^= 1 }, "which this backend does not have"},
		"under a token it lacks": {func(r *wire.Record) { r.CardNumber[0] ^= 1; r.SealedCard = reseal(r.CardNumber, w.pan) }, "not the token of the sealed card number"},
	} {
		t.Run(name, func(t *testing.T) {
			s := startEC(t)
			d := s.tap("bus-1", 1, 2_00, eccard.NoTear)
			d.change = c.spoil
			require.Empty(t, s.tell(d))
			s.drain()
			require.Equal(t, "/unreadable", s.label("bus-1", 1))
			s.view(func(tx *store.Tx) error {
				v, err := tx.RecordVerdict(s.ctx, "bus-1", 7, 1)
				require.Contains(t, v.Reason, c.reason)
				return err
			})
		})
	}
	s := startEC(t)
	d := s.tap("bus-1", 1, 2_00, eccard.NoTear)
	d.change = func(r *wire.Record) { r.SealedCard = nil }
	require.Equal(t, []string{"unreadable: field sealed_card is out of its range"}, s.tell(d))
}

func reseal(token []byte, pan ec.PAN) []byte {
	out, err := ecdriver.Seal(ecWorld().seal.PublicKey(), ids.CardNumber(token), pan, 1)
	if err != nil {
		panic(err)
	}
	return out
}

func TestAnElectronicCashDebitTwiceIsCountedOnce(t *testing.T) {
	s := startEC(t)
	d := s.tap("bus-1", 1, 2_00, eccard.NoTear)
	require.Empty(t, s.tell(d))
	d.terminal = "gate-3"
	require.Empty(t, s.tell(d))
	s.drain()
	require.Equal(t, map[string]string{"bus-1/1@1": "accepted", "gate-3/1@1": "void"}, s.statusesOf(s.number))
	require.Equal(t, []string{"REPLAY@1"}, s.codes())
	require.Equal(t, "8.00", s.cardOf(s.number).Shadow.String())
	s.proveBooks()
}

// TestATornElectronicCashTapIsToldByTheNextBalance: the counter has moved either way.
func TestATornElectronicCashTapIsToldByTheNextBalance(t *testing.T) {
	for tear, want := range map[eccard.Tear]string{eccard.LoseAnswer: "inferred", eccard.LoseBefore: "void"} {
		s := startEC(t)
		torn := s.tap("bus-1", 1, 2_00, tear)
		next := s.tap("gate-3", 1, 1_00, eccard.NoTear)
		// A torn tap has a token alone. Nobody knows the card by it until a record of it comes with the number sealed.
		require.Empty(t, s.tell(torn))
		s.drain()
		require.Equal(t, "/unnamed", s.label("bus-1", 1))
		require.Empty(t, s.statusesOf(s.number))
		require.Empty(t, s.tell(next))
		s.drain()
		require.Equal(t, map[string]string{"bus-1/1@1": want, "gate-3/1@2": "accepted"}, s.statusesOf(s.number), tear)
		require.Equal(t, s.card.Balance(), s.cardOf(s.number).Shadow)
		require.Empty(t, s.codes())
		s.proveBooks()
		// From now on the token is known.
		require.Empty(t, s.tell(s.tap("bus-1", 2, 1_00, eccard.LoseBefore)))
		s.drain()
		require.Equal(t, "unknown", s.statusesOf(s.number)["bus-1/2@3"])
		s.proveBooks()
	}
}

// TestATapThatIsNamedAfterItsDayWasClosed: the closed day does not know of it, and it is settled with the day in which it was named.
func TestATapThatIsNamedAfterItsDayWasClosed(t *testing.T) {
	s := startEC(t)
	require.Empty(t, s.tell(s.tap("bus-1", 1, 2_00, eccard.LoseAnswer)))
	s.drain()
	s.clock.Advance(24 * time.Hour)
	closed, err := settlement.Close(s.ctx, s.store, "2026-11-24", settlement.Options{Now: s.clock.Now(), Location: time.UTC})
	require.NoError(t, err)
	require.NotContains(t, string(closed.JSON.Body), "unnamed")
	require.Empty(t, s.tell(s.tap("gate-3", 1, 1_00, eccard.NoTear)))
	s.drain()
	require.Equal(t, map[string]string{"bus-1/1@1": "inferred", "gate-3/1@2": "accepted"}, s.statusesOf(s.number))
	s.view(func(tx *store.Tx) error {
		taps, err := tx.CardTaps(s.ctx, s.number)
		for _, p := range taps {
			require.Equal(t, "2026-11-25", p.Day)
		}
		return err
	})
	s.clock.Advance(24 * time.Hour)
	again, err := settlement.Close(s.ctx, s.store, "2026-11-24", settlement.Options{Now: s.clock.Now(), Location: time.UTC})
	require.NoError(t, err)
	require.Equal(t, closed.Digest, again.Digest)
	_, err = settlement.Close(s.ctx, s.store, "2026-11-25", settlement.Options{Now: s.clock.Now(), Location: time.UTC})
	require.NoError(t, err)
	require.Equal(t, "-3.00", s.balances()["acquirer:bus:clearing"])
	s.proveBooks()
}

// TestOrderDoesNotMatterForASparseChain sends torn and whole taps of one card in two orders.
func TestOrderDoesNotMatterForASparseChain(t *testing.T) {
	var first map[string]string
	for _, order := range [][]int{{0, 1, 2, 3}, {3, 1, 0, 2}, {2, 3, 1, 0}} {
		s := startEC(t)
		all := []told{s.tap("bus-1", 1, 2_00, eccard.LoseAnswer), s.tap("bus-2", 1, 1_00, eccard.LoseBefore), s.tap("gate-3", 1, 1_00, eccard.NoTear), s.tap("gate-3", 2, 1_50, eccard.NoTear)}
		raw := map[ids.TerminalID][][]byte{}
		for _, d := range all {
			raw[d.terminal] = append(raw[d.terminal], d.record(s.scheme))
		}
		for _, i := range order {
			seq := 1
			if i == 3 {
				seq = 2
			}
			_, err := s.accept(all[i].terminal, uint64(seq), raw[all[i].terminal][seq-1])
			require.NoError(t, err)
			s.drain()
			s.proveBooks()
		}
		got := s.statusesOf(s.number)
		require.Equal(t, s.card.Balance(), s.cardOf(s.number).Shadow)
		require.Empty(t, s.codes())
		if first == nil {
			first = got
			require.Equal(t, map[string]string{"bus-1/1@1": "inferred", "bus-2/1@2": "void", "gate-3/1@3": "accepted", "gate-3/2@4": "accepted"}, got)
		}
		require.Equal(t, first, got)
	}
}

// brokenDoor is an HSM that is away.
type brokenDoor struct{ ec.Issuer }

func (brokenDoor) Cryptogram(context.Context, ec.CardKeys, uint16, []byte) ([8]byte, error) {
	return [8]byte{}, context.DeadlineExceeded
}

func TestAnECDoorThatFailsDecidesNothing(t *testing.T) {
	s := startEC(t)
	require.Empty(t, s.tell(s.tap("bus-1", 1, 2_00, eccard.NoTear)))
	whole := s.opt.EC
	broken := *whole
	broken.Issuer = brokenDoor{whole.Issuer}
	for _, keys := range []*intake.ECKeys{&broken, {Issuer: ec.NewSoft(nil), Sealed: whole.Sealed, TokenKey: whole.TokenKey}} {
		s.opt.EC = keys
		require.NoError(t, s.store.Close())
		s.open(store.Options{})
		_, err := s.pipe.Step(s.ctx)
		if keys == &broken {
			require.ErrorIs(t, err, context.DeadlineExceeded)
			require.Equal(t, "/", s.label("bus-1", 1))
			continue
		}
		require.NoError(t, err)
		require.Equal(t, []string{"UNKNOWN_KEY@1"}, s.codes())
	}
	for _, bad := range []*intake.ECKeys{{}, {Issuer: whole.Issuer, TokenKey: whole.TokenKey}, {Issuer: whole.Issuer, Sealed: whole.Sealed, TokenKey: []byte("short")},
		{Issuer: whole.Issuer, Sealed: []*ecdh.PrivateKey{nil}, TokenKey: whole.TokenKey}} {
		s.opt.EC = bad
		_, err := intake.New(s.store, s.hsm, s.clock, s.options())
		require.ErrorContains(t, err, "EC:")
	}
}

// FuzzReadEC: whatever a device sends is refused, or read and judged without an error of the keys; and what is proved is the seed's debit.
func FuzzReadEC(f *testing.F) {
	s := startEC(f)
	d := s.tap("bus-1", 1, 2_00, eccard.NoTear)
	seed := d.record(s.scheme)
	good, err := intake.Judge(s.opt, seed, "bus-1", 7, 1)
	require.NoError(f, err)
	require.Equal(f, shadowaccount.ProofGood, good.Proof)
	f.Add(seed)
	torn := d
	torn.state, torn.evidence.Sealed, s.seq["bus-1"] = wire.State_STATE_UNKNOWN, nil, 0
	f.Add(torn.record(s.scheme))
	f.Add([]byte{})
	o := s.opt
	f.Fuzz(func(t *testing.T, raw []byte) {
		got, err := intake.Judge(o, raw, "bus-1", 7, 1)
		if err != nil {
			require.ErrorIs(t, err, intake.ErrUnreadable)
			return
		}
		if got.Proof == shadowaccount.ProofGood {
			require.Equal(t, good, got)
			return
		}
		require.Empty(t, got.Debit)
	})
}
