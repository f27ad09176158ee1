#!/usr/bin/env bash
# Runs the Autobahn TestSuite on the examples `serve` and `ws`, and fails unless every case is OK or informational.
#
#   tests/interop/autobahn.sh [CASES...]   such as '1.*' (default: all 517; those of compression take many minutes)
#   PYTHON2=PATH                           a CPython 2.7 with pip, by default pyenv's; AUTOBAHN=DIR where the suite is, or goes
set -euo pipefail
cd "$(dirname "$0")/../.."
[ $# -gt 0 ] || set -- '*'
printf -v cases '"%s",' "$@"
python=${PYTHON2:-$(ls "${PYENV_ROOT:-$HOME/.pyenv}"/versions/2.7.*/bin/python 2>/dev/null | head -n 1)}
[ -x "$python" ] || { echo "SKIPPED: there is no CPython 2.7"; exit 77; }
suite=${AUTOBAHN:-target/autobahn}
if [ ! -f "$suite/complete" ]; then
  rm -rf "$suite"
  mkdir -p "$suite"
  "$python" -m pip install --quiet --disable-pip-version-check --target "$suite/lib" autobahntestsuite 2>"$suite/pip.log" || {
    cat "$suite/pip.log"
    echo "SKIPPED: the suite cannot be installed"
    exit 77
  }
  # zope is a namespace that pip leaves to the site directory.
  touch "$suite/lib/zope/__init__.py" "$suite/complete"
fi

work=$(mktemp -d)
pids=()
finish() {
  local pid
  for pid in "${pids[@]}"; do kill "$pid" 2>/dev/null || true; done
  rm -rf "$work"
}
trap finish EXIT
cargo build --quiet --release --features tls,deflate --example serve --example ws
target=$(cargo metadata --format-version 1 --no-deps | python3 -c 'import json, sys; print(json.load(sys.stdin)["target_directory"])')
ours=$target/release/examples
wstest() { PYTHONPATH="$suite/lib" exec "$python" -c 'from autobahntestsuite.wstest import run; run()' "$@"; }
read -r own theirs <<<"$(python3 -c 'import socket
a, b = socket.socket(), socket.socket()
[s.bind(("127.0.0.1", 0)) for s in (a, b)]
print(a.getsockname()[1], b.getsockname()[1])')"
rest="\"cases\": [${cases%,}], \"exclude-cases\": [], \"exclude-agent-cases\": {}"
printf '{"outdir": "%s", "servers": [{"agent": "bowline", "url": "ws://127.0.0.1:%s"}], %s}' "$work/servers" "$own" "$rest" >"$work/client.json"
printf '{"outdir": "%s", "url": "ws://127.0.0.1:%s", %s}' "$work/clients" "$theirs" "$rest" >"$work/server.json"

listening() { until (: <"/dev/tcp/127.0.0.1/$1") 2>/dev/null; do kill -0 "${pids[-1]}" || { cat "$work"/*.log; exit 1; }; sleep 0.1; done; }
"$ours/serve" --listen "127.0.0.1:$own" >"$work/serve.log" 2>&1 &
pids+=($!)
listening "$own"
wstest -m fuzzingserver -u 0 -s "$work/server.json" >"$work/server.log" 2>&1 &
pids+=($!)
listening "$theirs"

# How each case ended is in the suite's own report.
client() {
  local url=ws://127.0.0.1:$theirs count case
  count=$("$ours/ws" "$url/getCaseCount" </dev/null)
  for ((case = 1; case <= count; case++)); do
    "$ours/ws" --echo --deflate "$url/runCase?case=$case&agent=bowline" >>"$work/ws.log" 2>&1 || true
  done
  "$ours/ws" "$url/updateReports?agent=bowline" </dev/null
}
client &
client=$!
(wstest -m fuzzingclient -s "$work/client.json") >"$work/client.log" 2>&1
wait $client

python3 - "$work" <<'PY'
import collections, json, sys
bad = 0
for role in "servers", "clients":
    with open(f"{sys.argv[1]}/{role}/index.json") as file:
        results = json.load(file)["bowline"]
    counts = collections.Counter((r["behavior"], r["behaviorClose"]) for r in results.values())
    print(role, len(results), dict(counts))
    for case, r in sorted(results.items()):
        if not {r["behavior"], r["behaviorClose"]} <= {"OK", "INFORMATIONAL"}:
            bad += 1
            print("  ", case, r["behavior"], r["behaviorClose"])
sys.exit(bad > 0)
PY
