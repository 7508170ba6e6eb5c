package keys

import (
	"context"
	"crypto/cipher"
	"errors"
	"fmt"
	"log/slog"
)

// Families is the door to what cards beside the EP purse's debits and loads need; [Soft] and [Device] have it. Its methods are primitives,
// in the words of keys alone: package doors makes the doors of card/ec and card/desfire of them. Implementations are safe for concurrent use.
// Errors are ErrUnknownKey, ErrRetired or the device's own.
type Families interface {
	// RetailMAC is ISO 9797-1 algorithm 3 over whole blocks of 8 bytes, with an initial vector of zeros, all 8 bytes of it; with SM4 the left
	// half of a CBC-MAC over whole blocks of 16. Its key is the encipherment of session under the card's key (EC facts 13 and 14). For
	// cryptogram and MAC keys of the electronic cash.
	RetailMAC(ctx context.Context, card Card, session [16]byte, blocks []byte) ([8]byte, error)
	// EncipherBlocks enciphers whole blocks in ECB under such a key. For cryptogram and encipherment keys of the electronic cash.
	EncipherBlocks(ctx context.Context, card Card, session [16]byte, blocks []byte) ([]byte, error)
	// SecureMAC is the MAC of the EP purse's secure messaging: see [Cipher.SecureMAC]. For maintenance and unblock keys.
	SecureMAC(ctx context.Context, card Card, challenge, message []byte) ([4]byte, error)
	// Encipher is the enciphered data of a secured command under the same keys: see [Cipher.Encipher].
	Encipher(ctx context.Context, card Card, data []byte) ([]byte, error)
	// CardCMAC is the AES-CMAC over message under a session key, which is the AES-CMAC over session, one block, under the card's key. For
	// transaction MAC keys of DESFire.
	CardCMAC(ctx context.Context, card AESCard, session [16]byte, message []byte) ([16]byte, error)
	// AppCBC enciphers or deciphers whole blocks of 16 bytes by AES-CBC, with an initial vector of zeros. For application keys of DESFire, which
	// derive nothing: who may do this is the card's other side.
	AppCBC(ctx context.Context, id ID, decipher bool, blocks []byte) ([]byte, error)
}

// AESCard names one card's AES key: the AES-CMAC over Input under the master key (AN10922, AES-128). Input has 17 to 32 bytes.
type AESCard struct {
	ID    ID
	Input []byte
}

const (
	minInput = 17
	maxInput = 32
)

// Format prints which key a card has, and nothing that names the card.
func (c AESCard) Format(f fmt.State, _ rune) { fmt.Fprintf(f, "[%v key of a card]", c.ID) }

// LogValue is Format for structured logs.
func (c AESCard) LogValue() slog.Value { return slog.StringValue(fmt.Sprint(c)) }

func (c AESCard) name() cardName {
	n := cardName{id: c.ID, length: len(c.Input)}
	copy(n.input[:], c.Input)
	return n
}

// check refuses what no card's key is.
func (c AESCard) check() error {
	if c.ID.Purpose != DESFireTMAC {
		return fmt.Errorf("keys: a %s key was asked to do a %s key's work", c.ID.Purpose, DESFireTMAC)
	}
	if n := len(c.Input); n < minInput || n > maxInput {
		return fmt.Errorf("keys: %v: %d bytes to derive a card's key from: want %d to %d", c.ID, n, minInput, maxInput)
	}
	return nil
}

// errBlocks says that a MAC or an encipherment was asked for over something that is not whole blocks.
var errBlocks = errors.New("keys: want whole blocks of 8 bytes (SM4: 16), at least one")

// checkBlocks refuses what a session's key of the electronic cash does not do. size is that of the cipher's blocks.
func checkBlocks(c Card, size int, blocks []byte, of ...Purpose) error {
	ok := false
	for _, p := range of {
		ok = ok || c.ID.Purpose == p
	}
	switch {
	case !ok:
		return fmt.Errorf("keys: a %s key was asked to do a %s key's work", c.ID.Purpose, of[0])
	case len(blocks) == 0 || len(blocks)%size != 0:
		return errBlocks
	}
	return nil
}

// secured refuses what does not secure a command.
func secured(c Card) error {
	switch c.ID.Purpose {
	case Maintenance, Unblock:
		return nil
	}
	return fmt.Errorf("keys: a %s key was asked to do a %s key's work", c.ID.Purpose, Maintenance)
}

