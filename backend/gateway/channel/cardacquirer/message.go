package cardacquirer

import (
	"errors"
	"slices"

	"github.com/moov-io/iso8583"
)

// Message is one message: its type and its fields as text. Chip data are in Chip.
type Message struct {
	MTI    string
	Fields map[int]string
	Chip   []byte // field 55, as the terminal gave it
}

// MAC is a handle of a key that makes message authentication codes. The key may be in a device.
type MAC interface {
	Sum(message []byte) ([8]byte, error)
}

// Errors of messages.
var (
	ErrMAC     = errors.New("the MAC does not verify: it is another key's, or the message was changed")
	errMessage = errors.New("the message does not fit the specification")
)

// Pack writes a message with its MAC as the last field: 64, or 128 where a field above 64 is there.
func Pack(m Message, key MAC) ([]byte, error) {
	out := iso8583.NewMessage(Spec)
	out.MTI(m.MTI)
	at := fMAC
	for n, value := range m.Fields {
		if n > fMAC {
			at = fMAC2
		}
		if out.Field(n, value) != nil {
			return nil, errMessage // the library's words may hold the value
		}
	}
	if m.Chip != nil && out.BinaryField(fChip, m.Chip) != nil {
		return nil, errMessage
	}
	if out.BinaryField(at, make([]byte, 8)) != nil {
		return nil, errMessage
	}
	packed, err := out.Pack()
	if err != nil {
		return nil, errMessage
	}
	sum, err := key.Sum(packed[:len(packed)-8])
	if err != nil {
		return nil, errors.New("the MAC key does not answer")
	}
	copy(packed[len(packed)-8:], sum[:])
	return packed, nil
}

// Unpack reads a message. Where only its MAC is wrong the error is [ErrMAC], and the message is there to see whom it would answer.
func Unpack(packed []byte, key MAC) (Message, error) {
	in := iso8583.NewMessage(Spec)
	if in.Unpack(packed) != nil {
		return Message{}, errMessage
	}
	mti, err := in.GetMTI()
	if err != nil || len(mti) != 4 {
		return Message{}, errMessage
	}
	m := Message{MTI: mti, Fields: map[int]string{}}
	proof, last := []byte(nil), 0
	for n := range in.GetFields() {
		last = max(last, n)
		switch n {
		case 0, 1:
		case fChip:
			m.Chip, err = in.GetBytes(n)
		case fMAC, fMAC2:
			proof, err = in.GetBytes(n)
		default:
			m.Fields[n], err = in.GetString(n)
		}
		if err != nil {
			return Message{}, errMessage
		}
	}
	if last != fMAC && last != fMAC2 || len(packed) < 8 || !slices.Equal(proof, packed[len(packed)-8:]) {
		return m, ErrMAC
	}
	sum, err := key.Sum(packed[:len(packed)-8])
	if err != nil {
		return m, errors.New("the MAC key does not answer")
	}
	if !equal(sum[:], proof) {
		return m, ErrMAC
	}
	return m, nil
}

// Answers is the type of the answer to a message: 0100 and 0101 are answered with 0110.
func Answers(mti string) string { return mti[:2] + string(mti[2]+1) + "0" }

// Repeat is the type of a message that was sent before.
func Repeat(mti string) string { return mti[:3] + "1" }

// key finds the answer to a request: type, trace number, terminal and retrieval reference.
func (m Message) key(mti string) string {
	return mti + "/" + m.Fields[fSTAN] + "/" + m.Fields[fTerminal] + "/" + m.Fields[fRRN]
}
