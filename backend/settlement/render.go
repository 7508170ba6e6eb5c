package settlement

import (
	"bytes"
	"crypto/sha256"
	"encoding/csv"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"strconv"

	"github.com/purselane/purselane/backend/store"
	"github.com/purselane/purselane/internal/ids"
	"github.com/purselane/purselane/internal/money"
)

// Output is a closed day as files. The JSON names the digest of every CSV, so its own digest fixes them all.
type Output struct {
	Report Report
	JSON   Named
	CSV    []Named // the settlement lines, then a result file and a fee file for each acquirer
	Digest string  // SHA-256 of JSON, hexadecimal
}

// Named is one file to be written.
type Named struct {
	Name string
	Body []byte
}

// Files lists all files, the JSON first.
func (o Output) Files() []Named { return append([]Named{o.JSON}, o.CSV...) }

// Output works the day out and renders it: the same frozen day gives the same bytes.
func (f Frozen) Output() (Output, error) {
	r, err := f.Report()
	if err != nil {
		return Output{}, err
	}
	out := Output{Report: r}
	add := func(name string, header []string, rows [][]string) error {
		body, err := writeCSV(header, rows)
		if err != nil {
			return fmt.Errorf("settlement: write %s: %w", name, err)
		}
		digest := sha256.Sum256(body)
		out.CSV = append(out.CSV, Named{name, body})
		out.Report.Files = append(out.Report.Files, File{name, len(rows), hex.EncodeToString(digest[:])})
		return nil
	}
	if err := add("settlement-"+r.Day+".csv", lineHeader, r.lines()); err != nil {
		return Output{}, err
	}
	for _, a := range r.Acquirers {
		if err := add("result-"+r.Day+"-"+a.ID+".csv", itemHeader, itemRows(r.Version, f.Items, ids.AcquirerID(a.ID))); err != nil {
			return Output{}, err
		}
		if r.Version < 2 {
			continue
		}
		if err := add("fees-"+r.Day+"-"+a.ID+".csv", feeHeader, r.feeRows(a)); err != nil {
			return Output{}, err
		}
	}
	body, err := json.MarshalIndent(out.Report, "", "  ")
	if err != nil {
		return Output{}, fmt.Errorf("settlement: write the report: %w", err)
	}
	out.JSON = Named{"settlement-" + r.Day + ".json", append(body, '\n')}
	digest := sha256.Sum256(out.JSON.Body)
	out.Digest = hex.EncodeToString(digest[:])
	return out, nil
}

var lineHeader = []string{"version", "day", "record", "party", "merchant", "name", "count", "amount"}

