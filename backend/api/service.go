package api

import (
	"bytes"
	"context"

	"github.com/purselane/purselane/backend/store"
)

// GetHealth asks the database something small.
func (s *server) GetHealth(ctx context.Context, _ GetHealthRequestObject) (GetHealthResponseObject, error) {
	err := s.Store.View(ctx, func(tx *store.Tx) error {
		_, err := tx.LastClosedDay(ctx)
		return err
	})
	return GetHealth200JSONResponse{Status: Ok, Version: s.doc.spec.Info.Version}, err
}

// GetOpenAPI gives the document.
func (s *server) GetOpenAPI(context.Context, GetOpenAPIRequestObject) (GetOpenAPIResponseObject, error) {
	return GetOpenAPI200ApplicationyamlResponse{Body: bytes.NewReader(documentYAML), ContentLength: int64(len(documentYAML))}, nil
}

// ListTerminals lists the terminals by id.
func (s *server) ListTerminals(ctx context.Context, _ ListTerminalsRequestObject) (ListTerminalsResponseObject, error) {
	out := ListTerminals200JSONResponse{Terminals: []Terminal{}}
	err := s.Store.View(ctx, func(tx *store.Tx) error {
		all, err := tx.Terminals(ctx)
		for _, m := range all {
			t := Terminal{Id: string(m.ID), Merchant: string(m.Merchant), Place: unlessEmpty(m.Place), Active: m.Active, Online: m.Online, Backlog: m.Backlog}
			if !m.LastSeen.IsZero() {
				at := m.LastSeen.In(s.Location)
				t.LastSeen = &at
			}
			out.Terminals = append(out.Terminals, t)
		}
		return err
	})
	return out, err
}
