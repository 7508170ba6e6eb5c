package api_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"sync"
	"testing"
	"time"

	"github.com/getkin/kin-openapi/openapi3"
	"github.com/getkin/kin-openapi/openapi3filter"
	"github.com/getkin/kin-openapi/routers"
	"github.com/getkin/kin-openapi/routers/legacy"
	"github.com/stretchr/testify/require"

	"github.com/purselane/purselane/internal/ids"
	"github.com/purselane/purselane/internal/money"
	"github.com/purselane/purselane/terminal/api"
	"github.com/purselane/purselane/terminal/edge"
	"github.com/purselane/purselane/terminal/tap"
	"github.com/purselane/purselane/uplink/wire"
)

// device is a terminal whose till is at lane 1. A sale is decided by what the test puts into next.
type device struct {
	mu       sync.Mutex
	sales    map[string]edge.Sale
	next     func(ctx context.Context, amount money.Amount, request string) (tap.Result, error)
	broken   string
	restarts []int
	exported uint64
}

var card = ids.CardNumber{0x31, 0x04, 0, 0, 0, 0, 0, 0, 0x12, 0x34}

func (d *device) Charge(ctx context.Context, lane int, amount money.Amount, request string) (tap.Result, error) {
	switch {
	case lane > 1:
		return tap.Result{}, fmt.Errorf("lane %d: %w", lane, edge.ErrNoLane)
	case lane != 1:
		return tap.Result{}, edge.ErrNotATill
	case request == "":
		return tap.Result{}, edge.ErrRequestID
	}
	d.mu.Lock()
	earlier, known := d.sales[request]
	d.mu.Unlock()
	if known && earlier.Amount != amount {
		return tap.Result{}, edge.ErrRequestReused
	}
	return d.next(ctx, amount, request)
}

// pays is a card that pays.
func (d *device) pays(_ context.Context, amount money.Amount, request string) (tap.Result, error) {
	return d.note(amount, request, wire.State_STATE_COMPLETED, tap.Granted), nil
}

func (d *device) note(amount money.Amount, request string, s wire.State, o tap.Outcome) tap.Result {
	d.mu.Lock()
	defer d.mu.Unlock()
	id := ids.TapID{Terminal: "shop-1", Epoch: 7, Tap: uint64(len(d.sales) + 1)}
	if _, known := d.sales[request]; !known {
		d.sales[request] = edge.Sale{Request: request, State: s, Tap: id, Amount: amount, Balance: money.Minor(1234)}
	}
	return tap.Result{Outcome: o, Amount: amount, Tap: id, Card: card, Balance: money.Minor(1234)}
}

func (d *device) Sale(request string) (edge.Sale, bool, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	s, found := d.sales[request]
	return s, found, nil
}

func (d *device) Health() (api.Health, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	return api.Health{
		Version: api.Version, Terminal: "shop-1", Program: "test", At: start, InUse: d.broken == "", Reason: d.broken,
		Profile: api.ProfileHealth{Version: 3, Scheme: "sample"}, Clock: api.ClockHealth{State: "good", ErrorMS: 20},
		Lanes: []api.LaneHealth{
			{Lane: 0, Mode: "bus-flat", Reader: "front", State: "waiting", Since: start},
			{Lane: 1, Mode: "sale", Reader: "counter", State: "lost", Since: start, Error: "unplugged"},
		},
		Journal: api.JournalHealth{Records: 12, OpenIntents: 1, Value: "24.00", Bytes: 65536, MaxBytes: 1 << 28},
		Uplink:  &api.UplinkHealth{State: "online"},
	}, nil
}

func (d *device) Export(out io.Writer, first uint64) (uint64, error) {
	if d.broken != "" {
		_, _ = io.WriteString(out, "half of it")
		return 0, errors.New(d.broken)
	}
	d.exported = first
	_, err := io.WriteString(out, "purselane-export-1 shop-1\n")
	return 1, err
}

func (d *device) Restart(lane int) error {
	if lane > 1 {
		return edge.ErrNoLane
	}
	d.restarts = append(d.restarts, lane)
	return nil
}

var start = time.Date(2026, 11, 25, 8, 0, 0, 0, time.UTC)

// stand is an API under test whose every answer is held against the document.
type stand struct {
	t      *testing.T
	device *device
	hub    *api.Hub
	level  *slog.LevelVar
	log    *bytes.Buffer
	router routers.Router
	h      http.Handler
}

func newStand(t *testing.T, change func(*api.Options)) *stand {
	s := &stand{t: t, device: &device{sales: map[string]edge.Sale{}}, hub: api.NewHub([]string{"bus-flat", "sale"}), level: &slog.LevelVar{}, log: &bytes.Buffer{}}
	s.device.next = s.device.pays
	o := api.Options{Terminal: s.device, Hub: s.hub, Log: slog.New(slog.NewTextHandler(s.log, nil)), Level: s.level}
	if change != nil {
		change(&o)
	}
	s.h = api.New(o)
	doc, err := openapi3.NewLoader().LoadFromData(api.Document())
	require.NoError(t, err)
	require.NoError(t, doc.Validate(t.Context()))
	doc.Servers = nil
	s.router, err = legacy.NewRouter(doc)
	require.NoError(t, err)
	return s
}

// do makes a request and checks that the answer is one the document has.
func (s *stand) do(method, path, body string, header ...string) *httptest.ResponseRecorder {
	s.t.Helper()
	r := httptest.NewRequestWithContext(s.t.Context(), method, "http://127.0.0.1:8801"+path, bytes.NewBufferString(body))
	if body != "" {
		r.Header.Set("Content-Type", "application/json")
	}
	for i := 0; i+1 < len(header); i += 2 {
		if header[i] == "Host" {
			r.Host = header[i+1]
			continue
		}
		r.Header.Set(header[i], header[i+1])
	}
	w := httptest.NewRecorder()
	s.h.ServeHTTP(w, r)
	asked := httptest.NewRequestWithContext(s.t.Context(), method, path, nil)
	route, params, err := s.router.FindRoute(asked)
	if err != nil {
		require.Equal(s.t, http.StatusNotFound, w.Code, "%s %s is answered and not in the document", method, path)
		return w
	}
	in := &openapi3filter.ResponseValidationInput{
		RequestValidationInput: &openapi3filter.RequestValidationInput{Request: asked, PathParams: params, Route: route},
		Status:                 w.Code, Header: w.Header(), Options: &openapi3filter.Options{IncludeResponseStatus: true},
	}
	in.SetBodyBytes(w.Body.Bytes())
	if kind := w.Header().Get("Content-Type"); kind != "text/plain; charset=us-ascii" && kind != "application/yaml" {
		require.NoError(s.t, openapi3filter.ValidateResponse(s.t.Context(), in), "%s %s answers %d %s", method, path, w.Code, w.Body)
	}
	return w
}
