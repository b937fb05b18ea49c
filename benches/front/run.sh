#!/usr/bin/env bash
# Measures what a person at a terminal, a phone or a browser waits for: builds the
# program as it is released, and prints what was measured beside what is to be
# reached. Needs root, for the lab, and python3; the pages need Node. It fails when
# a bound is missed.
#
#   benches/front/run.sh [BINARY]      another program than the released one
set -euo pipefail

here=$(dirname "$(realpath "${BASH_SOURCE[0]}")")
repo=$(realpath "$here/../..")
export CARGO_TARGET_DIR=${CARGO_TARGET_DIR:-$repo/target}
target=$CARGO_TARGET_DIR

if [[ -n ${1:-} ]]; then
    samocode=$(realpath "$1")
else
    (cd "$repo" && cargo build --release --locked --quiet)
    samocode=$target/release/samocode
fi

# Real systemd, in the lab, with this binary and no other.
lab() {
    CARGO_TARGET_DIR=$target/bench-lab "$repo/tests/lab/shell" "$@"
}
mkdir -p "$target/bench-lab/release"
ln -f "$samocode" "$target/bench-lab/release/samocode" 2>/dev/null ||
    cp -f "$samocode" "$target/bench-lab/release/samocode"
lab start
trap 'lab stop' EXIT
cp "$here/figures.py" "$(lab path)/srv/lab/dev/"
result=0
lab -- python3 /srv/lab/dev/figures.py /opt/samocode/bin/samocode || result=1
if command -v node >/dev/null; then
    node "$here/pages.mjs" "$samocode" || result=1
else
    echo "benches/front/run.sh: without node the pages are not measured" >&2
    result=1
fi
exit "$result"
