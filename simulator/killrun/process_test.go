package killrun

import (
	"bufio"
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/purselane/purselane/backend/gateway/channel"
	"github.com/purselane/purselane/backend/ledger"
	"github.com/purselane/purselane/backend/node"
	"github.com/purselane/purselane/backend/store"
	"github.com/purselane/purselane/card/ep"
	"github.com/purselane/purselane/internal/clock"
	"github.com/purselane/purselane/internal/money"
	"github.com/purselane/purselane/shadowaccount/books"
	"github.com/purselane/purselane/simulator/epcard"
	"github.com/purselane/purselane/terminal/kiosk"
	"github.com/purselane/purselane/terminal/kiosk/session"
	"github.com/purselane/purselane/terminal/reader/inproc"
)

// lifeOf is the variable that makes this test binary a process to be killed.
const lifeOf = "PURSELANE_KILLRUN_LIFE"

func TestMain(m *testing.M) {
	if told := os.Getenv(lifeOf); told != "" {
		if err := live(told); err != nil {
			fmt.Fprintln(os.Stderr, "killrun:", err)
			os.Exit(1)
		}
		os.Exit(0)
	}
	os.Exit(m.Run())
}

// fuse counts points and burns down at one. It is safe for concurrent use.
type fuse struct {
	armed atomic.Bool
	left  atomic.Int64
}

func (f *fuse) arm(n int) {
	f.left.Store(int64(n))
	f.armed.Store(n > 0)
}

func (f *fuse) at(point string) {
	if f.armed.Load() && f.left.Add(-1) == 0 {
		fmt.Fprintln(os.Stderr, "dies at:", point)
		die()
	}
}

// die ends this process as a power cut would, but for the disk's memory.
func die() {
	self, err := os.FindProcess(os.Getpid())
	if err == nil {
		err = self.Kill()
	}
	if err != nil {
		panic(err)
	}
	select {}
}

// process is the backend, its kiosk, the card and the rider before it.
type process struct {
	life
	fuse   fuse
	clock  *clock.Manual
	node   *node.Node
	card   *epcard.Card
	reader *inproc.Reader
	kiosk  *session.Kiosk
	sales  *session.Journal
	ticks  sync.Mutex
	still  sync.RWMutex // the clock, which jumps, stands still while a call is answered: what is signed in it would be old at once
}

// live is the process's whole life. It ends with standard input.
func live(told string) error {
	p := &process{clock: clock.NewManual(time.Unix(0, 0)), reader: inproc.New("kiosk")}
	if err := json.Unmarshal([]byte(told), &p.life); err != nil {
		return err
	}
	p.fuse.arm(p.Arm)
	ctx, stop := context.WithCancel(context.Background())
	defer stop()
	go func() { // whoever started us has gone
		_, _ = io.Copy(io.Discard, bufio.NewReader(os.Stdin))
		stop()
	}()
	if err := p.tick(ctx, 0); err != nil {
		return err
	}
	cfg, token, err := p.config(p.clock, p.fuse.at)
	if err != nil {
		return err
	}
	if p.node, err = node.Open(ctx, cfg); err != nil {
		return err
	}
	if p.card, err = epcard.OpenFile(filepath.Join(p.Dir, "card.json"), rand.Reader); err != nil {
		return err
	}
	listen, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	mux := http.NewServeMux()
	mux.Handle("/v1/", p.atOnce(p.node.API()))
	mux.Handle("/notify/", p.atOnce(p.node.GatewayAPI()))
	mux.HandleFunc("/sale", p.told(func(ctx context.Context, q url.Values) error {
		n, err := strconv.Atoi(q.Get("arm"))
		if err != nil {
			return err
		}
		tear, err := strconv.Atoi(q.Get("tear"))
		if err != nil {
			return err
		}
		p.fuse.arm(n)
		defer p.fuse.arm(0)
		return p.visit(ctx, true, epcard.Tear{At: tear, After: q.Get("after") == "true"})
	}))
	mux.HandleFunc("/visit", p.told(func(ctx context.Context, _ url.Values) error { return p.visit(ctx, false, epcard.Tear{}) }))
	mux.HandleFunc("/night", p.told(func(ctx context.Context, _ url.Values) error { return p.night(ctx) }))
	mux.HandleFunc("/report", func(w http.ResponseWriter, r *http.Request) {
		p.fuse.arm(0)
		out, err := p.report(r.Context())
		if err != nil {
			http.Error(w, err.Error(), http.StatusInternalServerError)
			return
		}
		_ = json.NewEncoder(w).Encode(out) // the other end sees what is missing
	})
	server := &http.Server{Handler: mux, ReadHeaderTimeout: time.Minute}
	go func() { _ = server.Serve(listen) }() // it ends with the process
	if err := p.openKiosk("http://"+listen.Addr().String(), token); err != nil {
		return err
	}
	ended := make(chan error, 1)
	go func() { ended <- p.kiosk.Run(ctx) }()
	fmt.Printf("at http://%s\n", listen.Addr())
	return <-ended
}

