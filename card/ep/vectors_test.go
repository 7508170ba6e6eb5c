package ep_test

import (
	"bytes"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/purselane/purselane/card/ep"
	"github.com/purselane/purselane/card/keys"
	"github.com/purselane/purselane/internal/money"
)

// readJSON reads a vector file; a field that no test looks at is an error.
func readJSON(t *testing.T, name string, v any) {
	t.Helper()
	raw, err := os.ReadFile(filepath.Join("testdata", name))
	require.NoError(t, err)
	d := json.NewDecoder(bytes.NewReader(raw))
	d.DisallowUnknownFields()
	require.NoError(t, d.Decode(v))
}

// hexBytes are hexadecimal digits in a vector file.
type hexBytes []byte

func (h *hexBytes) UnmarshalText(text []byte) error {
	raw, err := hex.DecodeString(string(text))
	*h = raw
	return err
}

func (h hexBytes) amount() money.Amount { return ep.GetAmount(h) }

type transaction struct {
	ID, Source   string
	PurchaseKey  hexBytes `json:"purchase_key"`
	LoadKey      hexBytes `json:"load_key"`
	TACKey       hexBytes `json:"tac_key"`
	Random       hexBytes
	Counter      hexBytes
	Serial       hexBytes // of the terminal
	Balance      hexBytes // before a load
	Amount       hexBytes
	Type         hexBytes
	Terminal     hexBytes
	At           hexBytes
	Session      hexBytes
	MAC1, MAC2   hexBytes
	TAC          hexBytes
	Levels       int      // with the master keys of 8.2; 0: the keys are the card's own
	Code         hexBytes // C13
	MAC1WithCode hexBytes `json:"mac1_with_code"`
}

func ascending(first byte) (k keys.Key) {
	for i := range k {
		k[i] = first + byte(i)
	}
	return k
}

// hsm82 holds the master keys of purse facts 8.2.
func hsm82() keys.HSM {
	return keys.NewSoft(map[keys.ID]keys.Key{
		{Purpose: keys.Purchase, Version: 1}: ascending(0x40), {Purpose: keys.Load, Version: 1}: ascending(0x50), {Purpose: keys.TAC, Version: 1}: ascending(0x60),
	})
}

// public82 is the card of purse facts 8.2.
func public82(t require.TestingT) ep.Public {
	p, err := ep.ParsePublic(unhex(t, "01011000FFFFFFFF0201 00010203040506070809 20240101 20341231 0000"))
	require.NoError(t, err)
	return p
}

// TestTransactions computes every value of every published and computed transaction, by the primitives and, where the
// card's keys are derived, through the HSM.
func TestTransactions(t *testing.T) {
	var v struct {
		About            string
		Purchases, Loads []transaction
	}
	readJSON(t, "transactions.json", &v)
	require.NotEmpty(t, v.Purchases)
	require.NotEmpty(t, v.Loads)
	for _, x := range v.Purchases {
		t.Run("purchase/"+x.ID, func(t *testing.T) {
			term, at, kind := ep.TerminalNumber(x.Terminal), ep.DateTime(x.At), ep.Type(x.Type[0])
			serial := binary.BigEndian.Uint32(x.Serial)
			mac1, mac2 := ep.PurchaseMAC1(x.Amount.amount(), kind, term, at), ep.PurchaseMAC2(x.Amount.amount())
			tac := ep.PurchaseTAC(x.Amount.amount(), kind, term, serial, at)
			require.Len(t, mac1, 18)
			require.Len(t, mac2, 4)
			require.Len(t, tac, 22)
			x.check(t, keys.Purchase, x.PurchaseKey, ep.PurchaseSession([4]byte(x.Random), binary.BigEndian.Uint16(x.Counter), serial), mac1, mac2, tac)
			if len(x.Code) > 0 {
				got := keys.MAC8([8]byte(x.Session), append(mac1, x.Code...))
				require.Equal(t, upper(x.MAC1WithCode), upper(got[:]))
			}
		})
	}
	for _, x := range v.Loads {
		t.Run("load/"+x.ID, func(t *testing.T) {
			term, at, kind := ep.TerminalNumber(x.Terminal), ep.DateTime(x.At), ep.Type(x.Type[0])
			counter := binary.BigEndian.Uint16(x.Counter)
			after, err := x.Balance.amount().Add(x.Amount.amount())
			require.NoError(t, err)
			mac1, mac2 := ep.LoadMAC1(x.Balance.amount(), x.Amount.amount(), kind, term), ep.LoadMAC2(x.Amount.amount(), kind, term, at)
			tac := ep.LoadTAC(after, counter, x.Amount.amount(), kind, term, at)
			require.Len(t, mac1, 15)
			require.Len(t, mac2, 18)
			require.Len(t, tac, 24)
			x.check(t, keys.Load, x.LoadKey, ep.LoadSession([4]byte(x.Random), counter), mac1, mac2, tac)
		})
	}
}

