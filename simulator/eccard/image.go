package eccard

import (
	"crypto/rsa"
	"crypto/x509"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"strconv"

	"github.com/purselane/purselane/card/ec"
	"github.com/purselane/purselane/card/tlv"
	"github.com/purselane/purselane/internal/money"
	"github.com/purselane/purselane/simulator/image"
)

// IssuerImage is what an issuer's file keeps: the keys of its authority, its own, and the transit operator's. The master keys of its cards are
// the scheme's, and not in it.
type IssuerImage struct {
	IIN        image.Bytes `json:"iin"`    // 4 bytes, filled with F
	CA         image.Bytes `json:"ca"`     // PKCS #1
	Signer     image.Bytes `json:"signer"` // PKCS #1
	Initial    image.Key   `json:"operator_initial"`
	Management image.Key   `json:"operator_management"`
}

// Image is the issuer as its file keeps it, without SM2 and SM4.
func (i *Issuer) Image() IssuerImage {
	return IssuerImage{
		IIN: image.Bytes(i.iin[:]), CA: image.Bytes(x509.MarshalPKCS1PrivateKey(i.ca)), Signer: image.Bytes(x509.MarshalPKCS1PrivateKey(i.signer)),
		Initial: image.Key{Key: i.operator.initial}, Management: image.Key{Key: i.operator.management},
	}
}

// OpenIssuer is the issuer of an image, with 3DES master keys. It makes no cards with SM2.
func OpenIssuer(img IssuerImage, masters ec.Masters, chance io.Reader) (*Issuer, error) {
	if len(img.IIN) != 4 {
		return nil, fmt.Errorf("eccard: issuer identifier of %d bytes, want 4", len(img.IIN))
	}
	i := &Issuer{chance: chance, iin: [4]byte([]byte(img.IIN)), masters: masters}
	i.operator.initial, i.operator.management = img.Initial.Key, img.Management.Key
	for _, k := range []struct {
		raw  image.Bytes
		bits int
		to   **rsa.PrivateKey
	}{{img.CA, caBits, &i.ca}, {img.Signer, issuerBits, &i.signer}} {
		key, err := x509.ParsePKCS1PrivateKey([]byte(k.raw))
		if err != nil || key.N.BitLen() != k.bits || key.E != publicExponent {
			return nil, fmt.Errorf("eccard: issuer's file: want an RSA key of %d bits with exponent %d", k.bits, publicExponent) // the cause may quote the key
		}
		*k.to = key
	}
	i.certify()
	return i, nil
}

// publicExponent is what crypto/rsa makes.
const publicExponent = 65537

// Record is a record of a card's file.
type Record struct {
	SFI    byte        `json:"sfi"`
	Number byte        `json:"number"`
	Raw    image.Bytes `json:"raw"`
}

// TransitFile is an operator's file of a card.
type TransitFile struct {
	Initial image.Key       `json:"initial"`
	Room    int             `json:"room"`
	Records []TransitRecord `json:"records"`
}

// TransitRecord is one record of it.
type TransitRecord struct {
	Key  image.Key   `json:"key"`
	Data image.Bytes `json:"data"`
}

// Reservation is what a pre-authorisation has taken.
type Reservation struct {
	SFI    byte         `json:"sfi"`
	ID     image.Bytes  `json:"id"`
	Amount money.Amount `json:"amount"`
}

// Image is the whole non-volatile memory of a card of one issuer with RSA and 3DES.
type Image struct {
	PAN  image.Bytes `json:"pan"` // as certificates have it, 10 bytes
	PSN  byte        `json:"psn"`
	Key  image.Bytes `json:"key"` // PKCS #1
	AC   image.Key   `json:"ac"`
	MAC  image.Key   `json:"mac"`
	ENC  image.Key   `json:"enc"`
	PDOL image.Bytes `json:"pdol"`

	Records []Record               `json:"records"` // in reading order
	Online  Record                 `json:"online"`  // what full PBOC reads besides
	Data    map[string]image.Bytes `json:"data"`    // by tag: balance, limits

	ATC        uint16        `json:"atc"`
	Cumulative money.Amount  `json:"cumulative"`
	Mismatches byte          `json:"mismatches"`
	Last       *Record       `json:"last"` // the answer to the last committed tap's last record
	Log        []image.Bytes `json:"log"`  // newest first
	Loads      []image.Bytes `json:"loads"`
	PIN        image.Bytes   `json:"pin"`
	Blocked    bool          `json:"blocked"`
	Dead       bool          `json:"dead"`

	SessionOpen  bool `json:"session_open"` // went online and got no second cryptogram
	AuthFailed   bool `json:"auth_failed"`
	Scripts      byte `json:"scripts"`
	ScriptFailed bool `json:"script_failed"`
	MACFailures  int  `json:"mac_failures"`

	Files    map[string]TransitFile `json:"files"` // by number
	ProofATC uint16                 `json:"proof_atc"`
	ProofTC  image.Bytes            `json:"proof_tc"`
	Reserved []Reservation          `json:"reserved"`
}

