#!/usr/bin/env bash
# Checks of form. Usage: scripts/lint.sh [--fast] [--fix] [-j N] [NAME]...
#
#   format   clang-format (--fix rewrites)
#   source   functions not used here, doors, module arrows, header rules, words (check_source.py)
#   headers  public headers alone as C99 and C++17; umbrella header (--fix rewrites)
#   api      public declarations keep one set of conventions (check_api.py)
#   shell    shellcheck, or bash -n where it is not installed
#   python   ruff, or pyflakes, or a plain compile
#   go       gofmt, go vet, and the generated half of the Go binding (--fix makes it anew)
#   symbols  table of public symbols against the headers (--fix adds new ones)
#   docs     doxygen over include/, warnings as errors
#   tidy     clang-tidy over lib, services, examples; needs build/debug. Unchanged files are not
#            judged twice. --fast leaves the path-sensitive analyzer out. All 40,000
#            lines take about 4.5 minutes of one processor
#   figures  report on long functions and files; never fails
#
# Without a name all run. Exit 1 when any failed, 2 on a wrong call.
set -uo pipefail
cd "$(dirname "$0")/.." || exit 2

fix=''
fast=''
jobs=1
names=()
while [ $# -gt 0 ]; do
  case $1 in
  --fix) fix=1 ;;
  --fast) fast=1 ;;
  --full | --all) ;;
  -j) jobs=${2:?-j needs a number} && shift ;;
  -h | --help) sed -n '2,/^set /{/^set /d;s/^# \{0,1\}//;p}' "$0" && exit 0 ;;
  -*) echo "unknown option $1" >&2 && exit 2 ;;
  *) names+=("$1") ;;
  esac
  shift
done
[ ${#names[@]} -gt 0 ] || names=(format source headers api shell python go symbols docs tidy figures)

tracked() { # files known to git (new ones too) that exist, below the given paths
  git ls-files --cached --others --exclude-standard -- "$@" | while read -r file; do
    [ -f "$file" ] && [ ! -L "$file" ] && printf '%s\n' "$file"
  done | sort -u
}

need() {
  command -v "$1" > /dev/null || { echo "$1 is not installed" && return 1; }
}

lint_format() {
  need clang-format || return 1
  local mode=(--dry-run -Werror)
  [ -z "$fix" ] || mode=(-i)
  tracked include lib services tests examples bindings | grep -E '\.(c|h|cpp|hpp)$' |
    xargs -r clang-format --style=file "${mode[@]}"
}

lint_source() { python3 scripts/check_source.py; }

lint_api() { python3 scripts/check_api.py; }

lint_headers() {
  local status=0
  python3 scripts/check_symbols.py umbrella ${fix:+--update} || status=1
  bash scripts/check_headers.sh || status=1
  return $status
}

lint_shell() {
  local files
  mapfile -t files < <(tracked | while read -r file; do
    case $file in
    *.sh) echo "$file" ;;
    */*.*) ;;
    *) head -c 64 "$file" | grep -qE '^#!.*(ba)?sh$' && echo "$file" ;;
    esac
  done)
  if command -v shellcheck > /dev/null; then
    shellcheck --shell=bash -x --severity=warning "${files[@]}"
  else
    echo "shellcheck is not installed; bash -n only"
    local status=0
    for file in "${files[@]}"; do bash -n "$file" || status=1; done
    return $status
  fi
}

lint_python() {
  local files
  mapfile -t files < <(tracked | grep '\.pyi\?$')
  if command -v ruff > /dev/null; then
    ruff check --quiet --isolated --select E9,F,B --ignore B023 "${files[@]}"
  elif python3 -c 'import pyflakes' 2> /dev/null; then
    python3 -m pyflakes "${files[@]}"
  else
    echo "neither ruff nor pyflakes is installed; syntax only"
    python3 - "${files[@]}" << 'PYTHON'
import ast, sys
failed = 0
for name in sys.argv[1:]:
    try:
        with open(name, encoding="utf-8") as file:
            ast.parse(file.read(), name)
    except SyntaxError as error:
        print(f"{name}:{error.lineno}: {error.msg}")
        failed = 1
sys.exit(failed)
PYTHON
  fi
}

lint_go() {
  need go && need gofmt && need swig || return 1
  local status=0 pc=build/lint-go unformatted
  if [ -n "$fix" ]; then
    python3 scripts/go_binding.py && gofmt -w bindings/go || status=1
  else
    python3 scripts/go_binding.py --check || status=1
  fi
  unformatted=$(gofmt -l bindings/go)
  [ -z "$unformatted" ] || { echo "not as gofmt has it: $unformatted" && status=1; }
  # vet reads cgo's types, so it must find the headers; nothing is linked.
  mkdir -p "$pc"
  printf 'Name: aicp\nDescription: headers\nVersion: 0\nCflags: -I%s/include\n' "$PWD" > "$pc/aicp.pc"
  ( # SWIG's and cgo's own package turns addresses into pointers; no other may
    cd bindings/go || exit 1
    export PKG_CONFIG_PATH=$OLDPWD/$pc GOTOOLCHAIN=local GOFLAGS='-mod=readonly -buildvcs=false' GOPROXY=off
    mapfile -t packages < <(go list ./... | grep -v /internal/capi)
    # Go's cache does not tell linker flags apart: by this one, builds do not find the package without a library.
    apart=-gcflags=aicp.dev/go/internal/capi=-e
    go vet $apart "${packages[@]}" && go vet $apart -unsafeptr=false ./internal/capi
  ) || status=1
  return $status
}

lint_symbols() {
  python3 scripts/check_symbols.py table ${fix:+--update}
}

lint_docs() {
  need doxygen || return 1
  mkdir -p build/docs
  doxygen docs/Doxyfile 2>&1 > build/docs/doxygen.log | sed "s|$PWD/||"
}

lint_tidy() {
  need clang-tidy || return 1
  python3 scripts/check_tidy.py -j "$jobs" ${fast:+--fast}
}

lint_figures() { python3 scripts/check_figures.py; }

failed=()
for name in "${names[@]}"; do
  if ! declare -F "lint_$name" > /dev/null; then
    echo "no check named $name; scripts/lint.sh --help lists them" >&2
    exit 2
  fi
  echo "== $name"
  "lint_$name" || failed+=("$name")
done
if [ ${#failed[@]} -gt 0 ]; then
  echo "lint failed: ${failed[*]}"
  exit 1
fi
echo "lint passed"
