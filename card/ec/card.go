package ec

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/purselane/purselane/card/apdu"
	"github.com/purselane/purselane/card/tlv"
)

// Kinds of answer, each with its own remedy. A StatusError unwraps to one of them where it is known.
var (
	// ErrNoApplication: the card has no application that the terminal accepts.
	ErrNoApplication = errors.New("no accepted application on the card")
	// ErrBlocked: the application or the card is blocked.
	ErrBlocked = errors.New("blocked")
	// ErrOtherInterface: the card wants another interface (6984).
	ErrOtherInterface = errors.New("card wants another interface")
	// ErrConditions: the card cannot do it under these conditions (6985), such as a CVM that the reader does not have.
	ErrConditions = errors.New("conditions of use not satisfied")
	// ErrMAC: the card refuses the MAC of a command (6988). After a script's no script of the session will run.
	ErrMAC = errors.New("card refuses the MAC of the command")
	// ErrNotFound: no such file, record or data object.
	ErrNotFound = errors.New("file, record or data object not found")
)

// StatusError is a card's answer with any status word but 9000.
type StatusError struct {
	Command string // by the standard's name
	SW      apdu.SW
}

// Error names command and status word.
func (e *StatusError) Error() string {
	if kind := e.Unwrap(); kind != nil {
		return fmt.Sprintf("%s: %v %v", e.Command, e.SW, kind)
	}
	return fmt.Sprintf("%s: %v", e.Command, e.SW)
}

// Unwrap lets errors.Is see the kind through the status word. It is nil where none is known.
func (e *StatusError) Unwrap() error {
	switch e.SW {
	case 0x6283, 0x6A81:
		return ErrBlocked
	case 0x6988:
		return ErrMAC
	case 0x6984:
		return ErrOtherInterface
	case 0x6985:
		return ErrConditions
	case 0x6971:
		return ErrPreAuthFull
	case 0x6972:
		return ErrPreAuthOpen
	case 0x6973:
		return ErrNoPreAuth
	case 0x6976:
		return ErrOverLimit
	case 0x6974:
		return ErrRecordNotWritten
	case 0x9406:
		return ErrNoProof
	case 0x6A84:
		return ErrSpace
	case 0x6A82, 0x6A83, 0x6A88:
		return ErrNotFound
	}
	return nil
}

// Accepted is one AID that a terminal accepts. A card's AID matches by its beginning, or exactly.
type Accepted struct {
	AID   []byte
	Exact bool
}

// AIDs of the debit, credit, quasi-credit and pure EC products begin alike (EC facts 2); US common debit (…08) does not belong to EC.
var (
	AIDDebit       = []byte{0xA0, 0x00, 0x00, 0x03, 0x33, 0x01, 0x01, 0x01}
	AIDCredit      = []byte{0xA0, 0x00, 0x00, 0x03, 0x33, 0x01, 0x01, 0x02}
	AIDQuasiCredit = []byte{0xA0, 0x00, 0x00, 0x03, 0x33, 0x01, 0x01, 0x03}
	AIDPureEC      = []byte{0xA0, 0x00, 0x00, 0x03, 0x33, 0x01, 0x01, 0x06}
)

// Candidate is one application that a card's directory lists.
type Candidate struct {
	AID      []byte
	Label    string
	Priority byte // 1 is highest, 15 lowest; 0: none given, after all others
	Confirm  bool // the card holder must agree
}

// Candidates reads the answer to SELECT PPSE.
func Candidates(fci []byte) ([]Candidate, error) {
	list, err := tlv.Decode(fci)
	if err != nil {
		return nil, fmt.Errorf("PPSE: %w: %w", ErrMalformed, err)
	}
	for _, under := range []tlv.Tag{0x6F, 0xA5, 0xBF0C} {
		at := slices.IndexFunc(list, func(o tlv.Object) bool { return o.Tag == under })
		if at < 0 {
			return nil, fmt.Errorf("PPSE: %w: no template %X", ErrMalformed, uint32(under))
		}
		list = list[at].Children
	}
	var out []Candidate
	for _, o := range list {
		if o.Tag != 0x61 {
			continue
		}
		aid, ok := tlv.Find(o.Children, TagAID)
		if !ok || len(aid) < 5 || len(aid) > 16 {
			return nil, fmt.Errorf("PPSE: %w: entry without an AID of 5 to 16 bytes", ErrMalformed)
		}
		c := Candidate{AID: aid}
		if label, ok := tlv.Find(o.Children, TagLabel); ok {
			c.Label = string(label)
		}
		if p, ok := tlv.Find(o.Children, TagPriority); ok && len(p) == 1 {
			c.Priority, c.Confirm = p[0]&0x0F, p[0]&0x80 != 0
		}
		out = append(out, c)
	}
	return out, nil
}

