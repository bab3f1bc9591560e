# Installs the Debian packages of scripts/apt-packages.txt that are missing.
# shellcheck shell=bash

packages_missing() { # GROUP…
  local -a wanted=()
  local package group command
  while read -r package group command; do
    case " $* " in *" $group "*) ;; *) continue ;; esac
    if [ -n "$command" ] && command -v "$command" >/dev/null 2>&1; then continue; fi
    wanted+=("$package")
  done < <(sed -e 's/#.*//' -e '/^ *$/d' "$ROOT/scripts/apt-packages.txt")
  [ ${#wanted[@]} -gt 0 ] || return 0
  local installed
  installed=$(dpkg-query -W -f '${db:Status-Abbrev}${Package}\n' "${wanted[@]}" 2>/dev/null | sed -n 's/^ii *//p' || true)
  for package in "${wanted[@]}"; do
    grep -qxF -- "$package" <<<"$installed" || echo "$package"
  done
}

packages_need() { # GROUP…
  local -a missing=()
  if ! command -v dpkg-query >/dev/null; then
    warn "this is no Debian system: see that the packages of scripts/apt-packages.txt ($*) have their equals here"
    return 0
  fi
  mapfile -t missing < <(packages_missing "$@")
  [ ${#missing[@]} -gt 0 ] || return 0
  if [ "$(id -u)" -ne 0 ]; then
    die "missing packages, and only root can install them: sudo apt-get install --no-install-recommends ${missing[*]}"
  fi
  say "installing ${#missing[@]} packages (minutes on a new machine): ${missing[*]}"
  local log=$STATE/logs/apt.log
  packages_apt "$log.update" update ||
    die "the package lists cannot be fetched: is there a network? (apt-get update; $log.update)"
  case " ${missing[*]} " in *' postgresql '*) packages_without_cluster "$log.common" ;; esac
  packages_apt "$log" install -y --no-install-recommends "${missing[@]}" || die "apt-get could not install: ${missing[*]}"
}

packages_apt() { # LOG ARGUMENT…
  local log=$1
  shift
  quietly "$log" env DEBIAN_FRONTEND=noninteractive apt-get -q -o DPkg::Lock::Timeout=300 "$@"
}

# Debian's server package makes and starts a system-wide database on installation. Nobody asked for one here.
packages_without_cluster() { # LOG
  local conf=/etc/postgresql-common/createcluster.conf
  if dpkg-query -W -f '${db:Status-Abbrev}' postgresql-common 2>/dev/null | grep -q '^ii'; then return 0; fi
  packages_apt "$1" install -y --no-install-recommends postgresql-common || die "apt-get could not install postgresql-common"
  [ ! -e "$conf" ] || sed -ri 's/^#?create_main_cluster.*/create_main_cluster = false/' "$conf"
}
