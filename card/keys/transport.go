package keys

import (
	"bytes"
	"crypto/cipher"
	"crypto/subtle"
	"encoding/hex"
	"errors"
	"fmt"
	"strings"
)

// TransportVersion is the highest version of the transport form. It is an outside contract: docs/keys.md.
//
//   - 1: 2026-11-24: first: 3DES keys under a 3DES transport key
//   - 2: 2026-11-25: AES and SM4 keys under an AES transport key
const TransportVersion = 2

// The transport form carries one master key from one key file or HSM to another, under a transport key that both sides have from a
// ceremony. It is text, in one form only:
//
//	purselane transport <version>
//	transport <check value of the transport key>
//	master <purpose> <version> <algorithm> <key under the transport key, 32 digits> <check value of the key>
//	mac <digits>
//
// In version 1 the key is enciphered as payment HSMs take it: 3DES, ECB, half by half; the MAC is a retail MAC. In version 2 it is one block of
// AES, and the MAC is AES-CMAC. The MAC binds name, key and check value to each other.
const transportMagic = "purselane transport "

// maxTransport bounds the transport form.
const maxTransport = 512

// Names of the keys that are made from a transport key. With 3DES the transport key itself only enciphers keys.
var (
	transportMAC = [8]byte{'t', 'r', 'a', 'n', 's', 'p', 'M', 'C'}
	transportKey = [8]byte{'t', 'r', 'a', 'n', 's', 'p', 'E', 'K'} // AES only
)

// TransportKind is what a transport key has to be for a master key: as strong as that one.
func TransportKind(id ID, sm4Algorithm byte) Kind {
	if KindOf(id, sm4Algorithm) == Kind3DES {
		return Kind3DES
	}
	return KindAES
}

// TransportKindOf is what the transport key of a key block is. Errors are ErrTransport and ErrNewer.
func TransportKindOf(text []byte) (Kind, error) {
	head, _, _ := strings.Cut(string(text), "\n")
	switch version, ok := strings.CutPrefix(head, transportMagic); {
	case !ok:
		return "", fmt.Errorf("keys: %w (its first line)", ErrTransport)
	case version == "1":
		return Kind3DES, nil
	case version == "2":
		return KindAES, nil
	}
	return "", fmt.Errorf("keys: key block: %w", ErrNewer)
}

// Errors of the transport form.
var (
	// ErrTransportKey: the block is under another transport key.
	ErrTransportKey = errors.New("the key block is under another transport key: check its components against the sender's check value")
	// ErrTransport: the block is not as it was made.
	ErrTransport = errors.New("the key block is damaged or no key block: have it sent again")
)

// Export writes the master key of that ID under the transport key, which is of the [TransportKind].
func (r *Ring) Export(id ID, sm4Algorithm byte, transport Key) ([]byte, error) {
	k, ok := r.Masters[id]
	if !ok {
		return nil, fmt.Errorf("keys: %v: %w", id, ErrUnknownKey)
	}
	if _, old := r.Retired[id]; old {
		return nil, fmt.Errorf("keys: %v: %w", id, ErrRetired)
	}
	if k == transport {
		return nil, errors.New("keys: a key is not carried under itself")
	}
	return transportText(TransportKind(id, sm4Algorithm), id, k, transport), nil
}

// carried is the kind of a key in a block whose transport key is of that kind.
func carried(by Kind, id ID) Kind {
	switch {
	case by == Kind3DES:
		return Kind3DES
	case KindOf(id, 0) == KindAES:
		return KindAES
	}
	return KindSM4
}

func transportText(by Kind, id ID, k, transport Key) []byte {
	var out bytes.Buffer
	version := 1
	if by == KindAES {
		version = 2
	}
	under := crossTransport(by, k, transport, cipher.Block.Encrypt)
	check, checkTransport := carried(by, id).CheckValue(k), by.CheckValue(transport)
	fmt.Fprintf(&out, "%s%d\ntransport %s\n", transportMagic, version, upper(checkTransport[:]))
	fmt.Fprintf(&out, "master %s %02X %02X %s %s\n", id.Purpose, id.Version, id.Algorithm, upper(under[:]), upper(check[:]))
	if by == KindAES {
		mac := cmac(newAES(cmac(newAES(transport), transportMAC[:])), out.Bytes())
		fmt.Fprintf(&out, "mac %s\n", upper(mac[:]))
		return out.Bytes()
	}
	mac := MAC16(Diversify(transport, transportMAC), [8]byte{}, out.Bytes())
	fmt.Fprintf(&out, "mac %s\n", upper(mac[:]))
	return out.Bytes()
}

// crossTransport enciphers or deciphers a key block by block.
func crossTransport(by Kind, k, transport Key, cross func(b cipher.Block, dst, src []byte)) (out Key) {
	b := tripleDES(transport)
	if by == KindAES {
		b = newAES(cmac(newAES(transport), transportKey[:]))
	}
	defer wipeBlock(b)
	for i := 0; i < len(k); i += b.BlockSize() {
		cross(b, out[i:], k[i:i+b.BlockSize()])
	}
	return out
}

// ParseTransport reads what Export wrote. Errors are ErrTransportKey, ErrTransport and ErrNewer.
func ParseTransport(text []byte, transport Key) (ID, Key, error) {
	fault := func(what string) (ID, Key, error) {
		return ID{}, Key{}, fmt.Errorf("keys: %w (%s)", ErrTransport, what)
	}
	if len(text) > maxTransport {
		return fault("too long")
	}
	by, err := TransportKindOf(text)
	if err != nil {
		return ID{}, Key{}, err
	}
	lines := strings.SplitAfter(string(text), "\n")
	if len(lines) != 5 || lines[4] != "" {
		return fault("want four lines")
	}
	if check := by.CheckValue(transport); lines[1] != "transport "+upper(check[:])+"\n" {
		return ID{}, Key{}, fmt.Errorf("keys: %w", ErrTransportKey)
	}
	word := strings.Fields(lines[2])
	if len(word) != 6 || word[0] != "master" || checkWord(word[1]) != nil {
		return fault("its key")
	}
	raw, err := hex.DecodeString(word[2] + word[3] + word[4])
	if err != nil || len(word[2]) != 2 || len(word[3]) != 2 || len(raw) != 2+len(Key{}) {
		return fault("its key")
	}
	id := ID{Purpose: Purpose(word[1]), Version: raw[0], Algorithm: raw[1]}
	k := crossTransport(by, Key(raw[2:]), transport, cipher.Block.Decrypt)
	// One comparison proves the MAC and the check value, and refuses every second way to write the same.
	if subtle.ConstantTimeCompare(transportText(by, id, k, transport), text) != 1 {
		return fault("its MAC or check value")
	}
	return id, k, nil
}
