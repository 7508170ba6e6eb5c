package town

import (
	"bytes"
	"crypto/ed25519"
	"errors"
	"fmt"
	"math/rand/v2"
	"path/filepath"
	"time"

	"google.golang.org/protobuf/proto"

	"github.com/purselane/purselane/card/apdu"
	"github.com/purselane/purselane/card/ep"
	"github.com/purselane/purselane/internal/clock"
	"github.com/purselane/purselane/internal/ids"
	"github.com/purselane/purselane/simulator/personalise"
	"github.com/purselane/purselane/simulator/psam"
	"github.com/purselane/purselane/terminal/edge"
	"github.com/purselane/purselane/terminal/journal"
	"github.com/purselane/purselane/terminal/tap"
	"github.com/purselane/purselane/uplink/client"
	"github.com/purselane/purselane/uplink/wire"
)

// errPower is the power that went out at a commit of the journal.
var errPower = errors.New("power cut")

// terminal is one terminal with its PSAM and its journal file; what it holds besides is lost with the power.
type terminal struct {
	w     *town
	index int
	id    ids.TerminalID
	place *place
	path  string
	psam  *psam.PSAM
	ahead time.Duration // of its clock

	edge    *edge.Terminal // nil: no power
	journal *journal.Journal
	sender  *client.Sender
	boots   int
	ask     time.Time // when the sender wants to be asked again, zero for not before something happens
	linked  bool      // the sender has been told that the link is up

	points, cutAt int // journal commit points passed since plan, and the one at which the power goes

	written [][]byte // every record ever seen in the journal, by number less one
}

func newTerminal(w *town, index int, p *place, nth int) *terminal {
	img, err := personalise.PSAM(masters, personalise.PSAMSpec{Terminal: terminalNumber(index), Issuer: issuer})
	must(err)
	sam, err := psam.New(img)
	must(err)
	id := terminalID(*p, nth)
	journals, err := emptyJournals()
	must(err)
	path := filepath.Join(w.cfg.Dir, string(id)+".journal")
	must(journals[id].write(path))
	return &terminal{w: w, index: index, id: id, place: p, path: path, psam: sam,
		ahead: time.Duration(w.rng.Int64N(int64(2*clockError))) - clockError}
}

// clockError bounds how far a terminal's clock is from the town's: the clocks of a fleet are never one.
const clockError = 3 * time.Second

// ownClock is a terminal's own idea of the time.
type ownClock struct {
	town  *clock.Manual
	ahead time.Duration
}

func (c ownClock) Now() time.Time { return c.town.Now().Add(c.ahead) }

// rngReader reads random bytes from the seed.
type rngReader struct{ rng *rand.Rand }

func (r rngReader) Read(p []byte) (int, error) {
	for i := range p {
		p[i] = byte(r.rng.Uint32())
	}
	return len(p), nil
}

// plan draws whether the power goes out within the next commits of the journal, before or after one of them. It is drawn
// ahead, because the intent is written in a goroutine of its own.
func (m *terminal) plan(commits int) {
	m.points, m.cutAt = 0, 0
	if chance(m.w.rng, m.w.faults.PowerCut) {
		m.cutAt = 1 + m.w.rng.IntN(2*commits)
	}
}

func (m *terminal) fault(point string) error {
	if m.points++; m.points == m.cutAt {
		return fmt.Errorf("%w at %s", errPower, point)
	}
	return nil
}

// boot powers the terminal up: PSAM, journal and what it left open, sender.
func (m *terminal) boot() {
	now := m.w.clock.Now()
	sam, err := ep.OpenPSAM(m.w.ctx, m.psam, ep.PSAMTUnion)
	if err != nil {
		m.w.fail("terminal", nobody, "%s: its PSAM does not open: %v", m.id, err)
	}
	m.plan(1)
	m.edge, err = edge.Open(edge.Config{
		Terminal: m.id, Merchant: m.place.merchant, Profile: m.w.profile, SAM: sam, Clock: ownClock{m.w.clock, m.ahead}, Lanes: m.place.lanes(),
		JournalPath: m.path, Journal: journal.Options{NoSync: true, Keep: m.w.keep, Fault: m.fault},
	})
	if err != nil {
		m.dark(err)
		return
	}
	m.journal = m.edge.Journal()
	m.boots++
	m.compare(1)
	m.sender, err = client.NewSender(client.SenderConfig{
		Terminal: m.id, Key: signingKey(string(m.id)), Backend: receiptKey.Public().(ed25519.PublicKey), Source: m.journal, Profile: m.w.profile.Version,
		InFlight: 1 + m.w.rng.IntN(4), BatchRecords: 1 + m.w.rng.IntN(8), ResendMin: 5 * time.Second, ResendMax: 5 * time.Minute,
		Rand: rand.New(rand.NewPCG(m.w.cfg.Seed, uint64(m.index)<<32|uint64(m.boots))),
	})
	must(err)
	m.w.log.add(nobody, "%s boots, record %d is the last, receipt through %d", m.id, m.journal.LastSeq(), m.journal.AckedSeq())
	m.linked = false
	m.relink(now)
}

// relink tells the sender what has become of the link.
func (m *terminal) relink(now time.Time) {
	if m.journal == nil {
		return
	}
	switch up := m.w.link.connected(m.index, now); {
	case up && !m.linked:
		m.sender.OnConnect(now)
		m.ask = now
	case !up && m.linked:
		m.sender.OnDisconnect()
	}
	m.linked = m.w.link.connected(m.index, now)
}

