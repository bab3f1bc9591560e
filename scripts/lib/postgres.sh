# A private PostgreSQL: data below STATE, an own port on 127.0.0.1, a generated password. Never the system's database.
# shellcheck shell=bash

postgres_bin() { # -> the folder of the newest server programs
  local found
  found=$({ find /usr/lib/postgresql /usr/local/pgsql -maxdepth 3 -name initdb 2>/dev/null || true; } | sort -V | tail -n 1)
  [ -n "$found" ] || found=$(command -v initdb) || die "PostgreSQL's server programs are missing (package postgresql)"
  dirname "$(readlink -f "$found")"
}

# PostgreSQL refuses to run as root. Prefix of the command that runs it as somebody else, one word a line:
# nothing for ordinary users; the user postgres where it can reach the data; else a user namespace that shows root's
# own files and processes under another number, which needs no change to any folder's permissions.
postgres_user_prefix() {
  [ "$(id -u)" -eq 0 ] || return 0
  local -a switch=(setpriv --reuid postgres --regid postgres --clear-groups)
  if id -u postgres >/dev/null 2>&1 && "${switch[@]}" test -x "$STATE" 2>/dev/null; then
    printf '%s\n' "${switch[@]}"
    return 0
  fi
  local -a map=(unshare --user --map-user=65534 --map-group=65534)
  if "${map[@]}" true 2>/dev/null; then
    printf '%s\n' "${map[@]}"
    return 0
  fi
  die "PostgreSQL does not run as root, its user cannot reach $STATE and this system allows no user namespaces:
  put the state where everybody may enter, for example AICP_DEV_STATE=/var/tmp/aicp-dev ./dev up"
}

postgres_start() { # PORT
  local port=$1 data=$STATE/postgres bin password
  local -a as=()
  bin=$(postgres_bin)
  mapfile -t as < <(postgres_user_prefix)
  [ "$(id -u)" -ne 0 ] || [ ${#as[@]} -gt 0 ] || exit 3
  [ -s "$STATE/database.password" ] || (umask 077 && od -An -N16 -tx1 /dev/urandom | tr -d ' \n' >"$STATE/database.password")
  password=$(cat "$STATE/database.password")
  if [ ! -e "$data/PG_VERSION" ]; then
    say "making the database folder $data"
    rm -rf "$data"
    mkdir "$data"
    chmod 700 "$data"
    [ "${as[0]:-}" != setpriv ] || chown postgres: "$data"
    postgres_init "$bin" "$data" "$password" || die "the database folder could not be made"
  elif [ "${as[0]:-}" = setpriv ] && [ "$(stat -c %U "$data")" != postgres ]; then
    chown -R postgres: "$data"
  elif [ "${as[0]:-}" = unshare ] && [ "$(stat -c %u "$data")" != 0 ]; then
    chown -R 0:0 "$data"
  fi
  # Losing the last moments in a power cut is fine here, so no fsync: the test machine's disk is not measured.
  process_spawn postgres "${as[@]}" "$bin/postgres" -D "$data" -p "$port" -c listen_addresses=127.0.0.1 \
    -c unix_socket_directories= -c fsync=off -c synchronous_commit=off -c max_connections=200 -c log_min_messages=warning
  local deadline=$((SECONDS + 60))
  until "$bin/pg_isready" -q -h 127.0.0.1 -p "$port"; do
    process_pid postgres >/dev/null || {
      tail -n 20 "$STATE/postgres.log" | sed 's/^/  | /' >&2
      die "PostgreSQL ended at once; its log is $STATE/postgres.log"
    }
    [ $SECONDS -lt $deadline ] || die "PostgreSQL did not start within 60 s; its log is $STATE/postgres.log"
    sleep 0.2
  done
}

postgres_init() { # BIN DATA PASSWORD; uses as
  local log=$STATE/logs/initdb.log file=$2.password status=0
  mkdir -p "$STATE/logs"
  (umask 077 && printf '%s\n' "$3" >"$file")
  [ "${as[0]:-}" != setpriv ] || chown postgres: "$file"
  (cd / && "${as[@]}" "$1/initdb" -D "$2" -U aicp --auth=scram-sha-256 --pwfile="$file" \
    --encoding=UTF8 --locale=C --no-sync) >"$log" 2>&1 || status=$?
  rm -f "$file"
  [ $status -eq 0 ] || sed 's/^/  | /' "$log" >&2
  return $status
}

postgres_url() { # PORT DATABASE
  echo "postgresql://aicp:$(cat "$STATE/database.password")@127.0.0.1:$1/$2"
}

postgres_database() { # PORT DATABASE: makes it if it is not there
  local admin
  admin=$(postgres_url "$1" postgres)
  [ "$(psql -X -At -d "$admin" -c "select 1 from pg_database where datname = '$2'")" = 1 ] ||
    psql -X -q -d "$admin" -c "create database $2"
}
