#!/usr/bin/env bash
# Compares the ABI of the built library with the dump in this folder. Until 1.0 it only reports; from
# 1.0 on (soname libaicp.so.1) any difference that breaks programs fails. Usage:
#   report.sh LIBRARY            report
#   report.sh --accept LIBRARY   make the library's ABI the new dump: a deliberate, visible change
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
root=$(cd "$here/../.." && pwd)
headers=$root/include/aicp
dump=$here/libaicp.so.0.abi

if ! command -v abidw > /dev/null || ! command -v abidiff > /dev/null; then
  echo "ABI report: skipped, libabigail is not installed"
  exit 0
fi

if [ "${1:-}" = --accept ]; then
  abidw --headers-dir "$headers" --drop-private-types --exported-interfaces-only \
    --type-id-style hash --no-comp-dir-path --no-corpus-path --no-show-locs --no-elf-needed \
    --out-file "$dump.new" "$2"
  sed "s|$root/||g" "$dump.new" > "$dump" && rm "$dump.new"
  echo "ABI report: $(grep -c '<elf-symbol ' "$dump") symbols written to tests/abi/$(basename "$dump")"
  exit 0
fi

library=$1
if ! readelf -S "$library" | grep -q '\.debug_info'; then
  echo "ABI report: skipped, $library has no debug information"
  exit 0
fi
if [ ! -e "$dump" ]; then
  echo "ABI report: no dump to compare with yet; report.sh --accept $library makes it"
  exit 0
fi
status=0
report=$(abidiff --suppressions "$here/suppressions.ini" --headers-dir2 "$headers" \
  --drop-private-types --no-corpus-path --no-show-locs "$dump" "$library") || status=$?
# Bits of abidiff's status: 1 error, 2 wrong call, 4 ABI changed, 8 changed and incompatible.
if [ $((status & 3)) -ne 0 ]; then
  echo "ABI report: abidiff failed ($status): $report"
  exit 1
fi
if [ "$status" -eq 0 ]; then
  echo "ABI report: no difference"
  exit 0
fi
echo "ABI report: differs from tests/abi/$(basename "$dump") (status $status)"
printf '%s\n' "$report"
case $(readelf -d "$library" | sed -n 's/.*(SONAME).*\[\(.*\)\]/\1/p') in
libaicp.so.0) exit 0 ;;
*) exit 1 ;;
esac
