package journal

import (
	"cmp"
	"crypto/sha256"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"google.golang.org/protobuf/proto"
	"pgregory.net/rapid"

	"github.com/purselane/purselane/uplink/wire"
)

// model is what a journal must hold: the truth that no power cut changes.
type model struct {
	nextTap uint64
	open    map[int]*openTap // by card
	records []*wire.Record   // numbers first, first+1, …; nothing is ever taken from it but by prune
	first   uint64
	acked   uint64
	keep    uint64
	files   []uint64 // number of the record that each file after the oldest begins with
}

type openTap struct {
	tap     uint64
	unknown bool
}

func (m *model) last() uint64 { return m.first + uint64(len(m.records)) - 1 }

func (m *model) append(r *wire.Record, tap uint64, s wire.State) {
	r.Tap, r.State = tap, s
	if s == wire.State_STATE_UNKNOWN {
		r.Evidence = wire.Evidence_EVIDENCE_NONE
	}
	m.records = append(m.records, r)
}

// machine drives a journal and its model, cutting the power before or after any commit.
type machine struct {
	model
	path string
	o    Options
	j    *Journal
	cut  string // "", "before" or "after": what the next commit meets
	dead bool
	hash map[uint64][32]byte // of every record that was ever seen under its number
}

func (m *machine) start(t *rapid.T) {
	var err error
	m.j, err = Open(m.path, m.o)
	require.NoError(t, err)
}

// do runs one commit under the drawn power cut. It reports whether the commit stands, and starts the terminal anew after a cut.
func (m *machine) do(t *rapid.T, commit func() error) (stands bool) {
	m.cut = rapid.SampledFrom([]string{"", "", "", "before", "after"}).Draw(t, "cut")
	cut := m.cut
	m.dead = false
	err := commit()
	m.cut = ""
	if !m.dead {
		require.NoError(t, err)
		return true
	}
	require.ErrorIs(t, err, errCut, "what was cut is not reported as done")
	require.NoError(t, m.j.Close())
	m.start(t)
	return cut == "after"
}

func (m *machine) fault(point string) error {
	if m.cut != "" && strings.HasSuffix(point, ":"+m.cut) {
		m.dead = true
		return errCut
	}
	return nil
}

func (m *machine) cards(unknown ...bool) []int {
	var out []int
	for card, o := range m.open {
		if slices.Contains(unknown, o.unknown) {
			out = append(out, card)
		}
	}
	slices.Sort(out)
	return out
}

func (m *machine) drawCard(t *rapid.T, unknown ...bool) int {
	cards := m.cards(unknown...)
	if len(cards) == 0 {
		t.Skip("no such intent")
	}
	return rapid.SampledFrom(cards).Draw(t, "card")
}

func (m *machine) Begin(t *rapid.T) {
	n := rapid.IntRange(1, 6).Draw(t, "card")
	if m.open[n] != nil {
		_, err := m.j.Begin(draft(n))
		require.ErrorContains(t, err, "recover it first")
		return
	}
	var tap uint64
	if m.do(t, func() (err error) { tap, err = m.j.Begin(draft(n)); return err }) {
		require.Equal(t, m.nextTap, tap, "tap numbers are given once, in order")
		m.nextTap++
		m.open[n] = &openTap{tap: tap}
	}
}

func (m *machine) finish(t *rapid.T, n int, s wire.State) {
	o := m.open[n]
	if m.do(t, func() error { return m.j.Finish(o.tap, final(n, s)) }) {
		m.append(final(n, s), o.tap, s)
		delete(m.open, n)
	}
}

func (m *machine) Complete(t *rapid.T) {
	m.finish(t, m.drawCard(t, true, false), wire.State_STATE_COMPLETED)
}

func (m *machine) Settle(t *rapid.T) {
	m.finish(t, m.drawCard(t, true), rapid.SampledFrom([]wire.State{wire.State_STATE_VOIDED, wire.State_STATE_AGED}).Draw(t, "state"))
}

func (m *machine) Drop(t *rapid.T) {
	n := m.drawCard(t, false)
	if m.do(t, func() error { return m.j.Drop(m.open[n].tap) }) {
		delete(m.open, n)
	}
}

func (m *machine) MarkUnknown(t *rapid.T) {
	n := m.drawCard(t, false)
	if m.do(t, func() error { return m.j.MarkUnknown(m.open[n].tap) }) {
		m.append(draft(n), m.open[n].tap, wire.State_STATE_UNKNOWN)
		m.open[n].unknown = true
	}
}

func (m *machine) Boot(t *rapid.T) {
	require.NoError(t, m.j.Close())
	m.start(t)
	if m.do(t, func() error {
		n, err := m.j.RecoverBoot()
		if err == nil {
			require.Len(t, m.cards(false), n)
		}
		return err
	}) {
		died := m.cards(false)
		slices.SortFunc(died, func(a, b int) int { return cmp.Compare(m.open[a].tap, m.open[b].tap) })
		for _, n := range died {
			m.append(draft(n), m.open[n].tap, wire.State_STATE_UNKNOWN)
			m.open[n].unknown = true
		}
	}
}

