#!/usr/bin/env bash
# Builds the Debian packages of both architectures and looks into them; runs the program of this machine's own.
set -euo pipefail
cd "$(dirname "$0")/.."
fail() { echo "deb-test: $*" >&2; exit 1; }

if ! command -v dpkg-deb >/dev/null; then
	echo "deb-test: dpkg-deb is missing: packages are built on Debian and its kin. Nothing was tested."
	exit 0
fi
version=0.0.0+test
VERSION=$version scripts/deb.sh
dir=$(mktemp -d)
trap 'rm -rf "$dir"; rm -f bin/purselane-terminal_'$version'_*.deb' EXIT
own=$(dpkg --print-architecture)
declare -A machine=([amd64]="3e00" [arm64]="b700") # e_machine of ELF
for arch in amd64 arm64; do
	deb=bin/purselane-terminal_${version}_$arch.deb
	[ "$(dpkg-deb -f "$deb" Architecture)" = "$arch" ] || fail "$deb is of another architecture"
	[ "$(dpkg-deb -f "$deb" Depends)" = adduser ] || fail "$deb depends on more than adduser"
	dpkg-deb -x "$deb" "$dir/$arch"
	dpkg-deb -e "$deb" "$dir/$arch/control"
	for script in postinst prerm postrm; do
		[ -x "$dir/$arch/control/$script" ] || fail "$script is not executable"
		sh -n "$dir/$arch/control/$script"
	done
	bin=$dir/$arch/usr/bin/purselane-terminal
	[ "$(od -An -tx1 -j18 -N2 "$bin" | tr -d ' ')" = "${machine[$arch]}" ] || fail "the program of $deb is for another machine"
	grep -q 'purselane-terminal kiosk --config /etc/purselane/kiosk.yaml' "$dir/$arch/lib/systemd/system/purselane-kiosk.service" || fail "no unit of the kiosk"
	grep -q '^WatchdogSec=' "$dir/$arch/lib/systemd/system/purselane-terminal.service" || fail "no unit with a watchdog"
	if dpkg-deb -c "$deb" | awk '{print $2}' | grep -qv '^root/root$'; then fail "not all of $deb is root's"; fi
done
if [ -x "$dir/$own/usr/bin/purselane-terminal" ]; then
	"$dir/$own/usr/bin/purselane-terminal" version | grep -q 'PC/SC false' || fail "the packaged program does not run"
	if "$dir/$own/usr/bin/purselane-terminal" check --config "$dir/$own/usr/share/doc/purselane-terminal/terminal.yaml" >/dev/null 2>"$dir/said"; then
		fail "the example is sound without its secrets"
	fi
	grep -q 'device.key' "$dir/said" || fail "check does not name what is missing: $(cat "$dir/said")"
fi
if command -v systemd-analyze >/dev/null; then
	systemd-analyze verify --man=no "$dir/$own/lib/systemd/system/purselane-terminal.service" 2>&1 | grep -v 'not executable\|No such file' || true
fi
echo "deb-test: packages for amd64 and arm64 are sound"
