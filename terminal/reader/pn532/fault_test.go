//go:build linux

package pn532_test

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"math/rand/v2"
	"path/filepath"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.bug.st/serial"

	"github.com/purselane/purselane/card/apdu"
	chip "github.com/purselane/purselane/simulator/pn532"
	"github.com/purselane/purselane/terminal/reader"
	"github.com/purselane/purselane/terminal/reader/pn532"
	"github.com/purselane/purselane/terminal/reader/pn532/frame"
)

// patience bounds every wait: longer means that the reader hangs.
const patience = 20 * time.Second

// Command codes.
const (
	diagnose = 0x00
	firmware = 0x02
	setBaud  = 0x10
	setParam = 0x12
	samConf  = 0x14
	rfConf   = 0x32
	exchange = 0x40
	list     = 0x4A
)

// witness is a card that remembers what it was asked and answers with it.
type witness struct {
	mu    sync.Mutex
	asked []string
}

func (w *witness) Power(bool) {}
func (w *witness) Reset()     {}

// Transmit implements apdu.Transmitter: the length and the last four bytes of the command.
func (w *witness) Transmit(_ context.Context, command []byte) ([]byte, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.asked = append(w.asked, string(command))
	return answerTo(command), nil
}

func answerTo(command []byte) []byte {
	out := binary.BigEndian.AppendUint16(nil, uint16(len(command)))
	return append(append(out, command[len(command)-4:]...), 0x90, 0x00)
}

// all is everything that it was asked.
func (w *witness) all() []string { w.mu.Lock(); defer w.mu.Unlock(); return slices.Clone(w.asked) }

func (w *witness) times(command []byte) (n int) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, a := range w.asked {
		if a == string(command) {
			n++
		}
	}
	return n
}

// meet waits for the card in the field.
func (s *stand) meet() reader.Card {
	ctx, cancel := context.WithTimeout(s.t.Context(), patience)
	defer cancel()
	c, err := s.r.Wait(ctx)
	require.NoError(s.t, err)
	return c
}

func (s *stand) wantErr(want error) error {
	ctx, cancel := context.WithTimeout(s.t.Context(), patience)
	defer cancel()
	_, err := s.r.Wait(ctx)
	require.ErrorIs(s.t, err, want)
	return err
}

// quickly is short enough for tests and long enough for a busy machine.
func quickly(o *pn532.Options) { o.Timeout = 300 * time.Millisecond }

