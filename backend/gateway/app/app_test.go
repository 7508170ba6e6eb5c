package app_test

import (
	"bytes"
	"context"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/purselane/purselane/backend/gateway/app"
	"github.com/purselane/purselane/backend/gateway/app/sign"
	"github.com/purselane/purselane/backend/gateway/channel"
	"github.com/purselane/purselane/backend/gateway/sealed"
	"github.com/purselane/purselane/backend/store"
	"github.com/purselane/purselane/backend/store/emptystore"
	"github.com/purselane/purselane/internal/clock"
	"github.com/purselane/purselane/internal/ids"
)

var noon = time.Date(2026, 11, 25, 12, 0, 0, 0, time.UTC)

// desk is a service with its database, and what its log says.
type desk struct {
	*app.Service
	t     *testing.T
	store *store.Store
	clock *clock.Manual
	log   *bytes.Buffer
}

func newDesk(t *testing.T) *desk {
	s, err := store.Open(t.Context(), emptystore.At(t, filepath.Join(t.TempDir(), "scheme.db")), store.Options{NoSync: true})
	require.NoError(t, err)
	t.Cleanup(func() { s.Close() })
	d := &desk{t: t, store: s, clock: clock.NewManual(noon), log: &bytes.Buffer{}}
	d.Service = d.process(7)
	return d
}

// process is one more process on the same database, whose secrets are sealed by a key.
func (d *desk) process(key byte) *app.Service {
	box, err := sealed.New(bytes.Repeat([]byte{key}, 32))
	require.NoError(d.t, err)
	s, err := app.New(d.store, app.Config{Box: box, Clock: d.clock, MaxBody: 1 << 10, Log: slog.New(slog.NewTextHandler(d.log, nil))})
	require.NoError(d.t, err)
	return s
}

func terms(account string, shared bool) app.Terms {
	return app.Terms{Channels: []app.ChannelTerms{{Channel: "wechat", Account: account, Shared: shared, BasisPoints: 60}, {Channel: "alipay", Account: "2088", Shared: true, Fee: "city-1"}}}
}

func (d *desk) apply(id string) {
	d.t.Helper()
	_, err := d.Apply(d.t.Context(), id, app.Filing{Name: "The Shop", Registration: "91310000", Contact: "ops@shop.example"}, terms("m-"+id, false), "ann", "papers")
	require.NoError(d.t, err)
}

// both has two persons ask for the same move.
func (d *desk) both(id string, e app.Event) app.App {
	d.t.Helper()
	before, err := d.Ask(d.t.Context(), id, e, "ann", "seen")
	require.NoError(d.t, err)
	require.NotNil(d.t, before.Asked)
	after, err := d.Ask(d.t.Context(), id, e, "bob", "seen too")
	require.NoError(d.t, err)
	require.Nil(d.t, after.Asked)
	require.NotEqual(d.t, before.State, after.State)
	return after
}

// key has two persons ask for a key.
func (d *desk) key(id string, public []byte) app.NewKey {
	d.t.Helper()
	first, err := d.AskKey(d.t.Context(), id, public, "ann", "new")
	require.NoError(d.t, err)
	require.Nil(d.t, first.Key)
	second, err := d.AskKey(d.t.Context(), id, public, "bob", "new")
	require.NoError(d.t, err)
	return second
}

// active is an app that may transact, with a secret.
func (d *desk) active(id string) app.NewKey {
	d.t.Helper()
	d.apply(id)
	d.both(id, app.Approve)
	k := d.key(id, nil)
	d.both(id, app.Activate)
	return k
}

// signer signs a text.
type signer interface {
	Sign([]byte) ([]byte, error)
}

// call is a signed request.
type call struct {
	sign.Request
	by signer
}

func (d *desk) call(id, key string, by signer) call {
	return call{sign.Request{Method: "POST", Path: "/orders", Query: "b=2&a=1", Timestamp: d.clock.Now().Unix(), Nonce: rand.Text(), App: id, Key: key, Body: []byte(`{"amount":"1.00"}`)}, by}
}

