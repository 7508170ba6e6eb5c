package desfire

import (
	"crypto/cipher"
	"crypto/subtle"
	"encoding/binary"
	"fmt"
	"slices"

	"github.com/purselane/purselane/card/apdu"
	"github.com/purselane/purselane/card/keys"
)

// Mode is how a file's data travels in a session (MF2DLHX0 9.1). Plain is left out: money does not move on an answer that
// nobody signed.
type Mode string

// Modes.
const (
	MAC  Mode = "mac"  // data in clear, MAC over both directions
	Full Mode = "full" // data enciphered as well
)

// Session is the secure messaging of EV2 (MF2DLHX0 9.1; AN12196 chapter 5): a transaction identifier and a command counter in
// every MAC, so that no answer of another session or another command fits. It ends with the first error.
type Session struct {
	enc, mac keys.Key
	ti       [4]byte
	counter  uint16 // commands sent
	over     bool
}

// NewSession is a session with keys from [SessionKeys] and the card's transaction identifier, no command sent yet.
func NewSession(enc, mac keys.Key, ti [4]byte) *Session {
	return &Session{enc: enc, mac: mac, ti: ti}
}

// Format prints no key.
func (s *Session) Format(f fmt.State, _ rune) { fmt.Fprintf(f, "[session, %d commands]", s.counter) }

// code computes the truncated MAC over a command (first is INS) or an answer (first is the status byte).
func (s *Session) code(first byte, parts ...[]byte) [8]byte {
	m := binary.LittleEndian.AppendUint16([]byte{first}, s.counter)
	m = append(m, s.ti[:]...)
	return Truncate(CMAC(s.mac, append(m, slices.Concat(parts...)...)))
}

// iv is the start value of the data of this command (a, b = A5, 5A) or answer (5A, A5) (MF2DLHX0 9.1.4).
func (s *Session) iv(a, b byte) []byte {
	iv := append([]byte{a, b}, s.ti[:]...)
	iv = binary.LittleEndian.AppendUint16(iv, s.counter)
	iv = append(iv, make([]byte, 8)...)
	block(s.enc).Encrypt(iv, iv)
	return iv
}

// Seal makes the next command: header travels in clear, data as the mode says. Each call counts, sent or not.
func (s *Session) Seal(ins byte, mode Mode, header, data []byte) (apdu.Command, error) {
	if s.over || s.counter == 0xFFFF {
		s.over = true
		return apdu.Command{}, fmt.Errorf("%w: %w", apdu.ErrNotSent, ErrSessionOver)
	}
	if mode == Full && len(data) > 0 {
		data = pad(data)
		cipher.NewCBCEncrypter(block(s.enc), s.iv(0xA5, 0x5A)).CryptBlocks(data, data)
	}
	code := s.code(ins, header, data)
	s.counter++ // the answer counts one more (MF2DLHX0 9.1.3)
	return apdu.Command{CLA: 0x90, INS: ins, Data: slices.Concat(header, data, code[:]), Le: 256}, nil
}

// Open checks the answer to the last sealed command and returns its data. Any error ends the session: the card has ended it too,
// or what is on the other side is not the card.
func (s *Session) Open(ins byte, mode Mode, r apdu.Response) ([]byte, error) {
	data, err := s.open(ins, mode, r)
	if err != nil {
		s.over = true
	}
	return data, err
}

func (s *Session) open(ins byte, mode Mode, r apdu.Response) ([]byte, error) {
	if s.over {
		return nil, ErrSessionOver
	}
	if r.SW != statusOK {
		return nil, &StatusError{Command: ins, SW: r.SW}
	}
	n := len(r.Data) - 8
	if n < 0 {
		return nil, fmt.Errorf("DESFire command %02X: %w: %d bytes hold no MAC", ins, ErrMalformed, len(r.Data))
	}
	data := slices.Clone(r.Data[:n])
	code := s.code(0x00, data)
	if subtle.ConstantTimeCompare(code[:], r.Data[n:]) != 1 {
		return nil, fmt.Errorf("DESFire command %02X: %w", ins, ErrAnswer)
	}
	if mode != Full || n == 0 {
		return data, nil
	}
	if n%16 != 0 {
		return nil, fmt.Errorf("DESFire command %02X: %w: %d enciphered bytes", ins, ErrMalformed, n)
	}
	cipher.NewCBCDecrypter(block(s.enc), s.iv(0x5A, 0xA5)).CryptBlocks(data, data)
	return unpad(data)
}

// pad adds 80 and zeros up to whole blocks, always at least the 80 (ISO/IEC 9797-1 method 2; MF2DLHX0 9.1.4).
func pad(data []byte) []byte {
	out := make([]byte, (len(data)/16+1)*16)
	out[copy(out, data)] = 0x80
	return out
}

func unpad(data []byte) ([]byte, error) {
	i := len(data) - 1
	for i >= 0 && data[i] == 0 {
		i--
	}
	if i < 0 || data[i] != 0x80 {
		return nil, fmt.Errorf("%w: padding", ErrMalformed)
	}
	return data[:i], nil
}
