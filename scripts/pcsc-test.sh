#!/usr/bin/env bash
# Runs every test named TestPCSC… over a real pcscd with virtual readers (vpcd).
#
# pcscd's socket path and vpcd's ports are fixed, so both live in a private mount and network namespace: nothing of the
# host's own PC/SC is touched, and several runs can go on at once. Inside there is no network; all is built before.
set -euo pipefail
cd "$(dirname "$0")/.."
PATH=$PATH:/usr/sbin:/sbin

tags="pcsc vpcd"
packages() { # those with a test of that name, as ./folder
	grep -rlE '^func TestPCSC' --include='*_test.go' terminal simulator cmd | xargs -r -n1 dirname | sort -u | sed 's|^|./|'
}

if [ "${1:-}" != --inside ]; then
	scripts/setup.sh pcsc
	mapfile -t pkgs < <(packages)
	if [ "${#pkgs[@]}" -eq 0 ]; then
		echo "pcsc-test: no test named TestPCSC… was found" >&2
		exit 1
	fi
	go vet -tags "$tags" "${pkgs[@]}"
	go test -tags "$tags" -run '^$' "${pkgs[@]}" >/dev/null # builds and links what the namespace will run
	if [ "$(id -u)" -eq 0 ]; then
		exec unshare -mn "$0" --inside "${pkgs[@]}"
	fi
	exec unshare -rmn "$0" --inside "${pkgs[@]}"
fi
shift

mkdir -p /run/pcscd
mount -t tmpfs tmpfs /run/pcscd
ip link set lo up

# One pcscd after the other: tests stop or kill it to see who survives. The loop is a child of this shell and reaps each.
dir=$(mktemp -d)
log=$dir/pcscd.log
keep_pcscd() {
	local options=(--foreground --error) child=
	# 2.x asks polkit, which is not here; 1.x does not know the option.
	if pcscd --help 2>&1 | grep -q -- --disable-polkit; then
		options+=(--disable-polkit)
	fi
	trap 'touch "$dir/stop"; [ -z "$child" ] || kill "$child" 2>/dev/null || true' TERM
	while [ ! -e "$dir/stop" ]; do
		pcscd "${options[@]}" >>"$log" 2>&1 &
		child=$!
		while kill -0 "$child" 2>/dev/null; do
			wait "$child" || true
		done
		rm -f /run/pcscd/pcscd.comm /run/pcscd/pcscd.pid # a killed one leaves them
	done
}
keep_pcscd 2>/dev/null & # bash would tell of each one killed
keeper=$!
finish() {
	status=$?
	kill "$keeper" 2>/dev/null || true
	wait "$keeper" 2>/dev/null || true
	rm -rf "$dir"
	exit "$status"
}
trap finish EXIT

for _ in $(seq 200); do
	[ -S /run/pcscd/pcscd.comm ] && break
	sleep 0.02
done
if [ ! -S /run/pcscd/pcscd.comm ]; then
	echo "pcsc-test: pcscd did not come up" >&2
	exit 1
fi

# One package at a time: they share the readers. PURSELANE_PCSCD tells the tests that this pcscd is theirs to kill.
export PURSELANE_PCSCD=private GOPROXY=off
set +e
go test -tags "$tags" -p 1 -count=1 -timeout 10m -run '^TestPCSC' -v "$@" >"$dir/out" 2>&1
status=$?
set -e
if [ "$status" -ne 0 ]; then
	cat "$dir/out"
	echo "pcsc-test: what pcscd said:" >&2
	tail -n 20 "$log" >&2 || true
	echo "pcsc-test: FAILED:" >&2
	if ! grep -E '^ *--- FAIL|^panic:|^FAIL[[:space:]]' "$dir/out" >&2; then
		echo "no test: go test itself ended with $status, see above" >&2
	fi
	exit "$status"
fi
grep -E '^(ok|--- PASS)' "$dir/out"
