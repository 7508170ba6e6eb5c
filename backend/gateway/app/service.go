package app

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"regexp"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/purselane/purselane/backend/gateway/app/sign"
	"github.com/purselane/purselane/backend/gateway/sealed"
	"github.com/purselane/purselane/backend/store"
	"github.com/purselane/purselane/internal/clock"
)

// Config of a service. Box is required.
type Config struct {
	Box *sealed.Box // seals the apps' keys

	// Window is how far a request's time may be from ours, either way.
	//
	// Default 5 minutes.
	Window time.Duration

	// Overlap is how long an app's old key is valid beside a new one.
	//
	// Default 7 days.
	Overlap time.Duration

	// MaxBody bounds a request's body, in bytes.
	//
	// Default 1 MiB.
	MaxBody int64

	Clock clock.Clock  // default: the machine's
	Log   *slog.Logger // default slog.Default(); no line has a secret or a body
}

// Service keeps apps and verifies their requests. It is safe for concurrent use.
type Service struct {
	store *store.Store
	cfg   Config
	decoy sign.Secret // what a request of nobody is verified with, so that it takes as long
}

// New makes a service; it starts nothing.
func New(s *store.Store, cfg Config) (*Service, error) {
	if cfg.Box == nil {
		return nil, errors.New("app: Box is needed")
	}
	if cfg.Window < 0 || cfg.Overlap < 0 || cfg.MaxBody < 0 {
		return nil, errors.New("app: Window, Overlap and MaxBody: want zero (the default) or more")
	}
	if cfg.Window == 0 {
		cfg.Window = 5 * time.Minute
	}
	if cfg.Overlap == 0 {
		cfg.Overlap = 7 * 24 * time.Hour
	}
	if cfg.MaxBody == 0 {
		cfg.MaxBody = 1 << 20
	}
	if cfg.Clock == nil {
		cfg.Clock = clock.System{}
	}
	if cfg.Log == nil {
		cfg.Log = slog.Default()
	}
	return &Service{store: s, cfg: cfg, decoy: sign.NewSecret()}, nil
}

// Kinds of refusal, beside [ErrState], [ErrTerms], [ErrAccount] and those of a request in verify.go. Any other error means that the service could not do its work.
var (
	// ErrUnknown: there is no such app or key.
	ErrUnknown = errors.New("no such app or key")
	// ErrExists: there is an app of this name.
	ErrExists = errors.New("there is an app of this name")
	// ErrSamePerson: who asked cannot agree.
	ErrSamePerson = errors.New("a second person must ask for the same")
	// ErrAsked: something else is asked already.
	ErrAsked = errors.New("something else is asked already")
	// ErrTwoKeys: two keys are valid already.
	ErrTwoKeys = errors.New("two keys are valid already")
	// ErrNoKey: an app has no valid key.
	ErrNoKey = errors.New("the app has no valid key")
	// ErrInput: a part of what was given does not fit.
	ErrInput = errors.New("input does not fit")
)

// App is a merchant's system that calls the gateway.
type App struct {
	ID string
	Filing
	State   State
	Terms   Terms
	Created time.Time
	Asked   *Asked // what another person must agree to; nil for nothing
}

// Filing is what is known of the merchant.
type Filing struct {
	Name         string
	Registration string // the merchant's number at whatever office registers it
	Contact      string
}

// Asked is what one person has asked to be done to an app.
type Asked struct {
	What   string // an event, "terms" or "key"
	Detail string // the terms, or the key's kind
	By     string
	Reason string
	At     time.Time
}

// Step is an event in an app's trail.
type Step struct {
	At     time.Time
	By     string
	What   string
	Detail string
}

var appName = regexp.MustCompile(`^[a-z][a-z0-9-]{1,31}$`)

func (f Filing) check() error {
	if strings.TrimSpace(f.Name) == "" {
		return fmt.Errorf("name: want the merchant's: %w", ErrInput)
	}
	for name, v := range map[string]string{"name": f.Name, "registration": f.Registration, "contact": f.Contact} {
		if len(v) > 200 || !utf8.ValidString(v) || strings.ContainsFunc(v, unicode.IsControl) {
			return fmt.Errorf("%s: want one line of at most 200 bytes: %w", name, ErrInput)
		}
	}
	return nil
}

// person checks who does something, and why.
func person(by, reason string) (string, error) {
	by = strings.TrimSpace(by)
	if by == "" || strings.TrimSpace(reason) == "" {
		return "", fmt.Errorf("want who does it, and why: %w", ErrInput)
	}
	if len(by) > 64 || len(reason) > 500 || strings.ContainsFunc(by+reason, unicode.IsControl) {
		return "", fmt.Errorf("want a name of at most 64 bytes, and a reason of one line of at most 500: %w", ErrInput)
	}
	return by, nil
}

