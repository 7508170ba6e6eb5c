package epcard

import (
	"encoding/binary"
	"io"
	"math"
	"slices"

	"github.com/purselane/purselane/card/apdu"
	"github.com/purselane/purselane/card/ep"
	"github.com/purselane/purselane/internal/money"
	"github.com/purselane/purselane/simulator/image"
)

// P2 of the purse commands.
const (
	purseED = 0x01
	purseEP = 0x02
)

// maxHistory bounds the trip history records one composite purchase may buffer: a card's buffer is small.
const maxHistory = 4

// pending is a transaction between INITIALIZE and its second command.
type pending struct {
	purse    byte // P2 of its INITIALIZE
	kind     ep.Type
	amount   money.Amount
	terminal ep.TerminalNumber
	random   [4]byte
	counter  uint16   // before
	session  [8]byte  // of an online transaction; a purchase's needs the terminal serial, which comes with DEBIT
	key      PurseKey // that makes the session key

	// Buffered by UPDATE CAPP DATA CACHE, written with the debit or never.
	trips   [tripRecords]image.Bytes
	history []image.Bytes
}

// online reports a transaction with the host: load, unload, overdraft limit.
func (p *pending) online() bool {
	return p.kind == ep.TypeLoad || p.kind == ep.TypeEDLoad || p.kind == ep.TypeUnload || p.kind == ep.TypeEDLimit
}

// is reports a pending transaction of one of the kinds.
func (p *pending) is(kinds ...ep.Type) bool { return p != nil && slices.Contains(kinds, p.kind) }

// getBalance is GET BALANCE: what can be spent (P1 00), the overdraft limit (01), how much of it is used (02), the holder's own money
// (03). That of ED wants the PIN.
func (c *Card) getBalance(cmd apdu.Command) apdu.Response {
	if !c.selected {
		return sw(swNoFile)
	}
	p, found := c.img.purse(cmd.P2)
	if cmd.P1 > 3 || !found {
		return sw(swP1P2)
	}
	if len(cmd.Data) > 0 {
		return sw(swLength)
	}
	if cmd.P2 == purseED && !c.verified {
		return sw(swSecurity)
	}
	if r, fits := leFits(cmd, 4); !fits {
		return r
	}
	balance, limit := p.Balance.Minor(), p.Limit.Minor()
	value := [4]int64{balance, limit, max(0, limit-balance), max(0, balance-limit)}[cmd.P1]
	return ok(amount4(money.Minor(value)))
}

// amount4 codes an amount that Check or a balance rule has already bounded.
func amount4(a money.Amount) []byte { return binary.BigEndian.AppendUint32(nil, uint32(a.Minor())) }

func limit3(a money.Amount) []byte { return amount4(a)[1:] }

// initialize is INITIALIZE FOR LOAD (P1 00), PURCHASE (01), CASH WITHDRAWAL (02), CAPP PURCHASE (03), UPDATE (04) and UNLOAD (05). It
// changes nothing that lasts.
func (c *Card) initialize(cmd apdu.Command) apdu.Response {
	if !c.selected {
		return sw(swNoFile)
	}
	purse, found := c.img.purse(cmd.P2)
	kind := kindOf(cmd.P1, cmd.P2, c.img.Settings)
	if !found || kind == 0 {
		return sw(swP1P2)
	}
	p := &pending{purse: cmd.P2, kind: kind}
	switch {
	case kind == ep.TypeEDLimit && len(cmd.Data) == 7:
		p.terminal = ep.TerminalNumber(cmd.Data[1:7])
	case kind != ep.TypeEDLimit && len(cmd.Data) == 11:
		p.amount, p.terminal = ep.GetAmount(cmd.Data[1:5]), ep.TerminalNumber(cmd.Data[5:11])
	default:
		return sw(swLength)
	}
	if !c.verified && (cmd.P2 == purseED || kind == ep.TypeLoad && c.img.Settings.LoadPIN) {
		return sw(swSecurity)
	}
	switch kind {
	case ep.TypeLoad, ep.TypeEDLoad:
		p.key = c.img.LoadKey
		return c.initOnline(cmd, p, purse, purse.OnlineCounter)
	case ep.TypeUnload:
		p.key = c.img.UnloadKey
		if c.img.Settings.UnloadOffline {
			return c.initOnline(cmd, p, purse, purse.OfflineCounter)
		}
		return c.initOnline(cmd, p, purse, purse.OnlineCounter)
	case ep.TypeEDLimit:
		p.key = c.img.LimitKey
		return c.initOnline(cmd, p, purse, purse.OnlineCounter)
	}
	p.key = c.img.PurchaseKey
	return c.initPurchase(cmd, p, purse)
}

