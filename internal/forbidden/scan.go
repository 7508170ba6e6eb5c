package forbidden

import (
	"bytes"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"io"
	"regexp"
	"slices"
	"strings"
)

// Kind is what was found.
type Kind string

// Kinds.
const (
	Card  Kind = "card number"
	CVV   Kind = "card verification value"
	Track Kind = "track data"
	Known Kind = "known secret" // one that the scanner was told to look for
)

// Found is a place.
type Found struct {
	Kind  Kind
	Form  string // text, packed decimal, hexadecimal, base64, UTF-16, bytes
	At    int64  // offset in the stream, in bytes
	Shown string // masked: first six and last four digits, or the secret's name
}

func (f Found) String() string {
	return fmt.Sprintf("at %d: a %s as %s: %s", f.At, f.Kind, f.Form, f.Shown)
}

// Secret is something that is known, and must be nowhere.
type Secret struct {
	Name  string // what is reported
	Value []byte // of a card or PIN: its digits; of a key or a PIN block: its bytes
}

// minSecret is the fewest bytes of a secret: shorter ones are everywhere by chance.
const (
	minSecret = 8
	minPacked = 6
)

// Scanner looks through streams. It does not change once it is made, and is safe for concurrent use.
type Scanner struct{ patterns []pattern }

type pattern struct {
	bytes []byte
	form  string
	name  string
}

// New makes a scanner that looks for card numbers, verification values and tracks, and for these secrets.
func New(secrets ...Secret) (*Scanner, error) {
	s := &Scanner{}
	for _, x := range secrets {
		if len(x.Value) < minSecret || x.Name == "" {
			return nil, fmt.Errorf("forbidden: secret %q: want a name, and a value of at least %d bytes", x.Name, minSecret)
		}
		if len(x.Value) > overlap/4 {
			return nil, fmt.Errorf("forbidden: secret %q: want a value of at most %d bytes", x.Name, overlap/4)
		}
		s.patterns = append(s.patterns, forms(x)...)
	}
	return s, nil
}

// forms are the ways in which a secret may be written.
func forms(x Secret) []pattern {
	var out []pattern
	add := func(b []byte, form string) { out = append(out, pattern{b, form, x.Name}) }
	add64 := func(b []byte, of string) {
		for _, c := range []*base64.Encoding{base64.RawStdEncoding, base64.RawURLEncoding} {
			for shift := range 3 { // where it begins within a group of three bytes
				coded := c.EncodeToString(append(make([]byte, shift), b...))
				add([]byte(coded[(shift*8+5)/6:(shift+len(b))*8/6]), "base64"+of)
			}
		}
	}
	add([]byte(hex.EncodeToString(x.Value)), "hexadecimal")
	add([]byte(strings.ToUpper(hex.EncodeToString(x.Value))), "hexadecimal")
	add64(x.Value, "")
	wide := make([]byte, 0, 2*len(x.Value))
	for _, c := range x.Value {
		wide = append(wide, c, 0)
	}
	add(wide, "UTF-16")
	digits := !slices.ContainsFunc(x.Value, func(c byte) bool { return c < '0' || c > '9' })
	if !digits {
		add(x.Value, "bytes")
		return out
	}
	add(x.Value, "text")
	// Packed decimal, from the high and from the low half of a byte; the halves at the ends belong to something else.
	for _, d := range [][]byte{x.Value[:len(x.Value)/2*2], x.Value[1 : 1+(len(x.Value)-1)/2*2]} {
		if packed, err := hex.DecodeString(string(d)); err == nil && len(packed) >= minPacked {
			add(packed, "packed decimal")
			add64(packed, " of packed decimal")
		}
	}
	return out
}

const (
	chunk   = 1 << 20
	overlap = 4 << 10 // longer than anything that is looked for
)

// Scan reads a stream to its end and calls found for each place. What stands in two chunks is told once.
func (s *Scanner) Scan(r io.Reader, found func(Found)) error {
	buf := make([]byte, 0, chunk+overlap)
	var base, told int64 // of buf in the stream; before told everything has been told
	for {
		n, err := io.ReadFull(r, buf[len(buf):cap(buf)])
		buf = buf[:len(buf)+n]
		last := err == io.EOF || err == io.ErrUnexpectedEOF
		if err != nil && !last {
			return err
		}
		end := int64(len(buf))
		if !last {
			end -= overlap / 2 // what begins later is whole in the next chunk only
		}
		for _, f := range s.look(buf) {
			if at := f.At + base; f.At < end && at >= told {
				f.At = at
				found(f)
			}
		}
		if last {
			return nil
		}
		told = base + end
		keep := len(buf) - overlap
		base += int64(keep)
		buf = buf[:copy(buf, buf[keep:])]
	}
}

