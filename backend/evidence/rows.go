package evidence

import (
	"fmt"
	"strconv"

	"github.com/purselane/purselane/internal/money"
	"github.com/purselane/purselane/shadowaccount/books"
)

// Rows of the members, one JSON object a line. Bytes are base64, epochs 16 hexadecimal digits, times Unix milliseconds. Fields are never given a new meaning.
type batchRow struct {
	Terminal   string `json:"terminal"`
	Epoch      string `json:"epoch"`
	First      int64  `json:"first"`
	Last       int64  `json:"last"`
	ReceivedMS int64  `json:"received_ms"`
	Envelope   []byte `json:"envelope"` // as it came
}

type recordRow struct {
	Terminal   string `json:"terminal"`
	Epoch      string `json:"epoch"`
	Seq        uint64 `json:"seq"`
	ReceivedMS int64  `json:"received_ms"`
	SHA256     []byte `json:"sha256"`
	Group      int64  `json:"group"` // 0: it never became a tap
	Label      string `json:"label"`
	Verdict    string `json:"verdict"`
	Reason     string `json:"reason"`
	Record     []byte `json:"record"` // as the terminal stored it
}

type entryRow struct {
	ID     string    `json:"id"`
	Kind   string    `json:"kind"`
	Ref    string    `json:"ref"`
	Digest string    `json:"digest"`
	Lines  []lineRow `json:"lines"`
}

type lineRow struct {
	Account books.Account `json:"account"`
	Amount  money.Amount  `json:"amount"` // debits positive
}

type groupRow struct {
	Number   int64  `json:"number"`
	Entry    string `json:"entry"`
	Lines    int    `json:"lines"`
	Records  int    `json:"records"`
	Digest   string `json:"digest"`
	Evidence string `json:"evidence"`
	Prev     string `json:"prev"`
	Hash     string `json:"hash"`
	AtMS     int64  `json:"at_ms"`
}

func epochText(e uint64) string { return fmt.Sprintf("%016x", e) }

func parseEpoch(s string) (uint64, error) {
	e, err := strconv.ParseUint(s, 16, 64)
	if err != nil || epochText(e) != s {
		return 0, fmt.Errorf("epoch %.40q: want 16 hexadecimal digits", s)
	}
	return e, nil
}

func rowOf(e books.Entry) entryRow {
	r := entryRow{ID: e.ID, Kind: e.Kind, Ref: e.Ref, Digest: e.Digest()}
	for _, l := range e.Lines {
		r.Lines = append(r.Lines, lineRow{l.Account, l.Amount})
	}
	return r
}

func (r entryRow) entry(day string) books.Entry {
	e := books.Entry{ID: r.ID, Kind: r.Kind, Day: day, Ref: r.Ref}
	for _, l := range r.Lines {
		e.Lines = append(e.Lines, books.Line{Account: l.Account, Amount: l.Amount})
	}
	return e
}
