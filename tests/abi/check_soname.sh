#!/usr/bin/env bash
# The soname that programs record, and no symbol of the library without a version.
# Usage: check_soname.sh LIBRARY
set -euo pipefail
library=$1
soname=$(readelf -d "$library" | sed -n 's/.*(SONAME).*\[\(.*\)\]/\1/p')
if [ "$soname" != libaicp.so.0 ]; then
  echo "$library: soname is '$soname', not libaicp.so.0"
  exit 1
fi
unversioned=$(nm -D --defined-only --with-symbol-versions "$library" |
  awk '$2 != "A" && $3 !~ /@@AICP_[0-9]/ { print $3 }')
if [ -n "$unversioned" ]; then
  echo "$library: exported without a version: $unversioned"
  exit 1
fi
