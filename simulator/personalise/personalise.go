// Package personalise makes the memory of simulated cards and PSAMs from a scheme's master keys, as an issuer's
// personalisation bureau makes real ones.
//
// Start with [Card] and [PSAM]. The package draws no random number and touches no file: the images go to packages epcard
// and psam.
package personalise

import (
	"cmp"
	"errors"
	"fmt"
	"slices"

	"github.com/purselane/purselane/card/ep"
	"github.com/purselane/purselane/card/keys"
	"github.com/purselane/purselane/internal/ids"
	"github.com/purselane/purselane/internal/money"
	"github.com/purselane/purselane/simulator/epcard"
	"github.com/purselane/purselane/simulator/image"
	"github.com/purselane/purselane/simulator/psam"
)

// Masters are a scheme's master keys.
type Masters map[keys.ID]keys.Key

// Family is the application layout of a card.
type Family string

// Families of EP card.
const (
	TUnion Family = "tunion" // JT/T 978: EF 17, 1A and 1E in use, two diversification levels as a rule
	PBOC   Family = "pboc"   // JR/T 0025.2 as FMCOS cards carry it, one level as a rule
)

// Kinds of card holder (EF 17 byte 10, purse facts 2.4).
const (
	KindNormal  byte = 1
	KindStudent byte = 2
	KindSenior  byte = 3
)

// Keys says which keys of the scheme a card or PSAM gets. The zero value of Levels is the family's own.
type Keys struct {
	Levels    int  // diversification levels, 1 or 2
	Index     byte // key index in INITIALIZE; 0 is 1
	Version   byte // key version; 0 is 1
	Algorithm byte
}

func (k Keys) withDefaults(f Family) Keys {
	if k.Levels == 0 {
		k.Levels = 2
		if f == PBOC {
			k.Levels = 1
		}
	}
	if k.Index == 0 {
		k.Index = 1
	}
	if k.Version == 0 {
		k.Version = 1
	}
	return k
}

// CardSpec is what a card is to be. Number and Issuer have no default.
type CardSpec struct {
	Family  Family // default TUnion
	Number  ids.CardNumber
	Issuer  ep.Factor
	Start   [4]byte // YYYYMMDD; default 20240101
	Expiry  [4]byte // default 20341231
	Kind    byte    // default KindNormal
	City    [2]byte // of EF 17
	Keys    Keys
	Log     epcard.LogCounter // default: the family's own (C1)
	Balance money.Amount      // on the card from the start; real cards start at zero and are loaded

	// What bank-style cards have besides. The zero value leaves all of it out.
	Holder   ep.Holder       // EF 16; without an identity number the card has no such file
	PIN      ep.PIN          // with PIN id 0 and three tries
	Deposit  bool            // the ED purse; it wants a PIN
	Auth     bool            // EXTERNAL AUTHENTICATE with the maintenance key, key id 0 and three tries; it is the control key too
	Internal keys.Key        // of INTERNAL AUTHENTICATE, key id 0; zero: none
	Lines    epcard.Lines    // files whose reading is protected
	Settings epcard.Settings // where cards differ
}

func (s CardSpec) withDefaults() CardSpec {
	if s.Family == "" {
		s.Family = TUnion
	}
	if s.Start == [4]byte{} {
		s.Start = [4]byte{0x20, 0x24, 0x01, 0x01}
	}
	if s.Expiry == [4]byte{} {
		s.Expiry = [4]byte{0x20, 0x34, 0x12, 0x31}
	}
	if s.Kind == 0 {
		s.Kind = KindNormal
	}
	if s.Log == "" {
		s.Log = epcard.LogAfter
		if s.Family == PBOC {
			s.Log = epcard.LogBefore
		}
	}
	s.Keys = s.Keys.withDefaults(s.Family)
	return s
}

