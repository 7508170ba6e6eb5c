package settlement

import (
	"bytes"
	"crypto/sha256"
	"encoding/csv"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"hash"
	"io"
	"strconv"

	"github.com/purselane/purselane/backend/store"
	"github.com/purselane/purselane/internal/ids"
	"github.com/purselane/purselane/internal/money"
	"github.com/purselane/purselane/shadowaccount/fee"
)

// Head is a closed day without its CSV files. The JSON names the digest of every CSV, so its own digest fixes them all.
type Head struct {
	Report Report
	JSON   Named
	Digest string // SHA-256 of JSON, hexadecimal
}

// Output is a closed day with all its files.
type Output struct {
	Head
	CSV []Named // the settlement lines, then a result file and a fee file for each acquirer
}

// Create makes a file that a day is written to. It is closed as soon as it is whole.
type Create func(name string) (io.WriteCloser, error)

// discard is a Create for who wants the digests alone.
func discard(string) (io.WriteCloser, error) { return nopCloser{io.Discard}, nil }

type nopCloser struct{ io.Writer }

func (nopCloser) Close() error { return nil }

// kept is a file of an output while it is written.
type kept struct {
	bytes.Buffer
	to   *Output
	file int
}

// Close implements io.Closer.
func (k *kept) Close() error {
	k.to.CSV[k.file].Body = k.Bytes()
	return nil
}

// create is a Create that keeps the files.
func (o *Output) create(name string) (io.WriteCloser, error) {
	o.CSV = append(o.CSV, Named{Name: name})
	return &kept{to: o, file: len(o.CSV) - 1}, nil
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
	var out Output
	var err error
	out.Head, err = f.render(out.create)
	return out, err
}

// csvFile is a file that is being written and hashed, line by line.
type csvFile struct {
	name  string
	lines int
	hash  hash.Hash
	csv   *csv.Writer
	to    io.WriteCloser
}

func newCSV(create Create, name string, header []string) (*csvFile, error) {
	to, err := create(name)
	if err != nil {
		return nil, err
	}
	f := &csvFile{name: name, hash: sha256.New(), to: to}
	f.csv = csv.NewWriter(io.MultiWriter(f.hash, to)) // LF, quotes only where RFC 4180 needs them
	return f, f.csv.Write(header)
}

func (f *csvFile) write(row []string) error {
	f.lines++
	return f.csv.Write(row)
}

func (f *csvFile) close() error {
	f.csv.Flush()
	return errors.Join(f.csv.Error(), f.to.Close())
}

func (f *csvFile) file() File { return File{f.name, f.lines, hex.EncodeToString(f.hash.Sum(nil))} }

