package storetest

import (
	"encoding/binary"
	"fmt"
	"math"
	"math/rand/v2"

	"github.com/purselane/purselane/backend/store"
	"github.com/purselane/purselane/backend/store/reference"
	"github.com/purselane/purselane/internal/ids"
	"github.com/purselane/purselane/internal/money"
	"github.com/purselane/purselane/shadowaccount"
)

// begun is when histories begin: some days before the first of their records arrives.
const begun = 1_795_046_400_000 // 2026-11-19, Unix ms

// tick is how far apart two moments of a history are, at least: a few uses of a card are days.
const tick = 6 * 3600 * 1000 // ms

// history is what happens to a few cards, told in the order in which it happens. What has the same chain is told in that order,
// however it arrives; chain 0 is none.
type history struct {
	id     int
	events []event
}

type event struct {
	chain int
	// One of the two.
	record *told
	act    action
}

// told is a record, numbered by its terminal.
type told struct {
	key  reference.Key
	body []byte
}

// maker makes one history out of chance.
type maker struct {
	*rand.Rand
	h       history
	at      int64 // Unix ms
	seqs    map[reference.Epoch]uint64
	taps    uint64
	serials int
	chains  int
	past    []record // proved debits, to be cloned and told again
	lost    map[reference.Key]bool
}

// newHistory makes the history of a seed and a shape under a number: its cards, terminals and merchants are the number's own.
func newHistory(seed uint64, shape, id int) history {
	m := maker{Rand: chance(seed, uint64(shape)), h: history{id: id}, at: begun, seqs: map[reference.Epoch]uint64{}, lost: map[reference.Key]bool{}}
	for card := range 1 + m.IntN(2) {
		if m.oneIn(3) {
			m.hostile(byte(card))
		} else {
			m.lived(byte(card))
		}
	}
	m.lose()
	m.decide()
	return m.h
}

func (m *maker) oneIn(n int) bool { return m.IntN(n) == 0 }

func (m *maker) number(card byte) ids.CardNumber {
	n := ids.CardNumber{0: 0x31, 9: card + 1}
	binary.BigEndian.PutUint32(n[4:8], uint32(m.h.id))
	return n
}

func (m *maker) alias(card byte) ids.CardNumber {
	n := m.number(card)
	n[0] = 0xA1
	return n
}

// terminals have a merchant each, and now and then a second life.
func (m *maker) terminal() (reference.Epoch, string) {
	n := m.IntN(3)
	e := reference.Epoch{Terminal: ids.TerminalID(fmt.Sprintf("h%d-t%d", m.h.id, n)), Epoch: 1}
	if m.oneIn(6) {
		e.Epoch = 2
	}
	return e, merchantOf(m.h.id, n)
}

func merchantOf(history, terminal int) string { return fmt.Sprintf("h%d-m%d", history, terminal%2) }

func (m *maker) add(chain int, a action) {
	m.h.events = append(m.h.events, event{chain: chain, act: a})
}

func (m *maker) newChain() int {
	m.chains++
	return m.chains
}

// upload gives a record the next number of its terminal.
func (m *maker) upload(e reference.Epoch, r record) reference.Key {
	m.seqs[e]++
	k := reference.Key{Terminal: e.Terminal, Epoch: e.Epoch, Seq: m.seqs[e]}
	body := r.body()
	if m.oneIn(30) { // the same number once more, with other content, some time after it
		chain := m.newChain()
		m.h.events = append(m.h.events, event{chain: chain, record: &told{k, body}})
		r.Amount++
		m.h.events = append(m.h.events, event{chain: chain, record: &told{k, r.body()}})
		return k
	}
	m.h.events = append(m.h.events, event{record: &told{k, body}})
	if m.oneIn(30) { // its batch came garbled, too
		m.add(0, quarantine{e, k.Seq, k.Seq + uint64(m.IntN(2))})
	}
	return k
}

