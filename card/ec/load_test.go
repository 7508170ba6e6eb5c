package ec_test

import (
	"context"
	"crypto/cipher"
	"crypto/des" //nolint:gosec // what PIN CHANGE is defined with
	"encoding/binary"
	"encoding/json"
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/purselane/purselane/card/apdu"
	"github.com/purselane/purselane/card/ec"
	"github.com/purselane/purselane/card/keys"
	"github.com/purselane/purselane/card/tlv"
	"github.com/purselane/purselane/internal/money"
)

// request is the computed ARQC T5 as the host gets it.
func request(t require.TestingT, c computed) ec.LoadOrder {
	var p tap
	for _, x := range c.Taps {
		if x.ID == "T5" {
			p = x
		}
	}
	iad, err := ec.ParseIAD(p.IAD)
	require.NoError(t, err)
	decision, err := iad.CVR.Cryptogram()
	require.NoError(t, err)
	return ec.LoadOrder{
		Card:   testCard(t, c),
		Claim:  ec.Claim{Sent: p.terminal(t), AIP: ec.AIP{0x7C}, ATC: binary.BigEndian.Uint16(p.ATC), IAD: iad, AC: [8]byte(p.AC), Decision: decision},
		Amount: money.Minor(5650), Known: money.Minor(9350), Limit: money.Minor(100_000), Script: [4]byte{0, 0, 0, 1},
	}
}

// TestComputedLoadAtTheHost makes the whole answer of the computed load from the card's request.
func TestComputedLoadAtTheHost(t *testing.T) {
	c := vectors(t)
	order := request(t, c)
	l, answer, err := ec.AuthoriseLoad(t.Context(), testIssuer(c), order)
	require.NoError(t, err)
	require.Equal(t, []byte(c.Load.Auth), answer.Auth[:])
	require.Equal(t, []byte(c.Load.Template72), answer.Script)
	require.Equal(t, money.Minor(9350), l.Before)
	require.Equal(t, money.Minor(c.Load.NewBalance), l.After)
	require.Equal(t, "load of 56.50 to ****0011, ATC 5, 93.50 to 150.00", l.String())

	id, commands, err := ec.ParseScript(answer.Script)
	require.NoError(t, err)
	require.Equal(t, order.Script, id)
	require.Len(t, commands, 1)
	raw, err := commands[0].Bytes()
	require.NoError(t, err)
	require.Equal(t, []byte(c.Load.PutData), raw)
}

func TestWhatTheHostRefuses(t *testing.T) {
	c := vectors(t)
	for name, k := range map[string]struct {
		spoil func(*ec.LoadOrder)
		why   error
	}{
		"no ARQC":               {func(o *ec.LoadOrder) { o.Claim.Decision = ec.TC }, ec.ErrNoRequest},
		"wrong cryptogram":      {func(o *ec.LoadOrder) { o.Claim.AC[0] ^= 1 }, ec.ErrCryptogram},
		"amount changed":        {func(o *ec.LoadOrder) { o.Claim.Sent[ec.TagAmount] = []byte{0, 0, 0, 0, 9, 9} }, ec.ErrCryptogram},
		"older session":         {func(o *ec.LoadOrder) { o.Claim.ATC-- }, ec.ErrCryptogram},
		"balance changed":       {func(o *ec.LoadOrder) { o.Claim.IAD.Values[4] ^= 1 }, ec.ErrBalanceMAC},
		"books differ":          {func(o *ec.LoadOrder) { o.Known = money.Minor(9351) }, ec.ErrOtherBalance},
		"above the limit":       {func(o *ec.LoadOrder) { o.Amount = money.Minor(90_651) }, ec.ErrOverLimit},
		"nothing":               {func(o *ec.LoadOrder) { o.Amount = money.Amount{} }, ec.ErrLoadAmount},
		"takes more than is on": {func(o *ec.LoadOrder) { o.Amount = money.Minor(-9_351) }, ec.ErrLoadAmount},
		"unknown key":           {func(o *ec.LoadOrder) { o.Card.DKI = 9 }, keys.ErrUnknownKey},
	} {
		t.Run(name, func(t *testing.T) {
			order := request(t, c)
			k.spoil(&order)
			_, answer, err := ec.AuthoriseLoad(t.Context(), testIssuer(c), order)
			require.ErrorIs(t, err, k.why)
			require.Zero(t, answer)
		})
	}
	for name, k := range map[string]struct{ amount, owed, after int64 }{
		"at the limit":              {90_650, 0, 100_000},
		"a void takes value back":   {-9_350, 0, 0},
		"pays the deposit first":    {650, 4_000, 6_000},
		"and no more than there is": {650, 20_000, 0},
	} {
		order := request(t, c)
		order.Amount, order.Owed = money.Minor(k.amount), money.Minor(k.owed)
		l, _, err := ec.AuthoriseLoad(t.Context(), testIssuer(c), order)
		require.NoError(t, err, name)
		require.Equal(t, money.Minor(k.after), l.After, name)
	}
}

