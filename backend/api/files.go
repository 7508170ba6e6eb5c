package api

import "net/http"

// files serves acquirers' files in a mux of its own: /v1/settlement/{day}/files/{name} and /v1/settlement/days/{day}/report have paths in common,
// which one mux does not allow. The document knows no such path: days are dates.
func (s *server) files() *gatedMux {
	mux := &gatedMux{ServeMux: http.NewServeMux(), server: s}
	if s.Files != nil {
		mux.HandleFunc("GET /v1/settlement/{day}/files", s.Files.ServeHTTP)
		mux.HandleFunc("GET /v1/settlement/{day}/files/{name}", s.Files.ServeHTTP)
	}
	return mux
}
