package store

import (
	"fmt"
	"io/fs"
	"strconv"
	"strings"
)

// NewestSchema is the number of the last migration that this program knows. A database with a higher one was written by a newer program.
func NewestSchema() (int64, error) {
	all, err := fs.Glob(migrations, "migrations/*.sql")
	if err != nil {
		return 0, err
	}
	var newest int64
	for _, name := range all {
		digits, _, _ := strings.Cut(strings.TrimPrefix(name, "migrations/"), "_")
		n, err := strconv.ParseInt(digits, 10, 64)
		if err != nil {
			return 0, fmt.Errorf("migration %s: its name has no number: %w", name, err)
		}
		newest = max(newest, n)
	}
	return newest, nil
}
