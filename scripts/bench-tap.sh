#!/usr/bin/env bash
# Runs the bench of a tap, with its arguments; beside a pcscd of its own with virtual readers (vpcd) where there is all that it needs.
#
# pcscd's socket path and vpcd's ports are fixed, so both live in a private mount and network namespace: nothing of the host's own PC/SC is touched.
set -euo pipefail
cd "$(dirname "$0")/.."
PATH=$PATH:/usr/sbin:/sbin
go=${GO:-go}

if [ "${1:-}" != --inside ]; then
	dir=$(mktemp -d)
	trap 'rm -rf "$dir"' EXIT
	flags=-mn
	[ "$(id -u)" -eq 0 ] || flags=-rmn
	missing=()
	for part in /usr/sbin/pcscd /usr/lib/pcsc/drivers/serial/libifdvpcd.so /usr/include/PCSC/winscard.h /usr/bin/gcc; do
		[ -e "$part" ] || missing+=("$part")
	done
	if [ "${#missing[@]}" -ne 0 ]; then
		echo "bench-tap: no bench over pcscd: ${missing[*]} missing (scripts/setup.sh pcsc)" >&2
	elif ! unshare "$flags" true 2>/dev/null; then
		echo "bench-tap: no bench over pcscd: no namespaces for this user" >&2
	else
		"$go" build -tags pcsc -o "$dir/benchtap" ./simulator/benchtap
		unshare "$flags" "$0" --inside "$dir" "$@"
		exit
	fi
	"$go" build -o "$dir/benchtap" ./simulator/benchtap
	"$dir/benchtap" "$@"
	exit
fi
dir=$2
shift 2

mkdir -p /run/pcscd
mount -t tmpfs tmpfs /run/pcscd
ip link set lo up
options=(--foreground --error)
# 2.x asks polkit, which is not here; 1.x does not know the option.
if pcscd --help 2>&1 | grep -q -- --disable-polkit; then
	options+=(--disable-polkit)
fi
pcscd "${options[@]}" >"$dir/pcscd.log" 2>&1 &
trap 'kill %1 2>/dev/null || true; wait' EXIT
for _ in $(seq 500); do
	[ -S /run/pcscd/pcscd.comm ] && break
	sleep 0.02
done
if [ ! -S /run/pcscd/pcscd.comm ]; then
	echo "bench-tap: pcscd did not come up:" >&2
	cat "$dir/pcscd.log" >&2
	exit 1
fi
PURSELANE_PCSCD=private "$dir/benchtap" "$@"
