package alipay

import (
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/purselane/purselane/backend/gateway/channel"
	"github.com/purselane/purselane/internal/money"
)

// accountOf is an account bill: a payment comes in, two transfers go out, one of them comes back.
const accountOf = "#支付宝账务明细查询\r\n" +
	"#账号：[" + seller + "0156]\r\n" +
	"#起始日期：[2026年03月02日 00:00:00]   终止日期：[2026年03月03日 00:00:00]\r\n" +
	"#-----------------------------------------账务明细列表----------------------------------------\r\n" +
	"账务流水号,业务流水号,商户订单号,商品名称,发生时间,对方账号,收入金额（+元）,支出金额（-元）,账户余额（元）,交易渠道,业务类型,备注\r\n" +
	"1\t,2026030222001\t,pay1\t,充值\t,2026-03-02 10:00:01,佳\t,12.34,0.00,112.34,支付宝,在线支付,\r\n" +
	"2\t,20260302110070001\t,out1\t,提现\t,2026-03-02 10:01:00,佳\t,0.00,-8.00,104.34,支付宝,转账,\r\n" +
	"3\t,20260302110070002\t,out2\t,提现\t,2026-03-02 10:02:00,佳\t,,9.00,95.34,支付宝,转账,\r\n" +
	"4\t,20260302110070002\t,out2\t,提现\t,2026-03-02 10:03:00,佳\t,+9.00,,104.34,支付宝,转账退回,\r\n" +
	"#-----------------------------------------账务明细列表结束------------------------------------\r\n" +
	"#支出合计：2笔，共-17.00元\r\n#收入合计：2笔，共21.34元\r\n#导出时间：[2026年03月03日 10:00:00]\r\n"

func TestTransfersOfAnAccountBill(t *testing.T) {
	for name, text := range map[string]string{"full-width": accountOf, "plain signs": plain.Replace(accountOf)} {
		rows, err := ParseTransfers(packed(t, "#支付宝账务汇总查询\r\n", text), seller, billDay)
		require.NoError(t, err, name)
		require.Equal(t, []channel.BillRow{{Kind: channel.OfPayout, Number: "out1", ChannelID: "20260302110070001", Money: channel.Money{Amount: money.Minor(800), Currency: "CNY"},
			At: time.Date(2026, 3, 2, 10, 1, 0, 0, Zone)}}, rows)
	}
	for _, tt := range []struct{ name, old, new, says string }{
		{"another seller", "2088", "2099", "another's"},
		{"another day", "03月02日 00:00:00", "03月01日 00:00:00", "not of that day"},
		{"a sum", "共-17.00元", "共-17.01元", "is not whole"},
		{"a count", "#收入合计：2笔", "#收入合计：3笔", "is not whole"},
		{"a sum gone", "#支出合计", "#合计", "is missing"},
		{"an amount", "-8.00", "-8.0x", "8.0x"},
		{"both ways", "0.00,-8.00", "8.00,-8.00", "either income or expense"},
		{"no end", "账务明细列表结束", "", "fields"},
		{"a column gone", "业务类型,备注", "备注", "业务类型 is missing"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			require.Contains(t, accountOf, tt.old)
			rows, err := ParseTransfers(packed(t, strings.Replace(accountOf, tt.old, tt.new, 1)), seller, billDay)
			require.ErrorContains(t, err, tt.says)
			require.Empty(t, rows)
		})
	}
	_, err := ParseTransfers(packed(t, billOf), seller, billDay)
	require.ErrorContains(t, err, "no file in it starts with")
}

func FuzzParseTransfers(f *testing.F) {
	f.Add(packed(f, accountOf))
	f.Add([]byte("PK"))
	f.Fuzz(func(t *testing.T, file []byte) {
		rows, err := ParseTransfers(file, seller, billDay)
		if err != nil && rows != nil {
			t.Fatal("rows of a bill that was refused")
		}
	})
}
