package keys_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/purselane/purselane/card/keys"
)

// v2 is a ring of version 2 that every later version must read.
const v2 = `purselane keys 2
role host
master load 02 00 101112131415161718191A1B1C1D1E1F
master tac 01 00 202122232425262728292A2B2C2D2E2F
master tac 02 00 303132333435363738393A3B3C3D3E3F
destroyed load 01 00 2026-01-01 2026-02-03
retired tac 01 00 2027-07-30
secret token 01FF
`

func TestARingOfVersion2(t *testing.T) {
	r, err := keys.ParseRing([]byte(v2))
	require.NoError(t, err)
	require.Equal(t, keys.RoleHost, r.Role)
	require.Equal(t, map[keys.ID]keys.Retirement{
		{Purpose: keys.TAC, Version: 1}:  {Until: "2027-07-30"},
		{Purpose: keys.Load, Version: 1}: {Until: "2026-01-01", Gone: "2026-02-03"},
	}, r.Retired)
	again, err := r.Text()
	require.NoError(t, err)
	require.Equal(t, v2, string(again))
	require.ErrorIs(t, r.Add(keys.ID{Purpose: keys.Load, Version: 1}, ascending(1)), keys.ErrDestroyed)
	next, err := r.Next(keys.Load, 0)
	require.NoError(t, err)
	require.Equal(t, byte(3), next.Version)

	for name, change := range map[string][2]string{
		"no role":                 {"role host", "role queen"},
		"a role that is none":     {"role host", "role scheme"},
		"a key of another role":   {"master load 02", "master purchase 02"},
		"a secret of no role":     {"secret token", "secret other"},
		"a day that is none":      {"2027-07-30", "2027-02-30"},
		"a day in another form":   {"2027-07-30", "2027-7-30"},
		"a key that is destroyed": {"destroyed load 01", "destroyed load 02"},
		"half a version":          {"retired tac 01", "retired tac 1"},
		"version 1":               {"purselane keys 2", "purselane keys 1"},
		"out of order":            {"destroyed load 01 00 2026-01-01 2026-02-03\nretired tac 01 00 2027-07-30\n", "retired tac 01 00 2027-07-30\ndestroyed load 01 00 2026-01-01 2026-02-03\n"},
	} {
		t.Run(name, func(t *testing.T) {
			require.Contains(t, v2, change[0])
			_, err := keys.ParseRing([]byte(strings.Replace(v2, change[0], change[1], 1)))
			require.ErrorIs(t, err, keys.ErrDamaged)
		})
	}
}

func TestDays(t *testing.T) {
	d, err := keys.ParseDay("2024-02-28")
	require.NoError(t, err)
	require.Equal(t, keys.Day("2024-03-01"), d.After(2))
	require.Equal(t, keys.Day("2026-11-25"), keys.DayOf(time.Date(2026, 11, 25, 23, 59, 0, 0, time.FixedZone("", 8*3600))))
	for _, bad := range []string{"", "2026-11-5", "2026-13-01", "25.11.2026", "2026-11-25 ", "0000-01-01"} {
		_, err := keys.ParseDay(bad)
		require.Error(t, err, bad)
	}
}

const today = keys.Day("2026-11-25")

func version(p keys.Purpose, v byte) keys.ID { return keys.ID{Purpose: p, Version: v} }

// twoVersions has two versions of the TAC and of the load key, and one of the purchase key.
func twoVersions() *keys.Ring {
	return &keys.Ring{Masters: map[keys.ID]keys.Key{
		version(keys.TAC, 1): ascending(0x10), version(keys.TAC, 2): ascending(0x20),
		version(keys.Load, 1): ascending(0x30), version(keys.Load, 2): ascending(0x40), version(keys.Purchase, 1): ascending(0x50),
	}, Secrets: map[string]keys.Secret{}}
}

func TestRetiring(t *testing.T) {
	tac, load := version(keys.TAC, 1), version(keys.Load, 1)
	good := keys.Retire{Today: today, CardsExpire: "2027-06-30", Until: "2027-07-30"}
	over := keys.Retire{Today: today, CardsExpire: "2026-11-24", Until: "2026-12-24"}
	for _, c := range []struct {
		name string
		id   keys.ID
		with keys.Retire
		want error
		says string
	}{
		{"a proof's key, with its cards in use", tac, good, nil, ""},
		{"a load key, with its cards out of use", load, over, nil, ""},
		{"a load key, with its cards in use", load, good, keys.ErrStrands, "valid until 2027-06-30"},
		{"a load key on its cards' last day", load, keys.Retire{Today: today, CardsExpire: today, Until: "2027-01-01"}, keys.ErrStrands, "valid until"},
		{"records that come late", tac, keys.Retire{Today: today, CardsExpire: "2027-06-30", Until: "2027-07-29"}, keys.ErrStrands, "until 2027-07-30 at least"},
		{"the only version", version(keys.Purchase, 1), over, keys.ErrStrands, "only purchase version"},
		{"a version that is not there", version(keys.TAC, 9), good, keys.ErrUnknownKey, ""},
		{"a day that is over", tac, keys.Retire{Today: today, CardsExpire: "2026-01-01", Until: today}, nil, "a day to come"},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := twoVersions()
			err := r.Retire(c.id, r.Held(), c.with)
			if c.want == nil && c.says == "" {
				require.NoError(t, err)
				require.ErrorIs(t, r.Retire(c.id, r.Held(), c.with), keys.ErrRetired)
				return
			}
			require.Error(t, err)
			require.ErrorContains(t, err, c.says)
			if c.want != nil {
				require.ErrorIs(t, err, c.want)
			}
			require.Empty(t, r.Retired)
		})
	}
}

