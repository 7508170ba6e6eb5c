package psam

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"slices"
	"sync"

	"github.com/purselane/purselane/card/apdu"
	"github.com/purselane/purselane/card/ep"
	"github.com/purselane/purselane/card/keys"
	"github.com/purselane/purselane/simulator/image"
)

// Status words (purse facts 5.6 and chapter 11).
const (
	swMemory     apdu.SW = 0x6581
	swLength     apdu.SW = 0x6700
	swOrder      apdu.SW = 0x6901
	swLocked     apdu.SW = 0x6983
	swNoFile     apdu.SW = 0x6A82
	swData       apdu.SW = 0x6A80
	swP1P2       apdu.SW = 0x6A86
	swOffset     apdu.SW = 0x6B00
	swINS        apdu.SW = 0x6D00
	swCLA        apdu.SW = 0x6E00
	swMAC        apdu.SW = 0x9302
	swCounterMax apdu.SW = 0x9402
	swKey        apdu.SW = 0x9403
)

var fidMF = []byte{0x3F, 0x00}

// PSAM is a virtual PSAM. It is safe for concurrent use: commands are carried out one after the other.
type PSAM struct {
	mu   sync.Mutex
	img  Image
	file *image.File // nil: the PSAM lives as long as the program

	// Volatile: gone with power, reset and SELECT.
	selected bool   // the purse application; otherwise the MF
	purchase *want  // started by 8070, ended by 8072
	code     []byte // of GET MESSAGE, for the next 8070

	delivered *keys.Key // derived by DELIVERY KEY, for CIPHER DATA
}

// want is the purchase in progress: the MAC2 its card will send.
type want struct{ mac2 [4]byte }

// New makes a PSAM in memory. After it ends, its serials start again: a PSAM whose debits outlive the program needs a file.
func New(img Image) (*PSAM, error) {
	if err := img.Check(); err != nil {
		return nil, fmt.Errorf("PSAM image: %w", err)
	}
	img.Keys, img.Maintenance = slices.Clone(img.Keys), slices.Clone(img.Maintenance)
	return &PSAM{img: img}, nil
}

// CreateFile makes a PSAM whose memory is a new file at path. A file that exists is an error.
func CreateFile(path string, img Image) (*PSAM, error) {
	p, err := New(img)
	if err != nil {
		return nil, err
	}
	p.file, err = image.Create(path, img)
	if err != nil {
		return nil, err
	}
	return p, nil
}

// OpenFile takes up the PSAM whose memory is the file at path. No other program can open it until Close.
func OpenFile(path string) (*PSAM, error) {
	p, f, err := image.OpenAs(path, New)
	if err != nil {
		return nil, err
	}
	p.file = f
	return p, nil
}

// Close gives the PSAM's file free. The PSAM must not be used after it.
func (p *PSAM) Close() error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.file == nil {
		return nil
	}
	return p.file.Close()
}

// Image returns the PSAM's memory as of now, for checkers.
func (p *PSAM) Image() Image {
	p.mu.Lock()
	defer p.mu.Unlock()
	img := p.img
	img.Keys, img.Maintenance = slices.Clone(img.Keys), slices.Clone(img.Maintenance)
	return img
}

// Power switches the slot on or off; either way the PSAM starts cold.
func (p *PSAM) Power(bool) { p.Reset() }

// Reset forgets selection and the purchase in progress.
func (p *PSAM) Reset() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.selected, p.purchase, p.code, p.delivered = false, nil, nil, nil
}

// Transmit carries out one command APDU. It always answers.
func (p *PSAM) Transmit(_ context.Context, command []byte) ([]byte, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	cmd, err := apdu.ParseCommand(command)
	if err != nil {
		return sw(swLength).Bytes(), nil
	}
	return p.dispatch(cmd).Bytes(), nil
}

func sw(s apdu.SW) apdu.Response { return apdu.Response{SW: s} }

