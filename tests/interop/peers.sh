# The servers that `fetch` is tried on. Each function starts one, in the clear and with TLS, and then checks it.

# try NAME URL ROUND VERSION FLAG...: the checks of one way to reach a server. ROUND sends `big` by a command and prints what
# came of it; `none`: there is no upload.
try() {
  local name=$1 url=$2 round=$3 version=$4 one=1
  shift 4
  local client=("$fetch" --timeout 60 --cacert "$work/ca.pem" "$@")
  check "$name get" same "$work/root/small" "${client[@]}" "$url/small"
  check "$name download" same "$work/root/big" "${client[@]}" "$url/big"
  [ "$round" = none ] || check "$name upload" same "$work/root/big" "$round" "$url" "${client[@]}"
  check "$name 1000 in a row" reported "$url/small" 1000 "$version" 1 '' "$@" --repeat 1000
  if [ "$version" = HTTP/2.0 ]; then
    # Several upgrades may be on their way before the first is answered.
    [[ $name = *upgrade ]] && one=
    check "$name 1000, 50 at a time" reported "$url/small" 1000 "$version" "$one" '' "$@" --repeat 1000 --in-flight 50
  fi
  check "$name 8 threads" reported "$url/small" 400 "$version" '' '' "$@" --threads 8 --repeat 50
}

# reported URL COUNT VERSION CONNECTIONS TRAILER FLAG...: what `fetch --report` says of requests for it.
reported() {
  local url=$1 count=$2 version=$3 connections=$4 trailer=$5
  shift 5
  "$fetch" --timeout 60 --cacert "$work/ca.pem" --report "$@" "$url" |
    python3 "$here/report.py" "$count" "$version" "$connections" "$trailer"
}

nginx_peer() {
  have nginx || { skipped nginx "nginx is not installed"; return 0; }
  local h1 tls h2c
  read -r h1 tls h2c <<<"$(ports 3)"
  mkdir -p "$work/nginx/put"
  cat >"$work/nginx.conf" <<CONF
daemon off;
master_process off;
pid $work/nginx.pid;
error_log stderr;
events { worker_connections 256; }
http {
  access_log off;
  client_body_temp_path $work/nginx/body;
  proxy_temp_path $work/nginx/proxy;
  fastcgi_temp_path $work/nginx/fastcgi;
  uwsgi_temp_path $work/nginx/uwsgi;
  scgi_temp_path $work/nginx/scgi;
  client_max_body_size 100m;
  keepalive_requests 10000;
  server {
    listen 127.0.0.1:$h1;
    listen 127.0.0.1:$h2c http2;
    listen 127.0.0.1:$tls ssl http2;
    ssl_certificate $work/server.pem;
    ssl_certificate_key $work/server.key;
    root $work/root;
    location /put/ { root $work/nginx; dav_methods PUT; }
  }
}
CONF
  start nginx "$h1" "$tls" "$h2c" -- nginx -c "$work/nginx.conf" -e stderr || return 0
  try "nginx h1 clear" "http://127.0.0.1:$h1" nginx_put HTTP/1.1 --http1
  try "nginx h1 tls" "https://127.0.0.1:$tls" nginx_put HTTP/1.1 --http1
  try "nginx h2 tls" "https://127.0.0.1:$tls" nginx_put HTTP/2.0
  try "nginx h2 clear" "http://127.0.0.1:$h2c" nginx_put HTTP/2.0 --http2
}

# Stores the body, and shows what was stored.
nginx_put() {
  local url=$1
  shift
  "$@" -X PUT --body-file "$work/root/big" "$url/put/big" >/dev/null
  cat "$work/nginx/put/big"
  rm "$work/nginx/put/big"
}

nghttpd_peer() {
  have nghttpd || { skipped nghttpd "nghttpd is not installed"; return 0; }
  local clear tls
  read -r clear tls <<<"$(ports 2)"
  local options=(--address=127.0.0.1 --echo-upload -d "$work/root" --trailer 'x-end: yes')
  start nghttpd-clear "$clear" -- nghttpd --no-tls "${options[@]}" "$clear" || return 0
  start nghttpd-tls "$tls" -- nghttpd "${options[@]}" "$tls" "$work/server.key" "$work/server.pem" || return 0
  try "nghttpd h2 clear" "http://127.0.0.1:$clear" echo_post HTTP/2.0 --http2
  try "nghttpd h2 tls" "https://127.0.0.1:$tls" echo_post HTTP/2.0
  check "nghttpd h2 clear trailers" reported "http://127.0.0.1:$clear/small" 1 HTTP/2.0 1 x-end --http2
}

# Gets the body back.
echo_post() {
  local url=$1
  shift
  "$@" -X POST --body-file "$work/root/big" "$url/echo"
}

