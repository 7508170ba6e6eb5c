package settlement

import (
	"context"
	"crypto/ed25519"
	"fmt"
	"strconv"

	"github.com/purselane/purselane/backend/settlement/acquirerfile"
	"github.com/purselane/purselane/backend/store"
	"github.com/purselane/purselane/internal/ids"
	"github.com/purselane/purselane/internal/money"
	"github.com/purselane/purselane/shadowaccount/calendar"
)

// AcquirerFiles are the files that each acquirer gets of a closed day, by acquirer and then in the order of [acquirerfile.Kinds]. They
// follow from the frozen day alone, and so are the same whenever they are made. Errors: those of [Load].
func AcquirerFiles(ctx context.Context, s *store.Store, day string) ([]acquirerfile.File, error) {
	if _, err := calendar.ParseDate(day); err != nil {
		return nil, err
	}
	var out []acquirerfile.File
	err := s.View(ctx, func(tx *store.Tx) error {
		if _, err := loadDay(ctx, tx, day); err != nil {
			return err // a day that was changed is told to nobody
		}
		head, err := tx.ClosedDay(ctx, day)
		if err != nil {
			return err
		}
		frozen, err := thaw(ctx, tx, head)
		if err != nil {
			return err
		}
		tokens, err := tx.ItemTokens(ctx, frozen.Items)
		if err != nil {
			return err
		}
		out, err = frozen.acquirerFiles(tokens)
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("acquirer files of %s: %w", day, err)
	}
	return out, nil
}

// SignedFiles are the files of [AcquirerFiles] as bytes, each with its signature after it.
func SignedFiles(ctx context.Context, s *store.Store, day string, key ed25519.PrivateKey) ([]AcquirerFile, error) {
	files, err := AcquirerFiles(ctx, s, day)
	if err != nil {
		return nil, err
	}
	var out []AcquirerFile
	for _, f := range files {
		body, err := acquirerfile.Encode(f)
		if err != nil {
			return nil, err
		}
		out = append(out, AcquirerFile{f.Acquirer, Named{f.Name(), body}},
			AcquirerFile{f.Acquirer, Named{f.Name() + acquirerfile.SignatureSuffix, acquirerfile.Sign(key, body)}})
	}
	return out, nil
}

// AcquirerFile is a file, and whose it is.
type AcquirerFile struct {
	Acquirer ids.AcquirerID
	Named
}

// acquirerFiles makes the files. Tokens are those of the cards that the day's items name.
func (f Frozen) acquirerFiles(tokens map[ids.CardNumber]string) ([]acquirerfile.File, error) {
	r, err := f.Report()
	if err != nil {
		return nil, err
	}
	var out []acquirerfile.File
	for _, a := range r.Acquirers {
		head := acquirerfile.Header{Acquirer: ids.AcquirerID(a.ID), Day: f.Day, Currency: f.Currency}
		for _, kind := range acquirerfile.Kinds() {
			head.Kind = kind
			var rows [][]string
			var err error
			switch kind {
			case acquirerfile.Report:
				rows, err = f.reportRows(a)
			case acquirerfile.Result:
				rows, err = f.resultRows(head.Acquirer, tokens)
			case acquirerfile.Fees:
				rows = chargeRows(a)
			}
			if err != nil {
				return nil, fmt.Errorf("%s: %w", head.Name(), err)
			}
			out = append(out, acquirerfile.File{Header: head, Rows: rows})
		}
	}
	return out, nil
}

// corrected is the class of a record that an earlier day had settled as something else.
const corrected = "corrected"

// resultRows is one line for each record that the day tells the acquirer of. What the value column comes to is what the day accepts and
// adjusts.
func (f Frozen) resultRows(acquirer ids.AcquirerID, tokens map[ids.CardNumber]string) ([][]string, error) {
	var out [][]string
	for _, i := range f.Items {
		if i.Acquirer != acquirer {
			continue
		}
		var s sum
		var value money.Amount
		if Class(i.Class) == Accepted {
			s.add(&value, i.Amount)
		}
		class, was := i.Class, ""
		if i.WasDay != "" {
			class, was = corrected, i.WasAmount.String()
			if Class(i.WasClass) == Accepted {
				s.add(&value, s.neg(i.WasAmount))
			}
		}
		if s.err != nil {
			return nil, s.err
		}
		out = append(out, []string{string(i.Terminal), strconv.FormatUint(i.Epoch, 16), strconv.FormatUint(i.Tap, 10), strconv.FormatUint(i.Seq, 10), tokens[i.CardNumber()],
			string(i.Merchant), i.Arrived, class, i.Class, i.Reason, i.Amount.String(), i.WasDay, i.WasClass, was, value.String()})
	}
	return out, nil
}

// chargeRows is one line for each part of a charge, by merchant and standard. What the value column comes to is the acquirer's fees.
func chargeRows(a AcquirerSection) [][]string {
	var out [][]string
	for _, m := range a.Merchants {
		for _, c := range m.charged {
			basis := []string{c.basis.Gross.String(), strconv.FormatInt(c.basis.Count, 10), "", ""}
			if c.standard.PerMonth() {
				basis[2], basis[3] = c.basis.Month.Gross.String(), strconv.FormatInt(c.basis.Month.Count, 10)
			}
			line := func(what, kind string, amount money.Amount) {
				row := append([]string{m.ID, c.standard.Name, what, kind}, basis...)
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
		}
	}
	return out
}

// reportRows is the day in sums: the acquirer's, then each merchant's, then each record that is held, with its age. What the value column
// comes to is the position.
func (f Frozen) reportRows(a AcquirerSection) ([][]string, error) {
	var out [][]string
	var s sum
	row := func(record, merchant, name, ref, count, days string, amount money.Amount, value string) {
		out = append(out, []string{record, merchant, name, ref, count, days, amount.String(), value})
	}
	counted := func(record, merchant, name string, t Tally, value string) {
		row(record, merchant, name, "", strconv.FormatInt(t.Count, 10), "", t.Amount, value)
	}
	sums := func(record, merchant string, x Sums, value func(money.Amount) string) {
		counted(record, merchant, "accepted", x.Accepted, value(x.Accepted.Amount))
		counted(record, merchant, "rejected", x.Rejected, "")
		counted(record, merchant, "suspect", x.Suspect, "")
		counted(record, merchant, "adjustments", x.Adjustments, value(x.Adjustments.Amount))
	}
	fees := func(record, merchant string, x Fees, value string) {
		for _, p := range x.Parts {
			name := "fee:" + p.Kind
			if p.Tax {
				name = "tax:" + p.Kind
			}
			row(record, merchant, name, "", "", "", p.Amount, "")
		}
		row(record, merchant, "fee-rounding", "", "", "", x.Rounding, "")
		row(record, merchant, "fees", "", "", "", x.Total, value)
	}
	sums("acquirer", "", a.Sums, money.Amount.String)
	for _, x := range a.Reasons {
		counted("reason", "", string(x.Class)+":"+x.Reason, x.Tally, "")
	}
	fees("acquirer", "", a.Fees, s.neg(a.Fees.Total).String())
	row("acquirer", "", "sold-loads", "", "", "", a.SoldLoads, s.neg(a.SoldLoads).String())
	row("acquirer", "", "net", f.Due, "", "", a.Net, "")
	for _, m := range a.Merchants {
		sums("merchant", m.ID, m.Sums, func(money.Amount) string { return "" })
		fees("merchant", m.ID, m.Fees, "")
		row("merchant", m.ID, "net", "", "", "", m.Net, "")
	}
	counted("held", "", "all", a.Held.Tally, "")
	for _, i := range f.Held {
		if string(i.Acquirer) != a.ID {
			continue
		}
		age := calendar.Date(i.Arrived).Until(calendar.Date(f.Day))
		record := "held"
		if age >= f.CaseAfter {
			record = "case"
		}
		row(record, string(i.Merchant), i.Reason, fmt.Sprintf("%s/%x/%d/%d", i.Terminal, i.Epoch, i.Tap, i.Seq), "1", strconv.Itoa(age), i.Amount, "")
	}
	return out, s.err
}
