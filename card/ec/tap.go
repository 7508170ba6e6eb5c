package ec

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"maps"

	"github.com/purselane/purselane/card/apdu"
	"github.com/purselane/purselane/card/tlv"
	"github.com/purselane/purselane/internal/money"
)

// ErrUncertain says that the card may have debited: it was asked and the answer that tells is missing or cannot be used. Never take the tap for failed. Recover can tell.
var ErrUncertain = errors.New("the card may have debited")

// ErrPDOL says that the card does not ask for what its own signature covers, so no tap of it could be proven.
var ErrPDOL = errors.New("PDOL lacks TTQ, amount, currency or unpredictable number")

// Tap is one tap from the answer to GET PROCESSING OPTIONS on. It is what [Tap.Bytes] keeps of it, so a terminal that lost power has the whole tap. It prints the masked
// card number.
type Tap struct {
	AID      []byte
	Sent     map[tlv.Tag][]byte // the terminal's values exactly as they went to the card
	GPO      []byte             // the card's answer
	Records  []Record           // read so far, in order
	Objects  Objects            // of the answer and the records
	AIP      AIP
	ATC      uint16
	Track2   Track2
	PSN      byte // 00 if the card has none
	IAD      IAD
	AC       [8]byte
	CTQ      CTQ
	Decision Cryptogram // the card's
	Places   []Place    // what to read; none unless Decision is TC
}

// Begin sends GET PROCESSING OPTIONS and, if the card approves, reads all records but the last. Up to here a card of PBOC 3.0 has not debited. Keep the tap's Bytes in durable
// storage before [Card.Commit].
//
// A Tap comes back even with an error once the card has answered with one. ErrUncertain among the errors means that an older card, which debits at GET PROCESSING OPTIONS,
// may have done so. A StatusError and apdu.ErrNotSent without it mean that nothing was done.
func (c *Card) Begin(ctx context.Context, terminal Terminal) (*Tap, error) {
	t, err := c.ask(ctx, terminal)
	if err != nil {
		return t, err
	}
	return t, c.readOn(ctx, t)
}

// ask sends GET PROCESSING OPTIONS.
func (c *Card) ask(ctx context.Context, terminal Terminal) (*Tap, error) {
	values, err := terminal.Values()
	if err != nil {
		return nil, err
	}
	data := c.FCI.PDOL.Fill(values)
	sent := maps.Clone(values)
	asked, at := map[tlv.Tag]int{}, 0
	for _, a := range c.FCI.PDOL {
		sent[a.Tag], asked[a.Tag] = data[at:at+a.Length], a.Length
		at += a.Length
	}
	if asked[TagTTQ] != 4 || asked[TagUN] != 4 || asked[TagAmount] != 6 || asked[TagCurrency] != 2 {
		return nil, ErrPDOL
	}
	template, err := tlv.Encode([]tlv.Object{{Tag: 0x83, Value: data}})
	if err != nil {
		return nil, err
	}
	raw, err := c.do(ctx, "GET PROCESSING OPTIONS", apdu.Command{CLA: 0x80, INS: 0xA8, Data: template, Le: 256})
	if errors.Is(err, apdu.ErrNoAnswer) {
		return nil, fmt.Errorf("%w: %w", ErrUncertain, err)
	}
	if err != nil {
		return nil, err
	}
	t, err := newTap(c.FCI.AID, sent, raw)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrUncertain, err)
	}
	return t, nil
}

// readOn reads all records but the last.
func (c *Card) readOn(ctx context.Context, t *Tap) error {
	for len(t.Records) < len(t.Places)-1 {
		r, err := c.ReadRecord(ctx, t.Places[len(t.Records)])
		if err == nil {
			err = t.add(r)
		}
		if err != nil {
			return fmt.Errorf("%w: %w", ErrUncertain, err)
		}
	}
	return nil
}