// cvvWord is a verification value after its name. cvvWords are what it begins with, in lower case: the regular expression is slow, and asked only there.
var (
	cvvWord  = regexp.MustCompile(`^(?i)(?:cvv2?|cvc2?|cvn2?|cav2|cid|security_?code|card_?code)["']?\s*[:=]\s*["']?[0-9]{3,4}(?:[^0-9A-Za-z]|$)`)
	cvvWords = [][]byte{[]byte("cvv"), []byte("cvc"), []byte("cvn"), []byte("cav2"), []byte("cid"), []byte("security"), []byte("card")}
)

const maxCVV = 40 // bytes of name and value

// look looks through a piece.
func (s *Scanner) look(b []byte) []Found {
	var out []Found
	for _, p := range s.patterns {
		each(b, p.bytes, func(at int) { out = append(out, Found{Known, p.form, int64(at), p.name}) })
	}
	text(b, "text", 0, &out)
	lower := lowered(b)
	for _, w := range cvvWords {
		each(lower, w, func(at int) {
			before := byte(' ')
			if at > 0 {
				before = b[at-1]
			}
			if !letter(before) && cvvWord.Match(b[at:min(len(b), at+maxCVV)]) {
				out = append(out, Found{CVV, "text", int64(at), "a value after its name"})
			}
		})
	}
	runs(b, 2*minCard, func(i int) int {
		if b[i] == '3' && i+1 < len(b) && digit(b[i+1]) {
			return 2
		}
		return 0
	}, func(from, to int) {
		if hexRun(b, from, to) > 2*maxCard {
			return // digits of a longer number in hexadecimal, by chance
		}
		if decoded, err := hex.DecodeString(string(b[from:to])); err == nil {
			text(decoded, "hexadecimal", int64(from), &out)
		}
	})
	runs(b, 2*minCard, func(i int) int {
		if digit(b[i]) && i+1 < len(b) && b[i+1] == 0 {
			return 2
		}
		return 0
	}, func(from, to int) {
		var narrow []byte
		for i := from; i < to; i += 2 {
			narrow = append(narrow, b[i])
		}
		text(narrow, "UTF-16", int64(from), &out)
	})
	runs(b, minBase64, func(i int) int {
		if digit(b[i]) || letter(b[i]) || b[i] == '+' || b[i] == '/' || b[i] == '-' || b[i] == '_' {
			return 1
		}
		return 0
	}, func(from, to int) { coded(b[from:to], int64(from), &out) })
	tracks(b, "packed decimal", 0, &out)
	return out
}

const (
	minCard   = 13
	maxCard   = 19
	minBase64 = 12 // of a track's packed beginning; a card's digits take 18
)

func digit(c byte) bool { return c >= '0' && c <= '9' }

func letter(c byte) bool { return c|0x20 >= 'a' && c|0x20 <= 'z' }

// lowered has small letters for capital ones, byte for byte.
func lowered(b []byte) []byte {
	out := bytes.Clone(b)
	for i, c := range out {
		if c >= 'A' && c <= 'Z' {
			out[i] = c | 0x20
		}
	}
	return out
}

// each calls f with every place of what.
func each(b, what []byte, f func(at int)) {
	for from := 0; ; {
		i := bytes.Index(b[from:], what)
		if i < 0 {
			return
		}
		f(from + i)
		from += i + 1
	}
}

// runs calls f with every longest run of at least least bytes; step says how many bytes at a place belong to one, 0 for none.
func runs(b []byte, least int, step func(i int) int, f func(from, to int)) {
	for i := 0; i < len(b); i++ {
		from, wide := i, false
		for i < len(b) {
			n := step(i)
			if n == 0 {
				break
			}
			i += n
			wide = wide || n > 1
		}
		if i-from >= least {
			f(from, i)
		} else if wide {
			i = from // it may begin a byte later
		}
	}
}

// coded looks into a run of base64, wherever it begins.
func coded(run []byte, at int64, out *[]Found) {
	plain := bytes.Clone(run)
	for i, c := range plain {
		switch c {
		case '-':
			plain[i] = '+'
		case '_':
			plain[i] = '/'
		}
	}
	decoded := make([]byte, len(plain))
	for shift := range min(4, len(plain)) {
		part := plain[shift:]
		if len(part)%4 == 1 {
			part = part[:len(part)-1] // six bits are no byte
		}
		n, err := base64.RawStdEncoding.Decode(decoded, part)
		if err == nil {
			text(decoded[:n], "base64", at+int64(shift), out)
			tracks(decoded[:n], "base64", at+int64(shift), out)
		}
	}
}

