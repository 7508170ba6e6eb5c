package epcard

import (
	"encoding/binary"
	"io"
	"math"

	"github.com/purselane/purselane/card/apdu"
	"github.com/purselane/purselane/card/ep"
	"github.com/purselane/purselane/card/keys"
	"github.com/purselane/purselane/internal/money"
	"github.com/purselane/purselane/simulator/image"
)

// purseEP is P2 of the purse commands; this card has no ED purse (01).
const purseEP = 0x02

// maxHistory bounds the trip history records one composite purchase may buffer: a card's buffer is small.
const maxHistory = 4

// pending is a transaction between INITIALIZE and its second command.
type pending struct {
	kind     ep.Type
	amount   money.Amount
	terminal ep.TerminalNumber
	random   [4]byte
	session  [8]byte // session key of a load; a purchase's needs the terminal serial, which comes with DEBIT

	// Buffered by UPDATE CAPP DATA CACHE, written with the debit or never.
	trips   [tripRecords]image.Bytes
	history []image.Bytes
}

// getBalance is GET BALANCE. This purse has no overdraft: spendable (P1 00) and own money (03) are one, the limit (01)
// and its used part (02) are zero.
func (c *Card) getBalance(cmd apdu.Command) apdu.Response {
	if !c.selected {
		return sw(swNoFile)
	}
	if cmd.P1 > 3 || cmd.P2 != purseEP {
		return sw(swP1P2)
	}
	if len(cmd.Data) > 0 {
		return sw(swLength)
	}
	if r, fits := leFits(cmd, 4); !fits {
		return r
	}
	if cmd.P1 == 1 || cmd.P1 == 2 {
		return ok(make([]byte, 4))
	}
	return ok(amount4(c.img.Balance))
}

// amount4 codes an amount that Check or a balance rule has already bounded.
func amount4(a money.Amount) []byte { return binary.BigEndian.AppendUint32(nil, uint32(a.Minor())) }

// initialize is INITIALIZE FOR LOAD (P1 00), PURCHASE (01) and CAPP PURCHASE (03). It changes nothing that lasts.
func (c *Card) initialize(cmd apdu.Command) apdu.Response {
	if !c.selected {
		return sw(swNoFile)
	}
	if cmd.P2 != purseEP {
		return sw(swP1P2)
	}
	if len(cmd.Data) != 11 {
		return sw(swLength)
	}
	p := &pending{amount: ep.GetAmount(cmd.Data[1:5]), terminal: ep.TerminalNumber(cmd.Data[5:11])}
	switch cmd.P1 {
	case 0x00:
		p.kind = ep.TypeLoad
		return c.initLoad(cmd, p)
	case 0x01:
		p.kind = ep.TypePurchase
		return c.initPurchase(cmd, p)
	case 0x03:
		p.kind = ep.TypeComposite
		return c.initPurchase(cmd, p)
	}
	return sw(swP1P2)
}

func (c *Card) initPurchase(cmd apdu.Command, p *pending) apdu.Response {
	key := c.img.PurchaseKey
	switch {
	case cmd.Data[0] != key.Index:
		return sw(swKey)
	case c.img.OfflineCounter == math.MaxUint16:
		return sw(swCounterMax)
	case p.amount.Cmp(c.img.Balance) > 0:
		return sw(swInsufficient)
	}
	if r, fits := leFits(cmd, 15); !fits {
		return r
	}
	if _, err := io.ReadFull(c.rand, p.random[:]); err != nil {
		return sw(swUnknown)
	}
	c.pending = p
	out := amount4(c.img.Balance)
	out = binary.BigEndian.AppendUint16(out, c.img.OfflineCounter)
	out = append(out, 0, 0, 0, key.Version, key.Algorithm) // overdraft limit 0
	return ok(append(out, p.random[:]...))
}

