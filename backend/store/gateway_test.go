package store_test

import (
	"context"
	"reflect"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/purselane/purselane/backend/store"
	"github.com/purselane/purselane/internal/ids"
	"github.com/purselane/purselane/internal/money"
	"github.com/purselane/purselane/shadowaccount/books"
)

// fill gives every field of a row a value of its own, so that a column that is forgotten or swapped shows.
func fill(t *testing.T, row any) {
	n := int64(0)
	var each func(v reflect.Value)
	each = func(v reflect.Value) {
		for i := range v.NumField() {
			n++
			f := v.Field(i)
			switch p := f.Addr().Interface().(type) {
			case *string:
				*p = "text " + time.UnixMilli(n).String()
			case *ids.MerchantID:
				*p = ids.MerchantID("m" + time.UnixMilli(n).String())
			case *books.Account:
				*p = books.Account("a" + time.UnixMilli(n).String())
			case *money.Amount:
				*p = money.Minor(n)
			case *int:
				*p = int(n)
			case *bool:
				*p = true
			case *time.Time:
				*p = time.UnixMilli(n)
			case *store.Asking:
				each(f)
			default:
				require.Fail(t, "a field of a new type", "%T", p)
			}
		}
	}
	each(reflect.ValueOf(row).Elem())
}

func TestGatewayRowsComeBackAsTheyWere(t *testing.T) {
	s, _ := fresh(t)
	var o, o2 store.GatewayOrder
	var p, p2 store.GatewayPayment
	var r, r2 store.GatewayOperation
	for _, row := range []any{&o, &p, &r} {
		fill(t, row)
	}
	o2.ID, p2.Number, r2.Number = o.ID, p.Number, r.Number
	check := func(o store.GatewayOrder, p store.GatewayPayment, r store.GatewayOperation) {
		update(t, s, func(ctx context.Context, tx *store.Tx) error {
			haveO, err := tx.GatewayOrder(ctx, o.ID)
			require.NoError(t, err)
			require.Equal(t, o, haveO)
			haveP, err := tx.GatewayPayment(ctx, p.Number)
			require.NoError(t, err)
			require.Equal(t, p, haveP)
			haveR, err := tx.GatewayOperation(ctx, r.Number)
			require.Equal(t, r, haveR)
			return err
		})
	}
	update(t, s, func(ctx context.Context, tx *store.Tx) error {
		require.NoError(t, tx.AddGatewayOrder(ctx, o))
		require.NoError(t, tx.AddGatewayPayment(ctx, p))
		return tx.AddGatewayOperation(ctx, r)
	})
	check(o, p, r)
	update(t, s, func(ctx context.Context, tx *store.Tx) error {
		require.NoError(t, tx.SetGatewayOrder(ctx, o2))
		require.NoError(t, tx.SetGatewayPayment(ctx, p2))
		return tx.SetGatewayOperation(ctx, r2)
	})
	// What names a row, where it belongs and when it was made stay.
	o2.App, o2.IdempotencyKey, o2.Digest, o2.Created = o.App, o.IdempotencyKey, o.Digest, o.Created
	p2.Order, p2.N, p2.IdempotencyKey, p2.Digest, p2.Channel, p2.Created, p2.Slice = p.Order, p.N, p.IdempotencyKey, p.Digest, p.Channel, p.Created, p.Slice
	r2.Order, r2.Payment, r2.Kind, r2.IdempotencyKey, r2.Digest, r2.Channel, r2.Created, r2.Slice = r.Order, r.Payment, r.Kind, r.IdempotencyKey, r.Digest, r.Channel, r.Created, r.Slice
	check(o2, p2, r2)

	var a, have store.GatewayAgreement
	fill(t, &a)
	update(t, s, func(ctx context.Context, tx *store.Tx) error {
		require.NoError(t, tx.AddGatewayAgreement(ctx, a))
		var err error
		have, err = tx.GatewayAgreementByKey(ctx, a.App, a.IdempotencyKey)
		require.NoError(t, err)
		require.Equal(t, a, have)
		require.NoError(t, tx.SetGatewayAgreement(ctx, store.GatewayAgreement{Number: a.Number, Due: time.UnixMilli(1)}))
		all, err := tx.GatewayAgreementsDue(ctx, time.UnixMilli(1), 10)
		require.Equal(t, []store.GatewayAgreement{{Number: a.Number, Due: time.UnixMilli(1)}}, all)
		return err
	})
	var b store.GatewayBinding
	fill(t, &b)
	update(t, s, func(ctx context.Context, tx *store.Tx) error {
		require.NoError(t, tx.AddGatewayBinding(ctx, b))
		same, err := tx.GatewayBindingByKey(ctx, b.App, b.IdempotencyKey)
		require.NoError(t, err)
		require.Equal(t, b, same)
		in, err := tx.GatewayBindingsIn(ctx, b.App, b.Holder, "none", b.State)
		require.NoError(t, err)
		require.Equal(t, []store.GatewayBinding{b}, in)
		for _, other := range [][3]string{{"x" + b.App, b.Holder, b.State}, {b.App, "x" + b.Holder, b.State}, {b.App, b.Holder, "none"}} {
			in, err := tx.GatewayBindingsIn(ctx, other[0], other[1], other[2])
			require.NoError(t, err)
			require.Empty(t, in)
			in, err = tx.GatewayBindings(ctx, other[0], other[1], other[2], 10)
			require.NoError(t, err)
			require.Empty(t, in)
		}
		in, err = tx.GatewayBindings(ctx, "", b.Holder, "", 10)
		require.NoError(t, err)
		require.Len(t, in, 1)
		require.NoError(t, tx.SetGatewayBinding(ctx, store.GatewayBinding{Number: b.Number, Due: time.UnixMilli(1)}))
		due, err := tx.GatewayBindingsDue(ctx, time.UnixMilli(1), 10)
		require.NoError(t, err)
		require.Equal(t, []store.GatewayBinding{{Number: b.Number, Due: time.UnixMilli(1)}}, due)
		next, err := tx.GatewayNextAsk(ctx)
		require.NoError(t, err)
		require.EqualValues(t, 1, next.UnixMilli())
		return err
	})
	require.ErrorIs(t, s.Update(t.Context(), func(tx *store.Tx) error { return tx.SetGatewayOrder(t.Context(), store.GatewayOrder{ID: "none"}) }), store.ErrNotFound)
	require.ErrorIs(t, s.View(t.Context(), func(tx *store.Tx) error { _, err := tx.GatewayPayment(t.Context(), "none"); return err }), store.ErrNotFound)
}

