package channel

import (
	"cmp"
	"time"
)

// Payment is a payment as somebody at the channel sees it.
type Payment struct {
	Number  string // the merchant's
	Subject string
	Amount  int64  // smallest units
	Way     string // how it is paid, as the channel calls it
	State   string // as the channel calls it
	Waits   bool   // its payer may pay still
	Made    time.Time
}

// Newest orders payments by when they were made, the newest first.
func Newest(a, b Payment) int {
	return cmp.Or(b.Made.Compare(a.Made), cmp.Compare(a.Number, b.Number))
}
