package screen

import (
	"errors"
	"fmt"
	"maps"
	"slices"

	"github.com/purselane/purselane/terminal/tap"
)

// Texts are the words of the pages: language, then key. Keys are the names of outcomes and those of words below.
type Texts map[string]map[string]string

// Languages of the built-in texts, the first is the default.
var Languages = []string{"zh", "en"}

// words that are not outcomes.
var words = []string{"idle", "hold", "balance", "charged", "no-link", "sell", "again", "ask", "leave", "waiting", "till-refused", "till-unknown", "till-aged",
	"till-voided", "till-completed", "till-no-card", "till-error"}

// Default returns the built-in texts.
func Default() Texts {
	return Texts{
		"en": {
			"idle": "Present your card", "hold": "Hold the card still", "balance": "Balance", "charged": "Charged", "no-link": "Out of service",
			"sell": "Charge", "again": "Same card again", "ask": "What became of it?", "leave": "Leave it open: new sale", "waiting": "Waiting for a card",
			"till-completed": "Paid", "till-refused": "Refused: nothing taken", "till-unknown": "Not known: present the same card", "till-aged": "Not known: ask the operator",
			"till-voided": "Not debited", "till-no-card": "No card: nothing taken", "till-error": "Not possible",

			"granted": "Go", "granted-low-balance": "Go – low balance", "already-paid": "Already paid", "granted-recovered": "Go – paid before",
			"present-same-card-again": "Present the same card again", "refused-balance": "Not enough value", "refused-blocked": "Card blocked", "refused-expired": "Card expired",
			"refused-not-yet-valid": "Card not valid yet", "refused-denied": "Card not accepted", "refused-unknown-card": "Unknown card", "refused-key-version": "Card not accepted here",
			"refused-trip": "Trip does not fit: ask the staff", "refused-faulty-card": "Faulty card", "one-card-please": "One card, please", "out-of-service": "Out of service",
		},
		"zh": {
			"idle": "请刷卡", "hold": "请勿移动卡片", "balance": "余额", "charged": "扣款", "no-link": "暂停服务",
			"sell": "收款", "again": "请再刷同一张卡", "ask": "查询结果", "leave": "暂不处理,新的一笔", "waiting": "等待刷卡",
			"till-completed": "已支付", "till-refused": "被拒绝,未扣款", "till-unknown": "结果未知:请再刷同一张卡", "till-aged": "结果未知:请联系运营方",
			"till-voided": "未扣款", "till-no-card": "无卡,未扣款", "till-error": "无法办理",

			"granted": "请通行", "granted-low-balance": "请通行 余额不足请充值", "already-paid": "已付款", "granted-recovered": "请通行 已扣款",
			"present-same-card-again": "请再刷同一张卡", "refused-balance": "余额不足", "refused-blocked": "卡已锁定", "refused-expired": "卡已过期",
			"refused-not-yet-valid": "卡未启用", "refused-denied": "卡不可用", "refused-unknown-card": "无法识别的卡", "refused-key-version": "本机不受理此卡",
			"refused-trip": "行程不符 请找工作人员", "refused-faulty-card": "卡片异常", "one-card-please": "请只刷一张卡", "out-of-service": "暂停服务",
		},
	}
}

// Keys lists every key a language must have.
func Keys() []string {
	keys := slices.Clone(words)
	for o := tap.Granted; o <= tap.OutOfService; o++ {
		keys = append(keys, o.String())
	}
	return keys
}

// With returns the texts with an operator's own words in place of those of the same language and key. A language of the operator's own must be whole.
func (t Texts) With(own Texts) (Texts, error) {
	out := Texts{}
	for lang, m := range t {
		out[lang] = maps.Clone(m)
	}
	var all []error
	keys := Keys()
	for _, lang := range slices.Sorted(maps.Keys(own)) {
		if out[lang] == nil {
			out[lang] = map[string]string{}
		}
		for _, key := range slices.Sorted(maps.Keys(own[lang])) {
			if !slices.Contains(keys, key) {
				all = append(all, fmt.Errorf("texts: %s: no text is called %q", lang, key))
				continue
			}
			out[lang][key] = own[lang][key]
		}
		for _, key := range keys {
			if out[lang][key] == "" {
				all = append(all, fmt.Errorf("texts: %s: %q is missing", lang, key))
			}
		}
	}
	return out, errors.Join(all...)
}
