#!/usr/bin/env bash
# Runs every test named TestHSM… with the tag pkcs11 against a real SoftHSM. Each test makes a token of its own in a temporary folder; the
# machine's own tokens are not touched.
set -euo pipefail
cd "$(dirname "$0")/.."
scripts/setup.sh hsm

mapfile -t pkgs < <(grep -rlE '^func TestHSM' --include='*_test.go' card backend simulator cmd | xargs -r -n1 dirname | sort -u | sed 's|^|./|')
if [ "${#pkgs[@]}" -eq 0 ]; then
	echo "hsm-test: no test named TestHSM… was found" >&2
	exit 1
fi
go vet -tags pkcs11 "${pkgs[@]}"
out=$(mktemp)
trap 'rm -f "$out"' EXIT
if ! go test -vet=off -tags pkcs11 -p 1 -count=1 -timeout 5m -run '^TestHSM' -v "${pkgs[@]}" >"$out" 2>&1; then
	cat "$out"
	echo "hsm-test: FAILED:" >&2
	grep -E '^ *--- FAIL|^panic:|^FAIL[[:space:]]' "$out" >&2 || true
	exit 1
fi
grep -E '^(ok|--- PASS)' "$out"
