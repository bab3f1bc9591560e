# ./dev bench [NAME [ARGUMENT…]]: tests/bench/bench_NAME.*, built for speed. Without a name: which there are.
# shellcheck shell=bash
need_library packages build litellm

main() {
  local name=${1:-}
  if [ -z "$name" ]; then
    find tests/bench -name 'bench_*' 2>/dev/null | sed 's|.*/bench_\([a-z0-9_]*\)\..*|\1|' | sort -u
    return 0
  fi
  shift
  compgen -G "tests/bench/bench_$name.*" >/dev/null || die_usage "no benchmark '$name'; ./dev bench lists them"
  packages_need build test
  build_preset bench || die "the benchmarks do not build"
  if [ -e "tests/bench/bench_$name.sh" ]; then # prepares by itself what it needs
    exec bash "tests/bench/bench_$name.sh" "$@"
  elif [ -e "tests/bench/bench_$name.py" ]; then
    bench_python
    exec "$VENV/bin/python" "tests/bench/bench_$name.py" "$@"
  elif [ -x "build/bench/tests/bench_$name" ]; then
    exec "build/bench/tests/bench_$name" "$@"
  fi
  die_usage "no benchmark '$name'; ./dev bench lists them"
}

# Comparisons with Python programs run where LiteLLM and our package are installed.
bench_python() {
  local base
  base=$(litellm_base)
  litellm_venv "$base"
  build_python || die "the Python package could not be built"
  export AICP_BENCH_PYTHON=$VENV/bin/python
}
