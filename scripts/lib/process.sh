# Background processes with pid files, and ports. A pid file holds the pid and its start time from /proc, so that a pid
# that was given to another process meanwhile is never taken for ours. Every process and its children also carry
# AICP_DEV_INSTANCE=ID:NAME in their environment, which tells what a parent that crashed has left behind.
# shellcheck shell=bash

process_start_time() { # PID
  local stat
  stat=$(cat "/proc/$1/stat" 2>/dev/null) || return 1
  # The name in parentheses may hold anything; what follows the last one is field 3 and on, the start time is field 22.
  read -ra stat <<<"${stat##*) }"
  case ${stat[0]} in Z | X) return 1 ;; esac
  echo "${stat[19]}"
}

process_pid() { # NAME -> its pid, if it runs and is ours
  local pid start
  read -r pid start 2>/dev/null <"$STATE/$1.pid" || return 1
  [ "$(process_start_time "$pid" || true)" = "$start" ] || return 1
  echo "$pid"
}

# Starts a process in a session of its own. Its log is $STATE/NAME.log, the one before is kept beside it.
process_spawn() { # NAME COMMAND…
  local name=$1 pid start
  shift
  [ ! -e "$STATE/$name.log" ] || mv "$STATE/$name.log" "$STATE/$name.log.1"
  AICP_DEV_INSTANCE=$(instance_id):$name setsid "$@" >"$STATE/$name.log" 2>&1 </dev/null 7>&- 8>&- 9>&- &
  pid=$!
  start=$(process_start_time "$pid") || start=0
  echo "$pid $start" >"$STATE/$name.pid"
}

process_stop() { # NAME SIGNAL SECONDS; false if it did not run
  local pid
  if ! pid=$(process_pid "$1"); then
    rm -f "$STATE/$1.pid"
    return 1
  fi
  kill -s "$2" "$pid" 2>/dev/null || true
  local tries=$(($3 * 10))
  while [ $tries -gt 0 ] && process_pid "$1" >/dev/null; do
    sleep 0.1
    tries=$((tries - 1))
  done
  # What is left of its session: workers and helpers.
  if [ $tries -eq 0 ]; then warn "$1 did not end within $3 s and is killed"; fi
  kill -s KILL -- "-$pid" 2>/dev/null || true
  rm -f "$STATE/$1.pid"
}

# Ends what a NAME whose main process is gone has left behind.
process_sweep() { # NAME
  local file pid
  [ -e "$STATE/instance.id" ] || return 0
  while read -r file; do
    pid=${file#/proc/}
    pid=${pid%/environ}
    say "ending a left-over process of $1: $pid $(tr '\0' ' ' 2>/dev/null <"/proc/$pid/cmdline" | cut -c1-80)"
    kill -s KILL "$pid" 2>/dev/null || true
  done < <(grep -lzsxF "AICP_DEV_INSTANCE=$(instance_id):$1" /proc/[0-9]*/environ)
}

instance_id() {
  mkdir -p "$STATE"
  [ -s "$STATE/instance.id" ] || od -An -N16 -tx1 /dev/urandom | tr -d ' \n' >"$STATE/instance.id"
  cat "$STATE/instance.id"
}

port_holder() { # PORT -> who listens there, empty if nobody
  ss -Hltnp "sport = :$1" 2>/dev/null | awk 'NR == 1 { print ($6 == "" ? "another user'\''s process" : $6) }' |
    sed -e 's/^users:((//' -e 's/))$//' -e 's/"\([^"]*\)",pid=\([0-9]*\).*/\1 (pid \2)/'
}

port_problem() { # PORT VARIABLE -> a line that says why the port cannot be had, empty if it can
  local holder
  if [[ ! $1 =~ ^[0-9]{1,5}$ || $1 -lt 1 || $1 -gt 65535 ]]; then
    printf '\n    %s=%s is no port number' "$2" "$1"
    return
  fi
  holder=$(port_holder "$1")
  [ -z "$holder" ] || printf '\n    %s is taken by %s; another one: %s=%s ./dev up' "$1" "$holder" "$2" "$(port_free)"
}

port_free() { # -> a port that nobody listens on
  local port
  while :; do
    port=$((20000 + RANDOM % 12000))
    [ -n "$(port_holder $port)" ] || break
  done
  echo $port
}

port_setting() { # VARIABLE DEFAULT -> the port; `auto` means any free one
  local value=${!1:-$2}
  if [ "$value" = auto ]; then port_free; else echo "$value"; fi
}

wait_for_url() { # NAME URL SECONDS; ends early when the process ends
  local deadline=$((SECONDS + $3))
  while ! curl -fsS -m 2 -o /dev/null "$2" 2>/dev/null; do
    process_pid "$1" >/dev/null || {
      warn "$1 ended; the end of its log:"
      tail -n 25 "$STATE/$1.log" | sed 's/^/  | /' >&2
      return 1
    }
    [ $SECONDS -lt $deadline ] || {
      warn "$1 did not answer on $2 within $3 s; its log is $STATE/$1.log"
      return 1
    }
    sleep 0.3
  done
}
