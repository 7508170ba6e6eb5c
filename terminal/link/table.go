package link

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/purselane/purselane/internal/ids"
)

const (
	helloEvery = 2 * time.Second
	resendFrom = 100 * time.Millisecond // the first time, doubling
	resendMost = 2 * time.Second
	goneAfter  = 7 * time.Second // without a word
	maxSkew    = 5 * time.Minute // between two linked clocks; what is further off is a replay
	maxPeers   = 16
	maxKept    = 10_000 // taps, of all together
)

// Seen is a tap of a card at a linked terminal.
type Seen struct {
	Terminal      ids.TerminalID
	Line, Station [2]byte
	Granted       bool // false: its outcome is not known there
	At            time.Time
}

// Table is what one terminal knows of its peers' taps, and which of its own they still have to be told. It does no I/O and reads no clock. It is not safe for
// concurrent use.
type Table struct {
	key    []byte
	self   ids.TerminalID
	boot   uint64
	window time.Duration

	sent  uint64 // datagrams
	next  uint64 // number of this terminal's next tap
	own   []entry
	peers map[ids.TerminalID]*peer
	seen  map[Token][]Seen
	kept  int
	hello time.Time // when the next is due
}

// peer is another terminal.
type peer struct {
	boot   uint64
	last   uint64    // number of its newest datagram: older ones are replays
	at     time.Time // its own time then
	heard  time.Time
	got    uint64 // its taps that have come, without a gap
	told   uint64 // our taps that it has acknowledged
	resend time.Time
	wait   time.Duration
}

// Out is a datagram to send: to every peer's address, because who is where is not known before it has spoken; each takes what is its own.
type Out []byte

// NewTable starts a table. boot must be drawn anew at each start. window is how long a tap counts.
func NewTable(key []byte, self ids.TerminalID, boot uint64, window time.Duration) *Table {
	return &Table{key: key, self: self, boot: boot, window: window, next: 1, peers: map[ids.TerminalID]*peer{}, seen: map[Token][]Seen{}}
}

// Note takes a tap of this terminal's own and returns what to send.
func (t *Table) Note(card ids.CardNumber, line, station [2]byte, granted bool, now time.Time) []Out {
	t.own = append(t.own, entry{number: t.next, card: TokenOf(t.key, card), line: line, station: station, granted: granted, at: now})
	t.next++
	t.forget(now)
	for _, p := range t.peers {
		p.resend, p.wait = now, resendFrom
	}
	return t.Tick(now)
}

// Recent is the newest granted tap of a card at a linked terminal within the window, on that line.
func (t *Table) Recent(card ids.CardNumber, line [2]byte, now time.Time) (Seen, bool) {
	var best Seen
	for _, s := range t.seen[TokenOf(t.key, card)] {
		if s.Granted && s.Line == line && now.Sub(s.At).Abs() <= t.window && s.At.After(best.At) {
			best = s
		}
	}
	return best, !best.At.IsZero()
}

// Tick returns what is due: a hello, and taps that a living peer has not acknowledged.
func (t *Table) Tick(now time.Time) (out []Out) {
	t.forget(now)
	if !now.Before(t.hello) {
		t.hello = now.Add(helloEvery)
		out = append(out, t.pack(message{kind: kindHello}, now))
	}
	from, due := t.next, false
	for _, p := range t.peers {
		if now.Sub(p.heard) > goneAfter || now.Before(p.resend) || p.told+1 >= t.next {
			continue
		}
		p.resend = now.Add(p.wait)
		p.wait = min(2*p.wait, resendMost)
		from, due = min(from, p.told+1), true
	}
	if !due {
		return out
	}
	for batch := range slices.Chunk(t.ownFrom(from), maxTaps) {
		out = append(out, t.pack(message{kind: kindTaps, upTo: t.own[0].number - 1, taps: batch}, now))
	}
	return out
}

func (t *Table) ownFrom(number uint64) []entry {
	i, _ := slices.BinarySearchFunc(t.own, number, func(e entry, n uint64) int { return cmp.Compare(e.number, n) })
	return t.own[i:]
}

func (t *Table) pack(m message, now time.Time) Out {
	t.sent++
	m.from, m.boot, m.at, m.number = t.self, t.boot, now, t.sent
	return m.bytes(t.key)
}

