package intake

import (
	"context"
	"maps"
	"slices"
	"strings"

	"github.com/purselane/purselane/card/desfire"
	"github.com/purselane/purselane/card/keys"
	"github.com/purselane/purselane/internal/ids"
	"github.com/purselane/purselane/shadowaccount"
	"github.com/purselane/purselane/uplink/wire"
)

// doors are where the keys of every family are asked. A family whose doors are nil is not read.
type doors struct {
	ep      keys.HSM
	ec      *ECKeys
	desfire desfire.HSM
}

// A reader reads what is one family's own in a record whose common fields are in d. It checks the form, asks no keys, and refuses with
// badForm.
type reader func(r *wire.Record, d *debit) (evidence, error)

// evidence is what one record shows for its debit: read, and not believed yet.
type evidence interface {
	// whose names the card; a number that is sealed is opened here. badForm: nobody can ever say whose it is.
	whose(k doors) (name, error)
	// verify asks the family's keys. An error is theirs: nothing is decided about the record then.
	verify(ctx context.Context, k doors, d *debit) (verdict, error)
}

// name names a card: by its number, by what terminals call it where they may not keep the number, or by both.
type name struct{ number, alias *ids.CardNumber }

// verdict is what the keys say of evidence.
type verdict struct {
	proof  shadowaccount.Proof
	reason string // of a proof that is not good, for people
	debit  string // what a good proof was made over: it names a debit of the card for ever
	noKey  bool   // nobody could verify it
}

func bad(reason string) verdict { return verdict{proof: shadowaccount.ProofBad, reason: reason} }

var noKey = verdict{proof: shadowaccount.ProofBad, reason: reasonNoKey, noKey: true}

// Reasons of a proof that is not good.
const (
	reasonNoTAC     = "no TAC came with it"
	reasonBadTAC    = "its TAC does not verify"
	reasonNoKey     = "we have no key of its version and algorithm"
	reasonNoProof   = "no evidence of its family came with it"
	reasonFaulty    = "its evidence cannot be read"
	reasonCard      = "its evidence names another card"
	reasonCounter   = "its evidence names another counter"
	reasonAmount    = "its evidence names another amount"
	reasonDate      = "its evidence names another date"
	reasonBalance   = "its evidence shows another balance"
	reasonTerminal  = "its evidence names another terminal"
	reasonNoTC      = "the card did not approve it offline"
	reasonBadTC     = "its cryptogram does not verify"
	reasonNoBalance = "no balance under the card's own MAC came with it"
	reasonBadMAC    = "the MAC over its balance does not verify"
	reasonBadTMV    = "its transaction MAC does not verify"
)

// readersOf are the families that these doors can verify, by their name in records.
func readersOf(k doors) map[string]reader {
	out := map[string]reader{"ep": readEP}
	if k.ec != nil {
		out["ec"] = readEC
	}
	if k.desfire != nil {
		out["desfire"] = readDESFire
	}
	return out
}

func unknownFamily(family string, known map[string]reader) error {
	return badForm("purse family %q: this backend has keys of %s", family, strings.Join(slices.Sorted(maps.Keys(known)), ", "))
}
