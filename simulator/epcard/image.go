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

// Purse is one purse's money and counters. Its balance holds the overdraft limit: a holder of nothing with a limit of 10.00 can spend
// 10.00.
type Purse struct {
	Balance        money.Amount `json:"balance"`
	Limit          money.Amount `json:"limit,omitzero"` // overdraft limit, at most three bytes
	OfflineCounter uint16       `json:"offline_counter"`
	OnlineCounter  uint16       `json:"online_counter"`
	OfflineProof   Proof        `json:"offline_proof"`
	OnlineProof    Proof        `json:"online_proof"`
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

	// Keys and security state of an issuer that uses them; a zero key is none.
	UnloadKey      PurseKey  `json:"unload_key,omitzero"`
	LimitKey       PurseKey  `json:"limit_key,omitzero"`
	MaintenanceKey image.Key `json:"maintenance_key,omitzero"`
	ReloadKey      image.Key `json:"reload_key,omitzero"`
	UnblockKey     image.Key `json:"unblock_key,omitzero"`
	InternalKey    PurseKey  `json:"internal_key,omitzero"` // of INTERNAL AUTHENTICATE, by its index
	PIN            PIN       `json:"pin,omitzero"`
	AuthKey        AuthKey   `json:"auth_key,omitzero"`
	MACFailures    byte      `json:"mac_failures,omitempty"` // in a row
	CardBlocked    bool      `json:"card_blocked,omitempty"` // CARD BLOCK: for ever
	Settings       Settings  `json:"settings,omitzero"`
	Lines          Lines     `json:"lines,omitzero"`
	Blank          bool      `json:"blank,omitempty"` // in personalisation: takes WRITE KEY in clear

	// The EP purse; its overdraft limit is Limit.
	Balance        money.Amount `json:"balance"`
	Limit          money.Amount `json:"limit,omitzero"`
	OfflineCounter uint16       `json:"offline_counter"` // counts debits
	OnlineCounter  uint16       `json:"online_counter"`  // counts loads
	OfflineProof   Proof        `json:"offline_proof"`
	OnlineProof    Proof        `json:"online_proof"`

	// The ED purse, on cards that have one.
	HasDeposit bool  `json:"has_deposit,omitempty"`
	Deposit    Purse `json:"deposit,omitzero"`

	// Record files. An empty string is a record never written, which reads as zeros. The cyclic files stand newest
	// first, as their record numbers do.
	Log     [logRecords]image.Bytes     `json:"log"`     // EF 18
	Trips   [tripRecords]image.Bytes    `json:"trips"`   // EF 1A: metro, bus
	History [historyRecords]image.Bytes `json:"history"` // EF 1E
}

// purse is the purse that P2 of a command names, if the card has it.
func (m Image) purse(p2 byte) (Purse, bool) {
	switch p2 {
	case purseED:
		return m.Deposit, m.HasDeposit
	case purseEP:
		return Purse{m.Balance, m.Limit, m.OfflineCounter, m.OnlineCounter, m.OfflineProof, m.OnlineProof}, true
	}
	return Purse{}, false
}

// withPurse is m with that purse changed.
func (m Image) withPurse(p2 byte, p Purse) Image {
	if p2 == purseED {
		m.Deposit = p
		return m
	}
	m.Balance, m.Limit, m.OfflineCounter, m.OnlineCounter, m.OfflineProof, m.OnlineProof = p.Balance, p.Limit, p.OfflineCounter, p.OnlineCounter, p.OfflineProof, p.OnlineProof
	return m
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
	if m.LogCounter != LogBefore && m.LogCounter != LogAfter {
		all = append(all, fmt.Errorf("log_counter is %q, want before or after", m.LogCounter))
	}
	if m.Block != Unblocked && m.Block != Temporary && m.Block != Permanent {
		all = append(all, fmt.Errorf("block is %q, want temporary, permanent or nothing", m.Block))
	}
	for _, p2 := range []byte{purseEP, purseED} {
		p, _ := m.purse(p2)
		name := map[byte]string{purseEP: "", purseED: "deposit."}[p2]
		if n := p.Balance.Minor(); n < 0 || n > maxBalance {
			all = append(all, fmt.Errorf("%sbalance is %v, want 0 to %v", name, p.Balance, money.Minor(maxBalance)))
		}
		if p.Limit.Sign() < 0 || p.Limit.Cmp(ep.MaxLimit) > 0 {
			all = append(all, fmt.Errorf("%slimit is %v, want 0 to %v", name, p.Limit, ep.MaxLimit))
		}
		if m.Settings.SharedCounter && p.OfflineCounter != p.OnlineCounter {
			all = append(all, fmt.Errorf("%soffline_counter %d and online_counter %d: settings.shared_counter wants them equal", name, p.OfflineCounter, p.OnlineCounter))
		}
		for _, proof := range []Proof{p.OfflineProof, p.OnlineProof} {
			if proof.Type != 0 {
				size(name+"proof mac", proof.MAC, 4)
				size(name+"proof tac", proof.TAC, 4)
			}
		}
	}
	if p := m.PIN; p.Left > p.Limit || p.Limit > 0 && !isPIN([]byte(p.Value)) {
		all = append(all, errors.New("pin: want 4 to 12 digits and no more tries left than its limit"))
	}
	if k := m.AuthKey; k.Left > k.Limit {
		all = append(all, errors.New("auth_key: more tries left than its limit"))
	}
	if m.PIN.Limit == 0 && (m.HasDeposit || m.Settings.LoadPIN) {
		all = append(all, errors.New("pin: the deposit purse, and settings.load_pin, want one"))
	}
	if !m.HasDeposit && m.Deposit != (Purse{}) {
		all = append(all, errors.New("deposit: has_deposit is false"))
	}
	if m.Blank && m.AuthKey.Limit > 0 && m.AuthKey.ID == controlID {
		all = append(all, errors.New("blank: the card has its control key, which ends personalisation"))
	}
	if m.Lines != (Lines{}) && m.MaintenanceKey == (image.Key{}) && !m.Blank {
		all = append(all, errors.New("lines: want a maintenance key"))
	}
	all = append(all, m.Settings.check(), m.Lines.check())
	return errors.Join(all...)
}

// push puts a record in front of a cyclic file; the oldest one falls out.
func push(file []image.Bytes, record []byte) {
	copy(file[1:], file)
	file[0] = image.Bytes(record)
}
