package killrun

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	gateway "github.com/purselane/purselane/backend/gateway/channel"
	"github.com/purselane/purselane/backend/node"
	"github.com/purselane/purselane/backend/store"
	"github.com/purselane/purselane/card/keys"
	"github.com/purselane/purselane/internal/clock"
	"github.com/purselane/purselane/internal/money"
	"github.com/purselane/purselane/internal/pgtest"
	"github.com/purselane/purselane/simulator/channel"
	"github.com/purselane/purselane/simulator/channel/wechat"
	"github.com/purselane/purselane/simulator/epcard"
	"github.com/purselane/purselane/simulator/personalise"
)

var (
	every  = flag.Int("every", 0, "die at every point that this divides, 1 for all; 0: a few that the seed chooses")
	rounds = flag.Int("rounds", 2, "random deaths after that, under bad weather")
	seed   = flag.Uint64("kill-seed", 1, "of what is left to chance")
)

// price of a load, in minor units: small, as one card buys hundreds.
const price = 1_00

// zone is the scheme's, and the channel's.
var zone = time.FixedZone("Asia/Shanghai", 8*60*60)

// world is what no kill reaches: the channel, the rider's phone, the clock, the disk.
type world struct {
	t       *testing.T
	clock   *clock.Manual
	channel *wechat.Simulator
	server  *httptest.Server
	life    life

	mu   sync.Mutex
	door string          // of the process, for notifications; "": none runs
	paid map[string]bool // by the rider
}

func newWorld(t *testing.T) *world {
	c := clock.NewManual(time.Date(2026, 3, 2, 9, 0, 0, 0, zone))
	w := &world{t: t, clock: c, channel: wechat.New(wechat.Options{Clock: c, Seed: *seed, Mode: wechat.ByPublicKey}), paid: map[string]bool{}}
	mux := http.NewServeMux()
	mux.Handle("/", w.channel)
	mux.HandleFunc("/world/advance", func(out http.ResponseWriter, r *http.Request) {
		d, err := time.ParseDuration(r.URL.Query().Get("by"))
		if err != nil {
			http.Error(out, err.Error(), http.StatusBadRequest)
			return
		}
		c.Advance(d)
		_, _ = io.WriteString(out, c.Now().Format(time.RFC3339Nano)) // whoever asked may be dead
	})
	mux.HandleFunc("/world/run", func(_ http.ResponseWriter, r *http.Request) { w.channel.Run(context.WithoutCancel(r.Context())) })
	mux.HandleFunc("/world/pay", func(out http.ResponseWriter, r *http.Request) {
		if err := w.pay(r.URL.Query().Get("number")); err != nil {
			http.Error(out, err.Error(), http.StatusInternalServerError)
		}
	})
	w.server = httptest.NewServer(mux)
	t.Cleanup(w.server.Close)
	client := &http.Client{Timeout: 30 * time.Second}
	post := channel.HTTPReceiver(client)
	w.channel.Notices.Receive(func(ctx context.Context, url string, n gateway.Notification) gateway.Reply {
		w.mu.Lock()
		door := w.door
		w.mu.Unlock()
		if door == "" {
			return gateway.Reply{}
		}
		return post(ctx, door+strings.TrimPrefix(url, "https://pay.example"), n)
	})
	dir := t.TempDir()
	w.life = life{Dir: dir, Database: pgtest.Store(t, filepath.Join(dir, "scheme.db")), Outside: w.server.URL, Merchant: merchantOf(w.channel.Settings())}
	w.issue()
	return w
}

// pay is the rider's phone: he pays what he sees, once.
func (w *world) pay(number string) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.paid[number] {
		return nil
	}
	w.paid[number] = true
	return w.channel.Pay(number, wechat.Payer{})
}

// issue makes the scheme and its card.
func (w *world) issue() {
	cfg, _, err := w.life.config(w.clock, func(string) {})
	require.NoError(w.t, err)
	n, err := node.Open(w.t.Context(), cfg)
	require.NoError(w.t, err)
	ring, _, _, err := keysOf()
	require.NoError(w.t, err)
	tokenKey, err := ring.Secret(keys.SecretToken, 32)
	require.NoError(w.t, err)
	require.NoError(w.t, n.Store().Update(w.t.Context(), func(tx *store.Tx) error {
		return tx.IssueCard(w.t.Context(), store.Card{Number: number, Token: store.Token(tokenKey, number), Issuer: issuer, Levels: 2, Status: store.CardActive})
	}))
	require.NoError(w.t, n.Close())
	img, err := personalise.Card(ring.Masters, personalise.CardSpec{Number: number, Issuer: issuer, Kind: personalise.KindNormal})
	require.NoError(w.t, err)
	card, err := epcard.CreateFile(filepath.Join(w.life.Dir, "card.json"), img, rand.NewChaCha8([32]byte{}))
	require.NoError(w.t, err)
	require.NoError(w.t, card.Close())
}