// lines is the report as a flat list: one sum a line. Amounts carry their sign as in the JSON form.
func (r Report) lines() [][]string {
	var out [][]string
	line := func(record, party, merchant, name, count string, amount money.Amount) {
		out = append(out, []string{strconv.Itoa(r.Version), r.Day, record, party, merchant, name, count, amount.String()})
	}
	tally := func(record, party, merchant, name string, t Tally) {
		line(record, party, merchant, name, strconv.FormatInt(t.Count, 10), t.Amount)
	}
	sums := func(record, party, merchant string, s Sums) {
		tally(record, party, merchant, "accepted", s.Accepted)
		tally(record, party, merchant, "rejected", s.Rejected)
		tally(record, party, merchant, "suspect", s.Suspect)
		tally(record, party, merchant, "adjustments", s.Adjustments)
	}
	fees := func(record, party, merchant string, f Fees) {
		for _, p := range f.Parts {
			name := "fee:" + p.Kind
			if p.Tax {
				name = "tax:" + p.Kind
			}
			line(record, party, merchant, name, "", p.Amount)
		}
		line(record, party, merchant, "fee-rounding", "", f.Rounding)
		line(record, party, merchant, "fees", "", f.Total)
	}
	for _, a := range r.Acquirers {
		for _, m := range a.Merchants {
			sums("merchant", a.ID, m.ID, m.Sums)
			fees("merchant", a.ID, m.ID, m.Fees)
			line("merchant", a.ID, m.ID, "net", "", m.Net)
		}
		sums("acquirer", a.ID, "", a.Sums)
		for _, reason := range a.Reasons {
			tally("reason", a.ID, "", string(reason.Class)+":"+reason.Reason, reason.Tally)
		}
		tally("acquirer", a.ID, "", "held", a.Held.Tally)
		fees("acquirer", a.ID, "", a.Fees)
		line("acquirer", a.ID, "", "sold-loads", "", a.SoldLoads)
		line("acquirer", a.ID, "", "net", "", a.Net)
	}
	for _, c := range r.Channels {
		line("channel", c.ID, "", "collected", "", c.Collected)
		fees("channel", c.ID, "", c.Fees)
		line("channel", c.ID, "", "net", "", c.Net)
	}
	sums("total", "", "", r.Totals.Sums)
	tally("total", "", "", "held", r.Totals.Held)
	line("total", "", "", "merchant-fees", "", r.Totals.MerchantFees)
	line("total", "", "", "sold-loads", "", r.Totals.SoldLoads)
	line("total", "", "", "collected", "", r.Totals.Collected)
	line("total", "", "", "channel-fees", "", r.Totals.ChannelFees)
	line("proof", "", "", "zero-sum", "", r.Proof.ZeroSum)
	line("proof", "", "", "trust-movement", "", r.Proof.TrustMovement)
	line("proof", "", "", "float-movement", "", r.Proof.FloatMovement)
	return out
}

var itemHeader = []string{"version", "terminal", "epoch", "tap", "seq", "merchant", "arrived", "class", "reason", "amount", "was_day", "was_class", "was_amount"}

// itemRows is an acquirer's result file: what became of each of its taps. No card is named: the acquirer knows its taps
// by the terminal's own numbers.
func itemRows(version int, items []store.Item, acquirer ids.AcquirerID) [][]string {
	var out [][]string
	for _, i := range items {
		if i.Acquirer != acquirer {
			continue
		}
		was := ""
		if i.WasDay != "" {
			was = i.WasAmount.String()
		}
		out = append(out, []string{strconv.Itoa(version), string(i.Terminal), strconv.FormatUint(i.Epoch, 16), strconv.FormatUint(i.Tap, 10), strconv.FormatUint(i.Seq, 10),
			string(i.Merchant), i.Arrived, i.Class, i.Reason, i.Amount.String(), i.WasDay, i.WasClass, was})
	}
	return out
}

var feeHeader = []string{"version", "merchant", "standard", "what", "kind", "gross", "count", "month_gross", "month_count", "amount"}

// feeRows is an acquirer's fee file: what each standard came to for each merchant, and on what.
func (r Report) feeRows(a AcquirerSection) [][]string {
	var out [][]string
	for _, m := range a.Merchants {
		for _, c := range m.charged {
			basis := []string{c.basis.Gross.String(), strconv.FormatInt(c.basis.Count, 10), "", ""}
			if c.standard.PerMonth() {
				basis[2], basis[3] = c.basis.Month.Gross.String(), strconv.FormatInt(c.basis.Month.Count, 10)
			}
			line := func(what, kind string, amount money.Amount) {
				row := append([]string{strconv.Itoa(r.Version), m.ID, c.standard.Name, what, kind}, basis...)
				out = append(out, append(row, amount.String()))
			}
			for _, p := range c.quote.Parts {
				what := "fee"
				if p.Tax {
					what = "tax"
				}
				line(what, p.Kind, p.Amount)
			}
			line("rounding", "", c.quote.Residue)
			line("total", "", c.quote.Total)
		}
	}
	return out
}

func writeCSV(header []string, rows [][]string) ([]byte, error) {
	var b bytes.Buffer
	w := csv.NewWriter(&b) // LF, quotes only where RFC 4180 needs them
	if err := w.Write(header); err != nil {
		return nil, err
	}
	if err := w.WriteAll(rows); err != nil {
		return nil, err
	}
	return b.Bytes(), nil
}
