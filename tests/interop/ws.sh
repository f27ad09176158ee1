#!/usr/bin/env bash
# Tries the examples `ws` and `serve` with npm `ws` and PyPI `websockets`, both roles, with and without compression.
#
#   tests/interop/ws.sh [REGEX]    only the checks whose names match
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
only=${1:-}
export NO_PROXY='*' no_proxy='*'
# shellcheck source=tests/interop/lib.sh
. "$here/lib.sh"
cd "$here/../.."

# The peers go into the script's own directory, unless they were put elsewhere before.
if [ -z "${WS_MODULES:-}" ]; then
  export WS_MODULES=$work/npm
  mkdir "$WS_MODULES"
  have npm && (cd "$WS_MODULES" && timeout 120 npm install --silent ws >/dev/null 2>&1) || true
fi
python3 -c 'import websockets' 2>/dev/null || {
  timeout 120 python3 -m pip install --quiet --disable-pip-version-check --target "$work/python" websockets 2>/dev/null || true
  export PYTHONPATH="$work/python${PYTHONPATH:+:$PYTHONPATH}"
}

cargo build --quiet --features tls,deflate --example ws --example serve 2>"$work/build.log" || { cat "$work/build.log"; exit 1; }
target=$(cargo metadata --format-version 1 --no-deps | python3 -c 'import json, sys; print(json.load(sys.stdin)["target_directory"])')
ws=$target/debug/examples/ws

# lines URL FLAG...: our client has its lines echoed.
lines() {
  local url=$1
  shift
  seq 1 500 | sed 's/$/ some words, some words, ümläut/' >"$work/lines"
  timeout 60 "$ws" --timeout 30 "$@" "$url" <"$work/lines" | cmp - "$work/lines"
}

# peer NAME COMMAND...: both roles of one peer.
peer() {
  local name=$1 deflate port own flags
  shift
  for deflate in 0 1; do
    read -r port own <<<"$(ports 2)"
    flags=()
    [ $deflate = 0 ] || flags=(--deflate)
    export WS_DEFLATE=$deflate
    start "$name-$deflate" "$port" -- "$@" serve "$port" || continue
    check "$name serves, deflate $deflate" lines "ws://127.0.0.1:$port/" "${flags[@]}"
    start "own-$name-$deflate" "$own" -- "$target/debug/examples/serve" --listen "127.0.0.1:$own" || continue
    check "$name asks, deflate $deflate" timeout 60 "$@" client "ws://127.0.0.1:$own/"
  done
}

if have node && [ -d "$WS_MODULES/node_modules/ws" ]; then
  peer npm-ws node "$here/ws_peer.mjs"
else
  skipped npm-ws "node or the package ws is not there"
fi
if python3 -c 'import websockets' 2>/dev/null; then
  peer py-websockets python3 "$here/ws_peer.py"
else
  skipped py-websockets "the package websockets is not there"
fi
summary
