package storetest

import (
	"encoding/json"
	"fmt"

	"github.com/purselane/purselane/backend/store"
	"github.com/purselane/purselane/backend/store/reference"
	"github.com/purselane/purselane/internal/ids"
	"github.com/purselane/purselane/internal/money"
	"github.com/purselane/purselane/shadowaccount"
)

// record is what the suite's terminals upload: a record as if it had been verified already.
type record struct {
	Card       []byte `json:",omitempty"` // empty: it names its card by Alias alone
	Family     string
	Alias      []byte `json:",omitempty"`
	Counter    uint32
	Tap        uint64
	At         int64
	Merchant   string
	Amount     int64
	Before     int64
	After      int64
	Said       int8
	Proof      int8   `json:",omitempty"`
	Flags      uint8  `json:",omitempty"`
	Debit      string `json:",omitempty"`
	Unreadable bool   `json:",omitempty"`
}

func (r record) body() []byte {
	raw, err := json.Marshal(r)
	if err != nil {
		panic(fmt.Sprintf("storetest: a record has no bytes: %v", err)) // it is made of numbers and text
	}
	return raw
}

// lanesOf are the lanes that records wait in: by what terminals call their cards. Bytes that are no record wait in the first.
func lanesOf(bodies [][]byte) []int {
	out := make([]int, len(bodies))
	for i, body := range bodies {
		var r record
		if json.Unmarshal(body, &r) != nil {
			continue
		}
		called := r.Card
		if len(r.Alias) > 0 {
			called = r.Alias
		}
		out[i] = store.LaneOf(ids.CardNumber(called))
	}
	return out
}

// look reads a record as the intake's verification would.
func look(k reference.Key, body []byte) reference.Looked {
	var r record
	if err := json.Unmarshal(body, &r); err != nil {
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
