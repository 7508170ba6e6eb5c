//go:build postgres

package pgtest

import (
	"crypto/sha256"
	"database/sql"
	"encoding/hex"
	"fmt"
	"net/url"
	"sync"
	"testing"

	_ "github.com/jackc/pgx/v5/stdlib" // the driver "pgx"
)

// Postgres says which engine the tests run on.
const Postgres = true

var (
	once  sync.Once
	owned *server
	fault error

	mu   sync.Mutex
	made = map[string]string{} // URL by path
)

// Store is the address of a test's database: the SQLite file at path, or with the tag postgres a fresh PostgreSQL database that is one
// and the same for one path. The test fails, and says what is missing, on a machine without PostgreSQL.
func Store(t testing.TB, path string) string {
	t.Helper()
	once.Do(func() { owned, fault = start() })
	if fault != nil {
		t.Fatalf("pgtest: %v", fault)
	}
	mu.Lock()
	defer mu.Unlock()
	if u := made[path]; u != "" {
		return u
	}
	sum := sha256.Sum256([]byte(path))
	schema := "t" + hex.EncodeToString(sum[:8])
	db, err := sql.Open("pgx", owned.url(nil))
	if err != nil {
		t.Fatalf("pgtest: %v", err)
	}
	defer db.Close()
	if _, err := db.Exec(`SET synchronous_commit = off; CREATE SCHEMA ` + schema); err != nil {
		t.Fatalf("pgtest: make a schema: %v", err)
	}
	made[path] = owned.url(url.Values{"search_path": {schema}})
	return made[path]
}

func (s *server) url(params url.Values) string {
	u := url.URL{Scheme: "postgres", User: url.UserPassword("purselane", s.password), Host: fmt.Sprintf("127.0.0.1:%d", s.port), Path: "/postgres", RawQuery: params.Encode()}
	return u.String()
}