// TestOtherScripts checks header, length and MAC of each command, and that a MAC serves one session only.
func TestOtherScripts(t *testing.T) {
	c := vectors(t)
	door, card := testIssuer(c), testCard(t, c)
	limit, err := ec.PutAmount(ec.TagSingleLimit, money.Minor(20_000))
	require.NoError(t, err)
	counter, err := ec.PutData(0x9F53, []byte{5})
	require.NoError(t, err)
	for want, command := range map[string]apdu.Command{
		"04DA9F780A000000020000": limit, "04DA9F530505": counter, "841E000004": ec.BlockApplication(), "8418000004": ec.UnblockApplication(),
		"8416000004": ec.BlockCard(), "8424000004": ec.UnblockPIN(), "04DC02140701 0203": ec.UpdateRecord(ec.Place{SFI: 2, Number: 2}, []byte{1, 2, 3}),
	} {
		signed, err := ec.Secure(t.Context(), door, card, 5, [8]byte{1}, command)
		require.NoError(t, err)
		raw, err := signed.Bytes()
		require.NoError(t, err)
		require.Equal(t, unhex(t, want), raw[:len(raw)-4])
		for _, other := range []struct {
			atc uint16
			ac  [8]byte
		}{{6, [8]byte{1}}, {5, [8]byte{2}}} {
			again, err := ec.Secure(t.Context(), door, card, other.atc, other.ac, command)
			require.NoError(t, err)
			require.NotEqual(t, signed, again)
		}
	}
	for _, bad := range []struct {
		tag   tlv.Tag
		value []byte
	}{{ec.TagBalance, []byte{1}}, {ec.TagDepositUsed, make([]byte, 6)}, {ec.TagATC, []byte{0, 1}}, {0x9F53, nil}} {
		_, err := ec.PutData(bad.tag, bad.value)
		require.ErrorIs(t, err, ec.ErrNotSettable)
	}
	_, err = ec.Secure(t.Context(), door, card, 5, [8]byte{}, ec.UpdateRecord(ec.Place{SFI: 2, Number: 2}, make([]byte, 252)))
	require.Error(t, err)
}

