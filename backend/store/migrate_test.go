package store

import (
	"database/sql"
	"io/fs"
	"path/filepath"
	"testing"

	"github.com/pressly/goose/v3"
	"github.com/stretchr/testify/require"
)

// TestTheOnePSAMOfBeforeIsKept brings a database of before up to date: its terminals keep the PSAM they had.
func TestTheOnePSAMOfBeforeIsKept(t *testing.T) {
	path := filepath.Join(t.TempDir(), "old.db")
	db, err := sql.Open("sqlite", path)
	require.NoError(t, err)
	dir, err := fs.Sub(migrations, "migrations")
	require.NoError(t, err)
	p, err := goose.NewProvider(goose.DialectSQLite3, db, dir)
	require.NoError(t, err)
	_, err = p.UpTo(t.Context(), 30)
	require.NoError(t, err)
	_, err = db.Exec(`INSERT INTO acquirer VALUES ('a', 'A', '[]'); INSERT INTO merchant VALUES ('m', 'a', 'M');
		INSERT INTO terminal (id, merchant, psam, public_key, status) VALUES ('bus-1', 'm', x'112233445566', zeroblob(32), 'active')`)
	require.NoError(t, err)
	require.NoError(t, db.Close())
	s, err := Open(t.Context(), path, Options{NoSync: true})
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
	path := filepath.Join(t.TempDir(), "old.db")
	db, err := sql.Open("sqlite", path)
	require.NoError(t, err)
	dir, err := fs.Sub(migrations, "migrations")
	require.NoError(t, err)
	p, err := goose.NewProvider(goose.DialectSQLite3, db, dir)
	require.NoError(t, err)
	_, err = p.UpTo(t.Context(), 50)
	require.NoError(t, err)
	_, err = db.Exec(`INSERT INTO settlement_day (day, term, due, closed_ms, digest) VALUES ('2026-11-23', 'T+1', '2026-11-24', 1, 'd');
		INSERT INTO settlement_party (day, kind, party, name, fees, loads, net) VALUES ('2026-11-23', 'acquirer', 'a', 'A', '[]', 0, 0)`)
	require.NoError(t, err)
	require.NoError(t, db.Close())
	s, err := Open(t.Context(), path, Options{NoSync: true})
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
