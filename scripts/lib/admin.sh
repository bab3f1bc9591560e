# The control plane: admin-api, its secrets and its store.
# shellcheck shell=bash

# Where the rules of the proxy's gate come from: admin-api, or the folder $STATE/bundle.
rules_source() {
  case ${AICP_DEV_RULES:-admin} in
    admin | folder) echo "${AICP_DEV_RULES:-admin}" ;;
    *) die_usage "AICP_DEV_RULES is admin or folder, not '$AICP_DEV_RULES'" ;;
  esac
}

admin_url() { echo "http://127.0.0.1:$ADMIN_PORT"; }

# Keys that only this instance knows, made once.
admin_secret() { # NAME -> its value
  local file=$STATE/admin/$1
  mkdir -p "$STATE/admin"
  [ -s "$file" ] || (umask 077 && od -An -N32 -tx1 /dev/urandom | tr -d ' \n' >"$file")
  cat "$file"
}

# SQLite unless a PostgreSQL URL is given.
admin_database() { echo "${AICP_DATABASE_URL:-sqlite://$STATE/admin/admin.db}"; }

admin_start() { # PORT LITELLM_URL
  local -a settings=(
    "AICP_DATABASE_URL=$(admin_database)" "AICP_STORE=$(store_url)" "LITELLM_URL=$2" "LITELLM_MASTER_KEY=$(master_key)"
    "JWT_SECRET_KEY=$(admin_secret jwt_secret)" "INTERNAL_SERVICE_KEY=$(admin_secret service_key)"
    "AICP_SECRET_KEY=$(admin_secret secret_key)" "ADMIN_API_PORT=$1"
  )
  mkdir -p "$STATE/aicp"
  process_spawn admin-api env "${settings[@]}" build/release/services/admin-api/admin-api
  wait_for_url admin-api "http://127.0.0.1:$1/health" 30 || die "admin-api did not start"
}

# The demo's rules, put in by HTTP calls, each once: what people change or delete afterwards stays so.
admin_seed() {
  PYTHONPATH=$ROOT/scripts "$VENV/bin/python" -P scripts/seed.py "$(admin_url)" "$(master_key)" "$STATE/admin/seeded" ||
    die "the demo's rules could not be set"
}
