package main

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"filippo.io/age"
	"github.com/stretchr/testify/require"

	"github.com/purselane/purselane/card/keys"
)

// at sets the date of this machine for a test.
func at(t *testing.T, day string) {
	when, err := time.Parse(time.DateOnly, day)
	require.NoError(t, err)
	before := now
	t.Cleanup(func() { now = before })
	now = func() time.Time { return when }
}

// audited reads the audit file of a vault.
func (v *vault) audited() (all []auditLine) {
	raw, err := os.ReadFile(filepath.Join(v.dir, fileAudit))
	require.NoError(v.t, err)
	for line := range strings.Lines(string(raw)) {
		var l auditLine
		require.NoError(v.t, json.Unmarshal([]byte(line), &l))
		all = append(all, l)
	}
	return all
}

// TestAVersionsLife goes through add, overlap, retire and destroy by the commands, and looks at what was written down.
func TestAVersionsLife(t *testing.T) {
	v := newVault(t)
	at(t, "2026-11-25")
	for range 2 {
		_, err := v.run("add", "--purpose", "tac")
		require.NoError(t, err)
	}
	old := keys.ID{Purpose: keys.TAC, Version: 1}
	key := v.ring().Masters[old]
	retire := []string{"retire", "--purpose", "tac", "--version", "01", "--cards-expire", "2027-06-30"}
	_, err := v.run(retire...)
	require.ErrorContains(t, err, "nobody to ask")
	_, err = v.run(append(retire, "--yes", "tac/02/00")...)
	require.ErrorContains(t, err, "is not the name of the key")
	_, err = v.run(append(retire, "--yes", "tac/01/00", "--until", "2027-07-01")...)
	require.ErrorIs(t, err, keys.ErrStrands)
	_, err = v.run("destroy", "--purpose", "tac", "--version", "01", "--settled", "2027-07-30", "--yes", "tac/01/00")
	require.ErrorIs(t, err, keys.ErrStrands)
	require.Len(t, v.audited(), 2, "what was refused is not written down")

	out, err := v.run(append(retire, "--yes", "tac/01/00")...)
	require.NoError(t, err)
	require.Contains(t, out, "retired tac/01/00, its proofs are judged until 2027-07-30")
	_, err = v.run("destroy", "--purpose", "tac", "--version", "01", "--settled", "2027-07-30", "--yes", "tac/01/00")
	require.ErrorContains(t, err, "judged until 2027-07-30")

	at(t, "2027-08-10")
	shown, err := runKeys(t, "show", "--file", v.file, "--identity-file", v.identity)
	require.NoError(t, err)
	require.Contains(t, shown, "destroy it")
	_, err = v.run("destroy", "--purpose", "tac", "--version", "01", "--settled", "2027-07-29", "--yes", "tac/01/00")
	require.ErrorContains(t, err, "closed and settled")
	out, err = v.run("destroy", "--purpose", "tac", "--version", "01", "--settled", "2027-08-09", "--yes", "tac/01/00")
	require.NoError(t, err)
	require.Contains(t, out, "destroyed tac/01/00 on 2027-08-10")
	require.NotContains(t, v.ring().Masters, old)
	_, err = v.run("ceremony", "--purpose", "tac", "--version", "01", "--component", v.write("a", partA), "--component", v.write("b", partB))
	require.ErrorIs(t, err, keys.ErrDestroyed)

	lines := v.audited()
	require.Len(t, lines, 4)
	retired, destroyed := lines[2], lines[3]
	require.Equal(t, "retire", retired.Do)
	require.Equal(t, keys.Day("2027-06-30"), retired.CardsExpire)
	require.Equal(t, keys.Day("2027-07-30"), retired.Until)
	require.Equal(t, "destroy", destroyed.Do)
	require.Equal(t, keys.Day("2027-08-09"), destroyed.Settled)
	require.Equal(t, time.Date(2027, 8, 10, 0, 0, 0, 0, time.UTC), destroyed.At)
	require.NotEmpty(t, destroyed.By)
	var check auditLine
	check.named(old, keys.CheckValue(key))
	require.Equal(t, check.Keys, destroyed.Keys)
}

// TestWhatIsNotWrittenDownIsNotDone: an audit file that cannot be written ends a command before it begins.
func TestWhatIsNotWrittenDownIsNotDone(t *testing.T) {
	v := newVault(t)
	_, err := v.run("add", "--purpose", "tac", "--audit", filepath.Join(v.dir, "no such folder", "audit"))
	require.ErrorContains(t, err, "audit file")
	other := filepath.Join(v.dir, "elsewhere.jsonl")
	_, err = v.run("add", "--purpose", "tac", "--audit", other)
	require.NoError(t, err)
	require.FileExists(t, other)
	require.NoFileExists(t, filepath.Join(v.dir, fileAudit))
	info, err := os.Stat(other)
	require.NoError(t, err)
	require.Equal(t, os.FileMode(0o600), info.Mode().Perm())
}

func TestKeysAreSplitByRole(t *testing.T) {
	v := newVault(t)
	whole := filepath.Join(v.dir, "whole.age")
	_, err := runKeys(t, "init", "--file", whole, "--identity-file", v.identity)
	require.NoError(t, err)
	theirs, err := age.GenerateX25519Identity()
	require.NoError(t, err)
	their := v.write("their-identity", theirs.String()+"\n")
	out := filepath.Join(v.dir, "acquirer.age")
	split := []string{"split", "--file", whole, "--identity-file", v.identity, "--role", "acquirer", "--out", out, "--to", theirs.Recipient().String()}
	text, err := runKeys(t, split...)
	require.NoError(t, err)
	require.Contains(t, text, "role acquirer")
	_, err = runKeys(t, "show", "--file", out, "--identity-file", v.identity)
	require.ErrorIs(t, err, keys.ErrWrongPassphrase, "it is sealed to the acquirer alone")
	shown, err := runKeys(t, "show", "--file", out, "--identity-file", their)
	require.NoError(t, err)
	require.Contains(t, shown, "role acquirer")
	require.Len(t, lines(shown, "  master"), 3)
	require.Empty(t, lines(shown, "  secret"))

	_, err = runKeys(t, "add", "--file", out, "--identity-file", their, "--out", out+".2", "--purpose", "load")
	require.ErrorIs(t, err, keys.ErrRole)
	require.NoFileExists(t, out+".2")
	all := v.audited()
	require.Equal(t, "split", all[0].Do)
	require.Equal(t, "acquirer", all[0].Role)
	require.Len(t, all[0].Keys, 3)

	for name, c := range map[string]struct{ change, says string }{
		"over a file":   {"", "exists"},
		"no such role":  {"--role=king", "want issuer, host, acquirer"},
		"no recipient":  {"--to=somebody", "age1"},
		"an acquirer's": {"--file=" + out + " --identity-file=" + their, "not divided"},
	} {
		t.Run(name, func(t *testing.T) {
			args := append([]string{}, split...)
			if c.change != "" {
				args[8] = filepath.Join(v.dir, name)
			}
			_, err := runKeys(t, append(args, strings.Fields(c.change)...)...)
			require.ErrorContains(t, err, c.says)
		})
	}
}
