# ./dev package: the Python wheel and an archive of the installed library, into dist/.
# shellcheck shell=bash
need_library packages build litellm

main() {
  local base stage name
  [ $# -eq 0 ] || die_usage "./dev package takes no arguments"
  packages_need build
  build_preset release || die "the library does not build"
  mkdir -p dist
  stage=$(mktemp -d)
  # shellcheck disable=SC2064
  trap "rm -rf '$stage'" EXIT
  name=libaicp-$(sed -n 's/^ *CMAKE_PROJECT_VERSION:STATIC=//p' build/release/CMakeCache.txt)-$(uname -m)
  DESTDIR=$stage/$name quietly "$STATE/logs/install.log" cmake --install build/release --prefix /usr/local || exit 1
  tar -C "$stage" --sort=name --owner=0 --group=0 --numeric-owner -czf "dist/$name.tar.gz" "$name"
  if [ -e bindings/python/pyproject.toml ]; then
    base=$(litellm_base)
    litellm_venv "$base"
    build_python || die "the Python package could not be built"
    cp .dev/wheel/*.whl dist/
  fi
  ls -l dist
  say "the library's archive holds usr/local: tar -xzf dist/$name.tar.gz -C / --strip-components=1 && ldconfig"
}
