package ep_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/purselane/purselane/card/apdu"
	"github.com/purselane/purselane/card/ep"
	"github.com/purselane/purselane/card/keys"
	"github.com/purselane/purselane/internal/money"
)

// play runs a flow against a transcript twice: with a card and a PSAM that answer at once, and over T=0.
func play(t *testing.T, name string, flow func(t *testing.T, card, psam apdu.Transmitter)) {
	t.Run("at once", func(t *testing.T) {
		tr := readTranscript(t, name)
		flow(t, end{tr, "card"}, end{tr, "psam"})
		tr.done()
	})
	t.Run("T=0", func(t *testing.T) {
		tr := readTranscript(t, name)
		flow(t, &t0{Transmitter: end{tr, "card"}}, &t0{Transmitter: end{tr, "psam"}})
		tr.done()
	})
}

func dateTime(t require.TestingT, s string) ep.DateTime { return ep.DateTime(unhex(t, s)) }

func mac(t require.TestingT, s string) ep.MAC { return ep.MAC(unhex(t, s)) }

// request is what the terminal hands to the PSAM after INITIALIZE.
func request(init ep.PurchaseInit, public ep.Public, levels int, kind ep.Type, amount money.Amount, at ep.DateTime) keys.PurchaseRequest {
	return keys.PurchaseRequest{
		Random: init.Random, Counter: init.Counter, Amount: amount, Type: byte(kind), DateTime: at,
		Version: init.Version, Algorithm: init.Algorithm, Factors: public.Factors(levels),
	}
}

// trip is one composite purchase of the transcripts.
type trip struct {
	file       string
	amount     int64
	at         string
	before     ep.MetroTrip // as the card shows it
	counter    uint16
	random     string
	serial     uint32
	mac1       string
	trip       func(*ep.MetroTrip)
	history    ep.TripHistory
	debit      ep.Debit
	after      int64
	afterDebit func(t *testing.T, c *ep.Card)
}

func TestTUnionTrips(t *testing.T) {
	terminal := ep.TerminalNumber{0x11, 0x22, 0x33, 0x44, 0x55, 0x66}
	institution := [8]byte{1, 1, 0x10, 0, 0xFF, 0xFF, 0xFF, 0xFF}
	station := func(line, stop byte) [8]byte { return [8]byte{line, 0, stop, 0} }
	city, operator := [2]byte{0x10, 0}, [2]byte{0x30, 0}
	inside := ep.MetroTrip{
		Flag: 1, Serial: [8]byte{7: 1}, State: ep.TripEntered, EntryCity: city, EntryInstitution: institution, EntryStation: station(1, 1),
		EntryTerminal: ep.Terminal8(terminal), EntryTime: dateTime(t, "20240115080001"), MarkedFare: money.Minor(600), EntryLine: 1, Balance: money.Minor(6000),
	}
	cases := []trip{
		{
			file: "tunion-entry.txt", amount: 0, at: "20240115080001", counter: 0x10, random: "01020304", serial: 0x200, mac1: "FAC44D37",
			trip: func(m *ep.MetroTrip) { *m = inside },
			history: ep.TripHistory{Kind: ep.HistoryIn, Terminal: ep.Terminal8(terminal), Industry: ep.IndustryMetro, Line: [2]byte{1, 0}, Station: [2]byte{1, 0},
				Operator: operator, Balance: money.Minor(6000), At: dateTime(t, "20240115080001"), City: city, Institution: institution},
			debit: ep.Debit{TAC: mac(t, "0F87912B"), MAC2: mac(t, "1E809B1A")}, after: 6000,
		},
		{
			file: "tunion-exit.txt", amount: 300, at: "20240115083512", before: inside, counter: 0x11, random: "F0E0D0C0", serial: 0x201, mac1: "C524CA4C",
			trip: func(m *ep.MetroTrip) {
				m.State, m.ExitInstitution, m.ExitStation = ep.TripLeft, institution, station(8, 0x19)
				m.ExitCity, m.ExitTerminal, m.ExitTime, m.ExitLine, m.ExitAmount = city, ep.Terminal8(terminal), dateTime(t, "20240115083512"), 8, money.Minor(300)
			},
			history: ep.TripHistory{Kind: ep.HistoryOut, Terminal: ep.Terminal8(terminal), Industry: ep.IndustryMetro, Line: [2]byte{8, 0}, Station: [2]byte{0x19, 0},
				Operator: operator, Amount: money.Minor(300), Balance: money.Minor(5700), At: dateTime(t, "20240115083512"), City: city, Institution: institution},
			debit: ep.Debit{TAC: mac(t, "FD66FC1F"), MAC2: mac(t, "E2DD1004")}, after: 5700,
			afterDebit: func(t *testing.T, c *ep.Card) {
				proof, err := c.Prove(t.Context(), ep.TypeComposite, 0x12)
				require.NoError(t, err)
				require.Equal(t, ep.Proof{MAC2: mac(t, "E2DD1004"), TAC: mac(t, "FD66FC1F")}, proof, "MAC first, TAC second")
				_, err = c.Prove(t.Context(), ep.TypeComposite, 0x13)
				require.ErrorIs(t, err, ep.ErrNoProof)
			},
		},
	}
	for _, c := range cases {
		t.Run(c.file, func(t *testing.T) {
			play(t, c.file, func(t *testing.T, card, psam apdu.Transmitter) { c.run(t, card, psam, terminal) })
		})
	}
}