// http makes the request, signed.
func (c call) http(t require.TestingT) *http.Request {
	text, err := c.Text()
	require.NoError(t, err)
	signature, err := c.by.Sign(text)
	require.NoError(t, err)
	r := httptest.NewRequest(c.Method, c.Path+"?"+c.Query, bytes.NewReader(c.Body))
	r.Header.Set("Authorization", sign.Header{App: c.App, Key: c.Key, Timestamp: c.Timestamp, Nonce: c.Nonce, Signature: signature}.String())
	return r
}

func (d *desk) verify(c call) (app.Caller, error) {
	return d.Verify(context.Background(), c.http(d.t), c.Body)
}

// TestDrawing keeps the drawing in docs/gateway-apps.md equal to the table.
func TestDrawing(t *testing.T) {
	page, err := os.ReadFile("../../../docs/gateway-apps.md")
	require.NoError(t, err)
	want := "stateDiagram-v2\n  [*] --> applied\n"
	for _, a := range app.Arrows() {
		want += fmt.Sprintf("  %s --> %s: %s\n", a.From, a.To, a.On)
	}
	_, rest, _ := strings.Cut(string(page), "```mermaid\n")
	got, _, _ := strings.Cut(rest, "```")
	require.Equal(t, want, got)
}

// TestEveryMoveIsInTheTableOrRefused: every state can be reached, only closed is an end, and what is not in the table is refused.
func TestEveryMoveIsInTheTableOrRefused(t *testing.T) {
	in, out := map[app.State]int{app.Applied: 1}, map[app.State]int{}
	for _, s := range app.States {
		for _, e := range app.Events {
			to, err := app.Next(s, e)
			if err != nil {
				require.ErrorIs(t, err, app.ErrState)
				continue
			}
			out[s]++
			in[to]++
		}
	}
	for _, s := range app.States {
		require.NotZero(t, in[s], s)
		require.Equal(t, s == app.Closed, out[s] == 0, s)
	}
}

func TestAnAppGoesItsWayByTwoPersons(t *testing.T) {
	d := newDesk(t)
	ctx := t.Context()
	d.apply("shop")
	_, err := d.Apply(ctx, "shop", app.Filing{Name: "Another"}, app.Terms{}, "ann", "x")
	require.ErrorIs(t, err, app.ErrExists)
	_, err = d.Ask(ctx, "shop", app.Activate, "ann", "x")
	require.ErrorIs(t, err, app.ErrState)
	_, err = d.Ask(ctx, "shop", app.Approve, "ann", "papers are fine")
	require.NoError(t, err)
	for _, who := range []string{"ann", " Ann "} {
		_, err = d.Ask(ctx, "shop", app.Approve, who, "papers are fine")
		require.ErrorIs(t, err, app.ErrSamePerson)
	}
	_, err = d.Ask(ctx, "shop", app.Close, "bob", "no")
	require.ErrorIs(t, err, app.ErrAsked)
	a, err := d.Ask(ctx, "shop", app.Approve, "bob", "so they are")
	require.NoError(t, err)
	require.Equal(t, app.Approved, a.State)
	_, err = d.Ask(ctx, "shop", app.Activate, "ann", "go")
	require.ErrorIs(t, err, app.ErrNoKey)
	d.key("shop", nil)
	require.Equal(t, app.Active, d.both("shop", app.Activate).State)

	_, err = d.Ask(ctx, "shop", app.Close, "ann", "they leave")
	require.NoError(t, err)
	a, err = d.Ask(ctx, "shop", app.Freeze, "bob", "strange orders")
	require.NoError(t, err)
	require.Equal(t, app.Frozen, a.State, "one person freezes")
	require.Nil(t, a.Asked, "and what was asked of another state is taken back")
	require.Equal(t, app.Active, d.both("shop", app.Activate).State)
	require.Equal(t, app.Closed, d.both("shop", app.Close).State)
	for _, e := range app.Events {
		_, err = d.Ask(ctx, "shop", e, "ann", "x")
		require.ErrorIs(t, err, app.ErrState, e)
	}
	_, err = d.AskTerms(ctx, "shop", app.Terms{}, "ann", "x")
	require.ErrorIs(t, err, app.ErrState)
	_, err = d.AskKey(ctx, "shop", nil, "ann", "x")
	require.ErrorIs(t, err, app.ErrState)

	_, steps, err := d.Show(ctx, "shop")
	require.NoError(t, err)
	var said []string
	for _, s := range steps {
		said = append(said, s.By+" "+s.What)
	}
	require.Equal(t, "ann apply", said[0])
	require.Contains(t, said, "bob freeze")
	require.Equal(t, []string{"ann ask close", "bob close"}, said[len(said)-2:])
}

