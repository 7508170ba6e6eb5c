package image_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/purselane/purselane/card/keys"
	"github.com/purselane/purselane/simulator/image"
)

type state struct {
	N int         `json:"n"`
	B image.Bytes `json:"b"`
	K image.Key   `json:"k"`
}

func TestSaveIsOldOrNewAtEveryStep(t *testing.T) {
	cases := []struct {
		step string
		want int
	}{
		{image.StepWrite, 1},
		{image.StepSync, 1},
		{image.StepRename, 1},
		{image.StepSyncDir, 2},
	}
	for _, c := range cases {
		t.Run("a crash before "+c.step, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "chip.json")
			f, err := image.Create(path, state{N: 1})
			require.NoError(t, err)
			crash := errors.New("crash")
			f.Fault = func(step string) error {
				if step == c.step {
					return crash
				}
				return nil
			}
			err = f.Save(state{N: 2})
			require.ErrorIs(t, err, crash)
			require.Equal(t, c.want == 2, errors.Is(err, image.ErrNotDurable))
			require.NoError(t, f.Close())

			var got state
			f, err = image.Open(path, &got)
			require.NoError(t, err)
			require.Equal(t, c.want, got.N)

			// What the crash left behind does not disturb the next save.
			require.NoError(t, f.Save(state{N: 3}))
			require.NoError(t, f.Close())
			f, err = image.Open(path, &got)
			require.NoError(t, err)
			require.Equal(t, 3, got.N)
			require.NoError(t, f.Close())
		})
	}
}

func TestCreateDoesNotOverwriteAChip(t *testing.T) {
	path := filepath.Join(t.TempDir(), "chip.json")
	f, err := image.Create(path, state{N: 1})
	require.NoError(t, err)
	require.NoError(t, f.Close())
	_, err = image.Create(path, state{N: 2})
	require.ErrorIs(t, err, os.ErrExist)
}

func TestOneProgramPerChip(t *testing.T) {
	path := filepath.Join(t.TempDir(), "chip.json")
	f, err := image.Create(path, state{N: 1})
	require.NoError(t, err)
	var s state
	_, err = image.Open(path, &s)
	require.ErrorIs(t, err, image.ErrInUse)
	require.NoError(t, f.Close())
	f, err = image.Open(path, &s)
	require.NoError(t, err)
	require.NoError(t, f.Close())
}

func TestOpenRefusesWhatItCannotKeep(t *testing.T) {
	for name, text := range map[string]string{
		"an unknown field":   `{"n":1,"colour":"red"}`,
		"two values":         `{"n":1}{"n":2}`,
		"half a file":        `{"n":1,`,
		"a short key":        `{"k":"0011"}`,
		"odd hex digits":     `{"b":"001"}`,
		"an empty file":      ``,
		"letters beyond hex": `{"b":"zz"}`,
	} {
		t.Run(name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "chip.json")
			require.NoError(t, os.WriteFile(path, []byte(text), 0o600))
			var s state
			_, err := image.Open(path, &s)
			require.Error(t, err)
			raw, err := os.ReadFile(path)
			require.NoError(t, err)
			require.Equal(t, text, string(raw), "an unreadable image must stay as it is")
		})
	}
}

func TestAKeyIsInTheFileAndNowhereElse(t *testing.T) {
	s := state{N: 1, B: "\x0a\xff", K: image.Key{Key: keys.Key{0xDE, 0xAD, 0xBE, 0xEF}}}
	raw, err := json.Marshal(s)
	require.NoError(t, err)
	require.Contains(t, string(raw), "DEADBEEF")
	require.Contains(t, string(raw), `"0AFF"`)
	var back state
	require.NoError(t, json.Unmarshal(raw, &back))
	require.Equal(t, s, back)
	for _, verb := range []string{"%v", "%+v", "%#v", "%s"} {
		out := fmt.Sprintf(verb, s)
		require.NotContains(t, out, "DE")
		require.NotContains(t, out, "222", verb)
		require.Contains(t, out, "[key]", verb)
	}
}
