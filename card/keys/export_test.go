package keys

import (
	"crypto/cipher"
	"os"
	"reflect"
)

// ParseRing is the parser of the inner form.
var ParseRing = parseRing

// Text is the inner form of a sealed file.
func (r *Ring) Text() ([]byte, error) { return r.text() }

// WriteNew writes a new file on a disk that a test holds.
func WriteNew(path, text string, sync func(*os.File) error, link func(from, name string) error, syncDir func(dir string) error) error {
	return disk{sync, link, syncDir}.writeNew(path, func(f *os.File) error { _, err := f.WriteString(text); return err })
}

// Cache is the cache of derived keys.
type Cache[V any] struct{ c *cache[V] }

// NewCache makes a cache whose keys end in wipe.
func NewCache[V any](p CachePolicy, wipe func(V)) Cache[V] { return Cache[V]{newCache(p, wipe)} }

// Get returns a key and what gives it back.
func (c Cache[V]) Get(card Card, derive func(Card) (V, error)) (V, func(), error) {
	h, err := c.c.get(card, derive)
	if err != nil {
		var none V
		return none, nil, err
	}
	return h.key, func() { c.c.done(h) }, nil
}

// Empty drops every key.
func (c Cache[V]) Empty() { c.c.empty() }

// WipeBlock overwrites a key schedule.
func WipeBlock(b cipher.Block) { wipeBlock(b) }

// SomeBlocks are the key schedules that Soft holds.
func SomeBlocks(k Key) map[string]cipher.Block {
	return map[string]cipher.Block{"single": singleDES([8]byte(k[:8])), "triple": tripleDES(k)}
}

// HoldsSomething says whether any byte of a key schedule is not 0.
func HoldsSomething(b cipher.Block) bool { return !reflect.ValueOf(b).Elem().IsZero() }

// LabelOf is the label of a master key in a device; an empty prefix is the default.
func LabelOf(prefix string, id ID) string {
	return DeviceOptions{Prefix: prefix}.withDefaults().label(id)
}

// ParseLabel reads such a label.
func ParseLabel(prefix, label string) (ID, bool) {
	return DeviceOptions{Prefix: prefix}.withDefaults().parseLabel(label)
}

// TransportText is the transport form of a key.
var TransportText = transportText