func (c trip) run(t *testing.T, card, psam apdu.Transmitter, terminal ep.TerminalNumber) {
	ctx, amount, at := t.Context(), money.Minor(c.amount), dateTime(t, c.at)
	sam, err := ep.OpenPSAM(ctx, psam, ep.PSAMTUnion)
	require.NoError(t, err)
	require.Equal(t, [6]byte(terminal), sam.TerminalNumber())
	require.Equal(t, byte(1), sam.KeyIndex())

	purse, fci, err := ep.Select(ctx, card, ep.AIDTUnion)
	require.NoError(t, err)
	require.Equal(t, ep.AIDTUnion, fci.Name)
	public, err := purse.ReadPublic(ctx)
	require.NoError(t, err)
	require.Equal(t, fci.Public, public.Bytes(), "EF 15 and the FCI say the same")
	management, err := purse.ReadManagement(ctx)
	require.NoError(t, err)
	require.True(t, management.Interconnect)
	state, err := purse.ReadMetroTrip(ctx)
	require.NoError(t, err)
	require.Equal(t, c.before, state)
	balance, err := purse.Balance(ctx)
	require.NoError(t, err)
	require.Equal(t, money.Minor(6000), balance)

	init, err := purse.InitPurchase(ctx, ep.TypeComposite, sam.KeyIndex(), amount, terminal)
	require.NoError(t, err)
	require.Equal(t, ep.PurchaseInit{Balance: balance, Counter: c.counter, Version: 1, Random: [4]byte(unhex(t, c.random))}, init)
	serial, mac1, err := sam.InitPurchase(ctx, request(init, public, 2, ep.TypeComposite, amount, at))
	require.NoError(t, err)
	require.Equal(t, c.serial, serial)
	require.Equal(t, c.mac1, upper(mac1[:]))
	c.trip(&state)
	require.NoError(t, purse.CacheTripState(ctx, 0x01, state.Bytes()))
	require.NoError(t, purse.CacheTripHistory(ctx, c.history.Bytes()))
	debit, err := purse.Debit(ctx, serial, at, mac1)
	require.NoError(t, err)
	require.Equal(t, c.debit, debit, "TAC first, MAC2 second")
	require.NoError(t, sam.CheckMAC2(ctx, debit.MAC2))

	after, err := purse.Balance(ctx)
	require.NoError(t, err)
	require.Equal(t, money.Minor(c.after), after)
	log, err := purse.ReadLog(ctx, 1)
	require.NoError(t, err)
	require.Equal(t, ep.LogRecord{Counter: c.counter, Amount: amount, Type: ep.TypeComposite, Terminal: terminal, At: at}, log)
	history, err := purse.ReadTripHistory(ctx, 1)
	require.NoError(t, err)
	require.Equal(t, c.history, history)
	if c.afterDebit != nil {
		c.afterDebit(t, purse)
	}
}

