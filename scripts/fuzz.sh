#!/usr/bin/env bash
# Runs every fuzz target of the tree for the given time each (default 10s). A crash becomes a file under testdata/fuzz.
set -euo pipefail
each=${1:-10s}
failed=0
while IFS=: read -r file target; do
	pkg=./$(dirname "$file")
	echo "fuzz: $target in $pkg for $each"
	go test "$pkg" -run '^$' -fuzz "^$target\$" -fuzztime "$each" -fuzzminimizetime 10x || failed=1
done < <(grep -roE '^func Fuzz[A-Za-z0-9_]+' --include='*_test.go' . | sed -E 's|^\./||; s|:func |:|' | sort)
exit $failed
