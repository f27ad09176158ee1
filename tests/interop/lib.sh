# What the interop scripts share: checks with a table, processes that end with the script.

work=$(mktemp -d)
table=()
failed=0
pids=()

finish() {
  local pid
  for pid in "${pids[@]}"; do kill "$pid" 2>/dev/null || true; done
  for pid in "${pids[@]}"; do wait "$pid" 2>/dev/null || true; done
  rm -rf "$work"
}
trap finish EXIT
trap 'exit 130' INT TERM

have() { command -v "$1" >/dev/null; }

# wanted NAME: whether the check was asked for.
wanted() { [[ $1 =~ $only ]]; }

# skipped NAME REASON: says loudly that something is not checked.
skipped() {
  wanted "$1" || return 0
  printf 'SKIPPED: %s: %s\n' "$1" "$2"
  table+=("$(printf '%-8s %-44s %s' SKIPPED "$1" "$2")")
}

# check NAME COMMAND...: runs a command or function; its output is shown if it fails.
check() {
  local name=$1 begin rc=0 took
  shift
  wanted "$name" || return 0
  begin=$(date +%s%N)
  (set -euo pipefail; "$@") >"$work/output" 2>&1 || rc=$?
  took=$((($(date +%s%N) - begin) / 1000000))
  if [ $rc = 0 ]; then
    printf 'PASS     %-44s %6d ms\n' "$name" $took
    table+=("$(printf '%-8s %-44s %6d ms' PASS "$name" $took)")
  else
    failed=1
    printf 'FAIL     %-44s %6d ms, status %d\n' "$name" $took $rc
    tail -n 20 "$work/output" | cut -c 1-300 | sed 's/^/         | /'
    table+=("$(printf '%-8s %-44s %6d ms' FAIL "$name" $took)")
  fi
}

# ports N: numbers of ports nobody listens on.
ports() {
  python3 - "$1" <<'PY'
import socket, sys
sockets = [socket.socket() for _ in range(int(sys.argv[1]))]
for s in sockets:
    s.bind(("127.0.0.1", 0))
print(*[s.getsockname()[1] for s in sockets])
PY
}

# start NAME PORT... -- COMMAND...: starts a peer and waits until it listens on all its ports.
start() {
  local name=$1 port tries waited=()
  shift
  while [ "$1" != -- ]; do waited+=("$1"); shift; done
  shift
  "$@" >"$work/$name.log" 2>&1 &
  pids+=($!)
  for port in "${waited[@]}"; do
    tries=0
    until (: <"/dev/tcp/127.0.0.1/$port") 2>/dev/null; do
      tries=$((tries + 1))
      if [ $tries -gt 200 ] || ! kill -0 "${pids[-1]}" 2>/dev/null; then
        failed=1
        table+=("$(printf '%-8s %-44s %s' FAIL "$name" "does not listen")")
        printf 'FAIL     %s does not listen on %d\n' "$name" "$port"
        tail -n 20 "$work/$name.log" | sed 's/^/         | /'
        return 1
      fi
      sleep 0.05
    done
  done
}

# same FILE COMMAND...: whether the command prints exactly this file.
same() {
  local file=$1 expected got
  shift
  expected=$(sha256sum <"$file")
  got=$("$@" | sha256sum)
  [ "$expected" = "$got" ] || { echo "sha256 is $got, not $expected"; return 1; }
}

# summary: repeats what did not pass, counts, and ends with the verdict.
summary() {
  local line
  printf '\n'
  for line in "${table[@]}"; do [[ $line = PASS* ]] || printf '%s\n' "$line"; done
  printf '%s\n' "${table[@]}" | awk '{ n[$1]++ } END { for (v in n) printf "%d %s  ", n[v], v; print "" }'
  exit "$failed"
}
