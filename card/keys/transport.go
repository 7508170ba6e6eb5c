package keys

import (
	"bytes"
	"crypto/subtle"
	"encoding/hex"
	"errors"
	"fmt"
	"strings"
)

// TransportVersion is the version of the transport form. It is an outside contract: docs/keys.md.
//
//   - 1: 2026-11-24: first
const TransportVersion = 1

// The transport form carries one master key from one key file or HSM to another, under a transport key that both sides have from a
// ceremony. It is text, in one form only:
//
//	purselane transport 1
//	transport <check value of the transport key>
//	master <purpose> <version> <algorithm> <key under the transport key, 32 digits> <check value of the key>
//	mac <8 digits>
//
// The key is enciphered as payment HSMs take it: 3DES, ECB, half by half. The MAC binds name, key and check value to each other.
const transportMagic = "purselane transport "

// maxTransport bounds the transport form.
const maxTransport = 512

// transportMAC makes the key of the MAC: the transport key itself only enciphers keys.
var transportMAC = [8]byte{'t', 'r', 'a', 'n', 's', 'p', 'M', 'C'}

// Errors of the transport form.
var (
	// ErrTransportKey: the block is under another transport key.
	ErrTransportKey = errors.New("the key block is under another transport key: check its components against the sender's check value")
	// ErrTransport: the block is not as it was made.
	ErrTransport = errors.New("the key block is damaged or no key block: have it sent again")
)

// Export writes the master key of that ID under the transport key. SM4 keys are refused: a key is not carried under a weaker one.
func (r *Ring) Export(id ID, sm4Algorithm byte, transport Key) ([]byte, error) {
	k, ok := r.Masters[id]
	if !ok {
		return nil, fmt.Errorf("keys: %v: %w", id, ErrUnknownKey)
	}
	if _, old := r.Retired[id]; old {
		return nil, fmt.Errorf("keys: %v: %w", id, ErrRetired)
	}
	if kind := KindOf(id, sm4Algorithm); kind != Kind3DES {
		return nil, fmt.Errorf("keys: %v is an %s key, and the transport key is 3DES", id, kind)
	}
	if k == transport {
		return nil, errors.New("keys: a key is not carried under itself")
	}
	return transportText(id, k, transport), nil
}

func transportText(id ID, k, transport Key) []byte {
	var out bytes.Buffer
	b := tripleDES(transport)
	defer wipeBlock(b)
	var under Key
	b.Encrypt(under[:8], k[:8])
	b.Encrypt(under[8:], k[8:])
	check, checkTransport := CheckValue(k), CheckValue(transport)
	fmt.Fprintf(&out, "%s%d\ntransport %s\n", transportMagic, TransportVersion, upper(checkTransport[:]))
	fmt.Fprintf(&out, "master %s %02X %02X %s %s\n", id.Purpose, id.Version, id.Algorithm, upper(under[:]), upper(check[:]))
	mac := MAC16(Diversify(transport, transportMAC), [8]byte{}, out.Bytes())
	fmt.Fprintf(&out, "mac %s\n", upper(mac[:]))
	return out.Bytes()
}

// ParseTransport reads what Export wrote. Errors are ErrTransportKey, ErrTransport and ErrNewer.
func ParseTransport(text []byte, transport Key) (ID, Key, error) {
	fault := func(what string) (ID, Key, error) {
		return ID{}, Key{}, fmt.Errorf("keys: %w (%s)", ErrTransport, what)
	}
	if len(text) > maxTransport {
		return fault("too long")
	}
	lines := strings.SplitAfter(string(text), "\n")
	version, ok := strings.CutPrefix(lines[0], transportMagic)
	switch {
	case !ok:
		return fault("its first line")
	case version != fmt.Sprintln(TransportVersion):
		return ID{}, Key{}, fmt.Errorf("keys: key block: %w", ErrNewer)
	case len(lines) != 5 || lines[4] != "":
		return fault("want four lines")
	}
	if check := CheckValue(transport); lines[1] != "transport "+upper(check[:])+"\n" {
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
	b := tripleDES(transport)
	defer wipeBlock(b)
	var k Key
	b.Decrypt(k[:8], raw[2:10])
	b.Decrypt(k[8:], raw[10:])
	// One comparison proves the MAC and the check value, and refuses every second way to write the same.
	if subtle.ConstantTimeCompare(transportText(id, k, transport), text) != 1 {
		return fault("its MAC or check value")
	}
	return id, k, nil
}