// errSM is of cards that no image holds.
var errSM = errors.New("eccard: a card with SM2 lives in memory alone")

func texts(list [][]byte) (out []image.Bytes) {
	for _, b := range list {
		out = append(out, image.Bytes(b))
	}
	return out
}

func raws(list []image.Bytes) (out [][]byte) {
	for _, b := range list {
		out = append(out, []byte(b))
	}
	return out
}

func recordImage(r ec.Record) Record {
	return Record{SFI: r.SFI, Number: r.Number, Raw: image.Bytes(r.Raw)}
}

func (r Record) record() ec.Record {
	return ec.Record{Place: ec.Place{SFI: r.SFI, Number: r.Number}, Raw: []byte(r.Raw)}
}

// Image is a copy of the card's memory.
func (c *Card) Image() (Image, error) {
	if c.sm != nil {
		return Image{}, errSM
	}
	m := Image{
		PAN: image.Bytes(c.pan[:]), PSN: c.psn, Key: image.Bytes(c.key), AC: image.Key{Key: c.plain.ac}, MAC: image.Key{Key: c.plain.mac}, ENC: image.Key{Key: c.plain.enc},
		PDOL: image.Bytes(c.pdol), Online: recordImage(c.online), Data: map[string]image.Bytes{}, ATC: c.atc, Cumulative: c.cumulative, Mismatches: c.mismatches,
		Log: texts(c.log), Loads: texts(c.loads), PIN: image.Bytes(pinBlock(c.pin)), Blocked: c.blocked, Dead: c.dead,
		SessionOpen: c.history.open, AuthFailed: c.history.authFailed, Scripts: c.history.scripts, ScriptFailed: c.history.scriptFailed, MACFailures: c.history.macFailures,
		Files: map[string]TransitFile{},
	}
	for _, r := range c.plain.records {
		m.Records = append(m.Records, recordImage(r))
	}
	for t, v := range c.data {
		m.Data[fmt.Sprintf("%X", uint32(t))] = image.Bytes(v)
	}
	if c.last != nil {
		m.Last = &Record{SFI: c.place.SFI, Number: c.place.Number, Raw: image.Bytes(c.last)}
	}
	for sfi, f := range c.files {
		file := TransitFile{Initial: image.Key{Key: f.initial}, Room: f.room}
		for _, r := range f.records {
			file.Records = append(file.Records, TransitRecord{image.Key{Key: r.key}, image.Bytes(r.data)})
		}
		m.Files[strconv.Itoa(int(sfi))] = file
	}
	if c.proof != nil {
		m.ProofATC, m.ProofTC = c.proof.atc, image.Bytes(c.proof.tc[:])
	}
	for _, r := range c.open {
		m.Reserved = append(m.Reserved, Reservation{r.sfi, image.Bytes(r.id[:]), r.amount})
	}
	return m, nil
}

// pinBlock is a PIN as VERIFY carries it; of none nothing.
func pinBlock(p ec.PIN) []byte {
	if p.IsZero() {
		return nil
	}
	block := p.Block()
	return block[:]
}

func pinOf(block image.Bytes) (ec.PIN, error) {
	if block == "" {
		return ec.PIN{}, nil
	}
	digits := hex.EncodeToString([]byte(block))
	if len(digits) != 16 || int(block[0]&0x0F) > len(digits)-2 {
		return ec.PIN{}, ec.ErrPIN
	}
	return ec.NewPIN(digits[2 : 2+int(block[0]&0x0F)])
}

// Format prints no key and no card number.
func (m Image) Format(f fmt.State, _ rune) { io.WriteString(f, "[memory of a simulated EC card]") }

// Format prints no key.
func (IssuerImage) Format(f fmt.State, _ rune) { io.WriteString(f, "[keys of a simulated EC issuer]") }