func TestTermsAreSetByTwoPersonsWhoMeanTheSame(t *testing.T) {
	d := newDesk(t)
	ctx := t.Context()
	d.apply("shop")
	_, err := d.AskTerms(ctx, "shop", terms("m-2", false), "ann", "cheaper")
	require.NoError(t, err)
	other := terms("m-2", false)
	other.Channels[0].BasisPoints = 61
	_, err = d.AskTerms(ctx, "shop", other, "bob", "cheaper")
	require.ErrorIs(t, err, app.ErrAsked)
	require.ErrorContains(t, err, "wechat at own account m-2, fee 0.60 %; alipay at shared account 2088, fee standard city-1")
	a, err := d.AskTerms(ctx, "shop", terms("m-2", false), "bob", "cheaper")
	require.NoError(t, err)
	require.Equal(t, terms("m-2", false), a.Terms)
	c, has := a.Terms.Channel("wechat")
	require.True(t, has)
	require.Equal(t, 60, c.BasisPoints)
	_, has = a.Terms.Channel("stripe")
	require.False(t, has)

	_, err = d.AskTerms(ctx, "shop", app.Terms{}, "ann", "none")
	require.NoError(t, err)
	a, err = d.TakeBack(ctx, "shop", "ann", "wrong app")
	require.NoError(t, err)
	require.Nil(t, a.Asked)
	_, err = d.TakeBack(ctx, "shop", "ann", "again")
	require.ErrorIs(t, err, app.ErrUnknown)
}

func TestAnOwnAccountIsOneAppsAlone(t *testing.T) {
	d := newDesk(t)
	d.apply("shop") // m-shop is its own
	for _, c := range []struct {
		account string
		shared  bool
		fits    bool
	}{{"m-shop", false, false}, {"m-shop", true, false}, {"m-cafe", false, true}} {
		_, err := d.Apply(t.Context(), "cafe", app.Filing{Name: "Café"}, terms(c.account, c.shared), "ann", "x")
		if !c.fits {
			require.ErrorIs(t, err, app.ErrAccount)
			continue
		}
		require.NoError(t, err, "alipay's 2088 is shared by both")
	}
	_, err := d.AskTerms(t.Context(), "cafe", terms("m-shop", true), "ann", "x")
	require.ErrorIs(t, err, app.ErrAccount)
	d.both("shop", app.Close)
	_, err = d.AskTerms(t.Context(), "cafe", terms("m-shop", false), "ann", "x")
	require.NoError(t, err, "a closed app has none")
}

