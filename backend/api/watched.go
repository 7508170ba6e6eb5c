package api

import (
	"context"
	"slices"

	"github.com/purselane/purselane/backend/store"
	"github.com/purselane/purselane/shadowaccount"
)

// ListWatchedFindings lists what the watch has found, alarms first. It asks for one code after the other, so that a limit never cuts off an
// alarm behind something lesser.
func (s *server) ListWatchedFindings(ctx context.Context, r ListWatchedFindingsRequestObject) (ListWatchedFindingsResponseObject, error) {
	p := r.Params
	codes, err := wantedCodes(p)
	if err != nil {
		return nil, err
	}
	filter := store.WatchedFilter{State: store.FindingOpen, Kind: string(orDefault(p.Kind)), Subject: orDefault(p.Subject)}
	switch orDefault(p.State) {
	case ListWatchedFindingsParamsStateAll:
		filter.State = ""
	case ListWatchedFindingsParamsStateCleared:
		filter.State = store.FindingCleared
	}
	out := ListWatchedFindings200JSONResponse{Findings: []WatchedFinding{}}
	err = s.Store.View(ctx, func(tx *store.Tx) error {
		for _, e := range codes {
			filter.Code = e.Code
			found, err := tx.WatchedFindings(ctx, filter, limitOf(p.Limit)-len(out.Findings))
			if err != nil {
				return err
			}
			for _, f := range found {
				out.Findings = append(out.Findings, s.watchedOf(f, e, orDefault(p.Language)))
			}
			if len(out.Findings) == limitOf(p.Limit) {
				return nil
			}
		}
		return nil
	})
	return out, err
}

// wantedCodes are the entries of the catalogue that are asked for, by severity.
func wantedCodes(p ListWatchedFindingsParams) ([]shadowaccount.Entry, error) {
	codes := shadowaccount.Catalogue()
	if p.Code != nil {
		e, known := shadowaccount.Explain(shadowaccount.Code(*p.Code))
		if !known {
			return nil, refusal{codeRequest, "parameter code: no finding has that code"}
		}
		codes = []shadowaccount.Entry{e}
	}
	codes = slices.DeleteFunc(codes, func(e shadowaccount.Entry) bool {
		return p.Severity != nil && string(*p.Severity) != string(e.Severity) || p.Consequence != nil && string(*p.Consequence) != string(e.Consequence)
	})
	order := []shadowaccount.Severity{shadowaccount.Alarm, shadowaccount.Watch, shadowaccount.Info}
	slices.SortStableFunc(codes, func(a, b shadowaccount.Entry) int {
		return slices.Index(order, a.Severity) - slices.Index(order, b.Severity)
	})
	return codes, nil
}

func (s *server) watchedOf(f store.WatchedFinding, e shadowaccount.Entry, language ListWatchedFindingsParamsLanguage) WatchedFinding {
	words := e.English
	if language == Zh {
		words = e.Chinese
	}
	return WatchedFinding{Kind: WatchedKind(f.Kind), Subject: f.Subject, Code: string(f.Code), Severity: WatchedSeverity(e.Severity), Consequence: WatchedConsequence(e.Consequence),
		Item: f.Item, Detail: f.Detail, State: WatchedFindingState(f.State), FirstSeen: f.First.In(s.Location), LastSeen: f.Last.In(s.Location), Meaning: words.Meaning, Do: words.Do}
}