// TestWhatBecomesOfACommand has a command go wrong in every way. The card must have seen it as often as the result says: never when it is
// not sent, once when it is answered, and never twice.
func TestWhatBecomesOfACommand(t *testing.T) {
	cases := []struct {
		name  string
		f     chip.Fault
		want  error // nil: answered
		seen  int   // by the card
		whole bool  // the session goes on
	}{
		{"nothing", chip.Fault{Kind: chip.Healthy}, nil, 1, true},
		{"the ACK is lost", chip.Fault{Kind: chip.LostAck}, apdu.ErrNoAnswer, 1, false},
		{"the ACK is late", chip.Fault{Kind: chip.LateAck, Delay: 20 * time.Millisecond}, nil, 1, true},
		{"a NACK for an ACK", chip.Fault{Kind: chip.NackForAck}, apdu.ErrNoAnswer, 0, false},
		{"the chip is deaf", chip.Fault{Kind: chip.Deaf}, apdu.ErrNoAnswer, 0, false},
		{"silence", chip.Fault{Kind: chip.Silence}, apdu.ErrNoAnswer, 1, false},
		{"the answer comes twice", chip.Fault{Kind: chip.Twice}, nil, 1, true},
		{"the answer before comes again", chip.Fault{Kind: chip.Stale}, nil, 1, true},
		{"a wrong length", chip.Fault{Kind: chip.WrongLength}, apdu.ErrNoAnswer, 1, false},
		{"a wrong checksum", chip.Fault{Kind: chip.WrongChecksum}, nil, 1, true},
		{"a cut answer", chip.Fault{Kind: chip.Truncated}, nil, 1, true},
		{"noise", chip.Fault{Kind: chip.Noise}, nil, 1, true},
		{"false starts", chip.Fault{Kind: chip.FalseStart}, nil, 1, true},
		{"a long preamble", chip.Fault{Kind: chip.LongPreamble}, nil, 1, true},
		{"byte by byte", chip.Fault{Kind: chip.Bytewise}, nil, 1, true},
		{"ACK and answer in one", chip.Fault{Kind: chip.Together}, nil, 1, true},
		{"the card does not answer", chip.Fault{Kind: chip.Status, Status: 0x01}, apdu.ErrNoAnswer, 0, false},
		{"a collision", chip.Fault{Kind: chip.Status, Status: 0x06}, apdu.ErrNoAnswer, 0, false},
		{"an error on air", chip.Fault{Kind: chip.Status, Status: 0x0B}, apdu.ErrNoAnswer, 0, false},
		{"a status that nobody knows", chip.Fault{Kind: chip.Status, Status: 0x3E}, apdu.ErrNoAnswer, 0, false},
		{"the chip loses its power", chip.Fault{Kind: chip.PowerLoss}, apdu.ErrNoAnswer, 0, false},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			s := newStand(t, chip.Options{}, quickly)
			card := &witness{}
			s.chip.Put(card, chip.Target{})
			session := s.meet()
			first, second, third := []byte{0, 0xB0, 0, 0, 1}, []byte{0, 0xB0, 0, 0, 2}, []byte{0, 0xB0, 0, 0, 3}
			response, err := session.Transmit(t.Context(), first)
			require.NoError(t, err)
			require.Equal(t, answerTo(first), response)

			c.f.On = exchange
			s.chip.Inject(c.f)
			response, err = session.Transmit(t.Context(), second)
			if c.want != nil {
				require.ErrorIs(t, err, c.want)
			} else {
				require.NoError(t, err)
				require.Equal(t, answerTo(second), response)
			}
			require.Equal(t, c.seen, card.times(second))

			response, err = session.Transmit(t.Context(), third)
			if c.whole {
				require.NoError(t, err)
				require.Equal(t, answerTo(third), response, "not the answer before")
			} else {
				require.ErrorIs(t, err, apdu.ErrNotSent)
				require.Zero(t, card.times(third))
			}
			require.NoError(t, session.Close(reader.Reset))
			session = s.meet()
			response, err = session.Transmit(t.Context(), third)
			require.NoError(t, err)
			require.Equal(t, answerTo(third), response)
			require.Equal(t, c.seen, card.times(second), "never twice")
		})
	}
}

// TestBringUpAndPollingStandFaults has every command of bring-up and polling go wrong in every way that can be mended.
func TestBringUpAndPollingStandFaults(t *testing.T) {
	kinds := map[string]chip.Fault{
		"lost ACK": {Kind: chip.LostAck}, "late ACK": {Kind: chip.LateAck, Delay: 20 * time.Millisecond}, "NACK": {Kind: chip.NackForAck}, "deaf": {Kind: chip.Deaf},
		"silence": {Kind: chip.Silence}, "twice": {Kind: chip.Twice}, "stale": {Kind: chip.Stale}, "wrong length": {Kind: chip.WrongLength},
		"wrong checksum": {Kind: chip.WrongChecksum}, "truncated": {Kind: chip.Truncated}, "noise": {Kind: chip.Noise}, "false start": {Kind: chip.FalseStart},
		"long preamble": {Kind: chip.LongPreamble}, "bytewise": {Kind: chip.Bytewise}, "together": {Kind: chip.Together}, "power loss": {Kind: chip.PowerLoss},
	}
	for what, f := range kinds {
		t.Run(what, func(t *testing.T) {
			t.Parallel()
			s := newStand(t, chip.Options{}, nil)
			for _, f.On = range []int{diagnose, firmware, setBaud, setParam, samConf, rfConf, list} {
				s.chip.Inject(f)
			}
			card := &witness{}
			s.chip.Put(card, chip.Target{})
			session, err := s.r.Wait(t.Context())
			for errors.Is(err, reader.ErrReaderLost) { // told once, and then tried again
				session, err = s.r.Wait(t.Context())
			}
			require.NoError(t, err)
			command := []byte{0, 0xB0, 0, 0, 1}
			response, err := session.Transmit(t.Context(), command)
			require.NoError(t, err)
			require.Equal(t, answerTo(command), response)
		})
	}
}