// Take takes a datagram and returns the answers. An error says why it was not used; whoever sent it, nothing has changed then.
func (t *Table) Take(raw []byte, now time.Time) ([]Out, error) {
	m, err := parse(t.key, raw)
	if err != nil {
		return nil, err
	}
	if m.from == t.self {
		if m.boot != t.boot {
			return nil, fmt.Errorf("link: another terminal calls itself %s", t.self)
		}
		return nil, nil // our own voice
	}
	if skew := now.Sub(m.at); skew.Abs() > maxSkew {
		return nil, fmt.Errorf("link: %s: its clock differs by %v, or this is a replay", m.from, skew.Round(time.Second))
	}
	p, known := t.peers[m.from]
	switch {
	case !known && len(t.peers) >= maxPeers:
		return nil, fmt.Errorf("link: %s: %d peers are linked already", m.from, maxPeers)
	case !known:
		p = &peer{boot: m.boot}
		t.peers[m.from] = p
		t.fresh(p, now)
	case p.boot != m.boot && !m.at.After(p.at) && now.Sub(p.heard) <= goneAfter:
		return nil, fmt.Errorf("link: %s: of an earlier start", m.from)
	case p.boot != m.boot:
		*p = peer{boot: m.boot} // it has started anew, and knows nothing
		t.fresh(p, now)
	}
	if m.number <= p.last {
		return nil, nil // a copy, or late: what it said is said again
	}
	p.last, p.at, p.heard = m.number, m.at, now
	switch m.kind {
	case kindAck:
		if m.to == t.boot && m.upTo < t.next && m.upTo > p.told {
			p.told, p.wait = m.upTo, resendFrom
		}
		return nil, nil
	case kindHello:
		return t.Tick(now), nil
	}
	p.got = max(p.got, m.upTo)
	for _, e := range m.taps {
		t.learn(m.from, p, e, now)
	}
	return []Out{t.pack(message{kind: kindAck, to: m.boot, upTo: p.got}, now)}, nil
}

// fresh makes everything due for a peer that knows nothing.
func (t *Table) fresh(p *peer, now time.Time) {
	p.heard, p.resend, p.wait = now, now, resendFrom
	if len(t.own) > 0 {
		p.told = t.own[0].number - 1
	} else {
		p.told = t.next - 1
	}
}

// learn takes a peer's tap. One behind a gap is taken as well, because what it says is true, and is not acknowledged over the gap.
func (t *Table) learn(from ids.TerminalID, p *peer, e entry, now time.Time) {
	if e.number == p.got+1 {
		p.got = e.number
	}
	if now.Sub(e.at).Abs() > t.window || t.kept >= maxKept {
		return
	}
	s := Seen{Terminal: from, Line: e.line, Station: e.station, Granted: e.granted, At: e.at}
	if slices.Contains(t.seen[e.card], s) {
		return
	}
	t.seen[e.card] = append(t.seen[e.card], s)
	t.kept++
}

// forget drops what is older than the window.
func (t *Table) forget(now time.Time) {
	i := 0
	for i < len(t.own) && (now.Sub(t.own[i].at) > t.window || len(t.own)-i > maxKept) {
		i++
	}
	if i > 0 {
		t.own = slices.Delete(t.own, 0, i)
		for _, p := range t.peers { // what is forgotten need not be told
			if len(t.own) > 0 {
				p.told = max(p.told, t.own[0].number-1)
			} else {
				p.told = max(p.told, t.next-1)
			}
		}
	}
	for card, list := range t.seen {
		left := slices.DeleteFunc(list, func(s Seen) bool { return now.Sub(s.At) > t.window })
		t.kept -= len(list) - len(left)
		if len(left) == 0 {
			delete(t.seen, card)
		} else {
			t.seen[card] = left
		}
	}
}

// Peer is how a linked terminal does.
type Peer struct {
	Terminal ids.TerminalID
	Up       bool
	Heard    time.Time
	Untold   int // our taps within the window that it has not acknowledged
}

// Peers lists the linked terminals that have ever spoken, by name.
func (t *Table) Peers(now time.Time) []Peer {
	var out []Peer
	for _, id := range slices.Sorted(maps.Keys(t.peers)) {
		p := t.peers[id]
		out = append(out, Peer{Terminal: id, Up: now.Sub(p.heard) <= goneAfter, Heard: p.heard, Untold: len(t.ownFrom(p.told + 1))})
	}
	return out
}