// TestPINChange makes the enciphered data once more, by the block cipher alone.
func TestPINChange(t *testing.T) {
	c := vectors(t)
	door, card := testIssuer(c), testCard(t, c)
	own := c.Cards.Enc
	const atc = 5
	session := ec.SessionKey(keys.Key(own), atc)
	var block cipher.Block
	block, err := des.NewTripleDESCipher(append(append([]byte{}, session[:]...), session[:8]...))
	require.NoError(t, err)
	for _, k := range []struct {
		present, next string
		p2            byte
		plain         string
	}{
		{"", "1234", 2, "08 041234FFFFFFFFFF 80000000000000"},
		{"98765", "123456", 1, "08 9E646456FFFFFFFF 80000000000000"},
	} {
		plain := unhex(t, k.plain)
		for i := range 4 {
			plain[5+i] ^= own[4+i]
		}
		for i := 0; i < 16; i += 8 {
			block.Encrypt(plain[i:], plain[i:i+8])
		}
		next, err := ec.NewPIN(k.next)
		require.NoError(t, err)
		var present ec.PIN
		if k.present != "" {
			present, err = ec.NewPIN(k.present)
			require.NoError(t, err)
		}
		command, err := ec.ChangePIN(t.Context(), door, card, atc, present, next)
		require.NoError(t, err)
		require.Equal(t, apdu.Command{CLA: 0x84, INS: 0x24, P2: k.p2, Data: plain}, command)
	}
	_, err = ec.ChangePIN(t.Context(), door, card, atc, ec.PIN{}, ec.PIN{})
	require.ErrorIs(t, err, ec.ErrPIN)
	card.DKI = 9
	next, err := ec.NewPIN("1234")
	require.NoError(t, err)
	_, err = ec.ChangePIN(t.Context(), door, card, atc, ec.PIN{}, next)
	require.ErrorIs(t, err, keys.ErrUnknownKey)
}

func TestPIN(t *testing.T) {
	for _, bad := range []string{"", "123", "1234567890123", "12A4", "12 4"} {
		_, err := ec.NewPIN(bad)
		require.ErrorIs(t, err, ec.ErrPIN)
	}
	digits := rapid.StringMatching(`[0-9]{4,12}`)
	rapid.Check(t, func(t *rapid.T) {
		next, err := ec.NewPIN(digits.Draw(t, "next"))
		require.NoError(t, err)
		present, err := ec.NewPIN(digits.Draw(t, "present"))
		require.NoError(t, err)
		enc := keys.Key(rapid.SliceOfN(rapid.Byte(), 16, 16).Draw(t, "key"))
		got, err := ec.NextPIN(enc, present, ec.DeltaPIN(enc, present, next))
		require.NoError(t, err)
		require.Equal(t, next, got)
	})
	p, err := ec.NewPIN("987654")
	require.NoError(t, err)
	for _, verb := range []string{"%v", "%+v", "%#v", "%x", "%d", "%s"} {
		require.Equal(t, "[PIN]", fmt.Sprintf(verb, p))
	}
	raw, err := json.Marshal(p)
	require.NoError(t, err)
	require.Equal(t, `"[PIN]"`, string(raw))
	b := p.Block()
	require.Equal(t, unhex(t, "26987654FFFFFFFF"), b[:])
}

// proof builds a load log as a card does.
func proof(t require.TestingT, c computed, atc uint16, records ...ec.LoadRecord) []byte {
	out := append(binary.BigEndian.AppendUint16(nil, atc), byte(len(records)))
	for _, r := range records {
		before, err := ec.Amount12(r.Before)
		require.NoError(t, err)
		after, err := ec.Amount12(r.After)
		require.NoError(t, err)
		out = append(binary.BigEndian.AppendUint16(out, uint16(r.Tag)), before[:]...)
		out = append(append(append(out, after[:]...), r.Date[:]...), r.Time[:]...)
		out = binary.BigEndian.AppendUint16(out, r.ATC)
	}
	mac, err := testIssuer(c).MAC(context.Background(), testCard(t, c), atc, padded(out))
	require.NoError(t, err)
	return append(out, mac[:]...)
}

