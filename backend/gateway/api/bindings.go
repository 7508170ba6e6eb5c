package api

import (
	"context"

	"github.com/purselane/purselane/backend/gateway"
	"github.com/purselane/purselane/backend/gateway/code"
	"github.com/purselane/purselane/backend/gateway/order"
)

// BindCard binds a holder's card.
func (s *server) BindCard(ctx context.Context, r BindCardRequestObject) (BindCardResponseObject, error) {
	c, err := caller(ctx)
	if err != nil {
		return nil, err
	}
	b := r.Body
	out, err := s.Gateway.Bind(ctx, c.App, gateway.NewBinding{Key: b.Key, Product: code.Product(b.Product), Holder: b.Holder, Typed: orDefault(b.Typed), ReturnURL: orDefault(b.ReturnUrl), Order: orDefault(b.Order),
		Attach: orDefault(b.Attach)})
	return BindCard200JSONResponse(bindingOf(out)), err
}

// ListBindings lists the app's bindings.
func (s *server) ListBindings(ctx context.Context, r ListBindingsRequestObject) (ListBindingsResponseObject, error) {
	c, err := caller(ctx)
	if err != nil {
		return nil, err
	}
	all, err := s.Gateway.Bindings(ctx, c.App, orDefault(r.Params.Holder), order.BindingState(orDefault(r.Params.State)), 100)
	out := Bindings{Bindings: []Binding{}}
	for _, b := range all {
		out.Bindings = append(out.Bindings, bindingOf(b))
	}
	return ListBindings200JSONResponse(out), err
}

// GetBinding is a binding.
func (s *server) GetBinding(ctx context.Context, r GetBindingRequestObject) (GetBindingResponseObject, error) {
	c, err := caller(ctx)
	if err != nil {
		return nil, err
	}
	b, err := s.Gateway.Binding(ctx, c.App, r.Binding)
	return GetBinding200JSONResponse(bindingOf(b)), err
}

// GetBindingTimeline is what happened to a binding.
func (s *server) GetBindingTimeline(ctx context.Context, r GetBindingTimelineRequestObject) (GetBindingTimelineResponseObject, error) {
	c, err := caller(ctx)
	if err != nil {
		return nil, err
	}
	all, err := s.Gateway.BindingTimeline(ctx, c.App, r.Binding)
	return GetBindingTimeline200JSONResponse(timelineOf(all)), err
}

// SendBindingCode has a code sent once more.
func (s *server) SendBindingCode(ctx context.Context, r SendBindingCodeRequestObject) (SendBindingCodeResponseObject, error) {
	c, err := caller(ctx)
	if err != nil {
		return nil, err
	}
	b, err := s.Gateway.BindCode(ctx, c.App, r.Binding, r.Body.Typed)
	return SendBindingCode200JSONResponse(bindingOf(b)), err
}

// ConfirmBinding binds with the code that came.
func (s *server) ConfirmBinding(ctx context.Context, r ConfirmBindingRequestObject) (ConfirmBindingResponseObject, error) {
	c, err := caller(ctx)
	if err != nil {
		return nil, err
	}
	b, err := s.Gateway.ConfirmBinding(ctx, c.App, r.Binding, orDefault(r.Body.Typed), orDefault(r.Body.Code))
	return ConfirmBinding200JSONResponse(bindingOf(b)), err
}

// UnbindCard ends a binding.
func (s *server) UnbindCard(ctx context.Context, r UnbindCardRequestObject) (UnbindCardResponseObject, error) {
	c, err := caller(ctx)
	if err != nil {
		return nil, err
	}
	b, err := s.Gateway.Unbind(ctx, c.App, r.Binding)
	return UnbindCard200JSONResponse(bindingOf(b)), err
}

// AskBinding asks the channel about a binding.
func (s *server) AskBinding(ctx context.Context, r AskBindingRequestObject) (AskBindingResponseObject, error) {
	c, err := caller(ctx)
	if err != nil {
		return nil, err
	}
	b, err := s.Gateway.AskBinding(ctx, c.App, r.Binding)
	return AskBinding200JSONResponse(bindingOf(b)), err
}

func bindingOf(b gateway.Binding) Binding {
	return Binding{Number: b.Number, Key: b.Key, Holder: b.Holder, Account: b.Account, Context: b.Context, State: string(b.State), Page: b.Page, Last4: unlessEmpty(b.Last), Bank: unlessEmpty(b.Bank), Kind: unlessEmpty(b.Kind),
		Unproven: unlessEmpty(b.Unproven), Action: actionOf(b.Action), Order: unlessEmpty(b.Order), Attach: unlessEmpty(b.Attach), Code: unlessEmpty(b.Code), Message: unlessEmpty(b.Message),
		Created: b.Created.UTC(), Changed: b.Changed.UTC(), Bound: moment(b.Bound)}
}
