package city

import (
	"context"
	"crypto/ed25519"
	"errors"
	"fmt"
	"math/rand/v2"
	"path/filepath"
	"strings"
	"sync/atomic"
	"time"

	"github.com/purselane/purselane/backend/node"
	"github.com/purselane/purselane/backend/store"
	"github.com/purselane/purselane/card/ep"
	"github.com/purselane/purselane/card/keys"
	"github.com/purselane/purselane/internal/clock"
	"github.com/purselane/purselane/simulator/personalise"
	"github.com/purselane/purselane/simulator/psam"
	"github.com/purselane/purselane/terminal/edge"
	"github.com/purselane/purselane/terminal/journal"
	"github.com/purselane/purselane/terminal/reader/inproc"
	"github.com/purselane/purselane/uplink/client"
)

// station is a terminal in its place: journal on disk, PSAM, modem.
type station struct {
	place
	city     *City
	number   int
	key      ed25519.PrivateKey
	password string
	sam      keys.SAM
	modem    *modem

	term *edge.Terminal
	stop context.CancelFunc
	done chan error

	cut atomic.Bool // the power fails before the next record is written
}

// errPower is a power cut.
var errPower = errors.New("the power is cut")

func (c *City) newStation(ctx context.Context, p place, n int, chance *rand.ChaCha8) (*station, error) {
	psamNumber := ep.TerminalNumber{0, 0, 0, 0, 0, byte(n + 1)}
	img, err := personalise.PSAM(c.ring.Masters, personalise.PSAMSpec{Terminal: psamNumber, Issuer: ep.Factor{1, 1, 0x10, 0, 0xFF, 0xFF, 0xFF, 0xFF}, NextSerial: 1})
	if err != nil {
		return nil, err
	}
	chip, err := psam.New(img)
	if err != nil {
		return nil, err
	}
	sam, err := ep.OpenPSAM(ctx, chip, ep.PSAMTUnion)
	if err != nil {
		return nil, err
	}
	tokenKey, err := c.ring.Secret(keys.SecretToken, 32)
	if err != nil {
		return nil, err
	}
	s := &station{place: p, city: c, number: n, key: deviceKey(chance), sam: sam, password: node.DevicePassword(tokenKey, p.id)}
	err = c.node.Store().Update(ctx, func(tx *store.Tx) error {
		return tx.PutTerminal(ctx, store.Terminal{ID: p.id, Merchant: p.merchant, PSAMs: [][6]byte{psamNumber}, PublicKey: s.key.Public().(ed25519.PublicKey), Active: true, Place: p.name})
	})
	if err != nil {
		return nil, err
	}
	url, err := c.node.BrokerURL(ctx)
	if err != nil {
		return nil, err
	}
	if s.modem, err = newModem(strings.TrimPrefix(url, "tcp://")); err != nil {
		return nil, err
	}
	return s, s.boot(ctx)
}

// boot opens the terminal's journal, settles what it died with, and lets it upload.
func (s *station) boot(ctx context.Context) error {
	receipts, err := s.city.ring.SigningKey(keys.SecretReceipt)
	if err != nil {
		return err
	}
	cfg := edge.Config{
		Terminal: s.id, Merchant: s.merchant, Profile: s.city.profile, SAM: s.sam,
		JournalPath: filepath.Join(s.city.cfg.Dir, string(s.id), "journal.db"),
		Journal:     journal.Options{Fault: s.fault, Rand: rand.NewChaCha8(seedBytes(s.city.cfg.Seed + uint64(s.number)<<32))},
		Clock:       s.city.clock, DeviceKey: s.key, BackendKey: receipts.Public().(ed25519.PublicKey),
		Uplink: &client.Config{Broker: s.modem.url(), Password: s.password, ConnectJitter: time.Millisecond, ConnectRetry: 50 * time.Millisecond,
			RetryMax: 200 * time.Millisecond, Log: s.city.cfg.Log, Clock: clock.System{}}, // the link is real, and so is its time
		Rand: rand.New(rand.NewPCG(s.city.cfg.Seed, uint64(s.number))), Log: s.city.cfg.Log,
	}
	for _, l := range s.lanes {
		cfg.Lanes = append(cfg.Lanes, edge.Lane{Reader: inproc.New(string(s.id) + " " + l.name), Mode: l.mode, Line: l.line, Station: l.station})
	}
	if s.term, err = edge.Open(cfg); err != nil {
		return err
	}
	run, stop := context.WithCancel(context.WithoutCancel(ctx))
	s.stop, s.done = stop, make(chan error, 1)
	go func(t *edge.Terminal, done chan<- error) { done <- t.Run(run) }(s.term, s.done)
	return nil
}

// fault is the journal's hook: the power fails between the card's debit and the record of it.
func (s *station) fault(point string) error {
	if point == "finish:before" && s.cut.CompareAndSwap(true, false) {
		return errPower
	}
	return nil
}

// halt ends the terminal's program. What is in its journal stays.
func (s *station) halt() error {
	if s.term == nil {
		return nil
	}
	s.stop()
	err := <-s.done
	if errors.Is(err, context.Canceled) {
		err = nil
	}
	err = errors.Join(err, s.term.Close())
	s.term = nil
	return err
}

// reboot is a power cut and what follows.
func (s *station) reboot(ctx context.Context) error {
	if err := s.halt(); err != nil {
		return fmt.Errorf("terminal %s: %w", s.id, err)
	}
	return s.boot(ctx)
}

func (s *station) close() error { return errors.Join(s.halt(), s.modem.close()) }

// backlog is how many records wait for a receipt.
func (s *station) backlog() uint64 { return s.term.Sender().Stats().Backlog }
