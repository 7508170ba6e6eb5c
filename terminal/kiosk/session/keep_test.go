package session

import (
	"context"
	"log/slog"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/purselane/purselane/card/ep"
	"github.com/purselane/purselane/internal/clock"
	"github.com/purselane/purselane/internal/money"
	"github.com/purselane/purselane/terminal/kiosk"
	"github.com/purselane/purselane/terminal/reader/inproc"
)

var noon = time.Date(2026, 11, 25, 12, 0, 0, 0, time.UTC)

// desk is a backend that answers as told, and notes what it was asked.
type desk struct {
	kiosk.OnlineHost
	sale, refund kiosk.SaleState
	order        kiosk.State
	err          error // of every call
	refundErr    error
	asked        []string
}

func (d *desk) answer(what string, s kiosk.SaleState, err error) (kiosk.Sale, error) {
	d.asked = append(d.asked, what)
	if d.err != nil {
		err = d.err
	}
	return kiosk.Sale{Payment: "O1", State: s, Load: "L1"}, err
}

func (d *desk) Buy(_ context.Context, key string, _ money.Amount, way string) (kiosk.Sale, error) {
	return d.answer("buy "+key+" "+way, d.sale, nil)
}
func (d *desk) Sale(context.Context, string) (kiosk.Sale, error) {
	return d.answer("sale", d.sale, nil)
}
func (d *desk) CancelSale(_ context.Context, p string) (kiosk.Sale, error) {
	return d.answer("cancel "+p, d.sale, nil)
}
func (d *desk) RefundSale(_ context.Context, p string) (kiosk.Sale, error) {
	return d.answer("refund "+p, d.refund, d.refundErr)
}
func (d *desk) Order(context.Context, string) (kiosk.Order, error) {
	d.asked = append(d.asked, "order")
	return kiosk.Order{ID: "L1", State: d.order}, d.err
}
func (d *desk) Confirm(_ context.Context, id string, tac ep.MAC) (kiosk.Order, error) {
	d.asked = append(d.asked, "confirm "+id+" "+tac.String())
	return kiosk.Order{ID: id, State: kiosk.Loaded}, d.err
}

