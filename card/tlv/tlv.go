// Package tlv codes BER-TLV data objects as smart cards use them (ISO/IEC 7816-4, 5.2.2; ISO/IEC 8825-1): tags of up to three bytes,
// definite lengths of up to two bytes after the length byte, templates nested to a bounded depth.
//
// Start with [Decode] and [Object.Find]. What decodes is coded back to the same bytes by [Encode], except that a longer
// form of a length than needed is refused, so that an object has one form.
package tlv

import (
	"errors"
	"fmt"
)

// Tag is a BER tag of one to three bytes as a number: 0x84, 0x9F0C.
type Tag uint32

// Constructed reports a template: its value is a list of objects.
func (t Tag) Constructed() bool {
	first := t
	for first > 0xFF {
		first >>= 8
	}
	return first&0x20 != 0
}

// Object is one data object: a template with Children, or a primitive with Value.
type Object struct {
	Tag      Tag
	Value    []byte
	Children []Object
}

// maxDepth bounds templates in templates: a card must not be able to exhaust the stack.
const maxDepth = 8

// ErrMalformed says that bytes are no BER-TLV.
var ErrMalformed = errors.New("malformed BER-TLV")

// Decode reads a list of objects. Bytes 00 between objects are padding (ISO/IEC 7816-4, 5.2.2.1) and refused: no purse
// of ours pads, and an object must have one form.
func Decode(raw []byte) ([]Object, error) { return decode(raw, 0) }

func decode(raw []byte, depth int) ([]Object, error) {
	if depth > maxDepth {
		return nil, fmt.Errorf("%w: templates nested deeper than %d", ErrMalformed, maxDepth)
	}
	var out []Object
	for len(raw) > 0 {
		tag, rest, err := readTag(raw)
		if err != nil {
			return nil, err
		}
		n, rest, err := readLength(rest)
		if err != nil {
			return nil, fmt.Errorf("tag %X: %w", uint32(tag), err)
		}
		if n > len(rest) {
			return nil, fmt.Errorf("tag %X: %w: length %d, %d bytes left", uint32(tag), ErrMalformed, n, len(rest))
		}
		o := Object{Tag: tag}
		if tag.Constructed() {
			if o.Children, err = decode(rest[:n], depth+1); err != nil {
				return nil, fmt.Errorf("tag %X: %w", uint32(tag), err)
			}
		} else {
			o.Value = append([]byte{}, rest[:n]...)
		}
		out = append(out, o)
		raw = rest[n:]
	}
	return out, nil
}

func readTag(raw []byte) (Tag, []byte, error) {
	if raw[0] == 0 || raw[0] == 0xFF {
		return 0, nil, fmt.Errorf("%w: tag byte %02X", ErrMalformed, raw[0])
	}
	t := Tag(raw[0])
	if raw[0]&0x1F != 0x1F {
		return t, raw[1:], nil
	}
	for i := 1; i < 3; i++ {
		if i == len(raw) {
			return 0, nil, fmt.Errorf("%w: tag is cut", ErrMalformed)
		}
		if i == 1 && raw[1] == 0x80 {
			return 0, nil, fmt.Errorf("%w: tag with a leading zero", ErrMalformed)
		}
		t = t<<8 | Tag(raw[i])
		if raw[i]&0x80 == 0 {
			return t, raw[i+1:], nil
		}
	}
	return 0, nil, fmt.Errorf("%w: tag longer than three bytes", ErrMalformed)
}

func readLength(raw []byte) (int, []byte, error) {
	if len(raw) == 0 {
		return 0, nil, fmt.Errorf("%w: no length", ErrMalformed)
	}
	first := raw[0]
	if first < 0x80 {
		return int(first), raw[1:], nil
	}
	size := int(first & 0x7F)
	if size < 1 || size > 2 || len(raw) < 1+size {
		return 0, nil, fmt.Errorf("%w: length byte %02X", ErrMalformed, first)
	}
	n := int(raw[1])
	if size == 2 {
		n = n<<8 | int(raw[2])
	}
	if n < 0x80 || size == 2 && n < 0x100 {
		return 0, nil, fmt.Errorf("%w: length %d in a form longer than needed", ErrMalformed, n)
	}
	return n, raw[1+size:], nil
}

// Encode codes objects. It fails on what Decode could not read back: a number that is no tag, a value that is too long,
// templates nested too deep, a template with a Value or a primitive with Children.
func Encode(objects []Object) ([]byte, error) { return encode(objects, 0) }

func encode(objects []Object, depth int) ([]byte, error) {
	if depth > maxDepth {
		return nil, fmt.Errorf("templates nested deeper than %d", maxDepth)
	}
	var out []byte
	for _, o := range objects {
		tag, err := o.Tag.bytes()
		if err != nil {
			return nil, err
		}
		value := o.Value
		switch constructed := o.Tag.Constructed(); {
		case constructed && len(o.Value) > 0:
			return nil, fmt.Errorf("tag %X: a template has children and no value", uint32(o.Tag))
		case !constructed && len(o.Children) > 0:
			return nil, fmt.Errorf("tag %X: a primitive has a value and no children", uint32(o.Tag))
		case constructed:
			if value, err = encode(o.Children, depth+1); err != nil {
				return nil, fmt.Errorf("tag %X: %w", uint32(o.Tag), err)
			}
		}
		out = append(out, tag...)
		switch n := len(value); {
		case n < 0x80:
			out = append(out, byte(n))
		case n < 0x100:
			out = append(out, 0x81, byte(n))
		case n < 0x10000:
			out = append(out, 0x82, byte(n>>8), byte(n))
		default:
			return nil, fmt.Errorf("tag %X: value of %d bytes", uint32(o.Tag), n)
		}
		out = append(out, value...)
	}
	return out, nil
}

// bytes codes the tag. It fails on a number that readTag would not read as one tag, such as 8400 or 1F.
func (t Tag) bytes() ([]byte, error) {
	raw := []byte{byte(t >> 24), byte(t >> 16), byte(t >> 8), byte(t)}
	for len(raw) > 1 && raw[0] == 0 {
		raw = raw[1:]
	}
	if again, rest, err := readTag(raw); err != nil || again != t || len(rest) > 0 {
		return nil, fmt.Errorf("tag %X: no tag of one to three bytes", uint32(t))
	}
	return raw, nil
}

// Find follows a path of tags through templates and returns the value of the primitive at its end: the first one.
func Find(objects []Object, path ...Tag) ([]byte, bool) {
	if len(path) == 0 {
		return nil, false
	}
	for _, o := range objects {
		if o.Tag != path[0] {
			continue
		}
		if len(path) == 1 {
			return o.Value, !o.Tag.Constructed()
		}
		if v, ok := Find(o.Children, path[1:]...); ok {
			return v, true
		}
	}
	return nil, false
}