// Card makes a card's image: files from the spec, keys derived from masters. It fails on a master key that is missing.
func Card(masters Masters, spec CardSpec) (epcard.Image, error) {
	s := spec.withDefaults()
	if s.Family != TUnion && s.Family != PBOC {
		return epcard.Image{}, fmt.Errorf("card family %q: want %s or %s", s.Family, TUnion, PBOC)
	}
	if s.Keys.Levels != 1 && s.Keys.Levels != 2 {
		return epcard.Image{}, fmt.Errorf("key levels %d: want 1 or 2", s.Keys.Levels)
	}
	if s.Number == (ids.CardNumber{}) || s.Issuer == (ep.Factor{}) {
		return epcard.Image{}, errors.New("card number and issuer are wanted")
	}
	public := ep.Public{Issuer: s.Issuer, Version: 1, CardNumber: s.Number, Start: s.Start, Expiry: s.Expiry}
	img := epcard.Image{
		AID:        image.Bytes(ep.AIDPBOC),
		FID:        image.Bytes([]byte{0x3F, 0x01}),
		Label:      "PBOC",
		Version:    "\x02",
		LogCounter: s.Log,
		Balance:    s.Balance,
	}
	if s.Family == TUnion {
		public.AppType = 2
		img.AID = image.Bytes(ep.AIDTUnion)
		img.Label = "MOT_T_EP"
		m := ep.Management{Country: [4]byte{0, 0, 1, 0x56}, Province: s.City, City: s.City, Interconnect: true, Kind: s.Kind}
		img.Management = image.Bytes(m.Bytes())
		// The trip records must be there from the start with their identifiers, since terminals write them by identifier.
		for i, id := range []byte{0x01, 0x02} {
			record := make([]byte, 128)
			copy(record, []byte{0x27, id, 0x7D, 0x01})
			img.Trips[i] = image.Bytes(record)
		}
	}
	img.Public = image.Bytes(public.Bytes())

	factors := public.Factors(s.Keys.Levels)
	derive := func(purpose keys.Purpose) (image.Key, error) {
		id := keys.ID{Purpose: purpose, Version: s.Keys.Version, Algorithm: s.Keys.Algorithm}
		master, found := masters[id]
		if !found {
			return image.Key{}, fmt.Errorf("%v: %w", id, keys.ErrUnknownKey)
		}
		return image.Key{Key: keys.CipherOf(id.Algorithm, s.Settings.SM4Algorithm).Diversify(master, factors...)}, nil
	}
	dpk, err1 := derive(keys.Purchase)
	dlk, err2 := derive(keys.Load)
	dtk, err3 := derive(keys.TAC)
	if err := errors.Join(err1, err2, err3); err != nil {
		return epcard.Image{}, err
	}
	k := epcard.PurseKey{Index: s.Keys.Index, Version: s.Keys.Version, Algorithm: s.Keys.Algorithm}
	img.PurchaseKey, img.LoadKey, img.TACKey = k, k, dtk
	img.PurchaseKey.Key, img.LoadKey.Key = dpk, dlk
	img.Settings = s.Settings
	// A scheme that has no such master keys makes cards that cannot be unloaded, blocked or rewritten.
	optional := func(purpose keys.Purpose) image.Key {
		k, err := derive(purpose)
		if err != nil {
			return image.Key{}
		}
		return k
	}
	img.MaintenanceKey, img.ReloadKey, img.UnblockKey = optional(keys.Maintenance), optional(keys.Reload), optional(keys.Unblock)
	for purpose, to := range map[keys.Purpose]*epcard.PurseKey{keys.Unload: &img.UnloadKey, keys.Limit: &img.LimitKey} {
		if key := optional(purpose); key != (image.Key{}) {
			*to = k
			to.Key = key
		}
	}
	if pin := s.PIN.Bytes(); len(pin) > 0 {
		img.PIN = epcard.PIN{Value: image.Bytes(pin), Limit: pinTries, Left: pinTries}
	}
	if s.Auth {
		img.AuthKey = epcard.AuthKey{Algorithm: s.Keys.Algorithm, Key: img.MaintenanceKey, Limit: pinTries, Left: pinTries}
	}
	if s.Internal != (keys.Key{}) {
		img.InternalKey = epcard.PurseKey{Version: s.Keys.Version, Algorithm: s.Keys.Algorithm, Key: image.Key{Key: s.Internal}}
	}
	img.Lines = s.Lines
	img.HasDeposit = s.Deposit
	if len(s.Holder.IDNumber) > 0 {
		holder, err := s.Holder.Bytes()
		if err != nil {
			return epcard.Image{}, err
		}
		img.Holder = image.Bytes(holder)
	}
	return img, img.Check()
}

