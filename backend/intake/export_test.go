package intake

import (
	"context"

	"github.com/purselane/purselane/internal/ids"
	"github.com/purselane/purselane/shadowaccount"
)

// Judged is what a record is found to be.
type Judged struct {
	Family string
	Card   *ids.CardNumber
	Proof  shadowaccount.Proof
	Debit  string
}

// Judge reads and verifies the bytes of a record with the keys of o. ErrUnreadable is the record's, any other error a key's.
func Judge(o Options, body []byte, terminal ids.TerminalID, epoch, seq uint64) (Judged, error) {
	k := doors{ec: o.EC, desfire: o.DESFire}
	d, err := read(readersOf(k), body, terminal, epoch, seq)
	if err != nil || d.family == "ep" {
		return Judged{}, err
	}
	card, err := d.evidence.whose(k)
	if err != nil {
		return Judged{}, err
	}
	v, err := d.evidence.verify(context.Background(), k, &d)
	return Judged{d.family, card.number, v.proof, v.debit}, err
}
