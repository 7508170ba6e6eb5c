#!/usr/bin/env bash
# Builds Debian packages of purselane-terminal without C, for the architectures named (default: amd64 arm64), into bin/. With PCSC=1 it builds for this
# machine alone, with PC/SC.
#   VERSION=1.2.3 scripts/deb.sh [arch...]
set -euo pipefail
cd "$(dirname "$0")/.."

version=${VERSION:-0.0.0+$(git rev-parse --short=12 HEAD)}
if [ "${PCSC:-}" = 1 ]; then
	set -- "$(dpkg --print-architecture)"
	name=purselane-terminal-pcsc other=purselane-terminal depends="libc6, libpcsclite1, adduser" recommends=pcscd
else
	[ $# -gt 0 ] || set -- amd64 arm64
	name=purselane-terminal other=purselane-terminal-pcsc depends=adduser recommends=
fi

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
mkdir -p bin
for arch in "$@"; do
	root=$work/$arch
	mkdir -p "$root/DEBIAN" "$root/usr/bin" "$root/lib/systemd/system" "$root/usr/share/doc/$name" "$root/etc/purselane"
	if [ "${PCSC:-}" = 1 ]; then
		CGO_ENABLED=1 go build -trimpath -tags pcsc -ldflags "-s -w" -o "$root/usr/bin/purselane-terminal" ./cmd/purselane-terminal
	else
		CGO_ENABLED=0 GOOS=linux GOARCH=$arch go build -trimpath -ldflags "-s -w" -o "$root/usr/bin/purselane-terminal" ./cmd/purselane-terminal
	fi
	install -m 644 docs/examples/purselane-terminal.service docs/examples/purselane-kiosk.service "$root/lib/systemd/system/"
	install -m 644 docs/examples/terminal.yaml docs/terminal.md docs/terminal-api.md docs/terminal-screens.md docs/kiosk.md docs/readers.md CHANGELOG.md "$root/usr/share/doc/$name/"
	install -m 755 scripts/deb/postinst scripts/deb/prerm scripts/deb/postrm "$root/DEBIAN/"
	{
		echo "Package: $name"
		echo "Version: $version"
		echo "Architecture: $arch"
		echo "Maintainer: The Purselane developers <nobody@localhost>"
		echo "Depends: $depends"
		[ -z "$recommends" ] || echo "Recommends: $recommends"
		echo "Provides: purselane-terminal-program"
		echo "Conflicts: $other"
		echo "Replaces: $other"
		echo "Section: misc"
		echo "Priority: optional"
		echo "Installed-Size: $(du -sk "$root/usr" | cut -f1)"
		echo "Description: terminal of a stored-value card scheme"
		echo " Debits cards offline on a bus, at a gate or a till, keeps the proof safe and uploads"
		echo " it when there is a link. It is not started before it has a configuration:"
		echo " see /usr/share/doc/$name/terminal.md."
	} >"$root/DEBIAN/control"
	out=bin/${name}_${version}_${arch}.deb
	dpkg-deb --root-owner-group -Zxz --build "$root" "$out" >/dev/null
	echo "deb: $out ($(du -h "$out" | cut -f1))"
done
