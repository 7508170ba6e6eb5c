package pursetest_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/purselane/purselane/card/apdu"
	"github.com/purselane/purselane/card/purse"
	"github.com/purselane/purselane/card/purse/pursetest"
	"github.com/purselane/purselane/internal/money"
)

// driver and card are a sound driver with calls of it replaced.
type driver struct {
	purse.Driver
	open func(ctx context.Context, t apdu.Transmitter, sound purse.Driver) (purse.Card, error)
}

func (d driver) Open(ctx context.Context, t apdu.Transmitter) (purse.Card, error) {
	return d.open(ctx, t, d.Driver)
}

type card struct {
	purse.Card
	begin    func(context.Context, purse.Order) (purse.Attempt, error)
	stage    func(context.Context) error
	commit   func(context.Context) error
	evidence func(context.Context) (purse.Evidence, error)
	recover  func(context.Context, purse.Attempt) (purse.Verdict, purse.Evidence, error)
	close    func()
}

func (c *card) Format(f fmt.State, _ rune) { fmt.Fprint(f, "[broken card]") }

func (c *card) Begin(ctx context.Context, o purse.Order) (purse.Attempt, error) {
	return c.begin(ctx, o)
}
func (c *card) Stage(ctx context.Context) error                      { return c.stage(ctx) }
func (c *card) Commit(ctx context.Context) error                     { return c.commit(ctx) }
func (c *card) Evidence(ctx context.Context) (purse.Evidence, error) { return c.evidence(ctx) }
func (c *card) Recover(ctx context.Context, a purse.Attempt) (purse.Verdict, purse.Evidence, error) {
	return c.recover(ctx, a)
}
func (c *card) Close() { c.close() }

// breaking makes drivers whose cards are changed by how.
func breaking(how func(b *bench, t apdu.Transmitter, c *card)) func(*bench, purse.Driver) purse.Driver {
	return func(b *bench, d purse.Driver) purse.Driver {
		return driver{d, func(ctx context.Context, t apdu.Transmitter, sound purse.Driver) (purse.Card, error) {
			in, err := sound.Open(ctx, t)
			if err != nil {
				return nil, err
			}
			c := &card{Card: in, begin: in.Begin, stage: in.Stage, commit: in.Commit, evidence: in.Evidence, recover: in.Recover, close: in.Close}
			how(b, t, c)
			return c, nil
		}}
	}
}

// verdictOf replaces what the sound driver says.
func verdictOf(say func(purse.Verdict) purse.Verdict) func(*bench, apdu.Transmitter, *card) {
	return func(_ *bench, _ apdu.Transmitter, c *card) {
		sound := c.recover
		c.recover = func(ctx context.Context, a purse.Attempt) (purse.Verdict, purse.Evidence, error) {
			v, e, err := sound(ctx, a)
			if err != nil {
				return v, e, err
			}
			return say(v), e, nil
		}
	}
}

func always(v purse.Verdict) func(*bench, apdu.Transmitter, *card) {
	return verdictOf(func(purse.Verdict) purse.Verdict { return v })
}

