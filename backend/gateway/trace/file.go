package trace

import (
	"bytes"
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"github.com/purselane/purselane/backend/gateway/channel"
	"github.com/purselane/purselane/backend/gateway/order"
	"github.com/purselane/purselane/internal/clock"
)

// Span is one line.
type Span struct {
	Trace   string `json:"trace_id"`            // 32 hexadecimal digits: all steps of an order have one
	ID      string `json:"span_id"`             // 16
	Parent  string `json:"parent_id,omitempty"` // the step that this one is within
	Name    string `json:"name"`                // the step
	Start   string `json:"start"`               // RFC 3339 with nanoseconds, UTC
	Micros  int64  `json:"duration_us"`
	Order   string `json:"order"`
	Context string `json:"context,omitempty"` // 20 digits; none before it is known
	Error   string `json:"error,omitempty"`   // a word of a closed list, never a text
}

// Config of a file. Path and Clock are wanted.
type Config struct {
	Path string

	// Most is how long the file may become, in bytes; then it becomes Path.1, in place of the one before it.
	//
	// Default 64 MiB.
	Most int64

	Clock clock.Clock

	// Log hears once that spans cannot be written. Payments go on.
	//
	// Default slog.Default().
	Log *slog.Logger
}

const defMost = 64 << 20

// File is a [gateway.Tracer]. It is safe for concurrent use.
type File struct {
	cfg Config

	mu     sync.Mutex
	file   *os.File
	size   int64
	failed bool
	closed bool
}

// Open opens the file, and goes on at its end. A last line that is not whole is cut by a line feed, so that every other line stays readable.
func Open(c Config) (*File, error) {
	if c.Path == "" || c.Clock == nil {
		return nil, errors.New("trace: want a path and a clock")
	}
	if c.Most == 0 {
		c.Most = defMost
	}
	if c.Log == nil {
		c.Log = slog.Default()
	}
	f := &File{cfg: c}
	if err := os.MkdirAll(filepath.Dir(c.Path), 0o700); err != nil {
		return nil, err
	}
	return f, f.open()
}

func (f *File) open() error {
	file, err := os.OpenFile(f.cfg.Path, os.O_CREATE|os.O_APPEND|os.O_RDWR, 0o600)
	if err != nil {
		return err
	}
	info, err := file.Stat()
	if err != nil {
		return errors.Join(err, file.Close())
	}
	f.file, f.size = file, info.Size()
	last := make([]byte, 1)
	if f.size == 0 {
		return nil
	}
	if _, err := file.ReadAt(last, f.size-1); err == nil && last[0] != '\n' {
		_, err = file.Write([]byte{'\n'})
		return err
	}
	return nil
}

type spanKey struct{}

// Step implements the gateway's tracer.
func (f *File) Step(ctx context.Context, name, id, code string) (context.Context, func(error)) {
	start := f.cfg.Clock.Now()
	id = known(id)
	s := Span{Trace: TraceOf(id), ID: spanID(), Name: name, Start: start.UTC().Format(time.RFC3339Nano), Order: id, Context: code}
	s.Parent, _ = ctx.Value(spanKey{}).(string)
	return context.WithValue(ctx, spanKey{}, s.ID), func(err error) {
		s.Micros = f.cfg.Clock.Now().Sub(start).Microseconds()
		s.Error = word(err)
		f.write(s)
	}
}

// known is an order's number, or "" for what is none: it comes from a caller, and may be anything.
func known(id string) string {
	if len(id) != idLength || id[0] != order.OfOrder || strings.Trim(id, "0123456789ABCDEFGHJKMNPQRSTVWXYZO") != "" {
		return ""
	}
	return id
}

// idLength is how long an order's number is: a letter, ten characters of time, sixteen of chance.
const idLength = 27

// TraceOf is the trace that an order's steps have: the first 16 bytes of the SHA-256 of its number.
func TraceOf(id string) string {
	sum := sha256.Sum256([]byte(id))
	return hex.EncodeToString(sum[:16])
}

func spanID() string {
	var b [8]byte
	_, _ = rand.Read(b[:]) // never fails
	return hex.EncodeToString(b[:])
}

// word is what may be said of an error: its text may hold what a payer typed.
func word(err error) string {
	if err == nil {
		return ""
	}
	for _, x := range []struct {
		is   error
		word string
	}{{context.Canceled, "canceled"}, {context.DeadlineExceeded, "timeout"}, {channel.ErrNotSent, "not-sent"}, {channel.ErrUnsupported, "unsupported"}, {order.ErrState, "state"}} {
		if errors.Is(err, x.is) {
			return x.word
		}
	}
	return "error"
}

func (f *File) write(s Span) {
	var line bytes.Buffer
	if err := json.NewEncoder(&line).Encode(s); err != nil {
		return // only texts and numbers are in it
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.closed {
		return
	}
	err := f.put(line.Bytes())
	if err != nil && !f.failed {
		f.cfg.Log.Error("spans of payments cannot be written", "path", f.cfg.Path, "error", err)
	}
	f.failed = err != nil
}

func (f *File) put(line []byte) error {
	if f.file == nil || f.size > 0 && f.size+int64(len(line)) > f.cfg.Most {
		if err := f.turn(); err != nil {
			return err
		}
	}
	n, err := f.file.Write(line)
	f.size += int64(n)
	return err
}

// turn begins a new file. Where that fails the next span tries again.
func (f *File) turn() error {
	if f.file != nil {
		err := f.file.Close()
		f.file = nil
		if err == nil {
			err = os.Rename(f.cfg.Path, f.cfg.Path+".1")
		}
		if err != nil {
			return err
		}
	}
	return f.open()
}

// Close closes the file. Spans that end later are dropped.
func (f *File) Close() error {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.closed = true
	if f.file == nil {
		return nil
	}
	err := f.file.Close()
	f.file = nil
	return err
}