// TestNoAnswerIsEverAnothersAndNothingSentIsSeen sends many commands through a chip that fails at random.
func TestNoAnswerIsEverAnothersAndNothingSentIsSeen(t *testing.T) {
	faulty := []chip.Kind{
		chip.LostAck, chip.NackForAck, chip.Deaf, chip.Silence, chip.Twice, chip.Stale, chip.WrongLength, chip.WrongChecksum, chip.Truncated, chip.Noise,
		chip.FalseStart, chip.LongPreamble, chip.Bytewise, chip.Together, chip.PowerLoss, chip.Status,
	}
	for seed := range uint64(2) {
		t.Run(fmt.Sprint("seed ", seed), func(t *testing.T) {
			t.Parallel()
			rnd := rand.New(rand.NewPCG(seed, 1))
			s := newStand(t, chip.Options{Part: 1 + rnd.IntN(262)}, quickly)
			card := &witness{}
			s.chip.Put(card, chip.Target{TypeB: seed == 1})
			var session reader.Card
			answered := 0
			for n := range uint32(40) {
				for session == nil {
					c, err := s.r.Wait(t.Context())
					if !errors.Is(err, reader.ErrReaderLost) {
						require.NoError(t, err)
						session = c
					}
				}
				for range rnd.IntN(3) {
					s.chip.Inject(chip.Fault{On: []int{chip.Any, exchange}[rnd.IntN(2)], Skip: rnd.IntN(4), Kind: faulty[rnd.IntN(len(faulty))], Status: 0x01})
				}
				command := binary.BigEndian.AppendUint32(make([]byte, 1+rnd.IntN(600)), n)
				response, err := session.Transmit(t.Context(), command)
				switch {
				case err == nil:
					answered++
					require.Equal(t, answerTo(command), response)
					require.Equal(t, 1, card.times(command))
				case errors.Is(err, apdu.ErrNotSent):
					require.Zero(t, card.times(command))
				default:
					require.ErrorIs(t, err, apdu.ErrNoAnswer)
					require.LessOrEqual(t, card.times(command), 1)
				}
				if err != nil {
					require.NoError(t, session.Close(reader.Reset))
					session = nil
				}
			}
			require.Positive(t, answered)
		})
	}
}

func TestALongCommandGoesInParts(t *testing.T) {
	s := newStand(t, chip.Options{}, quickly)
	card := &witness{}
	s.chip.Put(card, chip.Target{})
	command := make([]byte, 700) // three parts
	copy(command[696:], "last")
	session := s.meet()
	response, err := session.Transmit(t.Context(), command)
	require.NoError(t, err)
	require.Equal(t, answerTo(command), response)

	for skip, want := range []error{apdu.ErrNotSent, apdu.ErrNotSent, apdu.ErrNoAnswer} {
		copy(command[696:], fmt.Sprintf("%04d", skip))
		s.chip.Inject(chip.Fault{On: exchange, Skip: skip, Kind: chip.LostAck})
		_, err = session.Transmit(t.Context(), command)
		require.ErrorIs(t, err, want, "the ACK of part %d is lost", skip)
		require.NoError(t, session.Close(reader.Reset))
		session = s.meet()
	}
	require.Len(t, card.all(), 2, "the first, and the one whose last part arrived")
}

func TestTwoCardsAreRefusedUntilOneIsLeft(t *testing.T) {
	pairs := []struct {
		name  string
		a, b  chip.Target
		found string
	}{
		{"two of type A", chip.Target{}, chip.Target{}, ""},
		{"one of each type", chip.Target{}, chip.Target{TypeB: true}, ""},
	}
	for _, p := range pairs {
		t.Run(p.name, func(t *testing.T) {
			s := newStand(t, chip.Options{}, nil)
			one, other := &witness{}, &witness{}
			s.chip.Put(one, p.a)
			s.chip.Put(other, p.b)
			s.wantErr(reader.ErrTwoCards)
			ctx, cancel := context.WithTimeout(t.Context(), 200*time.Millisecond)
			_, err := s.r.Wait(ctx)
			cancel()
			require.ErrorIs(t, err, context.DeadlineExceeded, "told once")
			require.Empty(t, append(one.all(), other.all()...))
			s.chip.TakeOne(one)
			session := s.meet()
			_, err = session.Transmit(t.Context(), []byte{0, 0xB0, 0, 0})
			require.NoError(t, err)
			require.Empty(t, one.all())
			require.NoError(t, session.Close(reader.Leave))
			s.chip.Put(one, p.a)
			s.wantErr(reader.ErrTwoCards)
		})
	}
}

