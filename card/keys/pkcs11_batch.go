//go:build pkcs11

package keys

import (
	"context"
	"fmt"

	"github.com/miekg/pkcs11"

	"github.com/purselane/purselane/card/keys/bitslice"
)

// TACs implements BatchTAC. The last level of up to 64 cards of one issuer is enciphered by one call into the device; it is the calls that cost. The TACs are
// made here, in lanes. Keys so derived are not held.
func (d *device) TACs(ctx context.Context, all []TACRequest) []TACAnswer {
	out := make([]TACAnswer, len(all))
	groups := map[cardName][]int{} // by what their last level is derived from
	for i, r := range all {
		if out[i].Err = d.o.checkCard(r.Card, TAC); out[i].Err != nil {
			continue
		}
		issuer := issuerOf(r.Card)
		groups[nameOf(issuer)] = append(groups[nameOf(issuer)], i)
	}
	for _, members := range groups {
		eachLanes(members, func(side []int) {
			err := d.do(ctx, func(c *connection) error {
				folded, err := c.tacKeys(ctx, side, all)
				if err != nil {
					return err
				}
				laneTACs(&folded, side, all, out)
				return nil
			})
			for _, i := range side {
				out[i].Err = err
			}
		}, func(i int) {
			out[i].TAC, out[i].Err = d.TAC(ctx, all[i].Card, all[i].Message)
		})
	}
	return out
}

// issuerOf is a card without its last level.
func issuerOf(c Card) Card { return Card{ID: c.ID, Factors: c.Factors[:len(c.Factors)-1]} }

// tacKeys is tacKey for cards of one issuer.
func (c *connection) tacKeys(ctx context.Context, side []int, all []TACRequest) (folded bitslice.Block, err error) {
	base, done, err := c.base(ctx, all[side[0]].Card)
	if err != nil {
		return folded, err
	}
	defer done()
	var in, out []byte
	for _, i := range side {
		x := levelInput(all[i].Card)
		in = append(in, x[:]...)
	}
	err = c.in(ctx, "derive TAC keys", func(s pkcs11.SessionHandle) (err error) {
		out, err = c.encrypt(s, pkcs11.NewMechanism(pkcs11.CKM_DES3_ECB, nil), base, in)
		return err
	})
	if err != nil {
		return folded, err
	}
	defer clear(out)
	if len(out) != len(in) {
		return folded, fmt.Errorf("keys: HSM: derive TAC keys: it answers %d bytes: want %d", len(out), len(in))
	}
	var keys [bitslice.Lanes][8]byte
	for lane := range side {
		keys[lane] = FoldTAC(Key(out[lane*len(Key{}):]))
	}
	folded.Set(&keys)
	clear(keys[:])
	return folded, nil
}