func (p *PSAM) dispatch(cmd apdu.Command) apdu.Response {
	switch cmd.CLA {
	case 0x00:
		switch cmd.INS {
		case 0xA4:
			return p.selectFile(cmd)
		case 0xB0:
			return p.readBinary(cmd)
		}
		return sw(swINS)
	case 0x80:
		switch cmd.INS {
		case 0x70:
			return p.initPurchase(cmd)
		case 0x72:
			return p.creditPurchase(cmd)
		case 0xCA:
			return p.takeCode(cmd)
		case 0x1A:
			return p.deliverKey(cmd)
		case 0xFA:
			return p.cipherData(cmd)
		}
		return sw(swINS)
	}
	return sw(swCLA)
}

// selectFile is SELECT by name (P1 04) or FID (P1 00) of the MF or the purse application.
func (p *PSAM) selectFile(cmd apdu.Command) apdu.Response {
	if cmd.P1 != 0x00 && cmd.P1 != 0x04 || cmd.P2 != 0 {
		return sw(swP1P2)
	}
	name := p.img.AID
	if cmd.P1 == 0x00 {
		name = p.img.FID
	}
	switch {
	case cmd.P1 == 0x00 && (len(cmd.Data) == 0 || bytes.Equal(cmd.Data, fidMF)):
		p.selected, p.purchase, p.code, p.delivered = false, nil, nil, nil
		return apdu.Response{SW: apdu.OK}
	case bytes.Equal(cmd.Data, []byte(name)):
		p.selected, p.purchase, p.code, p.delivered = true, nil, nil, nil
		fci := append([]byte{0x6F, byte(2 + len(p.img.AID)), 0x84, byte(len(p.img.AID))}, p.img.AID...)
		return apdu.Response{Data: fci, SW: apdu.OK}
	}
	return sw(swNoFile)
}

func (p *PSAM) readBinary(cmd apdu.Command) apdu.Response {
	if cmd.P1&0xE0 != 0x80 || len(cmd.Data) > 0 {
		return sw(swP1P2)
	}
	content, offset := p.content(cmd.P1&0x1F), int(cmd.P2)
	switch {
	case content == "":
		return sw(swNoFile)
	case offset >= len(content):
		return sw(swOffset)
	}
	content = content[offset:]
	switch {
	case cmd.Le == 0 || cmd.Le == 256:
	case cmd.Le > len(content):
		return sw(0x6C00 | apdu.SW(len(content)))
	default:
		content = content[:cmd.Le]
	}
	return apdu.Response{Data: []byte(content), SW: apdu.OK}
}

// content returns a transparent file of the selected directory (purse facts 5.1), empty if there is none.
func (p *PSAM) content(sfi byte) image.Bytes {
	switch {
	case !p.selected && sfi == 0x15:
		return p.img.Info
	case !p.selected && sfi == 0x16:
		return p.img.Terminal
	case p.selected && sfi == 0x17:
		return p.img.App
	case p.selected && sfi == 0x18: // terminal transaction serial, as one issuer's PSAM shows it
		return image.Bytes(binary.BigEndian.AppendUint32(nil, p.img.NextSerial))
	}
	return ""
}

// takeCode is GET MESSAGE as city-union PSAMs have it: the card's 9 bytes, which the MAC1 of the next purchase covers and no other
// (purse facts 3.11).
func (p *PSAM) takeCode(cmd apdu.Command) apdu.Response {
	p.code = nil
	switch {
	case !p.selected:
		return sw(swNoFile)
	case cmd.P1 != 0 || cmd.P2 != 0:
		return sw(swP1P2)
	case len(cmd.Data) != len(ep.CityCode{}):
		return sw(swLength)
	}
	p.code = cmd.Data
	return sw(apdu.OK)
}

func (p *PSAM) locked() bool { return p.img.MAC2Errors >= p.img.MAC2Limit }

