#!/usr/bin/env bash
# Installs what the tests need on a fresh Debian machine, and nothing that is there already.
#   scripts/setup.sh            what `go build` and `make demo` need: checks Go only
#   scripts/setup.sh pcsc       also pcscd with its virtual reader and a C compiler
#   scripts/setup.sh hsm        SoftHSM and a C compiler
#   scripts/setup.sh pg         a PostgreSQL server
#   scripts/setup.sh stripe     stripe-mock, a Go program, into the folder of `go install`
#   scripts/setup.sh test       all of it, and Chromium
set -euo pipefail

want=${1:-build}

if ! command -v go >/dev/null; then
	echo "setup: Go is missing. Purselane needs Go 1.26 or later on the PATH." >&2
	exit 1
fi
version=$(go env GOVERSION)
minor=$(printf '%s' "$version" | sed -E 's/^go1\.([0-9]+).*/\1/')
if [ "${minor:-0}" -lt 26 ]; then
	echo "setup: $version is too old. Purselane needs Go 1.26 or later." >&2
	exit 1
fi
[ "$want" != build ] || exit 0

stripe_mock=github.com/stripe/stripe-mock@v0.203.0
if [ "$want" = stripe ] || [ "$want" = test ]; then
	if ! PATH="$PATH:$(go env GOPATH)/bin" command -v stripe-mock >/dev/null; then
		echo "setup: installing $stripe_mock"
		go install "$stripe_mock" || { echo "setup: stripe-mock is missing and could not be installed: go install $stripe_mock" >&2; exit 1; }
	fi
fi
[ "$want" != stripe ] || exit 0

missing=()
need() { # need PACKAGE FILE
	[ -e "$2" ] || missing+=("$1")
}
if [ "$want" = pg ] || [ "$want" = test ]; then
	compgen -G '/usr/lib/postgresql/*/bin/initdb' >/dev/null || missing+=(postgresql)
fi
[ "$want" = pg ] || need gcc /usr/bin/gcc
if [ "$want" = hsm ] || [ "$want" = test ]; then
	need softhsm2 /usr/bin/softhsm2-util
fi
if [ "$want" != hsm ] && [ "$want" != pg ]; then
	need pcscd /usr/sbin/pcscd
	need vsmartcard-vpcd /usr/lib/pcsc/drivers/serial/libifdvpcd.so
	need libpcsclite-dev /usr/include/PCSC/winscard.h
	need pkg-config /usr/bin/pkg-config
	need iproute2 /usr/sbin/ip
fi
if [ "$want" = test ]; then
	need chromium /usr/bin/chromium
	need fonts-noto-cjk /usr/share/fonts/opentype/noto/NotoSansCJK-Regular.ttc
fi
if [ "${#missing[@]}" -eq 0 ]; then
	exit 0
fi
if [ "$(id -u)" -ne 0 ]; then
	echo "setup: missing Debian packages: ${missing[*]}. Install them as root: apt-get install ${missing[*]}" >&2
	exit 1
fi
echo "setup: installing ${missing[*]}"
export DEBIAN_FRONTEND=noninteractive
log=$(mktemp)
if ! { apt-get update && apt-get install -y --no-install-recommends "${missing[@]}"; } >"$log" 2>&1; then
	tail -n 30 "$log" >&2
	echo "setup: apt-get failed; the whole log is in $log" >&2
	exit 1
fi
rm -f "$log"