// TestRollOver goes through a version's whole life, as docs/keys.md tells it.
func TestRollOver(t *testing.T) {
	r, id := twoVersions(), version(keys.TAC, 1)
	require.ErrorIs(t, r.Destroy(id, r.Held(), keys.Destroy{Today: "2030-01-01", Settled: "2030-01-01"}), keys.ErrStrands, "not retired")
	require.NoError(t, r.Retire(id, r.Held(), keys.Retire{Today: today, CardsExpire: "2027-06-30", Until: "2027-07-30"}))
	require.ErrorIs(t, r.Retire(version(keys.TAC, 2), r.Held(), keys.Retire{Today: today, CardsExpire: "2027-06-30", Until: "2027-07-30"}), keys.ErrStrands, "the last in use")

	require.NotContains(t, r.ForNewWork(), id)
	require.Contains(t, r.ForNewWork(), version(keys.TAC, 2))
	_, err := r.Export(id, 0, ascending(0xA0))
	require.ErrorIs(t, err, keys.ErrRetired)
	_, err = r.HSM().TAC(t.Context(), keys.Card{ID: id, Factors: [][8]byte{{1}}}, []byte("record"))
	require.NoError(t, err, "its proofs are judged")
	require.Empty(t, r.Due("2027-07-30"))
	require.Equal(t, []keys.ID{id}, r.Due("2027-07-31"))

	for _, early := range []keys.Destroy{{Today: "2027-07-30", Settled: "2027-07-30"}, {Today: "2027-08-10", Settled: "2027-07-29"}} {
		require.ErrorIs(t, r.Destroy(id, r.Held(), early), keys.ErrStrands)
	}
	require.NoError(t, r.Destroy(id, r.Held(), keys.Destroy{Today: "2027-08-10", Settled: "2027-08-09"}))
	require.NotContains(t, r.Masters, id)
	require.Empty(t, r.Due("2030-01-01"))
	require.ErrorIs(t, r.Destroy(id, r.Held(), keys.Destroy{Today: "2027-08-10", Settled: "2027-08-09"}), keys.ErrDestroyed)
	require.ErrorIs(t, r.Retire(id, r.Held(), keys.Retire{}), keys.ErrDestroyed)
	require.ErrorIs(t, r.Add(id, ascending(1)), keys.ErrDestroyed)
	text, err := r.Text()
	require.NoError(t, err)
	again, err := keys.ParseRing(text)
	require.NoError(t, err)
	require.Equal(t, r, again)
}

// TestARetiredKeyDoesNothingNew: each of the software's doors.
func TestARetiredKeyDoesNothingNew(t *testing.T) {
	r := &keys.Ring{Masters: map[keys.ID]keys.Key{}}
	for i, p := range []keys.Purpose{keys.Load, keys.Maintenance, keys.Reload, keys.ECCryptogram, keys.ECMAC, keys.DESFireTMAC} {
		r.Masters[version(p, 1)], r.Masters[version(p, 2)] = ascending(byte(i)), ascending(byte(i+100))
		require.NoError(t, r.Retire(version(p, 1), r.Held(), keys.Retire{Today: today, CardsExpire: "2026-01-01", Until: "2027-01-01"}))
	}
	cached, err := r.CachedHSM(keys.DefaultCache)
	require.NoError(t, err)
	defer cached.Forget()
	for _, door := range []*keys.Soft{r.HSM(), cached} {
		of := func(p keys.Purpose, v byte) keys.Card {
			return keys.Card{ID: version(p, v), Factors: [][8]byte{{1}}}
		}
		for v, want := range map[byte]error{1: keys.ErrRetired, 2: nil} {
			_, err1 := door.SessionMAC(t.Context(), of(keys.Load, v), [8]byte{}, nil)
			_, err2 := door.SecureMAC(t.Context(), of(keys.Maintenance, v), make([]byte, 4), nil)
			_, err3 := door.Encipher(t.Context(), of(keys.Maintenance, v), nil)
			_, err4 := door.ReloadMAC(t.Context(), of(keys.Reload, v), nil)
			_, err5 := door.EncipherBlocks(t.Context(), of(keys.ECCryptogram, v), [16]byte{}, make([]byte, 8))
			for _, err := range []error{err1, err2, err3, err4, err5} {
				require.ErrorIs(t, err, want)
			}
			_, err1 = door.RetailMAC(t.Context(), of(keys.ECCryptogram, v), [16]byte{}, make([]byte, 8))
			_, err2 = door.RetailMAC(t.Context(), of(keys.ECMAC, v), [16]byte{}, make([]byte, 8))
			_, err3 = door.CardCMAC(t.Context(), keys.AESCard{ID: version(keys.DESFireTMAC, v), Input: make([]byte, 20)}, [16]byte{}, nil)
			for _, err := range []error{err1, err2, err3} {
				require.NoError(t, err, "old proofs are judged")
			}
		}
	}
}

