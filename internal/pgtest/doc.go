// Package pgtest gives tests a database. Built plainly it is an SQLite file; with the tag `postgres` it is a database of its own on a
// PostgreSQL server that the test binary starts on loopback, in a temporary folder, and that ends with it however it ends. So the
// same tests run on both engines: `go test` and `make test-pg`.
package pgtest
