#!/usr/bin/env bash
# Connections that other people's servers close: idle limits of nginx and haproxy, and mixed traffic at an nginx that is reloaded
# and killed underneath.
#
#   tests/interop/keep.sh [REGEX]   only the checks whose names match
#   BOWLINE_KEEP_SECONDS            how long the mixed traffic goes on (20)
#   BOWLINE_KEEP_SEED               what happens when (the time)
#   BOWLINE_NO_INSTALL=1            uses what is there; otherwise root installs what is missing
#
# One line for each check; a peer that is missing is SKIPPED, loudly. The status is 1 if something failed.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
# shellcheck disable=SC2034
only=${1:-}
export NO_PROXY='*' no_proxy='*'
# shellcheck source=tests/interop/lib.sh
. "$here/lib.sh"
# shellcheck source=tests/interop/certificates.sh
. "$here/certificates.sh"
# shellcheck source=tests/interop/install.sh
. "$here/install.sh"

cd "$here/../.."
have python3 && have openssl || { skipped everything "python3 and openssl are needed"; summary; }
[ -n "${BOWLINE_NO_INSTALL:-}" ] || install

cargo build --quiet --examples 2>"$work/build.log" &&
  cargo build --quiet --release --manifest-path tests/soak/Cargo.toml 2>"$work/build.log" || { cat "$work/build.log"; exit 1; }
target() { cargo metadata --format-version 1 --no-deps "$@" | python3 -c 'import json, sys; print(json.load(sys.stdin)["target_directory"])'; }
fetch=$(target)/debug/examples/fetch
release=$(target --manifest-path tests/soak/Cargo.toml)/release

certificates 2>"$work/openssl.log" || { cat "$work/openssl.log"; exit 1; }

# nginx_conf DIRECTORY H1-PORT TLS-PORT ANNOUNCED-PORT BEHIND: an nginx that closes what is idle for two seconds, logs what it served,
# and passes what is posted to /post on to the port BEHIND.
nginx_conf() {
  local prefix=$1 h1=$2 tls=$3 announced=$4 behind=$5
  mkdir -p "$prefix/root/put" "$prefix/temp"
  # To find requests that wait when it is killed, some have to: nginx makes those wait that are too many.
  tee "$prefix/root/small" <<<'a small page' >"$prefix/root/slow"
  head -c 200000 /dev/urandom >"$prefix/root/big"
  chmod -R a+rX "$work"
  cat >"$prefix/nginx.conf" <<CONF
user $(id -un) $(id -gn);
daemon off;
worker_processes 2;
pid $prefix/nginx.pid;
error_log $prefix/error.log;
events { worker_connections 512; }
http {
  log_format served '\$arg_id \$status \$request_method \$server_protocol \$connection';
  access_log $prefix/served.log served;
  client_body_temp_path $prefix/temp/body;
  proxy_temp_path $prefix/temp/proxy;
  fastcgi_temp_path $prefix/temp/fastcgi;
  uwsgi_temp_path $prefix/temp/uwsgi;
  scgi_temp_path $prefix/temp/scgi;
  keepalive_timeout 2s;
  limit_req_zone all zone=slow:1m rate=200r/s;
  server {
    listen 127.0.0.1:$h1;
    listen 127.0.0.1:$tls ssl http2;
    ssl_certificate $work/server.pem;
    ssl_certificate_key $work/server.key;
    root $prefix/root;
    add_header x-id \$arg_id;
    location = /slow { limit_req zone=slow burst=1000; }
    location = /post { limit_req zone=slow burst=1000; proxy_pass http://127.0.0.1:$behind; }
    location /put/ { dav_methods PUT; }
  }
  server {
    listen 127.0.0.1:$announced;
    keepalive_timeout 2s 2s;
    root $prefix/root;
  }
}
CONF
}

# fetched NAME COUNT VERSION REUSED URL FLAG...: that many requests, all answered, each served once. REUSED is `never` or `perhaps`:
# whether connections may have been there that the server had not closed.
fetched() {
  local name=$1 count=$2 version=$3 reused=$4 url=$5
  shift 5
  "$fetch" --timeout 30 --cacert "$work/ca.pem" --report "$@" "$url?id=$name" >"$work/$name.json"
  python3 "$here/keep.py" "$count" "$version" "$reused" <"$work/$name.json"
}

# Requests with pauses around the two seconds after which nginx closes. All of them at a time: they mostly sleep.
nginx_idle() {
  have nginx || { skipped "nginx idle" "nginx is not installed"; return 0; }
  local h1 tls announced gap name kind job jobs=() flags url version reused
  read -r h1 tls announced <<<"$(ports 3)"
  nginx_conf "$work/nginx" "$h1" "$tls" "$announced" 9
  start nginx "$h1" "$tls" "$announced" -- nginx -p "$work/nginx" -c nginx.conf -e stderr || return 0
  for kind in h1 h1tls h2tls announced; do
    for gap in 1950 2000 2050 2500; do
      name=nginx-$kind-$gap version=HTTP/1.1 flags=(--http1) url=http://127.0.0.1:$h1/small reused=perhaps
      # nginx counts in milliseconds of its own clock, and a busy machine sleeps longer than it is asked to.
      [ "$gap" != 2500 ] || reused=never
      case $kind in
        h1tls) url=https://127.0.0.1:$tls/small ;;
        h2tls) url=https://127.0.0.1:$tls/small version=HTTP/2.0 flags=() ;;
        # A server that says `Keep-Alive: timeout=2` is left a second earlier.
        announced) url=http://127.0.0.1:$announced/small reused=never ;;
      esac
      # Six clients, so that some requests meet the server just as it closes.
      (set +e; for _ in {1..6}; do
        fetched "$name-$BASHPID-$RANDOM$RANDOM" 4 "$version" "$reused" "$url" "${flags[@]}" --repeat 4 --gap-ms "$gap" &
      done
      rc=0; for job in $(jobs -p); do wait "$job" || rc=1; done; echo $rc >"$work/$name.rc") >"$work/$name.out" 2>&1 &
      jobs+=($!)
    done
  done
  wait "${jobs[@]}"
  for kind in h1 h1tls h2tls announced; do
    for gap in 1950 2000 2050 2500; do
      check "nginx $kind, every $gap ms" went_well "nginx-$kind-$gap" $((6 * 4))
    done
  done
}