// breaks are drivers that break one promise, and the rule that must be found broken.
var breaks = []struct {
	name string
	rule pursetest.Rule
	how  func(b *bench, t apdu.Transmitter, c *card)
}{
	{"debits in Stage", pursetest.Early, func(_ *bench, _ apdu.Transmitter, c *card) {
		stage, commit := c.stage, c.commit
		c.stage = func(ctx context.Context) error { return errors.Join(stage(ctx), commit(ctx)) }
		c.commit = func(context.Context) error { return nil }
	}},
	{"debits in Begin", pursetest.Early, func(_ *bench, _ apdu.Transmitter, c *card) {
		begin, stage, commit := c.begin, c.stage, c.commit
		c.begin = func(ctx context.Context, o purse.Order) (purse.Attempt, error) {
			a, err := begin(ctx, o)
			if err == nil {
				err = errors.Join(stage(ctx), commit(ctx))
			}
			return a, err
		}
		c.stage = func(context.Context) error { return nil }
		c.commit = c.stage
	}},
	{"says not debited after a lost answer", pursetest.NotDebited, func(_ *bench, _ apdu.Transmitter, c *card) {
		sound := c.commit
		c.commit = func(ctx context.Context) error {
			if err := sound(ctx); err != nil {
				return fmt.Errorf("%w: %w", purse.ErrNotDebited, err)
			}
			return nil
		}
	}},
	{"believes any answer to Commit", pursetest.Debited, func(_ *bench, _ apdu.Transmitter, c *card) {
		sound := c.commit
		c.commit = func(ctx context.Context) error {
			if err := sound(ctx); errors.Is(err, apdu.ErrNotSent) || errors.Is(err, apdu.ErrNoAnswer) {
				return err
			}
			c.evidence = func(context.Context) (purse.Evidence, error) {
				return purse.Evidence{How: purse.Reply, TAC: []byte("right enough")}, nil
			}
			return nil
		}
	}},
	{"debits another amount", pursetest.Debited, func(_ *bench, _ apdu.Transmitter, c *card) {
		sound := c.begin
		c.begin = func(ctx context.Context, o purse.Order) (purse.Attempt, error) {
			amount := o.Amount
			o.Amount, _ = amount.Add(money.Minor(1))
			a, err := sound(ctx, o)
			a.Amount = amount
			return a, err
		}
	}},
	{"says completed, always", pursetest.Truth, always(purse.Completed)},
	{"says voided, always", pursetest.Truth, always(purse.Voided)},
	{"says aged, always", pursetest.Tells, always(purse.Aged)},
	{"says aged the second time", pursetest.Repeatable, func(b *bench, _ apdu.Transmitter, c *card) {
		sound := c.recover
		c.recover = func(ctx context.Context, a purse.Attempt) (purse.Verdict, purse.Evidence, error) {
			v, e, err := sound(ctx, a)
			if b.memory[string(a.State)]++; err == nil && b.memory[string(a.State)] > 1 {
				return purse.Aged, e, nil
			}
			return v, e, err
		}
	}},
	{"debits in Recover", pursetest.Harmless, func(_ *bench, _ apdu.Transmitter, c *card) {
		sound := c.recover
		c.recover = func(ctx context.Context, a purse.Attempt) (purse.Verdict, purse.Evidence, error) {
			v, e, err := sound(ctx, a)
			if v == purse.Voided {
				if _, err := c.begin(ctx, purse.Order{Kind: purse.Sale, Amount: a.Amount, At: at}); err == nil && c.stage(ctx) == nil && c.commit(ctx) == nil {
					return purse.Completed, e, nil
				}
			}
			return v, e, err
		}
	}},
	{"sends in Close", pursetest.Harmless, func(_ *bench, t apdu.Transmitter, c *card) {
		c.close = func() { _, _ = t.Transmit(context.Background(), []byte{0x90, 0x5A, 0, 0}) }
	}},
	{"answers for any card", pursetest.OtherCard, func(_ *bench, _ apdu.Transmitter, c *card) {
		sound := c.recover
		c.recover = func(ctx context.Context, a purse.Attempt) (purse.Verdict, purse.Evidence, error) {
			v, e, err := sound(ctx, a)
			if errors.Is(err, purse.ErrOtherCard) {
				return purse.Aged, e, nil
			}
			return v, e, err
		}
	}},
	{"takes the card's leaving for another card", pursetest.OtherCard, func(_ *bench, _ apdu.Transmitter, c *card) {
		sound := c.recover
		c.recover = func(ctx context.Context, a purse.Attempt) (purse.Verdict, purse.Evidence, error) {
			v, e, err := sound(ctx, a)
			if errors.Is(err, apdu.ErrNoAnswer) {
				err = purse.ErrOtherCard
			}
			return v, e, err
		}
	}},
	{"asks once a visit", pursetest.Repeatable, func(_ *bench, _ apdu.Transmitter, c *card) {
		sound, asked := c.recover, 0
		c.recover = func(ctx context.Context, a purse.Attempt) (purse.Verdict, purse.Evidence, error) {
			if asked++; asked > 1 {
				return 0, purse.Evidence{}, errors.New("out of order")
			}
			return sound(ctx, a)
		}
	}},
	{"answers for another purse", pursetest.OtherCard, func(_ *bench, _ apdu.Transmitter, c *card) {
		sound := c.recover
		c.recover = func(ctx context.Context, a purse.Attempt) (purse.Verdict, purse.Evidence, error) {
			a.Application = layout.AID[:]
			return sound(ctx, a)
		}
	}},
	{"commits in Close", pursetest.Harmless, func(_ *bench, _ apdu.Transmitter, c *card) {
		c.close = func() { _ = c.commit(context.Background()) }
	}},
	{"writes no trip", pursetest.Trips, func(_ *bench, _ apdu.Transmitter, c *card) {
		sound := c.begin
		c.begin = func(ctx context.Context, o purse.Order) (purse.Attempt, error) {
			o.Kind = purse.Sale
			return sound(ctx, o)
		}
	}},
	{"gives one evidence for all", pursetest.OneEvidence, func(_ *bench, _ apdu.Transmitter, c *card) {
		sound := c.evidence
		c.evidence = func(ctx context.Context) (purse.Evidence, error) {
			e, err := sound(ctx)
			e.Data = []byte("paid")
			return e, err
		}
	}},
	{"makes one attempt again", pursetest.OneEvidence, func(b *bench, _ apdu.Transmitter, c *card) {
		sound := c.begin
		c.begin = func(ctx context.Context, o purse.Order) (purse.Attempt, error) {
			a, err := sound(ctx, o)
			a.Serial, a.State = 7, []byte("attempt 7")
			return a, err
		}
		c.recover = func(context.Context, purse.Attempt) (purse.Verdict, purse.Evidence, error) {
			return purse.Aged, purse.Evidence{}, nil
		}
	}},
	{"gives another evidence later", pursetest.OneEvidence, func(_ *bench, _ apdu.Transmitter, c *card) {
		sound := c.recover
		c.recover = func(ctx context.Context, a purse.Attempt) (purse.Verdict, purse.Evidence, error) {
			v, e, err := sound(ctx, a)
			e.Data = append(e.Data, 0)
			return v, e, err
		}
	}},
	{"forgets to release", pursetest.Released, func(b *bench, _ apdu.Transmitter, c *card) {
		sound := c.stage
		c.stage = func(ctx context.Context) error {
			err := sound(ctx)
			if err != nil {
				_, _, _ = b.Acquire(ctx)
			}
			return err
		}
	}},
	{"prints the card in an error", pursetest.Hidden, func(b *bench, _ apdu.Transmitter, c *card) {
		sound := c.stage
		c.stage = func(ctx context.Context) error {
			if err := sound(ctx); err != nil {
				return fmt.Errorf("card %X: %w", b.cards[0].Number(), err)
			}
			return nil
		}
	}},
	{"debits once a visit", pursetest.Works, func(_ *bench, _ apdu.Transmitter, c *card) {
		sound, begun := c.begin, 0
		c.begin = func(ctx context.Context, o purse.Order) (purse.Attempt, error) {
			if begun++; begun > 1 {
				return purse.Attempt{}, errors.New("out of order")
			}
			return sound(ctx, o)
		}
	}},
	{"has no word for too little", pursetest.Insufficient, func(_ *bench, _ apdu.Transmitter, c *card) {
		sound := c.stage
		c.stage = func(ctx context.Context) error {
			if err := sound(ctx); err != nil {
				return errors.New("no")
			}
			return nil
		}
	}},
}

