package shadowaccount

import "slices"

// Entry is what the catalogue says of one code.
type Entry struct {
	Code        Code
	Severity    Severity
	Consequence Consequence
	Remedy      string // the consequence in a few words, for lists
	English     Words
	Chinese     Words
}

// Words explain a finding to an operator.
type Words struct {
	Meaning string // what has happened
	Do      string // what to look at, and what to do
}

// Catalogue lists every code that there is, by code. docs/findings.md is held to it by a test.
func Catalogue() []Entry { return slices.Clone(catalogue) }

// Explain finds the entry of a code.
func Explain(c Code) (Entry, bool) {
	i, ok := slices.BinarySearchFunc(catalogue, c, func(e Entry, c Code) int {
		switch {
		case e.Code < c:
			return -1
		case e.Code > c:
			return 1
		}
		return 0
	})
	if !ok {
		return Entry{}, false
	}
	return catalogue[i], true
}

// catalogue stands in the order of codes. The codes that begin with LOAD are of the top-up service (docs/topup.md).
var catalogue = []Entry{
	{FindAgedGap, Watch, OpensCase, "case",
		Words{"Records of the card have been missing for days. What they took is known from their neighbours; until they come it stays on the shadow account, which holds more than the card.", "Find the terminal that still holds them (terminals with a backlog, or broken). If it is lost for good, close the case by the value."},
		Words{"该卡的交易记录缺失已达数日；金额可由前后记录推知，补到之前影子账户高于卡内余额。", "查找仍有积压或已损坏的终端并补传；若确已丢失，按推知金额结案。"}},
	{FindAgedUnknown, Watch, OpensCase, "case",
		Words{"A terminal sent a debit and got no answer, and for days no later record of the card has told what became of it.", "Present the card at any reader and look at its log, or wait for its next tap. If neither can be had, close the case for the rider."},
		Words{"终端已发出扣款指令但未收到应答，数日内也没有后续记录能说明结果。", "请持卡人到任一读卡点读取卡内日志，或等待下一次刷卡；均不可得时，按有利于持卡人结案。"}},
	{FindArithmetic, Watch, OpensCase, "case",
		Words{"The balance after the debit is not the balance before it less the amount.", "Look at the other records of that terminal: one that reads balances wrongly does so often."},
		Words{"交易后余额不等于交易前余额减去金额。", "查看该终端的其他记录：读错余额的终端通常会重复出错。"}},
	{FindBadTAC, Alarm, Held, "claim held; look at the terminal",
		Words{"The card's proof (TAC) does not verify. Nothing was taken from the shadow account; the claim is held.", "One terminal, many cards: its key version or its software. Many terminals, one card: a forged card. Never pay the claim before that is known."},
		Words{"卡片的 TAC 校验不通过；影子账户未变动，该笔款项暂扣。", "同一终端多张卡：检查密钥版本与软件；多台终端同一张卡：疑为伪卡。查明前不得结算。"}},
	{FindBalanceDown, Watch, OpensCase, "case",
		Words{"Between two debits that follow each other the balance fell, and no debit is missing.", "Look for value unloaded elsewhere, or a terminal that reports a wrong balance."},
		Words{"两笔连续扣款之间余额下降，而中间并无缺失的扣款。", "检查是否在别处退资，或终端上报余额有误。"}},
	{FindBalanceUp, Alarm, Deny, "candidate for the deny list",
		Words{"Between two debits that follow each other the balance rose, and no load explains it: a roll-back, or a load that we never saw.", "Ask every seller of loads for the card. If none has sold one, put the card on the deny list."},
		Words{"两笔连续扣款之间余额上升，而没有充值可以解释：数据回滚，或存在未见的充值。", "向各充值点核查；若无人充值，应列入黑名单。"}},
	{FindClockAhead, Watch, LookAt, "look at the terminal's clock",
		Words{"Records came before the time that they say they were made at, by more than the error that the terminal owned up to.", "Set the terminal's clock, and look at what keeps it (time service, RTC battery). Fares that change with the time may have been wrong."},
		Words{"记录到达的时间早于其自称的产生时间，且超出终端声明的时钟误差。", "校准终端时钟并检查授时来源与电池；分时票价可能计算有误。"}},
	{FindClockBack, Watch, LookAt, "look at the terminal's clock",
		Words{"From one tap to the next the terminal's time went back by more than the errors that it owned up to.", "As for CLOCK_AHEAD. If the terminal was not in service work, look at who could set its clock."},
		Words{"相邻两次刷卡之间终端时间倒退，且超出其声明的误差。", "同 CLOCK_AHEAD；若并非检修所致，查明何人可改动时钟。"}},
	{FindClone, Alarm, Deny, "candidate for the deny list; the second claim is held",
		Words{"Two debits that the card's keys prove have one counter. A card counts each number once, so there are two cards. The oldest is paid, the other is held.", "Put the card on the deny list, and give its holder a new one. Look for the same with other cards of the batch."},
		Words{"同一计数器出现两笔均可验证的扣款；卡片对每个计数只用一次，故存在复制卡。较早一笔入账，另一笔暂扣。", "列入黑名单并为持卡人换卡；排查同批卡片。"}},
	{FindCounterBack, Alarm, Deny, "candidate for the deny list",
		Words{"A debit has a counter below the one that the card was issued with: a roll-back, or a card made twice.", "Compare with the personalisation file. If the opening counter there is right, put the card on the deny list."},
		Words{"扣款的计数器低于发卡时的初值：数据回滚，或重复制卡。", "与制卡文件核对；初值无误则列入黑名单。"}},
	{FindDeniedAcquirer, Alarm, OpensCase, "the acquirer bears it",
		Words{"The terminal took a debit of a denied card, though it had the list that denies it.", "The acquirer bears the amount. Look at why the terminal did not refuse: lists switched off, or a fault in its software."},
		Words{"终端已持有载明该卡的黑名单版本，仍接受了扣款。", "由收单方承担；查明终端未拒绝的原因：未启用名单，或软件缺陷。"}},
	{FindDeniedIssuer, Watch, OnlyTold, "the issuer bears it",
		Words{"A denied card was taken by a terminal that had no list that denies it yet.", "The issuer bears the amount. Many of them at one terminal: it does not get its lists."},
		Words{"被拒卡在尚未取得相应黑名单版本的终端上被接受。", "由发卡方承担；若同一终端频发，检查其名单下载。"}},
	{FindDenied, Watch, OpensCase, "case",
		Words{"The card was debited after it was blocked.", "DENIED_ACQUIRER or DENIED_ISSUER beside it says who bears it; if neither is there, it is not noted on which list the card stands (purselane findings denied)."},
		Words{"卡片停用后仍发生扣款。", "责任方见同卡的 DENIED_ACQUIRER 或 DENIED_ISSUER；均无则说明未登记该卡所在的名单版本（purselane findings denied）。"}},
	{FindTravel, Alarm, Deny, "candidate for the deny list",
		Words{"The card was at two places, and even with the kindest reading of both clocks nobody can travel so fast.", "If CLONE is there too, it is a copy. Alone, first look at both terminals' clocks and at the places' coordinates."},
		Words{"该卡先后出现在两地，即使对两台终端的时钟作最宽松的解释也不可能到达。", "若同时有 CLONE，即为复制卡；若仅此一项，先核对两台终端的时钟与地点坐标。"}},
	{"LOAD_AFTER_RETURN", Alarm, Deny, "candidate for the deny list",
		Words{"A card proves a load whose money had been taken back.", "A copy of a card, or keys in wrong hands: put the card on the deny list, and tell the key officers."},
		Words{"款项退回之后，卡片却证明充值已入账。", "疑为复制卡或密钥外泄：列入黑名单并通知密钥管理人员。"}},
	{"LOAD_ARQC_BAD", Alarm, LookAt, "look at the kiosk",
		Words{"An electronic cash card's request for a load does not verify.", "Look at the kiosk; if it is sound, someone tries."},
		Words{"电子现金卡的充值请求校验不通过。", "检查充值终端；若终端无误，则有人在尝试攻击。"}},
	{"LOAD_BAD_TAC", Alarm, LookAt, "look at the kiosk",
		Words{"A load's TAC proves nothing.", "Look at the kiosk; if it is sound, someone tries."},
		Words{"充值的 TAC 不成立。", "检查充值终端；若终端无误，则有人在尝试攻击。"}},
	{"LOAD_CONTRADICTION", Alarm, Deny, "candidate for the deny list",
		Words{"The card shows that a load did not take place, and its records show that it did.", "A copy of a card: put it on the deny list, and settle the order by hand."},
		Words{"卡片显示未充值，而其记录显示已充值。", "疑为复制卡：列入黑名单，订单人工处理。"}},
	{"LOAD_COUNTER_BACK", Alarm, OpensCase, "case",
		Words{"A card showed an online counter below what it had shown before.", "A call that came very late, an answer that was kept, or a copy of a card: compare with the card's taps."},
		Words{"卡片显示的联机计数器低于先前的值。", "可能是迟到的请求、被留存的应答或复制卡：与该卡交易对照。"}},
	{"LOAD_KEY_REUSED", Alarm, LookAt, "look at the agent's software",
		Words{"An idempotency key of a load came again with another amount.", "Look at the agent's software. The first order stands."},
		Words{"同一充值请求号再次出现且金额不同。", "检查代理方软件；以首个订单为准。"}},
	{"LOAD_MAC1_BAD", Alarm, LookAt, "look at the kiosk",
		Words{"A card's answer to INITIALIZE FOR LOAD does not verify.", "Look at the kiosk; if it is sound, someone tries."},
		Words{"充值初始化应答的 MAC1 校验不通过。", "检查充值终端；若终端无误，则有人在尝试攻击。"}},
	{FindNegativeShadow, Alarm, Deny, "candidate for the deny list",
		Words{"The card has spent more than it was ever loaded with: a load that we never saw, or a clone.", "Ask every seller of loads for the card. If none has sold one, put the card on the deny list."},
		Words{"该卡支出多于全部充值：存在未见的充值，或为复制卡。", "向各充值点核查；若无人充值，应列入黑名单。"}},
	{FindOverLimit, Alarm, OpensCase, "case",
		Words{"One debit took more than the scheme lets one tap take.", "Look at the terminal's profile and fare tables first, then at the till that gave the amount."},
		Words{"单笔扣款超出方案规定的上限。", "先查终端参数与票价表，再查给出金额的收银端。"}},
	{FindRecordsLost, Alarm, OpensCase, "case",
		Words{"A terminal says that it no longer holds records that never came: its disk was lost, or restored from an old copy.", "Look for the journal (export, old disk). Cards' gaps tell what the records took."},
		Words{"终端称其已不再持有从未上传的记录：存储丢失，或由旧备份恢复。", "寻找日志（导出文件、旧盘）；金额可由各卡的缺口推知。"}},
	{FindRecordsMissing, Watch, OpensCase, "case",
		Words{"Records in the middle of a terminal's journal have not come for days, though later ones have.", "The terminal was asked for them. Look at its journal; it may have damaged pages (journal check, export)."},
		Words{"终端日志中间的记录数日未到，而其后的已到。", "已要求终端重传；检查其日志是否损坏（校验、导出）。"}},
	{FindRecordConflict, Alarm, LookAt, "second content kept apart; look at the terminal",
		Words{"One record number of a terminal came with two contents. The first stands, the second is kept apart.", "A terminal restored from a copy, two terminals with one key, or a forged record: stop the terminal until it is known which."},
		Words{"同一终端的同一记录号出现两种内容；以先到者为准，另一份单独保存。", "可能是终端由备份恢复、两台终端共用密钥或伪造记录：查明前停用该终端。"}},
	{FindReplay, Alarm, LookAt, "counted once; look at the terminal",
		Words{"One debit that a card's TAC proves stands in two records. It is counted once.", "Look at the terminal of the second record: it sends what it did not take."},
		Words{"同一笔可验证的扣款出现在两条记录中；只入账一次。", "检查第二条记录所属终端：它上报了并未收取的款项。"}},
	{FindSAMHole, Info, LookAt, "look at where the PSAM was",
		Words{"A PSAM has counted a long run of purchases of which no record came. A few numbers are always missing: a card that is pulled away before the debit uses one up.", "If the terminal's records are missing too, that is why. If not, ask where the PSAM was meanwhile: it may have been used in another device."},
		Words{"PSAM 的终端交易序号出现长段空缺；少量空缺属正常（卡片在扣款前移开也会用掉一个）。", "若终端记录同时缺失，即为其原因；否则查明 PSAM 当时所在，可能被用于其他设备。"}},
	{FindUnknownCard, Alarm, OpensCase, "card registered as unknown; look at personalisation",
		Words{"Our keys verify a card that we never issued. Its debits are owed to the merchants all the same.", "Most often a batch of cards was not registered. If it was not ours, keys are in wrong hands: tell the key officers."},
		Words{"密钥可验证，但该卡未经本系统发行；其扣款仍应付给商户。", "多为批次漏登记；若确非本方卡片，则密钥可能外泄，通知密钥管理人员。"}},
	{FindUnknownKey, Alarm, Held, "claim held; look at the terminal",
		Words{"The record names a key version or algorithm that the HSM does not have. The claim is held.", "Bring the key in if it is ours; the record is not looked at again by itself."},
		Words{"记录所用密钥版本或算法不在加密机中；该笔款项暂扣。", "若属本方密钥则导入；已有记录不会自动重新校验。"}},
	{FindVelocity, Watch, OpensCase, "case",
		Words{"The card was tapped more often in a short time than the scheme holds usual.", "One holder who pays for a group does so as well. With CLONE or IMPOSSIBLE_TRAVEL beside it, it is a copy."},
		Words{"该卡在短时间内刷卡次数超出常规。", "为多人付费者亦会如此；若同时有 CLONE 或 IMPOSSIBLE_TRAVEL，则为复制卡。"}},
	{FindWrongSAM, Alarm, LookAt, "counted for the terminal's merchant; look at the terminal",
		Words{"The PSAM in the record is none of the terminal's. It is counted for the merchant of the terminal.", "Most often a PSAM was changed and not registered (terminal psam). If not, ask where the PSAM is."},
		Words{"记录中的 PSAM 不属于该终端；仍记入该终端的商户。", "多为更换后未登记（terminal psam）；否则查明 PSAM 下落。"}},
}
