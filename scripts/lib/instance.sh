# The development environment as a whole: what runs, where, and how to tell.
# shellcheck shell=bash

# Where the running instance listens, as it was started.
instance_load() {
  LITELLM_PORT='' ECHO_PORT='' DATABASE_PORT='' EXTERNAL_URL='' LITELLM_MARK='' WORKERS='' ADMIN_PORT='' RULES=''
  # shellcheck source=/dev/null
  [ ! -e "$STATE/instance.env" ] || source "$STATE/instance.env"
}

instance_save() {
  mkdir -p "$STATE"
  (umask 077 && printf '%s=%q\n' LITELLM_PORT "$LITELLM_PORT" ECHO_PORT "$ECHO_PORT" DATABASE_PORT "$DATABASE_PORT" \
    EXTERNAL_URL "$EXTERNAL_URL" LITELLM_MARK "$LITELLM_MARK" WORKERS "$WORKERS" ADMIN_PORT "$ADMIN_PORT" RULES "$RULES" \
    >"$STATE/instance.env")
}

# A proxy of somebody else, named by the environment, or by the environment of the last `./dev up`.
external_url() {
  if [ -n "${LITELLM_URL:-}" ]; then
    [ -n "${LITELLM_MASTER_KEY:-}" ] || die_usage "LITELLM_URL is set but LITELLM_MASTER_KEY is not: set both, or none"
    echo "${LITELLM_URL%/}"
  else
    echo "${EXTERNAL_URL:-}"
  fi
}

master_key() {
  if [ -n "${LITELLM_URL:-}" ]; then echo "$LITELLM_MASTER_KEY"; else cat "$STATE/master_key" 2>/dev/null || true; fi
}

make_master_key() {
  [ -s "$STATE/master_key" ] ||
    (umask 077 && printf 'sk-%s' "$(od -An -N16 -tx1 /dev/urandom | tr -d ' \n')" >"$STATE/master_key")
}

# Where the gate keeps budgets: one file for all workers, unless the environment names another store.
store_url() { echo "${AICP_STORE:-sqlite://$STATE/aicp/ledger.db}"; }
