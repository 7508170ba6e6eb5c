package wechat

import "github.com/purselane/purselane/backend/gateway/channel"

// verdict is what a code of WeChat Pay means for the request that got it.
type verdict int

const (
	// unsure: the request may have been done, or may be done when it is repeated.
	unsure verdict = iota
	// refused: nothing was done, and this number will not succeed.
	refused
	// ask: nothing was done now, but an earlier request of the same number may stand; only a query tells.
	ask
	// waits: the payer is typing the password.
	waits
	// absent: WeChat Pay does not know the number.
	absent
)

// codes are the codes of API v3, with the older spellings that payment codes and refunds still use. A code that is not here is unsure.
var codes = map[string]struct {
	verdict verdict
	class   channel.Class
}{
	"PARAM_ERROR":              {refused, channel.BySetting},
	"SIGN_ERROR":               {refused, channel.BySetting},
	"NO_AUTH":                  {refused, channel.BySetting},
	"NOAUTH":                   {refused, channel.BySetting},
	"APPID_MCHID_NOT_MATCH":    {refused, channel.BySetting},
	"MCH_NOT_EXISTS":           {refused, channel.BySetting},
	"OPENID_MISMATCH":          {refused, channel.BySetting},
	"CONTRACT_ERROR":           {refused, channel.BySetting},
	"INVALID_REQUEST":          {ask, channel.BySetting}, // parameters that cannot be, or an order that is paid already
	"REQUEST_BLOCKED":          {refused, channel.ByRisk},
	"OUT_TRADE_NO_USED":        {ask, channel.BySetting},
	"ORDER_PAID":               {ask, channel.NoClass},
	"ORDERPAID":                {ask, channel.NoClass},
	"ORDER_CLOSED":             {ask, channel.NoClass},
	"ORDERCLOSED":              {ask, channel.NoClass},
	"ORDER_REVERSED":           {ask, channel.NoClass},
	"ORDERREVERSED":            {ask, channel.NoClass},
	"INVALID_TRANSACTIONID":    {ask, channel.BySetting},
	"ORDER_NOT_EXIST":          {absent, channel.NoClass},
	"ORDERNOTEXIST":            {absent, channel.NoClass},
	"RESOURCE_NOT_EXISTS":      {absent, channel.NoClass},
	"REFUNDNOTEXIST":           {absent, channel.NoClass},
	"USERPAYING":               {waits, channel.ByPayer},
	"USER_PAYING":              {waits, channel.ByPayer},
	"NOTENOUGH":                {refused, channel.ByPayer},
	"AUTHCODEEXPIRE":           {refused, channel.ByPayer},
	"AUTH_CODE_EXPIRED":        {refused, channel.ByPayer},
	"AUTH_CODE_ERROR":          {refused, channel.ByPayer},
	"AUTH_CODE_INVALID":        {refused, channel.ByPayer},
	"ACCOUNT_ERROR":            {refused, channel.ByPayer},
	"ACCOUNTERROR":             {refused, channel.ByPayer},
	"USER_ACCOUNT_ABNORMAL":    {refused, channel.ByPayer},
	"BUYER_MISMATCH":           {refused, channel.ByPayer},
	"NOTSUPORTCARD":            {refused, channel.NotSupported},
	"CARD_NOT_SUPPORTED":       {refused, channel.NotSupported},
	"RULE_LIMIT":               {refused, channel.ByRisk},
	"RULELIMIT":                {refused, channel.ByRisk},
	"TRADE_ERROR":              {refused, channel.ByIssuer},
	"TRADE_OVERDUE":            {refused, channel.BySetting}, // of a refund: more than a year after payment
	"NOT_ENOUGH":               {refused, channel.BySetting}, // of a refund or a transfer: the merchant's balance
	"ALREADY_EXISTS":           {ask, channel.BySetting},     // of a transfer: the number is of another one
	"NOT_FOUND":                {absent, channel.NoClass},    // of a transfer
	"QUOTA_EXCEEDED":           {refused, channel.BySetting}, // of a transfer: the merchant's limit of the day
	"USER_ACCOUNT_UNAVAILABLE": {refused, channel.ByPayer},
	noContract:                 {ask, channel.ByPayer}, // of an agreement: ended, or never signed
	"CONTRACTERROR":            {ask, channel.ByPayer}, // or run out
	"USER_NOT_EXIST":           {refused, channel.ByPayer},
	"SIGNERROR":                {refused, channel.BySetting},
	"BANK_ERROR":               {unsure, channel.ByIssuer},
	"BANKERROR":                {unsure, channel.ByIssuer},
	"SYSTEM_ERROR":             {unsure, channel.ByChannel},
	"SYSTEMERROR":              {unsure, channel.ByChannel},
	"FREQUENCY_LIMITED":        {unsure, channel.ByChannel},
	"FREQUENCY_LIMIT_EXCEED":   {unsure, channel.ByChannel},
	"RATELIMIT_EXCEEDED":       {unsure, channel.ByChannel},
	"BIZERR_NEED_RETRY":        {unsure, channel.ByChannel},
}

// result of a refusal, as far as the code alone tells.
func (r *refusal) result(number string) channel.Result {
	known := codes[r.Code]
	out := channel.Result{Number: number, Code: r.Code, Class: known.class, Message: r.Message}
	switch known.verdict {
	case refused:
		out.Outcome = channel.Failed
	case waits:
		out.Outcome = channel.Pending
	case absent:
		out.Outcome = channel.Missing
	}
	return out
}

func (r *refusal) verdict() verdict { return codes[r.Code].verdict }
