package ec

import (
	"fmt"
	"io"
	"log/slog"

	"github.com/purselane/purselane/card/tlv"
)

// Record is one record that was read, and where. It prints its place and length: the bytes may hold the card number.
type Record struct {
	Place
	Raw []byte // the answer, template 70 and all
}

// String prints the place.
func (r Record) String() string {
	return fmt.Sprintf("record %d.%d of %d bytes", r.SFI, r.Number, len(r.Raw))
}

// Format prints the place under every verb.
func (r Record) Format(f fmt.State, _ rune) { io.WriteString(f, r.String()) }

// MarshalText prints the place in JSON and YAML.
func (r Record) MarshalText() ([]byte, error) { return []byte(r.String()), nil }

// LogValue prints the place in structured logs.
func (r Record) LogValue() slog.Value { return slog.StringValue(r.String()) }

// body is what enters the static data: of files 1 to 10 the value of template 70, of others the whole record (EC facts 10).
func (r Record) body() ([]byte, error) {
	list, err := tlv.Decode(r.Raw)
	if err != nil || len(list) != 1 || list[0].Tag != 0x70 {
		return nil, fmt.Errorf("%w: %v is no template 70", ErrMalformed, r)
	}
	if r.SFI > 10 {
		return r.Raw, nil
	}
	return tlv.Encode(list[0].Children) // the same bytes: package tlv reads one form of each length
}
