#!/usr/bin/env bash
# Each public header compiles alone, and twice in a row, as C99 and as C++17 with every compiler at
# hand. Usage: check_headers.sh
set -euo pipefail
cd "$(dirname "$0")/.."
status=0
flags=(-Wall -Wextra -Wpedantic -Wshadow -Wundef -Werror -Iinclude -fsyntax-only)

check() { # check COMPILER LANGUAGE STANDARD MORE...
  local compiler=$1 language=$2 standard=$3
  shift 3
  command -v "$compiler" > /dev/null || return 0
  for header in include/aicp/*.h; do
    local name=${header#include/}
    if ! printf '#include "%s"\n#include "%s"\ntypedef int aicp_header_test;\n' "$name" "$name" |
      "$compiler" "${flags[@]}" "$@" -x "$language" -std="$standard" -; then
      echo "$header: does not compile alone with $compiler as $standard"
      status=1
    fi
  done
}

check gcc c c99 -Wstrict-prototypes
check clang c c99 -Wstrict-prototypes -Wdocumentation
check g++ c++ c++17 -Wold-style-cast
check clang++ c++ c++17 -Wold-style-cast

exit $status
