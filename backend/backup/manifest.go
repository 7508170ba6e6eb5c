package backup

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"
)

// Format is the version of a manifest, and of what is promised about the file beside it.
const Format = "purselane-backup-1"

// Manifest is written beside a backup, under its name and ".json", and after it: a file without one is no backup.
type Manifest struct {
	Format string    `json:"format"`
	MadeAt time.Time `json:"made_at"`
	Engine string    `json:"engine"` // sqlite | postgres
	File   string    `json:"file"`   // its name, without a folder
	Bytes  int64     `json:"bytes"`
	SHA256 string    `json:"sha256"` // hexadecimal
	Schema int64     `json:"schema"` // number of the last migration

	// LastGroup is the newest posting group, 0 for none, and LastGroupHash its hash, which covers every group before it.
	LastGroup     int64  `json:"last_group"`
	LastGroupHash string `json:"last_group_hash"`

	// Server is the version of the PostgreSQL server that it comes from, as server_version_num says it.
	Server string `json:"server_version,omitempty"`
}

// Errors of a backup. Match with errors.Is.
var (
	ErrNoManifest = errors.New("no manifest of a backup")
	ErrDamaged    = errors.New("the backup is damaged")
	ErrNewer      = errors.New("the backup was made by a newer program")
	ErrUnsound    = errors.New("the books in the backup are not sound")
	ErrExists     = errors.New("there is something already")
	ErrEngine     = errors.New("the backup is of another engine")
)

const maxManifest = 64 << 10 // bytes

// ManifestPath is where the manifest of a backup lies.
func ManifestPath(file string) string { return file + ".json" }

// ParseManifest reads a manifest strictly, and refuses values that no backup has.
func ParseManifest(raw []byte) (Manifest, error) {
	var m Manifest
	if len(raw) > maxManifest {
		return m, fmt.Errorf("%w: %d bytes", ErrNoManifest, len(raw))
	}
	var head struct {
		Format string `json:"format"`
	}
	if err := json.Unmarshal(raw, &head); err != nil {
		return m, fmt.Errorf("%w: %w", ErrNoManifest, err)
	}
	if head.Format != Format {
		return m, fmt.Errorf("%w: format %.40q, want %q", ErrNoManifest, head.Format, Format)
	}
	d := json.NewDecoder(bytes.NewReader(raw))
	d.DisallowUnknownFields()
	if err := d.Decode(&m); err != nil {
		return Manifest{}, fmt.Errorf("%w: %w", ErrNoManifest, err)
	}
	if d.More() {
		return Manifest{}, fmt.Errorf("%w: something follows it", ErrNoManifest)
	}
	sum, err := hex.DecodeString(m.SHA256)
	switch {
	case m.Engine != engineSQLite && m.Engine != enginePostgres:
		return Manifest{}, fmt.Errorf("%w: engine %.40q, want %q or %q", ErrNoManifest, m.Engine, engineSQLite, enginePostgres)
	case (m.Engine == enginePostgres) != (major(m.Server) > 0):
		return Manifest{}, fmt.Errorf("%w: server_version %.40q of engine %q", ErrNoManifest, m.Server, m.Engine)
	case m.File == "" || m.File != filepath.Base(m.File):
		return Manifest{}, fmt.Errorf("%w: file %.80q: want a name without a folder", ErrNoManifest, m.File)
	case m.Bytes <= 0 || m.Schema <= 0 || m.LastGroup < 0:
		return Manifest{}, fmt.Errorf("%w: bytes %d, schema %d, last_group %d are out of range", ErrNoManifest, m.Bytes, m.Schema, m.LastGroup)
	case err != nil || len(sum) != sha256.Size:
		return Manifest{}, fmt.Errorf("%w: sha256: want %d hexadecimal digits", ErrNoManifest, 2*sha256.Size)
	}
	return m, nil
}

func (m Manifest) encode() ([]byte, error) {
	raw, err := json.MarshalIndent(m, "", "  ")
	return append(raw, '\n'), err
}

// readManifest reads the manifest of a backup. The file may have been moved to another name since; then both were.
func readManifest(file string) (Manifest, error) {
	raw, err := os.ReadFile(ManifestPath(file))
	if err != nil {
		return Manifest{}, fmt.Errorf("%w beside it: %w", ErrNoManifest, err)
	}
	return ParseManifest(raw)
}