func TestPlainPurchase(t *testing.T) {
	play(t, "pboc-purchase.txt", func(t *testing.T, card, psam apdu.Transmitter) {
		ctx, amount, at := t.Context(), money.Minor(200), dateTime(t, "20240115083000")
		sam, err := ep.OpenPSAM(ctx, psam, ep.PSAMFID)
		require.NoError(t, err)
		purse, _, err := ep.Select(ctx, card, ep.AIDTUnion)
		require.NoError(t, err)
		public, err := purse.ReadPublic(ctx)
		require.NoError(t, err)
		init, err := purse.InitPurchase(ctx, ep.TypePurchase, sam.KeyIndex(), amount, sam.TerminalNumber())
		require.NoError(t, err)
		serial, mac1, err := sam.InitPurchase(ctx, request(init, public, 1, ep.TypePurchase, amount, at))
		require.NoError(t, err)
		debit, err := purse.Debit(ctx, serial, at, mac1)
		require.NoError(t, err)
		require.NoError(t, sam.CheckMAC2(ctx, debit.MAC2))
		proof, err := purse.Prove(ctx, ep.TypePurchase, init.Counter+1)
		require.NoError(t, err)
		require.Equal(t, ep.Proof{MAC2: debit.MAC2, TAC: debit.TAC}, proof)
	})
}

func TestLoad(t *testing.T) {
	play(t, "load.txt", func(t *testing.T, card, _ apdu.Transmitter) {
		ctx, at := t.Context(), dateTime(t, "20240115083000")
		purse, _, err := ep.Select(ctx, card, ep.AIDTUnion)
		require.NoError(t, err)
		_, err = purse.ReadPublic(ctx)
		require.NoError(t, err)
		init, err := purse.InitLoad(ctx, 1, money.Minor(5000), ep.TerminalNumber(unhex(t, "112233445566")))
		require.NoError(t, err)
		require.Equal(t, ep.LoadInit{Balance: money.Minor(1000), Counter: 3, Version: 1, Random: [4]byte{0x0A, 0x0B, 0x0C, 0x0D}, MAC1: mac(t, "F05423BF")}, init)
		tac, err := purse.CreditLoad(ctx, at, mac(t, "03D12982"))
		require.NoError(t, err)
		require.Equal(t, "23750B84", tac.String())
		balance, err := purse.Balance(ctx)
		require.NoError(t, err)
		require.Equal(t, money.Minor(6000), balance)
		proof, err := purse.Prove(ctx, ep.TypeLoad, init.Counter+1)
		require.NoError(t, err)
		require.Equal(t, tac, proof.TAC)
	})
}

func TestChangsha(t *testing.T) {
	play(t, "changsha-load.txt", func(t *testing.T, card, _ apdu.Transmitter) {
		purse, fci, err := ep.Select(t.Context(), card, ep.AIDPBOC)
		require.NoError(t, err)
		require.Equal(t, []byte{1}, fci.Version)
		init, err := purse.InitLoad(t.Context(), 1, money.Minor(0x1C37), ep.TerminalNumber(unhex(t, "000001000050")))
		require.NoError(t, err)
		require.Equal(t, mac(t, "06B1BEF5"), init.MAC1)
		tac, err := purse.CreditLoad(t.Context(), dateTime(t, "20140825103100"), mac(t, "0641DCD8"))
		require.NoError(t, err)
		require.Equal(t, mac(t, "ED0F8755"), tac)
	})
	play(t, "changsha-composite.txt", func(t *testing.T, card, _ apdu.Transmitter) {
		purse, _, err := ep.Select(t.Context(), card, ep.AIDPBOC)
		require.NoError(t, err)
		init, err := purse.InitPurchase(t.Context(), ep.TypeComposite, 1, money.Minor(0x1C37), ep.TerminalNumber(unhex(t, "000000000001")))
		require.NoError(t, err)
		require.Equal(t, money.Minor(0x1C37), init.Balance)
		debit, err := purse.Debit(t.Context(), 1, dateTime(t, "20110919204812"), mac(t, "303D735D"))
		require.NoError(t, err)
		require.Equal(t, ep.Debit{TAC: mac(t, "44A8E04A"), MAC2: mac(t, "350AC480")}, debit)
	})
}
