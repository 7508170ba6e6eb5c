package api_test

import (
	"net/http"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// TestWhatAnAppSaysOfAPayment: the device, the binding and the payer's patience may be said, and may be said otherwise when the same attempt comes again.
func TestWhatAnAppSaysOfAPayment(t *testing.T) {
	d := newDesk(t)
	at := "/v1/orders/" + d.good(d.shop, "POST", "/v1/orders", anOrder)["id"].(string) + "/payments"
	p := d.good(d.shop, "POST", at, `{"key":"p1","product":"qr","device":"phone-7","unproven":true,"tolerant":true}`)
	require.Equal(t, p["number"], d.good(d.shop, "POST", at, `{"key":"p1","product":"qr","device":"phone-8"}`)["number"])
	d.refused(d.shop, "POST", at, `{"key":"p2","product":"qr","device":"`+strings.Repeat("x", 129)+`"}`, http.StatusBadRequest, "request")
}
