package acquirerfile

import (
	"bytes"
	"crypto/sha256"
	"encoding/csv"
	"encoding/hex"
	"errors"
	"fmt"
	"hash"
	"io"
	"slices"
	"strconv"
	"strings"

	"github.com/purselane/purselane/internal/ids"
	"github.com/purselane/purselane/internal/money"
	"github.com/purselane/purselane/shadowaccount/calendar"
)

// Format and Version stand in the header of every file.
const (
	Format  = "purselane-acquirer-file"
	Version = 1
)

// Kind is what a file tells.
type Kind string

// Kinds.
const (
	Report Kind = "report" // the day in sums; its value adds up to the position
	Result Kind = "result" // each record; its value adds up to what was accepted and adjusted
	Fees   Kind = "fees"   // each charge line; its value adds up to the fees
)

// Kinds lists the kinds in the order in which a day's files are made.
func Kinds() []Kind { return []Kind{Report, Result, Fees} }

// The columns of each kind; the last is the one that the trailer adds up, empty where a row adds nothing.
var columns = map[Kind][]string{
	Report: {"record", "merchant", "name", "ref", "count", "days", "amount", "value"},
	Result: {"terminal", "epoch", "tap", "seq", "card", "merchant", "arrived", "class", "state", "reason", "amount", "was_day", "was_class", "was_amount", "value"},
	Fees:   {"merchant", "standard", "what", "kind", "gross", "count", "month_gross", "month_count", "value"},
}

// Columns are a kind's columns; nil for no kind.
func Columns(k Kind) []string { return slices.Clone(columns[k]) }

// Header names a file: no two files of a scheme have the same.
type Header struct {
	Kind     Kind
	Acquirer ids.AcquirerID
	Day      string // clearing day, YYYY-MM-DD
	Currency string // ISO 4217 letters
}

// Name is the file's name: acquirer-day-kind.csv.
func (h Header) Name() string {
	return string(h.Acquirer) + "-" + h.Day + "-" + string(h.Kind) + ".csv"
}

func (h Header) check() error {
	if columns[h.Kind] == nil {
		return fmt.Errorf("kind %q: want report, result or fees", h.Kind)
	}
	if err := ids.Check(string(h.Acquirer)); err != nil {
		return fmt.Errorf("acquirer: %w", err)
	}
	if _, err := calendar.ParseDate(h.Day); err != nil {
		return fmt.Errorf("day: %w", err)
	}
	if len(h.Currency) != 3 || strings.Trim(h.Currency, "ABCDEFGHIJKLMNOPQRSTUVWXYZ") != "" {
		return fmt.Errorf("currency %q: want three letters such as CNY", h.Currency)
	}
	return nil
}

// File is a file's content.
type File struct {
	Header
	Rows [][]string   // one field a column of the kind
	Sum  money.Amount // of the last column; [Parse] has checked it
}

// What may be wrong with a file, besides its form.
var (
	// ErrForm: it is no file of this form. The message names the line.
	ErrForm = errors.New("it is no acquirer file of this form")
	// ErrCount: the trailer counts other rows.
	ErrCount = errors.New("wrong count of rows")
	// ErrSum: the trailer has another sum.
	ErrSum = errors.New("wrong sum")
	// ErrHash: the bytes before the trailer are not those that it hashed.
	ErrHash = errors.New("wrong hash")
)

// The first field of a line says what line it is.
const (
	lineHeader  = "header"
	lineColumns = "columns"
	lineRow     = "row"
	lineTrailer = "trailer"
)

// Encode writes a file. The same file gives the same bytes: CRLF, quotes only where RFC 4180 needs them, as many fields in each line.
func Encode(f File) ([]byte, error) {
	var b bytes.Buffer
	w, err := NewWriter(&b, f.Header)
	if err != nil {
		return nil, err
	}
	for _, row := range f.Rows {
		if err := w.Write(row); err != nil {
			return nil, err
		}
	}
	if err := w.Close(); err != nil {
		return nil, err
	}
	return b.Bytes(), nil
}

// Writer writes a file line by line, and keeps none of them.
type Writer struct {
	name  string
	width int // fields of a line
	csv   *csv.Writer
	hash  hash.Hash
	rows  int
	sum   money.Amount
}

// NewWriter begins a file. The form is that of [Encode].
func NewWriter(to io.Writer, h Header) (*Writer, error) {
	w := &Writer{name: h.Name(), width: len(columns[h.Kind]) + 1, hash: sha256.New()}
	if err := h.check(); err != nil {
		return nil, w.bad(err)
	}
	w.csv = csv.NewWriter(io.MultiWriter(w.hash, to))
	w.csv.UseCRLF = true
	if err := errors.Join(w.line(lineHeader, Format, strconv.Itoa(Version), string(h.Kind), string(h.Acquirer), h.Day, h.Currency),
		w.line(append([]string{lineColumns}, columns[h.Kind]...)...)); err != nil {
		return nil, w.bad(err)
	}
	return w, nil
}

func (w *Writer) bad(err error) error { return fmt.Errorf("acquirer file %s: %w", w.name, err) }

func (w *Writer) line(fields ...string) error {
	return w.csv.Write(append(fields, make([]string, max(0, w.width-len(fields)))...))
}

// Write writes a row: one field a column of the file's kind.
func (w *Writer) Write(row []string) error {
	w.rows++
	if len(row) != w.width-1 {
		return w.bad(fmt.Errorf("row %d has %d fields: want %d", w.rows, len(row), w.width-1))
	}
	if strings.Contains(strings.Join(row, ""), "\r") {
		return w.bad(fmt.Errorf("row %d has a carriage return in a field", w.rows)) // it would not read back
	}
	var err error
	if w.sum, err = add(w.sum, row[w.width-2]); err != nil {
		return w.bad(fmt.Errorf("row %d: %w", w.rows, err))
	}
	if err := w.line(append([]string{lineRow}, row...)...); err != nil {
		return w.bad(err)
	}
	return nil
}

