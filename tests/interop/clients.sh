# The clients that are tried on `serve`.

clients() {
  [ -x "$serve" ] || { skipped serve "there is no example of that name"; return 0; }
}
