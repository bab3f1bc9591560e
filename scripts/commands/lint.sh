# ./dev lint: scripts/lint.sh with its tools installed.
# shellcheck shell=bash
need_library packages

main() {
  [ -e scripts/lint.sh ] || die "scripts/lint.sh is missing"
  packages_need build test lint
  exec bash scripts/lint.sh "$@"
}
