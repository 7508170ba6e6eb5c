package bitslice_test

import (
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"os"
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/purselane/purselane/card/ep"
	"github.com/purselane/purselane/card/keys"
	"github.com/purselane/purselane/card/keys/bitslice"
)

// messages draws a message of its own length for each lane.
func messages(t *rapid.T) (out [bitslice.Lanes][]byte) {
	for j := range out {
		out[j] = rapid.SliceOfN(rapid.Byte(), 0, 40).Draw(t, "message")
	}
	return out
}

func first4(b [8]byte) [4]byte { return [4]byte(b[:4]) }

// TestChainsSayWhatTheStraightPathSays compares everything that a card's MAC is made of with package keys, which works on crypto/des.
func TestChainsSayWhatTheStraightPathSays(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		masters, iv, said := doubles(t, "keys"), blocks(t, "iv"), messages(t)
		levels := rapid.IntRange(1, 3).Draw(t, "levels")
		factors := make([][bitslice.Lanes][8]byte, levels)
		var k bitslice.Key
		k.SetKeys(&masters)
		for l := range factors {
			factors[l] = blocks(t, "factors")
			x := of(factors[l])
			k.Diversify(&x)
		}
		v, session := of(iv), of(iv)
		folded := k.Fold()
		session.Encrypt3(&k)
		single, retail, under := bitslice.MAC(&folded, &v, &said), bitslice.RetailMAC(&k, &v, &said), bitslice.MAC(&session, &bitslice.Block{}, &said)
		derived, tacKeys, sessions, singles, retails, unders := k.Keys(), folded.Get(), session.Get(), single.Get(), retail.Get(), under.Get()
		for j := range masters {
			var of [][8]byte
			for l := range factors {
				of = append(of, factors[l][j])
			}
			want := keys.Diversify(keys.Key(masters[j]), of...)
			require.Equal(t, [16]byte(want), derived[j], "lane %d", j)
			require.Equal(t, keys.FoldTAC(want), tacKeys[j], "lane %d", j)
			require.Equal(t, keys.SessionKey(want, iv[j]), sessions[j], "lane %d", j)
			require.Equal(t, keys.MAC8IV(tacKeys[j], iv[j], said[j]), first4(singles[j]), "lane %d, %d bytes", j, len(said[j]))
			require.Equal(t, keys.MAC16(want, iv[j], said[j]), first4(retails[j]), "lane %d, %d bytes", j, len(said[j]))
			require.Equal(t, keys.MAC8(sessions[j], said[j]), first4(unders[j]), "lane %d, %d bytes", j, len(said[j]))
		}
	})
}

func TestAMACChangesNothingOfItsMessages(t *testing.T) {
	var said [bitslice.Lanes][]byte
	said[5] = append(make([]byte, 0, 64), 1, 2, 3)
	bitslice.MAC(&bitslice.Block{}, &bitslice.Block{}, &said)
	require.Equal(t, make([]byte, 61), said[5][3:64], "the padding is not written behind the caller's bytes")
}

type hexBytes []byte

func (h *hexBytes) UnmarshalText(text []byte) error {
	raw, err := hex.DecodeString(string(text))
	*h = raw
	return err
}

type vector struct {
	ID                     string
	Key, IV, Data, Message hexBytes
	Factors                []hexBytes
	Want                   hexBytes
}

// TestPublishedChains runs the vectors of the purse's primitives, each alone in a lane of its own; all others are empty.
func TestPublishedChains(t *testing.T) {
	raw, err := os.ReadFile("../testdata/primitives.json")
	require.NoError(t, err)
	var v struct{ Diversify, Fold, Session, MAC8, MAC16, Encrypt []vector }
	require.NoError(t, json.Unmarshal(raw, &v))
	run := func(name string, all []vector, f func(v vector, lane int) []byte) {
		require.NotEmpty(t, all, name)
		for i, v := range all {
			require.Equal(t, []byte(v.Want), f(v, i*7%bitslice.Lanes), "%s %s", name, v.ID)
		}
	}
	alone := func(block []byte, lane int) bitslice.Block {
		var lanes [bitslice.Lanes][8]byte
		copy(lanes[lane][:], block)
		return of(lanes)
	}
	key := func(k []byte, lane int) bitslice.Key {
		return bitslice.Key{Left: alone(k[:8], lane), Right: alone(k[8:], lane)}
	}
	message := func(m []byte, lane int) *[bitslice.Lanes][]byte {
		var said [bitslice.Lanes][]byte
		said[lane] = m
		return &said
	}
	block := func(b bitslice.Block, lane int) []byte { lanes := b.Get(); return lanes[lane][:] }
	run("diversify", v.Diversify, func(v vector, lane int) []byte {
		k := key(v.Key, lane)
		for _, f := range v.Factors {
			x := alone(f, lane)
			k.Diversify(&x)
		}
		all := k.Keys()
		return all[lane][:]
	})
	run("fold", v.Fold, func(v vector, lane int) []byte { k := key(v.Key, lane); return block(k.Fold(), lane) })
	run("session", v.Session, func(v vector, lane int) []byte {
		k, b := key(v.Key, lane), alone(v.Data, lane)
		b.Encrypt3(&k)
		return block(b, lane)
	})
	run("mac8", v.MAC8, func(v vector, lane int) []byte {
		k, iv := alone(v.Key, lane), alone(v.IV, lane)
		return block(bitslice.MAC(&k, &iv, message(v.Message, lane)), lane)[:4]
	})
	run("mac16", v.MAC16, func(v vector, lane int) []byte {
		k, iv := key(v.Key, lane), alone(v.IV, lane)
		return block(bitslice.RetailMAC(&k, &iv, message(v.Message, lane)), lane)[:4]
	})
	run("encrypt", v.Encrypt, func(v vector, lane int) (out []byte) {
		k := key(v.Key, lane)
		for data := v.Data; len(data) > 0; data = data[8:] {
			b := alone(data[:8], lane)
			b.Encrypt3(&k)
			out = append(out, block(b, lane)...)
		}
		return out
	})
}

