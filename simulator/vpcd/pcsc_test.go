//go:build pcsc && vpcd

package vpcd_test

import (
	"os"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/purselane/purselane/simulator/vpcd"
	"github.com/purselane/purselane/terminal/reader"
	"github.com/purselane/purselane/terminal/reader/pcsc"
)

// TestPCSCLoadPurchaseAndATornPurchase has the card in one slot of a real pcscd and the PSAM in the other.
func TestPCSCLoadPurchaseAndATornPurchase(t *testing.T) {
	if os.Getenv("PURSELANE_PCSCD") != "private" {
		t.Fatal("needs a pcscd of its own: run scripts/pcsc-test.sh")
	}
	open := func(name string) reader.Reader {
		r, err := pcsc.Open(pcsc.Options{Name: name})
		require.NoError(t, err)
		t.Cleanup(func() { r.Close() })
		return r
	}
	flow(t, open("Virtual PCD 00 00"), open("Virtual PCD 00 01"), "127.0.0.1:35963", "127.0.0.1:35964",
		func() { <-time.After(vpcd.AwayTime) })
}