func TestWhatBecameOfALoad(t *testing.T) {
	c := vectors(t)
	l, _, err := ec.AuthoriseLoad(t.Context(), testIssuer(c), request(t, c))
	require.NoError(t, err)
	ours := ec.LoadRecord{Tag: ec.TagBalance, Before: l.Before, After: l.After, ATC: l.ATC}
	older, newer, other, second := ours, ours, ours, ours
	older.ATC, newer.ATC = 3, 7
	other.After = money.Minor(1)
	second.Tag = 0xDF79

	for name, k := range map[string]struct {
		atc      uint16
		records  []ec.LoadRecord
		capacity int
		want     ec.Verdict
	}{
		"there, in its own session":            {5, []ec.LoadRecord{ours, older}, 10, ec.Loaded},
		"there, later":                         {9, []ec.LoadRecord{newer, ours}, 10, ec.Loaded},
		"not there, in its own session":        {5, []ec.LoadRecord{older}, 10, ec.Uncertain},
		"not there, later":                     {6, []ec.LoadRecord{older}, 10, ec.NotLoaded},
		"not there, later, and nothing at all": {6, nil, 10, ec.NotLoaded},
		"nothing at all, capacity not known":   {6, nil, 0, ec.Uncertain},
		"the log is full of newer ones":        {9, []ec.LoadRecord{newer}, 1, ec.Uncertain},
		"full, and reaches back":               {9, []ec.LoadRecord{newer, older}, 2, ec.NotLoaded},
		"another script of that session":       {9, []ec.LoadRecord{other}, 10, ec.Uncertain},
		"of the second currency":               {9, []ec.LoadRecord{second}, 10, ec.NotLoaded},
		"older than the load":                  {4, []ec.LoadRecord{older}, 10, ec.Uncertain},
	} {
		t.Run(name, func(t *testing.T) {
			log, err := ec.ParseLoadLog(proof(t, c, k.atc, k.records...))
			require.NoError(t, err)
			require.NoError(t, log.Verify(t.Context(), testIssuer(c), testCard(t, c)))
			got := l.ByLog(log, k.capacity)
			require.Equal(t, k.want, got, got.String())
			r, err := l.Reverse(got)
			if got == ec.NotLoaded {
				require.NoError(t, err)
				require.Equal(t, ec.Reversal{Card: l.Card, ATC: 5, ARQC: l.ARQC, Amount: money.Minor(5650)}, r)
			} else {
				require.ErrorIs(t, err, ec.ErrNotReversible)
			}
		})
	}
	raw := proof(t, c, 5, ours)
	for i := range raw {
		bad := append([]byte{}, raw...)
		bad[i] ^= 1
		log, err := ec.ParseLoadLog(bad)
		if err == nil {
			require.ErrorIs(t, log.Verify(t.Context(), testIssuer(c), testCard(t, c)), ec.ErrLoadLog, "byte %d", i)
		}
	}
	for _, bad := range [][]byte{nil, raw[:6], raw[:len(raw)-1], append(raw[:len(raw):len(raw)], 0)} {
		_, err := ec.ParseLoadLog(bad)
		require.ErrorIs(t, err, ec.ErrMalformed)
	}

	void := l
	void.Before, void.After = l.After, l.Before
	for _, k := range []struct {
		l       ec.Load
		atc     uint16
		balance int64
		want    ec.Verdict
	}{
		{l, 5, 15_000, ec.Uncertain}, {l, 4, 15_000, ec.Uncertain}, {l, 6, 15_000, ec.Loaded}, {l, 9, 9_351, ec.Loaded}, {l, 6, 9_350, ec.NotLoaded},
		{l, 7, 9_350, ec.Uncertain}, {l, 6, 9_349, ec.Uncertain}, {l, 6, 15_001, ec.Uncertain},
		{void, 6, 15_000, ec.NotLoaded}, {void, 9, 9_351, ec.NotLoaded}, {void, 6, 9_350, ec.Loaded}, {void, 7, 9_350, ec.Uncertain},
	} {
		require.Equal(t, k.want, k.l.ByBalance(k.atc, money.Minor(k.balance)), "%+v", k)
	}

	done := ec.ScriptResult{ID: l.Script, Outcome: ec.ScriptDone}
	require.Equal(t, ec.Loaded, l.ByResult(done))
	require.Equal(t, ec.Uncertain, l.ByResult(ec.ScriptResult{ID: [4]byte{9}, Outcome: ec.ScriptDone}), "of another script")
	require.Equal(t, ec.Uncertain, l.ByResult(ec.ScriptResult{ID: l.Script, Outcome: ec.ScriptFailed, At: 1}), "nobody signs a failure")
	require.Equal(t, ec.Uncertain, l.ByResult(ec.ScriptResult{ID: l.Script}))
	coded := done.Bytes()
	require.Equal(t, unhex(t, "2000000001"), coded[:])
}

