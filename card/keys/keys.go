// Package keys is the scheme's key hierarchy and the two doors to it: [HSM] in the backend, [SAM] in a terminal. No
// other package of the product sees a key; they pass data to a door and get a MAC back.
//
// Start with [HSM], or [Families] for cards that are no EP purse. Its doors are [OpenDevice], a device behind PKCS#11 (build tag pkcs11), and [Soft], in software with the master keys of
// a sealed file ([Ring], [OpenFile]), which is for development. Both hold derived keys within a [CachePolicy]. 3DES as the PBOC purse uses it
// is in des.go (JR/T 0025.2; purse facts chapter 6). The formats and labels are docs/keys.md.
package keys

import (
	"cmp"
	"context"
	"errors"
	"fmt"

	"github.com/purselane/purselane/internal/money"
)

// Purpose says what a master key is for; a key is never used for another purpose.
type Purpose string

// Purposes of the EP purse (purse facts 6.3).
const (
	Purchase    Purpose = "purchase"    // MPK, derives DPK
	Load        Purpose = "load"        // MLK, derives DLK
	TAC         Purpose = "tac"         // MTK, derives DTK
	Maintenance Purpose = "maintenance" // MAMK, derives DAMK
	Unload      Purpose = "unload"      // MULK, derives DULK
	Limit       Purpose = "limit"       // MUK, derives DUK: the overdraft limit
	Reload      Purpose = "reload"      // MRPK, derives DRPK: a new PIN
	Unblock     Purpose = "unblock"     // MPUK, derives DPUK: a blocked PIN
)

// Purposes of the electronic cash (EC facts 14). The version of such a key is the index by which a card names it (DKI).
const (
	ECCryptogram Purpose = "ec-ac"  // ARQC, TC, AAC, and the ARPC
	ECMAC        Purpose = "ec-mac" // MAC over the balance and over scripts
	ECEncipher   Purpose = "ec-enc" // enciphered data of scripts
)

// Purposes of a DESFire application. Their keys are AES keys, whatever the algorithm byte says.
const (
	DESFireTMAC Purpose = "desfire-tmac" // derives the cards' transaction MAC keys
	DESFireApp  Purpose = "desfire-app"  // opens the cards' application: a terminal's SAM has it
)

// Data is the purpose of a key that seals data, a key file above all, and has nothing to do with cards. It is an AES key.
const Data Purpose = "data"

// ID names one master key: its purpose, version and algorithm byte as the card's INITIALIZE answer gives them.
type ID struct {
	Purpose   Purpose
	Version   byte
	Algorithm byte
}

// String prints purpose/version/algorithm.
func (id ID) String() string {
	return fmt.Sprintf("%s/%02X/%02X", id.Purpose, id.Version, id.Algorithm)
}

// Compare orders ids by purpose, version and algorithm, for lists that people read.
func (id ID) Compare(b ID) int {
	return cmp.Or(cmp.Compare(id.Purpose, b.Purpose), cmp.Compare(id.Version, b.Version), cmp.Compare(id.Algorithm, b.Algorithm))
}

// Card names one card's key: the master key and the diversification factors, issuer first (purse facts 6.3, C17). One
// factor is plain PBOC, two are T-Union.
type Card struct {
	ID      ID
	Factors [][8]byte
}

// ErrUnknownKey says that a door has no key of that purpose, version and algorithm.
var ErrUnknownKey = errors.New("no key of that purpose, version and algorithm")

// ErrBadMAC says that a MAC or TAC does not verify.
var ErrBadMAC = errors.New("MAC does not verify")

// HSM is the backend's door. Implementations are safe for concurrent use. Errors are ErrUnknownKey or the device's own.
type HSM interface {
	// TAC returns the transaction authentication code over message under the card's TAC key (its halves XORed).
	TAC(ctx context.Context, card Card, message []byte) ([4]byte, error)
	// SessionMAC returns the MAC over message under the session key that the card's key makes from session.
	SessionMAC(ctx context.Context, card Card, session [8]byte, message []byte) ([4]byte, error)
}

// PurchaseRequest is what a SAM needs to start a purchase (8070, purse facts 5.2).
type PurchaseRequest struct {
	Random    [4]byte // of the card's INITIALIZE answer
	Counter   uint16  // offline counter before the debit
	Amount    money.Amount
	Type      byte
	DateTime  [7]byte
	Version   byte
	Algorithm byte
	Factors   [][8]byte // issuer first; the SAM's wire order is its own business

	// CityCode is what a city-union card said to GET MESSAGE, 9 bytes: MAC1 covers it. Nil on all other cards (conflict C13).
	CityCode []byte
}

// SAM is the terminal's door: a PSAM. It holds one purchase at a time. Errors are typed by the implementation;
// ErrUnknownKey and ErrBadMAC are told by errors.Is.
type SAM interface {
	// TerminalNumber is the PSAM's own number, which enters every MAC.
	TerminalNumber() [6]byte
	// InitPurchase returns the terminal transaction serial, never used twice, and MAC1.
	InitPurchase(ctx context.Context, r PurchaseRequest) (serial uint32, mac1 [4]byte, err error)
	// CheckMAC2 verifies the card's MAC2 of the purchase last started (8072).
	CheckMAC2(ctx context.Context, mac2 [4]byte) error
}

// ErrSAMBusy says that no SAM came free in time. None was asked for anything.
var ErrSAMBusy = errors.New("every SAM is held by another purchase")

// SAMs are the SAMs of one terminal, for lanes that sell at the same time. Implementations are safe for concurrent use.
type SAMs interface {
	// Acquire gives one SAM for one purchase, waiting for one until ctx ends. Nobody else has it until release, which is called once; calls
	// after the first do nothing. Errors: ErrSAMBusy, with ctx's own, when none came free; else no SAM works.
	//
	// The SAM's commands are not to be ended by the deadline of a visit: a slow card must not look like a broken SAM.
	Acquire(ctx context.Context) (sam SAM, release func(), err error)
}

// Key is a double-length 3DES key. It never prints (hide.go).
type Key [16]byte
