package psam

import (
	"errors"
	"fmt"

	"github.com/purselane/purselane/card/ep"
	"github.com/purselane/purselane/simulator/image"
)

// MasterKey is one master purchase key with the version and algorithm by which the terminal asks for it: those of the
// card's INITIALIZE answer.
type MasterKey struct {
	Version   byte      `json:"version"`
	Algorithm byte      `json:"algorithm"`
	Key       image.Key `json:"key"`
}

// Image is the whole non-volatile memory of a PSAM.
type Image struct {
	Info     image.Bytes `json:"info"`     // MF EF 15, 14 bytes: serial number, version, key-card type, issuer data
	Terminal image.Bytes `json:"terminal"` // MF EF 16, 6 bytes: the terminal number in every MAC
	AID      image.Bytes `json:"aid"`      // of the purse application
	FID      image.Bytes `json:"fid"`      // of the same, 2 bytes
	App      image.Bytes `json:"app"`      // ADF EF 17, 25 bytes: key index, issuer, owner, start, expiry

	Keys       []MasterKey `json:"keys"`
	NextSerial uint32      `json:"next_serial"` // terminal transaction serial of the next purchase
	Exhausted  bool        `json:"exhausted,omitempty"`

	MAC2Limit  byte `json:"mac2_limit"`  // wrong MAC2 in a row that lock the PSAM
	MAC2Errors byte `json:"mac2_errors"` // wrong MAC2 in a row so far

	// Maintenance are the master keys of DELIVERY KEY with usage 05, by which a terminal blocks cards; P2 of the command names the version.
	Maintenance []MasterKey `json:"maintenance,omitempty"`

	// SM4Algorithm is the algorithm byte that means SM4; 0 is keys.AlgorithmSM4.
	SM4Algorithm byte `json:"sm4_algorithm,omitempty"`
}

// Number is the terminal number.
func (m Image) Number() (n ep.TerminalNumber) { copy(n[:], m.Terminal); return n }

// String names the PSAM by its terminal number.
func (m Image) String() string { return "PSAM " + m.Number().String() }

// GoString is String.
func (m Image) GoString() string { return m.String() }

// Check reports everything that is wrong with the image's form.
func (m Image) Check() error {
	var all []error
	size := func(name string, b image.Bytes, n int) {
		if len(b) != n {
			all = append(all, fmt.Errorf("%s has %d bytes, want %d", name, len(b), n))
		}
	}
	size("info", m.Info, 14)
	size("terminal", m.Terminal, 6)
	size("fid", m.FID, 2)
	size("app", m.App, 25)
	if len(m.AID) < 5 || len(m.AID) > 16 {
		all = append(all, fmt.Errorf("aid has %d bytes, want 5 to 16", len(m.AID)))
	}
	if len(m.Keys) == 0 {
		all = append(all, errors.New("keys: want at least one"))
	}
	seen := map[[2]byte]bool{}
	for _, k := range m.Keys {
		id := [2]byte{k.Version, k.Algorithm}
		if seen[id] {
			all = append(all, fmt.Errorf("keys: version %02X algorithm %02X is there twice", k.Version, k.Algorithm))
		}
		seen[id] = true
	}
	versions := map[byte]bool{}
	for _, k := range m.Maintenance {
		if versions[k.Version] {
			all = append(all, fmt.Errorf("maintenance: version %02X is there twice", k.Version))
		}
		versions[k.Version] = true
	}
	if m.MAC2Limit == 0 {
		all = append(all, errors.New("mac2_limit is 0, want at least 1"))
	}
	return errors.Join(all...)
}
