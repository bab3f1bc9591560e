# Counts what passed and failed over all stages of ./dev test.
# shellcheck shell=bash

RESULTS=()
TOTAL_PASSED=0 TOTAL_FAILED=0 TOTAL_SKIPPED=0

# Runs stage_NAME. It may end in any way: what it counted until then stands, and an end in error counts as a failure.
results_run() { # STAGE
  local start=$SECONDS status=0 passed failed skipped
  say "stage $1"
  RESULT_FILE=$STATE/logs/stage-$1.counts
  : >"$RESULT_FILE"
  ("stage_$1") </dev/null || status=$?
  read -r passed failed skipped < <(awk '{ p += $1; f += $2; s += $3 } END { print p + 0, f + 0, s + 0 }' "$RESULT_FILE")
  if [ $status -ne 0 ] && [ "$failed" -eq 0 ]; then failed=1; fi
  RESULTS+=("$(printf '%-12s %6d passed %4d failed %4d skipped %5d s' "$1" "$passed" "$failed" "$skipped" $((SECONDS - start)))")
  TOTAL_PASSED=$((TOTAL_PASSED + passed))
  TOTAL_FAILED=$((TOTAL_FAILED + failed))
  TOTAL_SKIPPED=$((TOTAL_SKIPPED + skipped))
}

results_add() { # PASSED FAILED [SKIPPED]
  echo "$1 $2 ${3:-0}" >>"$RESULT_FILE"
}

results_print() { # false when something failed, or nothing ran
  printf '%s\n' "${RESULTS[@]}"
  if [ $TOTAL_SKIPPED -gt 0 ]; then
    printf '%d passed, %d failed, %d skipped\n' $TOTAL_PASSED $TOTAL_FAILED $TOTAL_SKIPPED
  else
    printf '%d passed, %d failed\n' $TOTAL_PASSED $TOTAL_FAILED
  fi
  [ $TOTAL_FAILED -eq 0 ] && [ $TOTAL_PASSED -gt 0 ]
}

# A command that counts as one test.
results_command() { # NAME COMMAND…
  local name=$1
  shift
  if quietly "$STATE/logs/stage-$name.log" "$@"; then results_add 1 0; else
    results_add 0 1
    return 1
  fi
}

# ctest's verbose output: a Criterion program or a Python unittest counts with its single tests, anything else as one.
results_ctest() { # LOG
  local passed failed skipped
  read -r passed failed skipped < <(awk '
    match($0, /^[0-9]+: .*Synthesis: Tested: [0-9]+ \| Passing: [0-9]+ \| Failing: [0-9]+ \| Crashing: [0-9]+/) {
      number = $0; sub(/:.*/, "", number)
      gsub(/[^0-9 ]/, " "); count = split($0, n, " ")
      passing[number] += n[count - 2]; failing[number] += n[count - 1] + n[count]
    }
    match($0, /^[0-9]+: Ran [0-9]+ tests? in /) { sub(/:.*/, "", $1); passing[$1] += $3 }
    /^ *[0-9]+\/[0-9]+ Test +#[0-9]+: / {
      number = $0; sub(/^[^#]*#/, "", number); sub(/:.*/, "", number)
      outcome[number] = / Passed /  ? "passed" : / \*\*\*(Skipped|Not Run)/ ? "skipped" : "failed"
    }
    END {
      for (number in outcome) {
        p = passing[number] + 0; f = failing[number] + 0
        if (outcome[number] == "skipped") skipped++
        else if (outcome[number] == "passed") passed += p ? p : 1
        else { passed += p; failed += f ? f : 1 }
      }
      print passed + 0, failed + 0, skipped + 0
    }' "$1")
  if [ $((passed + failed + skipped)) -eq 0 ]; then
    warn "ctest ran no test; the end of $1:"
    tail -n 15 "$1" | sed 's/^/  | /' >&2
    failed=1
  fi
  if [ "$failed" -gt 0 ]; then
    grep -aE '\*\*\*|^[0-9]+: (FAIL|ERROR): |\[FAIL\]|\[----\]|\[!!!!\]|ERROR: |runtime error|SUMMARY: ' "$1" | head -n 80 | sed 's/^/  | /' >&2 || true
    warn "the whole output is in $1"
  fi
  results_add "$passed" "$failed" "$skipped"
}

results_pytest() { # NAME FOLDER [OPTION…]
  local log=$STATE/logs/pytest-$1.log status=0 passed failed errors skipped last
  shift
  "$VENV/bin/python" -m pytest -q -ra -p no:cacheprovider "$@" >"$log" 2>&1 || status=$?
  last=$(grep -E '^[=]* ?([0-9]+ (passed|failed|error|errors|skipped|warnings?|xfailed|deselected)(, )?)+' "$log" | tail -n 1)
  passed=$(results_count "$last" passed)
  failed=$(results_count "$last" failed)
  errors=$(results_count "$last" 'errors?')
  skipped=$(results_count "$last" skipped)
  failed=$((failed + errors))
  if [ $status -ne 0 ]; then
    [ $failed -gt 0 ] || failed=1
    tail -n 60 "$log" | sed 's/^/  | /' >&2
    warn "the whole output is in $log"
  fi
  results_add "$passed" "$failed" "$skipped"
}

results_go() { # NAME [OPTION…]
  local log=$STATE/logs/go-$1.log status=0 passed failed skipped
  shift
  (cd bindings/go && go test -count=1 -timeout 300s -v "$@" ./...) >"$log" 2>&1 </dev/null || status=$?
  passed=$(grep -c '^--- PASS: ' "$log" || true)
  failed=$(grep -c '^--- FAIL: ' "$log" || true)
  skipped=$(grep -c '^--- SKIP: ' "$log" || true)
  if [ $status -ne 0 ] || [ "$passed" -eq 0 ]; then
    [ "$failed" -gt 0 ] || failed=1
    grep -vE '^(=== |--- (PASS|SKIP): |PASS$)' "$log" | tail -n 60 | sed 's/^/  | /' >&2
    warn "the whole output is in $log"
  fi
  results_add "$passed" "$failed" "$skipped"
}

results_count() { # TEXT WORD
  local number
  number=$(grep -oE "[0-9]+ $2" <<<"$1" | head -n 1 | cut -d' ' -f1 || true)
  echo "${number:-0}"
}
