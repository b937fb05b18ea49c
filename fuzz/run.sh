#!/usr/bin/env bash
# Fuzzes the parsers:
#
#   ./fuzz/run.sh                     every target for half a minute
#   ./fuzz/run.sh SECONDS TARGET…     only these
#
# CI runs all of them (.github/workflows/ci.yml); `cargo test` tries changed seeds for some seconds.
#
# Needs no nightly compiler: coverage is stable, and a sanitizer would find nothing in code without
# `unsafe`. The build takes some minutes, as everything is built once more with coverage. An input
# that fails is left in fuzz/artifacts.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")"

seconds=${1:-30}
shift || true
targets=("$@")
if [[ ${#targets[@]} == 0 ]]; then
    targets=(stream signal overview questions mail journal config units notices gate)
fi

host=$(rustc -vV | sed -n 's/^host: //p')
# With a target named, the flags are not used for build scripts, which have no fuzzer to link with.
export CARGO_BUILD_TARGET=$host
export RUSTFLAGS="--cfg fuzzing -Cdebug-assertions -Coverflow-checks -Cpasses=sancov-module \
-Cllvm-args=-sanitizer-coverage-level=4 -Cllvm-args=-sanitizer-coverage-inline-8bit-counters \
-Cllvm-args=-sanitizer-coverage-pc-table -Cllvm-args=-sanitizer-coverage-trace-compares"
# Without --locked: a dependency that samocode itself has since added is no reason not to fuzz.
cargo build --quiet --bins

# Prints what came of one target; fails if an input did.
fuzz() {
    local target=$1 seeds=("seeds/$1") log=artifacts/$1.log
    mkdir -p "corpus/$target" "artifacts/$target"
    [[ $target == stream ]] && seeds=(../tests/fixtures/{claude,codex,gemini})
    if "target/$host/debug/$target" "corpus/$target" "${seeds[@]}" -max_total_time="$seconds" \
        -timeout=10 -rss_limit_mb=1024 -artifact_prefix="artifacts/$target/" >"$log" 2>&1; then
        echo "$target: $(grep -a '^Done ' "$log")"
    else
        echo "$target failed; all of the output is in fuzz/$log"
        tail -n 20 "$log"
        return 1
    fi
}

# As many at a time as there are processors.
code=0
for target in "${targets[@]}"; do
    while (($(jobs -rp | wc -l) >= $(nproc))); do
        wait -n || code=1
    done
    fuzz "$target" &
done
while [[ -n $(jobs -p) ]]; do
    wait -n || code=1
done
exit "$code"
