package ec

import (
	"fmt"
	"strings"
)

// bit names one bit of a bit map: byte from 0, mask.
type bit struct {
	at   int
	mask byte
	name string
}

// describe prints a bit map's digits and the names of what is set.
func describe(raw []byte, bits []bit) string {
	var set []string
	for _, b := range bits {
		if raw[b.at]&b.mask != 0 {
			set = append(set, b.name)
		}
	}
	return fmt.Sprintf("%X [%s]", raw, strings.Join(set, ", "))
}

// AIP is the application interchange profile (82; EC facts 4).
type AIP [2]byte

var aipBits = []bit{
	{0, 0x40, "SDA"}, {0, 0x20, "DDA"}, {0, 0x10, "CVM"}, {0, 0x08, "terminal risk management"}, {0, 0x04, "issuer authentication"}, {0, 0x01, "CDA"},
	{1, 0x80, "contactless full PBOC"},
}

// DDA reports that the card signs, without which there is no fDDA.
func (a AIP) DDA() bool { return a[0]&0x20 != 0 }

// String names the set bits.
func (a AIP) String() string { return describe(a[:], aipBits) }

// TTQ is the terminal transaction qualifiers (9F66; EC facts 4).
type TTQ [4]byte

var ttqBits = []bit{
	{0, 0x80, "MSD"}, {0, 0x40, "contactless full PBOC"}, {0, 0x20, "qPBOC"}, {0, 0x10, "contact PBOC"}, {0, 0x08, "offline only"},
	{0, 0x04, "online PIN"}, {0, 0x02, "signature"}, {0, 0x01, "ODA for online"},
	{1, 0x80, "online cryptogram required"}, {1, 0x40, "CVM required"}, {1, 0x20, "offline PIN"},
	{2, 0x80, "issuer script"}, {2, 0x40, "consumer device CVM"}, {3, 0x80, "fDDA01"},
}

// GateTTQ is a gate or bus validator's: qPBOC, offline only, fDDA01.
var GateTTQ = TTQ{0x28, 0x00, 0x00, 0x80}

// QPBOC reports that the reader offers qPBOC.
func (t TTQ) QPBOC() bool { return t[0]&0x20 != 0 }

// OfflineOnly reports that the reader cannot go online.
func (t TTQ) OfflineOnly() bool { return t[0]&0x08 != 0 }

// FDDA01 reports that the reader offers version 01 of the signature, which covers the amount.
func (t TTQ) FDDA01() bool { return t[3]&0x80 != 0 }

// String names the set bits.
func (t TTQ) String() string { return describe(t[:], ttqBits) }

// CTQ is the card transaction qualifiers (9F6C; EC facts 4).
type CTQ [2]byte

var ctqBits = []bit{
	{0, 0x80, "online PIN required"}, {0, 0x40, "signature required"}, {0, 0x20, "online if ODA fails"}, {0, 0x10, "other interface if ODA fails"},
	{0, 0x08, "online if expired"}, {0, 0x04, "other interface for cash"}, {0, 0x02, "other interface for cashback"},
	{1, 0x80, "consumer device CVM performed"}, {1, 0x40, "issuer update"},
}

// String names the set bits.
func (c CTQ) String() string { return describe(c[:], ctqBits) }

// OnlinePIN reports that the card wants the holder's PIN checked online.
func (c CTQ) OnlinePIN() bool { return c[0]&0x80 != 0 }

// Signature reports that the card wants the holder's signature.
func (c CTQ) Signature() bool { return c[0]&0x40 != 0 }

// OnlineIfFailed reports that a card whose authentication failed goes online where the reader can.
func (c CTQ) OnlineIfFailed() bool { return c[0]&0x20 != 0 }

// SwitchIfFailed reports that such a card goes to the contact interface where the reader has one.
func (c CTQ) SwitchIfFailed() bool { return c[0]&0x10 != 0 }

// OnlineIfExpired reports that an expired card goes online where the reader can.
func (c CTQ) OnlineIfExpired() bool { return c[0]&0x08 != 0 }

// CVR is the card verification results in the issuer application data (EC facts 9).
type CVR [3]byte

var cvrBits = []bit{
	{0, 0x08, "issuer authentication failed"}, {0, 0x04, "offline PIN done"}, {0, 0x02, "offline PIN failed"}, {0, 0x01, "unable to go online"},
	{1, 0x80, "last online incomplete"}, {1, 0x40, "PIN tries exceeded"}, {1, 0x20, "limit exceeded"}, {1, 0x10, "new card"},
	{1, 0x08, "issuer authentication failed last time"}, {1, 0x04, "issuer authentication not performed last time"}, {1, 0x02, "blocked because of PIN"},
	{1, 0x01, "SDA failed last time"}, {2, 0x08, "script failed last time"}, {2, 0x04, "DDA failed last time"}, {2, 0x02, "DDA performed"},
}

// String names the set bits.
func (c CVR) String() string { return describe(c[:], cvrBits) }

// Cryptogram is the kind of an application cryptogram: the card's decision, coded as the CID (9F27).
type Cryptogram byte

// Decisions.
const (
	AAC  Cryptogram = 0x00 // declined
	TC   Cryptogram = 0x40 // approved offline; a debit once the last record is read
	ARQC Cryptogram = 0x80 // the card wants to go online
)

// String prints the name.
func (c Cryptogram) String() string {
	switch c {
	case AAC:
		return "AAC"
	case TC:
		return "TC"
	case ARQC:
		return "ARQC"
	}
	return fmt.Sprintf("cryptogram %02X", byte(c))
}

// Cryptogram is the card's decision at the first cryptogram, the only one of qPBOC (EC facts 8). 30 is no decision.
func (c CVR) Cryptogram() (Cryptogram, error) {
	switch c[0] & 0x30 {
	case 0x00:
		return AAC, nil
	case 0x10:
		return TC, nil
	case 0x20:
		return ARQC, nil
	}
	return 0, fmt.Errorf("%w: CVR %v says no decision", ErrMalformed, c)
}
