# ./dev up: installs what is missing, builds, and starts a governed LiteLLM with everything it needs.
# shellcheck shell=bash
need_library packages process build postgres litellm instance admin

main() {
  [ $# -eq 0 ] || die_usage "./dev up takes no arguments; settings are environment variables, see ./dev help"
  mkdir -p "$STATE/logs" "$ROOT/.dev"
  chmod 711 "$STATE"
  exec 9>"$STATE/.lock"
  flock -n 9 || die "another ./dev up is at work in $STATE"
  instance_load
  if [ -n "${LITELLM_URL:-}${LITELLM_MASTER_KEY:-}" ]; then
    use_external
  else
    [ -z "$EXTERNAL_URL" ] || rm -f "$STATE/master_key" "$STATE/instance.env"
    instance_load
    start_all
  fi
}

use_external() {
  local url base
  [ -n "${LITELLM_URL:-}" ] || die_usage "LITELLM_MASTER_KEY is set but LITELLM_URL is not: set both, or none"
  url=$(external_url)
  curl -fs -m 10 -o /dev/null "$url/health/liveliness" || die "no LiteLLM answers on $url (LITELLM_URL)"
  curl -fs -m 10 -o /dev/null -H "Authorization: Bearer $LITELLM_MASTER_KEY" "$url/model/info" ||
    die "the LiteLLM on $url does not accept LITELLM_MASTER_KEY"
  ! any_running || die "this checkout's own proxy is running: ./dev down first"
  packages_need build
  base=$(litellm_base) # for the demo's client
  litellm_venv "$base"
  EXTERNAL_URL=$url LITELLM_PORT='' ECHO_PORT='' DATABASE_PORT=''
  (umask 077 && printf '%s' "$LITELLM_MASTER_KEY" >"$STATE/master_key")
  instance_save
  say "using the LiteLLM on $url, starting none. It is governed where its own configuration loads our handler."
  first_steps "$url"
}

any_running() {
  local name
  for name in litellm admin-api echo postgres; do
    ! process_pid $name >/dev/null || return 0
  done
  return 1
}

start_all() {
  local base started=''
  packages_need build proxy
  choose_ports
  say "building the library"
  build_preset release || die "the library does not build"
  base=$(litellm_base)
  litellm_venv "$base"
  build_python || die "the Python package could not be built"
  make_master_key
  make_bundle
  if ! process_pid postgres >/dev/null; then
    postgres_start "$DATABASE_PORT"
    started+=" postgres"
  fi
  if ! process_pid echo >/dev/null; then
    process_spawn echo "$VENV/bin/python" -P tests/echo/echo_server.py --port "$ECHO_PORT"
    wait_for_url echo "http://127.0.0.1:$ECHO_PORT/health" 30 || die "the echo server did not start"
    started+=" echo"
  fi
  RULES=$(rules_source)
  start_admin
  start_litellm "$base"
  admin_seed # after the proxy, which has the teams
  if [ -n "$started" ]; then say "running:$started"; else say "already running"; fi
  first_steps "http://127.0.0.1:$LITELLM_PORT"
}

# The ports of what does not run yet, before any work is done.
choose_ports() {
  local name taken=''
  for name in litellm admin-api echo postgres; do
    process_pid $name >/dev/null || process_sweep $name
  done
  if ! process_pid litellm >/dev/null; then
    LITELLM_PORT=$(port_setting AICP_DEV_LITELLM_PORT 4000)
    taken+=$(port_problem "$LITELLM_PORT" AICP_DEV_LITELLM_PORT)
  fi
  if ! process_pid echo >/dev/null; then
    ECHO_PORT=$(port_setting AICP_DEV_ECHO_PORT 4010)
    taken+=$(port_problem "$ECHO_PORT" AICP_DEV_ECHO_PORT)
  fi
  if ! process_pid postgres >/dev/null; then
    DATABASE_PORT=$(port_setting AICP_DEV_DATABASE_PORT 54329)
    taken+=$(port_problem "$DATABASE_PORT" AICP_DEV_DATABASE_PORT)
  fi
  if ! process_pid admin-api >/dev/null; then
    # the port that it had before, where the proxy's gate looks for it
    case ${AICP_DEV_ADMIN_PORT:-auto} in auto) AICP_DEV_ADMIN_PORT=${ADMIN_PORT:-${AICP_DEV_ADMIN_PORT:-8086}} ;; esac
    ADMIN_PORT=$(port_setting AICP_DEV_ADMIN_PORT 8086)
    taken+=$(port_problem "$ADMIN_PORT" AICP_DEV_ADMIN_PORT)
  fi
  [ -z "$taken" ] || die "ports are not free:$taken
  End what holds them, or choose others, by number or with auto for any free one."
  instance_save
}