// New is the card of an image, out of the field.
func New(m Image, chance io.Reader) (*Card, error) {
	bad := func(format string, args ...any) (*Card, error) {
		return nil, fmt.Errorf("EC card image: "+format, args...)
	}
	pan, err := ec.ParsePAN([]byte(m.PAN))
	if err != nil {
		return bad("pan: no card number of 10 bytes")
	}
	key, err := x509.ParsePKCS1PrivateKey([]byte(m.Key))
	if err != nil {
		return bad("key: want PKCS #1") // the cause may quote the key
	}
	pin, err := pinOf(m.PIN)
	if err != nil {
		return bad("pin: %w", err)
	}
	if len(m.Records) != len(afl.Places()) {
		return bad("%d records: want %d", len(m.Records), len(afl.Places()))
	}
	c := &Card{
		chance: chance, pan: pan, psn: m.PSN, key: []byte(m.Key), pin: pin, pdol: []byte(m.PDOL), online: m.Online.record(), data: map[tlv.Tag][]byte{}, files: map[byte]*transitFile{},
		atc: m.ATC, cumulative: m.Cumulative, mismatches: m.Mismatches, log: raws(m.Log), loads: raws(m.Loads), blocked: m.Blocked, dead: m.Dead,
		history: history{m.SessionOpen, m.AuthFailed, m.Scripts, m.ScriptFailed, m.MACFailures}, gone: true,
		plain: &variant{suite: ec.Suite3DES, dki: dki, ac: m.AC.Key, mac: m.MAC.Key, enc: m.ENC.Key, afl: afl, dynamic: signRSA(key)},
	}
	c.now = c.plain
	for n, at := range afl.Places() {
		r := m.Records[n].record()
		if r.SFI != at.SFI || r.Number != at.Number {
			return bad("record %d is number %d of file %d: want number %d of file %d", n, r.Number, r.SFI, at.Number, at.SFI)
		}
		r.Place = at
		c.plain.records = append(c.plain.records, r)
	}
	for text, v := range m.Data {
		tag, err := strconv.ParseUint(text, 16, 32)
		if err != nil {
			return bad("data: tag %q: want hexadecimal digits", text)
		}
		c.data[tlv.Tag(tag)] = []byte(v)
	}
	if err := c.wants(); err != nil {
		return nil, err
	}
	if m.Last != nil {
		c.last, c.place = []byte(m.Last.Raw), ec.Place{SFI: m.Last.SFI, Number: m.Last.Number}
	}
	for text, f := range m.Files {
		sfi, err := strconv.ParseUint(text, 10, 5)
		if err != nil {
			return bad("files: %q: want a file number of 1 to 30", text)
		}
		file := &transitFile{initial: f.Initial.Key, room: f.Room}
		for _, r := range f.Records {
			if len(r.Data) < 2 {
				return bad("files: a record without an ID")
			}
			file.records = append(file.records, transitRecord{key: r.Key.Key, data: []byte(r.Data)})
		}
		c.files[byte(sfi)] = file
	}
	if len(m.ProofTC) == 8 {
		c.proof = &proof{m.ProofATC, [8]byte([]byte(m.ProofTC))}
	}
	for _, r := range m.Reserved {
		if len(r.ID) != 2 {
			return bad("reserved: want an ID of 2 bytes")
		}
		c.open = append(c.open, reservation{r.SFI, [2]byte([]byte(r.ID)), r.Amount})
	}
	return c, nil
}

// wants returns an error unless the card has what its work rests on: amounts that are amounts, and the sizes of what it counts in.
func (c *Card) wants() error {
	for _, t := range []tlv.Tag{ec.TagBalance, ec.TagBalanceLimit, ec.TagSingleLimit, ec.TagResetThreshold} {
		if _, err := ec.ParseAmount(c.data[t]); err != nil {
			return fmt.Errorf("EC card image: data: %X: want an amount", uint32(t))
		}
	}
	for _, t := range []tlv.Tag{ec.TagCVMLimit, tagCumulativeLimit, tagCumulativeUpper, ec.TagDepositLimit, ec.TagDepositUsed} {
		if v, ok := c.data[t]; ok {
			if _, err := ec.ParseAmount(v); err != nil {
				return fmt.Errorf("EC card image: data: %X: want an amount", uint32(t))
			}
		}
	}
	for t, n := range map[tlv.Tag]int{ec.TagProcesses: 4, ec.TagLastOnlineATC: 2} {
		if len(c.data[t]) != n {
			return fmt.Errorf("EC card image: data: %X: want %d bytes", uint32(t), n)
		}
	}
	return nil
}