// Close writes the trailer: how many rows, what they come to, and the hash of all bytes before it.
func (w *Writer) Close() error {
	w.csv.Flush()
	err := errors.Join(w.csv.Error(), w.line(lineTrailer, strconv.Itoa(w.rows), strconv.FormatInt(w.sum.Minor(), 10), hex.EncodeToString(w.hash.Sum(nil))))
	w.csv.Flush()
	if err := errors.Join(err, w.csv.Error()); err != nil {
		return w.bad(err)
	}
	return nil
}

func add(sum money.Amount, value string) (money.Amount, error) {
	if value == "" {
		return sum, nil
	}
	v, err := money.Parse(value)
	if err != nil {
		return sum, fmt.Errorf("value: %w", err)
	}
	return sum.Add(v)
}

// Parse reads a file and checks it against its trailer. Errors: [ErrForm] with the line, and [ErrCount], [ErrSum] and [ErrHash], all that
// are so. It says nothing about who wrote the file: see [Verify].
func Parse(raw []byte) (File, error) {
	p := parser{r: csv.NewReader(bytes.NewReader(raw)), raw: raw}
	p.r.FieldsPerRecord = -1 // the width is known only after the header
	p.r.ReuseRecord = true
	f, err := p.file()
	if err != nil {
		return File{}, err
	}
	return f, nil
}

type parser struct {
	r    *csv.Reader
	raw  []byte
	line int // of the record read last
}

func (p *parser) bad(format string, args ...any) error {
	return fmt.Errorf("line %d: %w: %w", max(p.line, 1), ErrForm, fmt.Errorf(format, args...))
}

// next reads a line and wants a first field of it.
func (p *parser) next() ([]string, error) {
	rec, err := p.r.Read()
	if err != nil {
		var at *csv.ParseError
		if errors.As(err, &at) {
			p.line = at.Line
			return nil, p.bad("%w", at.Err)
		}
		p.line++
		return nil, p.bad("the file ends without its trailer")
	}
	p.line, _ = p.r.FieldPos(0)
	return rec, nil
}

func (p *parser) file() (File, error) {
	var f File
	head, err := p.next()
	if err != nil {
		return f, err
	}
	if len(head) < 7 || head[0] != lineHeader || head[1] != Format {
		return f, p.bad("want the header %s,%s", lineHeader, Format)
	}
	if head[2] != strconv.Itoa(Version) {
		return f, p.bad("version %q: this program reads version %d", head[2], Version)
	}
	f.Header = Header{Kind: Kind(head[3]), Acquirer: ids.AcquirerID(head[4]), Day: head[5], Currency: head[6]}
	if err := f.check(); err != nil {
		return f, p.bad("%w", err)
	}
	width := len(columns[f.Kind]) + 1
	if err := p.padded(head, 7, width); err != nil {
		return f, err
	}
	names, err := p.next()
	if err != nil {
		return f, err
	}
	if names[0] != lineColumns || !slices.Equal(names[1:], columns[f.Kind]) {
		return f, p.bad("want the columns %s", strings.Join(columns[f.Kind], ","))
	}
	for {
		before := p.r.InputOffset()
		rec, err := p.next()
		if err != nil {
			return f, err
		}
		switch rec[0] {
		case lineRow:
			if len(rec) != width {
				return f, p.bad("%d fields: want %d", len(rec), width)
			}
			if strings.Contains(strings.Join(rec, ""), "\r") {
				return f, p.bad("a carriage return in a field")
			}
			if f.Sum, err = add(f.Sum, rec[width-1]); err != nil {
				return f, p.bad("%w", err)
			}
			f.Rows = append(f.Rows, slices.Clone(rec[1:]))
		case lineTrailer:
			if err := p.padded(rec, 4, width); err != nil {
				return f, err
			}
			return f, p.trailer(f, rec, p.raw[:before])
		default:
			return f, p.bad("%q: want %s or %s", rec[0], lineRow, lineTrailer)
		}
	}
}

// padded wants a line of the file's width whose fields from one on are empty.
func (p *parser) padded(rec []string, from, width int) error {
	if len(rec) != max(width, from) || strings.Join(rec[from:], "") != "" {
		return p.bad("want %d fields, those after the first %d empty", max(width, from), from)
	}
	return nil
}

func (p *parser) trailer(f File, rec []string, before []byte) error {
	count, err1 := strconv.Atoi(rec[1])
	sum, err2 := strconv.ParseInt(rec[2], 10, 64)
	if err := errors.Join(err1, err2); err != nil {
		return p.bad("want a count and a sum in minor units")
	}
	if rest := p.raw[p.r.InputOffset():]; len(rest) != 0 {
		return p.bad("%d bytes come after the trailer", len(rest))
	}
	var faults []error
	fault := func(err error, format string, args ...any) {
		faults = append(faults, fmt.Errorf("line %d: %w: %s", p.line, err, fmt.Sprintf(format, args...)))
	}
	if count != len(f.Rows) {
		fault(ErrCount, "the trailer says %d, there are %d", count, len(f.Rows))
	}
	if sum != f.Sum.Minor() {
		fault(ErrSum, "the trailer says %v, the rows come to %v", money.Minor(sum), f.Sum)
	}
	if digest := sha256.Sum256(before); hex.EncodeToString(digest[:]) != rec[3] {
		fault(ErrHash, "the trailer says %.16s…, the bytes before it have %.16s…", rec[3], hex.EncodeToString(digest[:]))
	}
	return errors.Join(faults...)
}
