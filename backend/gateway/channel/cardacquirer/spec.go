package cardacquirer

import (
	"github.com/moov-io/iso8583"
	"github.com/moov-io/iso8583/encoding"
	"github.com/moov-io/iso8583/field"
	"github.com/moov-io/iso8583/padding"
	"github.com/moov-io/iso8583/prefix"
)

// Numbers of fields.
const (
	fPAN      = 2
	fProc     = 3
	fAmount   = 4
	fSentAt   = 7 // MMDDhhmmss, UTC
	fSTAN     = 11
	fTime     = 12 // hhmmss, local
	fDate     = 13 // MMDD, local
	fExpiry   = 14 // YYMM
	fEntry    = 22
	fSequence = 23
	fFunction = 24
	fReason   = 25
	fRRN      = 37
	fAuth     = 38
	fCode     = 39
	fTerminal = 41
	fMerchant = 42
	fState    = 44 // of an enquiry: what became of the other transaction
	fCurrency = 49
	fChip     = 55
	fOriginal = 61 // retrieval reference of the transaction that this one is about
	fContext  = 62
	fNumber   = 63 // ours
	fMAC      = 64
	fNetwork  = 70
	fOrigData = 90
	fMAC2     = 128
)

func fixed(length int, what string) field.Field {
	return field.NewString(&field.Spec{Length: length, Description: what, Enc: encoding.ASCII, Pref: prefix.ASCII.Fixed})
}

func digits(length int, what string) field.Field {
	return field.NewString(&field.Spec{Length: length, Description: what, Enc: encoding.ASCII, Pref: prefix.ASCII.Fixed, Pad: padding.Left('0')})
}

func text(most int, what string) field.Field {
	pref := prefix.ASCII.LLL
	if most < 100 {
		pref = prefix.ASCII.LL
	}
	return field.NewString(&field.Spec{Length: most, Description: what, Enc: encoding.ASCII, Pref: pref})
}

func mac(what string) field.Field {
	return field.NewBinary(&field.Spec{Length: 8, Description: what, Enc: encoding.Binary, Pref: prefix.Binary.Fixed})
}

// Spec is the flavour that is spoken: MTI and fields in ASCII, bitmaps and MACs in binary. It is the layout of 1987 with the function and
// reason codes of 1993.
var Spec = &iso8583.MessageSpec{
	Name: "card acquirer",
	Fields: map[int]field.Field{
		0:         fixed(4, "message type"),
		1:         field.NewBitmap(&field.Spec{Length: 8, Description: "bitmap", Enc: encoding.Binary, Pref: prefix.Binary.Fixed}),
		fPAN:      text(19, "card number"),
		fProc:     fixed(6, "processing code"),
		fAmount:   field.NewString(&field.Spec{Length: 12, Description: "amount", Enc: encoding.ASCII, Pref: prefix.ASCII.Fixed}),
		fSentAt:   fixed(10, "transmission time"),
		fSTAN:     fixed(6, "trace number"),
		fTime:     fixed(6, "local time"),
		fDate:     fixed(4, "local date"),
		fExpiry:   fixed(4, "expiry"),
		fEntry:    fixed(3, "entry mode"),
		fSequence: digits(3, "card sequence number"),
		fFunction: fixed(3, "function code"),
		fReason:   fixed(4, "reason code"),
		fRRN:      fixed(12, "retrieval reference"),
		fAuth:     fixed(6, "authorisation code"),
		fCode:     fixed(2, "response code"),
		fTerminal: fixed(8, "terminal"),
		fMerchant: fixed(15, "merchant"),
		fState:    text(25, "state of the other transaction"),
		fCurrency: fixed(3, "currency"),
		fChip:     field.NewBinary(&field.Spec{Length: 255, Description: "chip data", Enc: encoding.Binary, Pref: prefix.ASCII.LLL}),
		fOriginal: text(999, "original retrieval reference"),
		fContext:  text(999, "context"),
		fNumber:   text(999, "our number"),
		fMAC:      mac("MAC"),
		fNetwork:  fixed(3, "network management code"),
		fOrigData: fixed(42, "original data elements"),
		fMAC2:     mac("MAC"),
	},
}
