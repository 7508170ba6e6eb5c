package wechat

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"

	"github.com/wechatpay-apiv3/wechatpay-go/utils"

	"github.com/purselane/purselane/backend/gateway/channel"
)

// Transfers are what a merchant has applied for to send money to people with WeChat ("transfer to user"). Without a scene nothing is paid out.
type Transfers struct {
	Scene      string   // number of the scene, as the merchant platform shows it
	Perception string   // what the payee reads as the reason, one of those that the scene has; "" is the scene's own
	Reports    []Report // what WeChat Pay wants to be told for the scene
	Account    string   // whose bill has the transfers: OPERATION, which is "", or BASIC
}

// Report is one thing that WeChat Pay wants to be told about the transfers of a scene.
type Report struct {
	Type    string `json:"info_type" yaml:"type"`
	Content string `json:"info_content" yaml:"content"`
}

const transferBills = "/v3/fund-app/mch-transfer/transfer-bills"

// From what amount on, in fen, WeChat Pay wants the payee's name, and below what it takes none.
const (
	nameFrom  = 2000_00
	nameAbove = 30
)

type transferOrder struct {
	AppID      string   `json:"appid"`
	Number     string   `json:"out_bill_no"`
	Scene      string   `json:"transfer_scene_id"`
	OpenID     string   `json:"openid"`
	Name       string   `json:"user_name,omitempty"` // encrypted for WeChat Pay
	Amount     int64    `json:"transfer_amount"`     // fen
	Remark     string   `json:"transfer_remark"`
	NotifyURL  string   `json:"notify_url,omitempty"`
	Perception string   `json:"user_recv_perception,omitempty"`
	Reports    []Report `json:"transfer_scene_report_infos"`
}

// transfer is a transfer as answers, queries and notifications describe it.
type transfer struct {
	MchID   string `json:"mch_id"`
	AppID   string `json:"appid"`
	Number  string `json:"out_bill_no"`
	ID      string `json:"transfer_bill_no"`
	State   string `json:"state"`
	Reason  string `json:"fail_reason"`
	Amount  int64  `json:"transfer_amount"` // fen; the answer to an order leaves it out
	Updated string `json:"update_time"`     // RFC 3339
	Package string `json:"package_info"`    // what the payee's WeChat needs to confirm
}

// transferStates are the states of a transfer. One that is not here is unknown.
var transferStates = map[string]channel.Outcome{
	"ACCEPTED":          channel.Pending,
	"PROCESSING":        channel.Pending,
	"WAIT_USER_CONFIRM": channel.Pending, // for a day; then it fails
	"TRANSFERING":       channel.Pending, // spelt so
	"SUCCESS":           channel.Succeeded,
	"FAIL":              channel.Failed,
	"CANCELING":         channel.Pending,
	"CANCELLED":         channel.Closed,
}

// reasons are why a transfer failed, where it was not the payee.
var reasons = map[string]channel.Class{
	"TRANSFER_RISK":               channel.ByRisk,
	"REQUEST_BLOCKED":             channel.ByRisk,
	"PRODUCT_AUTH_CHECK_FAIL":     channel.BySetting,
	"TRANSFER_SCENE_UNAVAILABLE":  channel.BySetting,
	"TRANSFER_SCENE_INVALID":      channel.BySetting,
	"TRANSFER_REMARK_SET_FAIL":    channel.BySetting,
	"MERCHANT_REJECT":             channel.BySetting,
	"MERCHANT_NOT_CONFIRM":        channel.BySetting,
	"TRANSFER_QUOTA_EXCEED":       channel.BySetting,
	"RESERVATION_SCENE_NOT_MATCH": channel.BySetting,
}

// Payout sends money to somebody with WeChat: Account is the openid. As a rule the payee must confirm, for which the answer has parameters; who does
// not confirm within a day does not get it. Name is sent encrypted, and WeChat Pay compares it.
func (c *Channel) Payout(ctx context.Context, r channel.PayoutRequest) (channel.Result, error) {
	o, err := c.transferOrder(r)
	if err != nil {
		return channel.Result{}, fmt.Errorf("WeChat Pay: pay-out %s: %w: %w", r.Number, channel.ErrNotSent, err)
	}
	var t transfer
	no, err := c.call(ctx, http.MethodPost, transferBills, o, &t)
	if err != nil {
		return channel.Result{}, err
	}
	if no != nil {
		return c.refusedPayout(ctx, no, r)
	}
	out, err := c.transferSaid(t, r.Number)
	if err == nil && t.Package != "" {
		out.Action.Params = map[string]string{"mchId": c.set.MerchantID, "appId": c.set.AppID, "package": t.Package}
	}
	return out, err
}

