package keys_test

import (
	"encoding/hex"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/purselane/purselane/card/keys"
)

// TestCheckValues holds each kind against a published encipherment of zeros: FIPS 197's cipher under a key of zeros, and those of 3DES and
// SM4 under the same.
func TestCheckValues(t *testing.T) {
	for kind, want := range map[keys.Kind]string{keys.KindAES: "66e94b", keys.Kind3DES: "8ca64d", keys.KindSM4: "9f1f7b"} {
		got := kind.CheckValue(keys.Key{})
		require.Equal(t, want, hex.EncodeToString(got[:]), kind)
	}
	for id, want := range map[keys.ID]keys.Kind{
		{Purpose: keys.TAC}: keys.Kind3DES, {Purpose: keys.TAC, Algorithm: 1}: keys.Kind3DES, {Purpose: keys.TAC, Algorithm: 4}: keys.KindSM4, {Purpose: keys.ECMAC}: keys.Kind3DES,
		{Purpose: keys.DESFireTMAC}: keys.KindAES, {Purpose: keys.DESFireApp, Algorithm: 4}: keys.KindAES,
	} {
		require.Equal(t, want, keys.KindOf(id, 0), id)
	}
	require.Equal(t, keys.Kind3DES, keys.KindOf(keys.ID{Purpose: keys.TAC, Algorithm: 4}, 5))
	require.Equal(t, keys.KindSM4, keys.KindOf(keys.ID{Purpose: keys.TAC, Algorithm: 5}, 5))
}
