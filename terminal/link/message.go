package link

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"time"

	"github.com/purselane/purselane/internal/ids"
)

// version of the datagrams.
const version = 1

const (
	kindTaps  = 1 // taps that the receiver has not acknowledged
	kindAck   = 2 // the sender's taps up to a number have come
	kindHello = 3 // I am here
)

const (
	macSize  = 16
	tapSize  = 8 + 10 + 2 + 2 + 1 + 8
	headSize = 1 + 1 + 1 + 5*8 // version, kind, length of the name; boot, number, time, to, upTo
	maxTaps  = 32              // in one datagram: below the smallest MTU in use
	maxSize  = headSize + 32 + maxTaps*tapSize + macSize
)

// ErrForged says that a datagram is not from a linked terminal.
var ErrForged = errors.New("link: MAC does not verify")

// Token names a card on the LAN.
type Token [10]byte

// TokenOf is the card's token under the shared key.
func TokenOf(key []byte, card ids.CardNumber) (t Token) {
	mac := hmac.New(sha256.New, key)
	mac.Write([]byte("purselane-link-card-1\x00"))
	mac.Write(card[:])
	copy(t[:], mac.Sum(nil))
	return t
}

// entry is one tap as it travels.
type entry struct {
	number        uint64 // of the sender's taps since boot, from 1
	card          Token
	line, station [2]byte
	granted       bool // false: its outcome is not known
	at            time.Time
}

// message is one datagram.
type message struct {
	kind   byte
	from   ids.TerminalID
	boot   uint64 // draws anew with each start, so that numbers start anew
	number uint64 // rises with each datagram of a boot
	at     time.Time
	to     uint64 // boot of the terminal that an ack is for
	upTo   uint64 // ack: its taps up to here have come; taps: the sender has forgotten its own up to here
	taps   []entry
}

func (m message) bytes(key []byte) []byte {
	out := make([]byte, 0, maxSize)
	out = append(out, version, m.kind, byte(len(m.from)))
	out = append(out, m.from...)
	out = binary.BigEndian.AppendUint64(out, m.boot)
	out = binary.BigEndian.AppendUint64(out, m.number)
	out = binary.BigEndian.AppendUint64(out, uint64(m.at.UnixMilli()))
	out = binary.BigEndian.AppendUint64(out, m.to)
	out = binary.BigEndian.AppendUint64(out, m.upTo)
	for _, t := range m.taps {
		out = binary.BigEndian.AppendUint64(out, t.number)
		out = append(out, t.card[:]...)
		out = append(out, t.line[:]...)
		out = append(out, t.station[:]...)
		granted := byte(0)
		if t.granted {
			granted = 1
		}
		out = append(out, granted)
		out = binary.BigEndian.AppendUint64(out, uint64(t.at.UnixMilli()))
	}
	return append(out, macOf(key, out)...)
}

func macOf(key, body []byte) []byte {
	mac := hmac.New(sha256.New, key)
	mac.Write([]byte("purselane-link-1\x00"))
	mac.Write(body)
	return mac.Sum(nil)[:macSize]
}

// parse reads a datagram: the MAC first, then the rest.
func parse(key, raw []byte) (message, error) {
	if len(raw) < headSize+macSize || len(raw) > maxSize {
		return message{}, fmt.Errorf("link: datagram of %d bytes", len(raw))
	}
	body, mac := raw[:len(raw)-macSize], raw[len(raw)-macSize:]
	if !hmac.Equal(mac, macOf(key, body)) {
		return message{}, ErrForged
	}
	if body[0] != version {
		return message{}, fmt.Errorf("link: datagram version %d: want %d", body[0], version)
	}
	m := message{kind: body[1]}
	n := int(body[2])
	rest := body[3:]
	if len(rest) < n+40 || (len(rest)-n-40)%tapSize != 0 {
		return message{}, fmt.Errorf("link: datagram of %d bytes does not fit its parts", len(raw))
	}
	m.from, rest = ids.TerminalID(rest[:n]), rest[n:]
	if err := ids.Check(string(m.from)); err != nil {
		return message{}, fmt.Errorf("link: sender: %w", err)
	}
	m.boot, m.number = binary.BigEndian.Uint64(rest), binary.BigEndian.Uint64(rest[8:])
	m.at = time.UnixMilli(int64(binary.BigEndian.Uint64(rest[16:])))
	m.to, m.upTo = binary.BigEndian.Uint64(rest[24:]), binary.BigEndian.Uint64(rest[32:])
	rest = rest[40:]
	if m.kind < kindTaps || m.kind > kindHello || (m.kind != kindTaps && len(rest) > 0) {
		return message{}, fmt.Errorf("link: datagram of kind %d with %d bytes of taps", m.kind, len(rest))
	}
	for ; len(rest) > 0; rest = rest[tapSize:] {
		t := entry{number: binary.BigEndian.Uint64(rest), card: Token(rest[8:18]), line: [2]byte(rest[18:20]), station: [2]byte(rest[20:22])}
		if rest[22] > 1 {
			return message{}, fmt.Errorf("link: tap state %d", rest[22])
		}
		t.granted = rest[22] == 1
		t.at = time.UnixMilli(int64(binary.BigEndian.Uint64(rest[23:])))
		m.taps = append(m.taps, t)
	}
	return m, nil
}
