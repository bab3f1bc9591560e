# ./dev down: ends what ./dev up started here, and nothing else. Data stays.
# shellcheck shell=bash
need_library process instance

main() {
  [ $# -eq 0 ] || die_usage "./dev down takes no arguments"
  local stopped='' name
  instance_load
  if process_stop litellm TERM 20; then stopped+=' litellm'; fi
  if process_stop admin-api TERM 35; then stopped+=' admin-api'; fi
  if process_stop echo TERM 5; then stopped+=' echo'; fi
  if process_stop postgres INT 30; then stopped+=' postgres'; fi
  for name in litellm admin-api echo postgres; do
    process_sweep $name
  done
  if [ -n "$EXTERNAL_URL" ]; then
    rm -f "$STATE/master_key" "$STATE/instance.env"
    say "$EXTERNAL_URL is not ours and goes on running"
  fi
  if [ -n "$stopped" ]; then say "ended:$stopped"; else say "nothing of ours was running"; fi
}