// newTap reads the answer to GET PROCESSING OPTIONS (EC facts 8).
func newTap(aid []byte, sent map[tlv.Tag][]byte, raw []byte) (*Tap, error) {
	o := Objects{}
	if err := o.Add(raw); err != nil {
		return nil, fmt.Errorf("GET PROCESSING OPTIONS: %w", err)
	}
	t := &Tap{AID: aid, Sent: sent, GPO: raw, Objects: o}
	if err := t.read(); err != nil {
		return nil, fmt.Errorf("GET PROCESSING OPTIONS: %w", err)
	}
	return t, nil
}

func (t *Tap) read() error {
	o := t.Objects
	aip, err := o.want(TagAIP, 2)
	if err != nil {
		return err
	}
	atc, err := o.want(TagATC, 2)
	if err != nil {
		return err
	}
	ac, err := o.want(TagAC, 8)
	if _, sent := o[TagAC]; err != nil && (sent || !t.Reserves()) {
		return err
	}
	t.AIP, t.ATC = AIP(aip), binary.BigEndian.Uint16(atc)
	copy(t.AC[:], ac)
	if t.Track2, err = ParseTrack2(o[TagTrack2]); err != nil {
		return err
	}
	if t.IAD, err = ParseIAD(o[TagIAD]); err != nil {
		return err
	}
	if t.Decision, err = t.IAD.CVR.Cryptogram(); err != nil {
		return err
	}
	if v, ok := o[TagPSN]; ok && len(v) == 1 {
		t.PSN = v[0]
	}
	if v, ok := o[TagCTQ]; ok && len(v) == 2 {
		t.CTQ = CTQ(v)
	}
	if t.Decision != TC {
		if ac == nil {
			return fmt.Errorf("%w: no %s", ErrMalformed, TagName(TagAC)) // only what is reserved has none
		}
		return nil
	}
	afl, err := ParseAFL(o[TagAFL])
	t.Places = afl.Places()
	return err
}

// add takes the next record.
func (t *Tap) add(r Record) error {
	if err := t.Objects.Add(r.Raw); err != nil {
		return fmt.Errorf("%v: %w", r, err)
	}
	t.Records = append(t.Records, r)
	if raw, ok := t.Objects[TagPAN]; ok {
		pan, err := ParsePAN(raw)
		if err != nil {
			return fmt.Errorf("%v: %w", r, err)
		}
		if pan != t.Track2.PAN {
			return fmt.Errorf("%v: %w: track 2 holds another one", r, ErrOtherPAN)
		}
	}
	if v, ok := t.Objects[TagPSN]; ok && len(v) == 1 {
		t.PSN = v[0]
	}
	return nil
}

// RID is the provider of the application.
func (t *Tap) RID() (r RID) { copy(r[:], t.AID); return r }

// TTQ is what was sent.
func (t *Tap) TTQ() (q TTQ) { copy(q[:], t.Sent[TagTTQ]); return q }

// Amount is what was sent.
func (t *Tap) Amount() (money.Amount, error) { return ParseAmount(t.Sent[TagAmount]) }

// Day is the day that was sent.
func (t *Tap) Day() (Date, error) { return ParseDate(t.Sent[TagDate]) }

// signed is what the card's signature must cover.
func (t *Tap) signed() (s Signed) {
	s.TTQ, s.ATC = t.TTQ(), t.ATC
	copy(s.UN[:], t.Sent[TagUN])
	copy(s.Amount[:], t.Sent[TagAmount])
	copy(s.Currency[:], t.Sent[TagCurrency])
	return s
}

// Expired reports whether the application has expired on a day. The expiry day itself is good. Without 5F24 the month of track 2 tells.
func (t *Tap) Expired(today Date) (bool, error) {
	if v, ok := t.Objects[TagExpiry]; ok {
		until, err := ParseDate(v)
		return today > until, err
	}
	e := t.Track2.Expiry
	raw := []byte{(e[2]-'0')<<4 | (e[3] - '0'), (e[0]-'0')<<4 | (e[1] - '0')}
	until, err := parseMonth(raw)
	return today > until, err
}

