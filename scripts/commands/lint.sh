# ./dev lint: scripts/lint.sh with its tools installed.
# shellcheck shell=bash
need_library packages build

main() {
  [ -e scripts/lint.sh ] || die "scripts/lint.sh is missing"
  packages_need build test lint
  build_preset debug || warn "the library does not build: clang-tidy will not see all of it"
  exec bash scripts/lint.sh -j "$JOBS" "$@"
}
