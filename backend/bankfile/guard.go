package bankfile

import (
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"strings"
)

// Limits of a file that comes in. Statements of real accounts are far below.
const (
	maxFile    = 256 << 20 // bytes
	maxDepth   = 32        // elements within each other
	maxText    = 64 << 10  // bytes of one text
	maxTokens  = 1 << 19   // parts of one entry: some ten thousand payments
	maxEntries = 1_000_000 // of one file
)

var (
	// ErrForm: it is no file of this form. The message says where.
	ErrForm = errors.New("it is no bank file of this form")
	// ErrTooBig: the file goes past a limit.
	ErrTooBig = errors.New("the bank file is too big")
)

// guard hands the tokens of a file on and refuses what a bank never writes: document types (where entities that blow up are declared),
// depth, and too much of anything. Entities of its own the decoder does not know anyway.
type guard struct {
	d      *xml.Decoder
	in     *limited
	depth  int
	tokens int // since the last reset
}

// limited is a reader that says so when more than n bytes come.
type limited struct {
	r    io.Reader
	n    int64
	over bool
}

func (l *limited) Read(p []byte) (int, error) {
	if l.n <= 0 {
		l.over = true
		return 0, ErrTooBig
	}
	n, err := l.r.Read(p[:min(int64(len(p)), l.n)])
	l.n -= int64(n)
	return n, err
}

func newGuard(r io.Reader) *guard {
	in := &limited{r: r, n: maxFile}
	d := xml.NewDecoder(in)
	// Banks write UTF-8; a file in another coding is refused, not guessed.
	return &guard{d: d, in: in}
}

// Token implements xml.TokenReader.
func (g *guard) Token() (xml.Token, error) {
	t, err := g.d.Token()
	if err != nil {
		return nil, g.fault(err)
	}
	if g.tokens++; g.tokens > maxTokens {
		return nil, g.at(ErrTooBig, "an entry has more than %d parts", maxTokens)
	}
	switch x := t.(type) {
	case xml.StartElement:
		if g.depth++; g.depth > maxDepth {
			return nil, g.at(ErrTooBig, "elements lie more than %d deep", maxDepth)
		}
	case xml.EndElement:
		g.depth--
	case xml.CharData:
		if len(x) > maxText {
			return nil, g.at(ErrTooBig, "a text has more than %d bytes", maxText)
		}
	case xml.Directive:
		return nil, g.at(ErrForm, "a document type is declared: no bank file has one")
	}
	return t, nil
}

func (g *guard) at(err error, format string, args ...any) error {
	line, _ := g.d.InputPos()
	return fmt.Errorf("line %d: %w: %s", line, err, fmt.Sprintf(format, args...))
}

func (g *guard) fault(err error) error {
	switch {
	case g.in.over:
		return g.at(ErrTooBig, "more than %d bytes", maxFile)
	case errors.Is(err, io.EOF):
		return io.EOF
	}
	var syntax *xml.SyntaxError
	if errors.As(err, &syntax) {
		return fmt.Errorf("line %d: %w: %s", syntax.Line, ErrForm, syntax.Msg)
	}
	return g.at(ErrForm, "%v", err)
}

// walk reads a file of one message. It calls each for every start element below the document; each may decode it, and says whether it
// did. The document's name and version are checked first.
func walk(r io.Reader, message string, from, to int, each func(d *xml.Decoder, path []string, e xml.StartElement) (taken bool, err error)) (int, error) {
	g := newGuard(r)
	d := xml.NewTokenDecoder(g)
	v := 0
	var path []string
	for {
		if len(path) < 4 { // the spine of the file, however long it is
			g.tokens = 0
		}
		t, err := d.Token()
		if errors.Is(err, io.EOF) {
			if v == 0 || len(path) != 0 {
				return 0, g.at(ErrForm, "the file ends within itself")
			}
			return v, nil
		}
		if err != nil {
			return 0, outer(g, err)
		}
		switch e := t.(type) {
		case xml.StartElement:
			if len(path) == 0 {
				if v != 0 || e.Name.Local != "Document" {
					return 0, g.at(ErrForm, "element %s: want one Document", e.Name.Local)
				}
				if v, err = version(e.Name.Space, message, from, to); err != nil {
					return 0, err
				}
			} else {
				taken, err := each(d, path, e)
				if err != nil {
					return 0, outer(g, err)
				}
				if taken {
					continue
				}
			}
			path = append(path, e.Name.Local)
		case xml.EndElement:
			path = path[:len(path)-1]
		}
	}
}

// MessageOf reads which message a file is, such as "camt.053", from the namespace of its document. Error: [ErrForm].
func MessageOf(r io.Reader) (string, error) {
	g := newGuard(r)
	for {
		t, err := g.Token()
		if err != nil {
			return "", outer(g, err)
		}
		if e, is := t.(xml.StartElement); is {
			rest, found := strings.CutPrefix(e.Name.Space, "urn:iso:std:iso:20022:tech:xsd:")
			if !found || len(rest) < 8 {
				return "", g.at(ErrForm, "namespace %.80q: want one of ISO 20022", e.Name.Space)
			}
			return rest[:8], nil
		}
	}
}

// outer gives an error of decoding a place, and leaves those alone that have one.
func outer(g *guard, err error) error {
	if errors.Is(err, ErrForm) || errors.Is(err, ErrTooBig) {
		return err
	}
	if errors.Is(err, io.EOF) {
		return g.at(ErrForm, "the file ends within itself")
	}
	return g.at(ErrForm, "%v", err)
}