// kindOf is the transaction that an INITIALIZE starts, 0 for none: which purse has which.
func kindOf(p1, p2 byte, s Settings) ep.Type {
	ed := map[byte]ep.Type{0x00: ep.TypeEDLoad, 0x01: ep.TypeEDPurchase, 0x02: ep.TypeEDCash, 0x04: ep.TypeEDLimit, 0x05: ep.TypeUnload}
	other := map[byte]ep.Type{0x00: ep.TypeLoad, 0x01: ep.TypePurchase, 0x03: ep.TypeComposite}
	switch {
	case p2 == purseED:
		return ed[p1]
	case p1 == 0x05 && s.UnloadEP:
		return ep.TypeUnload
	}
	return other[p1]
}

func (c *Card) initPurchase(cmd apdu.Command, p *pending, purse Purse) apdu.Response {
	switch {
	case cmd.Data[0] != p.key.Index || p.key == (PurseKey{}):
		return sw(swKey)
	case purse.OfflineCounter == math.MaxUint16:
		return sw(swCounterMax)
	case p.amount.Cmp(purse.Balance) > 0:
		return sw(c.img.Settings.word(c.img.Settings.Insufficient, swInsufficient))
	}
	if r, fits := leFits(cmd, 15); !fits {
		return r
	}
	if _, err := io.ReadFull(c.rand, p.random[:]); err != nil {
		return sw(swUnknown)
	}
	p.counter = purse.OfflineCounter
	c.pending = p
	out := amount4(purse.Balance)
	out = binary.BigEndian.AppendUint16(out, p.counter)
	out = append(out, limit3(purse.Limit)...)
	out = append(out, p.key.Version, p.key.Algorithm)
	return ok(append(out, p.random[:]...))
}

// initOnline is INITIALIZE of a transaction with the host.
func (c *Card) initOnline(cmd apdu.Command, p *pending, purse Purse, counter uint16) apdu.Response {
	after, err := purse.Balance.Add(p.amount)
	loads := p.kind == ep.TypeLoad || p.kind == ep.TypeEDLoad
	n := 16
	if p.kind == ep.TypeEDLimit {
		n = 19
	}
	switch {
	case cmd.Data[0] != p.key.Index || p.key == (PurseKey{}):
		return sw(swKey)
	case counter == math.MaxUint16:
		return sw(swCounterMax)
	case loads && (err != nil || after.Minor() > maxBalance):
		return sw(swData) // no status word for a full purse was found in any source (purse facts 13)
	case p.kind == ep.TypeUnload && p.amount.Cmp(purse.Balance) > 0:
		return sw(c.img.Settings.word(c.img.Settings.Insufficient, swInsufficient))
	}
	if r, fits := leFits(cmd, n); !fits {
		return r
	}
	if _, err := io.ReadFull(c.rand, p.random[:]); err != nil {
		return sw(swUnknown)
	}
	p.counter = counter
	p.session = ep.LoadSession(p.random, counter)
	c.pending = p
	input := ep.LoadMAC1(purse.Balance, p.amount, p.kind, p.terminal)
	out := amount4(purse.Balance)
	out = binary.BigEndian.AppendUint16(out, counter)
	if p.kind == ep.TypeEDLimit {
		input = ep.LimitMAC1(purse.Balance, purse.Limit, p.terminal)
		out = append(out, limit3(purse.Limit)...)
	}
	mac1 := c.sessionMAC(p, p.session, input)
	out = append(out, p.key.Version, p.key.Algorithm)
	out = append(out, p.random[:]...)
	return ok(append(out, mac1[:]...))
}