// lose drops some records for ever: the gaps that are never filled.
func (m *maker) lose() {
	var left []event
	for _, e := range m.h.events {
		if e.record != nil && e.chain == 0 && m.oneIn(12) {
			continue
		}
		left = append(left, e)
	}
	m.h.events = left
}

// decide lets officers decide some claims, most of which prove themselves or never come.
func (m *maker) decide() {
	done := map[reference.Tapped]bool{}
	for _, e := range m.h.events {
		if e.record == nil || !m.oneIn(4) {
			continue
		}
		l := look(e.record.key, e.record.body)
		t := reference.Tapped{Card: l.Card, Counter: l.Counter, Tap: l.Claim.Tap}
		if l.Unreadable != "" || l.Unnamed != nil || done[t] {
			continue
		}
		done[t] = true
		m.add(0, decision{t, []shadowaccount.Decision{shadowaccount.GrantClaim, shadowaccount.DenyClaim}[m.IntN(2)]})
	}
}

// life is one card in use.
type life struct {
	card    byte
	number  ids.CardNumber
	family  string
	alias   []byte
	hidden  bool // records may lack its number
	issued  bool
	chain   int // of its issue and loads
	calm    bool
	opening uint32
	counter uint32
	balance int64
	online  uint16
}

// lived makes a card that is used as cards are, and now and then as they are not.
func (m *maker) lived(card byte) {
	l := &life{card: card, number: m.number(card), family: [...]string{"ep", "ep", "", "ec", "desfire"}[m.IntN(5)], chain: m.newChain(), issued: !m.oneIn(7)}
	if l.family == "ec" {
		alias := m.alias(card)
		l.alias, l.hidden = alias[:], true
	}
	l.counter = uint32(m.IntN(3))
	if m.oneIn(40) {
		l.counter = math.MaxUint32 - uint32(m.IntN(4)) // where counters end
	}
	if l.issued {
		l.opening = l.counter
		m.add(l.chain, issue{store.Card{Number: l.number, Token: token(l.number), Family: l.family, Levels: 1, OpeningCounter: l.opening}})
		m.load(l)
	} else {
		l.balance = 10_00
	}
	uses := 1 + m.IntN(10)
	if m.oneIn(10) { // a long life, mostly without trouble
		uses, l.calm = 15+m.IntN(30), true
	}
	if l.hidden && m.oneIn(3) { // most likely nobody ever learns whose it is
		m.torn(l, 100)
		uses = 0
	}
	for range uses {
		m.at += int64(m.IntN(3)) * tick // two taps may have one time
		m.use(l)
	}
	if m.oneIn(6) {
		chain := 0
		if l.issued {
			chain = l.chain
		}
		m.add(chain, block{l.number, m.at - int64(m.IntN(8))*tick})
	}
	if !l.issued && m.oneIn(2) { // its issue is told after its records
		m.add(l.chain, issue{store.Card{Number: l.number, Token: token(l.number), Family: l.family, Levels: 1, OpeningCounter: uint32(m.IntN(2))}})
	}
}

