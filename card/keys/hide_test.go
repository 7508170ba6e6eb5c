package keys_test

import (
	"bytes"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"log/slog"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/purselane/purselane/card/keys"
)

func hexOf(b []byte) string { return hex.EncodeToString(b) }

// TestKeysNeverPrint prints everything that holds a key under every verb, in both log formats and as JSON, and looks for
// the key's bytes in each notation.
func TestKeysNeverPrint(t *testing.T) {
	key := keys.Key(bytes.Repeat([]byte{0xC7}, 16))
	secret := keys.Secret(bytes.Repeat([]byte{0xC7}, 32))
	r := &keys.Ring{Masters: map[keys.ID]keys.Key{{Purpose: keys.TAC}: key}, Secrets: map[string]keys.Secret{"token": secret}}
	type holder struct {
		Key    keys.Key
		Secret keys.Secret
	}
	values := map[string]any{
		"key": key, "pointer to key": &key, "secret": secret, "pointer to secret": &secret,
		"ring": *r, "pointer to ring": r, "HSM": r.HSM(), "masters": r.Masters, "secrets": r.Secrets,
		"card": keys.Card{Factors: [][8]byte{[8]byte(key[:8])}}, "purchase": &keys.PurchaseRequest{Factors: [][8]byte{[8]byte(key[:8])}},
		"AES card": keys.AESCard{Input: key[:]}, "soft": keys.NewSoft(r.Masters), "holder": holder{key, secret}, "pointer to holder": &holder{key, secret}, "list": []keys.Key{key},
	}
	notations := []string{"c7c7", "199 199", "199,199", "307 307", "\u00c7\u00c7", "\\u00c7", "\\xc7", "11000111 11000111", "0xc7", "U+00C7", "x8fHx8fH"}
	check := func(t *testing.T, how, out string) {
		for _, n := range notations {
			require.NotContains(t, strings.ToLower(out), strings.ToLower(n), how)
		}
		require.NotEmpty(t, out, how)
	}
	for name, v := range values {
		t.Run(name, func(t *testing.T) {
			for _, verb := range strings.Split("v,+v,#v,s,q,x,X,# x,d,b,o,O,c,U,t,e,T", ",") {
				check(t, verb, fmt.Sprintf("%"+verb, v))
			}
			var out bytes.Buffer
			slog.New(slog.NewTextHandler(&out, nil)).Info("x", "value", v)
			slog.New(slog.NewJSONHandler(&out, nil)).Info("x", "value", v)
			check(t, "slog", out.String())
			if name == "card" || name == "AES card" || name == "purchase" {
				return // they go to a door of their own, which may well be reached by JSON
			}
			raw, err := json.Marshal(v)
			check(t, "json", string(raw)+fmt.Sprint(err))
		})
	}
}
