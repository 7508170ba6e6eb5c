package main

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/purselane/purselane/backend/gateway/channel"
)

// TestAgreementsOfASettingsFile: what an account was given for agreements stands in its file, and a part that cannot be is named.
func TestAgreementsOfASettingsFile(t *testing.T) {
	for _, c := range []struct{ account, agreements, says string }{
		{"alipay", "{product: GENERAL_WITHHOLDING, scene: 'INDUSTRY|TRANSIT', open: app}", ""},
		{"alipay", "{product: CYCLE_PAY_AUTH, scene: 'INDUSTRY|TRANSIT', open: qr, period: {type: MONTH, every: 1, most: '500.00'}}", ""},
		{"alipay", "{product: CYCLE_PAY_AUTH, scene: 'INDUSTRY|TRANSIT', period: {type: MONTH, every: 1, most: '500.001'}}", "agreements.period.most"},
		{"alipay", "{product: CYCLE_PAY_AUTH, scene: 'INDUSTRY|TRANSIT'}", "agreements: period"},
		{"alipay", "{product: GENERAL_WITHHOLDING}", "agreements: scene"},
		{"alipay", "{product: GENERAL_WITHHOLDING, plan: 7}", "plan"},
		{"wechat", "{plan: '12535', v2_key: wechat.v2key}", ""},
		{"wechat", "{plan: '12535'}", "the API v2 key has 0 bytes"},
		{"wechat", "{v2_key: wechat.v2key}", "plan_id"},
		{"wechat", "{plan: '12535', v2_key: nobody.v2key}", "agreements.v2_key"},
	} {
		x := newPayTown(t)
		x.write(t, "channels/wechat.v2key", 0o600, "192006250b4c09247ec02edce69f6a2d\n")
		x.append(t, "channels/"+c.account+".yaml", "agreements: "+c.agreements+"\n")
		set, err := x.config(t)
		if c.says != "" {
			require.ErrorContains(t, err, c.account+".yaml")
			require.ErrorContains(t, err, c.says)
			continue
		}
		require.NoError(t, err)
		made := set.Channels[c.account]
		require.True(t, made.Capabilities().Agreements)
		require.Contains(t, made.Capabilities().Products, channel.Agreement)
	}
}
