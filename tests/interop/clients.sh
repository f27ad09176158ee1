# The clients that are tried on `serve`.

clients() {
  local clear tls old
  read -r clear tls old <<<"$(ports 3)"
  [ -x "$serve" ] || { skipped serve "there is no example of that name"; return 0; }
  start serve-clear "$clear" -- "$serve" --listen "127.0.0.1:$clear" --root "$work/root" || return 0
  start serve-tls "$tls" -- "$serve" --listen "127.0.0.1:$tls" --root "$work/root" --tls "$work/server.pem" "$work/server.key" || return 0
  check "serve says where it listens" grep -qx "listening on https://127.0.0.1:$tls" "$work/serve-tls.log"
  fetch_client "http://127.0.0.1:$clear" "https://127.0.0.1:$tls"
  curl_client "http://127.0.0.1:$clear" "https://127.0.0.1:$tls"
  nghttp_client "http://127.0.0.1:$clear" "https://127.0.0.1:$tls"
  node_client "http://127.0.0.1:$clear" "https://127.0.0.1:$tls"
  wrk_client "http://127.0.0.1:$clear" "https://127.0.0.1:$tls"
  chromium_client "http://127.0.0.1:$clear" http/1.1
  chromium_client "https://127.0.0.1:$tls" h2
  httpx_client "http://127.0.0.1:$clear" "https://127.0.0.1:$tls"
  large_client "http://127.0.0.1:$clear" "https://127.0.0.1:$tls"
  check "shutdown under load, h1" ends_under_load serve-load-h1 --h1 -c 8
  check "shutdown under load, h2" ends_under_load serve-load-h2 -c 4 -m 8
  check "serve ends by SIGTERM" ends_by TERM serve-term
  check "serve ends by SIGINT" ends_by INT serve-int
}

# ends_by SIGNAL NAME: whether a server of its own ends with status 0.
ends_by() {
  local port pid
  port=$(ports 1)
  # A process in the background of a script ignores SIGINT unless it is told otherwise.
  python3 -c 'import os, signal, sys; signal.signal(signal.SIGINT, signal.SIG_DFL); os.execv(sys.argv[1], sys.argv[1:])' \
    "$serve" --self-signed --listen "127.0.0.1:$port" >"$work/$2.log" 2>&1 &
  pid=$!
  until grep -q listening "$work/$2.log"; do kill -0 $pid; sleep 0.05; done
  "$fetch" --insecure --timeout 5 "https://127.0.0.1:$port/" >/dev/null
  kill -"$1" $pid
  timeout 10 tail --pid=$pid -f /dev/null
  wait $pid
}

# ends_under_load NAME FLAG...: whether a server that is asked to end while h2load runs cuts no answer and lets nobody in.
ends_under_load() {
  local name=$1 port pid load
  shift
  have h2load || return 0
  port=$(ports 1)
  "$serve" --listen "127.0.0.1:$port" >"$work/$name.log" 2>&1 &
  pid=$!
  until grep -q listening "$work/$name.log"; do kill -0 $pid; sleep 0.05; done
  timeout 60 h2load -t 1 -D 4 "$@" "http://127.0.0.1:$port/bytes/20000" >"$work/h2load.log" 2>&1 &
  load=$!
  until [ "$(ss -Htn state established "sport = :$port" | wc -l)" -gt 0 ]; do kill -0 $load; sleep 0.05; done
  sleep 1
  kill -TERM $pid
  wait $pid
  ! (: <"/dev/tcp/127.0.0.1/$port") 2>/dev/null
  wait $load || true
  # Nothing was cut: so many answers, so many times 20000 bytes. When a GOAWAY keeps h2load from sending one more, it says so, leaves, and
  # counts what it has not looked at yet as failed, although it was answered; `tests/server/load.rs` counts both ends.
  awk '/^Process Request Failure/ { unsent++ }
    /^requests:/ { done = $8; bad = $10 + $14 }
    /^traffic:/ { n = split($0, part, /[()]/); data = part[n - 1] }
    END { print done, bad, unsent + 0, data; exit !(done > 100 && (bad == 0 || unsent > 0) && data == done * 20000) }' "$work/h2load.log" || { cat "$work/h2load.log"; return 1; }
}

