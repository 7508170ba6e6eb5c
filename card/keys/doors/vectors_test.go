package doors_test

import (
	"encoding/hex"
	"encoding/json"
	"os"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/purselane/purselane/card/ec"
	"github.com/purselane/purselane/card/keys"
	"github.com/purselane/purselane/card/keys/doors"
)

// digits are hexadecimal digits in a test file.
type digits []byte

func (d *digits) UnmarshalText(text []byte) (err error) {
	*d, err = hex.DecodeString(string(text))
	return err
}

// computed are the values of card/ec's computed.json that a door makes.
type computed struct {
	Masters struct{ AC, MAC, Enc digits }
	PAN     string
	PSN     digits
	Taps    []struct {
		ID      string
		ATC, AC digits
		Input   digits `json:"ac_input"`
	}
	Load struct {
		ARC    digits
		ARPC   digits
		Script digits `json:"script_mac_input_unpadded"`
		MAC    digits `json:"script_mac"`
	}
}

func vectors(t *testing.T) (c computed) {
	raw, err := os.ReadFile("../../ec/testdata/computed.json")
	require.NoError(t, err)
	require.NoError(t, json.Unmarshal(raw, &c))
	require.Len(t, c.Taps, 6)
	return c
}

func (c computed) keys() map[keys.ID]keys.Key {
	return map[keys.ID]keys.Key{
		{Purpose: keys.ECCryptogram, Version: 1}: keys.Key(c.Masters.AC), {Purpose: keys.ECMAC, Version: 1}: keys.Key(c.Masters.MAC), {Purpose: keys.ECEncipher, Version: 1}: keys.Key(c.Masters.Enc),
	}
}

// theVectorsOfEC holds a door against each cryptogram, ARPC and script MAC of the computed vectors.
func theVectorsOfEC(t *testing.T, c computed, k keys.Families) {
	pan, err := ec.NewPAN(c.PAN)
	require.NoError(t, err)
	card, door := ec.CardKeys{DKI: 1, PAN: pan, PSN: c.PSN[0]}, doors.NewEC(k, 0)
	atc := func(raw []byte) uint16 { return uint16(raw[0])<<8 | uint16(raw[1]) }
	for _, tap := range c.Taps {
		got, err := door.Cryptogram(t.Context(), card, atc(tap.ATC), ec.Suite3DES.Pad(tap.Input))
		require.NoError(t, err)
		require.Equal(t, []byte(tap.AC), got[:], tap.ID)
	}
	script := c.Load.Script // header 5, ATC 2, ARQC 8, data
	arpc, err := door.Response(t.Context(), card, atc(script[5:]), [8]byte(script[7:15]), [2]byte(c.Load.ARC))
	require.NoError(t, err)
	require.Equal(t, []byte(c.Load.ARPC), arpc[:])
	mac, err := door.MAC(t.Context(), card, atc(script[5:]), ec.Suite3DES.Pad(script))
	require.NoError(t, err)
	require.Equal(t, []byte(c.Load.MAC), mac[:])
}

func TestTheVectorsOfEC(t *testing.T) {
	c := vectors(t)
	theVectorsOfEC(t, c, keys.NewSoft(c.keys()))
}