// initPurchase is INIT SAM FOR PURCHASE: 8070 with Lc 20 + 8 per diversification level. The serial is stored before the
// reply, so that one that was lost on the way is lost for ever and never used again.
func (p *PSAM) initPurchase(cmd apdu.Command) apdu.Response {
	code := p.code
	p.purchase, p.code = nil, nil
	switch {
	case !p.selected:
		return sw(swNoFile)
	case p.locked():
		return sw(swLocked)
	case cmd.P1 != 0 || cmd.P2 != 0:
		return sw(swP1P2)
	}
	d := cmd.Data
	if len(d) != 28 && len(d) != 36 && len(d) != 44 {
		return sw(swLength)
	}
	if cmd.Le != 0 && cmd.Le != 256 && cmd.Le != 8 {
		return sw(0x6C08)
	}
	key, found := p.key(d[18], d[19])
	if !found {
		return sw(swKey)
	}
	if p.img.Exhausted {
		return sw(swCounterMax)
	}
	amount, kind, at := ep.GetAmount(d[6:10]), ep.Type(d[10]), ep.DateTime(d[11:18])
	cipher := keys.CipherOf(d[19], p.img.SM4Algorithm)
	dpk := cipher.Diversify(key, factors(d[20:])...)
	session := ep.PurchaseSession([4]byte(d[0:4]), binary.BigEndian.Uint16(d[4:6]), p.img.NextSerial)
	mac1 := cipher.SessionMAC(dpk, session, slices.Concat(ep.PurchaseMAC1(amount, kind, p.img.Number(), at), code))

	serial := p.img.NextSerial
	next := p.img
	if serial == math.MaxUint32 {
		next.Exhausted = true
	} else {
		next.NextSerial++
	}
	if s := p.commit(next); s != apdu.OK {
		return sw(s)
	}
	p.purchase = &want{mac2: cipher.SessionMAC(dpk, session, ep.PurchaseMAC2(amount))}
	return apdu.Response{Data: append(binary.BigEndian.AppendUint32(nil, serial), mac1[:]...), SW: apdu.OK}
}

// factors returns the diversification factors in the order of derivation, issuer first: on the wire the serial stands
// first (purse facts 5.2, C17).
func factors(wire []byte) [][8]byte {
	var out [][8]byte
	for ; len(wire) >= 8; wire = wire[8:] {
		out = append(out, [8]byte(wire))
	}
	slices.Reverse(out)
	return out
}

func (p *PSAM) key(version, algorithm byte) (keys.Key, bool) {
	for _, k := range p.img.Keys {
		if k.Version == version && k.Algorithm == algorithm {
			return k.Key.Key, true
		}
	}
	return keys.Key{}, false
}

// creditPurchase is CREDIT SAM FOR PURCHASE: 8072 with the card's MAC2. A wrong one ends the purchase, so that nobody can
// try on, and too many in a row lock the PSAM.
func (p *PSAM) creditPurchase(cmd apdu.Command) apdu.Response {
	switch {
	case !p.selected:
		return sw(swNoFile)
	case p.locked():
		return sw(swLocked)
	case cmd.P1 != 0 || cmd.P2 != 0:
		return sw(swP1P2)
	case len(cmd.Data) != 4:
		return sw(swLength)
	case p.purchase == nil:
		return sw(swOrder)
	}
	good := p.purchase.mac2 == [4]byte(cmd.Data)
	p.purchase = nil
	next := p.img
	if good {
		next.MAC2Errors = 0
	} else {
		next.MAC2Errors++
	}
	if next.MAC2Errors != p.img.MAC2Errors {
		if s := p.commit(next); s != apdu.OK {
			return sw(s)
		}
	}
	if !good {
		return sw(swMAC)
	}
	return sw(apdu.OK)
}

// commit makes next the PSAM's memory, or answers 6581 when the file did not take it. After ErrNotDurable the serial counts
// as used: better one lost than one used twice.
func (p *PSAM) commit(next Image) apdu.SW {
	if p.file != nil {
		err := p.file.Save(next)
		if errors.Is(err, image.ErrNotDurable) {
			p.img = next
		}
		if err != nil {
			return swMemory
		}
	}
	p.img = next
	return apdu.OK
}
