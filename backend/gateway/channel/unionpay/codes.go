package unionpay

import "github.com/purselane/purselane/backend/gateway/channel"

// verdict is what a response code says of the money.
type verdict struct {
	outcome channel.Outcome
	class   channel.Class
}

// codes are ACP's response codes in the place where they speak of a transaction: origRespCode of a query, respCode of a notification.
// A code that is not here promises nothing.
var codes = map[string]verdict{
	"00": {channel.Succeeded, channel.NoClass},
	"A6": {channel.Succeeded, channel.NoClass}, // paid, with a flaw that is UnionPay's
	"03": {channel.Unknown, channel.ByChannel},
	"04": {channel.Unknown, channel.ByChannel},
	"05": {channel.Pending, channel.NoClass},
	"70": {channel.Pending, channel.NoClass}, // the payer is typing
	"83": {channel.Pending, channel.NoClass}, // with the issuer
	"34": {channel.Missing, channel.NoClass},

	"01": {channel.Failed, channel.ByIssuer},
	"02": {channel.Failed, channel.ByChannel},
	"10": {channel.Failed, channel.BySetting},
	"11": {channel.Failed, channel.BySetting},
	"13": {channel.Failed, channel.BySetting},
	"30": {channel.Failed, channel.ByIssuer},
	"31": {channel.Failed, channel.BySetting},
	"32": {channel.Failed, channel.BySetting},
	"33": {channel.Failed, channel.ByPayer},
	"35": {channel.Failed, channel.NoClass}, // a refund or void whose payment is not there or no longer in the state for it
	"36": {channel.Failed, channel.BySetting},
	"38": {channel.Failed, channel.ByRisk},
	"39": {channel.Failed, channel.ByChannel},
	"40": {channel.Failed, channel.ByPayer}, // no such agreement
	"43": {channel.Failed, channel.BySetting},
	"44": {channel.Failed, channel.NotSupported},
	"45": {channel.Failed, channel.NoClass},
	"60": {channel.Failed, channel.ByIssuer},
	"61": {channel.Failed, channel.ByPayer},
	"62": {channel.Failed, channel.NotSupported},
	"63": {channel.Failed, channel.ByIssuer},
	"64": {channel.Failed, channel.ByPayer},
	"65": {channel.Failed, channel.ByPayer},
	"66": {channel.Failed, channel.ByPayer},
	"67": {channel.Failed, channel.ByPayer},
	"68": {channel.Failed, channel.NotSupported},
	"69": {channel.Failed, channel.ByPayer},
	"71": {channel.Failed, channel.ByPayer},
	"72": {channel.Failed, channel.NotSupported},
	"73": {channel.Failed, channel.ByPayer},
	"77": {channel.Failed, channel.NotSupported},
	"78": {channel.Failed, channel.ByIssuer},
	"79": {channel.Failed, channel.NotSupported},
	"80": {channel.Failed, channel.ByPayer}, // the token has ended
	"81": {channel.Failed, channel.ByPayer},
}

// accepted reads a code in a synchronous answer. There 00 says only that UnionPay has the request, and 34 says nothing of this one.
func accepted(code string) verdict {
	switch code {
	case "00", "A6":
		return verdict{channel.Pending, channel.NoClass}
	case "34":
		return verdict{}
	}
	return codes[code]
}
