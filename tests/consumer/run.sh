#!/usr/bin/env bash
# Installs a build into a temporary prefix and uses it as a stranger would: C through pkg-config
# (shared and static), C and C++ through find_package, and every example. Each program but the
# examples is run too. Usage: run.sh BUILD-FOLDER [GENERATOR]
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
source=$(cd "$here/../.." && pwd)
build=$(cd "${1:?usage: run.sh BUILD-FOLDER [GENERATOR]}" && pwd)
generator=${2:-Ninja}
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
prefix=$work/prefix

cmake --install "$build" --prefix "$prefix" > "$work/install.log" ||
  { cat "$work/install.log" && exit 1; }
pc=$(find "$prefix" -name aicp.pc -print -quit)
[ -n "$pc" ] || { echo "aicp.pc was not installed" && exit 1; }
export PKG_CONFIG_PATH=${pc%/*}
libdir=$(pkg-config --variable=libdir aicp)
if [ "$(cd "$libdir" && pwd)" != "$(cd "${pc%/*}/.." && pwd)" ]; then
  echo "aicp.pc says libdir=$libdir but lies in ${pc%/*}"
  exit 1
fi
for unwanted in '*.c' '*_internal.h'; do
  [ -z "$(find "$prefix" -name "$unwanted")" ] || { echo "installed $unwanted" && exit 1; }
done
export LD_LIBRARY_PATH=$libdir${LD_LIBRARY_PATH:+:$LD_LIBRARY_PATH}
strict=(-Wall -Wextra -Wpedantic -Werror)

words() { # the words of a pkg-config answer, one a line
  pkg-config "$@" aicp | tr ' ' '\n' | grep .
}

echo "-- C99 through pkg-config, shared"
mapfile -t cflags < <(words --cflags)
mapfile -t libs < <(words --libs)
cc -std=c99 "${strict[@]}" "${cflags[@]}" "$here/c-pkgconfig/main.c" -o "$work/shared" "${libs[@]}"
"$work/shared"

# libaicp.a with the shared libraries that it names as private: --static would ask for archives of
# everything below them too.
echo "-- C99 through pkg-config, static archive"
mapfile -t needed < <(pkg-config --print-requires-private aicp)
mapfile -t libs < <(
  echo "-L$libdir" && echo -l:libaicp.a
  pkg-config --libs "${needed[@]}" | tr ' ' '\n' | grep .
  sed -n 's/^Libs.private: //p' "$pc" | tr ' ' '\n'
)
cc -std=c99 "${strict[@]}" "${cflags[@]}" "$here/c-pkgconfig/main.c" -o "$work/static" "${libs[@]}"
"$work/static"
if readelf -d "$work/static" | grep -q libaicp; then
  echo "the static program still needs the shared library"
  exit 1
fi

for kind in c cpp; do
  echo "-- $kind through find_package"
  cmake -G "$generator" -S "$here/$kind-cmake" -B "$work/$kind" -DCMAKE_PREFIX_PATH="$prefix" \
    > "$work/cmake.log" 2>&1 && cmake --build "$work/$kind" >> "$work/cmake.log" 2>&1 ||
    { cat "$work/cmake.log" && exit 1; }
  "$work/$kind/consumer"
done

mapfile -t libs < <(words --libs)
for example in "$source"/examples/*.c; do
  [ -e "$example" ] || continue
  echo "-- example $(basename "$example")"
  cc -std=c17 "${strict[@]}" "${cflags[@]}" "$example" -o "$work/example" "${libs[@]}"
done
if [ -x "$prefix/bin/aicp" ]; then
  echo "-- installed command-line tool"
  "$prefix/bin/aicp" --version
fi
echo "consumers passed"
