//go:build pkcs11

package keys

import (
	"context"
	"crypto/cipher"
	"errors"
	"fmt"
	"io"
	"sync"
	"time"

	"github.com/miekg/pkcs11"
)

// DeviceAvailable says whether the program was built with PKCS#11.
const DeviceAvailable = true

// device is a Device: at most one connection at a time, made anew when the token was lost.
type device struct {
	o      DeviceOptions
	module *pkcs11.Ctx
	seen   *seenKeys

	retired retired
	// turn is held for reading by each call into the device and for writing by whoever connects or drops: the library is
	// started anew then, and no call may be inside.
	turn   sync.RWMutex
	now    *connection // nil: none
	failed error       // of the last attempt to connect
	tried  time.Time   // when that was
	final  bool        // failed is not to be tried again
	closed bool
}

// modules in use: a PKCS#11 library is one for the whole process, and starting it anew would end another's sessions.
var (
	modulesLock sync.Mutex
	modules     = map[string]bool{}
)

// OpenDevice finds the token, logs in, and asserts what its master keys may do. Errors are those of [Device].
func OpenDevice(o DeviceOptions) (Device, error) {
	o = o.withDefaults()
	if err := o.Check(); err != nil {
		return nil, err
	}
	o.PIN = append(Secret(nil), o.PIN...) // the caller may wipe its own
	modulesLock.Lock()
	defer modulesLock.Unlock()
	if modules[o.Module] {
		return nil, fmt.Errorf("keys: HSM: %s: %w", o.Module, ErrModule)
	}
	m := pkcs11.New(o.Module)
	if m == nil {
		return nil, fmt.Errorf("keys: HSM: %s: %w", o.Module, ErrModule)
	}
	d := &device{o: o, module: m, seen: &seenKeys{checks: map[ID][3]byte{}}, retired: retiredOf(o.Retired)}
	if err := d.connect(); err != nil {
		m.Destroy()
		return nil, err
	}
	modules[o.Module] = true
	return d, nil
}

// Close implements Device.
func (d *device) Close() error {
	d.turn.Lock()
	defer d.turn.Unlock()
	if d.closed {
		return nil
	}
	d.closed = true
	d.drop()
	d.module.Destroy()
	clear(d.o.PIN)
	modulesLock.Lock()
	defer modulesLock.Unlock()
	delete(modules, d.o.Module)
	return nil
}

// do makes a call that only computes: one that finds the token lost is made once more, on a new connection.
func (d *device) do(ctx context.Context, call func(*connection) error) error {
	return d.try(ctx, 2, call)
}

// try makes a call into the device, at most so many times.
func (d *device) try(ctx context.Context, times int, call func(*connection) error) error {
	for n := 1; ; n++ {
		if err := ctx.Err(); err != nil {
			return err
		}
		c, err := d.enter()
		if err != nil {
			return err
		}
		err = call(c)
		d.turn.RUnlock()
		if err == nil || !lost(err) && !errors.Is(err, ErrKeyGone) {
			return err
		}
		d.turn.Lock()
		if d.now == c { // else somebody else has seen to it
			d.drop()
		}
		d.turn.Unlock()
		if n == times {
			return fmt.Errorf("%w (%w)", ErrTokenMissing, err)
		}
	}
}

// enter returns the connection with the turn taken for reading.
func (d *device) enter() (*connection, error) {
	for {
		d.turn.RLock()
		if d.now != nil {
			return d.now, nil
		}
		d.turn.RUnlock()
		d.turn.Lock()
		err := d.reconnect()
		d.turn.Unlock()
		if err != nil {
			return nil, err
		}
	}
}

// reconnect looks for the token, not too often, and never again after the PIN was refused.
func (d *device) reconnect() error {
	switch {
	case d.closed:
		return errors.New("keys: HSM: closed")
	case d.now != nil:
		return nil
	case d.failed != nil && (d.final || time.Since(d.tried) < d.o.RetryEvery):
		return d.failed
	}
	d.failed = d.connect()
	d.tried = time.Now()
	d.final = errors.Is(d.failed, ErrPINWrong) || errors.Is(d.failed, ErrPINLocked)
	return d.failed
}

