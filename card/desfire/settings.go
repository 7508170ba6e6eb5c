package desfire

import (
	"errors"
	"fmt"
)

// Settings say how a scheme's application is laid out on its cards. A terminal gets them with its profile.
type Settings struct {
	AID        [3]byte `json:"aid"` // as on the air, least significant byte first
	KeyNumber  byte    `json:"key_number"`
	TMVersion  byte    `json:"tm_version"` // which transaction MAC key the cards have; the host picks it by this
	ValueFile  byte    `json:"value_file"`
	ValueMode  Mode    `json:"value_mode"`
	RecordFile byte    `json:"record_file"` // cyclic record file
	RecordMode Mode    `json:"record_mode"`
	RecordSize int     `json:"record_size"` // bytes: 16 or 32
	MACFile    byte    `json:"mac_file"`    // the transaction MAC file
	MACMode    Mode    `json:"mac_mode"`
	// ISOChaining: files are read and written with AD, AB, 8B in place of BD, BB, 3B. DESFire Light knows only the former; the
	// code of WriteRecord is part of the transaction MAC.
	ISOChaining bool `json:"iso_chaining,omitempty"`
}

// Check finds settings that no card can have, or that would not be safe.
func (s Settings) Check() error {
	var errs []error
	for name, m := range map[string]Mode{"value": s.ValueMode, "record": s.RecordMode, "mac": s.MACMode} {
		if m != MAC && m != Full {
			errs = append(errs, fmt.Errorf("mode of the %s file: %q: want mac or full", name, m))
		}
	}
	if s.ValueFile == s.RecordFile || s.ValueFile == s.MACFile || s.RecordFile == s.MACFile {
		errs = append(errs, errors.New("two files with one number"))
	}
	if s.ValueFile > maxFile || s.RecordFile > maxFile || s.MACFile > maxFile {
		errs = append(errs, errors.New("file number above 1F"))
	}
	if s.RecordSize != 16 && (s.RecordSize != 32 || s.RecordMode == Full) {
		errs = append(errs, fmt.Errorf("record size %d: want 16, or 32 with mode mac: one frame holds no more", s.RecordSize))
	}
	return errors.Join(errs...)
}

const maxFile = 0x1F

// Command codes (MF2DLHX0 chapter 11; the codes with native chaining are those of EV1).
const (
	insMore         = 0xAF
	insAuthenticate = 0x71
	insSelect       = 0x5A
	insUID          = 0x51
	insGetValue     = 0x6C
	insDebit        = 0xDC
	insCommit       = 0xC7
)

func (s Settings) readData() byte    { return s.chained(0xBD, 0xAD) }
func (s Settings) readRecords() byte { return s.chained(0xBB, 0xAB) }
func (s Settings) writeRecord() byte { return s.chained(0x3B, 0x8B) }

func (s Settings) chained(native, iso byte) byte {
	if s.ISOChaining {
		return iso
	}
	return native
}
