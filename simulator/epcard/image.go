package epcard

import (
	"errors"
	"fmt"

	"github.com/purselane/purselane/card/ep"
	"github.com/purselane/purselane/internal/ids"
	"github.com/purselane/purselane/internal/money"
	"github.com/purselane/purselane/simulator/image"
)

// Sizes of the card's record files (purse facts 2.1).
const (
	logRecords     = 10
	logSize        = 23
	tripRecords    = 2
	tripSize       = 128
	historyRecords = 30
	historySize    = 48
)

// maxBalance is the largest balance an image may hold: readers in the field mask the top bit of the four bytes (purse
// facts 3.2).
const maxBalance = 1<<31 - 1

// LogCounter says which value of the counter the card writes into EF 18: cards in the field differ (purse facts, C1).
type LogCounter string

// Values of LogCounter.
const (
	LogBefore LogCounter = "before" // FMCOS, PBOC
	LogAfter  LogCounter = "after"  // T-Union
)

// Block is the block state of the application (purse facts 3.11).
type Block string

// Values of Block.
const (
	Unblocked Block = ""
	Temporary Block = "temporary" // APPLICATION BLOCK 00: APPLICATION UNBLOCK can lift it
	Permanent Block = "permanent" // APPLICATION BLOCK 01
)

// PurseKey is one derived key of the card with the names the terminal and the host call it by.
type PurseKey struct {
	Index     byte      `json:"index"`     // in the INITIALIZE command
	Version   byte      `json:"version"`   // in its answer
	Algorithm byte      `json:"algorithm"` // in its answer; the value is the scheme's own (C20)
	Key       image.Key `json:"key"`
}

// Proof is what GET TRANSACTION PROVE can still answer: the last committed transaction of one counter.
type Proof struct {
	Type  ep.Type     `json:"type"`  // 0: none yet
	After uint16      `json:"after"` // the counter after the transaction
	MAC   image.Bytes `json:"mac"`   // MAC2 of a debit; zeros after a load, where it means nothing
	TAC   image.Bytes `json:"tac"`
}

// Image is the whole non-volatile memory of a card. It is one comparable value: a transaction makes a changed copy, and
// the copy takes the old one's place at once.
type Image struct {
	AID        image.Bytes `json:"aid"`
	FID        image.Bytes `json:"fid"`                  // of the application, 2 bytes
	Label      string      `json:"label"`                // in the directory, such as PBOC
	Version    image.Bytes `json:"version,omitempty"`    // 9F08 of the FCI
	Public     image.Bytes `json:"public"`               // EF 15, 30 bytes
	Holder     image.Bytes `json:"holder,omitempty"`     // EF 16
	Management image.Bytes `json:"management,omitempty"` // EF 17, 60 bytes on T-Union cards

	LogCounter  LogCounter `json:"log_counter"`
	PurchaseKey PurseKey   `json:"purchase_key"`
	LoadKey     PurseKey   `json:"load_key"`
	TACKey      image.Key  `json:"tac_key"`
	Block       Block      `json:"block,omitempty"`

	Balance        money.Amount `json:"balance"`
	OfflineCounter uint16       `json:"offline_counter"` // counts debits
	OnlineCounter  uint16       `json:"online_counter"`  // counts loads
	OfflineProof   Proof        `json:"offline_proof"`
	OnlineProof    Proof        `json:"online_proof"`

	// Record files. An empty string is a record never written, which reads as zeros. The cyclic files stand newest
	// first, as their record numbers do.
	Log     [logRecords]image.Bytes     `json:"log"`     // EF 18
	Trips   [tripRecords]image.Bytes    `json:"trips"`   // EF 1A: metro, bus
	History [historyRecords]image.Bytes `json:"history"` // EF 1E
}

// Number is the card number in EF 15.
func (m Image) Number() ids.CardNumber {
	p, err := ep.ParsePublic([]byte(m.Public))
	if err != nil {
		return ids.CardNumber{}
	}
	return p.CardNumber
}

// String names the card by its masked number: an image holds keys and a card number, and %v must show neither.
func (m Image) String() string { return "card " + m.Number().String() }

// GoString is String.
func (m Image) GoString() string { return m.String() }

// Check reports everything that is wrong with the image's form.
func (m Image) Check() error {
	var all []error
	size := func(name string, b image.Bytes, allowed ...int) {
		for _, n := range allowed {
			if len(b) == n {
				return
			}
		}
		all = append(all, fmt.Errorf("%s has %d bytes, want %v", name, len(b), allowed))
	}
	if len(m.AID) < 5 || len(m.AID) > 16 {
		all = append(all, fmt.Errorf("aid has %d bytes, want 5 to 16", len(m.AID)))
	}
	if len(m.Label) > 16 {
		all = append(all, fmt.Errorf("label has %d bytes, want at most 16", len(m.Label)))
	}
	size("fid", m.FID, 2)
	size("version", m.Version, 0, 1)
	size("public", m.Public, 30)
	size("holder", m.Holder, 0, 39, 55)
	size("management", m.Management, 0, 60)
	for i, r := range m.Log {
		size(fmt.Sprintf("log record %d", i+1), r, 0, logSize)
	}
	for i, r := range m.Trips {
		size(fmt.Sprintf("trip record %d", i+1), r, 0, tripSize)
	}
	for i, r := range m.History {
		size(fmt.Sprintf("history record %d", i+1), r, 0, historySize)
	}
	for _, p := range []Proof{m.OfflineProof, m.OnlineProof} {
		if p.Type != 0 {
			size("proof mac", p.MAC, 4)
			size("proof tac", p.TAC, 4)
		}
	}
	if m.LogCounter != LogBefore && m.LogCounter != LogAfter {
		all = append(all, fmt.Errorf("log_counter is %q, want before or after", m.LogCounter))
	}
	if m.Block != Unblocked && m.Block != Temporary && m.Block != Permanent {
		all = append(all, fmt.Errorf("block is %q, want temporary, permanent or nothing", m.Block))
	}
	if n := m.Balance.Minor(); n < 0 || n > maxBalance {
		all = append(all, fmt.Errorf("balance is %v, want 0 to %v", m.Balance, money.Minor(maxBalance)))
	}
	return errors.Join(all...)
}

// push puts a record in front of a cyclic file; the oldest one falls out.
func push(file []image.Bytes, record []byte) {
	copy(file[1:], file)
	file[0] = image.Bytes(record)
}