// atOnce answers without that time passes.
func (p *process) atOnce(h http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		p.still.RLock()
		defer p.still.RUnlock()
		h.ServeHTTP(w, r)
	})
}

// told answers a command.
func (p *process) told(do func(context.Context, url.Values) error) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		if err := do(r.Context(), r.URL.Query()); err != nil {
			http.Error(w, err.Error(), http.StatusInternalServerError)
		}
	}
}

func (p *process) openKiosk(at, token string) error {
	host, err := kiosk.NewHTTPHost(at, token)
	if err != nil {
		return err
	}
	host.Client = &http.Client{Transport: counted("backend", p.fuse.at, http.DefaultTransport)}
	if p.sales, err = session.OpenJournal(filepath.Join(p.Dir, "kiosk.db")); err != nil {
		return err
	}
	p.kiosk, err = session.New(session.Config{Reader: p.reader, Host: host, Journal: p.sales, Amounts: []money.Amount{money.Minor(price)}, Clock: p.clock, Log: slog.New(slog.NewTextHandler(os.Stderr, nil)),
		Request:  kiosk.Request{Terminal: ep.TerminalNumber{5: 7}},
		Patience: session.Patience{Choose: time.Minute, Check: time.Minute, Hold: time.Minute, Refund: time.Minute, Notice: time.Minute, Poll: 2 * time.Millisecond, Keep: 5 * time.Millisecond}})
	return err
}

// outside asks the world outside: the clock, the channel, the rider's phone.
func (p *process) outside(ctx context.Context, path string) (string, error) {
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, p.Outside+path, nil)
	if err != nil {
		return "", err
	}
	answer, err := http.DefaultClient.Do(r)
	if err != nil {
		return "", err
	}
	defer answer.Body.Close()
	said, err := io.ReadAll(answer.Body)
	if err == nil && answer.StatusCode != http.StatusOK {
		err = fmt.Errorf("%s: %s", path, said)
	}
	return string(said), err
}

// tick lets time pass, outside and here.
func (p *process) tick(ctx context.Context, d time.Duration) error {
	p.still.Lock()
	defer p.still.Unlock()
	said, err := p.outside(ctx, "/world/advance?by="+d.String())
	if err != nil {
		return err
	}
	now, err := time.Parse(time.RFC3339Nano, said)
	if err == nil {
		p.clock.Set(now)
	}
	return err
}

// works lets time pass, and everything that a backend does by itself meanwhile.
func (p *process) works(ctx context.Context, d time.Duration) error {
	p.ticks.Lock()
	defer p.ticks.Unlock()
	if err := p.tick(ctx, d); err != nil {
		return err
	}
	if _, err := p.outside(ctx, "/world/run"); err != nil {
		return err
	}
	_, err := p.node.Gateway().Scan(ctx)
	return errors.Join(err, p.node.TopUp().Sweep(ctx))
}

