package ec

import (
	"bytes"
	"fmt"
	"io"
	"log/slog"
	"slices"

	"github.com/purselane/purselane/card/tlv"
)

// Objects are a card's primitive data objects by tag, wherever in its templates they stood. They print as tags and never as values: some of
// them are card numbers.
type Objects map[tlv.Tag][]byte

// Add reads one BER-TLV answer into o. The same object twice in one answer is malformed; an object of an earlier answer may come
// again with the same value (cards send 5F34 in GPO and in a record) and not with another.
func (o Objects) Add(raw []byte) error {
	list, err := tlv.Decode(raw)
	if err != nil {
		return fmt.Errorf("%w: %w", ErrMalformed, err)
	}
	return o.addAll(list, map[tlv.Tag]bool{})
}

func (o Objects) addAll(list []tlv.Object, here map[tlv.Tag]bool) error {
	for _, x := range list {
		if x.Tag.Constructed() {
			if err := o.addAll(x.Children, here); err != nil {
				return err
			}
			continue
		}
		if old, known := o[x.Tag]; here[x.Tag] || known && !bytes.Equal(old, x.Value) {
			return fmt.Errorf("%w: %s stands twice", ErrMalformed, TagName(x.Tag))
		}
		here[x.Tag] = true
		o[x.Tag] = x.Value
	}
	return nil
}

// want returns an object of exactly n bytes.
func (o Objects) want(t tlv.Tag, n int) ([]byte, error) {
	v, ok := o[t]
	switch {
	case !ok:
		return nil, fmt.Errorf("%w: no %s", ErrMalformed, TagName(t))
	case len(v) != n:
		return nil, fmt.Errorf("%w: %s of %d bytes, want %d", ErrMalformed, TagName(t), len(v), n)
	}
	return v, nil
}

// String prints the tags.
func (o Objects) String() string {
	tags := make([]tlv.Tag, 0, len(o))
	for t := range o {
		tags = append(tags, t)
	}
	slices.Sort(tags)
	return fmt.Sprintf("data objects %X", tags)
}

// Format prints the tags under every verb.
func (o Objects) Format(f fmt.State, _ rune) { io.WriteString(f, o.String()) }

// MarshalText prints the tags in JSON and YAML.
func (o Objects) MarshalText() ([]byte, error) { return []byte(o.String()), nil }

// LogValue prints the tags in structured logs.
func (o Objects) LogValue() slog.Value { return slog.StringValue(o.String()) }