func (x transaction) check(t *testing.T, purpose keys.Purpose, key hexBytes, session [8]byte, mac1, mac2, tac []byte) {
	sk := keys.SessionKey(keys.Key(key), session)
	require.Equal(t, upper(x.Session), upper(sk[:]), "session key")
	wants := []struct {
		name  string
		input []byte
		want  hexBytes
	}{{"MAC1", mac1, x.MAC1}, {"MAC2", mac2, x.MAC2}}
	for _, w := range wants {
		got := keys.MAC8(sk, w.input)
		if len(w.want) > 0 { // the retried loads of P3 end after MAC1
			require.Equal(t, upper(w.want), upper(got[:]), w.name)
		}
	}
	if len(x.TAC) > 0 {
		got := keys.MAC8(keys.FoldTAC(keys.Key(x.TACKey)), tac)
		require.Equal(t, upper(x.TAC), upper(got[:]), "TAC")
	}
	if x.Levels == 0 {
		return
	}
	card := keys.Card{ID: keys.ID{Purpose: purpose, Version: 1}, Factors: public82(t).Factors(x.Levels)}
	for _, w := range wants {
		got, err := hsm82().SessionMAC(t.Context(), card, session, w.input)
		require.NoError(t, err)
		require.Equal(t, upper(w.want), upper(got[:]), "%s by the HSM", w.name)
	}
	card.ID.Purpose = keys.TAC
	got, err := hsm82().TAC(t.Context(), card, tac)
	require.NoError(t, err)
	require.Equal(t, upper(x.TAC), upper(got[:]), "TAC by the HSM")
}

// TestInputsPanicOnAnAmountThatDoesNotFit: a MAC over a cut amount would be a forged one.
func TestInputsPanicOnAnAmountThatDoesNotFit(t *testing.T) {
	for _, n := range []int64{-1, 1 << 32} {
		require.Panics(t, func() { ep.PurchaseMAC2(money.Minor(n)) })
		require.Panics(t, func() { ep.LoadMAC1(money.Minor(n), money.Amount{}, ep.TypeLoad, ep.TerminalNumber{}) })
	}
	require.NotPanics(t, func() { ep.PurchaseMAC2(ep.MaxAmount()) })
}

func TestFCIs(t *testing.T) {
	var v struct {
		About string
		FCI   []struct {
			ID, Source                 string
			Raw, Name, Version, Public hexBytes
			Whole                      bool
		}
	}
	readJSON(t, "fci.json", &v)
	require.NotEmpty(t, v.FCI)
	for _, x := range v.FCI {
		t.Run(x.ID, func(t *testing.T) {
			got, err := ep.ParseFCI(x.Raw)
			require.NoError(t, err)
			require.Equal(t, upper(x.Name), upper(got.Name))
			require.Equal(t, upper(x.Version), upper(got.Version))
			require.Equal(t, upper(x.Public), upper(got.Public))
			if x.Whole {
				require.Equal(t, upper(x.Raw), upper(ep.EncodeFCI(got)))
				_, err := ep.ParsePublic(got.Public)
				require.NoError(t, err)
			}
		})
	}
}

