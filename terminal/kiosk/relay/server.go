package relay

import (
	"context"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
	"time"

	"github.com/purselane/purselane/card/apdu"
	"github.com/purselane/purselane/terminal/reader"
)

// Server is the loading side: a reader whose field is elsewhere, and the handler that the card's side calls. One presentation is a card's stay in that field; the
// end of its session ends it. The newest presentation counts: a card's side that begins another has lost the one before.
type Server struct {
	token    [32]byte // hash
	patience time.Duration
	hold     time.Duration

	mu      sync.Mutex
	now     *presentation
	past    []past // the newest last
	closed  bool
	changed chan struct{} // closed and renewed at every change of the above
}

var _ reader.Reader = (*Server)(nil)

// Options of a Server.
type Options struct {
	Patience time.Duration // for one command, there and back. Default 30 s
	Hold     time.Duration // how long a call waits for the next command. Default 20 s
}

// keptEnds is how many ended presentations are remembered, so that a late call neither begins one again nor asks in vain how it ended.
const keptEnds = 64

type past struct {
	id  string
	end End
}

// NewServer makes a server for who has the token.
func NewServer(token string, o Options) (*Server, error) {
	if len(token) < 16 || strings.ContainsAny(token, " \r\n\t") {
		return nil, errors.New("relay token: want one word of 16 characters or more")
	}
	if o.Patience <= 0 {
		o.Patience = 30 * time.Second
	}
	if o.Hold <= 0 {
		o.Hold = 20 * time.Second
	}
	return &Server{token: sha256.Sum256([]byte(token)), patience: o.Patience, hold: o.Hold, changed: make(chan struct{})}, nil
}

// Name implements reader.Reader.
func (s *Server) Name() string { return "relay" }

// change wakes all who wait. The caller holds mu.
func (s *Server) change() {
	close(s.changed)
	s.changed = make(chan struct{})
}

// Wait implements reader.Reader: it returns the presentation whose side is waiting for a command now.
func (s *Server) Wait(ctx context.Context) (reader.Card, error) {
	for {
		s.mu.Lock()
		p, closed, changed := s.now, s.closed, s.changed
		busy := p != nil && p.open && p.end == ""
		take := p != nil && !p.open && p.end == "" && p.calls > 0
		if take && !closed {
			p.open = true
		}
		s.mu.Unlock()
		switch {
		case closed:
			return nil, reader.ErrClosed
		case busy:
			return nil, reader.ErrBusy
		case take:
			return p, nil
		}
		select {
		case <-ctx.Done():
			return nil, ctx.Err()
		case <-changed:
		}
	}
}

// Close implements reader.Reader. The card's side is told.
func (s *Server) Close() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.closed {
		s.closed = true
		if s.now != nil {
			s.now.finish(Failed)
		}
		s.change()
	}
	return nil
}

// presentation is one stay of a far card, and the session with it.
type presentation struct {
	s    *Server
	id   string
	gone chan struct{} // closed with end

	// Under s.mu.
	calls   int // that wait for a command
	open    bool
	number  int    // of the last command
	command []byte // that is under way; nil: none
	taken   bool   // it was handed out: the card may have had it
	heard   report // the last that was taken in
	end     End
}

// finish ends the presentation, once. The caller holds s.mu.
func (p *presentation) finish(end End) {
	if p.end != "" {
		return
	}
	p.end = end
	close(p.gone)
	p.s.past = append(p.s.past, past{p.id, end})
	if len(p.s.past) > keptEnds {
		p.s.past = p.s.past[1:]
	}
	p.s.change()
}

// Transmit implements apdu.Transmitter. A command that was not handed out is withdrawn and was not sent; of one that was, nobody knows until the answer is here.
func (p *presentation) Transmit(ctx context.Context, command []byte) ([]byte, error) {
	if err := p.put(ctx, command); err != nil {
		return nil, fmt.Errorf("%w: %w", apdu.ErrNotSent, err)
	}
	timer := time.NewTimer(p.s.patience)
	defer timer.Stop()
	var gaveUp error
	for {
		answer, changed, err := p.result(gaveUp)
		if answer != nil || err != nil {
			return answer, err
		}
		select {
		case <-changed:
		case <-ctx.Done():
			gaveUp = ctx.Err()
		case <-timer.C:
			gaveUp = fmt.Errorf("nothing from the card's side for %v", p.s.patience)
		}
	}
}

// put offers a command.
func (p *presentation) put(ctx context.Context, command []byte) error {
	p.s.mu.Lock()
	defer p.s.mu.Unlock()
	switch {
	case p.end != "":
		return errors.New("the presentation is over")
	case p.command != nil:
		return errors.New("another command is under way")
	case len(command) < 4 || len(command) > maxCommand:
		return fmt.Errorf("command of %d bytes: want 4 to %d", len(command), maxCommand)
	case ctx.Err() != nil:
		return ctx.Err()
	}
	p.number++
	p.command, p.taken = append([]byte{}, command...), false
	p.s.change()
	return nil
}

