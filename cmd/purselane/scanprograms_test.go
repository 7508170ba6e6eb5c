package main

import (
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/purselane/purselane/backend/gateway/bin"
)

// TestTheProgramsWriteNothingForbidden looks through all that the two programs of an operator's first day have written: `purselane demo`, whose riders load with bank cards, and
// `purselane serve`, which takes card payments over HTTP and is killed in between. What they print is looked through too.
func TestTheProgramsWriteNothingForbidden(t *testing.T) {
	path := program(t, "purselane")
	t.Run("demo", func(t *testing.T) {
		dir := filepath.Join(t.TempDir(), "city")
		printed, err := exec.CommandContext(t.Context(), path, "demo", "--taps", "60", "--json", "--verbose", "--dir", dir).CombinedOutput()
		require.NoError(t, err, "%s", printed)
		require.Contains(t, string(printed), `"bank`, "riders have paid with bank cards")
		require.NoError(t, os.WriteFile(filepath.Join(dir, "printed"), printed, 0o600))
		var known strings.Builder
		for rider := 1; rider <= 8; rider++ {
			fmt.Fprintf(&known, "the card of rider %d %s\n", rider, luhned(fmt.Sprintf("622609%09d", rider)))
		}
		secrets := filepath.Join(t.TempDir(), "known")
		require.NoError(t, os.WriteFile(secrets, []byte(known.String()), 0o600))
		out, err := runScan(t, "--known", secrets, dir)
		require.NoError(t, err, out)
		require.Regexp(t, `^\d\d+ files, \d{7,} bytes, 8 secrets known; found 0\n$`, out)
	})
	t.Run("serve", func(t *testing.T) {
		x := newEveryKind(t)
		x.append(t, fileScheme, "  traces: traces/gateway.jsonl\n")
		raw, err := os.ReadFile(x.path(fileScheme))
		require.NoError(t, err)
		scheme := string(raw)
		for _, port := range []string{"8080", "8081", "1883"} {
			scheme = strings.ReplaceAll(scheme, "127.0.0.1:"+port, freePort(t))
		}
		x.write(t, fileScheme, 0o644, scheme)
		data := x.path(folderData)
		known := filepath.Join(t.TempDir(), "known")
		require.NoError(t, os.WriteFile(known, []byte(fmt.Sprintf("the card %s\nthe MAC key hex:%s\nthe bearer token hex:%x\n", bankCard, macKeyDigits, vaultBearer)), 0o600))
		clean := func(p *process) {
			require.NoError(t, os.WriteFile(filepath.Join(data, "printed"), []byte(p.out.String()), 0o600))
			out, err := runScan(t, "--dir", x.Dir, "--known", known)
			require.NoError(t, err, out)
			require.Regexp(t, `found 0\n$`, out)
		}

		backend := start(t, path, "serve", "--dir", x.Dir)
		address := func(p *process, what string) string { return strings.Fields(p.says(t, what+` +http://\S+`))[1] }
		at, door := address(backend, "gateway"), address(backend, "cards")
		backend.says(t, `broker +tcp://`)
		till := x.till(t)
		ask := func(path, body string, status int) map[string]any {
			r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, at+path, strings.NewReader(body))
			require.NoError(t, err)
			r.Header.Set("Content-Type", "application/json")
			answer, err := till.Do(r)
			require.NoError(t, err)
			defer answer.Body.Close()
			var said map[string]any
			require.NoError(t, json.NewDecoder(answer.Body).Decode(&said))
			require.Equal(t, status, answer.StatusCode, "%v", said)
			require.NotContains(t, fmt.Sprint(said), bankCard)
			return said
		}
		bring := func(number string) (int, string) {
			r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, door+"/v1/cards", strings.NewReader(fmt.Sprintf(`{"number":%q,"expires":"3012"}`, number)))
			require.NoError(t, err)
			r.Header.Set("Authorization", "Bearer "+vaultBearer)
			answer, err := http.DefaultClient.Do(r)
			require.NoError(t, err)
			defer answer.Body.Close()
			var card struct{ Token string }
			require.NoError(t, json.NewDecoder(answer.Body).Decode(&card))
			return answer.StatusCode, card.Token
		}
		status, token := bring(bankCard)
		require.Less(t, status, 300)
		status, _ = bring(bankCard[:15] + "0") // a slip of the hand, which differs in the check digit
		require.Equal(t, http.StatusUnprocessableEntity, status)
		sold := func(key, amount, token string, status int) map[string]any {
			o := ask("/v1/orders", fmt.Sprintf(`{"key":%q,"type":"pay","product":1,"merchant":"kiosk","amount":%q,"currency":"CNY","subject":"tea"}`, key, amount), http.StatusOK)
			p := ask("/v1/orders/"+o["id"].(string)+"/payments", fmt.Sprintf(`{"key":"1","product":"card","token":%q}`, token), status)
			p["order"] = o["id"]
			return p
		}
		paid := sold("1", "20.00", token, http.StatusOK)
		require.Equal(t, "paid", paid["state"], "%v", paid)
		require.Equal(t, "failed", sold("2", "5000.00", token, http.StatusOK)["state"], "the card has not so much")
		sold("3", "1.00", bankCard, http.StatusBadRequest) // a number where a token belongs
		ask("/v1/orders/"+paid["order"].(string)+"/refunds", `{"key":"r","amount":"5.00"}`, http.StatusOK)
		clean(backend) // database, its log, journals, traces, while it runs
		require.NoError(t, backend.cmd.Process.Kill())
		require.Error(t, backend.cmd.Wait())
		clean(backend) // what a kill leaves

		backend = start(t, path, "serve", "--dir", x.Dir)
		backend.says(t, `broker +tcp://`)
		backend.end(t)
		clean(backend)
		require.FileExists(t, filepath.Join(data, "traces", "gateway.jsonl"))
	})
}

// luhned is a card number with its check digit.
func luhned(body string) string {
	for d := '0'; ; d++ {
		if n := body + string(d); bin.Luhn(n) {
			return n
		}
	}
}
