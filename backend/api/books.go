package api

import (
	"bytes"
	"context"
	"net/http"
	"strconv"
	"strings"

	"github.com/purselane/purselane/backend/settlement"
	"github.com/purselane/purselane/backend/store"
	"github.com/purselane/purselane/internal/money"
	"github.com/purselane/purselane/shadowaccount/books"
	"github.com/purselane/purselane/shadowaccount/calendar"
)

func (s *server) balances(ctx context.Context) ([]books.Balance, error) {
	var all []books.Balance
	err := s.Store.View(ctx, func(tx *store.Tx) error {
		var err error
		all, err = tx.TrialBalance(ctx)
		return err
	})
	return all, err
}

func accountOf(b books.Balance) Account {
	return Account{Name: string(b.Account), Class: AccountClass(b.Class), Balance: b.Amount}
}

// ListAccounts lists accounts by name.
func (s *server) ListAccounts(ctx context.Context, r ListAccountsRequestObject) (ListAccountsResponseObject, error) {
	all, err := s.balances(ctx)
	out := ListAccounts200JSONResponse{Accounts: []Account{}}
	for _, b := range all {
		if strings.HasPrefix(string(b.Account), orDefault(r.Params.Prefix)) {
			out.Accounts = append(out.Accounts, accountOf(b))
		}
	}
	return out, err
}

// classes is the order in which a trial balance is read.
var classes = []books.Class{books.Asset, books.Clearing, books.Liability, books.Suspense, books.Income, books.Expense}

// GetTrialBalance lists every account and sums them.
func (s *server) GetTrialBalance(ctx context.Context, _ GetTrialBalanceRequestObject) (GetTrialBalanceResponseObject, error) {
	all, err := s.balances(ctx)
	if err != nil {
		return nil, err
	}
	out := GetTrialBalance200JSONResponse{Accounts: []Account{}, Classes: []ClassTotal{}}
	sums := map[books.Class]money.Amount{}
	for _, b := range all {
		out.Accounts = append(out.Accounts, accountOf(b))
		if sums[b.Class], err = sums[b.Class].Add(b.Amount); err != nil {
			return nil, err
		}
	}
	for _, c := range classes {
		out.Classes = append(out.Classes, ClassTotal{Class: string(c), Balance: sums[c]})
	}
	out.Total, err = books.Total(all)
	return out, err
}

// VerifyBooks recomputes every balance.
func (s *server) VerifyBooks(ctx context.Context, _ VerifyBooksRequestObject) (VerifyBooksResponseObject, error) {
	out := VerifyBooks200JSONResponse{Faults: []string{}}
	err := s.Store.View(ctx, func(tx *store.Tx) error {
		faults, err := tx.VerifyBooks(ctx)
		out.Faults = append(out.Faults, faults...)
		out.Sound = len(faults) == 0
		return err
	})
	return out, err
}

// ListSettlementDays lists the closed days.
func (s *server) ListSettlementDays(ctx context.Context, r ListSettlementDaysRequestObject) (ListSettlementDaysResponseObject, error) {
	out := ListSettlementDays200JSONResponse{Days: []SettlementDay{}}
	err := s.Store.View(ctx, func(tx *store.Tx) error {
		days, err := tx.ClosedDays(ctx, limitOf(r.Params.Limit))
		for _, d := range days {
			out.Days = append(out.Days, SettlementDay{Day: d.Day, Closed: true, Digest: unlessEmpty(d.Digest)})
		}
		return err
	})
	return out, err
}

// GetSettlementReport gives a closed day's report.
func (s *server) GetSettlementReport(ctx context.Context, r GetSettlementReportRequestObject) (GetSettlementReportResponseObject, error) {
	if _, err := calendar.ParseDate(r.Day); err != nil {
		return nil, refusal{codeRequest, "parameter day: there is no such date"}
	}
	out, err := settlement.Load(ctx, s.Store, r.Day)
	if err != nil {
		return nil, err
	}
	if orDefault(r.Params.Format) == Csv {
		body := out.CSV[0].Body // the settlement lines come first
		return GetSettlementReport200TextcsvResponse{Body: bytes.NewReader(body), ContentLength: int64(len(body))}, nil
	}
	return reportJSON(out.JSON.Body), nil
}

// reportJSON answers with a report's own bytes: decoded and coded again they would be others, and their digest wrong.
type reportJSON []byte

// VisitGetSettlementReportResponse implements GetSettlementReportResponseObject.
func (b reportJSON) VisitGetSettlementReportResponse(w http.ResponseWriter) error {
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Content-Length", strconv.Itoa(len(b)))
	w.WriteHeader(http.StatusOK)
	_, err := w.Write(b)
	return err
}
