package settlement

import (
	"github.com/purselane/purselane/internal/money"
	"github.com/purselane/purselane/shadowaccount/fee"
)

// Version of the report's format.
//
//   - 1: 2026-11-24: first
//   - 2: 2026-11-25: fee files, and taxes among the parts of fees
//   - 3: 2026-11-25: fees that are taken once a month
//
// A day keeps the version it was closed in.
const Version = 3

// Report is a closed clearing day: the outside contract of docs/settlement.md. Its fields stand in the order in which
// the JSON form prints them.
type Report struct {
	Format    string            `json:"format"` // "purselane-settlement"
	Version   int               `json:"version"`
	Day       string            `json:"day"`
	Term      string            `json:"term"` // T+1: working days; D+1: calendar days
	Due       string            `json:"due"`
	Acquirers []AcquirerSection `json:"acquirers"`
	Channels  []ChannelSection  `json:"channels"`
	Totals    Totals            `json:"totals"`
	Proof     Proof             `json:"proof"`
	Files     []File            `json:"files"` // the CSV files that belong to it
}

// Tally counts taps and adds up their amounts.
type Tally struct {
	Count  int64        `json:"count"`
	Amount money.Amount `json:"amount"`
}

// Sums are the taps of a party by what became of them.
type Sums struct {
	Accepted    Tally `json:"accepted"`    // that this day accepts for the first time
	Rejected    Tally `json:"rejected"`    // that this day rejects for the first time
	Suspect     Tally `json:"suspect"`     // that this day holds for the first time
	Adjustments Tally `json:"adjustments"` // taps of earlier days that became accepted, less those that ceased to be
}

// Reason counts the taps of one class and reason that a day tells of for the first time.
type Reason struct {
	Class  Class  `json:"class"`
	Reason string `json:"reason"`
	Tally
}

// Held is what stood as suspect when the day closed, from whatever day.
type Held struct {
	Tally
	OldestDay string `json:"oldest_day,omitempty"` // clearing day of arrival of the oldest
}

// Fees are what a party is charged: Total = the parts + Rounding.
type Fees struct {
	Total    money.Amount `json:"total"`
	Parts    []fee.Part   `json:"parts"`
	Rounding money.Amount `json:"rounding"`
}

// MerchantSection is one merchant's day.
type MerchantSection struct {
	ID string `json:"id"`
	Sums
	Fees      Fees         `json:"fees"`
	Accrued   *Fees        `json:"accrued,omitempty"`  // what the day came to by standards that are taken once a month
	Collected money.Amount `json:"collected,omitzero"` // what accrued in earlier months, and is taken today
	Net       money.Amount `json:"net"`                // accepted + adjustments − fees − collected: what became available

	charged []charged // for the fee file
}

// AcquirerSection is one acquirer's day. Net = accepted + adjustments − fees − collected − sold loads; positive: we pay it.
type AcquirerSection struct {
	ID   string `json:"id"`
	Name string `json:"name"`
	Sums
	Reasons   []Reason          `json:"reasons"`
	Held      Held              `json:"held"`
	Fees      Fees              `json:"fees"`
	Accrued   *Fees             `json:"accrued,omitempty"`
	Collected money.Amount      `json:"collected,omitzero"`
	SoldLoads money.Amount      `json:"sold_loads"`
	Net       money.Amount      `json:"net"`
	Merchants []MerchantSection `json:"merchants"`
}

// ChannelSection is one payment channel's day. Net is negative: the channel pays us.
type ChannelSection struct {
	ID        string       `json:"id"`
	Name      string       `json:"name"`
	Collected money.Amount `json:"collected"`
	Fees      Fees         `json:"fees"`
	BorneBy   string       `json:"borne_by"` // issuer: kept by the channel; payer: paid by the holder on top
	Net       money.Amount `json:"net"`
}

// Totals add up all acquirers, and all channels.
type Totals struct {
	Sums
	Held         Tally        `json:"held"`
	MerchantFees money.Amount `json:"merchant_fees"`         // taken today, of whatever month
	FeesAccrued  money.Amount `json:"fees_accrued,omitzero"` // today's that are taken when the month is over
	SoldLoads    money.Amount `json:"sold_loads"`
	Collected    money.Amount `json:"collected"`
	ChannelFees  money.Amount `json:"channel_fees"`
}

// Proof is what must hold: ZeroSum is zero, and TrustMovement = FloatMovement + MerchantFees − ChannelFees.
type Proof struct {
	ZeroSum       money.Amount `json:"zero_sum"` // all positions and the trust movement
	TrustMovement money.Amount `json:"trust_movement"`
	FloatMovement money.Amount `json:"float_movement"`
	MerchantFees  money.Amount `json:"merchant_fees"`
	ChannelFees   money.Amount `json:"channel_fees"`
	Identity      string       `json:"identity"` // the equation written out
}

// File names a CSV file of the report and fixes its content.
type File struct {
	Name   string `json:"name"`
	Lines  int    `json:"lines"` // without the header
	SHA256 string `json:"sha256"`
}
