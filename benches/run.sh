#!/usr/bin/env bash
# Builds the released binary and prints the table of figures with what it
# measured beside what is to be reached (benches/README.md).
#
#   benches/run.sh             all; the figures under systemd need root, for the lab
#   benches/run.sh --no-lab    without those
#
# It installs nothing. Folders: target/benches, target/bench-lab, /dev/shm.
set -euo pipefail

here=$(dirname "$(realpath "${BASH_SOURCE[0]}")")
repo=$(realpath "$here/..")
export CARGO_TARGET_DIR=${CARGO_TARGET_DIR:-$repo/target}
target=$CARGO_TARGET_DIR

with_lab=yes
case ${1:-} in
"") ;;
--no-lab) with_lab= ;;
*)
    sed -n '2,/^set /{/^#/s/^# \{0,1\}//p}' "${BASH_SOURCE[0]}" >&2
    exit 2
    ;;
esac

missing=
for program in cargo git; do
    command -v "$program" >/dev/null || missing+=" $program"
done
if [[ -n $missing ]]; then
    echo "benches/run.sh: needs$missing: install it first" >&2
    exit 1
fi
notes=()
command -v strace >/dev/null || notes+=("without strace fsyncs are not counted")

echo "benches/run.sh: building, which takes minutes" >&2
# The same once more with its symbols, which say what takes how much of it.
symbols=$target/benches/with-symbols
mkdir -p "$target/benches"
(cd "$repo" && cargo rustc --release --quiet --bin samocode -- -C strip=none)
cp "$target/release/samocode" "$symbols"
(cd "$repo" && cargo build --release --quiet)
(cd "$here" && CARGO_TARGET_DIR=$target/benches cargo build --release --quiet)
samocode=$target/release/samocode
figures=$target/benches/release/figures
agent=$target/benches/release/bench-agent
disk=$target/benches/disk
mkdir -p "$disk"

load=$(cut -d' ' -f1 /proc/loadavg)
cores=$(nproc)
echo "$cores cores, Linux $(uname -r | cut -d- -f1), $(df --output=fstype "$disk" | tail -1), load before: $load."
awk -v load="$load" -v cores="$cores" 'BEGIN { exit !(load > cores / 2) }' &&
    notes+=("the machine was busy: times are longer than they would be")
echo
echo "| figure | to reach | measured: median (min – max) | reached |"
echo "|---|---|---|---|"
"$figures" here "$samocode" "$agent" "$disk"

# Code and data by the crate that the symbol is of: in generic code the crate of the type it was
# made for, as far as the name says. What has no symbol (strings, tables, relocations) is left over.
sizes() {
    nm --print-size --demangle --defined-only "$symbols" | awk -v size="$(stat -c %s "$samocode")" '
        function crate(name) {
            if (name !~ /::/) {
                if (name ~ /^_?ring_core|^(bn_|p256|ecp_nistz|aes_|chacha|poly1305|sha|gcm_|x25519|fiat_)/)
                    return "ring"
                return "libgit2, and what else is C"
            }
            if (match(name, /drop_in_place</)) name = substr(name, RSTART + RLENGTH)
            # <T as TRAIT>::METHOD says nothing but its trait.
            sub(/^<([A-Z][A-Za-z0-9]*|str|char|bool|[iuf](8|16|32|64|128|size)) as /, "", name)
            while (sub(/^(<|&|\(|\[|\*|mut |const |dyn |impl )/, "", name)) {}
            match(name, /^[A-Za-z0-9_]+/)
            name = substr(name, 1, RLENGTH)
            return name ~ /^(core|alloc|std)$/ ? "std" : name
        }
        $3 ~ /^[tTrRdD]$/ && !seen[$1]++ {
            bytes = hex($2)
            at = crate(substr($0, index($0, $4)))
            sum[at] += bytes
            all += bytes
        }
        function hex(text,   at, number) {
            for (at = 1; at <= length(text); at++)
                number = number * 16 + index("0123456789abcdef", substr(text, at, 1)) - 1
            return number
        }
        END {
            for (at in sum) printf "%d %s\n", sum[at], at
            printf "%d %s\n", size - all, "without a symbol"
        }' | sort -rn | awk '
        NR <= 14 { bytes = $1; $1 = ""; printf "| — of it%s |  | %.0f KiB |  |\n", $0, bytes / 1024; next }
        { rest += $1; others++ }
        END { printf "| — of it %d others |  | %.0f KiB |  |\n", others, rest / 1024 }'
}
if command -v nm >/dev/null; then
    sizes
else
    notes+=("without nm (binutils) the binary is not taken apart")
fi

# Real systemd, in the lab, with the released binary and no other.
lab() {
    CARGO_TARGET_DIR=$target/bench-lab "$repo/tests/lab/shell" "$@"
}

units() {
    mkdir -p "$target/bench-lab/release"
    ln -f "$samocode" "$target/bench-lab/release/samocode"
    lab start || return
    local inside
    inside=$(lab path)/srv/lab/dev
    cp "$figures" "$agent" "$inside/"
    local result=0
    lab -- /srv/lab/dev/figures units /opt/samocode/bin/samocode \
        /srv/lab/dev/bench-agent /srv/lab/dev || result=$?
    lab stop
    return "$result"
}

if [[ -z $with_lab ]]; then
    notes+=("the figures under systemd were left out")
elif [[ $EUID -ne 0 ]]; then
    notes+=("the figures under systemd need root, for the lab")
elif ! units; then
    notes+=("the lab did not work: the figures under systemd are missing")
fi
for note in "${notes[@]}"; do
    echo
    echo "Note: $note."
done
