package ec

import (
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/purselane/purselane/card/apdu"
	"github.com/purselane/purselane/card/tlv"
)

// ErrUnknownCVN says that a cryptogram's version is neither 01 nor 17, or its algorithm neither 3DES nor SM4: its input is not known.
var ErrUnknownCVN = errors.New("cryptogram version or algorithm is not supported")

// Diversification is the card's key derivation value: the last 16 digits of card number and sequence number, filled with zeros on the left (option A; EC facts 14).
func Diversification(pan PAN, psn byte) [8]byte {
	digits := strings.Repeat("0", 16) + pan.Reveal() + fmt.Sprintf("%02X", psn)
	raw, err := hex.DecodeString(digits[len(digits)-16:])
	if err != nil {
		panic(err) // a PAN is decimal digits
	}
	return [8]byte(raw)
}

// sentLengths are the terminal's objects that enter cryptograms.
var sentLengths = map[tlv.Tag]int{
	TagAmount: 6, TagAmountOther: 6, TagCountry: 2, TagTVR: 5, TagCurrency: 2, TagDate: 3, TagType: 1, TagUN: 4,
}

// CryptogramInput returns the input of an application cryptogram, padded, and the length that is not padding. sent holds the terminal's values exactly as they went into
// the PDOL data (EC facts 14). The balance is not in it: only the MAC in the issuer application data covers that.
func CryptogramInput(sent map[tlv.Tag][]byte, aip AIP, atc uint16, iad IAD) (padded []byte, n int, err error) {
	var tags []tlv.Tag
	var card []byte
	counter := binary.BigEndian.AppendUint16(nil, atc)
	suite, err := SuiteOf(iad.Algorithm)
	if err != nil {
		return nil, 0, err
	}
	switch iad.CVN {
	case CVN01:
		tags = []tlv.Tag{TagAmount, TagAmountOther, TagCountry, TagTVR, TagCurrency, TagDate, TagType, TagUN}
		card = slices.Concat(aip[:], counter, []byte{0x03}, iad.CVR[:])
	case CVN17:
		tags = []tlv.Tag{TagAmount, TagUN}
		card = slices.Concat(counter, iad.CVR[:1])
	default:
		return nil, 0, fmt.Errorf("%w: version %02X", ErrUnknownCVN, iad.CVN)
	}
	var out []byte
	for _, t := range tags {
		v, err := Objects(sent).want(t, sentLengths[t])
		if err != nil {
			return nil, 0, fmt.Errorf("cryptogram input: %w", err)
		}
		out = append(out, v...)
	}
	out = append(out, card...)
	return suite.Pad(out), len(out), nil
}

// BalanceInput returns the input of the MAC in the issuer application data, padded (EC facts 9). With the options of 10 bytes sources differ whether a block of
// padding follows: noPadding is for cards that leave it out (EC facts 20.2).
func BalanceInput(atc uint16, iad IAD, noPadding bool) ([]byte, error) {
	suite, err := SuiteOf(iad.Algorithm)
	if err != nil {
		return nil, err
	}
	out := append(binary.BigEndian.AppendUint16(nil, atc), iad.Values...)
	switch len(iad.Values) {
	case 5:
		return suite.Pad(append(out, 0)), nil
	case 10:
		out = append(out, 0, 0, 0, 0)
		if noPadding {
			return out, nil
		}
		return suite.Pad(out), nil
	}
	return nil, fmt.Errorf("%w: issuer application data without a value", ErrMalformed)
}

// ScriptMessage returns what a script command's MAC covers: header with an Lc that counts the MAC, ATC, cryptogram, data (EC facts 15).
func ScriptMessage(c apdu.Command, atc uint16, ac [8]byte) []byte {
	out := []byte{c.CLA, c.INS, c.P1, c.P2, byte(len(c.Data) + 4)}
	out = binary.BigEndian.AppendUint16(out, atc)
	return slices.Concat(out, ac[:], c.Data)
}

// ScriptInput is ScriptMessage padded for 3DES.
func ScriptInput(c apdu.Command, atc uint16, arqc [8]byte) []byte {
	return Suite3DES.Pad(ScriptMessage(c, atc, arqc))
}

// TransitInput returns the input of the MAC of UPDATE CAPP DATA CACHE, padded and with its initial vector (the ATC) worked in (EC facts 16).
func TransitInput(c apdu.Command, atc uint16) []byte {
	out := Suite3DES.Pad(slices.Concat([]byte{c.CLA, c.INS, c.P1, c.P2, byte(len(c.Data) + 4)}, c.Data))
	out[6] ^= byte(atc >> 8)
	out[7] ^= byte(atc)
	return out
}
