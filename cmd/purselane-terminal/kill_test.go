//go:build linux

package main

import (
	"bufio"
	"bytes"
	"context"
	"crypto/ed25519"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"google.golang.org/protobuf/proto"

	firmwareconfig "github.com/purselane/purselane/firmware-config"
	"github.com/purselane/purselane/internal/ids"
	"github.com/purselane/purselane/internal/money"
	"github.com/purselane/purselane/simulator/epcard"
	emulator "github.com/purselane/purselane/simulator/pn532"
	"github.com/purselane/purselane/simulator/vpcd"
	"github.com/purselane/purselane/terminal/journal"
	"github.com/purselane/purselane/uplink/wire"
)

// asTerminal in the environment makes the test program be the terminal.
const asTerminal = "PURSELANE_TEST_TERMINAL"

func TestMain(m *testing.M) {
	if os.Getenv(asTerminal) != "" {
		main()
		return
	}
	os.Exit(m.Run())
}

// process is a terminal in a process of its own.
type process struct {
	t     *testing.T
	child *exec.Cmd
	lines chan line // closed at its end
	ended chan struct{}
	log   bytes.Buffer // complete when it has ended
}

func (h home) launch(t *testing.T) *process {
	program, err := os.Executable()
	require.NoError(t, err)
	p := &process{t: t, child: exec.Command(program, "run", "--config", h.config, "--json"), lines: make(chan line, 100), ended: make(chan struct{})}
	p.child.Env = append(os.Environ(), asTerminal+"=1")
	p.child.Stderr = &p.log
	out, err := p.child.StdoutPipe()
	require.NoError(t, err)
	require.NoError(t, p.child.Start())
	t.Cleanup(p.kill)
	go func() {
		defer close(p.ended)
		defer close(p.lines)
		for text := bufio.NewScanner(out); text.Scan(); {
			var l line
			if err := json.Unmarshal(text.Bytes(), &l); err != nil {
				l.Outcome = fmt.Sprintf("no JSON: %s", text.Text())
			}
			p.lines <- l
		}
		_ = p.child.Wait() // how it ended is asked of its state
	}()
	return p
}

// kill is kill -9. When it returns the process is no more.
func (p *process) kill() {
	_ = p.child.Process.Kill() // it may have ended
	<-p.ended
}

// next waits for the next outcome line; false: the process has ended.
func (p *process) next() (line, bool) {
	p.t.Helper()
	select {
	case l, more := <-p.lines:
		return l, more
	case <-time.After(time.Minute):
		p.kill()
		require.Fail(p.t, "the terminal shows nothing", p.log.String())
		return line{}, false
	}
}

// moment is when the terminal is killed.
type moment int

const (
	before   moment = iota // the card has not seen the command
	after                  // the card has carried it out, and its answer is lost
	answered               // the answer is on its way, and whatever follows from it
)

func (m moment) String() string { return [...]string{"before", "after", "answered"}[m] }

// killing is a card that has the terminal killed at one of its commands.
type killing struct {
	*epcard.Card
	at   int
	when moment
	kill func()

	mu   sync.Mutex
	seen int
}

var errKilled = errors.New("the terminal was killed")

func (k *killing) Transmit(ctx context.Context, command []byte) ([]byte, error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.seen++; k.seen != k.at {
		return k.Card.Transmit(ctx, command)
	}
	if k.when == before {
		k.kill()
		return nil, errKilled
	}
	response, err := k.Card.Transmit(ctx, command)
	if k.when == after {
		k.kill()
		return nil, errKilled
	}
	time.AfterFunc(rand.N(3*time.Millisecond), k.kill)
	return response, err
}

// hand is a reader, and the hand that brings cards to it.
type hand interface {
	lane() string // its part of the configuration
	put(vpcd.Card)
	take()
}

// killedAtEveryCommand kills a terminal at each command of a bus tap, starts it again and presents the card again. The card pays once, the rider is
// let pass, every light that was green has its record, and journal and card agree. open gives the reader of one subtest.
func killedAtEveryCommand(t *testing.T, open func(*testing.T) hand) {
	var commands []byte // instructions of a whole tap
	t.Run("whole", func(t *testing.T) {
		at := open(t)
		h := homeAt(t, at)
		card := testCard(t, 1)
		spy := &listing{Card: card}
		p := h.launch(t)
		at.put(spy)
		l, _ := p.next()
		require.Equal(t, "granted", l.Outcome, l.Reason)
		p.kill()
		at.take()
		commands = spy.said
		h.goOn(t, at, card, []line{l}, "already-paid")
	})
	debit := bytes.IndexByte(commands, 0x54)
	require.Positive(t, debit)
	for i, ins := range commands {
		for _, when := range []moment{before, after, answered} {
			t.Run(fmt.Sprintf("command %d (%02X), %v", i+1, ins, when), func(t *testing.T) {
				t.Parallel()
				at := open(t)
				h := homeAt(t, at)
				p := h.launch(t)
				card := testCard(t, 1)
				at.put(&killing{Card: card, at: i + 1, when: when, kill: p.kill})
				var said []line
				for l, more := p.next(); more; l, more = p.next() {
					said = append(said, l)
				}
				at.take()
				want := ""
				switch {
				case i < debit && when != answered, i == debit && when == before:
					require.Empty(t, said)
					want = "granted"
				case i == debit && when == after:
					require.Empty(t, said)
					want = "granted-recovered"
				}
				h.goOn(t, at, card, said, want)
			})
		}
	}
}

