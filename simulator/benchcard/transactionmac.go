package main

import (
	"context"
	"crypto/aes"
	"crypto/cipher"
	"crypto/subtle"
	"encoding/binary"
	"time"

	"github.com/purselane/purselane/card/desfire"
	"github.com/purselane/purselane/card/keys"
	"github.com/purselane/purselane/card/keys/doors"
	"github.com/purselane/purselane/internal/money"
)

var (
	tmID   = keys.ID{Purpose: keys.DESFireTMAC, Version: 1}
	tmKey  = keys.Key{0x30, 0x31, 0x32, 0x33, 0x34, 0x35, 0x36, 0x37, 0x38, 0x39, 0x3A, 0x3B, 0x3C, 0x3D, 0x3E, 0x3F}
	system = []byte("benchcard")
)

// commit is the evidence of a debit, and the inputs of its three MACs as they enter the cipher.
type commit struct {
	evidence desfire.Evidence
	derive   []byte   // of the card's key
	session  [16]byte // of the counter's key
	tmi      []byte
}

func makeCommits(n int) ([]commit, error) {
	door, err := doors.NewDESFire(keys.NewSoft(masters()), system)
	if err != nil {
		return nil, err
	}
	out := make([]commit, n)
	for i := range out {
		c := &out[i]
		e := &c.evidence
		e.AID, e.TMVersion, e.ValueFile, e.RecordFile, e.WriteRecord = [3]byte{1, 2, 3}, tmID.Version, 1, 2, 0x3B
		binary.BigEndian.PutUint32(e.UID[3:], uint32(i)*2654435761)
		e.Before, e.Amount, e.TMC, e.Record = money.Minor(5000), money.Minor(200), uint32(i), make([]byte, 16)
		c.tmi = e.TMI()
		c.derive = append(append(append([]byte{1}, e.UID[:]...), e.AID[:]...), system...)
		c.session = [16]byte{0x5A, 0, 1, 0, 0x80}
		binary.LittleEndian.PutUint32(c.session[5:], e.TMC+1)
		copy(c.session[9:], e.UID[:])
		key := desfire.TMKey{Version: e.TMVersion, AID: e.AID, UID: e.UID}
		if e.TMV, err = door.TMV(context.Background(), key, e.TMC+1, c.tmi); err != nil {
			return nil, err
		}
	}
	return out, nil
}

// recheckAll is what the host does with each: the whole of it, from the evidence on.
func recheckAll(k keys.Families, all []commit) (func() error, error) {
	door, err := doors.NewDESFire(k, system)
	return func() error {
		for i := range all {
			if err := desfire.Recheck(context.Background(), door, all[i].evidence); err != nil {
				return err
			}
		}
		return nil
	}, err
}

func freshCommits(all []commit) error {
	for i := range all {
		if !bareCommit(bareAES(bareCMAC(bareAES([16]byte(tmKey)), all[i].derive)), &all[i]) {
			return errWrong
		}
	}
	return nil
}

func heldCommits(all []commit) func() error {
	ready := make([]cipher.Block, len(all))
	for i := range all {
		ready[i] = bareAES(bareCMAC(bareAES([16]byte(tmKey)), all[i].derive))
	}
	return func() error {
		for i := range all {
			if !bareCommit(ready[i], &all[i]) {
				return errWrong
			}
		}
		return nil
	}
}

// bareCommit is the MAC of the counter's key and that of the commands.
func bareCommit(card cipher.Block, c *commit) bool {
	mac := bareCMAC(bareAES(bareCMAC(card, c.session[:])), c.tmi)
	for i, b := range c.evidence.TMV {
		if mac[2*i+1] != b {
			return false
		}
	}
	return true
}

func bareAES(k [16]byte) cipher.Block {
	b, err := aes.NewCipher(k[:])
	if err != nil {
		panic(err) // the length is fixed
	}
	return b
}

// bareCMAC is AES-CMAC: a block for the sub-keys, and the message's.
func bareCMAC(b cipher.Block, message []byte) (v [16]byte) {
	var sub, last [16]byte
	b.Encrypt(sub[:], sub[:])
	double := func() {
		carry := sub[0] >> 7
		for i := range 15 {
			sub[i] = sub[i]<<1 | sub[i+1]>>7
		}
		sub[15] = sub[15]<<1 ^ carry*0x87
	}
	double()
	for ; len(message) > 16; message = message[16:] {
		subtle.XORBytes(v[:], v[:], message[:16])
		b.Encrypt(v[:], v[:])
	}
	if n := copy(last[:], message); n < 16 {
		last[n] = 0x80
		double()
	}
	subtle.XORBytes(v[:], v[:], last[:])
	subtle.XORBytes(v[:], v[:], sub[:])
	b.Encrypt(v[:], v[:])
	return v
}

func measureCommits(limit time.Duration) ([]result, error) {
	all, err := makeCommits(taps)
	if err != nil {
		return nil, err
	}
	own, err := recheckAll(keys.NewSoft(masters()), all)
	if err != nil {
		return nil, err
	}
	fresh, err := inTurns("card-aes", limit, taps, own, func() error { return freshCommits(all) })
	if err != nil {
		return nil, err
	}
	h, err := keys.NewCachedSoft(masters(), keys.CachePolicy{Cards: taps, Lifetime: time.Hour})
	if err != nil {
		return nil, err
	}
	defer h.Forget()
	if own, err = recheckAll(h, all); err != nil {
		return nil, err
	}
	held, err := inTurns("card-aes-cached", limit, taps, own, heldCommits(all))
	return []result{fresh, held}, err
}