func TestAKeyNamesOneOrderOfAnApp(t *testing.T) {
	s, _ := fresh(t)
	add := func(id, app, key string) error {
		return s.Update(t.Context(), func(tx *store.Tx) error {
			return tx.AddGatewayOrder(t.Context(), store.GatewayOrder{ID: id, App: app, IdempotencyKey: key, State: "open", Created: time.UnixMilli(5)})
		})
	}
	require.NoError(t, add("1", "a", "k"))
	require.NoError(t, add("2", "b", "k"))
	require.Error(t, add("3", "a", "k"))
	update(t, s, func(ctx context.Context, tx *store.Tx) error {
		o, err := tx.GatewayOrderByKey(ctx, "b", "k")
		require.NoError(t, err)
		require.Equal(t, "2", o.ID)
		all, err := tx.GatewayOrders(ctx, "", "open", nil, 10)
		require.Len(t, all, 2)
		require.Equal(t, "2", all[0].ID)
		require.NoError(t, err)
		all, err = tx.GatewayOrders(ctx, "", "", &all[0], 10)
		require.NoError(t, err)
		require.Len(t, all, 1, "the other one of that moment")
		require.Equal(t, "1", all[0].ID)
		all, err = tx.GatewayOrders(ctx, "a", "", &all[0], 10)
		require.Empty(t, all)
		return err
	})
}

