package ec

import "fmt"

// FileRecords is one entry of an AFL: records First to Last of a file. The first Signed of them enter the static data.
type FileRecords struct {
	SFI, First, Last, Signed byte
}

// AFL is the application file locator (94; EC facts 8): what to read, in order.
type AFL []FileRecords

// maxRecords bounds what a card may make a terminal read: a faulty card must not hold the gate.
const maxRecords = 32

// ParseAFL reads tag 94. It is refused if it names no record or more than 32.
func ParseAFL(raw []byte) (AFL, error) {
	if len(raw) == 0 || len(raw)%4 != 0 {
		return nil, fmt.Errorf("%w: AFL of %d bytes, want a multiple of 4", ErrMalformed, len(raw))
	}
	var out AFL
	count := 0
	for ; len(raw) > 0; raw = raw[4:] {
		e := FileRecords{SFI: raw[0] >> 3, First: raw[1], Last: raw[2], Signed: raw[3]}
		if raw[0]&7 != 0 || e.SFI == 0 || e.SFI > 30 || e.First == 0 || e.Last < e.First || int(e.Signed) > int(e.Last-e.First)+1 {
			return nil, fmt.Errorf("%w: AFL entry %X", ErrMalformed, raw[:4])
		}
		count += int(e.Last-e.First) + 1
		out = append(out, e)
	}
	if count > maxRecords {
		return nil, fmt.Errorf("%w: AFL names %d records, want %d at most", ErrMalformed, count, maxRecords)
	}
	return out, nil
}

// Bytes codes tag 94.
func (a AFL) Bytes() []byte {
	var out []byte
	for _, e := range a {
		out = append(out, e.SFI<<3, e.First, e.Last, e.Signed)
	}
	return out
}

// Place is one record to read.
type Place struct {
	SFI, Number byte
	Signed      bool // enters the static data
}

// Places lists the records in reading order. The card commits a TC when it answers the last.
func (a AFL) Places() []Place {
	var out []Place
	for _, e := range a {
		for n := int(e.First); n <= int(e.Last); n++ {
			out = append(out, Place{e.SFI, byte(n), n-int(e.First) < int(e.Signed)})
		}
	}
	return out
}
