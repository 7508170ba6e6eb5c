package selfheal

import (
	"cmp"
	"context"
	"crypto/ed25519"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"time"

	"github.com/purselane/purselane/backend/gateway/health"
	"github.com/purselane/purselane/backend/gateway/route"
	"github.com/purselane/purselane/internal/clock"
)

// Publishing says where the fall-back file of a process is, and how it is signed.
type Publishing struct {
	Path  string
	Key   ed25519.PrivateKey
	Every time.Duration // between two files; 0: ten seconds
	Log   *slog.Logger
}

const publishEvery = 10 * time.Second

// Snapshot is what is routed by now.
func (x *Channels) Snapshot() (route.Fallback, error) {
	p, ok := x.router.Plan()
	if !ok {
		return route.Fallback{}, route.ErrNoPlan
	}
	f := route.Fallback{Plan: p, At: x.clock.Now(), Learned: x.router.Learned()}
	for c, share := range x.health.Shares() {
		f.Out = append(f.Out, route.FallbackChannel{Channel: c.Channel, Bank: c.Bank, Card: c.Card, Share: share})
	}
	slices.SortFunc(f.Out, func(a, b route.FallbackChannel) int {
		return cmp.Or(cmp.Compare(a.Channel, b.Channel), cmp.Compare(a.Bank, b.Bank), cmp.Compare(a.Card, b.Card))
	})
	return f, nil
}

// Publish writes the fall-back file once, in place of the one before it, whole or not at all.
func (x *Channels) Publish(p Publishing) error {
	f, err := x.Snapshot()
	if err != nil {
		return err
	}
	body, err := route.Seal(f, p.Key)
	if err != nil {
		return err
	}
	return replace(p.Path, body)
}

// PublishAlways writes the file again and again until ctx ends, and within a second where a channel's share has changed. It asks no database: a file that could not
// be written is logged, and written the next time.
func (x *Channels) PublishAlways(ctx context.Context, p Publishing) error {
	t := time.NewTicker(time.Second)
	defer t.Stop()
	var last time.Time
	var out map[health.Cell]float64
	for {
		now, shares := x.clock.Now(), x.health.Shares()
		if now.Sub(last) >= cmp.Or(p.Every, publishEvery) || !maps.Equal(out, shares) {
			if err := x.Publish(p); err == nil {
				last, out = now, shares
			} else if p.Log != nil {
				p.Log.Error("the routing fall-back file is not written", "error", err)
			}
		}
		select {
		case <-ctx.Done():
			return nil
		case <-t.C:
		}
	}
}

// replace puts a file in place of another: who reads meanwhile sees one of the two, and a machine that loses its power has one of the two.
func replace(path string, body []byte) error {
	f, err := os.CreateTemp(filepath.Dir(path), filepath.Base(path)+".*.new")
	if err != nil {
		return err
	}
	_, err1 := f.Write(body)
	err = errors.Join(err1, f.Sync(), f.Close())
	if err == nil {
		err = os.Rename(f.Name(), path)
	}
	if err != nil {
		return errors.Join(err, os.Remove(f.Name()))
	}
	return nil
}

// ReadFallback reads a fall-back file and verifies it. Errors: [route.ErrFallback], [fs.ErrNotExist].
func ReadFallback(path string, key ed25519.PublicKey, now time.Time) (route.Fallback, error) {
	raw, err := os.ReadFile(path)
	if err != nil {
		return route.Fallback{}, err
	}
	f, err := route.Open(raw, key, now)
	if err != nil {
		return f, fmt.Errorf("%s: %w", path, err)
	}
	return f, nil
}

// fixed are shares that nobody keeps any more.
type fixed map[health.Cell]float64

// Share implements [route.Health].
func (f fixed) Share(c health.Cell) float64 { return health.ShareOf(f, c) }

// Shares lists what takes less than all.
func (f fixed) Shares() map[health.Cell]float64 { return f }

func sharesOf(f route.Fallback) fixed {
	out := fixed{}
	for _, c := range f.Out {
		out[health.Cell{Channel: c.Channel, Bank: c.Bank, Card: c.Card}] = c.Share
	}
	return out
}

// Offline routes by a fall-back file alone: no database and no process that keeps health is asked. Nothing that it sees changes the health of a channel.
func Offline(f route.Fallback, c clock.Clock) (*Channels, error) {
	shares := sharesOf(f)
	x := &Channels{router: route.New(shares), health: shares, clock: c}
	x.router.Recall(f.Learned)
	return x, x.Use(f.Plan)
}

// staleLearned is how old learned success may be that a process starts with: what was true last week says little of now.
const staleLearned = 24 * time.Hour

// Assume has channels be as a fall-back file says, until the store is heard for the first time: a process that starts while the database is away does not send
// payers to a channel that was out. What was learned of accounts goes on from there, where the file is younger than a day. A file that is not there is no error. It returns when
// the file was written, zero for none.
func (x *Channels) Assume(path string, key ed25519.PublicKey) (time.Time, error) {
	f, err := ReadFallback(path, key, x.clock.Now())
	if errors.Is(err, fs.ErrNotExist) {
		return time.Time{}, nil
	}
	if err != nil {
		return time.Time{}, err
	}
	if x.keeper != nil {
		x.keeper.Assume(sharesOf(f))
	}
	if x.clock.Now().Sub(f.At) <= staleLearned {
		x.router.Recall(f.Learned)
	}
	return f.At, nil
}