// text finds card numbers and tracks that are written in digits.
func text(b []byte, form string, at int64, out *[]Found) {
	for i := 0; i < len(b); i++ {
		if !digit(b[i]) {
			continue
		}
		from, n := i, 0
		for i < len(b) && (digit(b[i]) || (b[i] == ' ' || b[i] == '-') && i+1 < len(b) && digit(b[i+1])) {
			if digit(b[i]) {
				n++
			}
			i++
		}
		if n < minCard {
			continue
		}
		for _, c := range cards(string(b[from:i])) {
			at, whole := at+int64(from+c.from), hexRun(b, from+c.from, from+c.to)
			switch {
			case track(b[from+c.to:]):
				*out = append(*out, Found{Track, form, at, Mask(c.number)})
			case form != "text" || whole < shortHex && (len(c.number) >= 16 || whole == len(c.number)) || c.to-c.from > len(c.number):
				*out = append(*out, Found{Card, form, at, Mask(c.number)})
			}
		}
	}
}

// shortHex is the length of a number in hexadecimal, from which digits alone in a part of it are chance.
const shortHex = 24

// track reports whether what follows a card's number is the rest of a track 2: month and service code.
func track(b []byte) bool {
	if len(b) < 8 || b[0] != '=' && b[0] != 'D' {
		return false
	}
	for _, c := range b[1:8] {
		if !digit(c) {
			return false
		}
	}
	month := string(b[3:5])
	return month >= "01" && month <= "12"
}

// span is a card's number in a run.
type span struct {
	number   string
	from, to int
}

// cards are the card numbers in a run of digits with spaces and dashes: one that stands together, or neighbours of three to six digits each, as people write them.
func cards(run string) []span {
	var groups []span
	for i := 0; i < len(run); i++ {
		from := i
		for i < len(run) && digit(run[i]) {
			i++
		}
		groups = append(groups, span{run[from:i], from, i})
	}
	var out []span
	for i, g := range groups {
		if IsCard(g.number) {
			out = append(out, g)
			continue
		}
		n := ""
		for _, next := range groups[i:] {
			if len(next.number) < 3 || len(next.number) > 6 || len(n) > maxCard {
				break
			}
			if n += next.number; IsCard(n) {
				out = append(out, span{n, g.from, next.to})
			}
		}
	}
	return out
}

// hexRun is how long the run of hexadecimal digits is that a part belongs to.
func hexRun(b []byte, from, to int) int {
	is := func(c byte) bool { return digit(c) || c|0x20 >= 'a' && c|0x20 <= 'f' }
	for from > 0 && is(b[from-1]) {
		from--
	}
	for to < len(b) && is(b[to]) {
		to++
	}
	return to - from
}

// tracks finds track 2 in packed decimal: the number, D, a year of these decades, a month, a service code, four digits more. Numbers without all that are everywhere by
// chance.
func tracks(b []byte, form string, at int64, out *[]Found) {
	for i := 6; i < len(b)-4; i++ {
		for half := range 2 { // D in the high or the low half of byte i
			if half == 0 && b[i]>>4 != 0xD || half == 1 && b[i]&0xF != 0xD {
				continue
			}
			sep := 2*i + half
			after, ok := nibbles(b, sep+1, sep+12)
			if !ok || after[:2] < "20" || after[:2] > "49" || after[2:4] < "01" || after[2:4] > "12" || !strings.ContainsRune("12567", rune(after[4])) {
				continue
			}
			for n := maxCard; n > minCard; n-- {
				if number, ok := nibbles(b, sep-n, sep); ok && IsCard(number) {
					*out = append(*out, Found{Track, form, at + int64((sep-n)/2), Mask(number)})
					break
				}
			}
		}
	}
}

// nibbles are half bytes as digits.
func nibbles(b []byte, from, to int) (string, bool) {
	if from < 0 || to > 2*len(b) {
		return "", false
	}
	var out [20]byte
	for i := from; i < to; i++ {
		d := b[i/2] >> 4
		if i%2 == 1 {
			d = b[i/2] & 0xF
		}
		if d > 9 {
			return "", false
		}
		out[i-from] = '0' + d
	}
	return string(out[:to-from]), true
}