func rules(found []pursetest.Finding) map[pursetest.Rule]bool {
	out := map[pursetest.Rule]bool{}
	for _, f := range found {
		out[f.Rule] = true
	}
	return out
}

// TestTheSuiteFindsEachBrokenDriver: a suite that cannot fail proves nothing.
func TestTheSuiteFindsEachBrokenDriver(t *testing.T) {
	for _, b := range breaks {
		t.Run(b.name, func(t *testing.T) {
			require.True(t, rules(pursetest.Check(family(breaking(b.how), purse.BusRide), b.rule))[b.rule], b.rule)
		})
	}
	t.Run("knows any card", func(t *testing.T) {
		f := family(func(_ *bench, d purse.Driver) purse.Driver {
			return driver{d, func(ctx context.Context, t apdu.Transmitter, sound purse.Driver) (purse.Card, error) {
				c, err := sound.Open(ctx, t)
				if errors.Is(err, purse.ErrNoPurse) {
					err = errors.New("no")
				}
				return c, err
			}}
		}, purse.Sale)
		require.True(t, rules(pursetest.Check(f))[pursetest.NoPurse])
	})
	for name, seal := range map[string]func(*purse.Attempt, *purse.Evidence){
		"seals no attempt":  func(_ *purse.Attempt, e *purse.Evidence) { e.Sealed = []byte{1} },
		"seals no evidence": func(a *purse.Attempt, _ *purse.Evidence) { a.Sealed = []byte{1} },
		"seals":             func(a *purse.Attempt, e *purse.Evidence) { a.Sealed, e.Sealed = []byte{1}, []byte{1} },
	} {
		t.Run(name, func(t *testing.T) {
			f := family(breaking(func(_ *bench, _ apdu.Transmitter, c *card) {
				begin, evidence, settle := c.begin, c.evidence, c.recover
				c.begin = func(ctx context.Context, o purse.Order) (purse.Attempt, error) {
					a, err := begin(ctx, o)
					seal(&a, new(purse.Evidence))
					return a, err
				}
				c.evidence = func(ctx context.Context) (purse.Evidence, error) {
					e, err := evidence(ctx)
					seal(new(purse.Attempt), &e)
					return e, err
				}
				c.recover = func(ctx context.Context, a purse.Attempt) (purse.Verdict, purse.Evidence, error) {
					v, e, err := settle(ctx, a)
					seal(new(purse.Attempt), &e)
					return v, e, err
				}
			}), purse.Sale)
			f.Bank = true
			require.Equal(t, name != "seals", rules(pursetest.Check(f))[pursetest.Sealed])
		})
	}
	t.Run("does not work at all", func(t *testing.T) {
		f := family(func(_ *bench, d purse.Driver) purse.Driver {
			return driver{d, func(context.Context, apdu.Transmitter, purse.Driver) (purse.Card, error) {
				return nil, errors.New("no")
			}}
		}, purse.Sale)
		require.True(t, rules(pursetest.Check(f))[pursetest.Works])
	})
}

