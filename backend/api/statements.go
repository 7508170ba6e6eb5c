package api

import (
	"context"
	"net/http"
	"strconv"

	"github.com/purselane/purselane/backend/ledger"
	"github.com/purselane/purselane/backend/store"
	"github.com/purselane/purselane/internal/ids"
	"github.com/purselane/purselane/shadowaccount/calendar"
)

// statement is a statement in one of its forms, as package ledger writes it: both ways to get one give the same bytes.
type statement struct {
	kind string
	body []byte
}

// formOf writes a statement.
func formOf(s ledger.Statement, format *StatementFormat) (statement, error) {
	if orDefault(format) == "csv" {
		body, err := s.CSV()
		return statement{"text/csv", body}, err
	}
	body, err := s.JSON()
	return statement{"application/json", body}, err
}

func (b statement) write(w http.ResponseWriter) error {
	w.Header().Set("Content-Type", b.kind)
	w.Header().Set("Content-Length", strconv.Itoa(len(b.body)))
	w.WriteHeader(http.StatusOK)
	_, err := w.Write(b.body)
	return err
}

// VisitGetCardStatementResponse implements GetCardStatementResponseObject.
func (b statement) VisitGetCardStatementResponse(w http.ResponseWriter) error { return b.write(w) }

// VisitGetMerchantStatementResponse implements GetMerchantStatementResponseObject.
func (b statement) VisitGetMerchantStatementResponse(w http.ResponseWriter) error { return b.write(w) }

// checkSpan refuses days that are none, and a first day after the last.
func checkSpan(from, to string) error {
	if _, err := calendar.ParseDate(from); err != nil {
		return refusal{codeRequest, "parameter from: there is no such date"}
	}
	if _, err := calendar.ParseDate(to); err != nil {
		return refusal{codeRequest, "parameter to: there is no such date"}
	}
	if from > to {
		return refusal{codeRequest, "parameter from: it comes after to"}
	}
	return nil
}

// GetCardStatement tells what moved a card's shadow account.
func (s *server) GetCardStatement(ctx context.Context, r GetCardStatementRequestObject) (GetCardStatementResponseObject, error) {
	if err := checkSpan(r.Params.From, r.Params.To); err != nil {
		return nil, err
	}
	var of ledger.Statement
	err := s.Store.View(ctx, func(tx *store.Tx) error {
		c, err := card(ctx, tx, r.Token)
		if err != nil {
			return err
		}
		of, err = ledger.CardStatement(ctx, tx, c.Token, r.Params.From, r.Params.To)
		return err
	})
	if err != nil {
		return nil, err
	}
	return formOf(of, r.Params.Format)
}

// own finds a merchant that the caller may see: an agent those of its acquirer, an operator all.
func own(ctx context.Context, tx *store.Tx, id string) (ids.MerchantID, error) {
	all, err := tx.Merchants(ctx)
	if err != nil {
		return "", err
	}
	agent := agentOf(ctx)
	for _, m := range all {
		if string(m.ID) == id && (agent == "" || m.Acquirer == agent) {
			return m.ID, nil
		}
	}
	return "", refusal{code: codeUnknownMerchant}
}

// GetMerchantStatement tells what moved a merchant's accounts.
func (s *server) GetMerchantStatement(ctx context.Context, r GetMerchantStatementRequestObject) (GetMerchantStatementResponseObject, error) {
	if err := checkSpan(r.Params.From, r.Params.To); err != nil {
		return nil, err
	}
	var of ledger.Statement
	err := s.Store.View(ctx, func(tx *store.Tx) error {
		id, err := own(ctx, tx, r.Merchant)
		if err != nil {
			return err
		}
		of, err = ledger.MerchantStatement(ctx, tx, id, r.Params.From, r.Params.To)
		return err
	})
	if err != nil {
		return nil, err
	}
	return formOf(of, r.Params.Format)
}
