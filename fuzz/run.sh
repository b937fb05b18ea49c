#!/usr/bin/env bash
# Fuzzes the parsers:
#
#   ./fuzz/run.sh                     every target for 20 seconds
#   ./fuzz/run.sh SECONDS TARGET…     only these
#
# Needs no nightly compiler: coverage is stable, and a sanitizer would find nothing in code without
# `unsafe`. The build takes some minutes, as everything is built once more with coverage. An input
# that fails is left in fuzz/artifacts.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")"

seconds=${1:-20}
shift || true
targets=("$@")
if [[ ${#targets[@]} == 0 ]]; then
    targets=(stream signal overview questions mail journal config)
fi

host=$(rustc -vV | sed -n 's/^host: //p')
# With a target named, the flags are not used for build scripts, which have no fuzzer to link with.
export CARGO_BUILD_TARGET=$host
export RUSTFLAGS="--cfg fuzzing -Cdebug-assertions -Coverflow-checks -Cpasses=sancov-module \
-Cllvm-args=-sanitizer-coverage-level=4 -Cllvm-args=-sanitizer-coverage-inline-8bit-counters \
-Cllvm-args=-sanitizer-coverage-pc-table -Cllvm-args=-sanitizer-coverage-trace-compares"
cargo build --quiet --locked --bins

code=0
for target in "${targets[@]}"; do
    mkdir -p "corpus/$target" "artifacts/$target"
    seeds=seeds/$target
    [[ $target == stream ]] && seeds=../tests/fixtures/claude
    log=artifacts/$target.log
    if "target/$host/debug/$target" "corpus/$target" "$seeds" -max_total_time="$seconds" \
        -timeout=10 -rss_limit_mb=1024 -artifact_prefix="artifacts/$target/" >"$log" 2>&1; then
        echo "$target: $(grep -a '^Done ' "$log")"
    else
        echo "$target failed; all of the output is in fuzz/$log"
        tail -n 20 "$log"
        code=1
    fi
done
exit "$code"
