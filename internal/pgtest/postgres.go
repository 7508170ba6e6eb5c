//go:build postgres

package pgtest

import (
	"database/sql"
	"fmt"
	"net/url"
	"slices"
	"sync"

	_ "github.com/jackc/pgx/v5/stdlib" // the driver "pgx"
	"github.com/stretchr/testify/require"
)

// Postgres says which engine the tests run on.
const Postgres = true

// kept is how many databases stay: each takes some megabytes, and tests make hundreds.
const kept = 40

var (
	once  sync.Once
	owned *server
	fault error

	mu        sync.Mutex
	admin     *sql.DB
	made      = map[string]string{} // database by path
	newest    []string              // paths, oldest first
	templates = map[string]bool{}   // paths
	count     int
)

// Store is the address of a test's database: the SQLite file at path, or with the tag postgres a PostgreSQL database that is empty at
// first, and one and the same for one path. The test fails, and says what is missing, on a machine without PostgreSQL.
func Store(t require.TestingT, path string) string {
	running(t)
	mu.Lock()
	defer mu.Unlock()
	if made[path] == "" {
		create(t, path, "template1")
	}
	return owned.url(made[path])
}

// Has reports whether there is a database at path already.
func Has(path string) bool {
	mu.Lock()
	defer mu.Unlock()
	return made[path] != ""
}

// Copy is the address of a new database at path to, with what a closed one at from had when it was first copied: to make a schema takes
// longer than most tests do.
func Copy(t require.TestingT, from, to string) string {
	running(t)
	mu.Lock()
	defer mu.Unlock()
	templates[from] = true
	if made[to] != "" {
		drop(t, to)
	}
	create(t, to, made[from])
	return owned.url(made[to])
}

func running(t require.TestingT) {
	once.Do(func() {
		if owned, fault = start(); fault != nil {
			return
		}
		admin, fault = sql.Open("pgx", owned.url("postgres"))
	})
	require.NoError(t, fault, "pgtest")
}

func create(t require.TestingT, path, template string) {
	if i := slices.IndexFunc(newest, func(p string) bool { return !templates[p] }); i >= 0 && len(newest) >= kept {
		drop(t, newest[i])
	}
	count++
	name := fmt.Sprintf("test%d", count)
	_, err := admin.Exec(`CREATE DATABASE ` + name + ` TEMPLATE ` + template)
	require.NoError(t, err)
	made[path], newest = name, append(newest, path)
}

func drop(t require.TestingT, path string) {
	_, err := admin.Exec(`DROP DATABASE ` + made[path] + ` WITH (FORCE)`)
	require.NoError(t, err)
	newest = slices.DeleteFunc(newest, func(p string) bool { return p == path })
	delete(made, path)
}

func (s *server) url(database string) string {
	u := url.URL{Scheme: "postgres", User: url.UserPassword("purselane", s.password), Host: fmt.Sprintf("127.0.0.1:%d", s.port), Path: "/" + database}
	return u.String()
}
