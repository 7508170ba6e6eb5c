package alipay

import "github.com/purselane/purselane/backend/gateway/channel"

// verdict is what a code of Alipay means for the request that got it.
type verdict int

const (
	// unsure: the request may have been done, or may be done when it is repeated.
	unsure verdict = iota
	// refused: nothing was done, and this number will not succeed.
	refused
	// ask: nothing was done now, but an earlier request of the same number may stand; only a query tells.
	ask
	// clash: the number stands there for something else. It may be a QR code that nobody has scanned, which a query does not find.
	clash
	// waits: the payer is typing the password.
	waits
	// absent: Alipay does not know the number.
	absent
)

// codes are the codes of the trade methods: sub_code, or code where there is none. One that is not here is unsure.
var codes = map[string]struct {
	verdict verdict
	class   channel.Class
}{
	"10003":                                      {waits, channel.ByPayer},
	"20000":                                      {unsure, channel.ByChannel},
	"isp.unknow-error":                           {unsure, channel.ByChannel},
	"aop.unknow-error":                           {unsure, channel.ByChannel},
	"aop.ACQ.SYSTEM_ERROR":                       {unsure, channel.ByChannel},
	"ACQ.SYSTEM_ERROR":                           {unsure, channel.ByChannel},
	"AQC.SYSTEM_ERROR":                           {unsure, channel.ByChannel}, // Alipay's own spelling, of refunds
	"SYSTEM_ERROR":                               {unsure, channel.ByChannel},
	"isv.app-call-limited":                       {unsure, channel.ByChannel},
	"isv.invalid-signature":                      {refused, channel.BySetting},
	"isv.invalid-app-id":                         {refused, channel.BySetting},
	"isv.insufficient-isv-permissions":           {refused, channel.BySetting},
	"isv.insufficient-user-permissions":          {refused, channel.BySetting},
	"isv.missing-method":                         {refused, channel.BySetting},
	"isv.invalid-cert-info":                      {refused, channel.BySetting},
	"isv.missing-app-cert-sn":                    {refused, channel.BySetting},
	"ACQ.INVALID_PARAMETER":                      {refused, channel.BySetting},
	"ACQ.ACCESS_FORBIDDEN":                       {refused, channel.BySetting},
	"ACQ.PARTNER_ERROR":                          {refused, channel.BySetting},
	"ACQ.EXIST_FORBIDDEN_WORD":                   {refused, channel.BySetting},
	"ACQ.TOTAL_FEE_EXCEED":                       {refused, channel.BySetting},
	"ACQ.SELLER_BEEN_BLOCKED":                    {refused, channel.BySetting},
	"ACQ.SELLER_NOT_EXIST":                       {refused, channel.BySetting},
	"ACQ.INVALID_STORE_ID":                       {refused, channel.BySetting},
	"ACQ.MERCHANT_STATUS_NOT_NORMAL":             {refused, channel.BySetting},
	"ACQ.MERCHANT_AGREEMENT_NOT_EXIST":           {refused, channel.BySetting},
	"ACQ.BEYOND_PAY_RESTRICTION":                 {refused, channel.BySetting},
	"ACQ.BEYOND_PER_RECEIPT_RESTRICTION":         {refused, channel.BySetting},
	"ACQ.NOW_TIME_AFTER_EXPIRE_TIME_ERROR":       {refused, channel.BySetting},
	"ACQ.CONTEXT_INCONSISTENT":                   {clash, channel.BySetting},
	"ACQ.TRADE_HAS_SUCCESS":                      {ask, channel.NoClass},
	"ACQ.TRADE_HAS_CLOSE":                        {ask, channel.NoClass},
	"ACQ.TRADE_STATUS_ERROR":                     {ask, channel.BySetting},
	"ACQ.DISCORDANT_REPEAT_REQUEST":              {ask, channel.BySetting},
	"ACQ.TRADE_NOT_EXIST":                        {absent, channel.NoClass},
	"TRADE_NOT_EXIST":                            {absent, channel.NoClass},
	"ACQ.PAYMENT_AUTH_CODE_INVALID":              {ask, channel.ByPayer}, // or it was used up by an earlier request of this number
	"ACQ.BUYER_BALANCE_NOT_ENOUGH":               {refused, channel.ByPayer},
	"ACQ.BUYER_BANKCARD_BALANCE_NOT_ENOUGH":      {refused, channel.ByPayer},
	"ACQ.ERROR_BALANCE_PAYMENT_DISABLE":          {refused, channel.ByPayer},
	"ACQ.BUYER_SELLER_EQUAL":                     {refused, channel.ByPayer},
	"ACQ.TRADE_BUYER_NOT_MATCH":                  {ask, channel.ByPayer},
	"ACQ.BUYER_ENABLE_STATUS_FORBID":             {refused, channel.ByPayer},
	"ACQ.PULL_MOBILE_CASHIER_FAIL":               {ask, channel.ByPayer},
	"ACQ.MOBILE_PAYMENT_SWITCH_OFF":              {refused, channel.ByPayer},
	"ACQ.USER_FACE_PAYMENT_SWITCH_OFF":           {refused, channel.ByPayer},
	"ACQ.BUYER_PAYMENT_AMOUNT_DAY_LIMIT_ERROR":   {refused, channel.ByPayer},
	"ACQ.BUYER_PAYMENT_AMOUNT_MONTH_LIMIT_ERROR": {refused, channel.ByPayer},
	"ACQ.ERROR_BUYER_CERTIFY_LEVEL_LIMIT":        {refused, channel.ByPayer},
	"ACQ.NO_PAYMENT_INSTRUMENTS_AVAILABLE":       {refused, channel.ByPayer},
	"ACQ.PAYMENT_FAIL":                           {ask, channel.ByIssuer},
	"ACQ.PAYMENT_REQUEST_HAS_RISK":               {refused, channel.ByRisk},
	"ACQ.CURRENCY_NOT_SUPPORT":                   {refused, channel.NotSupported},
	// Of debits under an agreement. Whether the agreement is looked at before the number is not known: a debit of this number may stand from before its end.
	"ACQ.AGREEMENT_NOT_EXIST":          {ask, channel.ByPayer}, // or it was ended
	"ACQ.AGREEMENT_INVALID":            {ask, channel.ByPayer},
	"ACQ.AGREEMENT_STATUS_NOT_NORMAL":  {ask, channel.ByPayer},
	"ACQ.AGREEMENT_ERROR":              {ask, channel.BySetting},
	"ACQ.MERCHANT_AGREEMENT_INVALID":   {refused, channel.BySetting},
	"ACQ.BUYER_NOT_EXIST":              {ask, channel.ByPayer},
	"ACQ.CYCLE_PAY_DATE_NOT_MATCH":     {ask, channel.BySetting},
	"ACQ.CYCLE_PAY_SINGLE_FEE_EXCEED":  {ask, channel.BySetting},
	"ACQ.CYCLE_PAY_TOTAL_FEE_EXCEED":   {ask, channel.BySetting}, // after a debit of this very number, too
	"ACQ.CYCLE_PAY_TOTAL_TIMES_EXCEED": {ask, channel.BySetting},
	"USER_AGREEMENT_NOT_EXIST":         {absent, channel.NoClass}, // of queries and ends: not signed, or ended
	// Of refunds.
	"ACQ.SELLER_BALANCE_NOT_ENOUGH":   {refused, channel.BySetting},
	"ACQ.REFUND_AMT_NOT_EQUAL_TOTAL":  {refused, channel.BySetting},
	"ACQ.REASON_TRADE_REFUND_FEE_ERR": {refused, channel.BySetting},
	"ACQ.REFUND_FEE_ERROR":            {refused, channel.BySetting},
	"ACQ.REASON_TRADE_BEEN_FREEZEN":   {refused, channel.ByRisk},
	"ACQ.TRADE_HAS_FINISHED":          {ask, channel.BySetting}, // no refund any more, unless this one was made before
	"ACQ.TRADE_NOT_ALLOW_REFUND":      {refused, channel.BySetting},
	// Of transfers, whose codes have no prefix.
	"INVALID_PARAMETER":               {refused, channel.BySetting},
	"PAYER_BALANCE_NOT_ENOUGH":        {ask, channel.BySetting},
	"BALANCE_IS_NOT_ENOUGH":           {ask, channel.BySetting},
	"PAYER_STATUS_ERROR":              {refused, channel.BySetting},
	"PAYER_USER_INFO_ERROR":           {refused, channel.BySetting},
	"PRODUCT_NOT_SIGN":                {refused, channel.BySetting},
	"NO_ORDER_PERMISSION":             {refused, channel.BySetting},
	"PERMIT_NON_BANK_LIMIT_PAYEE":     {refused, channel.ByPayer},
	"PAYEE_NOT_EXIST":                 {refused, channel.ByPayer},
	"PAYEE_USER_INFO_ERROR":           {refused, channel.ByPayer}, // account and name do not belong together
	"PAYEE_ACC_OCUPIED":               {refused, channel.ByPayer}, // Alipay's own spelling
	"PAYEE_STATUS_ERROR":              {refused, channel.ByPayer},
	"PERM_AML_NOT_REALNAME_REV":       {refused, channel.ByPayer},
	"EXCEED_LIMIT_SM_AMOUNT":          {refused, channel.BySetting},
	"EXCEED_LIMIT_DM_AMOUNT":          {refused, channel.BySetting},
	"EXCEED_LIMIT_DM_MAX_AMOUNT":      {refused, channel.BySetting},
	"EXCEED_LIMIT_SM_MIN_AMOUNT":      {refused, channel.BySetting},
	"EXCEED_LIMIT_PERSONAL_SM_AMOUNT": {refused, channel.BySetting},
	"SECURITY_CHECK_FAILED":           {refused, channel.ByRisk},
	"PAYMENT_INFO_INCONSISTENCY":      {ask, channel.BySetting}, // the number is of another transfer
	"REQUEST_PROCESSING":              {unsure, channel.ByChannel},
	"ORDER_NOT_EXIST":                 {absent, channel.NoClass},
}

// name is the code that says most.
func (r *refusal) name() string {
	if r.Sub != "" {
		return r.Sub
	}
	return r.Code
}

func (r *refusal) verdict() verdict { return codes[r.name()].verdict }

// result of a refusal, as far as the code alone tells.
func (r *refusal) result(number string) channel.Result {
	out := channel.Result{Number: number, Code: r.name(), Class: codes[r.name()].class, Message: r.SubText}
	if out.Message == "" {
		out.Message = r.Message
	}
	switch r.verdict() {
	case refused:
		out.Outcome = channel.Failed
	case waits:
		out.Outcome = channel.Pending
	case absent:
		out.Outcome = channel.Missing
	}
	return out
}

// asked is the result of a refused question: it says that the number is missing, or nothing. Never that the payment failed.
func (r *refusal) asked(number string) channel.Result {
	out := r.result(number)
	if out.Outcome != channel.Missing {
		out.Outcome = channel.Unknown
	}
	return out
}