func TestWhatDoesNotFitIsRefused(t *testing.T) {
	d := newDesk(t)
	ctx := t.Context()
	for _, id := range []string{"", "a", "Shop", "1shop", "sh op", strings.Repeat("a", 33)} {
		_, err := d.Apply(ctx, id, app.Filing{Name: "x"}, app.Terms{}, "ann", "x")
		require.ErrorIs(t, err, app.ErrInput, id)
	}
	for _, f := range []app.Filing{{}, {Name: "a\nb"}, {Name: "x", Contact: strings.Repeat("a", 201)}, {Name: "x", Registration: "\xff"}} {
		_, err := d.Apply(ctx, "shop", f, app.Terms{}, "ann", "x")
		require.ErrorIs(t, err, app.ErrInput)
	}
	for _, by := range [][2]string{{"", "x"}, {"ann", " "}, {"a\x00", "x"}, {"ann", strings.Repeat("x", 501)}} {
		_, err := d.Apply(ctx, "shop", app.Filing{Name: "x"}, app.Terms{}, by[0], by[1])
		require.ErrorIs(t, err, app.ErrInput)
	}
	for says, change := range map[string]func(*app.ChannelTerms){
		"want a name":              func(c *app.ChannelTerms) { c.Channel = "a b" },
		"there twice":              func(c *app.ChannelTerms) { c.Channel = "alipay" },
		"merchant number":          func(c *app.ChannelTerms) { c.Account = "" },
		"id of a fee standard":     func(c *app.ChannelTerms) { c.Fee = "-" },
		"not both":                 func(c *app.ChannelTerms) { c.Fee = "x" },
		"-1 basis points":          func(c *app.ChannelTerms) { c.BasisPoints = -1 },
		"10001 basis points: want": func(c *app.ChannelTerms) { c.BasisPoints = 10_001 },
	} {
		bad := terms("m", false)
		change(&bad.Channels[0])
		_, err := d.Apply(ctx, "shop", app.Filing{Name: "x"}, bad, "ann", "x")
		require.ErrorIs(t, err, app.ErrTerms, says)
		require.ErrorContains(t, err, says)
	}
	_, err := d.Apply(ctx, "shop", app.Filing{Name: "x"}, app.Terms{Merchants: []ids.MerchantID{"shop", "a b"}}, "ann", "x")
	require.ErrorIs(t, err, app.ErrTerms)
	require.True(t, app.Terms{Merchants: []ids.MerchantID{"shop"}}.For("shop"))
	require.False(t, app.Terms{}.For("shop"))
	require.Equal(t, "for [shop]; no channel", app.Terms{Merchants: []ids.MerchantID{"shop"}}.String())
	all, err := d.Apps(ctx, "")
	require.NoError(t, err)
	require.Empty(t, all)
	_, err = d.Ask(ctx, "nobody", app.Approve, "ann", "x")
	require.ErrorIs(t, err, app.ErrUnknown)
	_, _, err = d.Show(ctx, "nobody")
	require.ErrorIs(t, err, app.ErrUnknown)
	_, err = d.Keys(ctx, "nobody")
	require.ErrorIs(t, err, app.ErrUnknown)
	_, err = app.New(d.store, app.Config{})
	require.Error(t, err)
}

func rsaKey(t *testing.T) (sign.RSA, []byte) {
	k, err := rsa.GenerateKey(rand.Reader, 2048)
	require.NoError(t, err)
	der, err := x509.MarshalPKIXPublicKey(&k.PublicKey)
	require.NoError(t, err)
	by, err := sign.RSAOf(k)
	require.NoError(t, err)
	return by, pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der})
}

// TestKeysChangeOverWithoutAPause: the old key is good until the new one has been in use for a week.
func TestKeysChangeOverWithoutAPause(t *testing.T) {
	d := newDesk(t)
	ctx := t.Context()
	old := d.active("shop")
	d.clock.Advance(time.Hour)
	by, public := rsaKey(t)
	_, err := d.AskKey(ctx, "shop", public, "ann", "yearly")
	require.NoError(t, err)
	_, other := rsaKey(t)
	_, err = d.AskKey(ctx, "shop", other, "bob", "yearly")
	require.ErrorIs(t, err, app.ErrAsked, "another key is another key")
	young, err := d.AskKey(ctx, "shop", public, "bob", "yearly")
	require.NoError(t, err)
	require.Nil(t, young.Secret, "there is nothing to tell")
	require.Equal(t, sign.RSASHA256, young.Key.Kind)
	_, err = d.AskKey(ctx, "shop", nil, "ann", "a third")
	require.ErrorIs(t, err, app.ErrTwoKeys)
	good := func(k app.NewKey, by signer) error {
		c, err := d.verify(d.call("shop", k.Key.ID, by))
		if err == nil {
			require.Equal(t, k.Key.ID, c.Key)
		}
		return err
	}
	require.NoError(t, good(old, old.Secret))
	require.NoError(t, good(young, by))
	require.ErrorIs(t, good(young, old.Secret), app.ErrSignature, "the key's kind fixes the algorithm")
	require.ErrorIs(t, good(old, by), app.ErrSignature)
	d.clock.Advance(7*24*time.Hour - time.Second)
	require.NoError(t, good(old, old.Secret))
	d.clock.Advance(time.Second)
	require.ErrorIs(t, good(old, old.Secret), app.ErrSignature)
	require.NoError(t, good(young, by))

	_, err = d.EndKey(ctx, "shop", young.Key.ID, "bob", "stolen")
	require.NoError(t, err)
	require.ErrorIs(t, good(young, by), app.ErrSignature, "one person ends a key, at once")
	_, err = d.EndKey(ctx, "shop", young.Key.ID, "bob", "stolen")
	require.ErrorIs(t, err, app.ErrState)
	_, err = d.EndKey(ctx, "shop", "K", "bob", "stolen")
	require.ErrorIs(t, err, app.ErrUnknown)
	all, err := d.Keys(ctx, "shop")
	require.NoError(t, err)
	require.Len(t, all, 2)
	require.False(t, all[0].Valid || all[1].Valid)
	require.Equal(t, young.Key.ID, all[0].ID)
}

