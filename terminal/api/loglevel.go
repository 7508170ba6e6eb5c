package api

import (
	"log/slog"
	"net/http"
	"strings"
)

type levelBody struct {
	Level string `json:"level"` // debug, info, warn, error
}

func (s *server) level(w http.ResponseWriter, _ *http.Request) {
	if s.Level == nil {
		probNotFound.write(w)
		return
	}
	write(w, http.StatusOK, levelBody{strings.ToLower(s.Level.Level().String())})
}

func (s *server) setLevel(w http.ResponseWriter, r *http.Request) {
	if s.Level == nil {
		probNotFound.write(w)
		return
	}
	var body levelBody
	if !read(w, r, &body) {
		return
	}
	levels := map[string]slog.Level{"debug": slog.LevelDebug, "info": slog.LevelInfo, "warn": slog.LevelWarn, "error": slog.LevelError}
	l, known := levels[body.Level]
	if !known {
		probRequest.with("level: want debug, info, warn or error").write(w)
		return
	}
	s.Log.Warn("log level changed", "was", s.Level.Level(), "is", l) // warn, so that it shows under either
	s.Level.Set(l)
	write(w, http.StatusOK, body)
}