# went_well NAME COUNT: whether all the clients of that name are content, and the server has served as many requests as were made.
went_well() {
  cat "$work/$1.out"
  local served
  # What was sent twice, as GET may be, was served once: the connection was closed before it came.
  served=$(grep -c "^$1-[0-9-]* 200 GET" "$work/nginx/served.log")
  [ "$served" = "$2" ] || { echo "$served requests were served, not $2"; return 1; }
  [ "$(cat "$work/$1.rc")" = 0 ]
}

# haproxy, which closes connections of clients after two seconds, in front of nghttpd.
haproxy_idle() {
  have haproxy || { skipped "haproxy idle" "haproxy is not installed"; return 0; }
  have nghttpd || { skipped "haproxy idle" "nghttpd is not installed"; return 0; }
  local h2c tls back
  read -r h2c tls back <<<"$(ports 3)"
  mkdir -p "$work/pages"
  printf 'a small page\n' >"$work/pages/small"
  cat "$work/server.pem" "$work/server.key" >"$work/both.pem"
  cat >"$work/haproxy.cfg" <<CONF
global
  maxconn 512
defaults
  mode http
  timeout connect 2s
  timeout client 2s
  timeout server 20s
frontend front
  bind 127.0.0.1:$h2c proto h2
  bind 127.0.0.1:$tls ssl crt $work/both.pem alpn h2,http/1.1
  default_backend pages
backend pages
  server pages 127.0.0.1:$back proto h2
CONF
  start nghttpd "$back" -- nghttpd --no-tls --address=127.0.0.1 -d "$work/pages" "$back" || return 0
  start haproxy "$h2c" "$tls" -- haproxy -db -f "$work/haproxy.cfg" || return 0
  local url name
  for name in clear tls; do
    url=http://127.0.0.1:$h2c/small
    [ $name = clear ] || url=https://127.0.0.1:$tls/small
    check "haproxy h2 $name, idle for 3 s" kept 'connections=3 retries=0 pings=0 ' 3000 3 "$url"
    check "haproxy h2 $name, idle for 3 s, with upkeep" kept 'connections=1 retries=0 pings=[1-9]' --upkeep-ms 500 3000 3 "$url"
    # Whether the connection is still there or not: no request fails.
    check "haproxy h2 $name, idle for 2 s" kept 'requests=4 ' 2000 4 "$url"
  done
}

# kept PATTERN ARGUMENT...: what the program says of its requests.
kept() {
  local pattern=$1 said
  shift
  said=$("$release/kept" --cacert "$work/ca.pem" "$@")
  echo "$said"
  [[ $said =~ $pattern ]]
}

mixed() {
  "$release/mixed" --seconds "${BOWLINE_KEEP_SECONDS:-20}" --seed "$seed" --prefix "$work/mixed" \
    --cacert "$work/ca.pem" --behind "127.0.0.1:$3" "http://127.0.0.1:$1" "https://127.0.0.1:$2" "https://127.0.0.1:$2" | tee "$work/mixed.txt"
}

mixed_traffic() {
  wanted "mixed traffic" || return 0
  have nginx || { skipped "mixed traffic" "nginx is not installed"; return 0; }
  local h1 tls announced behind seed=${BOWLINE_KEEP_SEED:-$(date +%s)}
  read -r h1 tls announced behind <<<"$(ports 4)"
  nginx_conf "$work/mixed" "$h1" "$tls" "$announced" "$behind"
  check "mixed traffic, seed $seed" mixed "$h1" "$tls" "$behind"
  # Its counts, also where all is well.
  sed 's/^/         | /' "$work/mixed.txt"
  # Were the program killed, its nginx would be left.
  [ ! -f "$work/mixed/nginx.pid" ] || kill "$(cat "$work/mixed/nginx.pid")" 2>/dev/null || true
}

nginx_idle
haproxy_idle
mixed_traffic
summary