// TestNoVerdictIsWrong lets a card load or not, then pay and load what it can, and holds every verdict against the truth.
func TestNoVerdictIsWrong(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		before := rapid.Int64Range(0, 1000).Draw(t, "before")
		amount := rapid.Int64Range(1, 1000).Draw(t, "amount")
		l := ec.Load{ATC: 100, Before: money.Minor(before), After: money.Minor(before + amount), Amount: money.Minor(amount)}
		truth, balance := ec.NotLoaded, before
		if rapid.Bool().Draw(t, "loaded") {
			truth, balance = ec.Loaded, before+amount
		}
		atc := l.ATC
		for range rapid.IntRange(1, 5).Draw(t, "taps") {
			atc++
			if got := l.ByBalance(atc, money.Minor(balance)); got != ec.Uncertain {
				require.Equal(t, truth, got)
			}
			balance -= rapid.Int64Range(0, balance).Draw(t, "fare")
		}
	})
}

func TestScriptsThatAreNone(t *testing.T) {
	for _, bad := range []string{"", "7200", "720486020000", "9F180400000001", "72079F180400000001", "720886028400860284 00", "720A8605841E0000049F1800"} {
		_, _, err := ec.ParseScript(unhex(t, bad))
		require.ErrorIs(t, err, ec.ErrScript, bad)
	}
	id, commands, err := ec.ParseScript(unhex(t, "710B8609841E00000401020304"))
	require.NoError(t, err)
	require.Zero(t, id)
	require.Equal(t, []apdu.Command{{CLA: 0x84, INS: 0x1E, Data: []byte{1, 2, 3, 4}}}, commands)
	for _, bad := range []string{"", "30000000", "3000000001"} {
		_, err := ec.ParseScriptResult(unhex(t, bad))
		require.ErrorIs(t, err, ec.ErrMalformed)
	}
}

// FuzzScript reads bytes as a script, a report, a load log and the answers of a session over full PBOC.
func FuzzScript(f *testing.F) {
	c := vectors(f)
	f.Add([]byte(c.Load.Template72))
	f.Add(proof(f, c, 5, ec.LoadRecord{Tag: ec.TagBalance, ATC: 5}))
	f.Add(unhex(f, "800E7C80080101001001040118010100"))
	f.Add(unhex(f, "801E80000501020304050607080700010 3A00000010A0100000098005EBE1E9E"))
	f.Fuzz(func(t *testing.T, raw []byte) {
		if id, commands, err := ec.ParseScript(raw); err == nil {
			again, err := ec.Script(id, commands...)
			require.NoError(t, err)
			_, same, err := ec.ParseScript(again)
			require.NoError(t, err)
			require.Equal(t, commands, same)
		}
		if r, err := ec.ParseScriptResult(raw); err == nil {
			again := r.Bytes()
			require.Equal(t, raw, again[:])
		}
		if l, err := ec.ParseLoadLog(raw); err == nil {
			require.LessOrEqual(t, len(l.Records), 255)
		}
		for at := 2; at < 5; at++ {
			card, err := ec.Select(t.Context(), &fixed{answers: c.Taps[0].Steps, at: at, raw: raw}, accepted)
			require.NoError(t, err)
			_, _ = card.BeginOnline(t.Context(), ec.Terminal{TTQ: ec.FullPBOC, Date: tapDay})
		}
	})
}