func (c *Channel) transferOrder(r channel.PayoutRequest) (transferOrder, error) {
	set := c.set.Transfers
	if err := errors.Join(checkNumber(r.Number), checkMoney(r.Money)); err != nil {
		return transferOrder{}, err
	}
	switch {
	case set.Scene == "":
		return transferOrder{}, fmt.Errorf("%w: no scene is set", channel.ErrUnsupported)
	case r.Account == "":
		return transferOrder{}, errors.New("the payee's openid is missing")
	case r.BankCode != "":
		return transferOrder{}, fmt.Errorf("%w: a company's account at a bank", channel.ErrUnsupported)
	case strings.ContainsAny(r.NotifyURL, "?#"):
		return transferOrder{}, errors.New("WeChat Pay takes no notify URL with a query")
	case r.Name == "" && r.Money.Amount.Minor() >= nameFrom:
		return transferOrder{}, errors.New("from 2,000.00 on WeChat Pay wants the payee's name")
	}
	o := transferOrder{
		AppID: c.set.AppID, Number: r.Number, Scene: set.Scene, OpenID: r.Account, Amount: r.Money.Amount.Minor(), Remark: short(r.Purpose, 32),
		NotifyURL: r.NotifyURL, Perception: set.Perception, Reports: set.Reports,
	}
	if o.Remark == "" {
		o.Remark = r.Number
	}
	if r.Name != "" && o.Amount >= nameAbove {
		name, err := utils.EncryptOAEPWithPublicKey(r.Name, c.platform[c.accept])
		if err != nil {
			return transferOrder{}, errors.New("the payee's name cannot be encrypted")
		}
		o.Name = name
	}
	return o, nil
}

// refusedPayout asks about a number that was refused, unless nothing can stand there: what was sent out is never thought to have failed on a code alone
// that may speak of an earlier request.
func (c *Channel) refusedPayout(ctx context.Context, no *refusal, r channel.PayoutRequest) (channel.Result, error) {
	if v := no.verdict(); v != ask && no.Code != "NOT_ENOUGH" {
		return no.result(r.Number), nil
	}
	now, err := c.QueryPayout(ctx, channel.Ref{Number: r.Number})
	return no.settled(now, err, r.Number, r.Money)
}

// QueryPayout asks for the state of a transfer.
func (c *Channel) QueryPayout(ctx context.Context, ref channel.Ref) (channel.Result, error) {
	if err := checkNumber(ref.Number); err != nil {
		return channel.Result{}, fmt.Errorf("WeChat Pay: %w: %w", channel.ErrNotSent, err)
	}
	var t transfer
	no, err := c.call(ctx, http.MethodGet, transferBills+"/out-bill-no/"+ref.Number, nil, &t)
	if err != nil {
		return channel.Result{}, err
	}
	if no != nil {
		return no.asked(ref.Number), nil
	}
	return c.transferSaid(t, ref.Number)
}

func (c *Channel) transferSaid(t transfer, number string) (channel.Result, error) {
	out, err := c.transferResult(t, number)
	if err != nil {
		return channel.Result{}, fmt.Errorf("WeChat Pay: pay-out %s: %w", number, err)
	}
	return out, nil
}

// transferResult of a transfer. number is "" where any of ours will do.
func (c *Channel) transferResult(t transfer, number string) (channel.Result, error) {
	if err := c.ours(t.MchID, t.Number, number); err != nil {
		return channel.Result{}, err
	}
	out := channel.Result{Outcome: transferStates[t.State], Number: t.Number, ChannelID: t.ID}
	if t.Amount > 0 {
		out.Money = fen(t.Amount, "")
	}
	if out.Outcome == channel.Succeeded {
		at, err := moment(t.Updated)
		out.At = at
		return out, err
	}
	out.Code = t.State
	if out.Outcome == channel.Failed || out.Outcome == channel.Closed {
		out.Class = channel.ByPayer
		if t.Reason != "" {
			out.Code = t.Reason
		}
		if class, known := reasons[t.Reason]; known {
			out.Class = class
		}
	}
	return out, nil
}