// night is a minute of seconds, and a day and an hour. The kiosk's own work in the background goes on beside it: it is given time to be done.
func (p *process) night(ctx context.Context) error {
	for range 12 {
		if err := p.works(ctx, 5*time.Second); err != nil {
			return err
		}
	}
	for range 25 {
		if err := p.works(ctx, time.Hour); err != nil {
			return err
		}
	}
	for end := time.Now().Add(time.Minute); time.Now().Before(end); { // of this machine's time, however busy it is
		if err := p.works(ctx, 30*time.Second); err != nil {
			return err
		}
		open, err := p.sales.Sales()
		if err != nil || !gone(open) {
			return err
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(10 * time.Millisecond):
		}
	}
	return nil // what is still open is in the report
}

// gone reports sales that end without their rider: one that may be on its way to the card waits for the card.
func gone(open []session.Sale) bool {
	for _, s := range open {
		if s.Phase != session.Settled {
			return true
		}
	}
	return false
}

// touched is a card whose commands are points.
type touched struct {
	*epcard.Field
	at func(string)
}

// Transmit implements apdu.Transmitter.
func (c touched) Transmit(ctx context.Context, command []byte) ([]byte, error) {
	c.at(fmt.Sprintf("card asked %X", command[:2]))
	out, err := c.Field.Transmit(ctx, command)
	c.at(fmt.Sprintf("card answered %X", command[:2]))
	return out, err
}

// visit is a rider before the kiosk, until he leaves. He takes up what the screen shows: of an earlier sale too. Who wants to buy does so once. The first time that
// the card is held it may be torn away.
func (p *process) visit(ctx context.Context, buys bool, tear epcard.Tear) error {
	ctx, stop := context.WithTimeout(ctx, 2*time.Minute)
	defer stop()
	var field *epcard.Field
	defer p.reader.Withdraw()
	hold := func() {
		p.reader.Withdraw()
		field = epcard.Present(p.card, tear)
		tear = epcard.Tear{}
		p.reader.Present(touched{field, p.fuse.at})
	}
	seen, shown := false, uint64(0)
	for {
		v, changed := p.kiosk.Now()
		say := func(c session.Event) {
			p.kiosk.Say(session.Choice{Seq: v.Seq, Choice: c, Amount: money.Minor(price), Way: "wechat"})
		}
		news := v.Seq != shown
		shown = v.Seq
		var err error
		switch v.State {
		case session.Idle:
			if seen {
				return nil
			}
			if news {
				hold()
			}
		case session.Amount:
			seen = true
			if buys {
				say(session.AmountChosen)
				break
			}
			say(session.CancelAsked)
		case session.Way:
			buys = false
			say(session.WayChosen)
		case session.QR:
			if news {
				err = p.pays(ctx, v.Payment)
			}
			if err == nil {
				err = p.works(ctx, time.Second)
			}
		case session.Checking, session.Closing, session.Refunding:
			err = p.works(ctx, time.Second)
		case session.Hold, session.Again, session.Unread, session.WrongCard:
			if news {
				hold()
			}
		case session.NotLoaded:
			say(session.AgainAsked)
		case session.Reading, session.Loading, session.Ordering:
		case "":
		default: // a notice
			seen = seen || v.State == session.Done
			say(session.Finished)
		}
		if err != nil {
			return fmt.Errorf("%s: %w", v.State, err)
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("the rider still stands before %q: %w", v.State, ctx.Err())
		case <-changed:
		case <-time.After(5 * time.Millisecond):
		}
	}
}

// pays is the rider with his phone.
func (p *process) pays(ctx context.Context, payment string) error {
	o, err := p.node.Gateway().Order(ctx, "", payment)
	if err != nil {
		return err
	}
	for _, x := range o.Payments {
		if _, err := p.outside(ctx, "/world/pay?number="+url.QueryEscape(x.Number)); err != nil {
			return err
		}
	}
	return nil
}

