# Certificates that live as long as the script.

# certificates: makes an authority (ca.pem) and a certificate for 127.0.0.1 (server.pem, server.key).
certificates() {
  local ca=(-CA "$work/ca.pem" -CAkey "$work/ca.key" -CAcreateserial)
  openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 2 -subj '/CN=interop authority' \
    -keyout "$work/ca.key" -out "$work/ca.pem"
  openssl req -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -subj '/CN=localhost' \
    -keyout "$work/server.key" -out "$work/server.csr"
  printf 'subjectAltName = DNS:localhost, IP:127.0.0.1\nbasicConstraints = CA:FALSE\n' >"$work/ext"
  openssl x509 -req -in "$work/server.csr" "${ca[@]}" -days 2 -extfile "$work/ext" -out "$work/server.pem"
}
