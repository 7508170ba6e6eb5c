package channel

import "fmt"

// Outcome is what a channel has said of a payment, a refund or a pay-out. The zero value is [Unknown]. The number is stored; it is
// never given a new meaning.
type Outcome int

// Outcomes.
const (
	Unknown   Outcome = 0 // nobody knows: no answer, a wrong one, or one that promises nothing. Ask again
	Pending   Outcome = 1 // the channel has it and waits: for the payer, a password, the bank. Ask again
	Succeeded Outcome = 2 // the money has moved, or will for certain. Final
	Failed    Outcome = 3 // the channel has refused, and it cannot succeed any more. Final
	Closed    Outcome = 4 // nobody has paid and nobody can any more: closed, expired or taken back before it was paid. Final
	Missing   Outcome = 5 // the channel does not know it. Final only where the request cannot be on its way any more, and no QR code or page that the payer has can still bring it about
)

var outcomeNames = []string{"unknown", "pending", "succeeded", "failed", "closed", "missing"}

func (o Outcome) String() string {
	if o < 0 || int(o) >= len(outcomeNames) {
		return fmt.Sprintf("outcome %d", int(o))
	}
	return outcomeNames[o]
}

// Final reports that the channel's word will not change by waiting. A success may still be refunded.
func (o Outcome) Final() bool { return o == Succeeded || o == Failed || o == Closed }

// Class sorts a channel's code of failure by what may be done about it (see [Result].Code).
type Class int

// Classes. The number is stored.
const (
	NoClass      Class = 0 // nothing failed, or nobody has classed the code
	ByPayer      Class = 1 // no money, wrong password, cancelled: another channel would say the same; the payer chooses again
	ByIssuer     Class = 2 // the payer's bank refused or is away: another channel may take it
	ByChannel    Class = 3 // the channel itself is at fault, busy or under repair: another channel takes it
	BySetting    Class = 4 // our request, key or account there is wrong: an operator is needed, another channel takes it meanwhile
	ByRisk       Class = 5 // refused as suspicious: never try another channel
	NotSupported Class = 6 // the channel does not serve this card, bank or product: no fault of it
)

var classNames = []string{"", "payer", "issuer", "channel", "setting", "risk", "not supported"}

func (c Class) String() string {
	if c < 0 || int(c) >= len(classNames) {
		return fmt.Sprintf("class %d", int(c))
	}
	return classNames[c]
}

// TryAnother reports that the same payment may be tried on another channel.
func (c Class) TryAnother() bool {
	return c == ByIssuer || c == ByChannel || c == BySetting || c == NotSupported
}
