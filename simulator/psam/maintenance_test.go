package psam_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/purselane/purselane/card/ep"
	"github.com/purselane/purselane/card/keys"
	"github.com/purselane/purselane/simulator/image"
	"github.com/purselane/purselane/simulator/psam"
)

// maintaining is a PSAM with the maintenance master key of purse facts 8.2.
func maintaining(t require.TestingT) *psam.PSAM {
	img := image82(t, 1)
	var mamk keys.Key
	for i := range mamk {
		mamk[i] = 0x90 + byte(i)
	}
	img.Maintenance = []psam.MasterKey{{Version: 2, Key: image.Key{Key: mamk}}}
	p, err := psam.New(img)
	require.NoError(t, err)
	return p
}

// TestMaintenance makes the MACs of purse facts 8.2 with DELIVERY KEY and CIPHER DATA, and refuses what is not in order.
func TestMaintenance(t *testing.T) {
	const (
		deliver = "801A250208 0203040506070809"
		cipher  = "80FA050010 1122334400000000 841E000004800000 04"
	)
	p := maintaining(t)
	for i, step := range [][2]string{
		{deliver, "6A82"}, {selectApp, "6F128410A0000006324D4F542E435053414D30319000"},
		{cipher, "6901"}, {deliver, "9000"}, {cipher, "E2F8EB279000"}, {cipher, "6901"}, // one key, one MAC
		{deliver, "9000"}, {"80FA050010 5566778800000000 04D6970207000100 04", "6A80"}, // not padded
		{deliver, "9000"}, {"80FA050018 5566778800000000 04D6970207000100 8000000000000000 04", "89D574F39000"},
		{deliver, "9000"}, {"80FA050010 1122334400000000 841E000004800000 08", "6C04"},
		{deliver, "9000"}, {"80FA010010 1122334400000000 841E000004800000 04", "6A86"},
		{deliver, "9000"}, {"80FA05000F 1122334400000000 841E0000048000 04", "6700"},
		{deliver, "9000"}, {"80FA050010 1122334400000000 0000000000000000 04", "6A80"},
		{"801A250108 0203040506070809", "9403"}, {"801A220208 0203040506070809", "6A86"}, {"801A050200", "6A86"}, {"801A450208 0203040506070809", "6700"},
		{deliver, "9000"}, {"801A250108 0203040506070809", "9403"}, {cipher, "6901"}, // a refused key takes the old one away
	} {
		require.Equal(t, step[1], transmit(t, p, step[0]), "step %d: %s", i, step[0])
	}
	transmit(t, p, deliver)
	p.Reset()
	transmit(t, p, selectApp)
	require.Equal(t, "6901", transmit(t, p, cipher))
}

// TestMaintenanceByTheLibrary: two levels, issuer first for the caller and last on the wire.
func TestMaintenanceByTheLibrary(t *testing.T) {
	p := maintaining(t)
	door, err := ep.OpenPSAM(t.Context(), p, ep.PSAMTUnion)
	require.NoError(t, err)
	factors := [][8]byte{[8]byte(unhex("01011000FFFFFFFF")), [8]byte(unhex("0203040506070809"))}
	damk := keys.Key(unhex("62CFE7C4C7A47C4DA0C1F4B2EDBFD387")) // purse facts 8.2
	for _, message := range []string{"841E000004", "04D6970207000100", "04D69502080102", "8416000004AABBCC"} {
		for _, challenge := range []string{"11223344", "1122334455667788"} {
			got, err := door.Maintenance(ep.MaintenanceKey{Version: 2}, factors)(t.Context(), unhex(challenge), unhex(message))
			require.NoError(t, err)
			want, err := keys.TripleDES.SecureMAC(damk, unhex(challenge), unhex(message))
			require.NoError(t, err)
			require.Equal(t, want, got)
		}
	}
	_, err = door.Maintenance(ep.MaintenanceKey{Version: 1}, factors)(t.Context(), make([]byte, 4), nil)
	require.ErrorIs(t, err, ep.ErrKeyIndex)
	for _, bad := range []func() error{
		func() error {
			_, err := door.Maintenance(ep.MaintenanceKey{}, nil)(t.Context(), make([]byte, 4), nil)
			return err
		},
		func() error {
			_, err := door.Maintenance(ep.MaintenanceKey{}, factors)(t.Context(), make([]byte, 16), nil)
			return err
		},
		func() error {
			_, err := door.Maintenance(ep.MaintenanceKey{}, factors)(t.Context(), make([]byte, 4), make([]byte, 240))
			return err
		},
	} {
		require.Error(t, bad())
	}
}
