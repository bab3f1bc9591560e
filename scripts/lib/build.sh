# Builds the library and installs the Python package.
# shellcheck shell=bash

build_preset() { # PRESET; false when it fails
  local log=$STATE/logs/build-$1.log
  [ -e CMakePresets.json ] || die "CMakePresets.json is missing: this is no complete checkout"
  quietly "$STATE/logs/configure-$1.log" cmake --preset "$1" || return 1
  quietly "$log" cmake --build --preset "$1" --parallel "$JOBS"
}

# The Python package: a wheel from source, installed into this checkout's environment; quick when nothing has changed.
# False when it cannot be built.
build_python() {
  local hash
  if [ ! -e bindings/python/pyproject.toml ]; then
    warn "bindings/python is not there: LiteLLM will run without our handler"
    return 0
  fi
  hash=$(hash_sources bindings/python bindings/aicp.i include lib data cmake CMakeLists.txt)
  exec 7>"$ROOT/.dev/python.lock"
  flock 7
  if [ "$(cat "$VENV/.aicp" 2>/dev/null)" != "$hash" ]; then
    say "building and installing the Python package"
    rm -rf "$ROOT/.dev/wheel"
    quietly "$STATE/logs/wheel.log" env CMAKE_BUILD_PARALLEL_LEVEL="$JOBS" "$VENV/bin/python" -m pip wheel \
      --disable-pip-version-check --no-input --no-deps --wheel-dir "$ROOT/.dev/wheel" ./bindings/python || return 1
    quietly "$STATE/logs/pip-aicp.log" "$VENV/bin/python" -m pip install --disable-pip-version-check --no-input \
      --force-reinstall --no-deps "$ROOT"/.dev/wheel/*.whl || return 1
    echo "$hash" >"$VENV/.aicp"
  fi
  exec 7>&-
}
