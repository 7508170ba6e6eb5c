package edge

import (
	"bufio"
	"crypto/ed25519"
	"encoding/base64"
	"fmt"
	"io"
	"math/rand/v2"
	"time"

	"github.com/purselane/purselane/internal/ids"
	"github.com/purselane/purselane/terminal/journal"
	"github.com/purselane/purselane/uplink/wire"
)

// Bounds of one envelope of an export, as of one that travels.
const (
	exportRecords = 500
	exportBytes   = 32 << 10
)

// Export writes the journal's records from number first on to out, for a terminal whose modem has died: as the envelopes that
// would have travelled, signed by the device. Whoever carries the file can neither change it nor add to it, and the
// backend may take it twice, before or after the same records came by the link.
//
// The form is text: see [wire.ExportHead]. It returns how many records it wrote.
func Export(out io.Writer, j *journal.Journal, t ids.TerminalID, key ed25519.PrivateKey, first uint64, now time.Time) (uint64, error) {
	last := j.LastSeq()
	w := bufio.NewWriter(out)
	fmt.Fprintf(w, "%s %s %016x %d %d\n", wire.ExportHead, t, j.Epoch(), first, last)
	number := rand.Uint64() >> 2 // as a sender's: it must not meet a number that was used
	next := first
	for next <= last {
		records, err := j.Read(next, int(min(last-next+1, exportRecords)), exportBytes)
		if err != nil {
			return next - first, fmt.Errorf("export: %w", err)
		}
		number++
		raw, err := wire.SealEnvelope(key, &wire.EnvelopeHeader{
			Terminal: string(t), Epoch: j.Epoch(), Batch: number, FirstSeq: next, SentAtMs: now.UnixMilli(),
		}, records)
		if err != nil {
			return next - first, fmt.Errorf("export: %w", err)
		}
		fmt.Fprintln(w, base64.StdEncoding.EncodeToString(raw))
		next += uint64(len(records))
	}
	return next - first, w.Flush()
}
