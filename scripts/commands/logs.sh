# ./dev logs [litellm|admin-api|echo|postgres] [-f]
# shellcheck shell=bash

main() {
  local name='' argument
  local -a follow=() files=()
  for argument in "$@"; do
    case $argument in
      -f | --follow) follow=(-F) ;;
      litellm | admin-api | echo | postgres) name=$argument ;;
      *) die_usage "./dev logs [litellm|admin-api|echo|postgres] [-f]: what is '$argument'?" ;;
    esac
  done
  for argument in ${name:-litellm admin-api echo postgres}; do
    [ ! -e "$STATE/$argument.log" ] || files+=("$STATE/$argument.log")
  done
  [ ${#files[@]} -gt 0 ] || die "no log of ${name:-anything} yet below $STATE"
  exec tail -n "${LINES_SHOWN:-100}" "${follow[@]}" "${files[@]}"
}
