package storetest

import (
	"encoding/json"
	"fmt"

	"google.golang.org/protobuf/proto"

	"github.com/purselane/purselane/backend/store"
	"github.com/purselane/purselane/backend/store/reference"
	"github.com/purselane/purselane/internal/ids"
	"github.com/purselane/purselane/internal/money"
	"github.com/purselane/purselane/shadowaccount"
	"github.com/purselane/purselane/uplink/wire"
)

// record is what the suite's terminals upload: a wire record as if it had been verified already.
type record struct {
	Card       []byte // empty: it names its card by Alias alone
	Family     string
	Alias      []byte
	Counter    uint32
	Tap        uint64
	At         int64 // Unix ms
	Merchant   string
	Amount     int64
	Before     int64
	After      int64
	Said       int8
	Proof      int8
	Flags      uint8
	Debit      string
	Unreadable bool
}

// evidence is what verifying a record would find.
type evidence struct {
	Said       int8
	Proof      int8   `json:",omitempty"`
	Flags      uint8  `json:",omitempty"`
	Debit      string `json:",omitempty"`
	Unreadable bool   `json:",omitempty"`
	Token      bool   `json:",omitempty"` // it names its card by one
	Opened     []byte `json:",omitempty"` // the number that was sealed beside the token
}

func (r record) body() []byte {
	w := &wire.Record{Family: r.Family, CardNumber: r.Card, OfflineCounter: r.Counter, Tap: r.Tap, TerminalTimeMs: r.At, ClockState: clockOf(r), Merchant: r.Merchant,
		Amount: r.Amount, BalanceBefore: r.Before, BalanceAfter: r.After, EvidenceKind: "storetest/1"}
	e := evidence{Said: r.Said, Proof: r.Proof, Flags: r.Flags, Debit: r.Debit, Unreadable: r.Unreadable}
	if len(r.Alias) > 0 {
		w.CardNumber, e.Token, e.Opened = r.Alias, true, r.Card
	}
	var err error
	if w.EvidenceData, err = json.Marshal(e); err != nil {
		panic(fmt.Sprintf("storetest: a record has no evidence: %v", err)) // it is made of numbers and text
	}
	raw, err := proto.Marshal(w)
	if err != nil {
		panic(fmt.Sprintf("storetest: a record has no bytes: %v", err)) // its texts are ASCII
	}
	return raw
}

// clockOf is what the terminal says of its clock: some records of a tap may say that it is bad, and others not.
func clockOf(r record) wire.ClockState {
	if (r.Tap+uint64(r.Said))%7 == 0 {
		return wire.ClockState_CLOCK_BAD
	}
	return wire.ClockState_CLOCK_GOOD
}

// parse reads a record's bytes.
func parse(body []byte) (record, error) {
	var w wire.Record
	if err := proto.Unmarshal(body, &w); err != nil {
		return record{}, err
	}
	var e evidence
	if err := json.Unmarshal(w.GetEvidenceData(), &e); err != nil {
		return record{}, fmt.Errorf("evidence: %w", err)
	}
	r := record{Card: w.GetCardNumber(), Family: w.GetFamily(), Counter: w.GetOfflineCounter(), Tap: w.GetTap(), At: w.GetTerminalTimeMs(), Merchant: w.GetMerchant(),
		Amount: w.GetAmount(), Before: w.GetBalanceBefore(), After: w.GetBalanceAfter(), Said: e.Said, Proof: e.Proof, Flags: e.Flags, Debit: e.Debit, Unreadable: e.Unreadable}
	if e.Token {
		r.Card, r.Alias = e.Opened, w.GetCardNumber()
	}
	return r, nil
}

// lanesOf are the lanes that records wait in: by what terminals call their cards. Bytes that are no record wait in the first.
func lanesOf(bodies [][]byte) []int {
	out := make([]int, len(bodies))
	for i, body := range bodies {
		var w wire.Record
		if proto.Unmarshal(body, &w) == nil && len(w.GetCardNumber()) == len(ids.CardNumber{}) {
			out[i] = store.LaneOf(ids.CardNumber(w.GetCardNumber()))
		}
	}
	return out
}

// look reads a record as the intake's verification would.
func look(k reference.Key, body []byte) reference.Looked {
	r, err := parse(body)
	if err != nil {
		return reference.Looked{Unreadable: err.Error()}
	}
	if r.Unreadable {
		return reference.Looked{Unreadable: "it is made so"}
	}
	out := reference.Looked{Verified: store.Verified{
		Family: r.Family, Levels: 1, Counter: r.Counter, Kind: kindOf(r.Tap), Rule: ruleOf(r.Tap),
		Claim: shadowaccount.Claim{Tap: ids.TapID{Terminal: k.Terminal, Epoch: k.Epoch, Tap: r.Tap}, Seq: k.Seq, At: r.At, Merchant: ids.MerchantID(r.Merchant),
			Amount: money.Minor(r.Amount), Before: money.Minor(r.Before), After: money.Minor(r.After), Said: shadowaccount.Said(r.Said),
			Proof: shadowaccount.Proof(r.Proof), Flags: shadowaccount.Flags(r.Flags), Debit: r.Debit},
	}}
	if len(r.Alias) > 0 {
		alias := ids.CardNumber(r.Alias)
		if len(r.Card) == 0 {
			out.Unnamed = &alias
			return out
		}
		out.Alias = &alias
	}
	out.Card = ids.CardNumber(r.Card)
	return out
}

// All records of a tap have one kind and one rule.
func kindOf(tap uint64) int32  { return int32(tap%4) + 1 }
func ruleOf(tap uint64) string { return fmt.Sprint("rule-", tap%3) }

func token(n ids.CardNumber) string { return store.Token([]byte("the suite's token key"), n) }
