# ./dev fuzz [NAME] [SECONDS]: libFuzzer on tests/fuzz/fuzz_NAME.c, or on each for SECONDS (60). Finds go to .dev/fuzz/NAME.
# shellcheck shell=bash
need_library packages build

main() {
  local name='' seconds=60 target failed=0
  if [[ ${1:-} =~ ^[0-9]+$ ]]; then
    seconds=$1
  else
    name=${1:-}
    seconds=${2:-60}
  fi
  [[ $seconds =~ ^[0-9]+$ ]] || die_usage "./dev fuzz [NAME] [SECONDS]: what is '$seconds'?"
  [ -z "$name" ] || [ -e "tests/fuzz/fuzz_$name.c" ] || die_usage "there is no tests/fuzz/fuzz_$name.c"
  packages_need build test
  build_preset fuzz || die "the fuzz targets do not build"
  local -a targets=(tests/fuzz/fuzz_*.c)
  [ -z "$name" ] || targets=("tests/fuzz/fuzz_$name.c")
  for target in "${targets[@]}"; do
    fuzz_one "$(basename "$target" .c)" "$seconds" || failed=$((failed + 1))
  done
  [ $failed -eq 0 ] || die "$failed fuzz targets found something; the inputs are below $STATE/fuzz"
}

fuzz_one() { # PROGRAM SECONDS
  local what=${1#fuzz_} work
  work=$STATE/fuzz/$what
  mkdir -p "$work/corpus" "tests/fuzz/corpus/$what"
  say "fuzzing $what for $2 s"
  quietly "$work/log" "build/fuzz/tests/$1" -max_total_time="$2" -timeout=10 -rss_limit_mb=2048 -print_final_stats=1 \
    -artifact_prefix="$work/" "$work/corpus" "tests/fuzz/corpus/$what" || return 1
  sed -n 's/^stat::number_of_executed_units: */  executions: /p; s/^stat::peak_rss_mb: */  peak MB: /p' "$work/log" >&2
}
