#!/usr/bin/env bash
# Tries WebSocket with npm `ws`, PyPI `websockets`, flask_socketio and Chromium: the examples `ws`, `serve` and `engineio`.
#
#   tests/interop/ws.sh [REGEX]    only the checks whose names match
#   WS_MODULES=DIR                 where npm's `ws` is, instead of installing it
#
# One line for each check; a peer that is missing is SKIPPED, loudly. Chromium is never installed.
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
export PYTHONPATH="$work/python${PYTHONPATH:+:$PYTHONPATH}"
python3 -c 'import websockets, flask_socketio, simple_websocket' 2>/dev/null ||
  timeout 120 python3 -m pip install --quiet --disable-pip-version-check --target "$work/python" \
    websockets flask-socketio simple-websocket 2>/dev/null || true

cargo build --quiet --all-features --example ws --example serve --example engineio 2>"$work/build.log" ||
  { cat "$work/build.log"; exit 1; }
target=$(cargo metadata --format-version 1 --no-deps | python3 -c 'import json, sys; print(json.load(sys.stdin)["target_directory"])')
ws=$target/debug/examples/ws

# own NAME PORT FLAG...: `serve`, and the authority of its certificate in NAME.pem.
own() {
  local name=$1 port=$2
  shift 2
  start "$name" "$port" -- "$target/debug/examples/serve" --listen "127.0.0.1:$port" "$@" || return 1
  sed '1d' "$work/$name.log" >"$work/$name.pem"
}

read -r plain secure secure1 <<<"$(ports 3)"
own plain "$plain"
own secure "$secure" --self-signed
own secure1 "$secure1" --self-signed --http1

# lines URL FLAG...: our client has its lines echoed.
lines() {
  local url=$1
  shift
  { seq 1 500 | sed 's/$/ some words, some words, ümläut/'; seq -s ' ' 1 30000; } >"$work/lines"
  timeout 60 "$ws" --timeout 30 "$@" "$url" <"$work/lines" | cmp - "$work/lines"
}

# closes URL CODE FLAG...: the peer closes with this code.
closes() {
  local url=$1 code=$2
  shift 2
  (echo x; sleep 1) | timeout 60 "$ws" --timeout 30 "$@" "$url/close/$code" 2>"$work/closed"
  [ "$code" = 1000 ] || grep -q "closed with $code: as asked" "$work/closed" || { cat "$work/closed"; return 1; }
}

# peer NAME COMMAND...: both roles of one peer, in the clear and over TLS.
peer() {
  local name=$1 deflate port tls flags
  shift
  for deflate in 0 1; do
    read -r port tls <<<"$(ports 2)"
    flags=()
    [ $deflate = 0 ] || flags=(--deflate)
    export WS_DEFLATE=$deflate
    start "$name-$deflate" "$port" -- "$@" serve "$port" || continue
    check "$name serves, deflate $deflate" lines "ws://127.0.0.1:$port/" "${flags[@]}"
    check "$name closes with 1000, deflate $deflate" closes "ws://127.0.0.1:$port" 1000 "${flags[@]}"
    check "$name closes with 4711, deflate $deflate" closes "ws://127.0.0.1:$port" 4711 "${flags[@]}"
    check "$name asks, deflate $deflate" timeout 120 "$@" client "ws://127.0.0.1:$plain/"
    if have openssl; then
      CERT=$work/cert.pem KEY=$work/key.pem start "$name-tls-$deflate" "$tls" -- "$@" serve "$tls" || continue
      check "$name serves over TLS, deflate $deflate" lines "wss://127.0.0.1:$tls/" --cacert "$work/cert.pem" "${flags[@]}"
    fi
    CACERT=$work/secure.pem check "$name asks over TLS, deflate $deflate" timeout 120 "$@" client "wss://127.0.0.1:$secure/"
  done
}

have openssl && openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 2 -subj /CN=peer \
  -addext subjectAltName=IP:127.0.0.1 -addext basicConstraints=critical,CA:FALSE \
  -keyout "$work/key.pem" -out "$work/cert.pem" 2>/dev/null

for flags in '' --deflate --http2 '--http2 --deflate'; do
  # shellcheck disable=SC2086 # They are words.
  check "own, $flags" lines "ws://127.0.0.1:$plain/" $flags
  # shellcheck disable=SC2086
  check "own over TLS, $flags" lines "wss://127.0.0.1:$secure/" --cacert "$work/secure.pem" $flags
done

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

# events: a Socket.IO client has its events answered, and is still there after several pings of the server.
events() {
  (echo 'hello {"a":1}'; sleep 3; echo 'hello [2,"b"]'; echo 'large 100000') |
    timeout 30 "$target/debug/examples/engineio" "http://127.0.0.1:$1" >"$work/events"
  printf '%s\n' '["answer",{"to":{"a":1}}]' '["answer",{"to":[2,"b"]}]' | cmp - <(head -n 2 "$work/events")
  [ "$(sed -n '3s/x//gp' "$work/events" | wc -c)" -lt 20 ] && [ "$(wc -c <"$work/events")" -gt 100000 ]
}
if python3 -c 'import flask_socketio, simple_websocket' 2>/dev/null; then
  read -r port <<<"$(ports 1)"
  start flask-socketio "$port" -- python3 "$here/socketio_peer.py" "$port" && check "flask_socketio serves" events "$port"
else
  skipped flask-socketio "the packages flask-socketio and simple-websocket are not there"
fi

if have chromium && have curl && python3 -c 'import websockets' 2>/dev/null; then
  check "chromium asks over HTTP/1" timeout 60 python3 "$here/chromium.py" "http://127.0.0.1:$plain/" 101
  check "chromium asks over HTTP/1 and TLS" timeout 60 python3 "$here/chromium.py" "https://127.0.0.1:$secure1/" 101
  check "chromium asks over HTTP/2 and TLS" timeout 60 python3 "$here/chromium.py" "https://127.0.0.1:$secure/" 200
else
  skipped chromium "chromium, curl or the package websockets is not there"
fi
summary