// pinTries are the tries of a new PIN.
const pinTries = 3

// PSAMSpec is what a PSAM is to be. Terminal and Issuer have no default.
type PSAMSpec struct {
	Terminal ep.TerminalNumber
	Issuer   ep.Factor
	Start    [4]byte // YYYYMMDD; default 20240101
	Expiry   [4]byte // default 20341231
	Index    byte    // key index that ADF EF 17 tells the terminal; 0 is 1
	// NextSerial is the first terminal transaction serial it hands out. A PSAM made a second time for the same terminal
	// number must go on where the first one stopped.
	NextSerial uint32
	// SM4Algorithm is the algorithm byte that means SM4, where it is not keys.AlgorithmSM4.
	SM4Algorithm byte
	// Application is the name of the purse application, or its FID in 2 bytes; default ep.PSAMTUnion (C15).
	Application []byte
	// Maintenance gives it the 3DES maintenance keys of algorithm 00, so that its terminal can block cards.
	Maintenance bool
}

// fidPSAM is the FID of the PSAM application that ep.PSAMTUnion names (purse facts 1.1).
var fidPSAM = []byte{0x80, 0x11}

// PSAM makes a PSAM's image with every master purchase key of masters, 3DES and SM4.
func PSAM(masters Masters, spec PSAMSpec) (psam.Image, error) {
	if spec.Terminal == (ep.TerminalNumber{}) || spec.Issuer == (ep.Factor{}) {
		return psam.Image{}, errors.New("terminal number and issuer are wanted")
	}
	if spec.Start == [4]byte{} {
		spec.Start = [4]byte{0x20, 0x24, 0x01, 0x01}
	}
	if spec.Expiry == [4]byte{} {
		spec.Expiry = [4]byte{0x20, 0x34, 0x12, 0x31}
	}
	if spec.Index == 0 {
		spec.Index = 1
	}
	app := append([]byte{spec.Index}, spec.Issuer[:]...)
	app = append(app, spec.Issuer[:]...) // the application's owner is the issuer
	app = append(app, spec.Start[:]...)
	app = append(app, spec.Expiry[:]...)
	info := make([]byte, 14)
	copy(info[4:10], spec.Terminal[:]) // serial number: ours is the terminal number, it is unique as it must be
	info[10], info[11] = 1, 1
	img := psam.Image{
		Info:       image.Bytes(info),
		Terminal:   image.Bytes(spec.Terminal[:]),
		AID:        image.Bytes(ep.PSAMTUnion),
		FID:        image.Bytes(fidPSAM),
		App:        image.Bytes(app),
		NextSerial: spec.NextSerial,
		MAC2Limit:  3,

		SM4Algorithm: spec.SM4Algorithm,
	}
	switch n := len(spec.Application); {
	case n == 2:
		img.FID = image.Bytes(spec.Application)
	case n > 0:
		img.AID = image.Bytes(spec.Application)
	}
	for id, key := range masters {
		if id.Purpose == keys.Purchase {
			img.Keys = append(img.Keys, psam.MasterKey{Version: id.Version, Algorithm: id.Algorithm, Key: image.Key{Key: key}})
		}
	}
	for id, key := range masters {
		if spec.Maintenance && id.Purpose == keys.Maintenance && id.Algorithm == 0 {
			img.Maintenance = append(img.Maintenance, psam.MasterKey{Version: id.Version, Key: image.Key{Key: key}})
		}
	}
	for _, list := range [][]psam.MasterKey{img.Keys, img.Maintenance} {
		slices.SortFunc(list, func(a, b psam.MasterKey) int { // one spec makes one image
			return cmp.Or(cmp.Compare(a.Version, b.Version), cmp.Compare(a.Algorithm, b.Algorithm))
		})
	}
	if len(img.Keys) == 0 {
		return psam.Image{}, fmt.Errorf("%s: %w", keys.Purchase, keys.ErrUnknownKey)
	}
	return img, img.Check()
}
