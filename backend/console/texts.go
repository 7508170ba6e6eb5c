package console

import (
	"net/http"
	"strconv"
	"strings"
)

// texts are the page's words by language. A test keeps the two lists alike.
var texts = map[string]map[string]string{
	"en": {
		"page.": "Books", "page.business": "Business", "page.channels": "Payment channels", "page.merchants": "Merchants", "page.accounts": "Accounts",
		"alerts": "To look at", "grave": "now", "watch": "soon", "no_alerts": "Nothing to look at.", "last_day": "The last 24 hours", "by_hour": "By the hour", "orders": "Orders", "paid_orders": "Paid", "received": "Received", "returned": "Given back",
		"channel_fees": "Channel fees", "kind": "Kind", "attempts_success": "Attempts paid", "hour": "Hour", "card_loads": "Card loads", "card_loaded": "On the card", "no_orders": "No order in the last 24 hours.",
		"orders_plot": "Orders by the hour (grey), paid ones (green)", "not_ended": "Without a known end", "late_payments": "Payments past their end", "late_refunds": "Refunds and pay-outs, more than a day", "late_loads": "Loads on their way, more than an hour", "history": "Events that the history has not yet",
		"seller": "App / merchant", "last_hour": "last hour", "refused": "Refused", "blocked": "by risk", "earned": "Earned, pending", "more_sellers": "more, with fewer orders",
		"own_accounts": "Own accounts", "own_account": "Account", "in_books": "In the books", "at_bank": "At the bank", "promised": "Promised", "free": "Free", "minimum": "Minimum", "no_own": "No own account is noted.",
		"channel_accounts": "What channels owe us", "no_channel_accounts": "No channel has an account in the books.", "to_be_zero": "Should be nothing", "all_zero": "All are.", "in_clearing": "In clearing",
		"unmatched": "Statement lines that nothing explains", "asked": "as of",
		"action.pay": "payments", "action.transfer": "transfers", "action.top-up": "top-ups", "action.withdraw": "withdrawals", "action.red-packet": "red packets",
		"alert.payments-late": "{count} payments over {amount} are past their end, and their channels have not said how they ended.",
		"alert.refunds-late":  "{count} refunds and pay-outs over {amount} are not done after a day.",
		"alert.loads-late":    "{count} loads over {amount} have been on their way to a card for more than an hour.",
		"alert.history-late":  "The history is ten minutes behind or more: {count} events.",
		"alert.orders-fell":   "{count} orders came in the last hour; yesterday at this time there were {before}.",
		"alert.success-fell":  "Of the attempts of the last hour {is} were paid; before it was {was}.",
		"alert.risk-blocks":   "Risk blocked {count} attempts in the last day, a fifth of all or more.",
		"alert.owes-us":       "It has been paid more than it earned: {amount}.",
		"alert.below-minimum": "Less is free than should stay there: {amount}.",
		"alert.we-owe":        "More went back over it than came: {amount}.",
		"alert.not-zero":      "It should be nothing and holds {amount}.",
		"alert.not-explained": "{count} lines of bank statements over {amount} belong to nothing of ours.",
		"pay_channels":        "Payment channels", "runbook": "What to do", "share": "Share of its payments", "success": "Success, last 10 minutes",
		"bound": "sure to 95 %:", "pace": "Calls · mean answer", "plot": "success (line) and share (dashes) over the last 10 minutes", "since": "since",
		"switch_on": "Switch on", "switch_off": "Switch off", "reason": "Reason", "token": "Operator token", "no_payments": "no payments",
		"no_channels": "The routing names no channel.", "incidents": "Faults that are not closed", "incident": "incident", "lasts": "lasts",
		"over": "over since", "close": "Close with a cause", "cause": "Cause", "no_incidents": "None.",
		"no_operator": "Not switched: this is no operator’s token.", "no_reason": "Not switched: a reason of at most 500 characters is needed.",
		"switched": "Done:", "incident_closed": "Closed:", "stale": "The database was heard last before", "lonely": "One channel alone takes",
		"channel.available": "available", "channel.unavailable": "out", "channel.ramping": "coming back",
		"title": "Purselane", "subtitle": "Where every cent is", "skip": "Skip to the figures", "other": "中文", "other_lang": "zh",
		"live": "live", "connecting": "connecting", "lost": "reconnecting", "plain": "Without scripts the page does not update itself: reload it for newer figures.",
		"unreadable": "The figures could not be read. The log says why.", "broken": "Sums out of range",
		"broken_hint": "A sum of the money map does not fit an amount, so none of its figures can be trusted. The log says which.",
		"balanced":    "Balanced", "off": "Off by",
		"money": "Money map", "owed": "Owed to holders", "covered": "Covered by", "equation": "The float identity",
		"on_cards": "On cards", "in_flight": "In flight", "funding": "Funding", "trust": "Trust account", "receivables": "Receivables", "payables": "Payables",
		"cards_n": "shadow accounts", "in_flight_hint": "authorised, not yet proved to be on the card", "funding_hint": "paid, not yet on the way to a card",
		"sold_loads": "Sold loads, with acquirers", "channels": "Payment channels",
		"pending": "Merchants, pending", "available": "Merchants, available", "held": "Merchants, held", "clearing": "Acquirers, in clearing", "clearing_due": "Acquirers, closed days",
		"suspense": "Suspense", "fees": "Fees, net", "rounding": "Rounding",
		"taps": "Latest taps", "time": "Time", "terminal": "Terminal", "amount": "Amount", "outcome": "Outcome", "no_taps": "No tap has arrived yet.",
		"terminals": "Terminals", "backlog": "Backlog", "last_seen": "Last seen", "never": "never", "no_terminals": "No terminal is registered.", "stopped": "stopped", "offline": "no link",
		"more_terminals": "more, by name", "findings": "Open findings", "no_findings": "None open.",
		"cases": "Cases", "case_due": "Due", "case_why": "Why", "case_tap": "Tap", "case_merchant": "Merchant", "case_id": "Case", "no_cases": "No case runs.", "more_cases": "more, due later",
		"case.rejected": "its proof does not verify", "case.suspect": "another tap has its counter", "case.aged": "nobody knows its outcome", "case.claimed": "somebody claims it", "case.goodwill": "paid out of goodwill", "case.expired": "it came too late",
		"case_state.open": "waits for a proposal", "case_state.proposed.grant": "to pay, waits for a second person", "case_state.proposed.deny": "not to pay, waits for a second person",
		"days": "Clearing days", "day": "Day", "state": "State", "accepted": "Accepted", "rejected": "Rejected", "suspect": "Suspect", "net": "Net", "digest": "Report",
		"no_days": "No day has been closed yet.", "unit_tap": "tap", "unit_taps": "taps",
		"day.open": "open", "day.closed": "closed", "day.paid": "paid",
		"kind.purchase": "purchase", "kind.entry": "entry", "kind.exit": "exit", "kind.correction": "correction",
		"said.completed": "completed", "said.unknown": "answer lost", "said.voided": "did not happen", "said.aged": "given up", "said.card-log": "shown by the card's log",
		"verdict.": "waiting", "verdict.accepted": "accepted", "verdict.inferred": "accepted, inferred", "verdict.unknown": "unknown, held", "verdict.clone": "clone, held",
		"verdict.bad-tac": "bad TAC", "verdict.void": "void", "verdict.granted": "paid by decision", "verdict.denied": "denied by decision", "verdict.undecided": "waiting", "verdict.duplicate": "duplicate", "verdict.unreadable": "unreadable",
		"susp.unknown": "unknown taps", "susp.clone": "clones", "susp.bad-tac": "bad TACs", "susp.expired": "came too late",
		"finding.CLONE": "Two debits with one counter", "finding.BAD_TAC": "TAC does not verify", "finding.BALANCE_UP": "Balance rose without a load", "finding.BALANCE_DOWN": "Balance fell without a debit",
		"finding.ARITHMETIC": "Balance after does not add up", "finding.COUNTER_BACK": "Counter went back", "finding.UNKNOWN_CARD": "Card never issued", "finding.WRONG_SAM": "Not the terminal's PSAM",
		"finding.UNKNOWN_KEY": "Unknown key version", "finding.RECORD_CONFLICT": "One number, two contents", "finding.NEGATIVE_SHADOW": "Shadow account below zero",
		"finding.REPLAY": "One debit in two records", "finding.DENIED_TAP": "Debit after the card was blocked",
		"finding.VELOCITY": "Many taps in a short time", "finding.OVER_LIMIT": "More than one tap may take", "finding.IMPOSSIBLE_TRAVEL": "Two places, no time between", "finding.DENIED_ACQUIRER": "Denied card, the terminal had the list",
		"finding.DENIED_ISSUER": "Denied card, the terminal had no list yet", "finding.AGED_UNKNOWN": "Unknown tap, for days", "finding.AGED_GAP": "Records of a card missing, for days",
		"finding.CLOCK_AHEAD": "Terminal's clock ahead", "finding.CLOCK_BACK": "Terminal's clock went back", "finding.SAM_HOLE": "PSAM counted what never came", "finding.RECORDS_MISSING": "Terminal's records missing, for days", "finding.RECORDS_LOST": "Terminal's records lost",
		"finding.LOAD_KEY_REUSED": "One load key, two amounts", "finding.LOAD_BAD_TAC": "Load: TAC proves nothing", "finding.LOAD_AFTER_RETURN": "Load: credited after its money went back",
		"finding.LOAD_COUNTER_BACK": "Load: online counter went back", "finding.LOAD_CONTRADICTION": "Load: card and its records disagree", "finding.LOAD_MAC1_BAD": "Load: card did not prove itself", "finding.LOAD_ARQC_BAD": "Load: electronic cash card did not prove itself",
	},
	"zh": {
		"page.": "账目", "page.business": "业务", "page.channels": "支付渠道", "page.merchants": "商户", "page.accounts": "账户",
		"alerts": "告警", "grave": "立即", "watch": "关注", "no_alerts": "无告警。", "last_day": "近24小时", "by_hour": "按小时", "orders": "订单", "paid_orders": "已支付", "received": "实收", "returned": "已退/退款中",
		"channel_fees": "渠道手续费", "kind": "类型", "attempts_success": "支付成功率", "hour": "小时", "card_loads": "圈存", "card_loaded": "已入卡", "no_orders": "近24小时无订单。",
		"orders_plot": "每小时订单（灰）与已支付订单（绿）", "not_ended": "结果未明", "late_payments": "已过期未明的支付", "late_refunds": "超过一天的退款与出款", "late_loads": "超过一小时的圈存", "history": "历史库未收事件",
		"seller": "应用 / 商户", "last_hour": "近1小时", "refused": "被拒", "blocked": "风控", "earned": "待结算收入", "more_sellers": "个，订单更少",
		"own_accounts": "自有账户", "own_account": "账户", "in_books": "账面", "at_bank": "银行余额", "promised": "已承诺", "free": "可用", "minimum": "最低余额", "no_own": "未登记自有账户。",
		"channel_accounts": "渠道应付我方", "no_channel_accounts": "账上无渠道账户。", "to_be_zero": "应为零的账户", "all_zero": "均为零。", "in_clearing": "清算中",
		"unmatched": "无法匹配的对账单行", "asked": "截至",
		"action.pay": "支付", "action.transfer": "转账", "action.top-up": "充值", "action.withdraw": "提现", "action.red-packet": "红包",
		"alert.payments-late": "{count}笔支付（共{amount}）已过期，渠道尚未告知结果。",
		"alert.refunds-late":  "{count}笔退款或出款（共{amount}）一天后仍未完成。",
		"alert.loads-late":    "{count}笔圈存（共{amount}）超过一小时仍在途。",
		"alert.history-late":  "历史库滞后十分钟以上：{count}条事件。",
		"alert.orders-fell":   "近1小时{count}笔订单；昨日同时段{before}笔。",
		"alert.success-fell":  "近1小时支付成功率{is}，此前为{was}。",
		"alert.risk-blocks":   "近一天风控拦截{count}次，占比不低于五分之一。",
		"alert.owes-us":       "已付金额超过其收入：{amount}。",
		"alert.below-minimum": "可用余额低于最低要求：{amount}。",
		"alert.we-owe":        "退回金额超过收入：{amount}。",
		"alert.not-zero":      "应为零，现为{amount}。",
		"alert.not-explained": "{count}行对账单（共{amount}）无法匹配。",
		"pay_channels":        "支付渠道", "runbook": "处理流程", "share": "流量份额", "success": "近10分钟成功率", "bound": "95 % 置信区间：", "pace": "调用数 · 平均应答",
		"plot": "近10分钟成功率（实线）与份额（虚线）", "since": "自", "switch_on": "启用", "switch_off": "停用", "reason": "原因", "token": "操作员令牌", "no_payments": "无支付",
		"no_channels": "路由未配置渠道。", "incidents": "未关闭的故障", "incident": "故障", "lasts": "持续中", "over": "结束于", "close": "填写原因并关闭", "cause": "原因类别",
		"no_incidents": "无。", "no_operator": "未切换：不是操作员令牌。", "no_reason": "未切换：须填写原因（最多500字）。", "switched": "已完成：", "incident_closed": "已关闭：",
		"stale": "上次读到数据库距今", "lonely": "仅有一个渠道可用：", "channel.available": "可用", "channel.unavailable": "已停用", "channel.ramping": "恢复中",
		"title": "Purselane", "subtitle": "每一分钱都有去处", "skip": "跳到数据", "other": "English", "other_lang": "en",
		"live": "实时", "connecting": "连接中", "lost": "重新连接中", "plain": "未启用脚本，页面不会自动更新，请刷新查看最新数据。",
		"unreadable": "数据读取失败，原因见日志。", "broken": "合计溢出",
		"broken_hint": "资金地图中有合计超出金额范围，所有数字均不可信，详见日志。",
		"balanced":    "平衡", "off": "相差",
		"money": "资金地图", "owed": "应付持卡人", "covered": "对应资金", "equation": "备付恒等式",
		"on_cards": "卡内余额", "in_flight": "在途", "funding": "待圈存", "trust": "备付金账户", "receivables": "应收", "payables": "应付",
		"cards_n": "个影子账户", "in_flight_hint": "已授权，尚未证实写入卡内", "funding_hint": "已付款，尚未开始圈存",
		"sold_loads": "收单方代收充值款", "channels": "支付渠道",
		"pending": "商户待结算", "available": "商户可用余额", "held": "商户冻结", "clearing": "收单方清算中", "clearing_due": "收单方已关闭日应收",
		"suspense": "挂账", "fees": "手续费净额", "rounding": "尾差",
		"taps": "最新刷卡", "time": "时间", "terminal": "终端", "amount": "金额", "outcome": "结果", "no_taps": "尚无刷卡记录。",
		"terminals": "终端", "backlog": "未上传", "last_seen": "最近在线", "never": "从未", "no_terminals": "尚未登记终端。", "stopped": "停用", "offline": "离线",
		"more_terminals": "台，按名称排列", "findings": "未结异常", "no_findings": "无未结异常。",
		"cases": "争议处理", "case_due": "期限", "case_why": "原因", "case_tap": "交易", "case_merchant": "商户", "case_id": "编号", "no_cases": "无处理中的争议。", "more_cases": "件，期限更晚",
		"case.rejected": "证明校验不通过", "case.suspect": "计数器被另一笔占用", "case.aged": "结果不明", "case.claimed": "有人主张", "case.goodwill": "善意补偿", "case.expired": "逾期上送",
		"case_state.open": "待提议", "case_state.proposed.grant": "提议付款，待复核", "case_state.proposed.deny": "提议不付，待复核",
		"days": "清算日", "day": "日期", "state": "状态", "accepted": "接受", "rejected": "拒绝", "suspect": "可疑", "net": "轧差净额", "digest": "报表",
		"no_days": "尚无已关闭的清算日。", "unit_tap": "笔", "unit_taps": "笔",
		"day.open": "未关闭", "day.closed": "已关闭", "day.paid": "已付款",
		"kind.purchase": "消费", "kind.entry": "进站", "kind.exit": "出站", "kind.correction": "更正",
		"said.completed": "完成", "said.unknown": "应答丢失", "said.voided": "未发生", "said.aged": "超时放弃", "said.card-log": "卡内日志佐证",
		"verdict.": "待处理", "verdict.accepted": "已接受", "verdict.inferred": "推定接受", "verdict.unknown": "不明，冻结", "verdict.clone": "疑似伪卡，冻结",
		"verdict.bad-tac": "TAC 错误", "verdict.void": "作废", "verdict.granted": "裁定付款", "verdict.denied": "裁定不付", "verdict.undecided": "待处理", "verdict.duplicate": "重复", "verdict.unreadable": "无法解析",
		"susp.unknown": "不明交易", "susp.clone": "疑似伪卡", "susp.bad-tac": "TAC 错误", "susp.expired": "逾期上送",
		"finding.CLONE": "同一计数器两笔扣款", "finding.BAD_TAC": "TAC 校验不通过", "finding.BALANCE_UP": "无充值而余额上升", "finding.BALANCE_DOWN": "无扣款而余额下降",
		"finding.ARITHMETIC": "交易后余额不符", "finding.COUNTER_BACK": "计数器倒退", "finding.UNKNOWN_CARD": "未发行的卡", "finding.WRONG_SAM": "PSAM 与终端不符",
		"finding.UNKNOWN_KEY": "未知密钥版本", "finding.RECORD_CONFLICT": "同号不同内容", "finding.NEGATIVE_SHADOW": "影子账户为负",
		"finding.REPLAY": "一笔扣款两条记录", "finding.DENIED_TAP": "卡停用后仍扣款",
		"finding.VELOCITY": "短时间内多次刷卡", "finding.OVER_LIMIT": "超出单笔上限", "finding.IMPOSSIBLE_TRAVEL": "两地之间时间不足", "finding.DENIED_ACQUIRER": "被拒卡：终端已有名单",
		"finding.DENIED_ISSUER": "被拒卡：终端尚无名单", "finding.AGED_UNKNOWN": "结果不明已数日", "finding.AGED_GAP": "卡记录缺失已数日",
		"finding.CLOCK_AHEAD": "终端时钟超前", "finding.CLOCK_BACK": "终端时钟倒退", "finding.SAM_HOLE": "PSAM 序号有长段空缺", "finding.RECORDS_MISSING": "终端记录缺失已数日", "finding.RECORDS_LOST": "终端记录丢失",
		"finding.LOAD_KEY_REUSED": "同一圈存请求号两个金额", "finding.LOAD_BAD_TAC": "圈存：TAC 不成立", "finding.LOAD_AFTER_RETURN": "圈存：款项退回后卡内已入账",
		"finding.LOAD_COUNTER_BACK": "圈存：联机计数器倒退", "finding.LOAD_CONTRADICTION": "圈存：卡与其记录矛盾", "finding.LOAD_MAC1_BAD": "圈存：MAC1 校验不通过", "finding.LOAD_ARQC_BAD": "圈存：电子现金卡未能自证",
	},
}

// language picks the page's language: ?lang= first, then the browser's wish, then English.
func language(r *http.Request) string {
	if l := r.URL.Query().Get("lang"); texts[l] != nil {
		return l
	}
	best, bestQ := "en", 0.0
	for _, part := range strings.Split(r.Header.Get("Accept-Language"), ",") {
		tag, param, _ := strings.Cut(strings.TrimSpace(part), ";")
		primary, _, _ := strings.Cut(strings.ToLower(tag), "-")
		if texts[primary] == nil {
			continue
		}
		q := 1.0
		if v, ok := strings.CutPrefix(strings.TrimSpace(param), "q="); ok {
			var err error
			if q, err = strconv.ParseFloat(v, 64); err != nil {
				continue
			}
		}
		if q > bestQ {
			best, bestQ = primary, q
		}
	}
	return best
}
