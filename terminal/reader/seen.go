package reader

import "time"

// Seer is what a Card is besides whose reader knows when it saw the card come into its field. Seen is that moment, with the machine's monotonic clock: it is
// for measuring how long the reader takes until the first command. A card that was there before anyone waited for it was seen then.
type Seer interface {
	Seen() time.Time
}
