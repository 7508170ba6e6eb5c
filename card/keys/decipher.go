package keys

import (
	"context"
	"fmt"
)

// Decipher undoes Encipher, for what a card answers enciphered (purse facts 6.6). Errors are ErrEnciphered beside those of Encipher.
func (s *Soft) Decipher(_ context.Context, c Card, enciphered []byte) ([]byte, error) {
	k, err := s.secureKey(c)
	if err != nil {
		return nil, err
	}
	return s.cipher(c).Decipher(k, enciphered)
}

// EncipherBlocks enciphers whole blocks in ECB: INTERNAL AUTHENTICATE (purse facts 3.3).
func (c Cipher) EncipherBlocks(k Key, data []byte) ([]byte, error) {
	b := c.block(k)
	return eachBlock(b.BlockSize(), data, b.Encrypt)
}

// DecipherBlocks undoes EncipherBlocks.
func (c Cipher) DecipherBlocks(k Key, data []byte) ([]byte, error) {
	b := c.block(k)
	return eachBlock(b.BlockSize(), data, b.Decrypt)
}

func eachBlock(size int, data []byte, do func(dst, src []byte)) ([]byte, error) {
	if len(data) == 0 || len(data)%size != 0 {
		return nil, fmt.Errorf("keys: %d bytes: want whole blocks of %d", len(data), size)
	}
	out := make([]byte, len(data))
	for i := 0; i < len(data); i += size {
		do(out[i:], data[i:i+size])
	}
	return out, nil
}
