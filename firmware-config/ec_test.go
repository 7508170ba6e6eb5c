package firmwareconfig_test

import (
	"crypto/sha1" //nolint:gosec // the checksum of CA keys is defined with SHA-1
	"encoding/hex"
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	firmwareconfig "github.com/purselane/purselane/firmware-config"
	"github.com/purselane/purselane/internal/money"
)

// ec is a whole section, as docs/profile.md shows it. The CA key is a published one of UnionPay's, of 1024 bits.
const ec = `
ec:
  aids: [A000000333010101, A000000333010106]
  ttq: 28000080
  country: "156"
  currency: "156"
  limits: {transaction: "1000.00", holder: "300.00"}
  ca_keys:
    - rid: A000000333
      index: 80
      modulus: 9DD730669F27892944A68C0C62344C0E8EC57C2AA78004B014C26A0B0F3B517A0B60D355DFBC8929BBC59CEBCD0CCA13CDAA0C94E91C84A26E7DBE6B58595C4EFF2D717CB9EB965C15D287AF60AC28D06BC51282BC4A518B0EA3ABA9343F1778545FFB49EE840BBCEA457DBAABBFD755BA0F943A08A59CFFB6066B4084767599
      exponent: 010001
      checksum: A35663495B5702D2ADE19104ADB8EE07F97E8B2A
      expiry: 2030-12-31
  revoked:
    - {rid: A000000333, index: 80, serial: 000102}
  seal_to: 0102030405060708091011121314151617181920212223242526272829303132
  merchant: City Bus
  readback: balance
  early_debit: false
  transit: {file: 21, id: 2801}
`

func TestElectronicCash(t *testing.T) {
	p, err := firmwareconfig.ParseProfile(append(firmwareconfig.SampleYAML(), ec...))
	require.NoError(t, err)
	require.Nil(t, firmwareconfig.Sample().EC, "a scheme need not take it")
	e := p.EC
	require.Equal(t, firmwareconfig.Hex{0x28, 0, 0, 0x80}, e.TTQ)
	require.Equal(t, firmwareconfig.Hex{1, 0, 1}, e.CAKeys[0].Exponent, "digits are digits, not a number")
	require.Equal(t, 20301231, e.CAKeys[0].Day())
	require.Equal(t, money.Minor(100_000), *e.Limits.Transaction)
	require.Nil(t, e.Limits.Offline)
	require.Equal(t, &firmwareconfig.ECTransit{File: 21, ID: firmwareconfig.Hex{0x28, 0x01}}, e.Transit)
	require.Equal(t, firmwareconfig.Revoked{RID: e.CAKeys[0].RID, Index: firmwareconfig.Hex{0x80}, Serial: firmwareconfig.Hex{0, 1, 2}}, e.Revoked[0])

	for change, says := range map[[2]string]string{
		{"[A000000333010101, A000000333010106]", "[A0]"}: "ec.aids[0]: 1 bytes: want 5 to 16",
		{"[A000000333010101, A000000333010106]", "[]"}:   "ec.aids: want at least one",
		{"28000080", "36000080"}:                         "ec.ttq: 36000080: want 28000080",
		{`country: "156"`, `country: CN`}:                `ec.country: "CN": want a numeric code`,
		{`currency: "156"`, `currency: "000"`}:           `ec.currency: "000": want a numeric code`,
		{`holder: "300.00"`, `holder: "0.00"`}:           "ec.limits.holder: 0.00: want more",
		{"rid: A000000333\n", "rid: A0000003\n"}:         "ec.ca_keys[0].rid: 4 bytes: want 5",
		{"index: 80\n", "index: 8000\n"}:                 "ec.ca_keys[0].index: 2 bytes: want 1",
		{"9DD73066", "9DD73067"}:                         "ec.ca_keys[0].checksum: A35663495B5702D2ADE19104ADB8EE07F97E8B2A: the key's is",
		{"4767599\n", "4767598\n"}:                       "ec.ca_keys[0].modulus",
		{"exponent: 010001", "exponent: 010002"}:         "ec.ca_keys[0].exponent: 010002: want 03 or 010001",
		{"2030-12-31", "2030-02-31"}:                     `ec.ca_keys[0].expiry: "2030-02-31"`,
		{"serial: 000102", "serial: 0001"}:               "ec.revoked[0].serial: 2 bytes: want 3",
		{"seal_to: 01", "seal_to: "}:                     "ec.seal_to: 31 bytes: want 32",
		{"City Bus", "The Municipal Bus Company"}:        "ec.merchant: 25 bytes: want 20 at most",
		{"readback: balance", "readback: full"}:          `ec.readback: "full": want balance or none`,
		{"file: 21", "file: 31"}:                         "ec.transit.file: 31: want 1 to 30",
		{"id: 2801", "id: 28"}:                           "ec.transit.id: 1 bytes: want 2",
		{"early_debit: false", "early_debit: true"}:      "ec.transit: not with early_debit",
		{"merchant: City Bus", "pin: true"}:              "pin",
		{"  revoked:", "    - {checksum: A35663495B5702D2ADE19104ADB8EE07F97E8B2A}\n  revoked:"}: "ec.ca_keys[1].checksum: A35663495B5702D2ADE19104ADB8EE07F97E8B2A: the key stands there twice",
	} {
		text := strings.Replace(ec, change[0], change[1], 1)
		require.NotEqual(t, ec, text, "%v", change)
		_, err := firmwareconfig.ParseProfile(append(firmwareconfig.SampleYAML(), text...))
		require.ErrorContains(t, err, says)
	}

	// An SM2 key: the point of the private key 1, with its checksum.
	const sm = "    - rid: A000000333\n      index: 57\n      point: 32C4AE2C1F1981195F9904466A39C9948FE30BBFF2660BE1715A4589334C74C7BC3736A2F4F6779C59BDCEE36B692153D0A9877CC62A474002DF32E52139F0A0\n      checksum: CHECKSUM\n"
	sum := sha1.Sum(unhex(t, "A00000033357"+"32C4AE2C1F1981195F9904466A39C9948FE30BBFF2660BE1715A4589334C74C7BC3736A2F4F6779C59BDCEE36B692153D0A9877CC62A474002DF32E52139F0A0"))
	with := func(change ...string) error {
		key := strings.NewReplacer(append(change, "CHECKSUM", fmt.Sprintf("%X", sum))...).Replace(sm)
		p, err := firmwareconfig.ParseProfile(append(firmwareconfig.SampleYAML(), strings.Replace(ec, "  revoked:", key+"  revoked:", 1)...))
		if err == nil {
			require.Len(t, p.EC.CAKeys[1].Point, 64)
		}
		return err
	}
	require.NoError(t, with())
	require.ErrorContains(t, with("point: 32", "point: 33"), "ec.ca_keys[1].checksum")
	require.ErrorContains(t, with("point: 32", "point: "), "ec.ca_keys[1].point: 63 bytes: want 64")
	require.ErrorContains(t, with("index: 57", "index: 57\n      exponent: 03"), "neither modulus nor exponent")

	_, err = firmwareconfig.ParseProfile(append(firmwareconfig.SampleYAML(), "ec: {}\n"...))
	for _, field := range []string{"aids", "ttq", "country", "currency", "ca_keys", "seal_to", "readback"} {
		require.ErrorContains(t, err, "ec."+field, "all faults at once")
	}
}

func unhex(t *testing.T, digits string) []byte {
	raw, err := hex.DecodeString(digits)
	require.NoError(t, err)
	return raw
}
