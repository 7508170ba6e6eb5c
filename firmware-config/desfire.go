package firmwareconfig

import (
	"fmt"
	"slices"
)

// DESFire says how the application of this scheme's DESFire cards is laid out (docs/card-desfire.md). Records are of 32 bytes, in the mode
// "mac".
type DESFire struct {
	AID         Hex    `yaml:"aid"`          // 3 bytes, as on the air: least significant first
	KeyNumber   int    `yaml:"key_number"`   // the terminal's key in the application
	MACKey      int    `yaml:"mac_key"`      // version of the transaction MAC key, by which the host picks it
	ValueFile   int    `yaml:"value_file"`   // file numbers
	RecordFile  int    `yaml:"record_file"`  //
	MACFile     int    `yaml:"mac_file"`     // the transaction MAC file
	ValueMode   string `yaml:"value_mode"`   // "mac" or "full"
	MACMode     string `yaml:"mac_mode"`     // "mac" or "full": of reading the transaction MAC file
	ISOChaining bool   `yaml:"iso_chaining"` // commands AD, AB, 8B in place of BD, BB, 3B: DESFire Light knows no other
	Readback    string `yaml:"readback"`     // after a debit: "balance" or "none"
}

// Most that a byte, a key number and a file number may be.
const (
	maxByte       = 0xFF
	maxKeyNumber  = 13
	maxFileNumber = 0x1F
)

// faults returns what is wrong with the section, each with its field.
func (d *DESFire) faults() (all []error) {
	if d == nil {
		return nil // the scheme has no such cards
	}
	bad := func(field, format string, args ...any) {
		all = append(all, fmt.Errorf("profile: desfire.%s: %s", field, fmt.Sprintf(format, args...)))
	}
	if len(d.AID) != 3 {
		bad("aid", "%d bytes: want 3", len(d.AID))
	}
	for _, n := range []struct {
		field string
		got   int
		most  int
	}{
		{"key_number", d.KeyNumber, maxKeyNumber}, {"mac_key", d.MACKey, maxByte},
		{"value_file", d.ValueFile, maxFileNumber}, {"record_file", d.RecordFile, maxFileNumber}, {"mac_file", d.MACFile, maxFileNumber},
	} {
		if n.got < 0 || n.got > n.most {
			bad(n.field, "%d: want 0 to %d", n.got, n.most)
		}
	}
	if d.ValueFile == d.RecordFile || d.ValueFile == d.MACFile || d.RecordFile == d.MACFile {
		bad("value_file", "two of value_file, record_file and mac_file are one number: each file has its own")
	}
	word := func(field, got string, want ...string) {
		if !slices.Contains(want, got) {
			bad(field, "%q: want %s or %s", got, want[0], want[1])
		}
	}
	word("value_mode", d.ValueMode, "mac", "full")
	word("mac_mode", d.MACMode, "mac", "full")
	word("readback", d.Readback, "balance", "none")
	return all
}
