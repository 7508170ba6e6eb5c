//go:build pcsc && vpcd

package vpcd_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/purselane/purselane/simulator/vpcd"
	"github.com/purselane/purselane/terminal/reader"
	"github.com/purselane/purselane/terminal/reader/pcsc"
	"github.com/purselane/purselane/terminal/reader/pcsc/pcsctest"
)

// TestPCSCLoadPurchaseAndATornPurchase has the card in one slot of a real pcscd and the PSAM in the other.
func TestPCSCLoadPurchaseAndATornPurchase(t *testing.T) {
	pcsctest.Private(t)
	cards, sams := "Virtual PCD 00 00", "Virtual PCD 00 01"
	pcsctest.Free(t, cards)
	pcsctest.Free(t, sams)
	open := func(name string) reader.Reader {
		r, err := pcsc.Open(pcsc.Options{Name: name})
		require.NoError(t, err)
		t.Cleanup(func() { r.Close() })
		return r
	}
	flow(t, open(cards), open(sams), "127.0.0.1:35963", "127.0.0.1:35964",
		func() {
			<-time.After(vpcd.AwayTime)
			pcsctest.Empty(t, cards)
		})
}
