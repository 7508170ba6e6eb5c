package page

// Texts are the words of the page: by language, then by key. Keys are "title.STATE", "text.STATE", "money.PLACE", "choice.CHOICE", "way.NAME", "reason.CODE" and a
// few words of their own.
type Texts map[string]map[string]string

// Default are the words that are built in.
func Default() Texts { return Texts{"en": english, "zh": chinese} }

var english = map[string]string{
	"other-language": "中文", "balance": "Balance", "amount": "Top-up", "card": "Card", "payment": "Payment no.", "where": "Your money", "next": "What to do", "after": "New balance", "before": "Balance before",
	"print": "Print receipt", "receipt": "Receipt", "time": "Time", "paid-by": "Paid with", "seconds": "s", "gone": "This kiosk is not working", "gone-text": "The screen has lost the kiosk behind it. If you have paid, your money is safe: hold the same card here later, or ask the operator.",
	"untold": "The top-up is on your card. The network is slow: our books will follow by themselves.",
	"step.1": "Card", "step.2": "Amount", "step.3": "Pay", "step.4": "Load",

	"title.idle": "Hold your card on the reader", "text.idle": "to see its balance and to top it up.",
	"title.reading": "Reading your card", "text.reading": "Keep the card on the reader.",
	"title.amount": "How much?", "text.amount": "You may take the card away.",
	"title.way": "How do you want to pay?", "text.way": "You pay with your phone.",
	"title.ordering": "One moment", "text.ordering": "Your code is being made.",
	"title.qr": "Scan to pay", "text.qr": "Open the app on your phone, scan the code and pay. Then wait here.",
	"title.hold": "Paid. Hold the same card on the reader", "text.hold": "Keep it there until the screen says that it is done.",
	"title.loading": "Loading. Keep the card there", "text.loading": "Do not take the card away.",
	"title.done": "Done", "text.done": "You may take the card away.",

	"title.no-reader": "The card reader is not working", "text.no-reader": "Please use another kiosk. This screen comes back by itself.",
	"title.unread": "The card could not be read", "text.unread": "Take it away, then hold one card alone on the reader, and keep it there.",
	"title.not-ours": "This card cannot be topped up here", "text.not-ours": "It is a card of another scheme, or it does not work. If it is one of ours, take it to the operator.",
	"title.blocked": "This card is blocked", "text.blocked": "Take it to the operator: its value is not lost.",
	"title.full": "This card is full", "text.full": "It holds as much as the rules allow. Come back when some of it is spent.",
	"title.offline": "No network", "text.offline": "Please try again in a few minutes, or use another kiosk.",
	"title.off": "Top-up is not possible here now", "text.off": "Please use another kiosk, and tell the operator.",

	"title.way-out": "This way to pay is out of order", "text.way-out": "Choose another way to pay.",
	"title.proof": "Please pay in the app", "text.proof": "This payment needs a proof that it is you, which a kiosk cannot take. Top up in the app or at a desk, or pay another way.",
	"title.refused": "The payment was refused", "text.refused": "Your wallet or bank said no. Try again, or pay another way.",
	"title.expired": "Nobody paid in time", "text.expired": "Try again. If you have paid at the last moment, the money goes back by itself.",
	"title.cancelled": "Cancelled", "text.cancelled": "The code is worth nothing any more. Should you have paid at this moment, the money goes back by itself.",
	"title.qr-offline": "The network is gone", "text.qr-offline": "We cannot see whether you have paid. If you have: do not pay again, wait here. If you have not: do not pay now.",
	"title.checking": "Waiting for the payment service", "text.checking": "It has not told us yet whether you paid. Do not pay again. This may take a minute.",
	"title.closing": "Cancelling", "text.closing": "We ask the payment service that nobody can pay this code any more. Do not pay now.",
	"title.unsure": "We do not know yet whether you paid", "text.unsure": "Write down the number. If you have paid, hold the same card here later and it is loaded; what is not loaded goes back to you by itself.",

	"title.again": "Hold the same card again", "text.again": "It left too early. The card itself tells us whether the value has reached it: you get it once.",
	"title.wrong-card": "This is another card", "text.wrong-card": "Take it away, and hold the card that you began with.",
	"title.not-loaded": "The card was not loaded", "text.not-loaded": "Try again, or take the money back. If you choose nothing, it goes back by itself.",
	"title.paid-offline": "Paid, but the network is gone", "text.paid-offline": "Wait a moment: loading goes on when the network is back. You need not pay again.",
	"title.paid-no-reader": "Paid, but the card reader is gone", "text.paid-no-reader": "Wait a moment, or take the money back.",
	"title.kept": "Your money waits for your card", "text.kept": "Write down the number. Hold the same card here again, today or later, and it is loaded. What is not loaded goes back to you by itself.",
	"title.refunding": "Giving your money back", "text.refunding": "One moment.",
	"title.refunded": "Your money is back", "text.refunded": "It went back the way it came. Nothing was loaded.",
	"title.refund-later": "Your money is on its way back", "text.refund-later": "Write down the number. It goes back the way it came; you need not wait here.",

	"money.none": "Nothing was taken.", "money.yours": "It is with you until you pay.", "money.asked": "It is with you, or safe with us: the payment service is being asked.",
	"money.order": "It is safe with us, under this payment number.", "money.moving": "It is on its way to your card, or on it. The card tells us which.", "money.card": "It is on your card.",
	"money.back": "It is on its way back to you.", "money.returned": "It is back with you.",

	"choice.cancel": "Cancel", "choice.back": "Back", "choice.again": "Try again", "choice.refund": "Give the money back", "choice.finish": "OK",
	"way.wechat": "WeChat Pay", "way.alipay": "Alipay", "way.unionpay": "UnionPay", "way.stripe": "Stripe",

	"reason.two-cards": "There is more than one card on the reader. Hold one alone.", "reason.settled": "An earlier top-up has reached your card.",
	"reason.card": "The card said no.", "reason.card-blocked": "The card is blocked.", "reason.max-balance": "The card would hold more than is allowed.", "reason.no-refund": "The payment service does not give it back: take the number to the operator.",
}

