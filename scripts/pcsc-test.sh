#!/usr/bin/env bash
# Runs every test named TestPCSC… over real pcscds with virtual readers (vpcd).
#
# pcscd's socket path and vpcd's ports are fixed, so each package's tests get a pcscd in a private mount and network namespace:
# nothing of the host's own PC/SC is touched, and they run side by side, since most of their time is waiting for the driver's look at its
# slots. Inside there is no network; all is built before.
#
# Each pcscd has as many readers as it can: eight pairs, "Virtual PCD", "Virtual PCD 1" to "Virtual PCD 7", the slots of each called
# "00 00" and "00 01", on ports 35963 and up. The driver keeps its slots in one table, so each pair has a copy of it.
set -euo pipefail
cd "$(dirname "$0")/.."
PATH=$PATH:/usr/sbin:/sbin

tags="pcsc vpcd"
driver=/usr/lib/pcsc/drivers/serial/libifdvpcd.so
packages() { # those with a test of that name, as ./folder
	grep -rlE '^func TestPCSC' --include='*_test.go' terminal simulator cmd | xargs -r -n1 dirname | sort -ru | sed 's|^|./|' # the terminal's first, which take longest
}

if [ "${1:-}" != --inside ]; then
	scripts/setup.sh pcsc
	mapfile -t pkgs < <(packages)
	if [ "${#pkgs[@]}" -eq 0 ]; then
		echo "pcsc-test: no test named TestPCSC… was found" >&2
		exit 1
	fi
	go vet -tags "$tags" "${pkgs[@]}"
	dir=$(mktemp -d)
	running=()
	finish() {
		status=$?
		[ "${#running[@]}" -eq 0 ] || kill "${running[@]}" 2>/dev/null || true
		wait
		rm -rf "$dir"
		exit "$status"
	}
	trap finish EXIT
	flags=-mn
	[ "$(id -u)" -eq 0 ] || flags=-rmn
	for i in "${!pkgs[@]}"; do
		mkdir "$dir/$i"
		go test -tags "$tags" -ldflags=-w -c -o "$dir/$i/test" "${pkgs[i]}"
		unshare "$flags" "$0" --inside "${pkgs[i]}" "$dir/$i" >"$dir/$i/said" 2>&1 &
		running+=($!)
	done
	failed=0
	for i in "${!pkgs[@]}"; do
		wait "${running[i]}" || failed=1
		cat "$dir/$i/said"
	done
	running=()
	exit "$failed"
fi
package=$2 dir=$3

mkdir -p /run/pcscd
mount -t tmpfs tmpfs /run/pcscd
ip link set lo up

conf=$dir/reader.conf.d # a test takes a file out: that reader is unplugged with the next start of pcscd
mkdir "$conf"
for n in $(seq 0 7); do
	name="Virtual PCD $n"
	[ "$n" -gt 0 ] || name="Virtual PCD"
	cp "$driver" "$dir/vpcd-$n.so"
	cat >"$conf/pair-$n" <<-CONF
		FRIENDLYNAME "$name"
		DEVICENAME /dev/null:$((35963 + 2 * n))
		LIBPATH $dir/vpcd-$n.so
		CHANNELID $((35963 + 2 * n))
	CONF
done

# One pcscd after the other: tests stop or kill it to see who survives. The loop is a child of this shell and reaps each.
log=$dir/pcscd.log
keep_pcscd() {
	local options=(--foreground --error -c "$conf") child=
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
tests=
finish() {
	status=$?
	[ -z "$tests" ] || kill "$tests" 2>/dev/null || true
	kill "$keeper" 2>/dev/null || true
	wait "$keeper" 2>/dev/null || true
	exit "$status"
}
trap finish EXIT
trap 'exit 1' TERM

for _ in $(seq 500); do
	[ -S /run/pcscd/pcscd.comm ] && break
	sleep 0.02
done
if [ ! -S /run/pcscd/pcscd.comm ]; then
	echo "pcsc-test: pcscd did not come up" >&2
	exit 1
fi

# PURSELANE_PCSCD tells the tests that this pcscd is theirs to kill, PURSELANE_PCSCD_READERS where its readers stand. Tests that run side by
# side each have readers of their own.
export PURSELANE_PCSCD=private PURSELANE_PCSCD_READERS=$conf
start=$SECONDS
(cd "$package" && exec "$dir/test" -test.timeout 10m -test.parallel 8 -test.run '^TestPCSC' -test.v) >"$dir/out" 2>&1 &
tests=$!
status=0
wait "$tests" || status=$?
tests=
if [ "$status" -ne 0 ]; then
	cat "$dir/out"
	echo "pcsc-test: what pcscd said:"
	tail -n 20 "$log" || true
	echo "pcsc-test: FAILED in $package:"
	if ! grep -E '^ *--- FAIL|^panic:' "$dir/out"; then
		echo "no test: the test program itself ended with $status, see above"
	fi
	exit "$status"
fi
grep -E '^--- PASS' "$dir/out"
echo "ok  	$package	$((SECONDS - start))s"