// Authenticate verifies certificates and signature of a tap whose records are all read.
func (t *Tap) Authenticate(a *Authorities) error {
	today, err := t.Day()
	if err != nil {
		return err
	}
	key, err := a.Chain(t.RID(), t.Objects, t.Records, t.AIP, t.Track2.PAN, today)
	if err != nil {
		return err
	}
	return CheckSignature(key, t.Objects, t.signed())
}

// Check is the decision before the last record: everything that can refuse the card while it is not debited (EC facts 10). denied says whether the card is on the
// deny list or of an issuer that is not accepted. Certificates that are not complete before the last record are left to Authenticate.
func (t *Tap) Check(a *Authorities, denied bool) (Decision, error) {
	today, err := t.Day()
	if err != nil {
		return Decline, err
	}
	expired, err := t.Expired(today)
	if err != nil {
		return Decline, err
	}
	f := Facts{Card: t.Decision, TTQ: t.TTQ(), CTQ: t.CTQ, Expired: expired, Denied: denied}
	if t.Decision == TC {
		f.ODA = t.early(a, today)
	}
	return Decide(f)
}

// early is what can be authenticated before the last record.
func (t *Tap) early(a *Authorities, today Date) error {
	if !t.AIP.DDA() {
		return ErrNoDDA
	}
	wanted := []tlv.Tag{TagCAIndex, TagIssuerCertificate, TagICCCertificate, TagIssuerExponent, TagICCExponent}
	if index := t.Objects[TagCAIndex]; len(index) == 1 {
		switch rsa, sm2 := a.kinds(t.RID(), index[0]); {
		case !rsa && !sm2:
			return fmt.Errorf("%w: %v index %02X", ErrUnknownCA, t.RID(), index[0]) // whatever the last record brings
		case !rsa:
			wanted = wanted[:3] // these have no exponents
		}
	}
	for _, want := range wanted {
		if _, ok := t.Objects[want]; !ok {
			return nil
		}
	}
	if len(t.Places) > 0 && t.Places[len(t.Places)-1].Signed {
		return nil // the static data is not complete
	}
	key, err := a.Chain(t.RID(), t.Objects, t.Records, t.AIP, t.Track2.PAN, today)
	if err != nil {
		return err
	}
	if _, ok := t.Objects[TagSDAD]; ok && !t.TTQ().FDDA01() {
		return CheckSignature(key, t.Objects, t.signed())
	}
	return nil
}

// Commit reads the last record: the debit. It returns nil once the card has answered it, and the tap is completed if Authenticate then finds it good. A tap that
// fails there is a debited card and a refused ride, and must be recorded as that. Any error is ErrUncertain, status words too: the tap goes to [Card.Recover].
func (c *Card) Commit(ctx context.Context, t *Tap) error {
	if t.Decision != TC || len(t.Records) != len(t.Places)-1 {
		return fmt.Errorf("ec: %v is not at its last record", t)
	}
	r, err := c.ReadRecord(ctx, t.Places[len(t.Records)])
	if err == nil {
		err = t.add(r)
	}
	if err != nil {
		return fmt.Errorf("%w: %w", ErrUncertain, err)
	}
	return nil
}

// String prints the masked card number.
func (t *Tap) String() string {
	return fmt.Sprintf("EC tap of %v, %v, ATC %d", t.Track2.PAN, t.Decision, t.ATC)
}

// Format masks under every verb.
func (t *Tap) Format(f fmt.State, _ rune) { io.WriteString(f, t.String()) }

// MarshalText masks in JSON and YAML. [Tap.Bytes] is the way to keep a tap.
func (t *Tap) MarshalText() ([]byte, error) { return []byte(t.String()), nil }

// LogValue masks in structured logs.
func (t *Tap) LogValue() slog.Value { return slog.StringValue(t.String()) }
