# ./dev test [--full] [STAGE…]: everything that must pass, each stage timed, and one line at the end.
# shellcheck shell=bash
need_library packages process build postgres litellm instance results

STAGES=(unit asan lint python go integration)
FULL_STAGES=(tsan fuzz)

main() {
  local -a stages=()
  local stage full=false
  for stage in "$@"; do
    case $stage in
      --full) full=true ;;
      *) [[ " ${STAGES[*]} ${FULL_STAGES[*]} " == *" $stage "* ]] || die_usage "no stage '$stage': ${STAGES[*]} ${FULL_STAGES[*]}"
        stages+=("$stage") ;;
    esac
  done
  if [ ${#stages[@]} -eq 0 ]; then stages=("${STAGES[@]}"); fi
  if $full; then
    stages+=("${FULL_STAGES[@]}")
    export AICP_TEST_FULL=1
  fi
  # The tests have a state of their own, so that a development environment that runs here is left alone.
  STATE=$ROOT/.dev/test
  unset LITELLM_URL LITELLM_MASTER_KEY OPENAI_API_KEY ANTHROPIC_API_KEY GEMINI_API_KEY AICP_STORE AICP_RATES
  unset AICP_DATABASE_URL AICP_BUNDLE
  export AICP_DEV_STATE=$STATE AICP_DEV_LITELLM_PORT=auto AICP_DEV_ECHO_PORT=auto AICP_DEV_DATABASE_PORT=auto
  # What is not about admin-api takes its rules from the folder.
  export AICP_DEV_ADMIN_PORT=auto AICP_DEV_RULES=folder
  mkdir -p "$STATE/logs"
  trap end_services EXIT
  end_services
  rm -rf "$STATE/postgres" "$STATE/bundle" "$STATE/aicp" "$STATE/admin" "$STATE/instance.env"
  packages_need build proxy test lint
  for stage in "${stages[@]}"; do
    results_run "$stage"
  done
  results_print || exit 1
}

end_services() { "$ROOT/dev" down >/dev/null 2>&1 || true; }

stage_unit() { ctest_preset debug; }
stage_asan() { ctest_preset asan; }
stage_tsan() {
  # A report ends the test at once, so that it counts as failed.
  TSAN_OPTIONS="halt_on_error=1 abort_on_error=1 second_deadlock_stack=1 ${TSAN_OPTIONS:-}" ctest_preset tsan
}

ctest_preset() { # PRESET
  local log=$STATE/logs/ctest-$1.log
  build_preset "$1" || {
    results_add 0 1
    return
  }
  # Verbose, because every Criterion program tells the number of its tests; what failed is shown.
  ctest --preset "$1" --parallel "$JOBS" --timeout 600 --verbose >"$log" 2>&1 || true
  results_ctest "$log"
}

stage_lint() {
  local status=0
  local -a how=(--fast) # the path-sensitive analyzer takes many minutes: it is part of a full test
  [ -z "${AICP_TEST_FULL:-}" ] || how=()
  results_command lint "$ROOT/dev" lint "${how[@]}" || status=1
  results_command shellcheck shellcheck -x dev .ci/run scripts/commands/*.sh scripts/lib/*.sh || status=1
  return $status
}

stage_python() {
  local base
  base=$(litellm_base) || return
  litellm_venv "$base"
  if [ ! -e bindings/python/pyproject.toml ]; then
    warn "bindings/python is not there: skipped"
    return
  fi
  results_command wheel build_python || return
  # Reached through a link, so that the installed wheel is imported and not the source folder beside the tests.
  mkdir -p "$STATE/python"
  ln -sfn "$ROOT/bindings/python/tests" "$STATE/python/tests"
  results_pytest bindings "$STATE/python/tests" -c bindings/python/pyproject.toml
  differential
}

# Our policy engine beside a released one, which has an environment of its own and sees our package there.
differential() {
  local tools site
  tools=$(tools_venv cedarpy tests/differential/requirements.txt) || return
  site=$("$VENV/bin/python" -c 'import aicp, pathlib; print(pathlib.Path(aicp.__file__).parent)') || return
  mkdir -p "$STATE/python/package"
  ln -sfn "$site" "$STATE/python/package/aicp"
  VENV=$tools PYTHONPATH=$STATE/python/package results_pytest differential tests/differential
}

# The module as its users build it: with an installed library that pkg-config knows, without SWIG and CMake. First with
# the race detector, then with Debian's own Go, the oldest that must do, where another one is found first.
stage_go() {
  local work=$STATE/go debian=/usr/lib/go-1.19/bin
  build_preset debug || {
    results_add 0 1
    return
  }
  rm -rf "$work"
  quietly "$STATE/logs/go-install.log" cmake --install build/debug --prefix "$work" || return
  PKG_CONFIG_PATH=$(dirname "$(find "$work" -name aicp.pc -print -quit)")
  LD_LIBRARY_PATH=$(dirname "$PKG_CONFIG_PATH")
  export PKG_CONFIG_PATH LD_LIBRARY_PATH GOTOOLCHAIN=local GOPROXY=off GOFLAGS='-mod=readonly -buildvcs=false'
  results_go race -race
  if [ -x $debian/go ] && [ "$(command -v go)" != $debian/go ]; then
    PATH=$debian:$PATH results_go debian
  fi
}

stage_integration() {
  if ! compgen -G 'tests/integration/test_*.py' >/dev/null; then
    warn "tests/integration has no tests: skipped"
    return
  fi
  results_command proxy "$ROOT/dev" up || return
  AICP_SCHEMATHESIS=$(schemathesis_program) || return
  export AICP_SCHEMATHESIS
  results_pytest integration tests/integration
}

# Makes up requests from an OpenAPI document.
schemathesis_program() {
  local base
  base=$(tools_venv schemathesis tests/integration/requirements.txt) || return 1
  echo "$base/bin/st"
}

# Packages for tests alone. They share no environment with LiteLLM, whose packages they would change. Prints the folder.
tools_venv() { # NAME REQUIREMENTS
  local name=$1 requirements=$2 base
  base=$CACHE/$name-$(cat "$requirements" <("$PYTHON" -V) | sha256sum | cut -c1-12)
  mkdir -p "$CACHE"
  (
    flock 7
    if [ ! -e "$base/.complete" ]; then
      say "installing $name into $base (once per machine)" >&2
      rm -rf "$base"
      quietly "$STATE/logs/venv-$name.log" "$PYTHON" -m venv "$base" || exit 1
      quietly "$STATE/logs/pip-$name.log" "$base/bin/python" -m pip install --disable-pip-version-check --no-input \
        -r "$requirements" || exit 1
      touch "$base/.complete"
    fi
  ) 7>"$CACHE/.lock-$name" || return 1
  echo "$base"
}

stage_fuzz() {
  local target
  packages_need build test
  for target in tests/fuzz/fuzz_*.c; do
    [ -e "$target" ] || continue
    target=$(basename "$target" .c)
    results_command "$target" "$ROOT/dev" fuzz "${target#fuzz_}" "${AICP_FUZZ_SECONDS:-60}"
  done
}
