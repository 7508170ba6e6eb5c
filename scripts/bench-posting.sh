#!/usr/bin/env bash
# Runs simulator/benchposting. Where a PostgreSQL server and pgbench are installed (scripts/setup.sh pg), on a cluster of its own too: made in a temporary folder,
# listening on loopback, with durable commits, and removed at the end. The machine's own clusters are not touched.
set -euo pipefail
cd "$(dirname "$0")/.."
go=${GO:-go}
$go build -o bin/benchposting ./simulator/benchposting

bin=$(ls -d /usr/lib/postgresql/*/bin 2>/dev/null | sort -V | tail -n1 || true)
if [ ! -x "$bin/initdb" ] || [ ! -x "$bin/pgbench" ]; then
	echo "PostgreSQL: not measured, there is no server with pgbench on this machine (scripts/setup.sh pg)"
	exec bin/benchposting "$@"
fi

dir=$(mktemp -d)
as=()
if [ "$(id -u)" = 0 ]; then # the server does not run as root
	as=(runuser -u postgres --)
	chown postgres "$dir"
fi
stop() {
	"${as[@]}" "$bin/pg_ctl" -D "$dir/data" -m immediate stop >/dev/null 2>&1 || true
	rm -rf "$dir"
}
trap stop EXIT
port=$((20000 + RANDOM % 20000))
(cd "$dir" && "${as[@]}" "$bin/initdb" -D "$dir/data" -U purselane -A trust -E UTF8 --locale C.UTF-8 --no-instructions >/dev/null)
cat >>"$dir/data/postgresql.conf" <<-CONF
	listen_addresses = '127.0.0.1'
	port = $port
	unix_socket_directories = ''
	shared_buffers = 512MB
	max_wal_size = 8GB
CONF
(cd "$dir" && "${as[@]}" "$bin/pg_ctl" -D "$dir/data" -w -l "$dir/log" start >/dev/null)
export PGHOST=127.0.0.1 PGPORT=$port PGUSER=purselane PATH="$bin:$PATH"
createdb floor
createdb own
pgbench -i -q -s 10 floor >/dev/null 2>&1
bin/benchposting -pg "postgres://purselane@127.0.0.1:$port/own" -pgbench floor "$@"
