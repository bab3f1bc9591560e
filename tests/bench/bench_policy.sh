# shellcheck shell=bash
# Python's standard library is all that bench_policy.py needs.
set -euo pipefail
# shellcheck source=/dev/null
source "$ROOT/scripts/lib/common.sh"
exec "$PYTHON" "$ROOT/tests/bench/bench_policy.py" "$@"