// TestAPurposeIsNeverWithoutAVersion retires and destroys at random.
func TestAPurposeIsNeverWithoutAVersion(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		r, day := twoVersions(), today
		for range rapid.IntRange(1, 30).Draw(rt, "steps") {
			id := version(rapid.SampledFrom([]keys.Purpose{keys.TAC, keys.Load, keys.Purchase}).Draw(rt, "purpose"), byte(rapid.IntRange(1, 4).Draw(rt, "version")))
			day = day.After(rapid.IntRange(0, 40).Draw(rt, "days"))
			switch rapid.IntRange(0, 2).Draw(rt, "step") {
			case 0:
				expire := day.After(rapid.IntRange(-20, 20).Draw(rt, "expire"))
				_ = r.Retire(id, r.Held(), keys.Retire{Today: day, CardsExpire: expire, Until: expire.After(rapid.IntRange(0, 40).Draw(rt, "until"))})
			case 1:
				old, had := r.Retired[id]
				if r.Destroy(id, r.Held(), keys.Destroy{Today: day, Settled: day.After(-rapid.IntRange(0, 3).Draw(rt, "settled"))}) == nil {
					require.True(rt, had)
					require.Less(rt, old.Until, day)
				}
			case 2:
				_ = r.Add(id, ascending(byte(len(r.Masters))))
			}
			inUse := map[keys.Purpose]int{}
			for id := range r.ForNewWork() {
				inUse[id.Purpose]++
			}
			require.Len(rt, inUse, 3, "of each purpose one version is in use")
			text, err := r.Text()
			require.NoError(rt, err)
			_, err = keys.ParseRing(text)
			require.NoError(rt, err)
		}
	})
}

func TestRoles(t *testing.T) {
	whole := ring(t, 3)
	for role, want := range map[keys.Role]struct{ masters, secrets int }{
		keys.RoleScheme: {13, 3}, keys.RoleIssuer: {13, 0}, keys.RoleHost: {11, 3}, keys.RoleAcquirer: {3, 0},
	} {
		t.Run(role.String(), func(t *testing.T) {
			r, err := whole.For(role)
			require.NoError(t, err)
			require.Len(t, r.Masters, want.masters)
			require.Len(t, r.Secrets, want.secrets)
			text, err := r.Text()
			require.NoError(t, err)
			again, err := keys.ParseRing(text)
			require.NoError(t, err)
			require.Equal(t, r.Masters, again.Masters)
			require.Equal(t, role, again.Role)
			named, err := keys.ParseRole(role.String())
			require.NoError(t, err)
			require.Equal(t, role, named)
		})
	}
	_, err := keys.ParseRole("king")
	require.Error(t, err)

	for _, c := range []struct {
		role keys.Role
		not  []keys.Purpose
	}{
		{keys.RoleAcquirer, []keys.Purpose{keys.Load, keys.TAC, keys.Unload, keys.Limit, keys.ECCryptogram, keys.ECMAC, keys.DESFireTMAC, "unheard-of"}},
		{keys.RoleHost, []keys.Purpose{keys.Purchase, keys.DESFireApp, "unheard-of"}},
		{keys.RoleIssuer, []keys.Purpose{keys.Data, "unheard-of"}},
	} {
		r, err := whole.For(c.role)
		require.NoError(t, err)
		for _, p := range c.not {
			err := r.Add(version(p, 9), ascending(9))
			require.ErrorIs(t, err, keys.ErrRole, p)
			r.Masters[version(p, 9)] = ascending(9)
			_, err = r.Text()
			require.ErrorIs(t, err, keys.ErrRole, "it cannot be sealed either")
			delete(r.Masters, version(p, 9))
		}
		r.Secrets = map[string]keys.Secret{"other": {1}}
		_, err = r.Text()
		require.ErrorIs(t, err, keys.ErrRole)
	}
	acquirer, err := whole.For(keys.RoleAcquirer)
	require.NoError(t, err)
	_, err = acquirer.For(keys.RoleHost)
	require.ErrorContains(t, err, "not divided")
	require.Contains(t, fmt.Sprint(*acquirer), "acquirer")
}