func TestWhatIsDueIsFound(t *testing.T) {
	s, _ := fresh(t)
	at := func(ms int64) time.Time { return time.UnixMilli(ms) }
	update(t, s, func(ctx context.Context, tx *store.Tx) error {
		next, err := tx.GatewayNextAsk(ctx)
		require.True(t, next.IsZero())
		return err
	})
	update(t, s, func(ctx context.Context, tx *store.Tx) error {
		require.NoError(t, tx.AddGatewayOrder(ctx, store.GatewayOrder{ID: "o", App: "a", IdempotencyKey: "k", Due: at(30)}))
		require.NoError(t, tx.AddGatewayPayment(ctx, store.GatewayPayment{Number: "p1", Order: "o", N: 1, Asking: store.Asking{Slice: 3, Ask: at(20)}}))
		require.NoError(t, tx.AddGatewayPayment(ctx, store.GatewayPayment{Number: "p2", Order: "o", N: 2, Asking: store.Asking{Slice: 3}}))
		require.NoError(t, tx.AddGatewayPayment(ctx, store.GatewayPayment{Number: "p3", Order: "o", N: 3, Asking: store.Asking{Slice: 4, Ask: at(20)}}))
		return tx.AddGatewayOperation(ctx, store.GatewayOperation{Number: "r1", Order: "o", Payment: "p1", IdempotencyKey: "k", Asking: store.Asking{Slice: 3, Ask: at(10)}})
	})
	update(t, s, func(ctx context.Context, tx *store.Tx) error {
		next, err := tx.GatewayNextAsk(ctx)
		require.NoError(t, err)
		require.Equal(t, at(10), next)
		p, r, err := tx.GatewayToAsk(ctx, 3, at(10), 10)
		require.NoError(t, err)
		require.Empty(t, p)
		require.Len(t, r, 1)
		p, r, err = tx.GatewayToAsk(ctx, 3, at(20), 10)
		require.NoError(t, err)
		require.Len(t, r, 1)
		require.Len(t, p, 1)
		require.Equal(t, "p1", p[0].Number)
		due, err := tx.GatewayOrdersDue(ctx, at(29), 10)
		require.Empty(t, due)
		require.NoError(t, err)
		due, err = tx.GatewayOrdersDue(ctx, at(30), 10)
		require.Len(t, due, 1)
		return err
	})
}

func TestASliceHasOneWorker(t *testing.T) {
	s, _ := fresh(t)
	take := func(owner string, at, until int64) (got bool) {
		update(t, s, func(ctx context.Context, tx *store.Tx) (err error) {
			got, err = tx.TakeGatewaySlice(ctx, 1, owner, time.UnixMilli(at), time.UnixMilli(until))
			return err
		})
		return got
	}
	require.True(t, take("a", 0, 100))
	require.False(t, take("b", 99, 200))
	require.True(t, take("a", 99, 150), "a worker may go on")
	require.True(t, take("b", 150, 250), "the lease is over")
	require.False(t, take("a", 151, 300))
	update(t, s, func(ctx context.Context, tx *store.Tx) error { return tx.LeaveGatewaySlice(ctx, 1, "a") })
	require.False(t, take("a", 151, 300), "only who has it gives it back")
	update(t, s, func(ctx context.Context, tx *store.Tx) error { return tx.LeaveGatewaySlice(ctx, 1, "b") })
	require.True(t, take("a", 151, 300))
}

func TestNotificationsTimelinesAndFindings(t *testing.T) {
	s, _ := fresh(t)
	update(t, s, func(ctx context.Context, tx *store.Tx) error {
		for i, want := range []bool{true, false, true} {
			first, err := tx.HearGateway(ctx, "wx", []string{"1", "1", "2"}[i], "p", time.UnixMilli(1))
			require.NoError(t, err)
			require.Equal(t, want, first)
		}
		l := store.GatewayLine{Order: "o", N: 1, At: time.UnixMilli(7), About: "p", Event: "paid", Was: "waiting", Became: "paid", Source: "query", Context: "c", Detail: "d"}
		require.NoError(t, tx.AddGatewayLine(ctx, l))
		lines, err := tx.GatewayTimeline(ctx, "o")
		require.NoError(t, err)
		require.Equal(t, []store.GatewayLine{l}, lines)
		f := store.GatewayFinding{Order: "o", Code: "X", Detail: "d", At: time.UnixMilli(8)}
		require.NoError(t, tx.AddGatewayFinding(ctx, f))
		require.NoError(t, tx.AddGatewayFinding(ctx, store.GatewayFinding{Order: "o", Code: "X", Detail: "d", At: time.UnixMilli(9)}))
		found, err := tx.GatewayFindings(ctx, "", 10)
		require.Equal(t, []store.GatewayFinding{f}, found)
		require.NoError(t, err)
		found, err = tx.GatewayFindings(ctx, "other", 10)
		require.Empty(t, found)
		return err
	})
}