// TestSalesWhoseRiderHasGone is the table of docs/kiosk.md: what the kiosk asks, and where the sale is after that. "": it has ended.
func TestSalesWhoseRiderHasGone(t *testing.T) {
	unavailable := kiosk.ErrUnavailable
	for _, c := range []struct {
		name  string
		phase Phase
		age   time.Duration
		desk  desk
		asks  []string
		then  Phase
	}{
		{"named, and no answer", Named, 0, desk{err: unavailable}, []string{"buy k wechat"}, Named},
		{"named, and refused", Named, 0, desk{err: kiosk.ErrNoChannel}, []string{"buy k wechat"}, ""},
		{"named, and there", Named, 0, desk{sale: kiosk.SaleWaiting}, []string{"buy k wechat"}, Showed},
		{"shown, and closing", Showed, 0, desk{sale: kiosk.SaleUnknown}, []string{"cancel O1"}, Showed},
		{"shown, and closed", Showed, 0, desk{sale: kiosk.SaleClosed}, []string{"cancel O1"}, ""},
		{"shown, and somebody was faster", Showed, 0, desk{sale: kiosk.SalePaid}, []string{"cancel O1"}, Settled},
		{"shown, paid too late", Showed, 0, desk{sale: kiosk.SaleRefunding}, []string{"cancel O1"}, Giving},
		{"shown, and no link", Showed, 0, desk{err: unavailable}, []string{"cancel O1"}, Showed},
		{"paid", Settled, 23 * time.Hour, desk{order: kiosk.Paid}, []string{"order"}, Settled},
		{"paid long ago", Settled, 25 * time.Hour, desk{order: kiosk.Paid}, []string{"order"}, Giving},
		{"paid long ago, and it may be on the card", Settled, 25 * time.Hour, desk{order: kiosk.Uncertain}, []string{"order"}, Settled},
		{"paid, and loaded elsewhere", Settled, 0, desk{order: kiosk.Loaded}, []string{"order"}, ""},
		{"paid, and given back elsewhere", Settled, 0, desk{order: kiosk.Refunded}, []string{"order"}, Giving},
		{"going back", Giving, 0, desk{refund: kiosk.SaleRefunding}, []string{"refund O1"}, Giving},
		{"back", Giving, 0, desk{refund: kiosk.SaleRefunded}, []string{"refund O1"}, ""},
		{"it may be on the card", Giving, 0, desk{refundErr: kiosk.ErrState, sale: kiosk.SalePaid}, []string{"refund O1", "sale"}, Settled},
		{"it went back before", Giving, 0, desk{refundErr: kiosk.ErrState, sale: kiosk.SaleRefunded}, []string{"refund O1", "sale"}, ""},
		{"nothing goes back", Giving, 0, desk{refundErr: kiosk.ErrNoRefund}, []string{"refund O1"}, Settled},
		{"going back, and no link", Giving, 0, desk{err: unavailable}, []string{"refund O1"}, Giving},
		{"on the card", Credit, 0, desk{}, []string{"confirm L1 01020304"}, ""},
		{"on the card, and no link", Credit, 0, desk{err: unavailable}, []string{"confirm L1 01020304"}, Credit},
		{"on the card, which is not believed", Credit, 0, desk{err: kiosk.ErrTAC}, []string{"confirm L1 01020304"}, ""},
		{"a phase of a newer program", "dreamt", 0, desk{}, nil, "dreamt"},
	} {
		t.Run(c.name, func(t *testing.T) {
			j, err := OpenJournal(filepath.Join(t.TempDir(), "kiosk.db"))
			require.NoError(t, err)
			defer j.Close()
			k, err := New(Config{Reader: inproc.New("r"), Host: &c.desk, Journal: j, Amounts: []money.Amount{money.Minor(1)}, Clock: clock.NewManual(noon), Log: slog.New(slog.DiscardHandler)})
			require.NoError(t, err)
			s := Sale{Key: "k", Way: "wechat", Phase: c.phase, Payment: "O1", Load: "L1", TAC: "01020304", Changed: noon.Add(-c.age)}
			require.NoError(t, j.Put(s))

			j.claim("k") // a rider stands before it
			require.NoError(t, k.round(t.Context()))
			require.Empty(t, c.desk.asked)
			j.release("k")

			_ = k.round(t.Context())
			require.Equal(t, c.asks, c.desk.asked)
			now, still, err := j.sale("k")
			require.NoError(t, err)
			require.Equal(t, c.then != "", still)
			require.Equal(t, c.then, now.Phase)
		})
	}
}

func TestAJournalIsOfOneKiosk(t *testing.T) {
	path := filepath.Join(t.TempDir(), "kiosk.db")
	j, err := OpenJournal(path)
	require.NoError(t, err)
	_, err = OpenJournal(path)
	require.ErrorContains(t, err, "one kiosk, one process")
	want := Sale{Key: "k", Token: "0123456789abcdef", Card: "****7788", Amount: money.Minor(50_00), Before: money.Minor(1), Currency: "CNY", Way: "wechat", Phase: Showed, Payment: "O1", Made: noon, Changed: noon}
	require.NoError(t, j.Put(want))
	require.NoError(t, j.Close())
	j, err = OpenJournal(path)
	require.NoError(t, err)
	defer j.Close()
	all, err := j.Sales()
	require.NoError(t, err)
	require.Equal(t, []Sale{want}, all)
	require.NoError(t, j.Drop("k"))
	require.NoError(t, j.Drop("k"), "again")
	all, err = j.Sales()
	require.NoError(t, err)
	require.Empty(t, all)
}
