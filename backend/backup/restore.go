package backup

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
)

// Restore puts a backup of an SQLite database where it was. It proves the backup first, and writes over nothing: an old database and what SQLite keeps beside it
// must have been moved away, by somebody who knows that no program has it open. What is restored is the backup byte for byte.
func Restore(ctx context.Context, file, path string) (Manifest, error) {
	for _, suffix := range []string{"", "-wal", "-shm", "-journal"} { // a log beside it would be played into it
		if err := absent(path + suffix); err != nil {
			return Manifest{}, fmt.Errorf("restore: %w: stop the backend and move the old database away first, with its -wal and -shm files", err)
		}
	}
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return Manifest{}, fmt.Errorf("restore: %w", err)
	}
	m, err := check(ctx, file, filepath.Dir(path))
	if err != nil {
		return m, fmt.Errorf("restore %s: %w", file, err)
	}
	temp, err := os.MkdirTemp(filepath.Dir(path), ".restore-*")
	if err != nil {
		return m, fmt.Errorf("restore: %w", err)
	}
	defer os.RemoveAll(temp)
	whole := filepath.Join(temp, "copy.db")
	if err := copyChecked(file, whole, m); err != nil {
		return m, fmt.Errorf("restore %s: %w", file, err)
	}
	if err := place(whole, path); err != nil {
		return m, fmt.Errorf("restore: %w", err)
	}
	return m, nil
}