var chinese = map[string]string{
	"other-language": "English", "balance": "余额", "amount": "充值金额", "card": "卡号", "payment": "支付单号", "where": "您的钱", "next": "请您", "after": "充值后余额", "before": "充值前余额",
	"print": "打印凭条", "receipt": "充值凭条", "time": "时间", "paid-by": "支付方式", "seconds": "秒", "gone": "本机暂停服务", "gone-text": "屏幕与主机失去连接。如果您已付款，款项是安全的：请稍后在此刷同一张卡，或联系运营方。",
	"untold": "充值已写入您的卡。网络较慢，账务稍后自动完成。",
	"step.1": "读卡", "step.2": "金额", "step.3": "付款", "step.4": "写卡",

	"title.idle": "请把卡放在读卡区", "text.idle": "查询余额并充值。",
	"title.reading": "正在读卡", "text.reading": "请不要移动卡片。",
	"title.amount": "请选择充值金额", "text.amount": "现在可以拿起卡片。",
	"title.way": "请选择支付方式", "text.way": "用手机付款。",
	"title.ordering": "请稍候", "text.ordering": "正在生成付款码。",
	"title.qr": "请扫码付款", "text.qr": "打开手机应用扫码付款，付款后请在此等候。",
	"title.hold": "已付款，请放上同一张卡", "text.hold": "请保持不动，直到屏幕显示完成。",
	"title.loading": "正在写卡，请勿移动", "text.loading": "请不要拿走卡片。",
	"title.done": "充值成功", "text.done": "现在可以拿走卡片。",

	"title.no-reader": "读卡器故障", "text.no-reader": "请使用其他充值机。恢复后本屏会自动返回。",
	"title.unread": "读卡失败", "text.unread": "请拿开卡片，再单独放上一张卡并保持不动。",
	"title.not-ours": "此卡不能在这里充值", "text.not-ours": "这不是本系统的卡，或卡已损坏。如果是本系统的卡，请到客服处理。",
	"title.blocked": "此卡已停用", "text.blocked": "请到客服处理，卡内金额不会丢失。",
	"title.full": "此卡余额已达上限", "text.full": "余额已到规定上限，消费后再来充值。",
	"title.offline": "网络中断", "text.offline": "请几分钟后再试，或使用其他充值机。",
	"title.off": "现在不能在此充值", "text.off": "请使用其他充值机，并告知运营方。",

	"title.way-out": "此支付方式暂不可用", "text.way-out": "请选择其他支付方式。",
	"title.proof": "请在手机应用中支付", "text.proof": "此笔付款需要验证身份，自助机无法办理。请在手机应用或服务窗口充值，或换一种支付方式。",
	"title.refused": "付款被拒绝", "text.refused": "钱包或银行拒绝了付款。请重试，或换一种支付方式。",
	"title.expired": "付款超时", "text.expired": "请重试。如果您在最后一刻付了款，款项会自动退回。",
	"title.cancelled": "已取消", "text.cancelled": "付款码已作废。如果您恰好付了款，款项会自动退回。",
	"title.qr-offline": "网络中断", "text.qr-offline": "暂时看不到您是否已付款。已付款：请勿重复付款，请在此等候。未付款：请现在不要付款。",
	"title.checking": "正在等待支付平台", "text.checking": "支付平台还没有告知结果。请勿重复付款，可能需要一分钟。",
	"title.closing": "正在取消", "text.closing": "正在请支付平台作废付款码，请现在不要付款。",
	"title.unsure": "暂时不知道您是否已付款", "text.unsure": "请记下单号。如果已付款，稍后在此刷同一张卡即可到账；没有到账的款项会自动退回。",

	"title.again": "请再放一次同一张卡", "text.again": "卡片拿开得太早。是否已到账由卡片本身告诉我们，只会到账一次。",
	"title.wrong-card": "这是另一张卡", "text.wrong-card": "请拿开，并放上开始时使用的那张卡。",
	"title.not-loaded": "充值没有成功", "text.not-loaded": "请重试，或要求退款。如果不选择，款项会自动退回。",
	"title.paid-offline": "已付款，但网络中断", "text.paid-offline": "请稍候：网络恢复后继续写卡，不需要再次付款。",
	"title.paid-no-reader": "已付款，但读卡器故障", "text.paid-no-reader": "请稍候，或要求退款。",
	"title.kept": "您的钱在等您的卡", "text.kept": "请记下单号。今天或以后在此刷同一张卡即可到账；没有到账的款项会自动退回。",
	"title.refunding": "正在退款", "text.refunding": "请稍候。",
	"title.refunded": "已退款", "text.refunded": "款项已原路退回，没有充值。",
	"title.refund-later": "款项正在退回", "text.refund-later": "请记下单号。款项原路退回，您不必在此等候。",

	"money.none": "没有扣款。", "money.yours": "付款前在您手中。", "money.asked": "在您手中，或安全地在我们这里：正在向支付平台查询。",
	"money.order": "安全地在我们这里，记在此支付单号下。", "money.moving": "正在写入您的卡，或已在卡上，由卡片告诉我们。", "money.card": "已在您的卡上。",
	"money.back": "正在退回给您。", "money.returned": "已退回给您。",

	"choice.cancel": "取消", "choice.back": "返回", "choice.again": "重试", "choice.refund": "退款", "choice.finish": "确定",
	"way.wechat": "微信支付", "way.alipay": "支付宝", "way.unionpay": "银联", "way.stripe": "Stripe",

	"reason.two-cards": "读卡区有不止一张卡，请只放一张。", "reason.settled": "之前的一笔充值已到账。",
	"reason.card": "卡片拒绝。", "reason.card-blocked": "此卡已停用。", "reason.max-balance": "充值后会超过余额上限。", "reason.no-refund": "支付平台不能退款：请持单号到客服处理。",
}