# A page that fetches files, ranges and streams, and posts. Chromium is never installed.
chromium_client() {
  have chromium || { skipped "chromium ${1%%:*}" "chromium is not installed"; return 0; }
  cp "$here/page.html" "$work/root/page.html"
  check "chromium ${1%%:*}" timeout 60 python3 "$here/browser.py" "$1/files/page.html" "done over $2"
}

# So many requests as it makes in two seconds, none of which fails.
wrk_client() {
  have wrk || { skipped wrk "wrk is not installed"; return 0; }
  check "wrk clear" wrk_runs "$1/bytes/1000"
  check "wrk tls" wrk_runs "$2/bytes/1000"
}

wrk_runs() {
  wrk -t 1 -c 16 -d 2 "$1" >"$work/wrk.log"
  cat "$work/wrk.log"
  ! grep -qE 'Non-2xx|Socket errors' "$work/wrk.log"
}

httpx_client() {
  python3 -c 'import httpx, h2' 2>/dev/null || { skipped httpx "httpx is not installed"; return 0; }
  local url
  for url in "$1" "$2"; do
    check "httpx ${url%%:*}" timeout 60 python3 "$here/client.py" "$url" "$work/root/big" "$work/ca.pem"
  done
}

# A gigabyte each way, when asked for; the server must not keep it.
large_client() {
  [ -n "${BOWLINE_LARGE:-}" ] || return 0
  have curl || { skipped "1 GiB" "curl is not installed"; return 0; }
  local name flags url
  while read -r name url flags; do
    # shellcheck disable=SC2206
    local client=(curl -sS --fail --max-time 600 --cacert "$work/ca.pem" $flags)
    check "1 GiB down, $name" counted 1073741824 "${client[@]}" "$url/bytes/1073741824"
    check "1 GiB up and back, $name" echoed "${client[@]}" -T - "$url/echo"
  done <<LIST
h1-clear $1 --http1.1
h1-tls $2 --http1.1
h2-clear $1 --http2-prior-knowledge
h2-tls $2 --http2
LIST
  check "1 GiB is not kept" small_servers
}

# counted N COMMAND...: whether it prints so many bytes.
counted() {
  local n=$1 got
  shift
  got=$("$@" | wc -c)
  [ "$got" = "$n" ] || { echo "$got bytes"; return 1; }
}

# echoed COMMAND...: whether a gigabyte comes back as it was.
echoed() {
  local sent got
  sent=$(yes 'a line of what is sent' | head -c 1073741824 | sha256sum)
  got=$(yes 'a line of what is sent' | head -c 1073741824 | "$@" | sha256sum)
  [ "$sent" = "$got" ]
}

# At most 64 MiB at any time.
small_servers() {
  local pid
  for pid in $(pgrep -P $$ -x serve); do
    awk '/^VmHWM/ { print; exit $2 > 65536 }' "/proc/$pid/status" || return 1
  done
}

fetch_client() {
  served "fetch serve h1 clear" "$1" HTTP/1.1 --http1
  served "fetch serve h1 tls" "$2" HTTP/1.1 --http1
  served "fetch serve h2 clear" "$1" HTTP/2.0 --http2
  served "fetch serve h2 tls" "$2" HTTP/2.0
}

# served NAME URL VERSION FLAG...: our client and our server.
served() {
  local name=$1 url=$2 version=$3
  shift 3
  try "$name" "$url/files" none "$version" "$@"
  check "$name echo" same "$work/root/big" echo_post "$url" "$fetch" --timeout 60 --cacert "$work/ca.pem" "$@"
  check "$name gone" gone "$url" --cacert "$work/ca.pem" "$@"
}

# A request that ran out of time is reported as such.
gone() {
  local url=$1 line
  shift
  line=$("$fetch" --report --timeout 0.2 "$@" "$url/slow/10000") && return 1
  case $line in
    *'"kind":"TimedOut","phase":"FirstByte","processed":"Maybe","status":null'*) ;;
    *) echo "$line"; return 1 ;;
  esac
}

