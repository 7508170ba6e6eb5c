package keys_test

import (
	"context"
	"fmt"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/purselane/purselane/card/keys"
)

// drawer is a cache that derives a pointer per card and remembers what became of it.
type drawer struct {
	mu      sync.Mutex
	derived int
	wiped   map[*int]int
}

func newDrawer() *drawer { return &drawer{wiped: map[*int]int{}} }

func (d *drawer) derive(keys.Card) (*int, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.derived++
	return new(int), nil
}

func (d *drawer) wipe(k *int) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.wiped[k]++
}

// alive is how many keys are derived and not wiped.
func (d *drawer) alive() int {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.derived - len(d.wiped)
}

func cardNumber(n int) keys.Card {
	return keys.Card{ID: keys.ID{Purpose: keys.TAC, Version: 1}, Factors: [][8]byte{{byte(n), byte(n >> 8)}}}
}

func TestACacheKeepsToItsSize(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		size := rapid.IntRange(0, 5).Draw(rt, "size")
		d := newDrawer()
		c := keys.NewCache(keys.CachePolicy{Cards: size, Lifetime: time.Hour}, d.wipe)
		defer c.Empty()
		var order []int // what a cache of that size holds, oldest first
		for _, n := range rapid.SliceOf(rapid.IntRange(0, 8)).Draw(rt, "cards") {
			before, hit := d.derived, false
			for _, o := range order {
				hit = hit || o == n
			}
			k, done, err := c.Get(cardNumber(n), d.derive)
			require.NoError(rt, err)
			require.Zero(rt, d.wiped[k], "a key in use is not wiped")
			require.Equal(rt, hit, d.derived == before)
			if !hit {
				order = append(order, n)
				order = order[max(0, len(order)-size):]
			}
			done()
			require.Equal(rt, len(order), d.alive())
		}
		c.Empty()
		require.Zero(rt, d.alive())
		for _, times := range d.wiped {
			require.Equal(rt, 1, times)
		}
	})
}

func TestAKeyInUseIsWipedByItsLastUser(t *testing.T) {
	d := newDrawer()
	c := keys.NewCache(keys.CachePolicy{Cards: 1, Lifetime: time.Hour}, d.wipe)
	first, done1, err := c.Get(cardNumber(1), d.derive)
	require.NoError(t, err)
	same, done2, err := c.Get(cardNumber(1), d.derive)
	require.NoError(t, err)
	require.Same(t, first, same)
	_, done3, err := c.Get(cardNumber(2), d.derive) // pushes the first out
	require.NoError(t, err)
	done1()
	require.Empty(t, d.wiped)
	done2()
	require.Equal(t, map[*int]int{first: 1}, d.wiped)
	c.Empty()
	require.Len(t, d.wiped, 1)
	done3()
	require.Len(t, d.wiped, 2)
}

func TestAKeyHasItsLifetime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := newDrawer()
		c := keys.NewCache(keys.CachePolicy{Cards: 3, Lifetime: time.Minute}, d.wipe)
		use := func(n int) {
			_, done, err := c.Get(cardNumber(n), d.derive)
			require.NoError(t, err)
			done()
		}
		wait := func(by time.Duration) { time.Sleep(by); synctest.Wait() } // the bubble's own clock
		use(1)
		wait(40 * time.Second)
		use(1) // being used does not make it younger
		use(2)
		require.Equal(t, 2, d.alive())
		wait(20 * time.Second)
		require.Equal(t, 1, d.alive(), "nobody had to ask")
		use(2)
		require.Equal(t, 2, d.derived)
		wait(40 * time.Second)
		require.Zero(t, d.alive())
		use(3) // and it begins again
		wait(time.Minute)
		require.Zero(t, d.alive())
		use(4)
		c.Empty()
		wait(time.Hour)
		require.Equal(t, 4, len(d.wiped))
	})
}

func TestWhatIsNotDerivedIsNotHeld(t *testing.T) {
	for _, size := range []int{0, 2} {
		c := keys.NewCache(keys.CachePolicy{Cards: size, Lifetime: time.Hour}, newDrawer().wipe)
		_, _, err := c.Get(cardNumber(1), func(keys.Card) (*int, error) { return nil, keys.ErrUnknownKey })
		require.ErrorIs(t, err, keys.ErrUnknownKey)
		d := newDrawer()
		_, done, err := c.Get(cardNumber(1), d.derive)
		require.NoError(t, err)
		done()
		c.Empty()
		require.Equal(t, 1, d.derived)
	}
}

func TestACachePolicyHasBounds(t *testing.T) {
	require.NoError(t, keys.CachePolicy{}.Check())
	require.NoError(t, keys.DefaultCache.Check())
	for _, p := range []keys.CachePolicy{{Cards: -1}, {Cards: 1}, {Cards: 1, Lifetime: -time.Second}} {
		require.Error(t, p.Check(), p)
		_, err := keys.NewCachedSoft(nil, p)
		require.Error(t, err, p)
	}
}

// TestACachedHSMSaysWhatAnUncachedSays has many goroutines ask for few cards with a cache that is smaller yet.
func TestACachedHSMSaysWhatAnUncachedSays(t *testing.T) {
	masters := map[keys.ID]keys.Key{}
	for i, p := range []keys.Purpose{keys.Purchase, keys.Load, keys.TAC} {
		masters[keys.ID{Purpose: p, Version: 1}] = ascending(byte(0x40 + 0x10*i))
	}
	plain := keys.NewSoft(masters)
	cached, err := keys.NewCachedSoft(masters, keys.CachePolicy{Cards: 3, Lifetime: time.Hour})
	require.NoError(t, err)
	defer cached.Forget()
	answer := func(h keys.HSM, n int) string {
		factors := [][8]byte{{1}, {byte(n % 5)}}[n%2:]
		tac, err := h.TAC(context.Background(), keys.Card{ID: keys.ID{Purpose: keys.TAC, Version: 1}, Factors: factors}, []byte{byte(n)})
		load, err2 := h.SessionMAC(context.Background(), keys.Card{ID: keys.ID{Purpose: keys.Load, Version: 1}, Factors: factors}, [8]byte{byte(n)}, []byte{byte(n)})
		buy, err3 := h.SessionMAC(context.Background(), keys.Card{ID: keys.ID{Purpose: keys.Purchase, Version: 1}, Factors: factors}, [8]byte{byte(n)}, []byte{byte(n)})
		return fmt.Sprint(tac, load, buy, err, err2, err3)
	}
	want := make([]string, 60)
	for n := range want {
		want[n] = answer(plain, n)
	}
	var all sync.WaitGroup
	for range 8 {
		all.Go(func() {
			for n := range want {
				if got := answer(cached, n); got != want[n] {
					t.Errorf("%d: %s, want %s", n, got, want[n])
				}
			}
		})
	}
	all.Wait()
}

func TestAKeyScheduleIsOverwritten(t *testing.T) {
	for name, b := range keys.SomeBlocks(ascending(0x40)) {
		require.True(t, keys.HoldsSomething(b), name)
		keys.WipeBlock(b)
		require.False(t, keys.HoldsSomething(b), name)
	}
}