// connect starts the library and opens a connection. Makers differ in what a lost token leaves behind; a library that is
// started anew has forgotten all of it.
func (d *device) connect() error {
	if err := d.module.Initialize(); err != nil {
		return fmt.Errorf("keys: HSM: %s: %w: %w", d.o.Module, ErrModule, err)
	}
	c, err := connect(d.module, d.o, d.seen)
	if err != nil {
		d.module.Finalize() // also ends what sessions there were
		return err
	}
	apart := func(do func()) {
		d.turn.RLock()
		defer d.turn.RUnlock()
		if d.now == c {
			do()
		}
	}
	c.keys.apart, c.aes.apart = apart, apart
	d.now = c
	return nil
}

// drop ends the connection; the caller has the turn for writing.
func (d *device) drop() {
	if d.now == nil {
		return
	}
	d.now.forget()
	d.now = nil
	d.module.Finalize() // its error is of no use: the token may well be gone
}

// checkCard refuses what no door does, another purpose's work and a master key doing a card's, and what this one does not: SM4.
func (o DeviceOptions) checkCard(c Card, want Purpose) error {
	if KindOf(c.ID, o.SM4) == KindSM4 {
		return fmt.Errorf("keys: HSM: %v: %w: %w", c.ID, ErrUnknownKey, ErrSM4)
	}
	if c.ID.Purpose != want {
		return fmt.Errorf("keys: a %s key was asked to do a %s key's work", c.ID.Purpose, want)
	}
	if n := len(c.Factors); n < 1 || n > maxLevels {
		return fmt.Errorf("keys: %v: %d diversification factors: want 1 to %d", c.ID, n, maxLevels)
	}
	return nil
}

// TAC implements HSM. The TAC key of the card comes out of the device and is folded here.
func (d *device) TAC(ctx context.Context, c Card, message []byte) (tac [4]byte, err error) {
	if err := d.o.checkCard(c, TAC); err != nil {
		return tac, err
	}
	err = d.do(ctx, func(at *connection) error {
		k, err := at.tacs.get(c, func(c Card) (cipher.Block, error) { return at.tacKey(ctx, c) })
		if err != nil {
			return err
		}
		defer at.tacs.done(k)
		last := cbc(k.key, [8]byte{}, message)
		tac = [4]byte(last[:4])
		return nil
	})
	return tac, err
}

// SessionMAC implements HSM. No key of it leaves the device.
func (d *device) SessionMAC(ctx context.Context, c Card, session [8]byte, message []byte) (mac [4]byte, err error) {
	switch c.ID.Purpose {
	case Load, Purchase, Unload, Limit:
	default:
		return mac, fmt.Errorf("keys: %s keys have no sessions", c.ID.Purpose)
	}
	if err := errors.Join(d.o.checkCard(c, c.ID.Purpose), d.retired.refuse(c.ID)); err != nil {
		return mac, err
	}
	err = d.do(ctx, func(at *connection) error {
		k, err := at.cardKey(ctx, c)
		if err != nil {
			return err
		}
		defer at.keys.done(k)
		mac, err = at.sessionMAC(ctx, k.key, session, message)
		return err
	})
	return mac, err
}

// Masters implements Device.
func (d *device) Masters(ctx context.Context) (out map[ID][3]byte, err error) {
	err = d.do(ctx, func(c *connection) error {
		if err := c.scan(ctx); err != nil {
			return err
		}
		out = c.checkValues()
		return nil
	})
	return out, err
}

// Format prints no PIN and no key.
func (d *device) Format(f fmt.State, _ rune) { fmt.Fprintf(f, "[HSM, token %q]", d.o.Token) }

// Format prints no key.
func (c *connection) Format(f fmt.State, _ rune) { io.WriteString(f, "[connection to an HSM]") }
