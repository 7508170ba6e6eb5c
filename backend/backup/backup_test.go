package backup_test

import (
	"crypto/sha256"
	"database/sql"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/purselane/purselane/backend/backup"
	"github.com/purselane/purselane/backend/store"
)

func mkdir(path string) error { return os.MkdirAll(path, 0o700) }

// moveAway is what an operator does before a restore.
func moveAway(t *testing.T, path string) {
	t.Helper()
	for _, suffix := range []string{"", "-wal", "-shm"} {
		if err := os.Rename(path+suffix, path+".old"+suffix); suffix == "" {
			require.NoError(t, err)
		}
	}
}

// TestWhatCameAfterABackupComesAgain loses a database, restores yesterday's, and lets the terminal send what is missing.
func TestWhatCameAfterABackupComesAgain(t *testing.T) {
	s := start(t)
	for range 3 {
		s.tap(1_00)
	}
	s.upload()
	yesterday := s.state()
	file := filepath.Join(t.TempDir(), "monday.backup")
	made, err := backup.Make(s.ctx, s.path, file, noon)
	require.NoError(t, err)
	require.EqualValues(t, 1, made.LastGroup)

	for range 4 {
		s.tap(2_00)
	}
	s.upload()
	today := s.state()
	require.Contains(t, today, "shadow 89.00, missing 0, findings [], through 7")

	require.NoError(t, s.store.Close())
	moveAway(t, s.path)
	restored, err := backup.Restore(s.ctx, file, s.path)
	require.NoError(t, err)
	require.Equal(t, made, restored)
	s.open()
	require.Equal(t, yesterday, s.state())

	s.upload()
	require.Equal(t, today, s.state(), "the journal sent again what it had a receipt for")
	s.tap(5_00)
	s.upload()
	require.Contains(t, s.state(), "shadow 84.00, missing 0, findings [], through 8")
}

// TestABackupIsOneMoment copies while a writer writes all the time.
func TestABackupIsOneMoment(t *testing.T) {
	s := start(t)
	folder := t.TempDir()
	stop, done := make(chan struct{}), make(chan int)
	go func() {
		n := 0
		defer func() { done <- n }()
		for {
			select {
			case <-stop:
				return
			default:
			}
			s.tap(1)
			s.upload()
			n++
		}
	}()
	var groups []int64
	for i := range 5 {
		file := filepath.Join(folder, fmt.Sprint(i))
		made, err := backup.Make(s.ctx, s.path, file, noon)
		require.NoError(t, err)
		checked, err := backup.Check(s.ctx, file)
		require.NoError(t, err)
		require.Equal(t, made, checked)
		groups = append(groups, made.LastGroup)
	}
	close(stop)
	require.Positive(t, <-done, "nobody wrote")
	require.IsNonDecreasing(t, groups)
	left, err := filepath.Glob(filepath.Join(folder, ".*"))
	require.NoError(t, err)
	require.Empty(t, left, "nothing is left over")
}

func TestMakeRefuses(t *testing.T) {
	s := start(t)
	out := filepath.Join(t.TempDir(), "b")
	_, err := backup.Make(s.ctx, s.path+"x", out, noon)
	require.ErrorIs(t, err, os.ErrNotExist)
	require.NoFileExists(t, s.path+"x")

	_, err = backup.Make(s.ctx, s.path, filepath.Join(out, "no", "folder"), noon)
	require.ErrorIs(t, err, os.ErrNotExist)

	require.NoError(t, os.WriteFile(backup.ManifestPath(out), []byte("mine"), 0o600))
	_, err = backup.Make(s.ctx, s.path, out, noon)
	require.ErrorIs(t, err, backup.ErrExists)
	require.NoFileExists(t, out)
	require.NoError(t, os.Rename(backup.ManifestPath(out), out))
	_, err = backup.Make(s.ctx, s.path, out, noon)
	require.ErrorIs(t, err, backup.ErrExists)
	raw, err := os.ReadFile(out)
	require.NoError(t, err)
	require.Equal(t, "mine", string(raw))
}