# Runs before the proxy, whose gate asks it for its rules. A new build takes the place of the old one.
start_admin() { # adds to started
  local mark
  mark=$(sha256sum <build/release/services/admin-api/admin-api)
  if process_pid admin-api >/dev/null && [ "$mark" != "$(cat "$STATE/admin/mark" 2>/dev/null)" ]; then
    process_stop admin-api TERM 35
  fi
  if ! process_pid admin-api >/dev/null; then
    admin_start "$ADMIN_PORT" "http://127.0.0.1:$LITELLM_PORT"
    echo "$mark" >"$STATE/admin/mark"
    started+=" admin-api"
  fi
}

start_litellm() { # BASE; adds to started
  local mark echo_url=http://127.0.0.1:$ECHO_PORT/v1
  litellm_configure "$echo_url"
  mark=$(litellm_mark)
  if process_pid litellm >/dev/null; then
    if [ "$mark" = "$LITELLM_MARK" ] && [ "${AICP_DEV_WORKERS:-$WORKERS}" = "$WORKERS" ]; then return 0; fi
    say "the library or the configuration has changed: LiteLLM starts anew"
    process_stop litellm TERM 20
  fi
  LITELLM_MARK=$mark WORKERS=${AICP_DEV_WORKERS:-1}
  instance_save
  say "starting LiteLLM"
  postgres_database "$DATABASE_PORT" litellm
  litellm_migrate "$1" "$(postgres_url "$DATABASE_PORT" litellm)"
  litellm_start "$1" "$LITELLM_PORT" "$echo_url" "$(postgres_url "$DATABASE_PORT" litellm)" "$WORKERS"
  started+=" litellm"
}

# The demo bundle is copied, completed with the price map and the schema, and sealed, so that it can be changed while the proxy runs.
# A copy that nobody changed follows the source.
make_bundle() {
  local source=config/bundle/demo copy=$STATE/bundle mark=$STATE/bundle.source new old='' old_copy=''
  new=$(cd $source && hash_sources . "$ROOT/data/models/litellm_prices.json" "$ROOT/config/policy/aicp.cedarschema")
  if [ -e "$mark" ]; then { read -r old && read -r old_copy; } <"$mark"; fi
  [ "$new" != "$old" ] || [ ! -e "$copy" ] || return 0
  if [ -e "$copy" ] && [ "$(cd "$copy" && hash_sources .)" != "$old_copy" ]; then
    say "$source has changed, but so has the copy in $copy, which is kept (remove it to get the new one)"
    return 0
  fi
  rm -rf "$copy"
  cp -R $source "$copy"
  cp data/models/litellm_prices.json "$copy/prices.json"
  cp config/policy/aicp.cedarschema "$copy/schema.cedarschema"
  build/release/services/aicp/aicp bundle seal --version demo-1 "$copy" || die "the demo bundle is not usable"
  printf '%s\n' "$new" "$(cd "$copy" && hash_sources .)" >"$mark"
}

first_steps() { # URL
  echo "LiteLLM     $1    (master key: $(master_key))"
  if [ -z "$EXTERNAL_URL" ]; then
    cat <<TEXT
Admin API   $(admin_url)    (log in with the master key; its description: $(admin_url)/openapi.json)
Echo        http://127.0.0.1:$ECHO_PORT/v1
Database    127.0.0.1:$DATABASE_PORT, database litellm (./dev status tells the password)
Rules       $(if [ "$RULES" = admin ]; then admin_url; else echo "$STATE/bundle"; fi)
TEXT
  fi
  cat <<TEXT

Try it:
  curl $1/v1/chat/completions -H 'Authorization: Bearer $(master_key)' \\
    -H 'Content-Type: application/json' -d '{"model":"gpt-4o-mini","messages":[{"role":"user","content":"hello"}]}'
Next: ./dev demo shows what is governed, ./dev logs litellm -f follows the log, ./dev down ends it.
TEXT
}