// TestAnUnpluggedReaderIsFoundAgain pulls the plug in every situation.
func TestAnUnpluggedReaderIsFoundAgain(t *testing.T) {
	s := newStand(t, chip.Options{}, quickly)
	card := &witness{}
	back := func() {
		require.NoError(t, s.chip.Plug())
		session := s.meet()
		_, err := session.Transmit(t.Context(), []byte{0, 0xB0, 0, 0})
		require.NoError(t, err)
		require.NoError(t, session.Close(reader.Leave))
	}

	s.chip.Unplug()
	require.ErrorContains(t, s.wantErr(reader.ErrReaderLost), "plug the reader in", "never there")
	ctx, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
	_, err := s.r.Wait(ctx)
	cancel()
	require.ErrorIs(t, err, context.DeadlineExceeded, "told once")
	s.chip.Put(card, chip.Target{})
	back()

	s.chip.Take()
	lost := make(chan error, 1)
	go func() { _, err := s.r.Wait(t.Context()); lost <- err }()
	s.chip.Inject(chip.Fault{On: list, Skip: 3, Kind: chip.HangUp})
	require.ErrorIs(t, <-lost, reader.ErrReaderLost, "while it waits")
	s.chip.Put(card, chip.Target{})
	back()

	session := s.meet()
	s.chip.Unplug()
	require.NoError(t, session.Removed(t.Context()), "while a session is open")
	_, err = session.Transmit(t.Context(), []byte{0, 0xB0, 0, 1})
	require.ErrorIs(t, err, apdu.ErrNotSent)
	require.NoError(t, session.Close(reader.Reset))
	s.wantErr(reader.ErrReaderLost)
	back()

	for kind, seen := range map[chip.Kind]int{chip.HangUp: 0, chip.HangUpAfter: 1} {
		session = s.meet()
		command := []byte{0, 0xB0, 1, byte(kind)}
		s.chip.Inject(chip.Fault{On: exchange, Kind: kind})
		_, err = session.Transmit(t.Context(), command)
		require.ErrorIs(t, err, apdu.ErrNoAnswer, "in the middle of a command")
		require.Equal(t, seen, card.times(command))
		require.NoError(t, session.Close(reader.Reset))
		require.NoError(t, session.Removed(t.Context()))
		s.wantErr(reader.ErrReaderLost)
		back()
	}
}

func TestTheBaudRate(t *testing.T) {
	cases := []struct {
		name string
		o    chip.Options
		baud int
		want int
	}{
		{"is raised", chip.Options{}, 0, 921600},
		{"is raised to what is asked for", chip.Options{}, 230400, 230400},
		{"stays when asked", chip.Options{}, 115200, 115200},
		{"stays when the chip refuses", chip.Options{MaxBaud: 460800}, 0, 115200},
		{"comes back when the chip says yes and does not change", chip.Options{StuckBaud: true}, 0, 115200},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			s := newStand(t, c.o, func(o *pn532.Options) { o.Baud = c.baud })
			s.chip.Put(&witness{}, chip.Target{})
			s.meet()
			require.Equal(t, c.want, s.chip.Baud())
			require.NoError(t, s.r.Close())
			require.Eventually(t, func() bool { return s.chip.Baud() == 115200 && !s.chip.RF() }, patience, time.Millisecond, "as the next program expects it")
		})
	}
}

// TestALineThatIsTooFastForItsCable cannot be talked out of its speed; after a power cycle it is not asked for it again.
func TestALineThatIsTooFastForItsCable(t *testing.T) {
	s := newStand(t, chip.Options{GoodBaud: 115200}, nil)
	s.chip.Put(&witness{}, chip.Target{})
	require.ErrorContains(t, s.wantErr(reader.ErrReaderLost), "no PN532 answers")
	s.chip.PowerCycle()
	s.meet()
	require.Equal(t, 115200, s.chip.Baud())
}

// TestAChipThatWasLeftFast was in the hands of a program that was killed.
func TestAChipThatWasLeftFast(t *testing.T) {
	s := newStand(t, chip.Options{}, nil)
	port, err := serial.Open(s.chip.Path(), &serial.Mode{BaudRate: 115200})
	require.NoError(t, err)
	require.NoError(t, port.SetReadTimeout(patience))
	say := func(data ...byte) {
		raw, err := frame.Info(frame.ToChip, data)
		require.NoError(t, err)
		_, err = port.Write(raw)
		require.NoError(t, err)
		var p frame.Parser
		buf := make([]byte, 64)
		for {
			n, err := port.Read(buf)
			require.NoError(t, err)
			require.NotZero(t, n)
			p.Push(buf[:n])
			for f, ok := p.Next(); ok; f, ok = p.Next() {
				if f.Kind == frame.Information {
					return
				}
			}
		}
	}
	_, err = port.Write([]byte{0x55, 0x55, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0})
	require.NoError(t, err)
	say(samConf, 1)
	say(setBaud, 7)
	_, err = port.Write(frame.AckFrame())
	require.NoError(t, err)
	require.Eventually(t, func() bool { return s.chip.Baud() == 921600 }, patience, time.Millisecond)
	require.NoError(t, port.Close())

	s.chip.Put(&witness{}, chip.Target{})
	s.meet()
	require.Equal(t, 921600, s.chip.Baud())
}