// TestEachCheckFailsAlone, and each failure has a name of its own. Those of the order are the gateway's.
func TestEachCheckFailsAlone(t *testing.T) {
	d := newDesk(t)
	k := d.active("shop")
	good := d.call("shop", k.Key.ID, k.Secret)
	c, err := d.verify(good)
	require.NoError(t, err)
	require.Equal(t, "m-shop", c.Terms.Channels[0].Account)

	// The parts of the request fit.
	r := d.call("shop", k.Key.ID, k.Secret).http(t)
	r.Header.Set("Authorization", strings.Replace(r.Header.Get("Authorization"), "nonce=", "none=", 1))
	_, err = d.Verify(t.Context(), r, good.Body)
	require.ErrorIs(t, err, sign.ErrHeader)
	r.Header.Del("Authorization")
	_, err = d.Verify(t.Context(), r, good.Body)
	require.ErrorIs(t, err, sign.ErrHeader)
	r.Header["Authorization"] = []string{"Purselane app=a", "Purselane app=b"}
	_, err = d.Verify(t.Context(), r, good.Body)
	require.ErrorIs(t, err, sign.ErrHeader)

	// The app may transact.
	_, err = d.Ask(t.Context(), "shop", app.Freeze, "ann", "strange orders")
	require.NoError(t, err)
	frozen := d.call("shop", k.Key.ID, k.Secret)
	_, err = d.verify(frozen)
	require.ErrorIs(t, err, app.ErrNotActive)
	d.both("shop", app.Activate)
	_, err = d.verify(frozen)
	require.ErrorIs(t, err, app.ErrReplay, "what was refused stays so")

	// The signature is the app's.
	_, err = d.verify(d.call("shop", k.Key.ID, sign.NewSecret()))
	require.ErrorIs(t, err, app.ErrSignature)
}

// TestAForgerLearnsNothing: whether there is an app or a key is not told, and neither is what is in them.
func TestAForgerLearnsNothing(t *testing.T) {
	d := newDesk(t)
	k := d.active("shop")
	d.apply("cafe")
	forged := sign.NewSecret()
	for _, c := range []call{d.call("shop", k.Key.ID, forged), d.call("shop", "K1", forged), d.call("nobody", k.Key.ID, forged), d.call("cafe", k.Key.ID, k.Secret)} {
		_, err := d.verify(c)
		require.ErrorIs(t, err, app.ErrSignature)
		text, errText := c.Text()
		require.NoError(t, errText)
		require.Regexp(t, `^the text that we verify has the SHA-256 [0-9a-f]{64}: compare it with yours \(docs/gateway-apps\.md\): no valid key of this app has signed this request$`, err.Error())
		require.NotContains(t, string(text), k.Secret.Reveal())
	}
	require.Contains(t, d.log.String(), "there is no such app or key", "the operator is told")
	require.NotContains(t, d.log.String(), k.Secret.Reveal()[4:])
}