// listing is a card that lists what it is told.
type listing struct {
	*epcard.Card
	said []byte
}

func (l *listing) Transmit(ctx context.Context, command []byte) ([]byte, error) {
	l.said = append(l.said, command[1])
	return l.Card.Transmit(ctx, command)
}

// homeAt is a terminal's folder with its bus lane at that reader. One trip is longer there than any test.
func homeAt(t *testing.T, at hand) home {
	h := newHome(t)
	public, private, err := ed25519.GenerateKey(nil)
	require.NoError(t, err)
	profile := bytes.Replace(firmwareconfig.SampleYAML(), []byte("same_trip: 30s"), []byte("same_trip: 1h"), 1)
	require.NotEqual(t, firmwareconfig.SampleYAML(), profile)
	require.NoError(t, os.WriteFile(filepath.Join(h.dir, "profile.signed"), firmwareconfig.Sign(private, profile), 0o644))
	raw, err := os.ReadFile(h.config)
	require.NoError(t, err)
	for was, is := range map[string]string{
		"public_key: [0-9a-f]+": fmt.Sprintf("public_key: %x", public),
		"kind: socket, listen: " + regexp.QuoteMeta(fmt.Sprintf("%q", h.bus)): at.lane(),
	} {
		changed := regexp.MustCompile(was).ReplaceAllLiteral(raw, []byte(is))
		require.NotEqual(t, raw, changed, was)
		raw = changed
	}
	require.NoError(t, os.WriteFile(h.config, raw, 0o600))
	return h
}

// goOn starts the terminal again, presents the card again and holds card, journal and all that was shown against each other. want is the
// outcome, if there can be but one.
func (h home) goOn(t *testing.T, at hand, card *epcard.Card, said []line, want string) {
	p := h.launch(t)
	at.put(card)
	l, _ := p.next()
	require.True(t, l.Pass, "%s: %s", l.Outcome, l.Reason)
	if want != "" {
		require.Equal(t, want, l.Outcome, l.Reason)
	}
	said = append(said, l)
	at.take()
	require.NoError(t, p.child.Process.Signal(syscall.SIGTERM))
	for l, more := p.next(); more; l, more = p.next() {
		t.Errorf("also shown: %v", l)
	}
	<-p.ended
	require.Zero(t, p.child.ProcessState.ExitCode(), p.log.String())

	require.Equal(t, money.Minor(48_00), card.Balance())
	require.EqualValues(t, 1, card.OfflineCounter(), "debits")
	j, err := journal.Open(filepath.Join(h.dir, "journal.db"), journal.Options{Terminal: "bus-7-1"})
	require.NoError(t, err)
	defer j.Close()
	require.NoError(t, j.Verify())
	open, err := j.OpenIntents()
	require.NoError(t, err)
	require.Empty(t, open)
	raw, err := j.Read(1, 1000, 1<<20)
	require.NoError(t, err)
	completed := map[string]bool{}
	for _, b := range raw {
		var r wire.Record
		require.NoError(t, proto.Unmarshal(b, &r))
		if r.GetState() == wire.State_STATE_COMPLETED {
			completed[ids.TapID{Terminal: ids.TerminalID(r.GetTerminal()), Epoch: r.GetEpoch(), Tap: r.GetTap()}.String()] = true
		}
	}
	require.Len(t, completed, 1, "one debit, one record")
	for _, l := range said {
		if l.Pass && l.Tap != "" {
			require.True(t, completed[l.Tap], "%s was shown for %s, and its record is lost", l.Outcome, l.Tap)
		}
	}
}

// pn532Hand is a PN532 on a pseudo terminal.
type pn532Hand struct{ *emulator.Chip }

func (h pn532Hand) lane() string       { return fmt.Sprintf("kind: pn532, port: %q", h.Path()) }
func (h pn532Hand) put(card vpcd.Card) { h.Put(card, emulator.Target{}) }
func (h pn532Hand) take()              { h.Take() }

// TestKilledAtEveryCommandOverThePN532 leaves a chip behind that is at its raised speed, with a card in the middle of a session.
func TestKilledAtEveryCommandOverThePN532(t *testing.T) {
	killedAtEveryCommand(t, func(t *testing.T) hand {
		chip, err := emulator.New(emulator.Options{Link: filepath.Join(t.TempDir(), "pn532")})
		require.NoError(t, err)
		t.Cleanup(func() { require.NoError(t, chip.Close()) })
		return pn532Hand{chip}
	})
}