func TestACardThatTakesNoCommands(t *testing.T) {
	s := newStand(t, chip.Options{}, nil)
	card := &witness{}
	s.chip.Put(card, chip.Target{NoDEP: true, UID: []byte{1, 2, 3, 4}})
	session := s.meet()
	response, err := session.Transmit(t.Context(), []byte{0, 0xA4, 4, 0})
	require.NoError(t, err)
	require.Equal(t, []byte{0x6A, 0x81}, response)
	require.NoError(t, session.Close(reader.Reset))
	s.chip.Take()
	require.NoError(t, session.Removed(t.Context()))
	require.Empty(t, card.all())
}

// TestASwappedCardHasLeft puts another card into the field faster than it is looked into.
func TestASwappedCardHasLeft(t *testing.T) {
	s := newStand(t, chip.Options{}, nil)
	first, second := &witness{}, &witness{}
	s.chip.Put(first, chip.Target{})
	session := s.meet()
	require.NoError(t, session.Close(reader.Leave))
	s.chip.TakeOne(first)
	s.chip.Put(second, chip.Target{})
	require.NoError(t, session.Removed(t.Context()))
	next := s.meet()
	_, err := next.Transmit(t.Context(), []byte{0, 0xB0, 0, 0})
	require.NoError(t, err)
	require.Len(t, second.all(), 1)
	require.NoError(t, next.Close(reader.Leave))

	// A second card beside it does not end its stay; two others in its place do.
	s.chip.Put(first, chip.Target{})
	ctx, cancel := context.WithTimeout(t.Context(), 200*time.Millisecond)
	defer cancel()
	require.ErrorIs(t, next.Removed(ctx), context.DeadlineExceeded)
	s.chip.Take()
	s.chip.Put(first, chip.Target{}, &witness{})
	require.NoError(t, next.Removed(t.Context()))
	s.wantErr(reader.ErrTwoCards)
}

// TestRemovalIsAskedForWithoutHarm looks for an open session's card while the session goes on.
func TestRemovalIsAskedForWithoutHarm(t *testing.T) {
	s := newStand(t, chip.Options{}, nil)
	card := &witness{}
	s.chip.Put(card, chip.Target{})
	session := s.meet()
	removed := make(chan error, 1)
	go func() { removed <- session.Removed(t.Context()) }()
	for n := range uint32(200) {
		_, err := session.Transmit(t.Context(), binary.BigEndian.AppendUint32(nil, n))
		require.NoError(t, err)
	}
	s.chip.Take()
	require.NoError(t, <-removed)
	_, err := session.Transmit(t.Context(), []byte{0, 0, 0, 0})
	require.ErrorIs(t, err, apdu.ErrNotSent)
}

func TestAHotChipRests(t *testing.T) {
	s := newStand(t, chip.Options{}, nil)
	card := &witness{}
	s.chip.Put(card, chip.Target{})
	session := s.meet()
	s.chip.Inject(chip.Fault{On: exchange, Kind: chip.Status, Status: 0x0D})
	_, err := session.Transmit(t.Context(), []byte{0, 0xB0, 0, 0})
	require.ErrorIs(t, err, apdu.ErrNoAnswer)
	require.NoError(t, session.Close(reader.Reset))
	require.ErrorContains(t, s.wantErr(reader.ErrReaderLost), "overloaded")
	require.False(t, s.chip.RF())
}

func TestProbe(t *testing.T) {
	c, err := chip.New(chip.Options{Link: filepath.Join(t.TempDir(), "pn532")})
	require.NoError(t, err)
	defer c.Close()
	info, err := pn532.Probe(t.Context(), pn532.Options{Port: c.Path()})
	require.NoError(t, err)
	require.Equal(t, "1.6", info.Firmware)
	require.Equal(t, 921600, info.Baud)
	require.Positive(t, info.Exchange)
	require.Eventually(t, func() bool { return c.Baud() == 115200 }, patience, time.Millisecond)

	c.Unplug()
	_, err = pn532.Probe(t.Context(), pn532.Options{Port: c.Path()})
	require.ErrorIs(t, err, pn532.ErrNoPort)
}
