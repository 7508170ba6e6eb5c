package client_test

import (
	"context"
	"fmt"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"time"

	standardwebhooks "github.com/standard-webhooks/standard-webhooks/libraries/go"

	"github.com/purselane/purselane/backend/gateway/app"
	"github.com/purselane/purselane/backend/gateway/app/sign"
	"github.com/purselane/purselane/backend/gateway/client"
	"github.com/purselane/purselane/backend/gateway/sealed"
	"github.com/purselane/purselane/backend/store"
)

// verifier is a server that verifies requests as the gateway does, with an active app.
func verifier(dir string) (address, keyID, secret string, stop func(), err error) {
	ctx := context.Background()
	s, err := store.Open(ctx, filepath.Join(dir, "scheme.db"), store.Options{NoSync: true})
	if err != nil {
		return "", "", "", nil, err
	}
	box, err := sealed.New(make([]byte, 32))
	if err != nil {
		return "", "", "", nil, err
	}
	apps, err := app.New(s, app.Config{Box: box})
	if err != nil {
		return "", "", "", nil, err
	}
	if _, err := apps.Apply(ctx, "shop", app.Filing{Name: "The Shop"}, app.Terms{}, "ann", "papers"); err != nil {
		return "", "", "", nil, err
	}
	var key app.NewKey
	for _, officer := range []string{"ann", "bob"} {
		if key, err = apps.AskKey(ctx, "shop", nil, officer, "first"); err != nil {
			return "", "", "", nil, err
		}
	}
	for _, e := range []app.Event{app.Approve, app.Activate} {
		for _, officer := range []string{"ann", "bob"} {
			if _, err := apps.Ask(ctx, "shop", e, officer, "seen"); err != nil {
				return "", "", "", nil, err
			}
		}
	}
	server := httptest.NewServer(apps.Handler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		caller, _ := app.CallerOf(r.Context())
		body, err := io.ReadAll(r.Body)
		if err != nil {
			http.Error(w, "the body did not come", http.StatusBadRequest)
			return
		}
		fmt.Fprintf(w, "%s: %s %s %s", caller.App, r.Method, r.URL.RequestURI(), body)
	})))
	return server.URL, key.Key.ID, key.Secret.Reveal(), func() { server.Close(); s.Close() }, nil
}

// Each request of this http.Client is signed.
func ExampleSigner() {
	dir, err := os.MkdirTemp("", "gateway")
	if err != nil {
		log.Fatal(err)
	}
	defer os.RemoveAll(dir)
	address, keyID, text, stop, err := verifier(dir)
	if err != nil {
		log.Fatal(err)
	}
	defer stop()

	secret, err := sign.ParseSecret(text)
	if err != nil {
		log.Fatal(err)
	}
	c := &http.Client{Transport: &client.Signer{App: "shop", KeyID: keyID, Key: secret}, Timeout: 30 * time.Second}
	resp, err := c.Post(address+"/orders?b=2&a=1", "application/json", strings.NewReader(`{"amount":"1.00"}`))
	if err != nil {
		log.Fatal(err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Printf("%d %s\n", resp.StatusCode, body)
	// Output: 200 shop: POST /orders?b=2&a=1 {"amount":"1.00"}
}

// A receiver verifies the raw body, drops what it has, keeps the rest, and answers 2xx then.
func ExampleReceiver() {
	const secret = "whsec_MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY="
	receiver, err := client.NewReceiver(nil, secret)
	if err != nil {
		log.Fatal(err)
	}
	have := map[string]bool{} // a table in earnest
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, 1<<20))
		if err != nil {
			http.Error(w, "the body did not come", http.StatusBadRequest)
			return
		}
		event, err := receiver.Verify(r.Header, body)
		if err != nil {
			http.Error(w, err.Error(), http.StatusUnauthorized)
			return
		}
		if !have[event.ID] {
			have[event.ID] = true
			fmt.Println(event.Type, string(event.Data))
		}
		w.WriteHeader(http.StatusNoContent)
	}))
	defer server.Close()

	// What the gateway sends.
	body := `{"type":"payment.paid","timestamp":"2026-11-25T12:00:00Z","data":{"order":"1"}}`
	for range 2 {
		webhook, err := standardwebhooks.NewWebhook(secret)
		if err != nil {
			log.Fatal(err)
		}
		now := time.Now()
		signature, err := webhook.Sign("evt_1", now, []byte(body))
		if err != nil {
			log.Fatal(err)
		}
		r, err := http.NewRequest(http.MethodPost, server.URL, strings.NewReader(body))
		if err != nil {
			log.Fatal(err)
		}
		r.Header.Set("webhook-id", "evt_1")
		r.Header.Set("webhook-timestamp", fmt.Sprint(now.Unix()))
		r.Header.Set("webhook-signature", signature)
		resp, err := http.DefaultClient.Do(r)
		if err != nil {
			log.Fatal(err)
		}
		resp.Body.Close()
		fmt.Println(resp.StatusCode)
	}
	// Output:
	// payment.paid {"order":"1"}
	// 204
	// 204
}