func (m *machine) Ack(t *rapid.T) {
	through := rapid.Uint64Range(0, m.last()).Draw(t, "through")
	if through <= m.acked {
		require.NoError(t, m.j.Ack(through))
		return
	}
	if m.do(t, func() error { return m.j.Ack(through) }) {
		m.acked = through
	}
}

// Roll begins a new file. After a cut behind the switch, opening finishes it.
func (m *machine) Roll(t *rapid.T) {
	begins := m.first
	if len(m.files) > 0 {
		begins = m.files[len(m.files)-1]
	}
	if m.last() < begins {
		require.NoError(t, m.j.Roll(), "nothing to do")
		return
	}
	if m.do(t, m.j.Roll) {
		m.files = append(m.files, m.last()+1)
	}
	s, err := m.j.Stats()
	require.NoError(t, err)
	require.Equal(t, len(m.files)+1, s.Files)
}

// pruneFile is what Prune does while there are sealed files: the oldest goes whole or stays whole.
func (m *machine) pruneFile(t *rapid.T) {
	want := 0
	if last := m.files[0] - 1; m.acked >= m.keep && last <= m.acked-m.keep {
		want = int(last - m.first + 1)
	}
	if want == 0 {
		n, err := m.j.Prune(1000)
		require.NoError(t, err)
		require.Zero(t, n)
		return
	}
	before := func() error {
		n, err := m.j.Prune(1)
		if err == nil {
			require.Equal(t, want, n)
		}
		return err
	}
	if m.do(t, before) {
		m.records, m.first, m.files = m.records[want:], m.first+uint64(want), m.files[1:]
	}
}

func (m *machine) Prune(t *rapid.T) {
	if len(m.files) > 0 {
		m.pruneFile(t)
		return
	}
	want := 0
	if m.acked >= m.keep && m.first <= m.acked-m.keep {
		want = min(int(m.acked-m.keep-m.first)+1, rapid.IntRange(0, 5).Draw(t, "limit"))
	}
	if m.do(t, func() error {
		n, err := m.j.Prune(want)
		if err == nil {
			require.Equal(t, want, n)
		}
		return err
	}) {
		m.records, m.first = m.records[want:], m.first+uint64(want)
	}
}

// Check compares all that the journal tells with the model.
func (m *machine) Check(t *rapid.T) {
	require.Equal(t, []uint64{m.first, m.last(), m.acked}, []uint64{m.j.FirstSeq(), m.j.LastSeq(), m.j.AckedSeq()})
	raw, err := m.j.Read(m.first, 1<<20, 1<<30)
	require.NoError(t, err)
	require.Len(t, raw, len(m.records))
	for i, body := range raw {
		seq := m.first + uint64(i)
		sum := sha256.Sum256(body)
		if seen, ok := m.hash[seq]; ok {
			require.Equal(t, seen, sum, "number %d was given twice", seq)
		}
		m.hash[seq] = sum
		var r wire.Record
		require.NoError(t, proto.Unmarshal(body, &r))
		require.Equal(t, seq, r.GetSeq())
		r.Version, r.Terminal, r.Epoch, r.Seq, r.PrevHash = 0, "", 0, 0, nil
		require.True(t, proto.Equal(m.records[i], &r), "record %d", seq)
	}
	for n := range 7 {
		_, unknown, found, err := m.j.OpenIntent(card(n))
		require.NoError(t, err)
		require.Equal(t, m.open[n] != nil, found)
		if found {
			require.Equal(t, m.open[n].unknown, unknown)
		}
	}
	require.NoError(t, m.j.Verify())
}

// TestAPowerCutAtAnyCommit: what was returned as done is there after it, what failed before its commit is not, and no number
// is given twice.
func TestAPowerCutAtAnyCommit(t *testing.T) {
	for name, o := range map[string]Options{"with places": withPlaces(), "of version 1": options()} {
		t.Run(name, func(t *testing.T) { powerCuts(t, o) })
	}
}

func powerCuts(t *testing.T, o Options) {
	rapid.Check(t, func(t *rapid.T) {
		dir, err := os.MkdirTemp("", "journal-")
		require.NoError(t, err)
		defer os.RemoveAll(dir)
		m := &machine{path: filepath.Join(dir, "journal.db"), hash: map[uint64][32]byte{}, model: model{nextTap: 1, first: 1, open: map[int]*openTap{}, keep: 4}}
		m.o = o
		m.o.Rand = &epochs{}
		m.o.Keep, m.o.Fault = m.keep, m.fault
		m.start(t)
		defer func() { m.j.Close() }()
		t.Repeat(rapid.StateMachineActions(m))
	})
}