// errKilled says that the process has died by the signal.
var errKilled = errors.New("the process was killed")

// said is what a process writes, while it is read.
type said struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

// Write implements [io.Writer].
func (s *said) Write(b []byte) (int, error) { s.mu.Lock(); defer s.mu.Unlock(); return s.buf.Write(b) }

func (s *said) String() string { s.mu.Lock(); defer s.mu.Unlock(); return s.buf.String() }

// running is a process.
type running struct {
	w   *world
	cmd *exec.Cmd
	in  io.WriteCloser
	out *said // of itself
	url string
}

// start begins a life, which dies at a point; 0: it does not.
func (w *world) start(arm int) (*running, error) {
	l := w.life
	l.Arm = arm
	told, err := l.encode()
	require.NoError(w.t, err)
	p := &running{w: w, cmd: exec.CommandContext(w.t.Context(), os.Args[0]), out: &said{}}
	p.cmd.Env, p.cmd.Stderr = append(os.Environ(), lifeOf+"="+told), p.out
	p.in, err = p.cmd.StdinPipe()
	require.NoError(w.t, err)
	first, err := p.cmd.StdoutPipe()
	require.NoError(w.t, err)
	require.NoError(w.t, p.cmd.Start())
	line, err := bufio.NewReader(first).ReadString('\n')
	if err != nil {
		return nil, p.died()
	}
	p.url = strings.TrimSpace(strings.TrimPrefix(line, "at "))
	w.mu.Lock()
	w.door = p.url
	w.mu.Unlock()
	return p, nil
}

// died waits for the end of a process that was to be killed.
func (p *running) died() error {
	p.w.mu.Lock()
	p.w.door = ""
	p.w.mu.Unlock()
	err := p.cmd.Wait()
	var exit *exec.ExitError
	require.ErrorAs(p.w.t, err, &exit, "it ended by itself, and said: %s", p.out)
	status, is := exit.Sys().(syscall.WaitStatus)
	require.True(p.w.t, is && status.Signaled() && status.Signal() == syscall.SIGKILL, "it was to be killed, and ended by itself: %v; it said: %s", err, p.out)
	return errKilled
}

// end lets a process end in peace.
func (p *running) end() {
	require.NoError(p.w.t, p.in.Close())
	require.NoError(p.w.t, p.cmd.Wait(), "%s", p.out)
}

// does tells the process to do something, and waits until it has, or has died in it.
func (p *running) does(what string) ([]byte, error) {
	r, err := http.NewRequestWithContext(p.w.t.Context(), http.MethodPost, p.url+what, nil)
	require.NoError(p.w.t, err)
	answer, err := http.DefaultClient.Do(r)
	if err != nil {
		return nil, p.died()
	}
	defer answer.Body.Close()
	body, err := io.ReadAll(answer.Body)
	if err != nil {
		return nil, p.died()
	}
	require.Equal(p.w.t, http.StatusOK, answer.StatusCode, "%s: %s\n%s", what, body, p.out)
	return body, nil
}

// recovers is what comes after a kill. The rider stands there still; or he has gone, and comes by with his card the next morning. Then a night goes by, and
// everything must agree. arm is the point at which this process dies too: then the next one takes over.
func (w *world) recovers(stays bool, arm int, why string) *running {
	if !stays {
		w.clock.Advance(20 * time.Minute) // nobody takes the one who comes for the one who left
	}
	for {
		p, err := w.start(arm)
		arm = 0
		steps := []string{"/visit", "/night"}
		if !stays {
			steps = []string{"/night", "/visit", "/night"}
		}
		for _, step := range steps {
			if err == nil {
				_, err = p.does(step)
			}
		}
		var raw []byte
		if err == nil {
			raw, err = p.does("/report")
		}
		if err != nil {
			continue // in a recovery too
		}
		var r report
		require.NoError(w.t, json.Unmarshal(raw, &r))
		w.agree(r, why+"\n"+p.out.String())
		return p
	}
}

