package ec

import (
	"context"
	"fmt"

	"github.com/purselane/purselane/card/keys"
)

// SoftOperator is an Operator in software, for tests and simulators. Make one with [NewSoftOperator].
type SoftOperator struct{ initial, management keys.Key }

// NewSoftOperator takes the operator's two master keys: of the cards' initial keys and of their records' management keys. How an operator derives them is its own business; here a
// card's key is by option A, and a record's also by file and ID.
func NewSoftOperator(initial, management keys.Key) *SoftOperator {
	return &SoftOperator{initial, management}
}

// Format prints no key.
func (o *SoftOperator) Format(f fmt.State, _ rune) { fmt.Fprint(f, "[software transit operator]") }

func (o *SoftOperator) record(r RecordName) keys.Key {
	return keys.Diversify(o.management, Diversification(r.PAN, r.PSN), [8]byte{r.SFI, r.ID[0], r.ID[1]})
}

// RecordMAC implements Operator.
func (o *SoftOperator) RecordMAC(_ context.Context, r RecordName, blocks []byte) ([4]byte, error) {
	mac, err := RetailMAC(o.record(r), blocks)
	return [4]byte(mac[:4]), err
}

// OpeningMAC implements Operator.
func (o *SoftOperator) OpeningMAC(_ context.Context, r RecordName, blocks []byte) ([4]byte, error) {
	mac, err := RetailMAC(CardKey(o.initial, r.PAN, r.PSN), blocks)
	return [4]byte(mac[:4]), err
}

// NewKey implements Operator.
func (o *SoftOperator) NewKey(_ context.Context, r RecordName) (out [16]byte, err error) {
	initial, key := CardKey(o.initial, r.PAN, r.PSN), o.record(r)
	for i := 0; i < 16; i += 8 {
		block := keys.Encrypt3DES(initial, [8]byte(key[i:]))
		copy(out[i:], block[:])
	}
	return out, nil
}
