# Stages with their durations; sourced by `run` and `long`.
cd "$(dirname "${BASH_SOURCE[0]}")/.."
summary=()
failed=0
only=("$@")

# stage NAME COMMAND...: runs a command or function; goes on after a failure, so that one run tells everything.
stage() {
  local name=$1 start=$SECONDS rc=0 verdict=ok
  shift
  if [ ${#only[@]} -gt 0 ] && [[ " ${only[*]} " != *" $name "* ]]; then return 0; fi
  printf '\n=== %s: %s\n' "$name" "$*"
  set +e
  (set -euo pipefail; "$@")
  rc=$?
  set -e
  case $rc in
    0) ;;
    77) verdict=SKIPPED ;;
    *) verdict=FAILED; failed=1 ;;
  esac
  summary+=("$(printf '%-8s %5d s  %s' "$verdict" $((SECONDS - start)) "$name")")
  printf -- '--- %s: %s after %d s\n' "$name" "$verdict" $((SECONDS - start))
}

# skip REASON: ends a stage without a verdict.
skip() {
  printf '\n!!! SKIPPED: %s\n\n' "$*"
  exit 77
}

# finish: prints the table and ends with its verdict.
finish() {
  printf '\n'
  [ ${#summary[@]} -eq 0 ] && { echo "no such stage: ${only[*]}"; exit 2; }
  printf '%s\n' "${summary[@]}"
  printf '%d s in all\n' "$SECONDS"
  exit "$failed"
}
