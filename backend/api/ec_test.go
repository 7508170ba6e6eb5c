package api_test

import (
	"crypto/rand"
	"encoding/hex"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/purselane/purselane/card/ec"
	"github.com/purselane/purselane/internal/ids"
	"github.com/purselane/purselane/internal/money"
	"github.com/purselane/purselane/simulator/eccard"
)

// ecBank is an issuer and an empty electronic cash card of it: its keys take a while to make.
var ecBank = sync.OnceValue(func() (w struct {
	issuer *eccard.Issuer
	blank  *eccard.Card
	pan    ec.PAN
}) {
	var err error
	if w.issuer, err = eccard.NewIssuer(rand.Reader, "621094"); err != nil {
		panic(err)
	}
	if w.pan, err = ec.NewPAN("6210947315926483"); err != nil {
		panic(err)
	}
	if w.blank, err = w.issuer.Card(w.pan, 1, money.Amount{}); err != nil {
		panic(err)
	}
	return w
})

// ecSession is a new session of a card over full PBOC, and what is said of it over the API.
func ecSession(t *testing.T, chip *eccard.Card) (*ec.Card, *ec.Online, map[string]any) {
	chip.Insert()
	c, err := ec.Select(t.Context(), chip, []ec.Accepted{{AID: ec.AIDDebit}})
	require.NoError(t, err)
	o, err := c.BeginOnline(t.Context(), ec.Terminal{TTQ: ec.FullPBOC, Country: [2]byte{1, 0x56}, Currency: [2]byte{1, 0x56}, Date: 20261124, UN: [4]byte{1}})
	require.NoError(t, err)
	raw, err := o.Field55(nil)
	require.NoError(t, err)
	return c, o, map[string]any{"card_number": ids.CardNumber(o.Track2.PAN).Reveal(), "sequence": o.PSN, "chip_data": hex.EncodeToString(raw)}
}

// loadEC loads an electronic cash card twice: the second answer is lost, and the card tells of it in a later session.
func (c *city) loadEC(t *testing.T) {
	ok := func(a answer) answer { t.Helper(); require.Equal(t, 200, a.status, "%s", a.raw); return a }
	chip := ecBank().blank.Clone()
	id := c.order(c.bus, "ec-1", "50.00")
	_, o, said := ecSession(t, chip)
	looked := ok(c.call(c.metro, "POST", "/v1/cards/lookup-ec", said)).json
	require.Equal(t, "0.00", looked["balance"])
	require.NotContains(t, looked, "open_load")
	got := ok(c.call(c.bus, "POST", "/v1/loads/"+id+"/authorise-ec", said))
	var a ec.Answer
	raw, err := hex.DecodeString(got.text("issuer_authentication"))
	require.NoError(t, err)
	a.Auth = [10]byte(raw)
	a.Script, err = hex.DecodeString(got.text("script"))
	require.NoError(t, err)
	result, err := o.Answer(t.Context(), a)
	require.NoError(t, err)
	report := result.Bytes()
	loaded := ok(c.call(c.bus, "POST", "/v1/loads/"+id+"/script-result", map[string]string{"result": hex.EncodeToString(report[:])}))
	require.Equal(t, "loaded", loaded.text("state"))
	require.Equal(t, "script", loaded.text("proof"))
	require.Equal(t, money.Minor(50_00), chip.Balance())

	id = c.order(c.bus, "ec-2", "20.00")
	_, _, said = ecSession(t, chip)
	ok(c.call(c.bus, "POST", "/v1/loads/"+id+"/authorise-ec", said))
	card, _, said := ecSession(t, chip)
	require.Equal(t, id, ok(c.call(c.metro, "POST", "/v1/cards/lookup-ec", said)).text("open_load"))
	log, err := card.LoadLog(t.Context())
	require.NoError(t, err)
	resolved := ok(c.call(c.metro, "POST", "/v1/loads/"+id+"/resolve-ec", map[string]any{"request": said, "load_log": hex.EncodeToString(log)}))
	require.Equal(t, map[string]any{"id": id, "state": "paid"}, resolved.json)
	ok(c.call(c.bus, "POST", "/v1/loads/"+id+"/refund", nil))

	require.Equal(t, "chip-data", c.call(c.metro, "POST", "/v1/cards/lookup-ec", map[string]any{"card_number": said["card_number"], "sequence": 1, "chip_data": "9F2600"}).text("code"))
	require.Equal(t, "request", c.call(c.bus, "POST", "/v1/loads/"+id+"/script-result", map[string]string{"result": "F000000000"}).text("code"))
}

func TestACardNumberOfElectronicCashIsFilledUp(t *testing.T) {
	c := start(t)
	for _, number := range []string{"6210947315926483", "6210947315926483000F", "621094731592648FFFFG"} {
		a := c.call(c.metro, "POST", "/v1/cards/lookup-ec", map[string]any{"card_number": number, "sequence": 1, "chip_data": "9F2600"})
		if len(number) == 20 && number[19] == 'F' {
			require.Equal(t, "unknown-card", a.text("code"))
			continue
		}
		require.Equal(t, "request", a.text("code"), number)
	}
}