func (c *Card) sessionMAC(p *pending, session [8]byte, input []byte) [4]byte {
	return c.cipherOf(p.key.Algorithm).SessionMAC(p.key.Key.Key, session, input)
}

func (c *Card) tac(p *pending, input []byte) [4]byte {
	return c.cipherOf(p.key.Algorithm).TAC(c.img.TACKey.Key, input)
}

// cache is UPDATE CAPP DATA CACHE: it buffers a record of EF 1A (by identifier or number) or a new one of EF 1E.
func (c *Card) cache(cmd apdu.Command) apdu.Response {
	p := c.pending
	if p == nil || p.kind != ep.TypeComposite {
		c.pending = nil
		return sw(swState)
	}
	sfi, mode := cmd.P2>>3, cmd.P2&0x07
	switch sfi {
	case ep.SFITripHistory:
		switch {
		case cmd.P1 != 0 || mode != 0 && mode != 4:
			return sw(swP1P2)
		case len(cmd.Data) != historySize:
			return sw(swLength)
		case len(p.history) == maxHistory:
			return sw(swNoSpace)
		}
		p.history = append(p.history, image.Bytes(cmd.Data))
		return sw(apdu.OK)
	case ep.SFITripState:
		i := -1
		switch mode {
		case 0:
			i = tripByID(c.img, cmd.P1)
		case 4:
			i = int(cmd.P1) - 1
		default:
			return sw(swP1P2)
		}
		if i < 0 || i >= tripRecords {
			return sw(swNoRecord)
		}
		if len(cmd.Data) != tripSize {
			return sw(swLength)
		}
		if mode == 0 && cmd.Data[1] != cmd.P1 {
			// A record filed under another's identifier would be lost to every terminal after this one.
			return sw(swData)
		}
		p.trips[i] = image.Bytes(cmd.Data)
		return sw(apdu.OK)
	}
	if c.hasFile(sfi) {
		return sw(swFileType)
	}
	return sw(swNoFile)
}

// debit is DEBIT FOR PURCHASE and FOR CAPP PURCHASE: purse, counter, buffered records, log record and proof change
// together or not at all.
func (c *Card) debit(cmd apdu.Command) apdu.Response {
	p := c.pending
	if p == nil || p.online() {
		c.pending = nil
		return sw(swState)
	}
	if cmd.P1 != 0x01 || cmd.P2 != 0 {
		return sw(swP1P2)
	}
	if len(cmd.Data) != 15 {
		return sw(swLength)
	}
	if r, fits := leFits(cmd, 8); !fits {
		return r
	}
	c.pending = nil
	serial := binary.BigEndian.Uint32(cmd.Data[0:4])
	at := ep.DateTime(cmd.Data[4:11])
	session := ep.PurchaseSession(p.random, p.counter, serial)
	if c.sessionMAC(p, session, c.mac1Input(p, at)) != [4]byte(cmd.Data[11:15]) {
		return sw(swMAC)
	}
	purse, _ := c.img.purse(p.purse)
	after, err := purse.Balance.Sub(p.amount)
	if err != nil || after.Sign() < 0 {
		return sw(c.img.Settings.word(c.img.Settings.Insufficient, swInsufficient))
	}
	if c.lie == WrongBorrow {
		after = money.Minor(int64(wrongBorrow(uint32(purse.Balance.Minor()), uint32(p.amount.Minor()))))
	}
	mac2 := c.sessionMAC(p, session, ep.PurchaseMAC2(p.amount))
	tac := c.tac(p, ep.PurchaseTAC(p.amount, p.kind, p.terminal, serial, at))

	purse.Balance = after
	silent := c.img.Settings.ZeroDebitSilent && p.kind == ep.TypeComposite && p.amount.Sign() == 0
	if !silent {
		c.offline(&purse, p.kind, mac2, tac)
	}
	next := c.img.withPurse(p.purse, purse)
	push(next.Log[:], c.logRecord(p, purse.Limit, at))
	for i, r := range p.trips {
		if r != "" {
			next.Trips[i] = r
		}
	}
	for _, r := range p.history {
		push(next.History[:], []byte(r))
	}
	if s := c.finish(next); s != apdu.OK {
		return sw(s)
	}
	return ok(append(tac[:], mac2[:]...)) // TAC first (purse facts 6.7)
}

