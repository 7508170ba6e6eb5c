package cardacquirer

import (
	"context"
	"crypto/sha256"
	"encoding/base32"
	"encoding/binary"
	"fmt"
	"time"

	"github.com/purselane/purselane/backend/gateway/channel"
)

// ask is a request before its card number is known: what may be kept. Everything on the wire follows from it, so a repeat is the same message.
type ask struct {
	MTI      string
	Proc     string
	Function string
	Reason   string `json:",omitempty"`
	Number   string
	Of       string    `json:",omitempty"` // number of what it is about
	OfMTI    string    `json:",omitempty"`
	OfSent   time.Time `json:",omitzero"`
	Minor    int64
	Sent     time.Time
	Context  string `json:",omitempty"`
}

// Function and reason codes, as in the edition of 1993.
const (
	fnAuthorise = "100"
	fnIncrement = "107"
	fnPurchase  = "200"
	fnCapture   = "202"
	fnEnquiry   = "381"
	fnReversal  = "400"

	whyCustomer = "4000"
	whySilence  = "4021"

	procPurchase = "000000"
	procRefund   = "200000"
)

// reference is the retrieval reference (field 37) of a number of ours: 12 characters of its hash, so that nobody needs to remember it.
func reference(number string) string {
	sum := sha256.Sum256([]byte(number))
	return base32.StdEncoding.EncodeToString(sum[:])[:12]
}

// trace is the trace number (field 11) of a number of ours. Two numbers may share one: field 37 tells them apart.
func trace(number string) string {
	sum := sha256.Sum256([]byte(number))
	return fmt.Sprintf("%06d", binary.BigEndian.Uint32(sum[12:])%999999+1)
}

// message writes an ask. A token is needed where the card is named.
func (a *Adapter) message(ctx context.Context, q ask, token string) (Message, error) {
	local := q.Sent.In(a.s.Zone)
	m := Message{MTI: q.MTI, Fields: map[int]string{
		fProc: q.Proc, fAmount: fmt.Sprintf("%012d", q.Minor), fSentAt: q.Sent.UTC().Format("0102150405"), fSTAN: trace(q.Number),
		fTime: local.Format("150405"), fDate: local.Format("0102"), fFunction: q.Function, fRRN: reference(q.Number),
		fTerminal: a.s.Terminal, fMerchant: a.s.Merchant, fCurrency: a.s.Number, fNumber: q.Number,
	}}
	if q.Reason != "" {
		m.Fields[fReason] = q.Reason
	}
	if q.Context != "" {
		m.Fields[fContext] = q.Context
	}
	if q.Of != "" {
		m.Fields[fOriginal] = reference(q.Of)
		m.Fields[fOrigData] = q.OfMTI + trace(q.Of) + q.OfSent.UTC().Format("0102150405") + fmt.Sprintf("%022d", 0)
	}
	if token == "" {
		return m, nil
	}
	card, err := a.s.Vault.Card(ctx, token)
	if err != nil {
		return Message{}, fmt.Errorf("cardacquirer: the vault does not know the token: %w", channel.ErrNotSent)
	}
	m.Fields[fPAN], m.Fields[fEntry], m.Chip = card.Number, "102", card.Chip
	for n, value := range map[int]string{fEntry: card.Entry, fExpiry: card.Expires, fSequence: card.Sequence} {
		if value != "" {
			m.Fields[n] = value
		}
	}
	return m, nil
}

// check refuses what cannot be written.
func (a *Adapter) check(number string, m channel.Money) error {
	if m.Currency != a.s.Currency || m.Amount.Sign() <= 0 || m.Amount.Minor() > 999_999_999_999 {
		return fmt.Errorf("cardacquirer: %v %s cannot be asked for: %s from 0.01 on, at most 12 digits: %w", m.Amount, m.Currency, a.s.Currency, channel.ErrNotSent)
	}
	if len(number) < 8 || len(number) > 40 {
		return fmt.Errorf("cardacquirer: a number has 8 to 40 characters: %w", channel.ErrNotSent)
	}
	return nil
}

// sent is the time of a request.
func (a *Adapter) sent(t time.Time) time.Time {
	if t.IsZero() {
		t = a.s.Clock.Now()
	}
	return t.Truncate(time.Second)
}
