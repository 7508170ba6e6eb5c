package wechat

import (
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/purselane/purselane/backend/gateway/channel"
)

// fundOf is a fund bill as WeChat Pay lays one out: a payment comes in, three transfers go out, one of them comes back, and a fee is taken.
const fundOf = "\ufeff记账时间,微信支付业务单号,资金流水单号,业务名称,业务类型,收支类型,收支金额（元）,账户结余（元）,资金变更提交申请人,备注,业务凭证号\r\n" +
	"`2026-03-02 10:00:00,`4200,`1,`交易,`交易,`收入,`100.00,`100.00,`system,`x,`pay1\r\n" +
	"`2026-03-02 10:01:00,`1330001,`2,`商家转账,`商家转账,`支出,`8.00,`92.00,`api,`提现, a,`out1\r\n" +
	"`2026-03-02 10:02:00,`1330002,`3,`商家转账,`商家转账,`支出,`9.00,`83.00,`api,`提现,`out2\r\n" +
	"`2026-03-02 10:03:00,`1330002,`4,`商家转账,`商家转账,`收入,`9.00,`92.00,`api,`退回,`out2\r\n" +
	"`2026-03-02 10:04:00,`4200,`5,`扣除交易手续费,`扣除交易手续费,`支出,`0.60,`91.40,`system,`,`\r\n" +
	"资金流水总笔数,收入笔数,收入金额,支出笔数,支出金额\r\n" +
	"`5.0,`2.0,`109.00,`3.0,`17.60\r\n"

func TestTransfersOfAFundBill(t *testing.T) {
	rows, err := ParseTransfers([]byte(fundOf))
	require.NoError(t, err)
	require.Equal(t, []channel.BillRow{{Kind: channel.OfPayout, Number: "out1", ChannelID: "1330001", Money: fen(800, "CNY"), At: time.Date(2026, 3, 2, 10, 1, 0, 0, Zone)}}, rows)
	for _, tt := range []struct{ name, old, new, says string }{
		{"a sum", "`17.60", "`17.61", "is not whole"},
		{"a count", "`5.0,", "`6.0,", "is not whole"},
		{"an amount", "`支出,`8.00", "`支出,`8.0x", "no amount in yuan"},
		{"a direction", "`收入,`100.00", "`内转,`100.00", "neither income nor expense"},
		{"no number", "a,`out1", "a,`", "without a number"},
		{"a column gone", "备注,业务凭证号", "备注", "业务凭证号 is missing"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			require.Contains(t, fundOf, tt.old)
			rows, err := ParseTransfers([]byte(strings.Replace(fundOf, tt.old, tt.new, 1)))
			require.ErrorContains(t, err, tt.says)
			require.Empty(t, rows)
		})
	}
}

func FuzzParseTransfers(f *testing.F) {
	f.Add([]byte(fundOf))
	f.Add([]byte("a\nb\nc"))
	f.Fuzz(func(t *testing.T, file []byte) {
		rows, err := ParseTransfers(file)
		if err != nil && rows != nil {
			t.Fatal("rows of a bill that was refused")
		}
	})
}