var _ Families = (*Soft)(nil)

// blocksKey makes the session's key.
func (s *Soft) blocksKey(c Card, session [16]byte) (k Key, err error) {
	card, err := s.cardKey(c, c.ID.Purpose)
	if err != nil {
		return k, err
	}
	defer s.cards.done(card)
	for i := 0; i < len(k); i += card.key.BlockSize() {
		card.key.Encrypt(k[i:], session[i:i+card.key.BlockSize()])
	}
	return k, nil
}

// RetailMAC implements Families.
func (s *Soft) RetailMAC(_ context.Context, c Card, session [16]byte, blocks []byte) ([8]byte, error) {
	if err := checkBlocks(c, s.cipher(c).size(), blocks, ECCryptogram, ECMAC); err != nil {
		return [8]byte{}, err
	}
	k, err := s.blocksKey(c, session)
	if err != nil {
		return [8]byte{}, err
	}
	if s.cipher(c) == SM4 {
		value := chain(newSM4(k), blocks)
		return [8]byte(value[:8]), nil
	}
	left, right := singleDES([8]byte(k[:8])), singleDES([8]byte(k[8:]))
	value := chain(left, blocks)
	right.Decrypt(value[:8], value[:8])
	left.Encrypt(value[:8], value[:8])
	return [8]byte(value[:8]), nil
}

// chain is the last value of a CBC chain over whole blocks, as many bytes of it as a block has.
func chain(b cipher.Block, blocks []byte) (value [16]byte) {
	size := b.BlockSize()
	for ; len(blocks) > 0; blocks = blocks[size:] {
		for i := range size {
			value[i] ^= blocks[i]
		}
		b.Encrypt(value[:size], value[:size])
	}
	return value
}

// EncipherBlocks implements Families.
func (s *Soft) EncipherBlocks(_ context.Context, c Card, session [16]byte, blocks []byte) ([]byte, error) {
	size := s.cipher(c).size()
	if err := errors.Join(checkBlocks(c, size, blocks, ECCryptogram, ECEncipher), s.retired.refuse(c.ID)); err != nil {
		return nil, err
	}
	k, err := s.blocksKey(c, session)
	if err != nil {
		return nil, err
	}
	b, out := s.cipher(c).block(k), make([]byte, len(blocks))
	for i := 0; i < len(blocks); i += size {
		b.Encrypt(out[i:], blocks[i:i+size])
	}
	return out, nil
}

// CardCMAC implements Families.
func (s *Soft) CardCMAC(_ context.Context, c AESCard, session [16]byte, message []byte) (mac [16]byte, err error) {
	if err := c.check(); err != nil {
		return mac, err
	}
	card, err := s.cards.named(c.name(), func() (cipher.Block, error) {
		master, err := s.master(c.ID)
		if err != nil {
			return nil, err
		}
		b := newAES(master)
		defer wipeBlock(b)
		return newAES(cmac(b, c.Input)), nil
	})
	if err != nil {
		return mac, err
	}
	defer s.cards.done(card)
	b := newAES(cmac(card.key, session[:]))
	defer wipeBlock(b)
	return cmac(b, message), nil
}

// checkApp refuses what no application key does.
func checkApp(id ID, blocks []byte) error {
	switch {
	case id.Purpose != DESFireApp:
		return fmt.Errorf("keys: a %s key was asked to do a %s key's work", id.Purpose, DESFireApp)
	case len(blocks) == 0 || len(blocks)%16 != 0:
		return errors.New("keys: want whole blocks of 16 bytes, at least one")
	}
	return nil
}

// AppCBC implements Families.
func (s *Soft) AppCBC(_ context.Context, id ID, decipher bool, blocks []byte) ([]byte, error) {
	if err := errors.Join(checkApp(id, blocks), s.retired.refuse(id)); err != nil {
		return nil, err
	}
	k, err := s.master(id)
	if err != nil {
		return nil, err
	}
	b, out := newAES(k), make([]byte, len(blocks))
	defer wipeBlock(b)
	if decipher {
		cipher.NewCBCDecrypter(b, make([]byte, 16)).CryptBlocks(out, blocks)
	} else {
		cipher.NewCBCEncrypter(b, make([]byte, 16)).CryptBlocks(out, blocks)
	}
	return out, nil
}