// reconnect is a terminal whose connection has broken, for whatever reason, and that tries again.
func (m *terminal) reconnect() {
	if m.journal != nil && m.linked {
		m.sender.OnDisconnect()
		m.linked = false
	}
	m.relink(m.w.clock.Now())
}

// died takes the power away after an error of the journal.
func (m *terminal) died(err error) {
	must(m.edge.Close())
	m.dark(err)
}

// dark is a terminal that an error has put out, which must be the power cut that was planned.
func (m *terminal) dark(err error) {
	if !errors.Is(err, errPower) {
		m.w.fail("terminal", nobody, "%s failed: %v", m.id, err)
	}
	m.w.log.add(nobody, "%s goes dark: %v", m.id, err)
	m.edge, m.journal, m.sender, m.ask, m.cutAt = nil, nil, nil, time.Time{}, 0
	m.psam.Power(false)
	m.w.tally.PowerCuts++
	m.w.agenda.add(m.w.clock.Now().Add(time.Duration(3+m.w.rng.IntN(60))*time.Second), m.boot)
}

// observe takes note of the journal's new records.
func (m *terminal) observe() { m.compare(uint64(len(m.written)) + 1) }

// compare takes note of the journal's new records, and holds those it knows from a number on against what stands there
// now: a number names one content for ever.
func (m *terminal) compare(from uint64) {
	last, known := m.journal.LastSeq(), uint64(len(m.written))
	if last < known {
		m.w.fail("sequence", nobody, "%s: record %d was written, and the journal now ends at %d: its number will be used twice", m.id, known, last)
	}
	first := max(from, m.journal.FirstSeq())
	if last < first {
		return
	}
	records, err := m.journal.Read(first, int(last-first)+1, 1<<30)
	if err != nil || uint64(len(records)) != last-first+1 {
		m.w.fail("sequence", nobody, "%s: records %d to %d cannot be read: %d came, %v", m.id, first, last, len(records), err)
	}
	for i, raw := range records {
		seq := first + uint64(i)
		if seq > known {
			m.written = append(m.written, raw)
			m.noteRecord(seq, raw)
		} else if !bytes.Equal(raw, m.written[seq-1]) {
			m.w.fail("sequence", nobody, "%s: record %d has another content than when it was written", m.id, seq)
		}
	}
}

func (m *terminal) noteRecord(seq uint64, raw []byte) {
	var r wire.Record
	must(proto.Unmarshal(raw, &r))
	var number ids.CardNumber
	copy(number[:], r.GetCardNumber())
	m.w.tally.record(&r)
	// A boot has a number drawn by the machine, not by the seed; the chain carries it on.
	r.BootId, r.PrevHash = nil, nil
	plain, err := proto.MarshalOptions{Deterministic: true}.Marshal(&r)
	must(err)
	hash := wire.RecordHash(plain)
	m.w.log.add(m.w.riderOf(number), "%s record %d: tap %d, counter %d, %d taken, %v by %v, %x", m.id, seq, r.GetTap(), r.GetOfflineCounter(), r.GetAmount(),
		r.GetState(), r.GetEvidence(), hash[:4])
}

// completed reports whether the journal holds the completed record of a tap: what a green light promises.
func (m *terminal) completed(tapNumber uint64) bool {
	for i := len(m.written) - 1; i >= 0; i-- {
		var r wire.Record
		must(proto.Unmarshal(m.written[i], &r))
		if r.GetTap() == tapNumber && r.GetState() == wire.State_STATE_COMPLETED {
			return true
		}
	}
	return false
}

// send puts what the sender has on the link.
func (m *terminal) send(now time.Time) {
	out, next, err := m.sender.Due(now)
	if err != nil {
		m.w.fail("terminal", nobody, "%s cannot send: %v", m.id, err)
	}
	for _, msg := range out {
		m.w.link.send(message{terminal: m.index, up: true, kind: msg.Kind, raw: msg.Raw}, now)
	}
	m.ask = next
}

// receive takes a receipt off the link.
func (m *terminal) receive(raw []byte, now time.Time) {
	if m.journal == nil || !m.linked {
		return
	}
	m.plan(1)
	before := m.journal.AckedSeq()
	if err := m.sender.OnReceipt(now, raw); err != nil {
		m.died(err)
		return
	}
	m.cutAt = 0
	if through := m.journal.AckedSeq(); through != before {
		m.w.log.add(nobody, "%s has a receipt through %d", m.id, through)
	}
	m.ask = now
}

// prune deletes records that have their receipt.
func (m *terminal) prune() {
	if m.journal == nil {
		return
	}
	m.plan(1)
	if _, err := m.journal.Prune(20); err != nil {
		m.died(err)
		return
	}
	m.cutAt = 0
}

// present is one presentation of a card for an intent. It reports what the rider is shown, and false if the terminal went
// dark and shows nothing.
func (m *terminal) present(card apdu.Transmitter, in *intent) (result tap.Result, lit bool) {
	m.plan(5)
	var err error
	switch in.mode {
	case tap.Sale:
		result, err = m.edge.Sell(m.w.ctx, 0, card, in.amount, in.request)
	case tap.MetroExit:
		result, err = m.edge.Present(m.w.ctx, exitLane, card)
	default:
		result, err = m.edge.Present(m.w.ctx, 0, card)
	}
	if err != nil {
		result, lit = m.w.cfg.sabotage.lightOf(m, err)
		m.died(err) // what was committed before the power went is seen at the next boot
		return result, lit
	}
	m.cutAt = 0
	m.observe()
	m.ask = m.w.clock.Now()
	return result, true
}