// render works the day out and writes its CSV files. It goes through the items once for the sums, and once for all result files together.
func (f Frozen) render(create Create) (_ Head, err error) {
	out := Head{}
	if out.Report, err = f.Report(); err != nil {
		return Head{}, err
	}
	r := &out.Report
	var files []*csvFile
	open := map[ids.AcquirerID]*csvFile{}
	defer func() {
		for _, o := range open {
			err = errors.Join(err, o.close()) // what is still open is not whole
		}
	}()
	whole := func(name string, header []string, rows [][]string) error {
		c, err := newCSV(create, name, header)
		if err != nil {
			return fmt.Errorf("settlement: write %s: %w", name, err)
		}
		for _, row := range rows {
			err = errors.Join(err, c.write(row))
		}
		files = append(files, c)
		return errors.Join(err, c.close())
	}
	if err := whole("settlement-"+r.Day+".csv", lineHeader, r.lines()); err != nil {
		return Head{}, err
	}
	for _, a := range r.Acquirers {
		c, err := newCSV(create, "result-"+r.Day+"-"+a.ID+".csv", itemHeader)
		if err != nil {
			return Head{}, fmt.Errorf("settlement: write %s: %w", a.ID, err)
		}
		files, open[ids.AcquirerID(a.ID)] = append(files, c), c
		if r.Version < 2 {
			continue
		}
		if err := whole("fees-"+r.Day+"-"+a.ID+".csv", feeHeader, r.feeRows(a)); err != nil {
			return Head{}, err
		}
	}
	if err := f.Items(func(i store.Item) error { return open[i.Acquirer].write(itemRow(r.Version, i)) }); err != nil {
		return Head{}, fmt.Errorf("settlement: write the result files: %w", err)
	}
	for id, c := range open {
		delete(open, id)
		if err := c.close(); err != nil {
			return Head{}, fmt.Errorf("settlement: write %s: %w", c.name, err)
		}
	}
	for _, c := range files {
		r.Files = append(r.Files, c.file())
	}
	body, err := json.MarshalIndent(*r, "", "  ")
	if err != nil {
		return Head{}, fmt.Errorf("settlement: write the report: %w", err)
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
	parts := func(record, party, merchant, prefix string, f Fees) {
		for _, p := range f.Parts {
			line(record, party, merchant, prefix+partName(p), "", p.Amount)
		}
		line(record, party, merchant, prefix+"fee-rounding", "", f.Rounding)
		line(record, party, merchant, prefix+"fees", "", f.Total)
	}
	fees := func(record, party, merchant string, f Fees) { parts(record, party, merchant, "", f) }
	monthly := func(record, party, merchant string, accrued *Fees, collected money.Amount) {
		if accrued != nil {
			parts(record, party, merchant, "accrued-", *accrued)
		}
		if !collected.IsZero() {
			line(record, party, merchant, "fees-collected", "", collected)
		}
	}
	for _, a := range r.Acquirers {
		for _, m := range a.Merchants {
			sums("merchant", a.ID, m.ID, m.Sums)
			fees("merchant", a.ID, m.ID, m.Fees)
			monthly("merchant", a.ID, m.ID, m.Accrued, m.Collected)
			line("merchant", a.ID, m.ID, "net", "", m.Net)
		}
		sums("acquirer", a.ID, "", a.Sums)
		for _, reason := range a.Reasons {
			tally("reason", a.ID, "", string(reason.Class)+":"+reason.Reason, reason.Tally)
		}
		tally("acquirer", a.ID, "", "held", a.Held.Tally)
		fees("acquirer", a.ID, "", a.Fees)
		monthly("acquirer", a.ID, "", a.Accrued, a.Collected)
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
	if !r.Totals.FeesAccrued.IsZero() {
		line("total", "", "", "fees-accrued", "", r.Totals.FeesAccrued)
	}
	line("total", "", "", "sold-loads", "", r.Totals.SoldLoads)
	line("total", "", "", "collected", "", r.Totals.Collected)
	line("total", "", "", "channel-fees", "", r.Totals.ChannelFees)
	line("proof", "", "", "zero-sum", "", r.Proof.ZeroSum)
	line("proof", "", "", "trust-movement", "", r.Proof.TrustMovement)
	line("proof", "", "", "float-movement", "", r.Proof.FloatMovement)
	return out
}

// partName is how a part of a fee is named in files.
func partName(p fee.Part) string {
	if p.Tax {
		return "tax:" + p.Kind
	}
	return "fee:" + p.Kind
}

var itemHeader = []string{"version", "terminal", "epoch", "tap", "seq", "merchant", "arrived", "class", "reason", "amount", "was_day", "was_class", "was_amount"}

// itemRow is a line of an acquirer's result file: what became of one of its taps. No card is named: the acquirer knows its taps
// by the terminal's own numbers.
func itemRow(version int, i store.Item) []string {
	was := ""
	if i.WasDay != "" {
		was = i.WasAmount.String()
	}
	return []string{strconv.Itoa(version), string(i.Terminal), strconv.FormatUint(i.Epoch, 16), strconv.FormatUint(i.Tap, 10), strconv.FormatUint(i.Seq, 10),
		string(i.Merchant), i.Arrived, i.Class, i.Reason, i.Amount.String(), i.WasDay, i.WasClass, was}
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
			if c.standard.Monthly() {
				line("carried", "", money.Minor(-c.quote.Total.Minor()))
				line("total", "", money.Amount{})
				continue
			}
			line("total", "", c.quote.Total)
		}
		if !m.Collected.IsZero() {
			out = append(out, []string{strconv.Itoa(r.Version), m.ID, "", "collected", "", "", "", "", "", m.Collected.String()})
		}
	}
	return out
}
