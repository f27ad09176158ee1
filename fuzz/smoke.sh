#!/bin/sh
# Fuzzes every target of Cargo.toml for some seconds each (5 unless told otherwise), and fails on any finding.
#
#   fuzz/smoke.sh [SECONDS]
set -eu
cd "$(dirname "$0")"
failed=
for target in $(sed -n '/^\[\[bin\]\]/,/^path/s/^name = "\(.*\)"$/\1/p' Cargo.toml); do
    if output=$(./run.sh "$target" "${1:-5}" 2>&1); then
        echo "$target: $(printf '%s\n' "$output" | sed -n 's/^Done \(.*\)$/\1/p')"
    else
        printf '%s\n' "$output" | tail -n 40
        failed="$failed $target"
    fi
done
[ -z "$failed" ] || { echo "findings in:$failed" >&2; exit 1; }
