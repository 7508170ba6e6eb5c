package vault_test

import (
	"bytes"
	"encoding/json"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/purselane/purselane/backend/gateway/bin"
	"github.com/purselane/purselane/backend/gateway/channel/cardacquirer"
	"github.com/purselane/purselane/backend/gateway/vault"
	"github.com/purselane/purselane/backend/store"
	"github.com/purselane/purselane/backend/store/emptystore"
	"github.com/purselane/purselane/internal/clock"
)

const (
	pan    = "4111111111111111"
	bearer = "a-token-of-tests-that-is-long-enough"
)

// stand is a vault over a fresh database.
type stand struct {
	*vault.Vault
	dir   string
	store *store.Store
	clock *clock.Manual
	log   bytes.Buffer
}

func open(t testing.TB) *stand {
	t.Helper()
	dir := t.TempDir()
	x := &stand{dir: filepath.Join(dir, "vault"), clock: clock.NewManual(time.Date(2026, 11, 25, 8, 0, 0, 0, time.UTC))}
	var err error
	x.store, err = store.Open(t.Context(), emptystore.At(t, filepath.Join(dir, "purselane.db")), store.Options{NoSync: true})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, x.store.Close()) })
	x.Vault = x.again(t, 1)
	return x
}

// again opens the vault as another process would.
func (x *stand) again(t testing.TB, key byte) *vault.Vault {
	t.Helper()
	table, err := bin.Parse([]byte("purselane-bin,1,1\n411111,one,credit,visa,16,luhn\nend,1\n"))
	require.NoError(t, err)
	var bins bin.Current
	require.NoError(t, bins.Use(table))
	v, err := vault.New(vault.Config{Dir: x.dir, Key: bytes.Repeat([]byte{key}, 32), Store: x.store, Bins: &bins, Clock: x.clock})
	require.NoError(t, err)
	return v
}

// A card is good until the end of its last month, wherever its holder is; renewed it is good again.
func TestAKeptCardExpires(t *testing.T) {
	x := open(t)
	expired := func(token string) bool {
		e, err := x.Expired(t.Context(), token)
		require.NoError(t, err)
		return e
	}
	b, err := x.Keep(t.Context(), cardacquirer.Card{Number: pan, Expires: "2611"}) // it is 2026-11-25 08:00 UTC
	require.NoError(t, err)
	require.False(t, expired(b.Token))
	x.clock.Advance(6*24*time.Hour + 3*time.Hour + 59*time.Minute)
	require.False(t, expired(b.Token))
	x.clock.Advance(time.Minute)
	require.True(t, expired(b.Token))
	again, err := x.Keep(t.Context(), cardacquirer.Card{Number: pan, Expires: "3111"})
	require.NoError(t, err)
	require.Equal(t, b.Token, again.Token)
	require.False(t, expired(b.Token))

	once, err := x.Hold(cardacquirer.Card{Number: pan, Expires: "2611", Entry: "051"})
	require.NoError(t, err)
	require.False(t, expired(once.Token), "its chip and its bank know better")
	bare, err := x.Keep(t.Context(), cardacquirer.Card{Number: pan})
	require.NoError(t, err)
	require.False(t, expired(bare.Token))
	_, err = x.Expired(t.Context(), "card_of nobody")
	require.ErrorIs(t, err, vault.ErrNoCard)
}

func TestACardIsKnownByItsToken(t *testing.T) {
	x := open(t)
	b, err := x.Keep(t.Context(), cardacquirer.Card{Number: pan, Expires: "2912"})
	require.NoError(t, err)
	require.Equal(t, vault.Bound{Token: b.Token, Last: "1111", Bank: "one", Type: bin.Credit, Scheme: bin.Visa}, b)
	twice, err := x.Keep(t.Context(), cardacquirer.Card{Number: pan, Expires: "3012"})
	require.NoError(t, err)
	require.Equal(t, b, twice)

	other := x.again(t, 1)
	c, err := other.Card(t.Context(), b.Token)
	require.NoError(t, err)
	require.Equal(t, []string{pan, "3012"}, []string{c.Number, c.Expires})
	known, err := other.Of(t.Context(), b.Token)
	require.NoError(t, err)
	require.Equal(t, b, known)
	_, err = x.again(t, 2).Card(t.Context(), b.Token)
	require.Error(t, err, "another scheme's key")

	require.NoError(t, x.Forget(t.Context(), b.Token))
	require.NoError(t, x.Forget(t.Context(), b.Token))
	_, err = other.Card(t.Context(), b.Token)
	require.ErrorIs(t, err, vault.ErrNoCard)
	_, err = other.Of(t.Context(), b.Token)
	require.ErrorIs(t, err, vault.ErrNoCard)
}

func TestACardThatWasReadIsHeldForAWhile(t *testing.T) {
	x := open(t)
	b, err := x.Hold(cardacquirer.Card{Number: pan, Expires: "2912", Entry: "051", Chip: []byte{1, 2}})
	require.NoError(t, err)
	c, err := x.Card(t.Context(), b.Token)
	require.NoError(t, err)
	require.Equal(t, []byte{1, 2}, c.Chip)
	known, err := x.Of(t.Context(), b.Token)
	require.NoError(t, err)
	require.Equal(t, "one", known.Bank)
	_, err = x.again(t, 1).Card(t.Context(), b.Token)
	require.ErrorIs(t, err, vault.ErrNoCard, "in no file")
	x.clock.Advance(vault.HoldFor)
	_, err = x.Card(t.Context(), b.Token)
	require.ErrorIs(t, err, vault.ErrNoCard)
}

