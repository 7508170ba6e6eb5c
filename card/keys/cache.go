package keys

import (
	"crypto/cipher"
	"fmt"
	"io"
	"reflect"
	"sync"
	"time"
)

// CachePolicy says which keys of cards a door keeps between two calls, and for how long. The zero value keeps none: each key is derived
// for one call and overwritten behind it.
type CachePolicy struct {
	// Cards is how many keys are held at most. The key held longest makes room for a new one.
	Cards int
	// Lifetime is how long a key is held from its derivation, however often it is used. It wants to be more than 0.
	Lifetime time.Duration
}

// DefaultCache serves the cards of a few minutes' taps: some 10 MB of key schedules when it is full.
var DefaultCache = CachePolicy{Cards: 16384, Lifetime: 10 * time.Minute}

// Check refuses a policy without bounds.
func (p CachePolicy) Check() error {
	switch {
	case p.Cards < 0:
		return fmt.Errorf("keys: a cache of %d card keys: want 0 or more", p.Cards)
	case p.Cards > 0 && p.Lifetime <= 0:
		return fmt.Errorf("keys: card keys held for %v: want more than 0", p.Lifetime)
	}
	return nil
}

// cardName is a card as a map's key: two cards have one name only if they have one key.
type cardName struct {
	id      ID
	levels  int
	factors [maxLevels][8]byte
	input   [maxInput]byte // of an AES card's key, in place of factors
	length  int
}

// nameOf names a card of at most maxLevels factors.
func nameOf(c Card) cardName {
	n := cardName{id: c.ID, levels: len(c.Factors)}
	copy(n.factors[:], c.Factors)
	return n
}

// cache holds derived keys by card, under a policy. A key is wiped as soon as it is neither held nor in use: when it makes
// room, when its time is over, and when the cache is emptied. It is safe for concurrent use.
type cache[V any] struct {
	policy CachePolicy
	wipe   func(V)
	// apart runs what a timer does; a device that must not go away meanwhile has it wait its turn.
	apart func(func())

	mu    sync.Mutex
	held  map[cardName]*heldKey[V]
	queue []*heldKey[V] // a ring of policy.Cards places, oldest first from next
	next  int
	timer *time.Timer // runs while a key is held
}

type heldKey[V any] struct {
	key   V
	name  cardName
	until time.Time
	users int
	gone  bool // out of the cache: the last user wipes it
}

func newCache[V any](p CachePolicy, wipe func(V)) *cache[V] {
	return &cache[V]{policy: p, wipe: wipe, apart: func(do func()) { do() }, held: map[cardName]*heldKey[V]{}}
}

// get returns the card's key, held or else derived. Whoever gets one calls done with it.
func (c *cache[V]) get(card Card, derive func(Card) (V, error)) (*heldKey[V], error) {
	if c.policy.Cards <= 0 {
		return c.named(cardName{}, func() (V, error) { return derive(card) }) // a name is for what is held
	}
	return c.named(nameOf(card), func() (V, error) { return derive(card) })
}

// named is get for a key that has a name already.
func (c *cache[V]) named(name cardName, derive func() (V, error)) (*heldKey[V], error) {
	if c.policy.Cards <= 0 {
		key, err := derive()
		if err != nil {
			return nil, err
		}
		return &heldKey[V]{key: key, users: 1, gone: true}, nil
	}
	if h := c.find(name); h != nil {
		return h, nil
	}
	key, err := derive() // unlocked: a device takes its time, and other cards do not wait for it
	if err != nil {
		return nil, err
	}
	h, dead := c.add(name, key)
	c.wipeAll(dead)
	return h, nil
}

func (c *cache[V]) find(name cardName) *heldKey[V] {
	c.mu.Lock()
	defer c.mu.Unlock()
	h := c.held[name]
	if h != nil {
		h.users++
	}
	return h
}

// add holds a new key and returns those that are to be wiped for it: the oldest, or itself if another call was first.
func (c *cache[V]) add(name cardName, key V) (*heldKey[V], []V) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if h := c.held[name]; h != nil {
		h.users++
		return h, []V{key}
	}
	var dead []V
	if len(c.held) >= c.policy.Cards {
		dead = c.dropOldest(dead)
	}
	h := &heldKey[V]{key: key, name: name, until: time.Now().Add(c.policy.Lifetime), users: 1}
	if len(c.queue) < c.policy.Cards {
		c.queue = append(c.queue, nil)
	}
	c.queue[(c.next+len(c.held))%c.policy.Cards] = h
	c.held[name] = h
	if c.timer == nil {
		c.timer = time.AfterFunc(c.policy.Lifetime, c.expire)
	}
	return h, dead
}

// dropOldest takes the oldest key out and adds it to dead, unless somebody still uses it.
func (c *cache[V]) dropOldest(dead []V) []V {
	h := c.queue[c.next]
	c.queue[c.next] = nil
	c.next = (c.next + 1) % c.policy.Cards
	delete(c.held, h.name)
	h.gone = true
	if h.users > 0 {
		return dead
	}
	return append(dead, h.key)
}

// done gives a key back.
func (c *cache[V]) done(h *heldKey[V]) {
	c.mu.Lock()
	h.users--
	last := h.gone && h.users == 0
	c.mu.Unlock()
	if last {
		c.wipe(h.key)
	}
}

// expire drops the keys whose time is over and sets the timer for the next.
func (c *cache[V]) expire() {
	c.apart(func() {
		c.mu.Lock()
		var dead []V
		now := time.Now()
		c.timer = nil
		for len(c.held) > 0 {
			if left := c.queue[c.next].until.Sub(now); left > 0 {
				c.timer = time.AfterFunc(left, c.expire)
				break
			}
			dead = c.dropOldest(dead)
		}
		c.mu.Unlock()
		c.wipeAll(dead)
	})
}

// empty drops every key.
func (c *cache[V]) empty() {
	c.mu.Lock()
	var dead []V
	for len(c.held) > 0 {
		dead = c.dropOldest(dead)
	}
	if c.timer != nil {
		c.timer.Stop()
		c.timer = nil
	}
	c.mu.Unlock()
	c.wipeAll(dead)
}

func (c *cache[V]) wipeAll(dead []V) {
	for _, k := range dead {
		c.wipe(k)
	}
}

// Format prints nothing of the keys.
func (c *cache[V]) Format(f fmt.State, _ rune) { io.WriteString(f, "[cache of card keys]") }

// Format hides the key.
func (h *heldKey[V]) Format(f fmt.State, _ rune) { hide(f) }

// wipeBlock overwrites a key schedule. The library has no way to ask for it; its ciphers are plain structs behind a pointer, without a
// pointer in them. Copies that the library or the garbage collector made on the way are out of reach.
func wipeBlock(b cipher.Block) { reflect.ValueOf(b).Elem().SetZero() }
