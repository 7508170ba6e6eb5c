package desfire_test

import (
	"bytes"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"os"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/purselane/purselane/card/apdu"
	"github.com/purselane/purselane/card/desfire"
	"github.com/purselane/purselane/card/keys"
)

// digits are hexadecimal digits in a test file.
type digits []byte

func (d *digits) UnmarshalText(text []byte) (err error) {
	*d, err = hex.DecodeString(string(text))
	return err
}

type vectors struct {
	CMAC struct {
		Source       string
		Key, Message digits
		Of           []struct {
			Bytes int
			MAC   digits
		}
	}
	Diversify struct {
		Source                        string
		Master, UID, AID, System, Key digits
	}
	Authenticate []struct {
		Source         string
		Key, Challenge digits
		RndA           digits `json:"rnd_a"`
		RndB           digits `json:"rnd_b"`
		Answer, Finish digits
		Enc, MAC       digits
	}
	Messages []struct {
		Source            string
		Enc, MAC, TI, Ins digits
		Before            int
		Mode              desfire.Mode
		Header, Data      digits
		Command           digits
		Answer, Plain     digits
	}
}

func published(t testing.TB) (v vectors) {
	raw, err := os.ReadFile("testdata/vectors.json")
	require.NoError(t, err)
	d := json.NewDecoder(bytes.NewReader(raw))
	d.DisallowUnknownFields()
	require.NoError(t, d.Decode(&v))
	return v
}

func TestPublishedCMACs(t *testing.T) {
	v := published(t).CMAC
	require.Len(t, v.Of, 4)
	for _, c := range v.Of {
		got := desfire.CMAC(keys.Key(v.Key), v.Message[:c.Bytes])
		require.Equal(t, []byte(c.MAC), got[:], "%s, %d bytes", v.Source, c.Bytes)
	}
}

func TestPublishedDiversification(t *testing.T) {
	v := published(t).Diversify
	got, err := desfire.Diversify(keys.Key(v.Master), [7]byte(v.UID), [3]byte(v.AID), v.System)
	require.NoError(t, err)
	require.True(t, got == keys.Key(v.Key), v.Source)

	for _, n := range []int{0, 5, 22} {
		_, err := desfire.Diversify(keys.Key(v.Master), [7]byte(v.UID), [3]byte(v.AID), make([]byte, n))
		require.Error(t, err, "system identifier of %d bytes", n)
	}
}

func TestPublishedAuthentications(t *testing.T) {
	all := published(t).Authenticate
	require.Len(t, all, 2)
	for _, v := range all {
		t.Run(v.Source, func(t *testing.T) {
			enc, mac := desfire.SessionKeys(keys.Key(v.Key), [16]byte(v.RndA), [16]byte(v.RndB))
			require.True(t, enc == keys.Key(v.Enc))
			require.True(t, mac == keys.Key(v.MAC))

			sam := desfire.NewSoftSAM(keys.Key(v.Key), bytes.NewReader(v.RndA))
			answer, err := sam.Begin(t.Context(), 0, [16]byte(v.Challenge))
			require.NoError(t, err)
			require.Equal(t, []byte(v.Answer), answer[:])
			_, err = sam.Finish(t.Context(), [32]byte(v.Finish))
			require.NoError(t, err)
			_, err = sam.Finish(t.Context(), [32]byte(v.Finish))
			require.ErrorIs(t, err, desfire.ErrOrder, "one answer for one authentication")

			sam = desfire.NewSoftSAM(keys.Key(v.Key), bytes.NewReader(v.RndA))
			_, err = sam.Begin(t.Context(), 0, [16]byte(v.Challenge))
			require.NoError(t, err)
			v.Finish[5] ^= 1
			_, err = sam.Finish(t.Context(), [32]byte(v.Finish))
			require.ErrorIs(t, err, desfire.ErrAnswer)
		})
	}
}

func TestPublishedMessages(t *testing.T) {
	all := published(t).Messages
	require.Len(t, all, 3)
	for _, v := range all {
		t.Run(v.Source, func(t *testing.T) {
			sealed := func() *desfire.Session {
				s := desfire.NewSession(keys.Key(v.Enc), keys.Key(v.MAC), [4]byte(v.TI))
				for range v.Before {
					_, err := s.Seal(0x51, desfire.MAC, nil, nil)
					require.NoError(t, err)
				}
				cmd, err := s.Seal(v.Ins[0], v.Mode, v.Header, v.Data)
				require.NoError(t, err)
				raw, err := cmd.Bytes()
				require.NoError(t, err)
				require.Equal(t, fmt.Sprintf("%X", v.Command), fmt.Sprintf("%X", raw))
				return s
			}
			good := apdu.Response{Data: v.Answer, SW: 0x9100}
			s := sealed()
			plain, err := s.Open(v.Ins[0], v.Mode, good)
			require.NoError(t, err)
			require.Equal(t, fmt.Sprintf("%X", v.Plain), fmt.Sprintf("%X", plain))

			for i := range 8 * len(v.Answer) {
				s := sealed()
				bad := apdu.Response{Data: bytes.Clone(v.Answer), SW: 0x9100}
				bad.Data[i/8] ^= 1 << (i % 8)
				_, err := s.Open(v.Ins[0], v.Mode, bad)
				require.ErrorIs(t, err, desfire.ErrAnswer, "bit %d changed", i)
				_, err = s.Open(v.Ins[0], v.Mode, good)
				require.ErrorIs(t, err, desfire.ErrSessionOver)
				_, err = s.Seal(v.Ins[0], v.Mode, nil, nil)
				require.ErrorIs(t, err, desfire.ErrSessionOver)
			}
			for n := range 8 {
				_, err := sealed().Open(v.Ins[0], v.Mode, apdu.Response{Data: v.Answer[:n], SW: 0x9100})
				require.ErrorIs(t, err, desfire.ErrMalformed)
			}

			// A replay: the same answer for the command after it.
			_, err = s.Seal(v.Ins[0], v.Mode, v.Header, v.Data)
			require.NoError(t, err)
			_, err = s.Open(v.Ins[0], v.Mode, good)
			require.ErrorIs(t, err, desfire.ErrAnswer)
		})
	}
}
