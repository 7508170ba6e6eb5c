package api

import (
	"net/http"
	"strconv"
)

func (s *server) status(w http.ResponseWriter, _ *http.Request) {
	h, err := s.Terminal.Health()
	if err != nil {
		problemOf(err).write(w)
		return
	}
	write(w, http.StatusOK, h)
}

// ready answers 200 while the terminal sells, and 503 with the reason while it does not.
func (s *server) ready(w http.ResponseWriter, _ *http.Request) {
	h, err := s.Terminal.Health()
	switch {
	case err != nil:
		problemOf(err).write(w)
	case !h.InUse:
		probUnavailable.with(h.Reason).write(w)
	default:
		write(w, http.StatusOK, map[string]bool{"ready": true})
	}
}

// restart opens a lane's reader anew.
func (s *server) restart(w http.ResponseWriter, r *http.Request) {
	lane, err := strconv.Atoi(r.PathValue("lane"))
	if err != nil || lane < 0 {
		probRequest.with("lane: want a number from 0").write(w)
		return
	}
	if err := s.Terminal.Restart(lane); err != nil {
		problemOf(err).write(w)
		return
	}
	s.Log.Info("reader restart asked for", "lane", lane)
	w.WriteHeader(http.StatusAccepted)
}
