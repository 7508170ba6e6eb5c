package edge

import (
	"context"
	"errors"
	"fmt"
	"sync"

	"github.com/purselane/purselane/card/apdu"
	"github.com/purselane/purselane/card/ep"
	"github.com/purselane/purselane/card/keys"
	"github.com/purselane/purselane/terminal/reader"
)

// ErrOtherPSAM says that another PSAM is in the slot than the one the terminal started with.
var ErrOtherPSAM = errors.New("another PSAM is in the slot: put the old one back, or restart the terminal and register the new one at the backend")

// PSAM is a PSAM in the slot of a reader. A PSAM that was pulled, or a slot that was lost, is opened again by the next call,
// so the terminal that holds it comes back to service by itself.
type PSAM struct {
	r           reader.Reader
	application []byte
	number      ep.TerminalNumber
	keyIndex    byte

	mu   sync.Mutex
	card reader.Card // nil: no session
	sam  *ep.PSAM
}

var _ keys.SAM = (*PSAM)(nil)

// OpenPSAM opens the PSAM in r's slot and its purchase application (see ep.OpenPSAM). It waits for one until ctx ends. The
// PSAM owns r from now on.
func OpenPSAM(ctx context.Context, r reader.Reader, application []byte) (*PSAM, error) {
	p := &PSAM{r: r, application: application}
	p.mu.Lock()
	defer p.mu.Unlock()
	sam, err := p.session(ctx)
	if err != nil {
		return nil, err
	}
	p.number, p.keyIndex = sam.TerminalNumber(), sam.KeyIndex()
	return p, nil
}

// TerminalNumber implements keys.SAM.
func (p *PSAM) TerminalNumber() [6]byte { return p.number }

// KeyIndex is the purchase key index that it wants used on cards.
func (p *PSAM) KeyIndex() byte { return p.keyIndex }

// InitPurchase implements keys.SAM. A session that turns out to be dead is opened again once: the serial that may be lost on
// the way is never used by anyone.
func (p *PSAM) InitPurchase(ctx context.Context, r keys.PurchaseRequest) (serial uint32, mac1 [4]byte, err error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for range 2 {
		var sam *ep.PSAM
		if sam, err = p.session(ctx); err != nil {
			return 0, mac1, err
		}
		serial, mac1, err = sam.InitPurchase(ctx, r)
		if !p.dead(err) {
			break
		}
	}
	return serial, mac1, err
}

// CheckMAC2 implements keys.SAM. It is not tried again: the purchase died with its session.
func (p *PSAM) CheckMAC2(ctx context.Context, mac2 [4]byte) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.sam == nil {
		return fmt.Errorf("PSAM: %w: its session ended during the purchase: %w", keys.ErrSAMOrder, apdu.ErrNotSent)
	}
	err := p.sam.CheckMAC2(ctx, mac2)
	p.dead(err)
	return err
}

// Probe opens the PSAM anew and so finds out whether it works.
func (p *PSAM) Probe(ctx context.Context) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.end()
	_, err := p.session(ctx)
	return err
}

// Close ends the session and the reader.
func (p *PSAM) Close() error {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.end()
	return p.r.Close()
}

// session is the open session, or a new one. The caller holds mu.
func (p *PSAM) session(ctx context.Context) (*ep.PSAM, error) {
	if p.sam != nil {
		return p.sam, nil
	}
	card, err := p.r.Wait(ctx)
	if errors.Is(err, reader.ErrReaderLost) { // told once: the next Wait waits for it
		card, err = p.r.Wait(ctx)
	}
	if err != nil {
		return nil, fmt.Errorf("no PSAM in reader %s: %w: %w", p.r.Name(), keys.ErrSAMGone, err)
	}
	sam, err := ep.OpenPSAM(ctx, card, p.application)
	if err == nil && p.number != (ep.TerminalNumber{}) && sam.TerminalNumber() != p.number {
		err = fmt.Errorf("PSAM %v instead of %v: %w: %w", ep.TerminalNumber(sam.TerminalNumber()), p.number, ErrOtherPSAM, keys.ErrSAMNumber)
	}
	p.card = card
	if err != nil {
		p.end()
		return nil, fmt.Errorf("PSAM in reader %s: %w", p.r.Name(), err)
	}
	p.sam = sam
	return sam, nil
}

// dead ends a session that err shows to be over, and reports whether it did.
func (p *PSAM) dead(err error) bool {
	if !errors.Is(err, apdu.ErrNotSent) && !errors.Is(err, apdu.ErrNoAnswer) {
		return false
	}
	p.end()
	return true
}

func (p *PSAM) end() {
	if p.card != nil {
		_ = p.card.Close(reader.Reset) // it is given up, whatever state it is in
	}
	p.card, p.sam = nil, nil
}
