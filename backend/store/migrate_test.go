package store

import (
	"path/filepath"
	"strings"
	"testing"

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