// agree holds funding, shadow, card and channel against each other.
func (w *world) agree(r report, why string) {
	t := w.t
	last := saleOf{}
	if len(r.Orders) > 0 {
		last = r.Orders[0]
	}
	why = fmt.Sprintf("at %v, the last order %+v; %s", w.clock.Now(), last, why)
	require.Empty(t, r.Faults, why)
	require.Empty(t, r.Proof, why)
	require.Empty(t, r.Bill, why)
	require.Empty(t, r.Kiosk, "sales that the kiosk has not ended; %s", why)
	require.Equal(t, r.Card, r.Shadow, why)
	require.Equal(t, r.Card, r.Float, why)
	require.True(t, r.Funding.IsZero(), "paid but not loaded: %v; %s", r.Funding, why)
	require.True(t, r.InProgress.IsZero(), "debited but not confirmed: %v; %s", r.InProgress, why)
	require.True(t, r.Suspense.IsZero(), why)
	for state := range r.Loads {
		require.Contains(t, []string{"loaded", "refunded"}, state, why)
	}
	kept, known := int64(0), map[string]bool{}
	for _, o := range r.Orders {
		require.Contains(t, []string{"paid", "closed", "refunded"}, o.State, "%s: %s", o.ID, why)
		charges, has := 0, int64(0)
		for _, n := range o.Numbers {
			times, taken, back := w.channel.Booked(n)
			charges, has, known[n] = charges+times, has+taken-back, true
		}
		require.LessOrEqual(t, charges, 1, "%s was charged twice: %s", o.ID, why)
		held, err := o.Received.Sub(o.Refunded)
		require.NoError(t, err)
		require.Equal(t, money.Minor(has), held, "%s: %s", o.ID, why)
		kept += has
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	for n := range w.paid {
		require.True(t, known[n], "payment %s is at the channel, and no order has it: %s", n, why)
	}
	booked, err := r.Channel.Add(r.Fees)
	require.NoError(t, err)
	require.Equal(t, money.Minor(kept), booked, "what the channel keeps for us is what the books have there: %s", why)
	require.Equal(t, r.Card, booked, "what riders have paid and not got back is on the card: %s", why)
}

// sells lets a rider buy until the process dies at the point. It is nil after a death; a sale with fewer points ends, and then everything agrees.
func (p *running) sells(arm, tear int, after bool) error {
	_, err := p.does(fmt.Sprintf("/sale?arm=%d&tear=%d&after=%v", arm, tear, after))
	return err
}

// TestAKilledProcessLosesNothing walks the points of a sale, and kills the process at each; then some random ones. The next process is started over the same
// disk, and finds all that the last one left.
func TestAKilledProcessLosesNothing(t *testing.T) {
	w := newWorld(t)
	chance := rand.New(rand.NewPCG(*seed, 0x6b696c6c))
	p := w.recovers(true, 0, "before anything")
	kills, point, step := 0, 1, *every
	for {
		if *every == 0 {
			step = 9 + chance.IntN(9)
			if kills == 0 {
				point = 1 + chance.IntN(9)
			}
		}
		err := p.sells(point, 0, false)
		if err == nil {
			break // the sale has fewer points
		}
		require.ErrorIs(t, err, errKilled)
		kills++
		stays := chance.IntN(2) == 0
		p = w.recovers(stays, 0, fmt.Sprintf("killed at point %d, the rider stays: %v: %s", point, stays, p.out))
		point += step
	}
	require.Greater(t, point, 60, "the walk has lost the points")
	p.end()
	w.door = ""
	t.Logf("a sale has fewer than %d points; died at %d of them", point, kills)

	w.channel.Weather.Set(channel.Faults{NotifyLost: 0.3, NotifyDoubled: 0.3, NotifyForged: 0.1})
	for round := range *rounds {
		p = w.recovers(chance.IntN(2) == 0, 0, fmt.Sprintf("before round %d", round))
		at, tear, after, again := 1+chance.IntN(point), chance.IntN(10), chance.IntN(2) == 0, chance.IntN(60)
		err := p.sells(at, tear, after)
		why := fmt.Sprintf("round %d: killed at point %d (%v), the card left at command %d, after it: %v, the next one killed at point %d: %s", round, at, err, tear, after, again, p.out)
		if err == nil {
			p.end()
		}
		stays := chance.IntN(2) == 0
		p = w.recovers(stays, again, why)
		p.end()
		w.door = ""
	}
}