// TestAnyChangeIsFound: whatever of a signed request is another one, it is refused, and is no use of its nonce.
func TestAnyChangeIsFound(t *testing.T) {
	d := newDesk(t)
	k := d.active("shop")
	k2 := d.key("shop", nil)
	rapid.Check(t, func(t *rapid.T) {
		c := d.call("shop", k.Key.ID, k.Secret)
		r := c.http(t)
		h, err := sign.Parse(r.Header.Get("Authorization"))
		require.NoError(t, err)
		body := bytes.Clone(c.Body)
		switch what := rapid.SampledFrom([]string{"method", "path", "query name", "query value", "query more", "query less", "timestamp", "nonce", "app", "key", "body", "body short", "signature", "signature short"}).Draw(t, "what"); what {
		case "method":
			r.Method = rapid.SampledFrom([]string{"PUT", "GET", "post"}).Draw(t, "method")
		case "path":
			r.URL.Path += rapid.SampledFrom([]string{"/", "/1", "%2F"}).Draw(t, "path")
		case "query name":
			r.URL.RawQuery = "b=2&c=1"
		case "query value":
			r.URL.RawQuery = "b=1&a=2"
		case "query more":
			r.URL.RawQuery += rapid.SampledFrom([]string{"&a=1", "&c", "%00"}).Draw(t, "query")
		case "query less":
			r.URL.RawQuery = "b=2"
		case "timestamp":
			h.Timestamp += rapid.SampledFrom([]int64{-300, -1, 1, 300}).Draw(t, "timestamp")
		case "nonce":
			h.Nonce = rand.Text()
		case "app":
			h.App = "cafe"
		case "key":
			h.Key = k2.Key.ID
		case "body":
			body[rapid.IntRange(0, len(body)-1).Draw(t, "at")] ^= byte(rapid.IntRange(1, 255).Draw(t, "flip"))
		case "body short":
			body = body[:rapid.IntRange(0, len(body)-1).Draw(t, "length")]
		case "signature":
			h.Signature[rapid.IntRange(0, len(h.Signature)-1).Draw(t, "at")] ^= byte(rapid.IntRange(1, 255).Draw(t, "flip"))
		case "signature short":
			h.Signature = h.Signature[:rapid.IntRange(0, len(h.Signature)-1).Draw(t, "length")]
			if len(h.Signature) == 0 {
				h.Signature = []byte{0}
			}
		}
		r.Header.Set("Authorization", h.String())
		_, err = d.Verify(context.Background(), r, body)
		require.ErrorIs(t, err, app.ErrSignature)
		_, err = d.Verify(context.Background(), c.http(t), c.Body)
		require.NoError(t, err, "the real one is still good")
	})
}

func TestARequestIsTakenOnce(t *testing.T) {
	d := newDesk(t)
	k := d.active("shop")
	c := d.call("shop", k.Key.ID, k.Secret)
	other := d.process(7)
	var wg sync.WaitGroup
	errs := make([]error, 8)
	for i := range errs {
		wg.Go(func() {
			at := d.Service
			if i%2 == 0 {
				at = other
			}
			_, errs[i] = at.Verify(context.Background(), c.http(t), c.Body)
		})
	}
	wg.Wait()
	taken := 0
	for _, err := range errs {
		if err == nil {
			taken++
			continue
		}
		require.ErrorIs(t, err, app.ErrReplay)
	}
	require.Equal(t, 1, taken)

	// As long as its time is good the nonce is known; then the time is not good any more, even at a process whose clock is behind.
	for range 11 {
		_, err := d.Prune(t.Context())
		require.NoError(t, err)
		_, err = d.verify(c)
		require.Error(t, err)
		d.clock.Advance(time.Minute)
	}
	n, err := d.Prune(t.Context())
	require.NoError(t, err)
	require.EqualValues(t, 1, n, "it is forgotten after ten minutes, not before")
	_, err = d.verify(c)
	require.ErrorIs(t, err, app.ErrClock)
}

func TestTheWindowIsFiveMinutesEitherWay(t *testing.T) {
	d := newDesk(t)
	k := d.active("shop")
	for _, at := range []struct {
		seconds int64
		fits    bool
	}{{-301, false}, {-300, true}, {0, true}, {300, true}, {301, false}, {-1795521600, false}, {1 << 62, false}} {
		c := d.call("shop", k.Key.ID, k.Secret)
		c.Timestamp += at.seconds
		_, err := d.verify(c)
		if at.fits {
			require.NoError(t, err, at.seconds)
			continue
		}
		require.ErrorIs(t, err, app.ErrClock, at.seconds)
		require.ErrorContains(t, err, "2026-11-25T12:00:00Z")
	}
}

