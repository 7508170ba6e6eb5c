package pn532

import (
	"bytes"
	"fmt"
)

// Kinds of cards, as InListPassiveTarget numbers them: 106 kbit/s type A and type B.
const (
	typeA byte = 0x00
	typeB byte = 0x03
)

// target is a card that the chip has found.
type target struct {
	number byte // the chip's number of it
	kind   byte
	uid    []byte // type A: UID; type B: PUPI
	isoDEP bool   // it speaks ISO/IEC 14443-4, so it takes APDUs
	told   []byte // everything that the chip told, of the other card too
}

// random reports a UID that is new at each activation (ISO/IEC 14443-3: four bytes that start with 08; a PUPI may always be).
func (t target) random() bool { return t.kind == typeB || len(t.uid) == 4 && t.uid[0] == 0x08 }

// surelyOther reports that o is not the card that t is. A UID is no identity: this only finds a card that was swapped for
// another faster than the field was looked at.
func (t target) surelyOther(o target) bool {
	return t.kind != o.kind || !t.random() && !o.random() && !bytes.Equal(t.uid, o.uid)
}

// surelyNotAmong reports that t is none of the cards that the chip told of together with o.
func (t target) surelyNotAmong(o target) bool {
	return !t.random() && t.kind == o.kind && !bytes.Contains(o.told, t.uid)
}

// parseTargets reads the response to InListPassiveTarget. It returns the first target and how many there are.
func parseTargets(kind byte, data []byte) (target, int, error) {
	if len(data) < 1 {
		return target{}, 0, fmt.Errorf("InListPassiveTarget: empty response")
	}
	n := int(data[0])
	switch {
	case n == 0:
		return target{}, 0, nil
	case n > 2:
		return target{}, 0, fmt.Errorf("InListPassiveTarget: %d targets: a PN532 has at most 2", n)
	}
	t := target{kind: kind, told: bytes.Clone(data)}
	rest := data[1:]
	if kind == typeB { // Tg, ATQB of 12, length of ATTRIB_RES, ATTRIB_RES
		if len(rest) < 14 || rest[1] != 0x50 {
			return target{}, 0, fmt.Errorf("InListPassiveTarget: type B target of %d bytes", len(rest))
		}
		t.number, t.uid = rest[0], bytes.Clone(rest[2:6])
		t.isoDEP = rest[11]&0x01 != 0 // protocol type
		return t, n, nil
	}
	// Tg, SENS_RES(2), SEL_RES, length of the UID, UID, ATS
	if len(rest) < 5 || len(rest) < 5+int(rest[4]) {
		return target{}, 0, fmt.Errorf("InListPassiveTarget: type A target of %d bytes", len(rest))
	}
	t.number, t.uid = rest[0], bytes.Clone(rest[5:5+int(rest[4])])
	t.isoDEP = rest[3]&0x20 != 0
	return t, n, nil
}
