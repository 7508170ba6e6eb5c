package town

import (
	"bytes"
	"context"
	"database/sql"
	"net/url"

	"github.com/purselane/purselane/backend/store"
	"github.com/purselane/purselane/internal/ids"
)

// checkQueues: whole journals, nothing waiting, nothing given up.
func (w *town) checkQueues() {
	if left := w.underWay(); left != "" {
		w.fail("drain", nobody, "%s", left)
	}
	for _, m := range w.terminals {
		if err := m.journal.Verify(); err != nil {
			w.fail("sequence", nobody, "%s: %v", m.id, err)
		}
		m.compare(1)
		if s := m.sender.Stats(); s.Forged+s.Foreign+s.Quarantined+s.Gone > 0 {
			w.fail("uplink", nobody, "%s: %+v: receipts that are not its own, or records the backend cannot have", m.id, s)
		}
		if acked := m.journal.AckedSeq(); acked != uint64(len(m.written)) {
			w.fail("drain", nobody, "%s wrote %d records and has receipts for %d", m.id, len(m.written), acked)
		}
	}
	conflicts := 0
	w.backend.view(func(ctx context.Context, tx *store.Tx) (err error) {
		conflicts, err = tx.Tally(ctx, "conflicts")
		return err
	})
	if conflicts > 0 {
		w.fail("sequence", nobody, "the backend counted %d numbers with two contents", conflicts)
	}
}

// checkAcknowledged reads the records with a connection of its own, so that it believes the disk and not the store: what
// has a receipt is there, byte for byte, once, and nothing is there that no terminal wrote.
func (w *town) checkAcknowledged() {
	db, err := sql.Open("sqlite", "file:"+(&url.URL{Path: w.backend.path}).EscapedPath()+"?_pragma=query_only(1)")
	must(err)
	defer db.Close()
	rows, err := db.QueryContext(w.ctx, `SELECT terminal, seq, body FROM record ORDER BY terminal, epoch, seq`)
	must(err)
	defer rows.Close()
	kept := map[ids.TerminalID]map[uint64][]byte{}
	for rows.Next() {
		var terminal ids.TerminalID
		var seq uint64
		var body []byte
		must(rows.Scan(&terminal, &seq, &body))
		if kept[terminal] == nil {
			kept[terminal] = map[uint64][]byte{}
		}
		if kept[terminal][seq] != nil {
			w.fail("acknowledged", nobody, "%s: record %d is in the store under two epochs", terminal, seq)
		}
		kept[terminal][seq] = body
	}
	must(rows.Err())
	var waiting int
	var first sql.NullString
	must(db.QueryRowContext(w.ctx, `SELECT COUNT(*), MIN(terminal || ': record ' || first) FROM record_waiting`).Scan(&waiting, &first))
	if waiting > 0 {
		w.fail("drain", nobody, "%s is accepted and not posted", first.String)
	}
	for _, m := range w.terminals {
		for i, raw := range m.written {
			if !bytes.Equal(kept[m.id][uint64(i+1)], raw) {
				w.fail("acknowledged", nobody, "%s: record %d has its receipt, and the store holds %d bytes for it, not its %d", m.id, i+1, len(kept[m.id][uint64(i+1)]), len(raw))
			}
		}
		if len(kept[m.id]) != len(m.written) {
			w.fail("acknowledged", nobody, "%s wrote %d records, the store holds %d", m.id, len(m.written), len(kept[m.id]))
		}
	}
}