// TestPublishedTACs works every TAC of the purse's transactions at once: loads beside purchases, a key for each.
func TestPublishedTACs(t *testing.T) {
	raw, err := os.ReadFile("../../ep/testdata/transactions.json")
	require.NoError(t, err)
	type transaction struct {
		ID                                                   string
		TACKey                                               hexBytes `json:"tac_key"`
		Counter, Serial, Balance, Amount, Type, Terminal, At hexBytes
		TAC                                                  hexBytes
	}
	var v struct{ Purchases, Loads []transaction }
	require.NoError(t, json.Unmarshal(raw, &v))
	var said [bitslice.Lanes][]byte
	var cards [bitslice.Lanes][16]byte
	var wants []transaction
	add := func(x transaction, message []byte) {
		if len(x.TAC) == 0 { // the retried loads of P3 have none
			return
		}
		said[len(wants)], cards[len(wants)] = message, [16]byte(x.TACKey)
		wants = append(wants, x)
	}
	for _, x := range v.Purchases {
		add(x, ep.PurchaseTAC(ep.GetAmount(x.Amount), ep.Type(x.Type[0]), ep.TerminalNumber(x.Terminal), binary.BigEndian.Uint32(x.Serial), ep.DateTime(x.At)))
	}
	purchases := len(wants)
	for _, x := range v.Loads {
		after, err := ep.GetAmount(x.Balance).Add(ep.GetAmount(x.Amount))
		require.NoError(t, err)
		add(x, ep.LoadTAC(after, binary.BigEndian.Uint16(x.Counter), ep.GetAmount(x.Amount), ep.Type(x.Type[0]), ep.TerminalNumber(x.Terminal), ep.DateTime(x.At)))
	}
	require.Positive(t, purchases)
	require.Greater(t, len(wants), purchases)
	var k bitslice.Key
	k.SetKeys(&cards)
	folded := k.Fold()
	macs := bitslice.MAC(&folded, &bitslice.Block{}, &said)
	for j, got := range macs.Get() {
		if j < len(wants) {
			require.Equal(t, []byte(wants[j].TAC), got[:4], wants[j].ID)
		}
	}
}

// FuzzMAC cuts any bytes into lanes, a key and a message in each, and compares with the straight path.
func FuzzMAC(f *testing.F) {
	f.Add([]byte("0123456789abcdef"), uint8(5))
	f.Add(make([]byte, 600), uint8(24))
	f.Add([]byte{0x80}, uint8(0))
	f.Fuzz(func(t *testing.T, raw []byte, length uint8) {
		var said [bitslice.Lanes][]byte
		var cards [bitslice.Lanes][16]byte
		for j := range said {
			copy(cards[j][:], raw)
			n := min((int(length)+j)%41, len(raw))
			said[j], raw = raw[:n], raw[n:]
		}
		var k bitslice.Key
		k.SetKeys(&cards)
		folded := k.Fold()
		macs, retails := bitslice.MAC(&folded, &bitslice.Block{}, &said), bitslice.RetailMAC(&k, &bitslice.Block{}, &said)
		single, retail := macs.Get(), retails.Get()
		for j, card := range cards {
			require.Equal(t, keys.MAC8(keys.FoldTAC(card), said[j]), first4(single[j]))
			require.Equal(t, keys.MAC16(card, [8]byte{}, said[j]), first4(retail[j]))
		}
	})
}