// Choose keeps what both sides accept, the card's highest priority first. Applications that need the card holder's agreement are left out: a gate cannot ask.
func Choose(listed []Candidate, accepted []Accepted) []Candidate {
	var out []Candidate
	for _, c := range listed {
		if !c.Confirm && slices.ContainsFunc(accepted, func(a Accepted) bool {
			return strings.HasPrefix(string(c.AID), string(a.AID)) && (!a.Exact || len(a.AID) == len(c.AID))
		}) {
			out = append(out, c)
		}
	}
	slices.SortStableFunc(out, func(a, b Candidate) int { return int(a.Priority-1) - int(b.Priority-1) }) // 0 wraps to the lowest
	return out
}

// FCI is what SELECT of an application says.
type FCI struct {
	AID  []byte
	PDOL DOL
	Rest Objects // all of it
}

// Card is a selected application. It is a thin layer over a Transmitter: no state but the channel and what SELECT said.
type Card struct {
	t   apdu.Transmitter
	FCI FCI
}

// Select selects the PPSE and then the best application that both sides accept. One that cannot be selected gives way to the next; a blocked one does not (EC facts 2).
func Select(ctx context.Context, t apdu.Transmitter, accepted []Accepted) (*Card, error) {
	return choose(ctx, t, accepted, false)
}

// SelectBlocked is Select that takes a blocked application too, for an issuer that unblocks it.
func SelectBlocked(ctx context.Context, t apdu.Transmitter, accepted []Accepted) (*Card, error) {
	return choose(ctx, t, accepted, true)
}

func choose(ctx context.Context, t apdu.Transmitter, accepted []Accepted, blockedToo bool) (*Card, error) {
	c := &Card{t: t}
	raw, err := c.do(ctx, "SELECT PPSE", apdu.Command{INS: 0xA4, P1: 0x04, Data: []byte("2PAY.SYS.DDF01"), Le: 256})
	if errors.Is(err, ErrNotFound) {
		return nil, fmt.Errorf("%w: no PPSE: %w", ErrNoApplication, err)
	}
	if err != nil {
		return nil, err
	}
	listed, err := Candidates(raw)
	if err != nil {
		return nil, err
	}
	for _, candidate := range Choose(listed, accepted) {
		r, err := apdu.Exchange(ctx, t, apdu.Command{INS: 0xA4, P1: 0x04, Data: candidate.AID, Le: 256})
		refused := &StatusError{Command: "SELECT", SW: r.SW}
		switch {
		case err != nil:
			return nil, fmt.Errorf("SELECT: %w", err)
		case r.SW == apdu.OK, blockedToo && r.SW == 0x6283:
		case errors.Is(refused, ErrBlocked):
			return nil, refused
		default:
			continue
		}
		o := Objects{}
		if err := o.Add(r.Data); err != nil {
			return nil, fmt.Errorf("SELECT: %w", err)
		}
		dol, err := ParseDOL(o[TagPDOL])
		if err != nil {
			return nil, fmt.Errorf("SELECT: PDOL: %w", err)
		}
		if len(o[TagDFName]) < 5 {
			return nil, fmt.Errorf("SELECT: %w: no DF name", ErrMalformed)
		}
		c.FCI = FCI{AID: o[TagDFName], PDOL: dol, Rest: o}
		return c, nil
	}
	return nil, ErrNoApplication
}

// do sends one command and returns its data, or a *StatusError for any status word but 9000.
func (c *Card) do(ctx context.Context, name string, a apdu.Command) ([]byte, error) {
	r, err := apdu.Exchange(ctx, c.t, a)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	if r.SW != apdu.OK {
		return nil, &StatusError{Command: name, SW: r.SW}
	}
	return r.Data, nil
}

// ReadRecord reads a record. Reading the last record of an approved tap is the debit: see [Card.Commit].
func (c *Card) ReadRecord(ctx context.Context, p Place) (Record, error) {
	raw, err := c.do(ctx, "READ RECORD", apdu.Command{INS: 0xB2, P1: p.Number, P2: p.SFI<<3 | 4, Le: 256})
	return Record{Place: p, Raw: raw}, err
}

// GetData reads a data object of a two-byte tag (80CA), such as the balance 9F79 or the ATC 9F36.
func (c *Card) GetData(ctx context.Context, t tlv.Tag) ([]byte, error) {
	raw, err := c.do(ctx, "GET DATA", apdu.Command{CLA: 0x80, INS: 0xCA, P1: byte(t >> 8), P2: byte(t), Le: 256})
	if err != nil {
		return nil, err
	}
	o := Objects{}
	if err := o.Add(raw); err != nil {
		return nil, fmt.Errorf("GET DATA: %w", err)
	}
	v, ok := o[t]
	if !ok {
		return nil, fmt.Errorf("GET DATA: %w: the answer is not %s", ErrMalformed, TagName(t))
	}
	return v, nil
}

// String prints the application's AID.
func (c *Card) String() string {
	return "EC application " + strings.ToUpper(hex.EncodeToString(c.FCI.AID))
}
