# ./dev demo: scripts/demo.py against the running proxy.
# shellcheck shell=bash
need_library process instance

main() {
  local url
  [ -e scripts/demo.py ] || die "scripts/demo.py is missing"
  [ -x "$ROOT/.dev/venv/bin/python" ] || die "./dev up first"
  instance_load
  url=$(external_url) # an assignment of its own: its complaint ends the command
  if [ -z "$url" ] && ! process_pid litellm >/dev/null; then die "no proxy runs here: ./dev up first"; fi
  export AICP_DEV_STATE=$STATE
  PYTHONPATH=$ROOT/scripts exec "$ROOT/.dev/venv/bin/python" scripts/demo.py "$@"
}