// use is one thing that happens to a card.
func (m *maker) use(l *life) {
	amount := int64(m.IntN(4)) * 100
	n := m.IntN(100)
	if l.calm && !m.oneIn(12) {
		n %= 70 // taps, torn taps and loads
	}
	switch {
	case n < 45:
		m.good(l, amount)
	case n < 60:
		m.torn(l, amount)
	case n < 73:
		if l.issued {
			m.load(l)
		} else {
			m.good(l, amount)
		}
	case n < 79: // another card with its keys
		if r, ok := m.old(); ok {
			e, merchant := m.terminal()
			r.Tap, r.Merchant, r.At, r.Amount = m.tap(), merchant, r.At+int64(m.IntN(3))*tick, int64(1+m.IntN(3))*100
			r.After = r.Before - r.Amount
			m.prove(&r)
			m.upload(e, r)
		}
	case n < 84: // one debit told twice, at another counter or balance
		if r, ok := m.old(); ok {
			e, merchant := m.terminal()
			r.Tap, r.Merchant, r.Flags = m.tap(), merchant, r.Flags|uint8(m.IntN(2))*uint8(shadowaccount.FlagWrongSAM)
			r.Counter += uint32(m.IntN(3))
			if m.oneIn(2) {
				r.Before, r.After = r.Before+100, r.After+100
			}
			m.upload(e, r)
		}
	case n < 88: // forged, or nobody could verify it
		e, r := m.purchase(l, amount)
		r.Said, r.Proof, r.Flags = int8(shadowaccount.SaidCompleted), int8(shadowaccount.ProofBad), uint8(shadowaccount.FlagBadTAC)
		if m.oneIn(3) {
			r.Flags = uint8(shadowaccount.FlagUnknownKey)
		}
		m.upload(e, r)
		if m.oneIn(2) { // and the true word of that tap
			r.Proof, r.Flags = 0, 0
			m.debit(l, &r)
			m.upload(e, r)
		}
	case n < 91: // value that nobody knows of
		l.balance += int64(m.IntN(9)-4) * 50
		m.good(l, amount)
	case n < 93: // a card that cannot add up
		e, r := m.purchase(l, amount)
		r.After += 50
		m.debit(l, &r)
		m.upload(e, r)
	case n < 95: // a counter from before its issue
		e, r := m.purchase(l, amount)
		r.Counter -= min(r.Counter, uint32(1+m.IntN(3)))
		m.prove(&r)
		m.upload(e, r)
	case n < 97:
		e, r := m.purchase(l, amount)
		r.Unreadable = true
		m.upload(e, r)
	default: // tapped at a terminal with another's PSAM
		e, r := m.purchase(l, amount)
		r.Flags = uint8(shadowaccount.FlagWrongSAM)
		m.debit(l, &r)
		m.upload(e, r)
	}
}

func (m *maker) tap() uint64 {
	m.taps++
	return m.taps
}

func (m *maker) old() (record, bool) {
	if len(m.past) == 0 {
		return record{}, false
	}
	return m.past[m.IntN(len(m.past))], true
}

// purchase is a tap as its terminal begins it.
func (m *maker) purchase(l *life, amount int64) (reference.Epoch, record) {
	e, merchant := m.terminal()
	if shadowaccount.ChainOf(l.family) == shadowaccount.Sparse {
		l.counter += uint32(m.IntN(3)) // selections
	}
	return e, record{Card: l.number[:], Family: l.family, Alias: l.alias, Counter: l.counter, Tap: m.tap(), At: m.at, Merchant: merchant, Amount: amount,
		Before: l.balance, After: l.balance - amount}
}

// prove gives a record a proof of its own.
func (m *maker) prove(r *record) {
	m.serials++
	r.Said, r.Proof = int8(shadowaccount.SaidCompleted), int8(shadowaccount.ProofGood)
	if !m.oneIn(10) { // else its debit has no name, and is not compared
		r.Debit = fmt.Sprintf("debit %d of %d", m.serials, m.h.id)
	}
}

// debit is a record of a debit that the card has proved.
func (m *maker) debit(l *life, r *record) {
	m.prove(r)
	l.balance, l.counter = r.After, l.counter+1
	m.past = append(m.past, *r)
}

func (m *maker) good(l *life, amount int64) {
	e, r := m.purchase(l, amount)
	m.debit(l, &r)
	m.upload(e, r)
}

