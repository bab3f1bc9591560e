# Settings and small helpers that every command of ./dev shares. Sourced; needs ROOT.
# shellcheck shell=bash

# Everything a development environment leaves behind lies below STATE; what several checkouts may share, below CACHE.
STATE=$(realpath -m "${AICP_DEV_STATE:-$ROOT/.dev}")
CACHE=$(realpath -m "${AICP_DEV_CACHE:-${XDG_CACHE_HOME:-${HOME:-/root}/.cache}/aicp}")
PYTHON=/usr/bin/python3
[ -x "$PYTHON" ] || PYTHON=python3
JOBS=${AICP_DEV_JOBS:-$(nproc 2>/dev/null || echo 2)}
export ROOT STATE CACHE PYTHON JOBS

if [ -t 2 ] && [ -z "${NO_COLOR:-}" ]; then
  BOLD=$'\e[1m' RED=$'\e[31m' PLAIN=$'\e[0m'
else
  BOLD='' RED='' PLAIN=''
fi

say() { printf '%sdev:%s %s\n' "$BOLD" "$PLAIN" "$*" >&2; }
warn() { printf '%sdev: %s%s\n' "$RED" "$*" "$PLAIN" >&2; }
die() {
  warn "$*"
  exit 3
}
die_usage() {
  warn "$*"
  exit 2
}

need_library() {
  local name
  for name in "$@"; do
    # shellcheck source=/dev/null
    source "$ROOT/scripts/lib/$name.sh"
  done
}

# Runs a command with its output in a log file; the end of the log is shown only when it fails.
quietly() {
  local log=$1
  shift
  mkdir -p "$(dirname "$log")"
  if ! "$@" >"$log" 2>&1 </dev/null; then
    warn "failed: $*"
    tail -n 30 "$log" | sed 's/^/  | /' >&2
    warn "the whole output is in $log"
    return 1
  fi
}

# One hash over the names and contents of source files, so that unchanged sources are not built again.
hash_sources() {
  find "$@" \( -name build -o -name dist -o -name __pycache__ -o -name '*.egg-info' -o -name '.pytest_cache' \) -prune \
    -o -type f ! -name '*.pyc' ! -name '*.so' -print0 2>/dev/null | LC_ALL=C sort -z | xargs -0r sha256sum | sha256sum | cut -d' ' -f1
}

json_string() {
  local text=$1
  text=${text//\\/\\\\}
  text=${text//\"/\\\"}
  printf '"%s"' "$text"
}
json_or_null() { if [ -n "$1" ]; then json_string "$1"; else printf null; fi; }
