package ec_test

import (
	"bytes"
	"encoding/hex"
	"encoding/json"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/stretchr/testify/require"

	"github.com/purselane/purselane/card/ec"
	"github.com/purselane/purselane/card/tlv"
)

// readJSON reads a vector file; a field that no test looks at is an error.
func readJSON(t require.TestingT, name string, v any) {
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

func unhex(t require.TestingT, s string) []byte {
	raw, err := hex.DecodeString(strings.ReplaceAll(s, " ", ""))
	require.NoError(t, err)
	return raw
}

type chain struct {
	ID, Source, PAN   string
	RID               hexBytes
	Index             hexBytes
	CAModulus         hexBytes `json:"ca_modulus"`
	CAExponent        hexBytes `json:"ca_exponent"`
	IssuerCertificate hexBytes `json:"issuer_certificate"`
	IssuerRemainder   hexBytes `json:"issuer_remainder"`
	IssuerExponent    hexBytes `json:"issuer_exponent"`
	IssuerModulus     hexBytes `json:"issuer_modulus"`
	IssuerSerial      hexBytes `json:"issuer_serial"`
	CardCertificate   hexBytes `json:"card_certificate"`
	CardRemainder     hexBytes `json:"card_remainder"`
	CardExponent      hexBytes `json:"card_exponent"`
	CardModulus       hexBytes `json:"card_modulus"`
	Static            hexBytes // none: not published, the card certificate's hash cannot be checked
	SSAD              hexBytes
	Code              hexBytes
	TerminalData      hexBytes `json:"terminal_data"`
	SDAD              hexBytes
	Dynamic           hexBytes
	BadIssuer         hexBytes `json:"bad_issuer_certificate"`
	BadSDAD           hexBytes `json:"bad_sdad"`
	BadDay            ec.Date  `json:"bad_day"`
	BadRemainder      hexBytes `json:"bad_remainder"`
	APDUs             [][2]hexBytes
}

func (c chain) pan(t require.TestingT) ec.PAN {
	p, err := ec.NewPAN(c.PAN)
	require.NoError(t, err)
	return p
}

func (c chain) ca() ec.CAKey {
	return ec.CAKey{RID: ec.RID(c.RID), Index: c.Index[0], Modulus: c.CAModulus, Exponent: c.CAExponent}
}

func chains(t require.TestingT) []chain {
	var f struct{ Chains []chain }
	readJSON(t, "certificates.json", &f)
	require.Len(t, f.Chains, 3)
	return f.Chains
}

type caFile struct {
	Source string
	Keys   []caEntry
}

type caEntry struct {
	ID, Source string
	RID        hexBytes
	Index      hexBytes
	Exponent   hexBytes
	Modulus    hexBytes
	Checksum   hexBytes
}

func (e caEntry) key() ec.CAKey {
	return ec.CAKey{RID: ec.RID(e.RID), Index: e.Index[0], Modulus: e.Modulus, Exponent: e.Exponent}
}

type tap struct {
	ID, Name      string
	Terminal      map[string]hexBytes
	ATC           hexBytes
	Type          string
	CVN           hexBytes
	ACInput       hexBytes `json:"ac_input"`
	AC            hexBytes
	IAD           hexBytes
	SessionAC     hexBytes `json:"session_ac"`
	SessionMAC    hexBytes `json:"session_mac"`
	BalanceBefore int64    `json:"balance_before"`
	BalanceAfter  int64    `json:"balance_after"`
	Auth          hexBytes `json:"authentication_data"`
	Steps         [][2]hexBytes
}

func (p tap) terminal(t require.TestingT) map[tlv.Tag][]byte {
	out := map[tlv.Tag][]byte{}
	for name, v := range p.Terminal {
		n, err := strconv.ParseUint(name, 16, 32)
		require.NoError(t, err)
		out[tlv.Tag(n)] = v
	}
	return out
}

type computed struct {
	Source string
	CA     struct{ RID, Index, Modulus, Exponent, Checksum hexBytes }
	// The three master keys, and the test card's own.
	Masters, Cards struct{ AC, MAC, Enc hexBytes }
	PAN            string
	PSN            hexBytes
	Static         hexBytes
	OptionA        []struct {
		PAN                       string
		PSN, MDK, Diversification hexBytes
		UDK                       hexBytes
	} `json:"option_a"`
	SessionKeys []struct {
		UDK, ATC   hexBytes
		SessionKey hexBytes `json:"session_key"`
	} `json:"session_keys"`
	Taps []tap
	Torn struct {
		ID    string
		Steps [][2]hexBytes
	}
	Load struct {
		ID          string
		ARC         hexBytes
		ARPC        hexBytes
		Auth        hexBytes `json:"issuer_auth_data_91"`
		External    hexBytes `json:"external_authenticate"`
		NewBalance  int64    `json:"new_balance"`
		ScriptInput hexBytes `json:"script_mac_input_unpadded"`
		ScriptMAC   hexBytes `json:"script_mac"`
		PutData     hexBytes `json:"put_data"`
		Template72  hexBytes `json:"template_72"`
	}
	LoadLog hexBytes `json:"load_log"`
	Transit struct {
		ID       string
		Key, ATC hexBytes
		Input    hexBytes `json:"mac_input_before_iv"`
		IV, MAC  hexBytes
		APDU     hexBytes
	}
	Negatives []struct {
		Case, Base, Expect string
		Change             map[string]*hexBytes
	}
}

func vectors(t require.TestingT) computed {
	var c computed
	readJSON(t, "computed.json", &c)
	require.Len(t, c.Taps, 6)
	return c
}

func (c computed) ca() ec.CAKey {
	return ec.CAKey{RID: ec.RID(c.CA.RID), Index: c.CA.Index[0], Modulus: c.CA.Modulus, Exponent: c.CA.Exponent, Expiry: 20301231}
}

func (c computed) authorities(t require.TestingT, revoked ...ec.Revoked) *ec.Authorities {
	a, err := ec.NewAuthorities([]ec.CAKey{c.ca()}, revoked)
	require.NoError(t, err)
	return a
}

func (c computed) tap(t require.TestingT, id string) tap {
	for _, p := range c.Taps {
		if p.ID == id {
			return p
		}
	}
	require.FailNow(t, "no tap "+id)
	return tap{}
}