// Apply adds an app. Its name stands in every request and is never given again. Errors: [ErrInput], [ErrTerms], [ErrAccount], [ErrExists].
func (s *Service) Apply(ctx context.Context, id string, f Filing, t Terms, by, reason string) (App, error) {
	by, err := person(by, reason)
	if err == nil && !appName.MatchString(id) {
		err = fmt.Errorf("app %.40q: want 2 to 32 of a-z, 0-9 and -, a letter first: %w", id, ErrInput)
	}
	if err = errors.Join(err, f.check(), t.check()); err != nil {
		return App{}, fmt.Errorf("apply: %w", err)
	}
	terms, err := json.Marshal(t)
	if err != nil {
		return App{}, fmt.Errorf("apply: %w", err)
	}
	row := store.App{ID: id, Name: f.Name, Registration: f.Registration, Contact: f.Contact, State: string(Applied), Terms: terms, Created: s.now(), CreatedBy: by}
	return s.change(ctx, "apply", id, func(tx *store.Tx) error {
		if err := s.free(ctx, tx, id, t); err != nil {
			return err
		}
		added, err := tx.AddApp(ctx, row)
		if err != nil {
			return err
		}
		if !added {
			return fmt.Errorf("%s: %w", id, ErrExists)
		}
		return s.trail(ctx, tx, id, by, "apply", reason+" ["+t.String()+"]")
	})
}

// free refuses terms with an account that is another app's.
func (s *Service) free(ctx context.Context, tx *store.Tx, id string, t Terms) error {
	all, err := tx.Apps(ctx, "")
	if err != nil {
		return err
	}
	for _, other := range all {
		if other.ID == id || State(other.State) == Closed {
			continue
		}
		var terms Terms
		if err := json.Unmarshal(other.Terms, &terms); err != nil {
			return fmt.Errorf("terms of app %s: %w", other.ID, err)
		}
		if err := clash(t, other, terms); err != nil {
			return err
		}
	}
	return nil
}

// What can be asked beside events.
const (
	askTerms = "terms"
	askKey   = "key"
)

// Ask asks for a move of an app, and makes it when another person has asked for the same; the app that it returns shows which. A freeze is made at once, and takes back what was asked.
// Errors: [ErrInput], [ErrUnknown], [ErrState], [ErrSamePerson], [ErrAsked], [ErrNoKey] for an activation without a key.
func (s *Service) Ask(ctx context.Context, id string, e Event, by, reason string) (App, error) {
	by, err := person(by, reason)
	if err != nil {
		return App{}, fmt.Errorf("%s: %w", e, err)
	}
	return s.change(ctx, string(e), id, func(tx *store.Tx) error {
		a, err := find(ctx, tx, id)
		if err != nil {
			return err
		}
		next, err := Next(State(a.State), e)
		if err != nil {
			return err
		}
		if e == Activate {
			valid, err := s.validKeys(ctx, tx, id)
			if err != nil {
				return err
			}
			if len(valid) == 0 {
				return fmt.Errorf("%s: %w", id, ErrNoKey)
			}
		}
		if e != Freeze {
			agreed, err := s.agree(ctx, tx, id, string(e), nil, by, reason)
			if err != nil || !agreed {
				return err
			}
		}
		// What was asked before was asked of another state.
		if err := tx.DropAppAsk(ctx, id); err != nil {
			return err
		}
		if err := tx.SetApp(ctx, id, string(next), a.Terms); err != nil {
			return err
		}
		return s.trail(ctx, tx, id, by, string(e), reason)
	})
}

// AskTerms asks for other terms of an app, and sets them when another person has asked for the same. Errors: [ErrInput], [ErrTerms], [ErrAccount], [ErrUnknown], [ErrState] of a closed one,
// [ErrSamePerson], [ErrAsked].
func (s *Service) AskTerms(ctx context.Context, id string, t Terms, by, reason string) (App, error) {
	by, err := person(by, reason)
	if err = errors.Join(err, t.check()); err != nil {
		return App{}, fmt.Errorf("terms: %w", err)
	}
	terms, err := json.Marshal(t)
	if err != nil {
		return App{}, fmt.Errorf("terms: %w", err)
	}
	return s.change(ctx, askTerms, id, func(tx *store.Tx) error {
		a, err := open(ctx, tx, id)
		if err != nil {
			return err
		}
		if err := s.free(ctx, tx, id, t); err != nil {
			return err
		}
		agreed, err := s.agree(ctx, tx, id, askTerms, terms, by, reason)
		if err != nil || !agreed {
			return err
		}
		if err := tx.SetApp(ctx, id, a.State, terms); err != nil {
			return err
		}
		return s.trail(ctx, tx, id, by, askTerms, reason+" ["+t.String()+"]")
	})
}

// agree notes what a person asks for, or reports that another one has asked for the same, and takes that away.
func (s *Service) agree(ctx context.Context, tx *store.Tx, id, what string, body []byte, by, reason string) (bool, error) {
	if body == nil {
		body = []byte{}
	}
	a, asked, err := tx.AppAsk(ctx, id)
	if err != nil {
		return false, err
	}
	if !asked {
		if err := tx.PutAppAsk(ctx, store.AppAsk{App: id, Event: what, Body: body, By: by, Reason: reason, AtMS: s.now().UnixMilli()}); err != nil {
			return false, err
		}
		return false, s.trail(ctx, tx, id, by, "ask "+what, reason+detail(what, body))
	}
	if a.Event != what || !bytes.Equal(a.Body, body) {
		return false, fmt.Errorf("%s asked for %s%s: agree to that, or take it back: %w", a.By, a.Event, detail(a.Event, a.Body), ErrAsked)
	}
	if strings.EqualFold(a.By, by) {
		return false, fmt.Errorf("%s asked for it: %w", a.By, ErrSamePerson)
	}
	return true, tx.DropAppAsk(ctx, id)
}

