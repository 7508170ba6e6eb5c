package delivery

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"log/slog"
	"net/http"
	"strings"
	"sync"
	"time"

	"github.com/purselane/purselane/backend/settlement"
	"github.com/purselane/purselane/backend/store"
	"github.com/purselane/purselane/internal/clock"
	"github.com/purselane/purselane/internal/ids"
	"github.com/purselane/purselane/shadowaccount/calendar"
)

// Config of a handler. All fields are needed but the last two.
type Config struct {
	Store *store.Store
	Key   ed25519.PrivateKey // signs the files
	// Who says for which acquirer a request speaks; false: for none.
	Who   func(*http.Request) (ids.AcquirerID, bool)
	Clock clock.Clock  // default: the machine's
	Log   *slog.Logger // default slog.Default()
}

// Handler serves an acquirer its own files of closed days:
//
//	GET /v1/settlement/{day}/files          their names, sizes and hashes
//	GET /v1/settlement/{day}/files/{name}   one of them; a Range of it too
//
// Another acquirer's file is not there, as far as anybody can tell.
func Handler(c Config) http.Handler {
	if c.Clock == nil {
		c.Clock = clock.System{}
	}
	if c.Log == nil {
		c.Log = slog.Default()
	}
	h := &handler{Config: c, days: map[string][]settlement.AcquirerFile{}}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /v1/settlement/{day}/files", h.list)
	mux.HandleFunc("GET /v1/settlement/{day}/files/{name}", h.file)
	return mux
}

// keptDays is how many days' files are kept: acquirers fetch those of the last one, all at about the same time.
const keptDays = 2

type handler struct {
	Config
	mu   sync.Mutex
	days map[string][]settlement.AcquirerFile // closed days do not change
	last []string                             // by age
}

// of gives the caller's files of a day, or answers itself.
func (h *handler) of(w http.ResponseWriter, r *http.Request) []settlement.AcquirerFile {
	who, known := h.Who(r)
	if !known {
		w.Header().Set("WWW-Authenticate", "Bearer")
		problem(w, http.StatusUnauthorized, "unauthorised", "want an agent's token")
		return nil
	}
	day := r.PathValue("day")
	if _, err := calendar.ParseDate(day); err != nil {
		problem(w, http.StatusNotFound, "not-found", "no such clearing day")
		return nil
	}
	all, err := h.files(r.Context(), day)
	if errors.Is(err, settlement.ErrNotClosed) {
		problem(w, http.StatusNotFound, "not-closed", "the clearing day is not closed")
		return nil
	}
	if err != nil {
		h.Log.ErrorContext(r.Context(), "settlement files", "day", day, "acquirer", who, "error", err)
		problem(w, http.StatusInternalServerError, "internal", "the files cannot be made now")
		return nil
	}
	var own []settlement.AcquirerFile
	for _, f := range all {
		if f.Acquirer == who {
			own = append(own, f)
		}
	}
	if own == nil {
		problem(w, http.StatusNotFound, "not-found", "the day has no files of yours")
	}
	return own
}

// files makes a day's files, one day at a time: they are large, and everybody wants the same.
func (h *handler) files(ctx context.Context, day string) ([]settlement.AcquirerFile, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if all, kept := h.days[day]; kept {
		return all, nil
	}
	all, err := settlement.SignedFiles(ctx, h.Store, day, h.Key)
	if err != nil {
		return nil, err
	}
	if len(h.last) == keptDays {
		delete(h.days, h.last[0])
		h.last = h.last[1:]
	}
	h.days[day], h.last = all, append(h.last, day)
	return all, nil
}

// listed is a file in the list.
type listed struct {
	Name   string `json:"name"`
	Size   int    `json:"size"`
	SHA256 string `json:"sha256"`
}

func (h *handler) list(w http.ResponseWriter, r *http.Request) {
	own := h.of(w, r)
	if own == nil {
		return
	}
	out := struct {
		Files []listed `json:"files"`
	}{}
	for _, f := range own {
		out.Files = append(out.Files, listed{f.Name, len(f.Body), digest(f.Body)})
	}
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(out) // a caller that has gone needs no answer
}

func (h *handler) file(w http.ResponseWriter, r *http.Request) {
	for _, f := range h.of(w, r) {
		if f.Name != r.PathValue("name") {
			continue
		}
		kind := "text/csv; charset=utf-8; header=present"
		if !strings.HasSuffix(f.Name, ".csv") {
			kind = "text/plain; charset=utf-8"
		}
		w.Header().Set("Content-Type", kind)
		w.Header().Set("X-Content-Type-Options", "nosniff")
		w.Header().Set("Cache-Control", "private, no-store")
		w.Header().Set("ETag", `"`+digest(f.Body)+`"`)
		out := &counting{ResponseWriter: w}
		http.ServeContent(out, r, "", time.Time{}, bytes.NewReader(f.Body))
		if out.status == http.StatusOK && out.n == len(f.Body) && r.Method == http.MethodGet {
			h.note(r.Context(), f, r.PathValue("day"))
		}
		return
	}
	if w.Header().Get("Content-Type") == "" {
		problem(w, http.StatusNotFound, "not-found", "the day has no such file of yours")
	}
}

// note keeps that a file was fetched whole. The answer has gone out, so its failure is only logged.
func (h *handler) note(ctx context.Context, f settlement.AcquirerFile, day string) {
	ctx = context.WithoutCancel(ctx)
	d := store.Delivery{Acquirer: f.Acquirer, Day: day, Name: f.Name, Way: WayHTTPS, Digest: digest(f.Body), State: delivered, TriedAt: h.Clock.Now()}
	if err := h.Store.Update(ctx, func(tx *store.Tx) error { return tx.NoteDelivery(ctx, d) }); err != nil {
		h.Log.ErrorContext(ctx, "settlement files: fetched and not noted", "file", f.Name, "error", err)
	}
}

// The ways and states of a delivery, as the store keeps them.
const (
	WaySFTP  = "sftp"
	WayHTTPS = "https"

	delivered = "delivered"
	failed    = "failed"
)

func digest(body []byte) string {
	sum := sha256.Sum256(body)
	return hex.EncodeToString(sum[:])
}

// counting counts what was written.
type counting struct {
	http.ResponseWriter
	status, n int
}

func (c *counting) WriteHeader(status int) {
	c.status = status
	c.ResponseWriter.WriteHeader(status)
}

func (c *counting) Write(p []byte) (int, error) {
	if c.status == 0 {
		c.status = http.StatusOK
	}
	n, err := c.ResponseWriter.Write(p)
	c.n += n
	return n, err
}

// remedies are by code.
var remedies = map[string]string{
	"unauthorised": "Send Authorization: Bearer and an agent's token.",
	"not-found":    "List the day's files, and ask for one of them.",
	"not-closed":   "Ask again when the day is closed.",
	"internal":     "Make the same request again; if that does not help, tell the operator.",
}

// problem answers in the form of RFC 9457, with the API's codes.
func problem(w http.ResponseWriter, status int, code, detail string) {
	w.Header().Set("Content-Type", "application/problem+json")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(map[string]any{"type": "urn:purselane:problem:" + code, "title": http.StatusText(status), "status": status, "code": code, "detail": detail,
		"remedy": remedies[code]})
}
