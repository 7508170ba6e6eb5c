#!/usr/bin/env bash
# Runs the backend's tests with the tag postgres: on a PostgreSQL server that each test binary starts for itself on loopback, in a
# temporary folder, and takes down. The machine's own clusters are not touched. scripts/pg-test.sh ./backend/store runs one package.
set -euo pipefail
cd "$(dirname "$0")/.."
scripts/setup.sh pg

pkgs=("$@")
if [ "${#pkgs[@]}" -eq 0 ]; then
	mapfile -t pkgs < <(grep -rl 'internal/pgtest"' --include='*_test.go' . | xargs -r -n1 dirname | sort -u)
fi
go vet -tags postgres "${pkgs[@]}"
# Each check of a property makes a database, and that takes a server longer than a file.
RAPID_CHECKS=10 exec go test -tags postgres -p 1 -count=1 -timeout 15m "${pkgs[@]}"