func TestWhatIsNoFCI(t *testing.T) {
	for name, raw := range map[string]string{
		"nothing": "", "no template": "8401A0", "another template": "7003 8401A0", "no name": "6F05 A503880101",
		"cut": "6F31 8408A000", "name is a template": "6F02 A400", "no TLV": "9000",
	} {
		_, err := ep.ParseFCI(unhex(t, raw))
		require.ErrorIs(t, err, ep.ErrMalformed, name)
	}
}

// TestRecords reads every record of testdata, wants what stands in it, and codes it back to the same bytes.
func TestRecords(t *testing.T) {
	var v struct {
		About   string
		Records []struct {
			ID, Source, File string
			Raw              hexBytes
			Fields           map[string]string
		}
	}
	readJSON(t, "records.json", &v)
	seen := map[string]int{}
	for _, x := range v.Records {
		t.Run(x.File+"/"+x.ID, func(t *testing.T) {
			fields, again := parse(t, x.File, x.Raw)
			require.Equal(t, x.Fields, fields)
			require.Equal(t, upper(x.Raw), upper(again))
		})
		seen[x.File]++
	}
	require.Len(t, seen, 5, "EF 15, 17, 18, 1A, 1E")
}

func parse(t *testing.T, file string, raw []byte) (fields map[string]string, again []byte) {
	h := func(b ...byte) string { return upper(b) }
	switch file {
	case "15":
		p, err := ep.ParsePublic(raw)
		require.NoError(t, err)
		factor := p.Serial()
		return map[string]string{
			"issuer": h(p.Issuer[:]...), "type": h(p.AppType), "version": h(p.Version), "number": p.CardNumber.Reveal(), "factor": h(factor[:]...),
			"start": h(p.Start[:]...), "expiry": h(p.Expiry[:]...), "fci": h(p.FCIData[:]...),
		}, p.Bytes()
	case "17":
		m, err := ep.ParseManagement(raw)
		require.NoError(t, err)
		return map[string]string{
			"country": h(m.Country[:]...), "province": h(m.Province[:]...), "city": h(m.City[:]...), "interconnect": fmt.Sprint(m.Interconnect), "kind": h(m.Kind),
		}, m.Bytes()
	case "18":
		l, err := ep.ParseLogRecord(raw)
		require.NoError(t, err)
		require.False(t, l.Empty())
		return map[string]string{
			"counter": fmt.Sprintf("%04X", l.Counter), "overdraft": fmt.Sprintf("%06X", l.Overdraft), "amount": l.Amount.String(), "type": h(byte(l.Type)),
			"terminal": l.Terminal.String(), "at": h(l.At[:]...),
		}, l.Bytes()
	case "1A":
		m, err := ep.ParseMetroTrip(raw)
		require.NoError(t, err)
		require.Equal(t, m.State == ep.TripEntered, m.Open())
		again := m.Bytes()
		return map[string]string{
			"flag": h(m.Flag), "lock": h(m.Lock), "state": h(m.State), "entry_city": h(m.EntryCity[:]...), "entry_institution": h(m.EntryInstitution[:]...),
			"entry_station": h(m.EntryStation[:]...), "entry_terminal": h(m.EntryTerminal[:]...), "entry_time": h(m.EntryTime[:]...), "marked": m.MarkedFare.String(),
			"entry_line": h(m.EntryLine), "entry_amount": m.EntryAmount.String(), "balance": m.Balance.String(), "exit_city": h(m.ExitCity[:]...),
			"exit_station": h(m.ExitStation[:]...), "exit_time": h(m.ExitTime[:]...), "exit_line": h(m.ExitLine), "exit_amount": m.ExitAmount.String(),
		}, again[:]
	case "1E":
		r, err := ep.ParseTripHistory(raw)
		require.NoError(t, err)
		require.False(t, r.Empty())
		again := r.Bytes()
		return map[string]string{
			"kind": h(r.Kind), "terminal": r.TerminalNumber().String(), "industry": h(r.Industry), "line": h(r.Line[:]...), "station": h(r.Station[:]...),
			"operator": h(r.Operator[:]...), "amount": r.Amount.String(), "balance": r.Balance.String(), "at": h(r.At[:]...), "city": h(r.City[:]...), "institution": h(r.Institution[:]...),
		}, again[:]
	}
	require.Fail(t, "no such file", file)
	return nil, nil
}
