//go:build !postgres

package pgtest

import "testing"

// Postgres says which engine the tests run on.
const Postgres = false

// Store is the address of a test's database: the SQLite file at path, or with the tag postgres a fresh PostgreSQL database that is one
// and the same for one path.
func Store(_ testing.TB, path string) string { return path }
