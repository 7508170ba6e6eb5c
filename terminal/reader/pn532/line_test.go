package pn532

import (
	"context"
	"errors"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/purselane/purselane/terminal/reader/pn532/frame"
)

// fakePort is a port in a bubble of time: heard gets what is written, and what is said is read.
type fakePort struct {
	heard   func(raw []byte) (int, error)
	said    chan []byte
	failed  chan error
	hangs   chan struct{} // Close waits for it; nil: it does not hang
	rest    []byte
	mu      sync.Mutex
	drained int
	bauds   []int
}

func newFakePort(heard func(p *fakePort, raw []byte) (int, error)) *fakePort {
	p := &fakePort{said: make(chan []byte, 100), failed: make(chan error, 1)}
	p.heard = func(raw []byte) (int, error) { return heard(p, raw) }
	return p
}

// say has bytes arrive after d.
func (p *fakePort) say(d time.Duration, raw ...byte) {
	if d == 0 {
		p.said <- raw
		return
	}
	time.AfterFunc(d, func() { p.said <- raw })
}

func (p *fakePort) Read(buf []byte) (int, error) {
	if len(p.rest) == 0 {
		select {
		case p.rest = <-p.said:
		case err := <-p.failed:
			return 0, err
		case <-time.After(readTimeout):
			return 0, nil
		}
	}
	n := copy(buf, p.rest)
	p.rest = p.rest[n:]
	return n, nil
}

func (p *fakePort) Write(raw []byte) (int, error) { return p.heard(slices.Clone(raw)) }
func (p *fakePort) Drain() error                  { p.mu.Lock(); defer p.mu.Unlock(); p.drained++; return nil }

func (p *fakePort) SetBaud(baud int) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.bauds = append(p.bauds, baud)
	return nil
}

func (p *fakePort) Close() error {
	if p.hangs != nil {
		<-p.hangs
	}
	return nil
}

// inBubble runs f with a line on a port, in time that passes only when all wait.
func inBubble(t *testing.T, heard func(p *fakePort, raw []byte) (int, error), f func(t *testing.T, l *line, p *fakePort)) {
	synctest.Test(t, func(t *testing.T) {
		p := newFakePort(heard)
		l := newLine(p, StartBaud)
		defer func() { require.NoError(t, l.close()) }()
		f(t, l, p)
	})
}

func info(t testing.TB, data ...byte) []byte {
	raw, err := frame.Info(frame.ToHost, data)
	require.NoError(t, err)
	return raw
}

func mute(*fakePort, []byte) (int, error) { return 0, nil }

// TestDeadlines counts what a command waits for, to the microsecond.
func TestDeadlines(t *testing.T) {
	command := []byte{cmdDataExchange, 1, 0, 0xB0, 0, 0} // 14 bytes on the line
	ack := func() time.Duration { return cardAckWithin + wire(14+6, StartBaud) }
	full := wire(frame.MaxLength+10, StartBaud)
	good := []byte{0x41, 0x00, 0x90, 0x00}
	bad := func() []byte { raw := info(t, good...); raw[len(raw)-2]++; return raw }
	cases := []struct {
		name  string
		heard func(t *testing.T, p *fakePort, n int) // n counts what the host wrote, from 0
		took  time.Duration
		stage stage
		err   error // nil: answered
		wrote int   // writes of the host
	}{
		{"no ACK", func(*testing.T, *fakePort, int) {}, ack(), notAcked, errNoAck, 2},
		{"an ACK at the last moment, and silence", func(_ *testing.T, p *fakePort, n int) {
			if n == 0 {
				p.say(ack()-time.Microsecond, frame.AckFrame()...)
			}
		}, ack() - time.Microsecond + time.Second + full, noResponse, errSilent, 2},
		{"a response without delay", func(t *testing.T, p *fakePort, n int) {
			p.say(0, frame.AckFrame()...)
			p.say(0, info(t, good...)...)
		}, 0, 0, nil, 1},
		{"a response before the ACK", func(t *testing.T, p *fakePort, n int) {
			if n == 0 {
				p.say(0, info(t, good...)...)
				p.say(time.Millisecond, frame.AckFrame()...)
			}
		}, time.Millisecond + time.Second + full, noResponse, errSilent, 2},
		{"an answer to another command before", func(t *testing.T, p *fakePort, n int) {
			p.say(0, slices.Concat(frame.AckFrame(), info(t, 0x4B, 0x00))...)
			p.say(3*time.Millisecond, info(t, good...)...)
		}, 3 * time.Millisecond, 0, nil, 1},
		{"a cut answer is asked for after the gap", func(t *testing.T, p *fakePort, n int) {
			if n == 0 {
				p.say(0, frame.AckFrame()...)
				p.say(0, info(t, good...)[:8]...)
			} else {
				p.say(0, info(t, good...)...)
			}
		}, gap, 0, nil, 2},
		{"an answer that stays damaged", func(t *testing.T, p *fakePort, n int) {
			if n == 0 {
				p.say(0, frame.AckFrame()...)
			}
			p.say(0, bad()...)
		}, 0, noResponse, errDamaged, 5},
		{"an answer that is damaged and then missing", func(t *testing.T, p *fakePort, n int) {
			if n == 0 {
				p.say(0, slices.Concat(frame.AckFrame(), bad())...)
			}
		}, 3 * (againWithin + full), noResponse, errDamaged, 5},
		{"damage that does not show whose it is", func(t *testing.T, p *fakePort, n int) {
			if n == 0 {
				raw := info(t, good...)
				raw[6] = 0x4B
				p.say(0, slices.Concat(frame.AckFrame(), raw)...)
			}
		}, time.Second + full, noResponse, errSilent, 2},
		{"a syntax error", func(t *testing.T, p *fakePort, n int) {
			p.say(0, slices.Concat(frame.AckFrame(), frame.SyntaxFrame())...)
		}, 0, refused, errNoCommand, 1},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			wrote := 0
			heard := func(p *fakePort, raw []byte) (int, error) {
				c.heard(t, p, wrote)
				wrote++
				return len(raw), nil
			}
			inBubble(t, heard, func(t *testing.T, l *line, p *fakePort) {
				start := time.Now()
				data, err := l.ask(t.Context(), time.Second, command...)
				require.Equal(t, c.took, time.Since(start))
				require.Equal(t, c.wrote, wrote)
				if c.err == nil {
					require.NoError(t, err)
					require.Equal(t, good[1:], data)
					return
				}
				require.ErrorIs(t, err, c.err)
				require.Equal(t, c.stage, stageOf(err))
			})
		})
	}
}