func TestABackupOfAnEmptyDatabase(t *testing.T) {
	path := filepath.Join(t.TempDir(), "x.db")
	s, err := store.Open(t.Context(), path, store.Options{NoSync: true})
	require.NoError(t, err)
	require.NoError(t, s.Close())
	file := filepath.Join(t.TempDir(), "b")
	m, err := backup.Make(t.Context(), path, file, noon.Add(time.Nanosecond).In(time.FixedZone("", 3600)))
	require.NoError(t, err)
	require.Zero(t, m.LastGroup)
	_, err = backup.Check(t.Context(), file)
	require.NoError(t, err)
	info, err := os.Stat(file)
	require.NoError(t, err)
	require.Equal(t, os.FileMode(0o600), info.Mode().Perm(), "card numbers are in it")
}

func TestRestoreWritesOverNothing(t *testing.T) {
	s := start(t)
	file := filepath.Join(t.TempDir(), "b")
	_, err := backup.Make(s.ctx, s.path, file, noon)
	require.NoError(t, err)
	for _, suffix := range []string{"", "-wal", "-shm", "-journal"} {
		path := filepath.Join(t.TempDir(), "purselane.db")
		require.NoError(t, os.WriteFile(path+suffix, []byte("mine"), 0o600))
		_, err := backup.Restore(s.ctx, file, path)
		require.ErrorIs(t, err, backup.ErrExists)
		raw, err := os.ReadFile(path + suffix)
		require.NoError(t, err)
		require.Equal(t, "mine", string(raw))
	}
}

// TestCheckFindsWhatWasChanged changes a backup, or what is said of it, in each way.
func TestCheckFindsWhatWasChanged(t *testing.T) {
	s := start(t)
	s.tap(1_00)
	s.upload()
	origin := filepath.Join(t.TempDir(), "b")
	made, err := backup.Make(s.ctx, s.path, origin, noon)
	require.NoError(t, err)
	image, err := os.ReadFile(origin)
	require.NoError(t, err)

	// sign makes the manifest say of a file what it is, as somebody would who changes both.
	sign := func(file string, m backup.Manifest) {
		raw, err := os.ReadFile(file)
		require.NoError(t, err)
		m.Bytes, m.SHA256 = int64(len(raw)), fmt.Sprintf("%x", sha256.Sum256(raw))
		write(t, file, m)
	}
	sqlite := func(file, statement string) {
		db, err := sql.Open("sqlite", "file:"+file)
		require.NoError(t, err)
		_, err = db.Exec(statement)
		require.NoError(t, err)
		require.NoError(t, db.Close())
	}
	for name, c := range map[string]struct {
		spoil func(file string)
		want  error
	}{
		"a byte flipped":    {func(f string) { flip(t, f, len(image)/2) }, backup.ErrDamaged},
		"the end cut off":   {func(f string) { require.NoError(t, os.Truncate(f, int64(len(image)-1))) }, backup.ErrDamaged},
		"the file gone":     {func(f string) { require.NoError(t, os.Remove(f)) }, os.ErrNotExist},
		"the manifest gone": {func(f string) { require.NoError(t, os.Remove(backup.ManifestPath(f))) }, backup.ErrNoManifest},
		"no database":       {func(f string) { require.NoError(t, os.WriteFile(f, []byte("hello"), 0o600)); sign(f, made) }, backup.ErrDamaged},
		"pages torn":        {func(f string) { tear(t, f); sign(f, made) }, backup.ErrDamaged},
		"money made": {func(f string) {
			sqlite(f, `UPDATE account SET balance = balance - 1 WHERE name = 'float'`)
			sign(f, made)
		}, backup.ErrUnsound},
		"the last group gone": {func(f string) { sqlite(f, `DELETE FROM posting_group`); sign(f, made) }, backup.ErrDamaged},
		"a newer schema":      {func(f string) { m := made; m.Schema = 99999; write(t, f, m) }, backup.ErrNewer},
		"another schema":      {func(f string) { m := made; m.Schema--; write(t, f, m) }, backup.ErrDamaged},
		"another hash":        {func(f string) { m := made; m.LastGroupHash = "00"; write(t, f, m) }, backup.ErrDamaged},
	} {
		t.Run(name, func(t *testing.T) {
			file := filepath.Join(t.TempDir(), "b")
			require.NoError(t, os.WriteFile(file, image, 0o600))
			write(t, file, made)
			c.spoil(file)
			_, err := backup.Check(s.ctx, file)
			require.ErrorIs(t, err, c.want)
			into := filepath.Join(t.TempDir(), "purselane.db")
			_, err = backup.Restore(s.ctx, file, into)
			require.ErrorIs(t, err, c.want)
			require.NoFileExists(t, into, "nothing unproved is put back")
		})
	}
}