// TestTheSuiteFindsNothingInASoundDriver: not even behind the wrapper that breaks the others.
func TestTheSuiteFindsNothingInASoundDriver(t *testing.T) {
	f := family(breaking(func(*bench, apdu.Transmitter, *card) {}), purse.Sale, purse.BusRide, purse.Enter, purse.Leave, purse.CloseTrip, purse.LeaveUnmet)
	require.Empty(t, pursetest.Check(f))
	require.Empty(t, days(f))
}

// days are some random days, the same ones at each run.
func days(f pursetest.Family) (out []pursetest.Finding) {
	r := rand.New(seeded(7))
	for range 60 {
		out = append(out, pursetest.Day(f, func(_ string, n int) int { return r.IntN(n) })...)
	}
	return out
}

// TestTheDaysAddUp: what the terminals know of is held against what the cards lost, whatever the verdicts are held against.
func TestTheDaysAddUp(t *testing.T) {
	for _, v := range []purse.Verdict{purse.Completed, purse.Voided} {
		found := rules(days(family(breaking(always(v)), purse.Sale, purse.BusRide)))
		require.True(t, found[pursetest.Sums] && found[pursetest.Truth], "always %d: %v", v, found)
	}
	require.Empty(t, days(family(breaking(always(purse.Aged)), purse.Sale, purse.BusRide)), "a card may forget")
}
