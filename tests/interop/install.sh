# Installs the peers that are missing, where that is possible.

# install: apt as root, pip anywhere; says what could not be had.
install() {
  local missing=() pair
  for pair in nginx:nginx-light haproxy:haproxy nghttpd:nghttp2-server nghttp:nghttp2-client h2o:h2o caddy:caddy curl:curl node:nodejs wrk:wrk; do
    have "${pair%%:*}" || missing+=("${pair##*:}")
  done
  if [ ${#missing[@]} -gt 0 ]; then
    if [ "$(id -u)" = 0 ] && have apt-get && DEBIAN_FRONTEND=noninteractive apt_packages; then
      :
    else
      printf 'SKIPPED: these packages could not be installed: %s\n' "${missing[*]}"
    fi
  fi
  python3 -c 'import hypercorn, httpx, h2' 2>/dev/null || pip_packages ||
    printf 'SKIPPED: hypercorn and httpx could not be installed\n'
}

# One at a time, so that one that is missing does not take the others with it.
apt_packages() {
  local package rc=0
  timeout 300 apt-get -qq update || return 1
  for package in "${missing[@]}"; do
    # A service that apt starts would only be in the way.
    RUNLEVEL=1 timeout 300 apt-get -qq install --no-install-recommends -y "$package" >/dev/null || rc=1
  done
  return $rc
}

# Into the script's own directory: no system asks back about it.
pip_packages() {
  timeout 120 python3 -m pip install --quiet --disable-pip-version-check --target "$work/python" hypercorn httpx h2 2>/dev/null || return 1
  export PYTHONPATH="$work/python${PYTHONPATH:+:$PYTHONPATH}"
  python3 -c 'import hypercorn, httpx' 2>/dev/null
}