// TestNoNumberLiesInTheClear looks at every file of vault and database.
func TestNoNumberLiesInTheClear(t *testing.T) {
	x := open(t)
	b, err := x.Keep(t.Context(), cardacquirer.Card{Number: pan, Expires: "2912"})
	require.NoError(t, err)
	files := 0
	require.NoError(t, filepath.WalkDir(filepath.Dir(x.dir), func(path string, d os.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		files++
		raw, err := os.ReadFile(path)
		require.NotContains(t, string(raw), pan[:8], path)
		return err
	}))
	require.Positive(t, files)
	info, err := os.Stat(filepath.Join(x.dir, b.Token))
	require.NoError(t, err)
	require.Equal(t, os.FileMode(0o600), info.Mode().Perm())
	for _, bad := range []cardacquirer.Card{{Number: pan[:15] + "2"}, {Number: pan, Expires: "2913"}, {Number: pan + "0000"}, {Number: "4x11111111111111"}} {
		_, err := x.Keep(t.Context(), bad)
		require.Error(t, err)
		require.NotContains(t, err.Error(), "4111")
	}
	for _, path := range []string{"../purselane.db", "card_../../x", ""} {
		_, err := x.Card(t.Context(), path)
		require.ErrorIs(t, err, vault.ErrNoCard)
	}
}

func (x *stand) asks(t testing.TB, method, path, token, body string) (int, string) {
	h, err := x.Handler(bearer, slog.New(slog.NewTextHandler(&x.log, nil)))
	require.NoError(t, err)
	r := httptest.NewRequest(method, path, strings.NewReader(body))
	r.Header.Set("Authorization", "Bearer "+token)
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	raw, err := io.ReadAll(w.Result().Body)
	require.NoError(t, err)
	return w.Code, string(raw)
}

func TestTheDoor(t *testing.T) {
	x := open(t)
	good := `{"number":"` + pan + `","expires":"2912"}`
	status, said := x.asks(t, http.MethodPost, "/v1/cards", bearer, good)
	require.Equal(t, http.StatusCreated, status, said)
	var got map[string]string
	require.NoError(t, json.Unmarshal([]byte(said), &got))
	require.Equal(t, map[string]string{"token": got["token"], "last4": "1111", "bank": "one", "type": "credit", "scheme": "visa"}, got)

	for _, c := range []struct {
		name, token, body string
		want              int
	}{
		{"nobody", "", good, 401},
		{"a stranger", strings.Repeat("x", 32), good, 401},
		{"a CVV", bearer, `{"number":"` + pan + `","expires":"2912","cvv":"123"}`, 400},
		{"two values", bearer, good + good, 400},
		{"chip data of a card that nobody read", bearer, `{"number":"` + pan + `","chip":"AQI="}`, 400},
		{"a number that is none", bearer, `{"number":"4111111111111112"}`, 422},
		{"much too much", bearer, `{"number":"` + strings.Repeat("4", 9<<10) + `"}`, 400},
	} {
		t.Run(c.name, func(t *testing.T) {
			status, said := x.asks(t, http.MethodPost, "/v1/cards", c.token, c.body)
			require.Equal(t, c.want, status, said)
			require.NotContains(t, said, "4111")
		})
	}
	status, said = x.asks(t, http.MethodPost, "/v1/cards", bearer, `{"number":"`+pan+`","expires":"2912","entry":"051","sequence":"001","chip":"AQI="}`)
	require.Equal(t, http.StatusCreated, status, said)
	require.NoError(t, json.Unmarshal([]byte(said), &got))
	_, err := x.Card(t.Context(), got["token"])
	require.NoError(t, err)
	status, _ = x.asks(t, http.MethodDelete, "/v1/cards/"+got["token"], bearer, "")
	require.Equal(t, http.StatusNoContent, status)
	_, err = x.Card(t.Context(), got["token"])
	require.ErrorIs(t, err, vault.ErrNoCard)
	require.NotContains(t, x.log.String(), "4111")
	_, err = x.Handler("short", slog.New(slog.DiscardHandler))
	require.Error(t, err)
}

// FuzzDoor: whatever comes, the answer says no number, and only a card's is a token.
func FuzzDoor(f *testing.F) {
	f.Add(`{"number":"4111111111111111","expires":"2912"}`)
	f.Add(`{"number":"4111111111111111","entry":"051","chip":"AQI="}`)
	f.Add(`{"cvv":"123"}`)
	x := open(f)
	f.Fuzz(func(t *testing.T, body string) {
		status, said := x.asks(t, http.MethodPost, "/v1/cards", bearer, body)
		if (status == http.StatusCreated) != strings.Contains(said, `"token"`) || bin.Find([]byte(said)) >= 0 {
			t.Fatalf("%d: %s", status, said)
		}
	})
}
