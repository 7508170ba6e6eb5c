package desfire

import (
	"errors"
	"fmt"
	"math"

	"github.com/purselane/purselane/card/desfire"
	"github.com/purselane/purselane/internal/money"
	"github.com/purselane/purselane/simulator/image"
)

// records is the capacity of the cyclic record file.
const records = 10

// Image is the whole non-volatile memory of a card. It is one comparable value: a commit makes a changed copy, and the copy takes
// the old one's place at once.
type Image struct {
	UID      image.Bytes      `json:"uid"` // 7 bytes
	Settings desfire.Settings `json:"settings"`
	Key      image.Key        `json:"key"`    // of the application
	TMKey    image.Key        `json:"tm_key"` // AppTransactionMACKey

	Lower money.Amount `json:"lower"` // limits of the value, signed 32 bits
	Upper money.Amount `json:"upper"`
	Value money.Amount `json:"value"`

	TMC      uint32      `json:"tmc"`       // committed transactions
	TMCLimit uint32      `json:"tmc_limit"` // at it the card refuses; FFFFFFFF is none
	TMV      image.Bytes `json:"tmv"`       // 8 bytes

	Records [records]image.Bytes `json:"records"` // newest first; empty is never written
}

// Check finds what a card could not hold.
func (m Image) Check() error {
	errs := []error{m.Settings.Check()}
	if len(m.UID) != 7 {
		errs = append(errs, fmt.Errorf("UID of %d bytes: want 7", len(m.UID)))
	}
	if len(m.TMV) != 8 {
		errs = append(errs, fmt.Errorf("TMV of %d bytes: want 8", len(m.TMV)))
	}
	if m.Lower.Minor() < math.MinInt32 || m.Upper.Minor() > math.MaxInt32 || m.Value.Cmp(m.Lower) < 0 || m.Value.Cmp(m.Upper) > 0 {
		errs = append(errs, errors.New("value outside its limits, or limits outside 32 bits"))
	}
	if m.TMC > m.TMCLimit {
		errs = append(errs, errors.New("TMC above its limit"))
	}
	for _, r := range m.Records {
		if len(r) != 0 && len(r) != m.Settings.RecordSize {
			errs = append(errs, fmt.Errorf("record of %d bytes: want %d", len(r), m.Settings.RecordSize))
		}
	}
	return errors.Join(errs...)
}
