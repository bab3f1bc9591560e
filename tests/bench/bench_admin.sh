# A private PostgreSQL and the peer's environment for bench_admin.py.
# shellcheck shell=bash
set -euo pipefail
AICP_DEV_STATE=$(mktemp -d "${TMPDIR:-/tmp}/aicp-bench-XXXXXX")
export AICP_DEV_STATE
chmod 711 "$AICP_DEV_STATE"
# shellcheck source=/dev/null
source "$ROOT/scripts/lib/common.sh"
need_library packages process instance postgres
end() {
  process_stop postgres INT 30 || true
  rm -rf "$AICP_DEV_STATE"
}
trap end EXIT

peer=$ROOT/tests/bench/peers/admin
environment=$CACHE/bench-admin-$(cat "$peer/requirements.txt" <("$PYTHON" -V) | sha256sum | cut -c1-12)
packages_need proxy
if [ ! -e "$environment/.complete" ]; then
  say "installing the peer into $environment (once per machine)"
  rm -rf "$environment"
  mkdir -p "$CACHE"
  quietly "$STATE/logs/venv.log" "$PYTHON" -m venv "$environment"
  quietly "$STATE/logs/pip.log" "$environment/bin/python" -m pip install --disable-pip-version-check --no-input \
    -r "$peer/requirements.txt"
  touch "$environment/.complete"
fi

port=$("$PYTHON" -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])')
postgres_start "$port"
for database in bench_admin bench_peer bench_audit; do
  postgres_database "$port" "$database"
done
BENCH_POSTGRES=$(postgres_url "$port" "") "$environment/bin/python" "$ROOT/tests/bench/bench_admin.py" "$@"
