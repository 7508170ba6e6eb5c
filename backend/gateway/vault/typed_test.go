package vault_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/purselane/purselane/backend/gateway/bin"
	"github.com/purselane/purselane/backend/gateway/channel"
	"github.com/purselane/purselane/backend/gateway/vault"
)

const typedBody = `{"number":"` + pan + `","expires":"2912","cvn2":"248","phone":"13800000001","name":"Ann","id_type":"01","id_number":"110101190001011234"}`

// TestWhatAPayerTypesIsHeldForAWhile: in this process, for 15 minutes, and nowhere else.
func TestWhatAPayerTypesIsHeldForAWhile(t *testing.T) {
	x := open(t)
	status, said := x.asks(t, http.MethodPost, "/v1/typed", bearer, typedBody)
	require.Equal(t, http.StatusCreated, status)
	var got map[string]string
	require.NoError(t, json.Unmarshal([]byte(said), &got))
	require.Equal(t, []string{"1111", "one", "credit"}, []string{got["last4"], got["bank"], got["type"]})
	ref := got["token"]
	what, err := x.Typed(t.Context(), ref)
	require.NoError(t, err)
	require.Equal(t, channel.Typed{Number: pan, Expires: "2912", CVN2: "248", Phone: "13800000001", Name: "Ann", IDType: "01", IDNumber: "110101190001011234"}, what)
	require.Equal(t, "card …1111", fmt.Sprintf("%+v", what))
	_, err = json.Marshal(what)
	require.Error(t, err)

	_, card, err := x.OfTyped(ref)
	require.NoError(t, err)
	twice, err := x.HoldTyped(what)
	require.NoError(t, err)
	require.NotEqual(t, ref, twice.Token)
	_, same, err := x.OfTyped(twice.Token)
	require.NoError(t, err)
	require.Equal(t, card, same, "the same number has the same name")
	require.NotContains(t, card, "1111")
	_, err = x.Card(t.Context(), ref)
	require.ErrorIs(t, err, vault.ErrNoCard, "nobody pays with what was typed to bind a card")

	require.NoError(t, x.Forget(t.Context(), twice.Token))
	_, err = x.Typed(t.Context(), twice.Token)
	require.ErrorIs(t, err, vault.ErrNotTyped)
	_, err = x.again(t, 1).Typed(t.Context(), ref)
	require.ErrorIs(t, err, vault.ErrNotTyped, "another process")
	x.clock.Advance(vault.HoldFor)
	_, err = x.Typed(t.Context(), ref)
	require.ErrorIs(t, err, vault.ErrNotTyped)
	_, _, err = x.OfTyped(ref)
	require.ErrorIs(t, err, vault.ErrNotTyped)
	files, err := os.ReadDir(x.dir)
	require.NoError(t, err)
	require.Empty(t, files)
	require.Empty(t, x.log.String())
	x.clock.Advance(time.Minute)
}

func TestWhatIsNotTypedRightIsRefused(t *testing.T) {
	x := open(t)
	for body, want := range map[string]int{
		`{"number":"4111111111111112","phone":"1"}`:               422,
		`{"number":"` + pan + `","phone":"1","expires":"9"}`:      422,
		`{"number":"` + pan + `","phone":"1","cvn2":"24"}`:        400,
		`{"number":"` + pan + `","phone":"1","pin":"1234"}`:       400,
		`{"number":"` + pan + `","phone":"1&smsCode=2"}`:          400,
		`{"number":"` + pan + `","name":"a}"}`:                    400,
		`{"number":"` + pan + `","phone":"1"} {}`:                 400,
		`{"number":"` + strings.Repeat("4", 9000) + `"}`:          400,
		`{"phone":"` + strings.Repeat("1", 65) + `","number":""}`: 400,
	} {
		status, said := x.asks(t, http.MethodPost, "/v1/typed", bearer, body)
		require.Equal(t, want, status, said)
		require.NotContains(t, said, pan)
	}
	status, _ := x.asks(t, http.MethodPost, "/v1/typed", "wrong", typedBody)
	require.Equal(t, http.StatusUnauthorized, status)
	require.Empty(t, x.log.String())
}

// FuzzTyped: whatever comes, the answer says no number, and only a card's is a token.
func FuzzTyped(f *testing.F) {
	f.Add(typedBody)
	f.Add(`{"number":"4111111111111111","phone":"{}"}`)
	x := open(f)
	f.Fuzz(func(t *testing.T, body string) {
		status, said := x.asks(t, http.MethodPost, "/v1/typed", bearer, body)
		if (status == http.StatusCreated) != strings.Contains(said, `"token"`) || bin.Find([]byte(said)) >= 0 {
			t.Fatalf("%d: %s", status, said)
		}
	})
}
