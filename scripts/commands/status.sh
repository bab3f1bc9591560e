# ./dev status [--json]: what runs, and where. Exit 0 when the proxy answers, 1 when not.
# shellcheck shell=bash
need_library process postgres instance admin

main() {
  local url='' admin='' echo='' database='' external key ready=false
  [ $# -eq 0 ] || [ "$*" = --json ] || die_usage "./dev status takes --json or nothing"
  instance_load
  external=$(external_url)
  if [ -n "$external" ]; then
    url=$external
  else
    if process_pid litellm >/dev/null; then url=http://127.0.0.1:$LITELLM_PORT; fi
    if process_pid admin-api >/dev/null; then admin=$(admin_url); fi
    if process_pid echo >/dev/null; then echo=http://127.0.0.1:$ECHO_PORT/v1; fi
    if process_pid postgres >/dev/null; then database=$(postgres_url "$DATABASE_PORT" litellm); fi
  fi
  key=${url:+$(master_key)}
  if [ -n "$url" ] && curl -fsS -m 5 -o /dev/null "$url/health/liveliness" 2>/dev/null; then ready=true; fi
  if [ $# -eq 1 ]; then print_json; else print_table; fi
  $ready || exit 1
}

print_json() {
  local bundle=$STATE/bundle store outside=false
  [ "$RULES" != admin ] || bundle=''
  store=$(store_url)
  if [ -n "$external" ]; then bundle='' store='' outside=true; fi
  printf '{"litellm": %s, "master_key": %s, "admin_api": %s, "echo": %s, "database": %s, ' \
    "$(json_or_null "$url")" "$(json_or_null "$key")" "$(json_or_null "$admin")" "$(json_or_null "$echo")" "$(json_or_null "$database")"
  printf '"ready": %s, "external": %s, "bundle": %s, "store": %s, "state": %s, "python": %s}\n' \
    "$ready" "$outside" "$(json_or_null "$bundle")" "$(json_or_null "$store")" "$(json_string "$STATE")" \
    "$(json_string "$ROOT/.dev/venv/bin/python")"
}

print_table() {
  local note=''
  [ -z "$url" ] || $ready || note=' (does not answer)'
  printf 'litellm    %s\n' "${url:-not running}$note"
  [ -z "$key" ] || printf 'master key %s\n' "$key"
  if [ -z "$external" ]; then
    printf 'admin api  %s\n' "${admin:-not running}"
    printf 'echo       %s\ndatabase   %s\nstate      %s\n' "${echo:-not running}" "${database:-not running}" "$STATE"
  else
    printf 'This proxy was not started here.\n'
  fi
}
