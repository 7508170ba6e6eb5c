package desfire

import (
	"bytes"
	"crypto/aes"
	"crypto/cipher"
	"crypto/subtle"
	"encoding/binary"
	"io"

	"github.com/purselane/purselane/card/apdu"
	"github.com/purselane/purselane/card/desfire"
	"github.com/purselane/purselane/card/keys"
)

// The card's side of secure messaging is written apart from the library's, so that one misreading does not stand on both sides;
// only CMAC and the session keys, which have published vectors, are shared.

type session struct {
	enc, mac keys.Key
	ti       [4]byte
	counter  uint16
}

// cbc runs AES in CBC mode over whole blocks.
func cbc(key keys.Key, iv [16]byte, data []byte, encrypt bool) []byte {
	b, err := aes.NewCipher(key[:])
	if err != nil {
		panic(err) // a key has 16 bytes
	}
	out := make([]byte, len(data))
	if encrypt {
		cipher.NewCBCEncrypter(b, iv[:]).CryptBlocks(out, data)
	} else {
		cipher.NewCBCDecrypter(b, iv[:]).CryptBlocks(out, data)
	}
	return out
}

func (c *Card) authenticate(data []byte) apdu.Response {
	c.volatile = volatile{selected: c.selected}
	switch {
	case !c.selected:
		return sw(swPermission)
	case len(data) < 2 || len(data) != 2+int(data[1]) || data[1] > 6:
		return sw(swLength)
	case data[0] != c.img.Settings.KeyNumber:
		return sw(swNoKey)
	}
	var rndB [16]byte
	if _, err := io.ReadFull(c.rand, rndB[:]); err != nil {
		return sw(swMemory)
	}
	c.challenge = &rndB
	return apdu.Response{Data: cbc(c.img.Key.Key, [16]byte{}, rndB[:], true), SW: swMore}
}

func (c *Card) authenticateMore(rndB *[16]byte, data []byte) apdu.Response {
	if rndB == nil {
		return sw(swAuthentication)
	}
	if len(data) != 32 {
		return sw(swLength)
	}
	plain := cbc(c.img.Key.Key, [16]byte{}, data, false)
	rndA := [16]byte(plain)
	if subtle.ConstantTimeCompare(plain[16:], append(rndB[1:16:16], rndB[0])) != 1 {
		return sw(swAuthentication)
	}
	s := &session{}
	if _, err := io.ReadFull(c.rand, s.ti[:]); err != nil {
		return sw(swMemory)
	}
	s.enc, s.mac = desfire.SessionKeys(c.img.Key.Key, rndA, *rndB)
	c.session = s
	answer := make([]byte, 0, 32)
	answer = append(answer, s.ti[:]...)
	answer = append(answer, rndA[1:]...)
	answer = append(answer, rndA[0])
	answer = append(answer, make([]byte, 12)...) // capabilities: none
	return apdu.Response{Data: cbc(c.img.Key.Key, [16]byte{}, answer, true), SW: swOK}
}

// authentic splits the MAC off a command and checks it; then the counter goes up.
func (s *session) authentic(ins byte, data []byte) ([]byte, bool) {
	n := len(data) - 8
	if n < 0 || s.counter == 0xFFFF {
		return nil, false
	}
	want := s.code(ins, data[:n])
	if subtle.ConstantTimeCompare(want, data[n:]) != 1 {
		return nil, false
	}
	s.counter++
	return data[:n], true
}

func (s *session) code(first byte, data []byte) []byte {
	var m bytes.Buffer
	m.WriteByte(first)
	m.WriteByte(byte(s.counter))
	m.WriteByte(byte(s.counter >> 8))
	m.Write(s.ti[:])
	m.Write(data)
	code := desfire.Truncate(desfire.CMAC(s.mac, m.Bytes()))
	return code[:]
}

// iv for the data of a command that counter numbers, or of an answer.
func (s *session) iv(answer bool, counter uint16) [16]byte {
	in := [16]byte{0xA5, 0x5A}
	if answer {
		in = [16]byte{0x5A, 0xA5}
	}
	copy(in[2:], s.ti[:])
	binary.LittleEndian.PutUint16(in[6:], counter)
	return [16]byte(cbc(s.enc, [16]byte{}, in[:], true))
}

// plain reads a command's data, which came after its header.
func (s *session) plain(mode desfire.Mode, data []byte) ([]byte, bool) {
	if mode != desfire.Full {
		return data, true
	}
	if len(data) == 0 || len(data)%16 != 0 {
		return nil, false
	}
	padded := bytes.TrimRight(cbc(s.enc, s.iv(false, s.counter-1), data, false), "\x00")
	return bytes.CutSuffix(padded, []byte{0x80})
}

// answer wraps data for the terminal.
func (s *session) answer(mode desfire.Mode, data []byte) apdu.Response {
	if mode == desfire.Full && len(data) > 0 {
		data = append(append([]byte(nil), data...), 0x80)
		for len(data)%16 != 0 {
			data = append(data, 0)
		}
		data = cbc(s.enc, s.iv(true, s.counter), data, true)
	}
	return apdu.Response{Data: append(append([]byte(nil), data...), s.code(0x00, data)...), SW: swOK}
}
