package epcard_test

import (
	"context"
	"encoding/binary"
	"io"
	"math/rand/v2"

	"github.com/purselane/purselane/card/apdu"
	"github.com/purselane/purselane/card/ep"
	"github.com/purselane/purselane/card/keys"
	"github.com/purselane/purselane/simulator/epcard"
)

// seeded is a repeatable source for a card's random numbers.
func seeded(seed uint64) io.Reader {
	var s [32]byte
	binary.BigEndian.PutUint64(s[:], seed)
	return rand.NewChaCha8(s)
}

var at = ep.DateTime(unhex("20240115083000"))

// A session is one run of commands as a terminal or a host with the keys would send it. It returns the last exchange's
// data, and stops at the first failure or status word but 9000.
type session struct {
	kind   ep.Type
	amount uint32
	serial uint32
	trip   byte // fills the records of a composite purchase
	badMAC bool
}

// commandsOf is the number of commands the whole session sends.
func (s session) commands() int {
	if s.kind == ep.TypeComposite {
		return 5
	}
	return 3
}

// decisive is the number, counted from 1, of the command that moves money.
func (s session) decisive() int { return s.commands() }

type statusError apdu.SW

func (e statusError) Error() string { return apdu.SW(e).String() }

func send(to apdu.Transmitter, command []byte) ([]byte, error) {
	raw, err := to.Transmit(context.Background(), command)
	if err != nil {
		return nil, err
	}
	r, err := apdu.ParseResponse(raw)
	if err != nil {
		return nil, err
	}
	if r.SW != apdu.OK {
		return r.Data, statusError(r.SW)
	}
	return r.Data, nil
}

func withData(header string, parts ...[]byte) []byte {
	var data []byte
	for _, p := range parts {
		data = append(data, p...)
	}
	return append(append(unhex(header), byte(len(data))), data...)
}

func u32(n uint32) []byte { return binary.BigEndian.AppendUint32(nil, n) }

// run carries the session out against to, which holds the card of img's keys.
func (s session) run(to apdu.Transmitter, img epcard.Image) ([]byte, error) {
	if _, err := send(to, unhex(select82)); err != nil {
		return nil, err
	}
	amount := ep.GetAmount(u32(s.amount))
	flip := func(mac [4]byte) [4]byte {
		if s.badMAC {
			mac[0] ^= 1
		}
		return mac
	}
	p1 := map[ep.Type]string{ep.TypeLoad: "80500002", ep.TypePurchase: "80500102", ep.TypeComposite: "80500302"}[s.kind]
	init, err := send(to, withData(p1, []byte{1}, u32(s.amount), terminal[:]))
	if err != nil {
		return nil, err
	}
	counter := binary.BigEndian.Uint16(init[4:6])
	if s.kind == ep.TypeLoad {
		sk := keys.SessionKey(img.LoadKey.Key.Key, ep.LoadSession([4]byte(init[8:12]), counter))
		mac2 := flip(keys.MAC8(sk, ep.LoadMAC2(amount, s.kind, terminal, at)))
		return send(to, withData("80520000", at[:], mac2[:]))
	}
	sk := keys.SessionKey(img.PurchaseKey.Key.Key, ep.PurchaseSession([4]byte(init[11:15]), counter, s.serial))
	mac1 := flip(keys.MAC8(sk, ep.PurchaseMAC1(amount, s.kind, terminal, at)))
	if s.kind == ep.TypeComposite {
		trip := ep.MetroTrip{State: ep.TripEntered, EntryLine: s.trip}.Bytes()
		if _, err := send(to, withData("80DC01D0", trip[:])); err != nil {
			return nil, err
		}
		place := ep.TripHistory{Kind: ep.HistoryIn, Reserved1: s.trip}.Bytes()
		if _, err := send(to, withData("80DC00F0", place[:])); err != nil {
			return nil, err
		}
	}
	return send(to, withData("80540100", u32(s.serial), at[:], mac1[:]))
}