// detail says the body of what is asked.
func detail(what string, body []byte) string {
	switch what {
	case askTerms:
		var t Terms
		if json.Unmarshal(body, &t) == nil {
			return " [" + t.String() + "]"
		}
	case askKey:
		return " [" + keyText(body) + "]"
	}
	return ""
}

// TakeBack forgets what is asked to be done to an app. Anybody may: it changes nothing of the app. Errors: [ErrInput], [ErrUnknown] where nothing is asked.
func (s *Service) TakeBack(ctx context.Context, id, by, reason string) (App, error) {
	by, err := person(by, reason)
	if err != nil {
		return App{}, fmt.Errorf("take back: %w", err)
	}
	return s.change(ctx, "take back", id, func(tx *store.Tx) error {
		a, asked, err := tx.AppAsk(ctx, id)
		if err == nil && !asked {
			err = fmt.Errorf("nothing is asked of %s: %w", id, ErrUnknown)
		}
		if err != nil {
			return err
		}
		if err := tx.DropAppAsk(ctx, id); err != nil {
			return err
		}
		return s.trail(ctx, tx, id, by, "take back "+a.Event, reason)
	})
}

// change makes one change and returns the app as it is then.
func (s *Service) change(ctx context.Context, what, id string, do func(*store.Tx) error) (App, error) {
	var out App
	err := s.store.Update(ctx, func(tx *store.Tx) (err error) {
		if err = do(tx); err != nil {
			return err
		}
		out, err = load(ctx, tx, id)
		return err
	})
	if err != nil {
		return App{}, fmt.Errorf("%s: %w", what, err)
	}
	return out, nil
}

func find(ctx context.Context, tx *store.Tx, id string) (store.App, error) {
	a, err := tx.App(ctx, id)
	if errors.Is(err, store.ErrNotFound) {
		return a, fmt.Errorf("%.40q: %w", id, ErrUnknown)
	}
	return a, err
}

// open finds an app that is not closed.
func open(ctx context.Context, tx *store.Tx, id string) (store.App, error) {
	a, err := find(ctx, tx, id)
	if err == nil && State(a.State) == Closed {
		err = fmt.Errorf("app is %s: %w", a.State, ErrState)
	}
	return a, err
}

func load(ctx context.Context, tx *store.Tx, id string) (App, error) {
	a, err := find(ctx, tx, id)
	if err != nil {
		return App{}, err
	}
	out, err := appOf(a)
	if err != nil {
		return App{}, err
	}
	ask, asked, err := tx.AppAsk(ctx, id)
	if asked {
		out.Asked = &Asked{What: ask.Event, Detail: strings.Trim(detail(ask.Event, ask.Body), " []"), By: ask.By, Reason: ask.Reason, At: time.UnixMilli(ask.AtMS)}
	}
	return out, err
}

func appOf(a store.App) (App, error) {
	out := App{ID: a.ID, Filing: Filing{Name: a.Name, Registration: a.Registration, Contact: a.Contact}, State: State(a.State), Created: a.Created}
	if err := json.Unmarshal(a.Terms, &out.Terms); err != nil {
		return App{}, fmt.Errorf("terms of app %s: %w", a.ID, err)
	}
	return out, nil
}

// Show is an app and what was done to it. Error: [ErrUnknown].
func (s *Service) Show(ctx context.Context, id string) (App, []Step, error) {
	var out App
	var steps []Step
	err := s.store.View(ctx, func(tx *store.Tx) (err error) {
		if out, err = load(ctx, tx, id); err != nil {
			return err
		}
		all, err := tx.AppTrail(ctx, id)
		for _, e := range all {
			steps = append(steps, Step{At: time.UnixMilli(e.AtMS), By: e.By, What: e.What, Detail: e.Detail})
		}
		return err
	})
	return out, steps, err
}

// Apps lists the apps in a state, or all where it is empty.
func (s *Service) Apps(ctx context.Context, state State) ([]App, error) {
	var out []App
	err := s.store.View(ctx, func(tx *store.Tx) error {
		all, err := tx.Apps(ctx, string(state))
		if err != nil {
			return err
		}
		for _, a := range all {
			one, err := load(ctx, tx, a.ID)
			if err != nil {
				return err
			}
			out = append(out, one)
		}
		return nil
	})
	return out, err
}

func (s *Service) trail(ctx context.Context, tx *store.Tx, id, by, what, detail string) error {
	return tx.NoteApp(ctx, id, store.AppTrail{AtMS: s.now().UnixMilli(), By: by, What: what, Detail: detail})
}

// now is the time, cut to the resolution in which it is stored.
func (s *Service) now() time.Time { return time.UnixMilli(s.cfg.Clock.Now().UnixMilli()) }