// finish commits a transaction. The security state ends with it (purse facts 4.2).
func (c *Card) finish(next Image) apdu.SW {
	c.verified, c.authenticated = false, false
	return c.commit(next)
}

// offline moves the offline counter and keeps the proof.
func (c *Card) offline(p *Purse, kind ep.Type, mac, tac [4]byte) {
	p.OfflineCounter = c.nextOffline(p.OfflineCounter)
	p.OfflineProof = Proof{Type: kind, After: p.OfflineCounter, MAC: image.Bytes(mac[:]), TAC: image.Bytes(tac[:])}
	if c.img.Settings.SharedCounter {
		p.OnlineCounter = p.OfflineCounter
	}
}

func (c *Card) nextOffline(counter uint16) uint16 {
	if c.lie == CounterWraps && counter == 256 {
		return 1
	}
	return counter + 1
}

// online moves the online counter and keeps the proof.
func (c *Card) online(p *Purse, kind ep.Type, mac, tac [4]byte) {
	p.OnlineCounter++
	p.OnlineProof = Proof{Type: kind, After: p.OnlineCounter, MAC: image.Bytes(mac[:]), TAC: image.Bytes(tac[:])}
	if c.img.Settings.SharedCounter {
		p.OfflineCounter = p.OnlineCounter
	}
}

// takeOnline takes the pending transaction of one of the kinds for its second command, whose data has n bytes and ends with date, time
// and MAC2 over mac2's input.
func (c *Card) takeOnline(cmd apdu.Command, n int, mac2 func(p *pending, at ep.DateTime) []byte, kinds ...ep.Type) (*pending, ep.DateTime, apdu.Response) {
	p := c.pending
	if !p.is(kinds...) {
		c.pending = nil
		return nil, ep.DateTime{}, sw(swState)
	}
	if len(cmd.Data) != n {
		return nil, ep.DateTime{}, sw(swLength)
	}
	if r, fits := leFits(cmd, 4); !fits {
		return nil, ep.DateTime{}, r
	}
	c.pending = nil
	at := ep.DateTime(cmd.Data[n-11 : n-4])
	if c.sessionMAC(p, p.session, mac2(p, at)) != [4]byte(cmd.Data[n-4:]) {
		return nil, ep.DateTime{}, sw(swMAC)
	}
	return p, at, sw(apdu.OK)
}

func amountMAC2(p *pending, at ep.DateTime) []byte {
	return ep.LoadMAC2(p.amount, p.kind, p.terminal, at)
}

// credit is CREDIT FOR LOAD.
func (c *Card) credit(cmd apdu.Command) apdu.Response {
	if c.pending.is(ep.TypeLoad, ep.TypeEDLoad) && (cmd.P1 != 0 || cmd.P2 != 0) {
		return sw(swP1P2)
	}
	p, at, r := c.takeOnline(cmd, 11, amountMAC2, ep.TypeLoad, ep.TypeEDLoad)
	if p == nil {
		return r
	}
	purse, _ := c.img.purse(p.purse)
	after, err := purse.Balance.Add(p.amount)
	if err != nil {
		return sw(swData)
	}
	tac := c.tac(p, ep.LoadTAC(after, p.counter, p.amount, p.kind, p.terminal, at))
	purse.Balance = after
	c.online(&purse, p.kind, [4]byte{}, tac)
	next := c.img.withPurse(p.purse, purse)
	push(next.Log[:], c.logRecord(p, purse.Limit, at))
	if s := c.finish(next); s != apdu.OK {
		return sw(s)
	}
	return ok(tac[:])
}

