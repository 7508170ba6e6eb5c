package intake

import (
	"bytes"
	"context"
	"crypto/ecdh"
	"errors"
	"fmt"
	"io"
	"math"

	"github.com/purselane/purselane/card/ec"
	"github.com/purselane/purselane/card/keys"
	"github.com/purselane/purselane/card/purse/ecdriver"
	"github.com/purselane/purselane/internal/ids"
	"github.com/purselane/purselane/internal/money"
	"github.com/purselane/purselane/shadowaccount"
	"github.com/purselane/purselane/uplink/wire"
)

// ECKeys are what records of electronic cash cards are read and verified with.
type ECKeys struct {
	Issuer ec.Issuer // the cards' cryptograms
	// Sealed open the card numbers that terminals have sealed (X25519): the one that terminals have now, and older ones for as long as a
	// journal may come late.
	Sealed []*ecdh.PrivateKey
	// TokenKey is the terminals': of the tokens that stand for card numbers.
	TokenKey []byte
}

// minECTokenKey is the shortest key that terminals take.
const minECTokenKey = 16

func (k *ECKeys) check() error {
	switch {
	case k == nil:
		return nil
	case k.Issuer == nil || len(k.Sealed) == 0:
		return errors.New("EC: want the door to the cards' keys, and the key that card numbers are sealed to")
	case len(k.TokenKey) < minECTokenKey:
		return fmt.Errorf("EC: token key of %d bytes: want at least %d", len(k.TokenKey), minECTokenKey)
	}
	for _, key := range k.Sealed {
		if key == nil || key.Curve() != ecdh.X25519() {
			return errors.New("EC: card numbers are sealed to X25519 keys")
		}
	}
	return nil
}

// Format prints no key.
func (k *ECKeys) Format(f fmt.State, _ rune) { io.WriteString(f, "[EC keys]") }

// open opens a sealed card number. Its token must be the one that the number has: a terminal that gave a card another card's token
// would have its taps.
func (k *ECKeys) open(token ids.CardNumber, sealed []byte) (ec.PAN, byte, error) {
	id, err := ecdriver.SealedTo(sealed)
	if err != nil {
		return ec.PAN{}, 0, badForm("field sealed_card: %w", err)
	}
	for _, key := range k.Sealed {
		if ecdriver.KeyID(key.PublicKey()) != id {
			continue
		}
		pan, psn, err := ecdriver.Open(key, token, sealed)
		if err != nil {
			return ec.PAN{}, 0, badForm("field sealed_card: %w", err)
		}
		if ecdriver.Token(k.TokenKey, pan, psn) != token {
			return ec.PAN{}, 0, badForm("field card_number: it is not the token of the sealed card number: has the terminal another token key?")
		}
		return pan, psn, nil
	}
	return ec.PAN{}, 0, badForm("field sealed_card: it is for key %X, which this backend does not have", id)
}

// ecDebit is what is an electronic cash card's own in a record.
type ecDebit struct {
	token  ids.CardNumber
	sealed []byte // empty: none came
	kind   string
	data   []byte  // empty: none came
	at     [7]byte // as the card was told the time, YYYYMMDDhhmmss
	pan    ec.PAN  // once whose has opened it
	psn    byte
}

// readEC is the reader of electronic cash cards, whose proof is the transaction certificate (docs/card-evidence.md).
func readEC(r *wire.Record, d *debit) (evidence, error) {
	e := &ecDebit{sealed: r.GetSealedCard(), kind: r.GetEvidenceKind(), data: r.GetEvidenceData()}
	return e, fields{
		{"card_number", take(e.token[:], r.GetCardNumber())},
		{"sealed_card", len(e.sealed) > 0 || !d.wantsProof},
		{"offline_counter", r.GetOfflineCounter() <= math.MaxUint16},
		{"balance_before", r.GetBalanceBefore() >= 0},
		{"purse_time", take(e.at[:], r.GetPurseTime())},
	}.check()
}

// whose opens the card number. It is the bank's, packed as certificates have it, and names the card's account here. A record without one
// has the token alone.
func (e *ecDebit) whose(k doors) (name, error) {
	if len(e.sealed) == 0 {
		return name{alias: &e.token}, nil
	}
	var err error
	if e.pan, e.psn, err = k.ec.open(e.token, e.sealed); err != nil {
		return name{}, err
	}
	n := ids.CardNumber(e.pan)
	return name{number: &n, alias: &e.token}, nil
}

func (e *ecDebit) verify(ctx context.Context, k doors, d *debit) (verdict, error) {
	switch {
	case !d.wantsProof:
		return verdict{}, nil
	case len(e.data) == 0 || e.kind != ecdriver.EvidenceKind:
		return bad(reasonNoProof), nil
	}
	parsed, err := ecdriver.Parse(e.data)
	if err != nil {
		return bad(reasonFaulty), nil
	}
	c := parsed.Claim
	amount, err := ec.ParseAmount(c.Sent[ec.TagAmount])
	switch {
	case err != nil:
		return bad(reasonFaulty), nil
	case c.Decision != ec.TC:
		return bad(reasonNoTC), nil
	case uint32(c.ATC) != d.counter:
		return bad(reasonCounter), nil
	case amount != d.amount:
		return bad(reasonAmount), nil
	case !bytes.Equal(c.Sent[ec.TagDate], e.at[1:4]):
		return bad(reasonDate), nil
	}
	input, _, err := ec.CryptogramInput(c.Sent, c.AIP, c.ATC, c.IAD)
	if err != nil {
		return bad(reasonFaulty), nil
	}
	card := ec.CardKeys{DKI: c.IAD.DKI, PAN: e.pan, PSN: e.psn}
	switch err := ec.VerifyCryptogram(ctx, k.ec.Issuer, card, c.Sent, c.AIP, c.ATC, c.IAD, c.AC); {
	case errors.Is(err, keys.ErrUnknownKey):
		return noKey, nil
	case errors.Is(err, ec.ErrCryptogram):
		return bad(reasonBadTC), nil
	case err != nil:
		return verdict{}, err
	}
	after, ok := c.IAD.Balance()
	if !ok { // the cryptogram does not cover it, so a terminal could leave it out and tell another
		return bad(reasonNoBalance), nil
	}
	if v, err := e.balance(ctx, k.ec.Issuer, card, c, after, d); err != nil || v.reason != "" {
		return v, err
	}
	return verdict{proof: shadowaccount.ProofGood, debit: string(input)}, nil
}

// balance checks what the card says it holds after the debit, under a MAC of its own: the cryptogram does not cover it.
func (e *ecDebit) balance(ctx context.Context, door ec.Issuer, card ec.CardKeys, c ec.Claim, after money.Amount, d *debit) (verdict, error) {
	err := ec.VerifyBalance(ctx, door, card, c.ATC, c.IAD, false)
	if errors.Is(err, ec.ErrBalanceMAC) { // cards differ in the padding of the long form
		err = ec.VerifyBalance(ctx, door, card, c.ATC, c.IAD, true)
	}
	switch {
	case errors.Is(err, ec.ErrBalanceMAC):
		return bad(reasonBadMAC), nil
	case err != nil:
		return verdict{}, fmt.Errorf("balance: %w", err)
	}
	before, err := after.Add(d.amount)
	if err != nil || before != d.before || after != d.after && !d.unlike {
		return bad(reasonBalance), nil
	}
	return verdict{}, nil
}
