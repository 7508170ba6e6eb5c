#!/usr/bin/env bash
# Runs the backend's tests with the tag postgres: on a PostgreSQL server that each test binary starts for itself on loopback, in a
# temporary folder, and takes down. The machine's own clusters are not touched. scripts/pg-test.sh ./backend/store runs one package.
set -euo pipefail
cd "$(dirname "$0")/.."
scripts/setup.sh pg

tagged='^//go:build.*\bpostgres\b'

# Each check of a property makes a database, and that takes a server longer than a file. The first line vets; so go test need not.
pg_test() { RAPID_CHECKS=10 go test -vet=off -tags postgres -count=1 -timeout 15m "$@"; }

if [ "$#" -gt 0 ]; then
	go vet -tags postgres "$@"
	pg_test "$@"
	exit
fi

# A package is run whole if a test of it takes the database that the tag chooses. Where only files with the tag do, its other tests are those that run without the tag
# too, on files: there the tests of these files alone run.
declare -A whole part
names=
tests=$(grep -rlE 'internal/pgtest"|emptystore\.At\b' --include='*_test.go' .)
for file in $(grep -LE "$tagged" $tests); do
	whole[$(dirname "$file")]=1
done
for file in $(grep -lE "$tagged" $tests); do
	folder=$(dirname "$file")
	[ -n "${whole[$folder]:-}" ] && continue
	part[$folder]=1
	names+=$(sed -nE 's/^func (Test[A-Z0-9][A-Za-z0-9_]*)\(.*/|\1/p' "$file" | tr -d '\n')
done

# Only files with the tag are others than those that `make lint` vets.
go vet -tags postgres $(grep -rlE "$tagged" --include='*.go' . | xargs -n1 dirname | sort -u)
pg_test -p 2 $(printf '%s\n' "${!whole[@]}" | sort)
pg_test -p 2 -run "^(${names#|})\$" "${!part[@]}"
