package store

import (
	"bytes"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/purselane/purselane/internal/pgtest"
	"github.com/purselane/purselane/shadowaccount"
)

// old makes a database as it was at a version of the schema, with rows of then, and returns its address.
func old(t *testing.T, version int64, rows string, args ...any) string {
	t.Helper()
	at, open := pgtest.Store(t, filepath.Join(t.TempDir(), "old.db")), openSQLite
	if pgtest.Postgres {
		open = openPostgres
	}
	s, err := open(t.Context(), at, Options{NoSync: true})
	require.NoError(t, err)
	defer s.Close()
	p, err := s.migrator()
	require.NoError(t, err)
	_, err = p.UpTo(t.Context(), version)
	require.NoError(t, err)
	for _, row := range strings.Split(rows, ";") {
		n := strings.Count(row, "?")
		if s.dialect == postgres {
			row = numbered(row)
		}
		_, err = s.writer.Exec(row, args[:n]...)
		require.NoError(t, err)
		args = args[n:]
	}
	return at
}

// TestTheOnePSAMOfBeforeIsKept brings a database of before up to date: its terminals keep the PSAM they had.
func TestTheOnePSAMOfBeforeIsKept(t *testing.T) {
	at := old(t, 30, `INSERT INTO acquirer VALUES ('a', 'A', '[]'); INSERT INTO merchant VALUES ('m', 'a', 'M');
		INSERT INTO terminal (id, merchant, psam, public_key, status) VALUES ('bus-1', 'm', ?, ?, 'active')`, []byte{0x11, 0x22, 0x33, 0x44, 0x55, 0x66}, make([]byte, 32))
	s, err := Open(t.Context(), at, Options{NoSync: true})
	require.NoError(t, err)
	defer s.Close()
	require.NoError(t, s.View(t.Context(), func(tx *Tx) error {
		m, err := tx.Terminal(t.Context(), "bus-1")
		require.Equal(t, [][6]byte{{0x11, 0x22, 0x33, 0x44, 0x55, 0x66}}, m.PSAMs)
		return err
	}))
}

// TestADayOfBeforeHasTheFirstVersion: a day that was closed before days noted the version of their report is rendered in version 1.
func TestADayOfBeforeHasTheFirstVersion(t *testing.T) {
	at := old(t, 50, `INSERT INTO settlement_day (day, term, due, closed_ms, digest) VALUES ('2026-11-23', 'T+1', '2026-11-24', 1, 'd');
		INSERT INTO settlement_party (day, kind, party, name, fees, loads, net) VALUES ('2026-11-23', 'acquirer', 'a', 'A', '[]', 0, 0)`)
	s, err := Open(t.Context(), at, Options{NoSync: true})
	require.NoError(t, err)
	defer s.Close()
	require.NoError(t, s.View(t.Context(), func(tx *Tx) error {
		day, err := tx.ClosedDay(t.Context(), "2026-11-23")
		require.NoError(t, err)
		require.Equal(t, 1, day.Version)
		parties, err := tx.PartyDays(t.Context(), "2026-11-23")
		require.Equal(t, []PartyDay{{Kind: "acquirer", Party: "a", Name: "A", Fees: "[]"}}, parties)
		return err
	}))
}

// TestClaimsOfBeforeAreFoundByTheNewIndexes: claims that were posted before their indexes began with what grows are found by debit and by day.
func TestClaimsOfBeforeAreFoundByTheNewIndexes(t *testing.T) {
	card := make([]byte, 10)
	row := `INSERT INTO claim (card, counter, terminal, epoch, tap, seq, at_ms, merchant, amount, before, after, said, proof, flags, debit, spent, status, kind, rule, day, received_ms)
		VALUES (?, 7, 'bus-1', 1, 3, 3, 5, 'm', 100, 300, 200, 1, 1, 0, ?, 0, 1, 1, '', '2026-11-23', 9)`
	at := old(t, 130, row, card, []byte("debit"))
	s, err := Open(t.Context(), at, Options{NoSync: true})
	require.NoError(t, err)
	defer s.Close()
	require.NoError(t, s.View(t.Context(), func(tx *Tx) error {
		counters, err := tx.countersOfDebit(t.Context(), numberFrom(card), "debit")
		require.NoError(t, err)
		require.Equal(t, []uint32{7}, counters)
		first, err := tx.EarlierOpenDay(t.Context(), "2026-11-22", "2026-11-25")
		require.NoError(t, err)
		require.Equal(t, "2026-11-23", first)
		with, err := tx.cardsWithDebits(t.Context(), []Verified{{Card: numberFrom(card), Claim: shadowaccount.Claim{Debit: "debit"}}})
		require.True(t, with[numberFrom(card)])
		return err
	}))
}