func write(t *testing.T, file string, m backup.Manifest) {
	t.Helper()
	raw, err := json.Marshal(m)
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(backup.ManifestPath(file), raw, 0o600))
}

func flip(t *testing.T, file string, at int) {
	t.Helper()
	raw, err := os.ReadFile(file)
	require.NoError(t, err)
	raw[at] ^= 1
	require.NoError(t, os.WriteFile(file, raw, 0o600))
}

// tear overwrites the second page on.
func tear(t *testing.T, file string) {
	t.Helper()
	raw, err := os.ReadFile(file)
	require.NoError(t, err)
	copy(raw[4096:], strings.Repeat("torn", 4096))
	require.NoError(t, os.WriteFile(file, raw, 0o600))
}

func TestAManifestIsReadStrictly(t *testing.T) {
	const whole = `{"format":"purselane-backup-1","made_at":"2026-11-24T12:00:00Z","engine":"sqlite","file":"b","bytes":1,` +
		`"sha256":"e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855","schema":1,"last_group":0,"last_group_hash":""}`
	_, err := backup.ParseManifest([]byte(whole))
	require.NoError(t, err)
	for name, c := range map[string][2]string{
		"another format":   {"backup-1", "backup-2"},
		"another engine":   {"sqlite", "oracle"},
		"an unknown field": {`"bytes"`, `"extra":1,"bytes"`},
		"a folder":         {`"b"`, `"../b"`},
		"no bytes":         {`"bytes":1`, `"bytes":0`},
		"half a digest":    {"e3b0", ""},
		"no JSON":          {"{", ""},
		"something after":  {`""}`, `""} {}`},
		"far too long":     {"{", "{" + strings.Repeat(" ", 1<<17)},
	} {
		t.Run(name, func(t *testing.T) {
			require.Contains(t, whole, c[0])
			_, err := backup.ParseManifest([]byte(strings.Replace(whole, c[0], c[1], 1)))
			require.ErrorIs(t, err, backup.ErrNoManifest)
		})
	}
}

func FuzzParseManifest(f *testing.F) {
	f.Add([]byte(`{"format":"purselane-backup-1","engine":"sqlite","file":"b","bytes":1,"schema":1}`))
	f.Add([]byte(`{"format":"purselane-backup-1"`))
	f.Fuzz(func(t *testing.T, raw []byte) {
		m, err := backup.ParseManifest(raw)
		if err != nil {
			return
		}
		again, err := json.Marshal(m)
		require.NoError(t, err)
		same, err := backup.ParseManifest(again)
		require.NoError(t, err)
		require.Equal(t, m, same)
	})
}

func TestAManifestSaysWhichServerItIsOf(t *testing.T) {
	const of = `{"format":"purselane-backup-1","made_at":"2026-11-24T12:00:00Z","engine":"%s","file":"b","bytes":1,` +
		`"sha256":"e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855","schema":1,"last_group":0,"last_group_hash":""%s}`
	for _, c := range []struct {
		engine, server string
		good           bool
	}{
		{"postgres", `,"server_version":"150018"`, true}, {"sqlite", "", true},
		{"postgres", "", false}, {"postgres", `,"server_version":"new"`, false}, {"sqlite", `,"server_version":"150018"`, false},
	} {
		_, err := backup.ParseManifest(fmt.Appendf(nil, of, c.engine, c.server))
		if c.good {
			require.NoError(t, err, c)
		} else {
			require.ErrorIs(t, err, backup.ErrNoManifest, c)
		}
	}
}

func TestABackupOfAnotherEngineIsRefused(t *testing.T) {
	s := start(t)
	file := filepath.Join(t.TempDir(), "b")
	_, err := backup.Make(s.ctx, s.path, file, noon)
	require.NoError(t, err)
	_, err = backup.RestorePostgres(s.ctx, file, "postgres://nobody@127.0.0.1:1/nothing")
	require.ErrorIs(t, err, backup.ErrEngine)
	_, err = backup.CheckPostgres(s.ctx, file, "postgres://nobody@127.0.0.1:1/nothing")
	require.ErrorIs(t, err, backup.ErrEngine)
}
