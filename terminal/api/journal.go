package api

import (
	"bytes"
	"net/http"
	"strconv"
)

// export writes the journal's records, signed, as "purselane-terminal journal export" does.
func (s *server) export(w http.ResponseWriter, r *http.Request) {
	var first uint64
	if text := r.URL.Query().Get("first"); text != "" {
		var err error
		if first, err = strconv.ParseUint(text, 10, 64); err != nil || first == 0 {
			probRequest.with("first: want the number of a record, from 1").write(w)
			return
		}
	}
	// Whole before the first byte leaves: half a file with a good status would be taken for the whole.
	var out bytes.Buffer
	n, err := s.Terminal.Export(&out, first)
	if err != nil {
		problemOf(err).write(w)
		return
	}
	s.Log.Info("journal exported", "records", n)
	w.Header().Set("Content-Type", "text/plain; charset=us-ascii")
	w.Header().Set("Content-Disposition", `attachment; filename="purselane-export.txt"`)
	w.Header().Set("Cache-Control", "no-store")
	_, _ = w.Write(out.Bytes())
}