// TestHowFarAFrameWentDecides has the host take only so many bytes of a command.
func TestHowFarAFrameWentDecides(t *testing.T) {
	for _, c := range []struct {
		took int
		want stage
	}{{0, notWritten}, {5, notWritten}, {12, notWritten}, {13, notAcked}, {14, notAcked}} {
		inBubble(t, func(*fakePort, []byte) (int, error) { return c.took, errors.New("unplugged") }, func(t *testing.T, l *line, p *fakePort) {
			_, err := l.ask(t.Context(), time.Second, cmdDataExchange, 1, 0, 0xB0, 0, 0)
			require.ErrorIs(t, err, errLineLost)
			require.Equal(t, c.want, stageOf(err), "%d of 14 bytes", c.took)
			_, err = l.ask(t.Context(), time.Second, cmdDiagnose, 0)
			require.ErrorIs(t, err, errLineLost)
			require.Equal(t, notWritten, stageOf(err))
		})
	}
}

func TestAPortThatDoesNotWriteIsLost(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		free := make(chan struct{})
		l := newLine(newFakePort(func(*fakePort, []byte) (int, error) { <-free; return 0, errors.New("closed") }), StartBaud)
		start := time.Now()
		_, err := l.ask(t.Context(), time.Second, cmdDataExchange, 1, 0, 0xB0, 0, 0)
		require.ErrorIs(t, err, errLineLost)
		close(free)
		require.Equal(t, notAcked, stageOf(err), "it may write yet")
		require.Equal(t, writeWithin+wire(14, StartBaud), time.Since(start))
		require.NoError(t, l.close())
	})
}

func TestAPortThatDoesNotCloseIsLeftBehind(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newFakePort(mute)
		p.hangs = make(chan struct{})
		l := newLine(p, StartBaud)
		start := time.Now()
		require.ErrorContains(t, l.close(), "left behind")
		require.Equal(t, closeWithin, time.Since(start))
		close(p.hangs)
	})
}

func TestAContextEndsACommand(t *testing.T) {
	var aborted []byte
	heard := func(p *fakePort, raw []byte) (int, error) {
		if len(raw) > 6 {
			p.say(0, frame.AckFrame()...)
		} else {
			aborted = raw
		}
		return len(raw), nil
	}
	inBubble(t, heard, func(t *testing.T, l *line, p *fakePort) {
		ctx, cancel := context.WithTimeout(t.Context(), 70*time.Millisecond)
		defer cancel()
		start := time.Now()
		_, err := l.ask(ctx, time.Second, cmdListPassiveTarget, 1, 0)
		require.ErrorIs(t, err, context.DeadlineExceeded)
		require.Equal(t, noResponse, stageOf(err))
		require.Equal(t, 70*time.Millisecond, time.Since(start))
		require.Equal(t, frame.AckFrame(), aborted, "the chip is told to stop")

		_, err = l.ask(ctx, time.Second, cmdListPassiveTarget, 1, 0)
		require.ErrorIs(t, err, context.DeadlineExceeded)
		require.Equal(t, notWritten, stageOf(err))
	})
}

func TestTheHostChangesItsSpeedWhenAllIsSent(t *testing.T) {
	inBubble(t, mute, func(t *testing.T, l *line, p *fakePort) {
		require.NoError(t, l.setBaud(DefaultBaud))
		require.Equal(t, 1, p.drained)
		require.Equal(t, []int{DefaultBaud}, p.bauds)
		start := time.Now()
		require.NoError(t, l.rest(t.Context()))
		require.Equal(t, settle, time.Since(start))
	})
}
