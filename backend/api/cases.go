package api

import (
	"context"
	"strconv"

	"github.com/purselane/purselane/backend/cases"
	"github.com/purselane/purselane/internal/ids"
)

func (s *server) caseOf(c cases.Case) Case {
	return Case{Id: c.ID, Kind: CaseKind(c.Kind), State: CaseState(c.State), Card: c.Token, Tap: c.Tap.String(), Merchant: string(c.Merchant), Amount: c.Amount,
		Status: c.Worth.String(), OpenedAt: c.Opened.In(s.Location), DueAt: c.Due.In(s.Location), Overdue: c.Overdue,
		Proposal: unlessEmpty(CaseProposal(c.Proposal)), ProposedBy: unlessEmpty(c.ProposedBy), Repay: repayOf(c.Repay)}
}

func repayOf(r cases.Repayment) *CaseRepay {
	if r == (cases.Repayment{}) {
		return nil
	}
	return &CaseRepay{Agent: string(r.Agent), Amount: r.Amount, LoadOrder: unlessEmpty(r.LoadOrder)}
}

// ListCases lists cases.
func (s *server) ListCases(ctx context.Context, r ListCasesRequestObject) (ListCasesResponseObject, error) {
	all, err := s.Cases.Cases(ctx, cases.State(orDefault(r.Params.State)), limitOf(r.Params.Limit))
	out := ListCases200JSONResponse{Cases: []Case{}}
	for _, c := range all {
		out.Cases = append(out.Cases, s.caseOf(c))
	}
	return out, err
}

// OpenCase opens a case in the caller's name.
func (s *server) OpenCase(ctx context.Context, r OpenCaseRequestObject) (OpenCaseResponseObject, error) {
	epoch, err := strconv.ParseUint(r.Body.Epoch, 16, 64)
	if err != nil {
		return nil, refusal{codeRequest, "epoch: want up to 16 hexadecimal digits"}
	}
	tap := ids.TapID{Terminal: ids.TerminalID(r.Body.Terminal), Epoch: epoch, Tap: r.Body.Tap}
	open := s.Cases.Open
	if orDefault(r.Body.Goodwill) {
		open = s.Cases.Complain
	}
	c, err := open(ctx, tap, callerOf(ctx).Name, r.Body.Reason)
	if err != nil {
		return nil, err
	}
	return OpenCase200JSONResponse(s.caseOf(c)), nil
}

// GetCase finds a case and its trail.
func (s *server) GetCase(ctx context.Context, r GetCaseRequestObject) (GetCaseResponseObject, error) {
	c, trail, err := s.Cases.Show(ctx, r.Case)
	if err != nil {
		return nil, err
	}
	out := GetCase200JSONResponse{Case: s.caseOf(c), Trail: []CaseEvent{}}
	for _, e := range trail {
		out.Trail = append(out.Trail, CaseEvent{At: e.At.In(s.Location), Event: CaseEventEvent(e.Event), By: e.By, Detail: e.Detail})
	}
	return out, nil
}

// ProposeCase proposes in the caller's name: one in the body could be anybody's, and then one person could be two.
func (s *server) ProposeCase(ctx context.Context, r ProposeCaseRequestObject) (ProposeCaseResponseObject, error) {
	c, err := s.propose(ctx, r)
	if err != nil {
		return nil, err
	}
	return ProposeCase200JSONResponse(s.caseOf(c)), nil
}

func (s *server) propose(ctx context.Context, r ProposeCaseRequestObject) (cases.Case, error) {
	by, p := callerOf(ctx).Name, cases.Proposal(r.Body.Proposal)
	switch {
	case p != cases.Repay && (r.Body.Agent != nil || r.Body.Amount != nil):
		return cases.Case{}, refusal{codeRequest, "agent and amount belong to repay"}
	case p != cases.Repay:
		return s.Cases.Propose(ctx, r.Case, p, by, r.Body.Reason)
	case r.Body.Agent == nil:
		return cases.Case{}, refusal{codeRequest, "repay: agent is required"}
	case r.Body.Amount != nil && r.Body.Amount.Sign() <= 0:
		return cases.Case{}, refusal{codeRequest, "amount: want more than nothing"}
	}
	return s.Cases.ProposeRepay(ctx, r.Case, cases.Repayment{Agent: ids.AcquirerID(*r.Body.Agent), Amount: orDefault(r.Body.Amount)}, by, r.Body.Reason)
}

// ApproveCase decides a case, in the caller's name.
func (s *server) ApproveCase(ctx context.Context, r ApproveCaseRequestObject) (ApproveCaseResponseObject, error) {
	c, err := s.Cases.Approve(ctx, r.Case, callerOf(ctx).Name, r.Body.Reason)
	if err != nil {
		return nil, err
	}
	return ApproveCase200JSONResponse(s.caseOf(c)), nil
}

// RefuseCase sends a proposal back, in the caller's name.
func (s *server) RefuseCase(ctx context.Context, r RefuseCaseRequestObject) (RefuseCaseResponseObject, error) {
	c, err := s.Cases.Refuse(ctx, r.Case, callerOf(ctx).Name, r.Body.Reason)
	if err != nil {
		return nil, err
	}
	return RefuseCase200JSONResponse(s.caseOf(c)), nil
}

// WithdrawCase ends a case that is not decided, in the caller's name.
func (s *server) WithdrawCase(ctx context.Context, r WithdrawCaseRequestObject) (WithdrawCaseResponseObject, error) {
	c, err := s.Cases.Withdraw(ctx, r.Case, callerOf(ctx).Name, r.Body.Reason)
	if err != nil {
		return nil, err
	}
	return WithdrawCase200JSONResponse(s.caseOf(c)), nil
}