// debitUnload is DEBIT FOR UNLOAD. It answers MAC3; the proof has MAC3 and the TAC over the same input.
func (c *Card) debitUnload(cmd apdu.Command) apdu.Response {
	if c.pending.is(ep.TypeUnload) && cmd.P2 != 0 {
		return sw(swP1P2)
	}
	p, at, r := c.takeOnline(cmd, 11, amountMAC2, ep.TypeUnload)
	if p == nil {
		return r
	}
	purse, _ := c.img.purse(p.purse)
	after, err := purse.Balance.Sub(p.amount)
	if err != nil || after.Sign() < 0 {
		return sw(c.img.Settings.word(c.img.Settings.Insufficient, swInsufficient))
	}
	input := ep.UnloadMAC3(after, p.counter, p.amount, p.terminal, at)
	mac3, tac := c.sessionMAC(p, p.session, input), c.tac(p, input)
	purse.Balance = after
	if c.img.Settings.UnloadOffline {
		c.offline(&purse, p.kind, mac3, tac)
	} else {
		c.online(&purse, p.kind, mac3, tac)
	}
	next := c.img.withPurse(p.purse, purse)
	push(next.Log[:], c.logRecord(p, purse.Limit, at))
	if s := c.finish(next); s != apdu.OK {
		return sw(s)
	}
	return ok(mac3[:])
}

// updateLimit is UPDATE OVERDRAFT LIMIT: the balance moves by as much as the limit. A limit that would leave less than nothing is
// refused, since more of the old one is spent than the new one allows.
func (c *Card) updateLimit(cmd apdu.Command) apdu.Response {
	if c.pending.is(ep.TypeEDLimit) && (cmd.P1 != 0 || cmd.P2 != 0) {
		return sw(swP1P2)
	}
	limit := func() money.Amount { return ep.GetAmount(append([]byte{0}, cmd.Data[0:3]...)) }
	p, at, r := c.takeOnline(cmd, 14, func(p *pending, at ep.DateTime) []byte { return ep.LimitMAC2(limit(), p.terminal, at) }, ep.TypeEDLimit)
	if p == nil {
		return r
	}
	purse, _ := c.img.purse(p.purse)
	after := purse.Balance.Minor() - purse.Limit.Minor() + limit().Minor()
	switch {
	case after < 0:
		return sw(c.img.Settings.word(c.img.Settings.Insufficient, swInsufficient))
	case after > maxBalance:
		return sw(swData)
	}
	purse.Balance, purse.Limit = money.Minor(after), limit()
	p.amount = purse.Limit
	input := ep.LimitTAC(purse.Balance, p.counter, purse.Limit, p.terminal, at)
	tac := c.tac(p, input)
	if c.img.Settings.LimitTACWhole {
		tac = c.cipherOf(p.key.Algorithm).WholeMAC(c.img.TACKey.Key, input)
	}
	c.online(&purse, p.kind, [4]byte{}, tac)
	next := c.img.withPurse(p.purse, purse)
	push(next.Log[:], c.logRecord(p, purse.Limit, at))
	if s := c.finish(next); s != apdu.OK {
		return sw(s)
	}
	return ok(tac[:])
}

// logRecord is the record of EF 18 for p, with the overdraft limit after it.
func (c *Card) logRecord(p *pending, limit money.Amount, at ep.DateTime) []byte {
	counter := p.counter
	if c.img.LogCounter == LogAfter {
		counter = c.nextOffline(counter)
	}
	return ep.LogRecord{Counter: counter, Overdraft: uint32(limit.Minor()), Amount: p.amount, Type: p.kind, Terminal: p.terminal, At: at}.Bytes()
}

// prove is GET TRANSACTION PROVE: the proof of the transaction of type P2 whose counter after it is the argument. MAC
// first, TAC second, the opposite of DEBIT.
func (c *Card) prove(cmd apdu.Command) apdu.Response {
	if !c.selected {
		return sw(swNoFile)
	}
	if cmd.P1 != 0 {
		return sw(swP1P2)
	}
	if len(cmd.Data) != 2 {
		return sw(swLength)
	}
	after := binary.BigEndian.Uint16(cmd.Data)
	for _, p := range []Proof{c.img.OfflineProof, c.img.OnlineProof, c.img.Deposit.OfflineProof, c.img.Deposit.OnlineProof} {
		if p.Type == 0 || p.Type != ep.Type(cmd.P2) || p.After != after {
			continue
		}
		if r, fits := leFits(cmd, 8); !fits {
			return r
		}
		return ok([]byte(p.MAC + p.TAC))
	}
	return sw(c.img.Settings.word(c.img.Settings.NoProof, swNoProof))
}
