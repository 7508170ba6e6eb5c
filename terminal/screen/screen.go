package screen

import (
	"embed"
	"encoding/json"
	"io/fs"
	"net/http"
)

//go:embed static
var files embed.FS

// pages are the paths and their files.
var pages = map[string]string{"/": "validator.html", "/gate": "gate.html", "/till": "till.html"}

// New serves the pages with those texts.
func New(t Texts) http.Handler {
	static, err := fs.Sub(files, "static")
	if err != nil {
		panic(err) // the folder is embedded above
	}
	raw, err := json.Marshal(t)
	if err != nil {
		panic(err) // strings alone
	}
	mux := http.NewServeMux()
	for path, name := range pages {
		if path == "/" {
			path = "/{$}"
		}
		mux.HandleFunc("GET "+path, func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Cache-Control", "no-cache")
			http.ServeFileFS(w, r, static, name)
		})
	}
	mux.HandleFunc("GET /static/texts.json", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		w.Header().Set("Cache-Control", "no-cache")
		_, _ = w.Write(raw)
	})
	mux.Handle("GET /static/", http.StripPrefix("/static/", http.FileServerFS(static)))
	return mux
}
