# A real LiteLLM proxy from registry packages: its environment, its database tables, its configuration, its process.
# shellcheck shell=bash

VENV=$ROOT/.dev/venv # this checkout's Python: our package, over the shared environment that holds LiteLLM
LITELLM_PARTS=$ROOT/scripts/litellm

# The shared environment: big, the same for every checkout, made once per machine. Prints its folder.
litellm_base() {
  local key base
  key=$(cat "$LITELLM_PARTS/requirements.txt" "$LITELLM_PARTS/package.json" <("$PYTHON" -V) | sha256sum | cut -c1-12)
  base=$CACHE/litellm-$key
  mkdir -p "$CACHE" 2>/dev/null || die "the cache folder $CACHE cannot be made: choose another with AICP_DEV_CACHE=…"
  exec 8>"$CACHE/.lock"
  if ! flock -n 8; then
    say "another checkout is installing into $CACHE, waiting for it"
    flock 8
  fi
  if [ ! -e "$base/.complete" ]; then
    rm -rf "$base"
    litellm_install "$base" || die "LiteLLM could not be installed: is there a network?"
    touch "$base/.complete"
  fi
  exec 8>&-
  echo "$base"
}

litellm_install() { # BASE
  local base=$1 site
  say "installing LiteLLM into $base (once per machine, one to three minutes)"
  mkdir -p "$base/engine" "$STATE/logs"
  quietly "$STATE/logs/venv.log" "$PYTHON" -m venv "$base" || return 1
  quietly "$STATE/logs/pip-litellm.log" "$base/bin/python" -m pip install --disable-pip-version-check --no-input \
    -r "$LITELLM_PARTS/requirements.txt" || return 1
  say "installing the database client"
  cp "$LITELLM_PARTS/package.json" "$base/engine/"
  install -m 755 "$LITELLM_PARTS/query-engine.js" "$base/engine/query-engine"
  quietly "$STATE/logs/npm-litellm.log" npm --prefix "$base/engine" install --ignore-scripts --no-audit --no-fund || return 1
  # The proxy asks the Prisma command line for a schema comparison at start, which needs a native binary; the tables are
  # made by litellm_migrate instead.
  mkdir -p "$base/engine/bin"
  printf '#!/bin/sh\nexit 0\n' >"$base/engine/bin/prisma"
  chmod 755 "$base/engine/bin/prisma"
  # Generating the Python client only checks that engines exist; any executable satisfies it.
  site=$(litellm_site "$base")
  grep -v '^ *binaryTargets' "$site/litellm/proxy/schema.prisma" >"$base/engine/schema.prisma"
  (
    cd "$base/engine" || exit 1
    engine=$base/engine/query-engine
    quietly "$STATE/logs/prisma.log" env PATH="$base/bin:$PATH" CHECKPOINT_DISABLE=1 PRISMA_HIDE_UPDATE_MESSAGE=1 \
      PRISMA_CLI_QUERY_ENGINE_TYPE=binary PRISMA_CLIENT_ENGINE_TYPE=binary PRISMA_QUERY_ENGINE_BINARY="$engine" \
      PRISMA_QUERY_ENGINE_LIBRARY="$engine" PRISMA_SCHEMA_ENGINE_BINARY="$engine" \
      node node_modules/prisma/build/index.js generate --schema schema.prisma
  )
}

litellm_site() { # BASE -> its folder of Python packages
  "$1/bin/python" -c 'import sysconfig; print(sysconfig.get_path("purelib"))'
}

# This checkout's environment: empty but for our package, and sees all of the shared one.
litellm_venv() {
  local base=$1 site own
  site=$(litellm_site "$base")
  if [ "$(cat "$VENV/.base" 2>/dev/null)" = "$site" ] && [ -x "$VENV/bin/python" ]; then return 0; fi
  rm -rf "$VENV"
  quietly "$STATE/logs/venv.log" "$PYTHON" -m venv --without-pip "$VENV" || die "python3 -m venv failed (package python3-venv)"
  own=$(litellm_site "$VENV")
  echo "$site" >"$own/litellm-base.pth"
  echo "$site" >"$VENV/.base"
}

litellm_migrate() { # BASE DATABASE_URL: the SQL files of litellm-proxy-extras in name order, each once
  local site dir name done_list
  site=$(litellm_site "$1")
  local -a sql=(env PGOPTIONS=--client-min-messages=warning psql -X -q -v ON_ERROR_STOP=1 -d "$2")
  "${sql[@]}" -c 'create table if not exists aicp_dev_migrations (name text primary key)'
  done_list=$("${sql[@]}" -Atc 'select name from aicp_dev_migrations')
  for dir in "$site"/litellm_proxy_extras/migrations/*/; do
    name=$(basename "$dir")
    grep -qxF -- "$name" <<<"$done_list" && continue
    printf "\\i '%s'\ninsert into aicp_dev_migrations values ('%s');\n" "${dir}migration.sql" "$name"
  done | "${sql[@]}" >"$STATE/logs/migrate.log" 2>&1 || {
    tail -n 5 "$STATE/logs/migrate.log" | sed 's/^/  | /' >&2
    die "LiteLLM's tables could not be made; see $STATE/logs/migrate.log"
  }
}

litellm_configure() { # ECHO_URL
  mkdir -p "$STATE/litellm"
  "$VENV/bin/python" "$LITELLM_PARTS/configure.py" --echo "$1" config/litellm/dev.yaml "$STATE/litellm/config.yaml" ||
    die "config/litellm/dev.yaml could not be turned into LiteLLM's configuration"
}

# Tells one way of running from another: our package and the configuration.
litellm_mark() {
  { cat "$VENV/.aicp" 2>/dev/null || echo none; cat "$STATE/litellm/config.yaml"; echo "$RULES $ADMIN_PORT"; } | sha256sum | cut -c1-16
}

litellm_start() { # BASE PORT ECHO_URL DATABASE_URL WORKERS
  local base=$1 port=$2 folder=$STATE/litellm
  local -a settings=(
    "PATH=$base/engine/bin:$VENV/bin:$base/bin:$PATH"
    "DATABASE_URL=$4" DISABLE_SCHEMA_UPDATE=true STORE_MODEL_IN_DB=True PROXY_BATCH_WRITE_AT=2
    "PRISMA_QUERY_ENGINE_BINARY=${AICP_DEV_QUERY_ENGINE:-$base/engine/query-engine}"
    LITELLM_LOCAL_MODEL_COST_MAP=True "LITELLM_MASTER_KEY=$(cat "$STATE/master_key")" PYTHONUNBUFFERED=1
    "AICP_ECHO_URL=$3" "AICP_STORE=$(store_url)"
  )
  if [ "$RULES" = admin ]; then
    settings+=("AICP_BUNDLE=$(admin_url)" "AICP_SERVICE_KEY=$(admin_secret service_key)"
      "AICP_BUNDLE_CACHE=$STATE/aicp/rules")
  else
    settings+=("AICP_BUNDLE=$STATE/bundle" "AICP_EVENTS=$STATE/aicp/events.jsonl")
  fi
  mkdir -p "$STATE/aicp"
  (cd "$folder" && process_spawn litellm env "${settings[@]}" "$VENV/bin/python" -P -c \
    'import sys; from litellm import run_server; sys.exit(run_server())' \
    --config "$folder/config.yaml" --host 127.0.0.1 --port "$port" --num_workers "$5" --telemetry False)
  wait_for_url litellm "http://127.0.0.1:$port/health/readiness" "${AICP_DEV_WAIT:-180}" || die "LiteLLM did not start"
}
