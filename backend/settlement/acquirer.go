package settlement

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"errors"
	"fmt"
	"strconv"

	"github.com/purselane/purselane/backend/settlement/acquirerfile"
	"github.com/purselane/purselane/backend/store"
	"github.com/purselane/purselane/internal/ids"
	"github.com/purselane/purselane/internal/money"
	"github.com/purselane/purselane/shadowaccount/calendar"
)

// SignedFiles are the files that each acquirer gets of a closed day, by acquirer and then in the order of [acquirerfile.Kinds], each with its signature
// after it. They follow from the frozen day alone, and so are the same whenever they are made. Errors: those of [Load].
func SignedFiles(ctx context.Context, s *store.Store, day string, key ed25519.PrivateKey) ([]AcquirerFile, error) {
	var out []AcquirerFile
	err := EachSignedFile(ctx, s, day, key, func(f AcquirerFile) error {
		out = append(out, f)
		return nil
	})
	return out, err
}

// EachSignedFile calls each with the files of [SignedFiles], one at a time. A file is signed as a whole, so one is in memory, and not the day. each must
// not ask the store.
func EachSignedFile(ctx context.Context, s *store.Store, day string, key ed25519.PrivateKey, each func(AcquirerFile) error) error {
	if _, err := calendar.ParseDate(day); err != nil {
		return err
	}
	err := s.View(ctx, func(tx *store.Tx) error {
		closed, err := prove(ctx, tx, day) // a day that was changed is told to nobody
		if err != nil {
			return err
		}
		head, err := tx.ClosedDay(ctx, day)
		if err != nil {
			return err
		}
		frozen, err := thaw(ctx, tx, head)
		if err != nil {
			return err
		}
		for _, a := range closed.Report.Acquirers {
			for _, kind := range acquirerfile.Kinds() {
				h := acquirerfile.Header{Kind: kind, Acquirer: ids.AcquirerID(a.ID), Day: day, Currency: head.Currency}
				body, err := frozen.acquirerFile(ctx, tx, h, a)
				if err != nil {
					return fmt.Errorf("%s: %w", h.Name(), err)
				}
				if err := each(AcquirerFile{h.Acquirer, Named{h.Name(), body}}); err != nil {
					return err
				}
				if err := each(AcquirerFile{h.Acquirer, Named{h.Name() + acquirerfile.SignatureSuffix, acquirerfile.Sign(key, body)}}); err != nil {
					return err
				}
			}
		}
		return nil
	})
	if err != nil {
		return fmt.Errorf("acquirer files of %s: %w", day, err)
	}
	return nil
}

// AcquirerFile is a file, and whose it is.
type AcquirerFile struct {
	Acquirer ids.AcquirerID
	Named
}

// acquirerFile makes one file.
func (f Frozen) acquirerFile(ctx context.Context, tx *store.Tx, h acquirerfile.Header, a AcquirerSection) ([]byte, error) {
	var b bytes.Buffer
	w, err := acquirerfile.NewWriter(&b, h)
	if err != nil {
		return nil, err
	}
	switch h.Kind {
	case acquirerfile.Report:
		err = f.reportRows(a, w.Write)
	case acquirerfile.Result:
		err = tx.EachItemOf(ctx, h.Day, h.Acquirer, func(i store.Item, token string) error {
			row, err := resultRow(i, token)
			if err != nil {
				return err
			}
			return w.Write(row)
		})
	case acquirerfile.Fees:
		for _, row := range chargeRows(a) {
			err = errors.Join(err, w.Write(row))
		}
	}
	if err := errors.Join(err, w.Close()); err != nil {
		return nil, err
	}
	return b.Bytes(), nil
}

// corrected is the class of a record that an earlier day had settled as something else.
const corrected = "corrected"

// resultRow is the line of a record that the day tells the acquirer of. What the value column comes to is what the day accepts and
// adjusts.
func resultRow(i store.Item, token string) ([]string, error) {
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
	return []string{string(i.Terminal), strconv.FormatUint(i.Epoch, 16), strconv.FormatUint(i.Tap, 10), strconv.FormatUint(i.Seq, 10), token,
		string(i.Merchant), i.Arrived, class, i.Class, i.Reason, i.Amount.String(), i.WasDay, i.WasClass, was, value.String()}, s.err
}

// chargeRows is one line for each part of a charge, by merchant and standard. What the value column comes to is the fees that
// are taken: what is taken when the month is over is carried, and collected then.
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
			if c.standard.Monthly() {
				line("carried", "", money.Minor(-c.quote.Total.Minor()))
			}
		}
		if !m.Collected.IsZero() {
			out = append(out, []string{m.ID, "", "collected", "", "", "", "", "", m.Collected.String()})
		}
	}
	return out
}

// reportRows is the day in sums: the acquirer's, then each merchant's, then each record that is held, with its age. What the value column
// comes to is the position.
func (f Frozen) reportRows(a AcquirerSection, write func([]string) error) error {
	var s sum
	row := func(record, merchant, name, ref, count, days string, amount money.Amount, value string) {
		s.fail(write([]string{record, merchant, name, ref, count, days, amount.String(), value}))
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
			row(record, merchant, partName(p), "", "", "", p.Amount, "")
		}
		row(record, merchant, "fee-rounding", "", "", "", x.Rounding, "")
		row(record, merchant, "fees", "", "", "", x.Total, value)
	}
	monthly := func(record, merchant string, accrued *Fees, collected money.Amount, value string) {
		if accrued != nil {
			row(record, merchant, "fees-accrued", "", "", "", accrued.Total, "")
		}
		if !collected.IsZero() {
			row(record, merchant, "fees-collected", "", "", "", collected, value)
		}
	}
	sums("acquirer", "", a.Sums, money.Amount.String)
	for _, x := range a.Reasons {
		counted("reason", "", string(x.Class)+":"+x.Reason, x.Tally, "")
	}
	fees("acquirer", "", a.Fees, s.neg(a.Fees.Total).String())
	monthly("acquirer", "", a.Accrued, a.Collected, s.neg(a.Collected).String())
	row("acquirer", "", "sold-loads", "", "", "", a.SoldLoads, s.neg(a.SoldLoads).String())
	row("acquirer", "", "net", f.Due, "", "", a.Net, "")
	for _, m := range a.Merchants {
		sums("merchant", m.ID, m.Sums, func(money.Amount) string { return "" })
		fees("merchant", m.ID, m.Fees, "")
		monthly("merchant", m.ID, m.Accrued, m.Collected, "")
		row("merchant", m.ID, "net", "", "", "", m.Net, "")
	}
	counted("held", "", "all", a.Held.Tally, "")
	s.fail(f.Held(func(i store.Item) error {
		if string(i.Acquirer) != a.ID {
			return nil
		}
		age := calendar.Date(i.Arrived).Until(calendar.Date(f.Day))
		record := "held"
		if age >= f.CaseAfter {
			record = "case"
		}
		row(record, string(i.Merchant), i.Reason, fmt.Sprintf("%s/%x/%d/%d", i.Terminal, i.Epoch, i.Tap, i.Seq), "1", strconv.Itoa(age), i.Amount, "")
		return s.err
	}))
	return s.err
}