// report is what the process knows of all money.
type report struct {
	Card, Shadow, Float, Funding, InProgress, Channel, Fees, Suspense money.Amount // as a holder or the scheme has them
	Orders                                                            []saleOf
	Loads                                                             map[string]int // load orders by state
	Kiosk                                                             []string       // sales that it has not ended
	Faults                                                            []string       // of the books
	Proof                                                             string         // "": it holds
	Bill                                                              []string       // differences with the channel's
}

type saleOf struct {
	ID, State          string
	Received, Refunded money.Amount
	Numbers            []string
	Back               []string // refunds, for people
}

func (p *process) report(ctx context.Context) (report, error) {
	out := report{Card: p.card.Balance(), Loads: map[string]int{}}
	all, err := p.node.Gateway().Orders(ctx, "", "", "", 10_000)
	if err != nil {
		return out, err
	}
	for _, o := range all {
		x := saleOf{ID: o.ID, State: string(o.State), Received: o.Received, Refunded: o.Refunded}
		for _, y := range o.Payments {
			x.Numbers = append(x.Numbers, y.Number)
		}
		for _, y := range o.Operations {
			x.Back = append(x.Back, fmt.Sprintf("%s %v of %v: %s %s %s, since %v", y.Number, y.Kind, y.Money.Amount, y.State, y.Code, y.Message, y.Changed))
		}
		out.Orders = append(out.Orders, x)
	}
	loads, err := p.node.TopUp().Orders(ctx, "", "", 10_000)
	if err != nil {
		return out, err
	}
	for _, o := range loads {
		out.Loads[string(o.State)]++
	}
	open, err := p.sales.Sales()
	if err != nil {
		return out, err
	}
	for _, s := range open {
		out.Kiosk = append(out.Kiosk, fmt.Sprintf("%s since %v: %s", s.Phase, s.Changed, s.Payment))
	}
	if err := p.node.Store().View(ctx, func(tx *store.Tx) error { return out.books(ctx, tx) }); err != nil {
		return out, err
	}
	yesterday := p.clock.Now().In(zone).AddDate(0, 0, -1).Format(time.DateOnly)
	proof, err := ledger.ProveDay(ctx, p.node.Store(), yesterday, p.clock.Now().In(zone))
	if err != nil {
		return out, err
	}
	if !proof.Passed {
		out.Proof = string(proof.Text())
	}
	for _, back := range []int{3, 2, 1} {
		day := p.clock.Now().In(zone).AddDate(0, 0, -back).Format(time.DateOnly)
		bill, err := p.node.Bill(ctx, account, day)
		if back == 1 && errors.Is(err, channel.ErrNoBillYet) {
			continue // it is made in the morning, and looked at the next time
		}
		if err != nil {
			return out, err
		}
		for _, d := range bill.Differences {
			out.Bill = append(out.Bill, fmt.Sprintf("%s: %+v", day, d))
		}
	}
	return out, nil
}

func (out *report) books(ctx context.Context, tx *store.Tx) (err error) {
	card, err := tx.CardByNumber(ctx, number)
	if err != nil {
		return err
	}
	out.Shadow = card.Shadow
	if out.Faults, err = tx.VerifyBooks(ctx); err != nil {
		return err
	}
	for _, x := range []struct {
		to   *money.Amount
		of   books.Account
		owed bool
	}{{&out.Float, books.Float, true}, {&out.Funding, books.Funding, true}, {&out.InProgress, books.LoadInProgress, true}, {&out.Channel, books.Channel(account), false}, {&out.Fees, books.FeeChannel, false},
		{&out.Suspense, "suspense:surplus", true}} {
		a, err := tx.Balance(ctx, x.of)
		if err == nil && x.owed { // what is owed stands in the books as a credit, less than zero
			a, err = a.Neg()
		}
		if err != nil {
			return err
		}
		*x.to = a
	}
	return nil
}