hypercorn_peer() {
  python3 -c 'import hypercorn' 2>/dev/null || { skipped hypercorn "hypercorn is not installed"; return 0; }
  local clear tls
  read -r clear tls <<<"$(ports 2)"
  cat >"$work/hypercorn.toml" <<CONF
certfile = "$work/server.pem"
keyfile = "$work/server.key"
bind = ["127.0.0.1:$tls"]
insecure_bind = ["127.0.0.1:$clear"]
keep_alive_max_requests = 10000
CONF
  start hypercorn "$clear" "$tls" -- env INTEROP_ROOT="$work/root" PYTHONPATH="$here${PYTHONPATH:+:$PYTHONPATH}" \
    python3 -m hypercorn --config "$work/hypercorn.toml" app:app || return 0
  hash_app=127.0.0.1:$clear
  try "hypercorn h1 clear" "http://127.0.0.1:$clear" hash_post HTTP/1.1 --http1
  try "hypercorn h1 tls" "https://127.0.0.1:$tls" hash_post HTTP/1.1 --http1
  try "hypercorn h2 tls" "https://127.0.0.1:$tls" hash_post HTTP/2.0
  try "hypercorn h2 clear" "http://127.0.0.1:$clear" hash_post HTTP/2.0 --http2
  try "hypercorn h2c upgrade" "http://127.0.0.1:$clear" none HTTP/2.0 --h2c-upgrade
}

# The peer answers with the hash; `big` is printed if it is the right one.
hash_post() {
  local url=$1 got
  shift
  got=$("$@" -X POST --body-file "$work/root/big" "$url/hash")
  [ "$got" = "$(sha256sum <"$work/root/big" | cut -d ' ' -f 1)" ] || { echo "the peer received $got"; return 1; }
  cat "$work/root/big"
}

h2o_peer() {
  have h2o || { skipped h2o "h2o is not installed"; return 0; }
  local clear tls round=hash_post
  [ -n "$hash_app" ] || { skipped "h2o upload" "hypercorn, which would hash, is not there"; round=none; }
  read -r clear tls <<<"$(ports 2)"
  cat >"$work/h2o.yaml" <<CONF
user: $(id -un)
listen:
  host: 127.0.0.1
  port: $clear
listen:
  host: 127.0.0.1
  port: $tls
  ssl: { certificate-file: $work/server.pem, key-file: $work/server.key }
hosts:
  default:
    paths:
      /hash: { proxy.reverse.url: "http://${hash_app:-127.0.0.1:1}/hash" }
      /: { file.dir: $work/root }
CONF
  start h2o "$clear" "$tls" -- h2o -c "$work/h2o.yaml" || return 0
  try "h2o h1 clear" "http://127.0.0.1:$clear" $round HTTP/1.1 --http1
  try "h2o h1 tls" "https://127.0.0.1:$tls" $round HTTP/1.1 --http1
  try "h2o h2 tls" "https://127.0.0.1:$tls" $round HTTP/2.0
  try "h2o h2 clear" "http://127.0.0.1:$clear" $round HTTP/2.0 --http2
  try "h2o h2c upgrade" "http://127.0.0.1:$clear" none HTTP/2.0 --h2c-upgrade
}

caddy_peer() {
  have caddy || { skipped caddy "caddy is not installed"; return 0; }
  local clear tls round=hash_post
  [ -n "$hash_app" ] || { skipped "caddy upload" "hypercorn, which would hash, is not there"; round=none; }
  read -r clear tls <<<"$(ports 2)"
  cat >"$work/Caddyfile" <<CONF
{
  admin off
  auto_https off
  storage file_system $work/caddy
  servers {
    protocols h1 h2 h2c
  }
}
(site) {
  bind 127.0.0.1
  reverse_proxy /hash ${hash_app:-127.0.0.1:1}
  root * $work/root
  file_server
}
http://127.0.0.1:$clear {
  import site
}
https://127.0.0.1:$tls {
  import site
  tls $work/server.pem $work/server.key
}
CONF
  start caddy "$clear" "$tls" -- env HOME="$work" caddy run --config "$work/Caddyfile" --adapter caddyfile || return 0
  try "caddy h1 clear" "http://127.0.0.1:$clear" $round HTTP/1.1 --http1
  try "caddy h1 tls" "https://127.0.0.1:$tls" $round HTTP/1.1 --http1
  try "caddy h2 tls" "https://127.0.0.1:$tls" $round HTTP/2.0
  try "caddy h2 clear" "http://127.0.0.1:$clear" $round HTTP/2.0 --http2
  try "caddy h2c upgrade" "http://127.0.0.1:$clear" none HTTP/2.0 --h2c-upgrade
}