// result is what became of the command that is under way, or what to wait for. gaveUp says that it is waited for no longer.
func (p *presentation) result(gaveUp error) ([]byte, <-chan struct{}, error) {
	p.s.mu.Lock()
	defer p.s.mu.Unlock()
	switch {
	case p.heard.Number == p.number:
		p.command = nil
		switch p.heard.Outcome {
		case answered:
			answer, err := hex.DecodeString(p.heard.Answer)
			return answer, nil, err
		case notSent:
			p.finish(Lost)
			return nil, nil, fmt.Errorf("%w: says the card's side", apdu.ErrNotSent)
		}
		p.finish(Lost)
		return nil, nil, fmt.Errorf("%w: says the card's side", apdu.ErrNoAnswer)
	case p.end != "":
		gaveUp = errors.New("the presentation was ended")
	case gaveUp == nil:
		return nil, p.s.changed, nil
	}
	taken := p.taken
	p.command = nil
	p.finish(Lost)
	if taken {
		return nil, nil, fmt.Errorf("%w: %w", apdu.ErrNoAnswer, gaveUp)
	}
	return nil, nil, fmt.Errorf("%w: %w", apdu.ErrNotSent, gaveUp)
}

// Removed implements reader.Card.
func (p *presentation) Removed(ctx context.Context) error {
	select {
	case <-p.gone:
		return nil
	default:
	}
	select {
	case <-p.gone:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// Close implements reader.Card. It ends the presentation; the card's side has the card and does with its power as it likes.
func (p *presentation) Close(d reader.Disposition) error {
	p.s.mu.Lock()
	defer p.s.mu.Unlock()
	if d == reader.Leave {
		p.finish(Done)
	} else {
		p.finish(Failed)
	}
	return nil
}

// errTurn says that a report does not follow on what went before.
var errTurn = errors.New("the report is out of turn, or another than before: begin a new presentation")

// ServeHTTP implements http.Handler: one report of the card's side, answered with the next command.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	token, bearer := strings.CutPrefix(r.Header.Get("Authorization"), "Bearer ")
	sum := sha256.Sum256([]byte(token))
	switch {
	case r.URL.Path != Path:
		refuse(w, http.StatusNotFound, "no such resource: call "+Path)
		return
	case !bearer || subtle.ConstantTimeCompare(sum[:], s.token[:]) != 1:
		refuse(w, http.StatusUnauthorized, "the relay's token is wanted: Authorization: Bearer")
		return
	case r.Method != http.MethodPost:
		w.Header().Set("Allow", http.MethodPost)
		refuse(w, http.StatusMethodNotAllowed, "want POST")
		return
	}
	raw, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxMessage))
	if err != nil {
		refuse(w, http.StatusRequestEntityTooLarge, fmt.Sprintf("a message has at most %d bytes", maxMessage))
		return
	}
	said, err := readReport(raw)
	if err != nil {
		refuse(w, http.StatusBadRequest, err.Error())
		return
	}
	o, err := s.next(r.Context(), said)
	switch {
	case err != nil:
		refuse(w, http.StatusConflict, err.Error())
	case o == nil:
		w.WriteHeader(http.StatusNoContent)
	default:
		write(w, http.StatusOK, o)
	}
}

func refuse(w http.ResponseWriter, status int, text string) {
	write(w, status, map[string]string{"error": text})
}

func write(w http.ResponseWriter, status int, v any) {
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Cache-Control", "no-store")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(v) // one that is not heard is asked for again
}

// next takes a report in and waits for the command after it; nil when none comes in time.
func (s *Server) next(ctx context.Context, r report) (*order, error) {
	timer := time.NewTimer(s.hold)
	defer timer.Stop()
	var p *presentation
	defer func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		if p != nil {
			p.calls--
		}
	}()
	for late := false; ; {
		s.mu.Lock()
		first := p == nil
		o, on, err := s.take(r, first)
		if first && on != nil {
			p = on
			p.calls++
			s.change() // Wait may be waiting for the call
		}
		if o != nil && on != nil && o.End == "" {
			if ctx.Err() != nil { // nobody is there to take it
				o = nil
			} else {
				on.taken = true
			}
		}
		changed := s.changed
		s.mu.Unlock()
		if o != nil || err != nil || late {
			return o, err
		}
		select {
		case <-changed:
		case <-timer.C:
			late = true
		case <-ctx.Done():
			late = true // an end that came with it is told all the same
		}
	}
}

// take finds the report's presentation, takes the report in the first time, and returns the command after it or the end. The caller holds mu.
func (s *Server) take(r report, first bool) (*order, *presentation, error) {
	p := s.now
	if p == nil || p.id != r.Presentation || p.end != "" {
		for _, e := range s.past {
			if e.id == r.Presentation {
				return &order{End: e.end}, nil, nil
			}
		}
		switch {
		case s.closed:
			return &order{End: Failed}, nil, nil
		case r.Number != 0 || !first: // from before this server was started
			return &order{End: Lost}, nil, nil
		}
		if p != nil {
			p.finish(Lost)
		}
		p = &presentation{s: s, id: r.Presentation, gone: make(chan struct{}), heard: r}
		s.now = p
	}
	switch {
	case r == p.heard: // the first time, or again
	case p.command != nil && p.taken && r.Number == p.number && p.heard.Number == p.number-1:
		p.heard = r
		s.change()
	case !first:
		return &order{End: Lost}, nil, nil // another call of the same side has gone on meanwhile
	default:
		return nil, nil, errTurn
	}
	if p.command != nil && p.number == r.Number+1 {
		return &order{Number: p.number, Command: hex.EncodeToString(p.command)}, p, nil
	}
	return nil, p, nil
}
