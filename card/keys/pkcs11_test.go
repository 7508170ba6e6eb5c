package keys_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/purselane/purselane/card/keys"
)

func TestLabelsOfKeysInADevice(t *testing.T) {
	id := keys.ID{Purpose: keys.Load, Version: 0x0A, Algorithm: 0xFF}
	require.Equal(t, "purselane/load/0A/FF", keys.LabelOf("", id))
	got, ours := keys.ParseLabel("", "purselane/load/0A/FF")
	require.True(t, ours)
	require.Equal(t, id, got)
	for _, label := range []string{
		"", "purselane/", "load/0A/FF", "other/load/0A/FF", "purselane/load/0A", "purselane/load/0A/FF/", "purselane/load/0a/FF", "purselane/load/A/FF",
		"purselane/load/+A/FF", "purselane/load/100/FF", "purselane//0A/FF", "purselane/Load/0A/FF", "purselane/load/0A/FF ", "purselane/load/0A/G0",
	} {
		_, ours := keys.ParseLabel("", label)
		require.False(t, ours, label)
	}
}

func FuzzParseLabel(f *testing.F) {
	for _, s := range []string{"purselane/load/0A/FF", "purselane/tac/1/00", "purselane/", "x"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, label string) {
		if id, ours := keys.ParseLabel("", label); ours {
			require.Equal(t, label, keys.LabelOf("", id))
		}
	})
}

func TestDeviceOptions(t *testing.T) {
	good := keys.DeviceOptions{Module: "m", Token: "t", PIN: keys.Secret("1")}
	require.NoError(t, good.Check())
	for name, spoil := range map[string]func(*keys.DeviceOptions){
		"no library": func(o *keys.DeviceOptions) { o.Module = "" },
		"no token":   func(o *keys.DeviceOptions) { o.Token = "" },
		"no PIN":     func(o *keys.DeviceOptions) { o.PIN = nil },
		"sessions":   func(o *keys.DeviceOptions) { o.Sessions = -1 },
		"retries":    func(o *keys.DeviceOptions) { o.RetryEvery = -time.Second },
		"cache":      func(o *keys.DeviceOptions) { o.Cache = keys.CachePolicy{Cards: 1} },
	} {
		o := good
		spoil(&o)
		require.Error(t, o.Check(), name)
	}
}