// torn is a tap that the terminal has no answer to. What became of it is told later, by the terminal, by the card's next
// taps, or not at all.
func (m *maker) torn(l *life, amount int64) {
	e, r := m.purchase(l, amount)
	r.Said = int8(shadowaccount.SaidUnknown)
	if l.hidden && !m.oneIn(4) {
		r.Card = nil
	}
	if !m.oneIn(5) {
		m.upload(e, r)
	}
	debited := m.oneIn(2)
	if debited {
		l.balance, l.counter = r.After, l.counter+1
	}
	switch word := r; m.IntN(6) {
	case 0: // the card has told, with a TAC or without
		if !debited {
			word.Said = int8(shadowaccount.SaidVoided)
		} else if m.oneIn(3) {
			word.Said = int8(shadowaccount.SaidCardLog)
		} else {
			word.Card = l.number[:]
			m.prove(&word)
		}
		m.upload(e, word)
	case 1: // the terminal has given up; evidence may verify after all
		if debited && m.oneIn(2) {
			word.Card = l.number[:]
			m.prove(&word)
		}
		word.Said = int8(shadowaccount.SaidAged)
		m.upload(e, word)
	case 2: // the terminal is wrong
		word.Said = [...]int8{int8(shadowaccount.SaidVoided), int8(shadowaccount.SaidCardLog)}[m.IntN(2)]
		m.upload(e, word)
	case 3: // the rider taps again: the same counter if nothing was debited
		m.at += tick
		m.good(l, amount)
	}
}

// load authorises a load. Whether it reached the card is one thing, whether anybody tells another.
func (m *maker) load(l *life) {
	amount := int64(1+m.IntN(4)) * 500
	one := shadowaccount.Load{Counter: l.online, Amount: money.Minor(amount)}
	m.add(l.chain, load{l.number, one})
	if shadowaccount.ChainOf(l.family) == shadowaccount.Sparse && m.oneIn(2) {
		l.counter++
	}
	l.online++
	if m.oneIn(4) { // it did not
		if !m.oneIn(4) {
			m.add(l.chain, forget{l.number, one.Counter})
		}
		return
	}
	l.balance += amount
	if !m.oneIn(4) {
		one.Loaded = true
		m.add(l.chain, load{l.number, one})
	}
}

// hostile makes a card whose records collide in every way there is: all their numbers are out of small ranges.
func (m *maker) hostile(card byte) {
	l := &life{card: card, number: m.number(card), family: [...]string{"ep", "ec", "desfire"}[m.IntN(3)], chain: m.newChain(), issued: !m.oneIn(4)}
	if l.issued {
		m.add(l.chain, issue{store.Card{Number: l.number, Token: token(l.number), Family: l.family, Levels: 1, OpeningCounter: uint32(m.IntN(2))}})
		l.balance = 0
		for range m.IntN(4) {
			m.load(l)
		}
	}
	pool, tight := m.IntN(4)+1, m.oneIn(2)
	one, its := m.terminal()
	for range 1 + m.IntN(14) {
		e, merchant := m.terminal()
		if tight { // many records of few taps
			e, merchant = one, its
		}
		r := record{Card: l.number[:], Family: l.family, Counter: uint32(m.IntN(5)), Tap: uint64(1+m.IntN(pool)) + 1000, At: m.at + int64(m.IntN(4))*tick, Merchant: merchant,
			Amount: int64(m.IntN(4)) * 100, Before: int64(4+m.IntN(9)) * 100, Said: int8(1 + m.IntN(5))}
		if tight {
			r.Counter %= 2
		}
		r.After = r.Before - r.Amount
		if r.Said == int8(shadowaccount.SaidCompleted) || m.oneIn(8) {
			switch m.IntN(8) {
			case 0:
				r.Proof, r.Flags = int8(shadowaccount.ProofBad), uint8(shadowaccount.FlagBadTAC)
			case 1, 2, 3: // debits of a few names
				r.Proof, r.Debit = int8(shadowaccount.ProofGood), fmt.Sprint("debit ", m.IntN(3))
			default:
				said := r.Said
				m.prove(&r)
				r.Said = said
			}
		}
		if m.oneIn(8) {
			r.Flags |= uint8(shadowaccount.FlagWrongSAM)
		}
		m.upload(e, r)
	}
}