func TestKeysLieSealedInTheirRows(t *testing.T) {
	d := newDesk(t)
	k := d.active("shop")
	row := func() store.AppKey {
		var out store.AppKey
		require.NoError(t, d.store.View(t.Context(), func(tx *store.Tx) (err error) {
			out, err = tx.AppKey(t.Context(), "shop", k.Key.ID)
			return err
		}))
		return out
	}()
	require.NotContains(t, string(row.Sealed), string(k.Secret.Bytes()))
	_, err := d.process(8).Verify(t.Context(), d.call("shop", k.Key.ID, k.Secret).http(t), []byte(`{"amount":"1.00"}`))
	require.ErrorIs(t, err, sealed.ErrOpen, "another scheme's key file opens nothing, and that is not the caller's fault")
	row.ID = "K2"
	require.NoError(t, d.store.Update(t.Context(), func(tx *store.Tx) error { return tx.PutAppKey(t.Context(), row) }))
	_, err = d.verify(d.call("shop", "K2", k.Secret))
	require.ErrorIs(t, err, sealed.ErrOpen, "a key that was put in by hand is none")
}

func TestHandler(t *testing.T) {
	d := newDesk(t)
	k := d.active("shop")
	h := d.Handler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		c, ok := app.CallerOf(r.Context())
		body, err := io.ReadAll(r.Body)
		require.NoError(t, err)
		fmt.Fprintf(w, "%v %s %s", ok, c.App, body)
	}))
	ask := func(r *http.Request) (*httptest.ResponseRecorder, map[string]any) {
		w := httptest.NewRecorder()
		h.ServeHTTP(w, r)
		said := map[string]any{}
		if w.Code != http.StatusOK {
			require.Equal(t, "application/problem+json", w.Header().Get("Content-Type"))
			require.NoError(t, json.Unmarshal(w.Body.Bytes(), &said))
		}
		return w, said
	}
	c := d.call("shop", k.Key.ID, k.Secret)
	w, _ := ask(c.http(t))
	require.Equal(t, `true shop {"amount":"1.00"}`, w.Body.String())
	w, said := ask(c.http(t))
	require.Equal(t, http.StatusUnauthorized, w.Code)
	require.Equal(t, "Purselane", w.Header().Get("WWW-Authenticate"))
	require.Equal(t, "urn:purselane:gateway:nonce-used", said["type"])

	large := d.call("shop", k.Key.ID, k.Secret)
	large.Body = bytes.Repeat([]byte("x"), 1025)
	w, said = ask(large.http(t))
	require.Equal(t, http.StatusRequestEntityTooLarge, w.Code)
	require.Equal(t, "urn:purselane:gateway:body-too-large", said["type"])
	large.Body = large.Body[:1024]
	w, _ = ask(large.http(t))
	require.Equal(t, http.StatusOK, w.Code)

	r := d.call("shop", k.Key.ID, k.Secret).http(t)
	r.URL.RawQuery = "a=%zz"
	w, said = ask(r)
	require.Equal(t, http.StatusBadRequest, w.Code)
	require.Equal(t, "urn:purselane:gateway:request-unsignable", said["type"])

	_, err := d.Ask(t.Context(), "shop", app.Freeze, "ann", "x")
	require.NoError(t, err)
	w, said = ask(d.call("shop", k.Key.ID, k.Secret).http(t))
	require.Equal(t, http.StatusForbidden, w.Code)
	require.Contains(t, said["detail"], "it is frozen")

	require.NoError(t, d.store.Close())
	w, said = ask(d.call("shop", k.Key.ID, k.Secret).http(t))
	require.Equal(t, http.StatusServiceUnavailable, w.Code)
	require.NotContains(t, said["detail"], "store", "what is wrong with us is not the caller's business")
}

