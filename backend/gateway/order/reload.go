package order

// ReloadState is the state of a rule that loads a card when it holds little. The text is stored and is part of the API.
type ReloadState string

// States of a reload. The comment says who moves next.
const (
	Watching ReloadState = "watching" // the card's balance is looked at
	Charging ReloadState = "charging" // an order is out: the channel says how it ends
)

// ReloadEvent is what can happen to a reload.
type ReloadEvent string

// Events of a reload.
const (
	RanLow        ReloadEvent = "low"     // the card holds less than was agreed, and nothing waits for it
	ReloadPaid    ReloadEvent = "paid"    // the load waits for the card
	ReloadRefused ReloadEvent = "refused" // and is tried again, ever more seldom
)

// ReloadEvents lists every event of a reload.
var ReloadEvents = []ReloadEvent{RanLow, ReloadPaid, ReloadRefused}

// reloadArrows is every move of a reload; all others are refused.
var reloadArrows = []arrow[ReloadState, ReloadEvent]{
	{Watching, RanLow, Charging},
	{Charging, ReloadPaid, Watching},
	{Charging, ReloadRefused, Watching},
}

// NextReload returns the state that follows s on e, or [ErrState].
func NextReload(s ReloadState, e ReloadEvent) (ReloadState, error) {
	return next("reload", reloadArrows, s, e)
}