func (c *Card) initLoad(cmd apdu.Command, p *pending) apdu.Response {
	key := c.img.LoadKey
	after, err := c.img.Balance.Add(p.amount)
	switch {
	case cmd.Data[0] != key.Index:
		return sw(swKey)
	case c.img.OnlineCounter == math.MaxUint16:
		return sw(swCounterMax)
	case err != nil || after.Minor() > maxBalance:
		return sw(swData) // no status word for a full purse was found in any source (purse facts 13)
	}
	if r, fits := leFits(cmd, 16); !fits {
		return r
	}
	if _, err := io.ReadFull(c.rand, p.random[:]); err != nil {
		return sw(swUnknown)
	}
	p.session = keys.SessionKey(key.Key.Key, ep.LoadSession(p.random, c.img.OnlineCounter))
	c.pending = p
	mac1 := keys.MAC8(p.session, ep.LoadMAC1(c.img.Balance, p.amount, p.kind, p.terminal))
	out := amount4(c.img.Balance)
	out = binary.BigEndian.AppendUint16(out, c.img.OnlineCounter)
	out = append(out, key.Version, key.Algorithm)
	out = append(out, p.random[:]...)
	return ok(append(out, mac1[:]...))
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
	if p == nil || p.kind == ep.TypeLoad {
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
	session := keys.SessionKey(c.img.PurchaseKey.Key.Key, ep.PurchaseSession(p.random, c.img.OfflineCounter, serial))
	if keys.MAC8(session, ep.PurchaseMAC1(p.amount, p.kind, p.terminal, at)) != [4]byte(cmd.Data[11:15]) {
		return sw(swMAC)
	}
	after, err := c.img.Balance.Sub(p.amount)
	if err != nil || after.Sign() < 0 {
		return sw(swInsufficient)
	}
	mac2 := keys.MAC8(session, ep.PurchaseMAC2(p.amount))
	tac := keys.MAC8(keys.FoldTAC(c.img.TACKey.Key), ep.PurchaseTAC(p.amount, p.kind, p.terminal, serial, at))

	next := c.img
	next.Balance = after
	next.OfflineCounter++
	next.OfflineProof = Proof{Type: p.kind, After: next.OfflineCounter, MAC: image.Bytes(mac2[:]), TAC: image.Bytes(tac[:])}
	push(next.Log[:], c.logRecord(p, c.img.OfflineCounter, at))
	for i, r := range p.trips {
		if r != "" {
			next.Trips[i] = r
		}
	}
	for _, r := range p.history {
		push(next.History[:], []byte(r))
	}
	if s := c.commit(next); s != apdu.OK {
		return sw(s)
	}
	return ok(append(tac[:], mac2[:]...)) // TAC first (purse facts 6.7)
}

// credit is CREDIT FOR LOAD.
func (c *Card) credit(cmd apdu.Command) apdu.Response {
	p := c.pending
	if p == nil || p.kind != ep.TypeLoad {
		c.pending = nil
		return sw(swState)
	}
	if cmd.P1 != 0 || cmd.P2 != 0 {
		return sw(swP1P2)
	}
	if len(cmd.Data) != 11 {
		return sw(swLength)
	}
	if r, fits := leFits(cmd, 4); !fits {
		return r
	}
	c.pending = nil
	at := ep.DateTime(cmd.Data[0:7])
	if keys.MAC8(p.session, ep.LoadMAC2(p.amount, p.kind, p.terminal, at)) != [4]byte(cmd.Data[7:11]) {
		return sw(swMAC)
	}
	after, err := c.img.Balance.Add(p.amount)
	if err != nil {
		return sw(swData)
	}
	tac := keys.MAC8(keys.FoldTAC(c.img.TACKey.Key), ep.LoadTAC(after, c.img.OnlineCounter, p.amount, p.kind, p.terminal, at))

	next := c.img
	next.Balance = after
	next.OnlineCounter++
	next.OnlineProof = Proof{Type: p.kind, After: next.OnlineCounter, MAC: image.Bytes(make([]byte, 4)), TAC: image.Bytes(tac[:])}
	push(next.Log[:], c.logRecord(p, c.img.OnlineCounter, at))
	if s := c.commit(next); s != apdu.OK {
		return sw(s)
	}
	return ok(tac[:])
}

// logRecord is the record of EF 18 for p; before is the transaction's counter before the increment.
func (c *Card) logRecord(p *pending, before uint16, at ep.DateTime) []byte {
	counter := before
	if c.img.LogCounter == LogAfter {
		counter++
	}
	return ep.LogRecord{Counter: counter, Amount: p.amount, Type: p.kind, Terminal: p.terminal, At: at}.Bytes()
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
	for _, p := range []Proof{c.img.OfflineProof, c.img.OnlineProof} {
		if p.Type == 0 || p.Type != ep.Type(cmd.P2) || p.After != after {
			continue
		}
		if r, fits := leFits(cmd, 8); !fits {
			return r
		}
		return ok([]byte(p.MAC + p.TAC))
	}
	return sw(swNoProof)
}