// FuzzVerify: whatever a stranger's header says, nothing is taken and nothing breaks.
func FuzzVerify(f *testing.F) {
	f.Add("Purselane app=shop, key=K1, timestamp=1795608000, nonce=0123456789abcdef, signature=AAAA", "/orders", "a=1", []byte("{}"))
	f.Add("Purselane app=", "*", "%", []byte(nil))
	s, err := store.Open(context.Background(), filepath.Join(f.TempDir(), "scheme.db"), store.Options{NoSync: true})
	require.NoError(f, err)
	f.Cleanup(func() { s.Close() })
	box, err := sealed.New(bytes.Repeat([]byte{7}, 32))
	require.NoError(f, err)
	service, err := app.New(s, app.Config{Box: box, Clock: clock.NewManual(noon), Log: slog.New(slog.DiscardHandler)})
	require.NoError(f, err)
	f.Fuzz(func(t *testing.T, header, path, query string, body []byte) {
		r := httptest.NewRequest(http.MethodPost, "/", nil)
		r.URL.Path, r.URL.RawQuery = path, query
		r.Header.Set("Authorization", header)
		_, err := service.Verify(context.Background(), r, body)
		require.Error(t, err)
		for _, known := range []error{sign.ErrHeader, sign.ErrRequest, app.ErrClock, app.ErrSignature} {
			if errors.Is(err, known) {
				return
			}
		}
		t.Fatalf("an error of no kind: %v", err)
	})
}

func TestRatesAreThoseOfTheTerms(t *testing.T) {
	d := newDesk(t)
	_, err := d.Apply(t.Context(), "shop", app.Filing{Name: "x"}, app.Terms{Channels: []app.ChannelTerms{{Channel: "wechat", Account: "m1", BasisPoints: 60, Products: []app.ProductTerms{{Product: channel.H5, Fee: "city-h5"}, {Product: channel.Code, BasisPoints: 38}}}, {Channel: "alipay", Account: "m2", Fee: "city-1"}}}, "ann", "papers")
	require.NoError(t, err)
	require.NoError(t, d.store.View(t.Context(), func(tx *store.Tx) error {
		for _, c := range []struct {
			app, channel string
			product      channel.Product
			rate         string
			ppm          int64
		}{{"shop", "wechat", channel.QR, "", 6000}, {"shop", "wechat", channel.H5, "city-h5", 0}, {"shop", "wechat", channel.Code, "", 3800}, {"shop", "alipay", channel.QR, "city-1", 0}, {"shop", "stripe", channel.Quick, "", 0}, {"nobody", "wechat", channel.QR, "", 0}} {
			ppm, rate, err := app.Rate(t.Context(), tx, c.app, c.channel, c.product)
			require.NoError(t, err)
			require.Equal(t, c.ppm, ppm)
			require.Equal(t, c.rate, rate)
		}
		return nil
	}))
}

func TestWhichAccountsAreAnAppsOwn(t *testing.T) {
	d := newDesk(t)
	var o app.Owners
	own := func(id string) [2][]string {
		mine, others, err := o.Own(t.Context(), d.store, id)
		require.NoError(t, err)
		return [2][]string{mine, others}
	}
	require.Equal(t, [2][]string{}, own("till"))
	d.apply("shop")
	require.Equal(t, [2][]string{{"wechat"}, nil}, own("shop"))
	require.Equal(t, [2][]string{nil, {"wechat"}}, own("till"), "alipay is shared")
	for _, by := range []string{"ann", "bob"} {
		_, err := d.AskTerms(t.Context(), "shop", app.Terms{Channels: []app.ChannelTerms{{Channel: "wechat", Account: "m-shop", Shared: true}, {Channel: "alipay", Account: "2089"}}}, by, "they moved")
		require.NoError(t, err)
		if by == "ann" {
			require.Equal(t, [2][]string{nil, {"wechat"}}, own("till"), "one person changes nothing")
		}
	}
	require.Equal(t, [2][]string{nil, {"alipay"}}, own("till"), "what was read before is not used any more")
	require.Equal(t, [2][]string{{"alipay"}, nil}, own("shop"))
	d.both("shop", app.Close)
	require.Equal(t, [2][]string{}, own("till"), "a closed app has nothing")
}