curl_client() {
  have curl || { skipped curl "curl is not installed"; return 0; }
  local name flags url
  while read -r name url flags; do
    # shellcheck disable=SC2206
    local client=(curl -sS --fail --max-time 60 --cacert "$work/ca.pem" $flags)
    check "curl $name get" same "$work/root/small" "${client[@]}" "$url/files/small"
    if [ "$name" = upgrade-offered ] && curl --version | grep -q '^curl 7'; then
      skipped "curl $name download" "this curl takes at most 32 KiB of what follows a 101 at once"
    else
      check "curl $name download" same "$work/root/big" "${client[@]}" "$url/files/big"
    fi
    check "curl $name upload" same "$work/root/big" "${client[@]}" --data-binary "@$work/root/big" "$url/echo"
    check "curl $name upload, 100-continue" same "$work/root/big" "${client[@]}" -T "$work/root/big" -H 'Expect: 100-continue' "$url/echo"
    check "curl $name upload, no length" same "$work/root/big" "${client[@]}" -T - "$url/echo" <"$work/root/big"
    check "curl $name head" curl_head "${client[@]}" -I "$url/files/big"
    if [ "$name" = h2-clear ] && curl --version | grep -q '^curl 7\.8[78]'; then
      skipped "curl $name 300 in a row" "this curl cannot use a connection of prior knowledge twice, with any server"
    else
      check "curl $name 300 in a row" curl_many "${client[@]}" "$url/bytes/[1-300]"
    fi
  done <<LIST
h1-clear $1 --http1.1
h1-tls $2 --http1.1
h2-clear $1 --http2-prior-knowledge
h2-tls $2 --http2
upgrade-offered $1 --http2
LIST
}

curl_head() {
  "$@" | tr -d '\r' | grep -qix 'content-length: 10000000'
}

# 1 + 2 + ... + 300 bytes over one connection.
curl_many() {
  local bytes connects
  bytes=$("$@" | wc -c)
  [ "$bytes" = 45150 ] || { echo "$bytes bytes"; return 1; }
  connects=$("$@" -o /dev/null -w '%{num_connects}\n' | grep -c '^1' || true)
  [ "$connects" = 1 ] || { echo "$connects connections"; return 1; }
}

nghttp_client() {
  have nghttp && have h2load || { skipped nghttp "nghttp and h2load are not installed"; return 0; }
  local url name
  for url in "$1" "$2"; do
    name=${url%%:*}
    check "nghttp $name get" same "$work/root/small" nghttp --no-verify-peer -t 60 "$url/files/small"
    check "nghttp $name download" same "$work/root/big" nghttp --no-verify-peer -t 60 "$url/files/big"
    check "nghttp $name upload" same "$work/root/big" nghttp --no-verify-peer -t 60 -d "$work/root/big" "$url/echo"
    check "nghttp $name trailers" nghttp_trailers "$url/echo"
    check "h2load $name 10000, 50 at a time" loaded 10000 -n 10000 -c 1 -m 50 "$url/bytes/1000"
    check "h2load $name 10000, 10 connections" loaded 10000 -n 10000 -c 10 -m 10 "$url/bytes/1000"
    check "h2load $name h1 10000" loaded 10000 --h1 -n 10000 -c 4 "$url/bytes/1000"
  done
}

nghttp_trailers() {
  nghttp --no-verify-peer -t 60 -v -d "$work/root/small" --trailer 'x-end: yes' "$1" >"$work/nghttp.log"
  # Once sent, once received.
  [ "$(grep -c 'x-end: yes' "$work/nghttp.log")" = 2 ] || { cat "$work/nghttp.log"; return 1; }
}

# loaded N FLAG...: whether h2load gets N good answers.
loaded() {
  local n=$1
  shift
  h2load "$@" >"$work/h2load.log"
  grep -q "$n succeeded, 0 failed, 0 errored, 0 timeout" "$work/h2load.log" || { cat "$work/h2load.log"; return 1; }
}

node_client() {
  have node || { skipped node "node is not installed"; return 0; }
  local kind url
  export NODE_EXTRA_CA_CERTS=$work/ca.pem
  for kind in fetch http2; do
    if [ $kind = fetch ] && ! node -e 'process.exit(typeof fetch === "function" ? 0 : 1)'; then
      skipped "node fetch" "this node has no fetch"
      continue
    fi
    for url in "$1" "$2"; do
      check "node $kind ${url%%:*}" timeout 60 node "$here/client.mjs" $kind "$url" "$work/root/big"
    done
  done
}