// TestRecordsOfBeforeAreWhatTheyWere brings records that wait, are posted, or are apart over to where that stands now, and back.
func TestRecordsOfBeforeAreWhatTheyWere(t *testing.T) {
	row := `INSERT INTO record (terminal, epoch, seq, hash, body, day, received_ms, verdict, reason, label, posted_in, lane) VALUES `
	hash := func(b byte) []byte { return bytes.Repeat([]byte{b}, 32) }
	at := old(t, 240, row+`('bus-1', 7, 1, ?, ?, '2026-11-23', 5, 'accepted', '', 'LATE', 3, 2);`+row+`('bus-1', 7, 2, ?, ?, '2026-11-24', 6, NULL, '', '', 0, 9);`+
		row+`('bus-1', 7, 3, ?, ?, '2026-11-24', 6, 'unreadable', 'no record', '', 0, 0);`+row+`('bus-1', 7, 4, ?, ?, '2026-11-24', 6, 'quarantined', 'garbled', '', 0, 0)`,
		hash(1), []byte("one"), hash(2), []byte("two"), hash(3), []byte("three"), []byte{}, []byte{})
	s, err := Open(t.Context(), at, Options{NoSync: true})
	require.NoError(t, err)
	defer func() { s.Close() }()
	as := func() {
		require.NoError(t, s.View(t.Context(), func(tx *Tx) error {
			for seq, want := range map[uint64]Verdict{1: {"accepted", "", "LATE", 3}, 2: {}, 3: {"unreadable", "no record", "", 0}, 4: {"quarantined", "garbled", "", 0}} {
				v, err := tx.RecordVerdict(t.Context(), "bus-1", 7, seq)
				require.NoError(t, err)
				require.Equal(t, want, v)
			}
			pending, err := tx.PendingRecords(t.Context(), 10)
			require.NoError(t, err)
			require.Equal(t, []Pending{{Terminal: "bus-1", Epoch: 7, Seq: 2, Body: []byte("two"), Day: "2026-11-24", ReceivedMS: 6, hash: hash(2)}}, pending)
			records, err := tx.GroupRecords(t.Context(), 3)
			require.NoError(t, err)
			require.Len(t, records, 1)
			require.Equal(t, "2026-11-23", records[0].Day)
			return err
		}))
	}
	as()
	p, err := s.migrator()
	require.NoError(t, err)
	// Runs of many numbers go back too: what waits is joined by others, and every second one of those is posted.
	require.NoError(t, s.Update(t.Context(), func(tx *Tx) error {
		a := Arrived{Terminal: "bus-2", Epoch: 7, FirstSeq: 1, Envelope: []byte("e"), At: time.UnixMilli(7), Day: "2026-11-24"}
		for i := range 20 {
			a.Records = append(a.Records, []byte{byte(i)})
		}
		if _, err := tx.Keep(t.Context(), a); err != nil {
			return err
		}
		var some []Verified
		var verdicts []Verdict
		for seq := uint64(2); seq <= 20; seq += 2 {
			some = append(some, Verified{Pending: Pending{Terminal: "bus-2", Epoch: 7, Seq: seq}})
			verdicts = append(verdicts, Verdict{Verdict: "accepted", Label: "OK"})
		}
		_, err := tx.setVerdicts(t.Context(), 4, some, verdicts)
		return err
	}))
	evenly := func() (pending, posted []uint64) {
		require.NoError(t, s.View(t.Context(), func(tx *Tx) error {
			all, err := tx.PendingRecords(t.Context(), 100)
			require.NoError(t, err)
			for _, r := range all[1:] {
				pending = append(pending, r.Seq)
			}
			group, err := tx.GroupRecords(t.Context(), 4)
			for _, r := range group {
				posted = append(posted, r.Seq)
			}
			return err
		}))
		return pending, posted
	}
	pending, posted := evenly()
	require.Equal(t, []uint64{1, 3, 5, 7, 9, 11, 13, 15, 17, 19}, pending)
	require.Equal(t, []uint64{2, 4, 6, 8, 10, 12, 14, 16, 18, 20}, posted)
	_, err = p.DownTo(t.Context(), 240)
	require.NoError(t, err)
	require.NoError(t, s.Close())
	s, err = Open(t.Context(), at, Options{NoSync: true})
	require.NoError(t, err)
	nowPending, nowPosted := evenly()
	require.Equal(t, pending, nowPending)
	require.Equal(t, posted, nowPosted)
	require.NoError(t, s.Update(t.Context(), func(tx *Tx) error {
		_, err := tx.exec(t.Context(), "drop", `DELETE FROM record_waiting WHERE terminal = ?`, "bus-2")
		return err
	}))
	as()
}
