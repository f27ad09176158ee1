#!/bin/sh
# Fuzzes one target for some seconds, with stable Rust and a C++ compiler (for libFuzzer itself).
#
#   fuzz/run.sh TARGET SECONDS [OPTION OF LIBFUZZER ...]
#   fuzz/run.sh TARGET FILE                                  only this input, to see a finding again
#
# New inputs go to fuzz/corpus/TARGET, findings to fuzz/artifacts/TARGET; fuzz/seeds/TARGET, if there is one, is read too.
set -eu
[ $# -ge 2 ] || { sed -n '2,/^set/s/^# \{0,1\}//p' "$0" >&2; exit 2; }
target=$1 seconds=$2 input=
[ ! -f "$2" ] || input=$(realpath "$2")
shift 2
cd "$(dirname "$0")"

# What `cargo fuzz run --sanitizer none` asks of the compiler: counters per edge, and comparisons as hints. With --target
# the flags do not reach build scripts.
host=$(rustc -vV | sed -n 's/^host: //p')
RUSTFLAGS="--cfg fuzzing -Cpasses=sancov-module -Ccodegen-units=1 -Cllvm-args=-sanitizer-coverage-level=4 \
-Cllvm-args=-sanitizer-coverage-inline-8bit-counters -Cllvm-args=-sanitizer-coverage-pc-table \
-Cllvm-args=-sanitizer-coverage-trace-compares" \
    cargo build --quiet --release --target "$host" --bin "$target"

[ -z "$input" ] || exec "target/$host/release/$target" "$input"
mkdir -p "corpus/$target" "artifacts/$target"
seeds=
[ ! -d "seeds/$target" ] || seeds=seeds/$target
# Directories are read in order, and the first is written to. $seeds is one word or none.
exec "target/$host/release/$target" -max_total_time="$seconds" -timeout=10 -rss_limit_mb=1024 \
    -artifact_prefix="artifacts/$target/" "$@" "corpus/$target" $seeds
