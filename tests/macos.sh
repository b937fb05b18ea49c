#!/usr/bin/env bash
# Type-checks and lints the crate for macOS, on Linux:
#
#   ./tests/macos.sh
#
# Needs no Mac and no rustup target: Debian's newer Rust brings the source of the standard
# library, and the C that some crates compile is replaced by empty files, since nothing is linked.
# A type check says nothing about behavior. Installs the packages when it can (as root, with
# apt-get); where it cannot, prints SKIPPED and why, which is a failure with CI=true.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

packages=(rustc-web rust-web-src cargo-web rust-web-clippy)
target=aarch64-apple-darwin
tools=$PWD/tests/.cache/macos
# Beside the other builds, so that `cargo clean` removes it too.
build=${CARGO_TARGET_DIR:-$PWD/target}/macos

skip() {
    echo "SKIPPED: the check for macOS: $*"
    [[ ${CI:-} != true ]] || exit 1
    # As automake has it, and run.sh.
    exit 77
}

# Whether Debian's Rust is new enough for the crate. In Debian 12, only the one in the security
# updates is.
is_new_enough() {
    local wanted has
    wanted=$(sed -n 's/^rust-version = "\(.*\)"$/\1/p' Cargo.toml)
    has=$(/usr/bin/rustc --version | cut -d ' ' -f 2)
    [[ $(printf '%s\n' "$wanted" "$has" | sort -V | head -n 1) == "$wanted" ]]
}

has_rust() {
    [[ -x /usr/bin/cargo && -x /usr/bin/cargo-clippy && -x /usr/bin/rustc ]] &&
        [[ -d $(/usr/bin/rustc --print sysroot)/lib/rustlib/src/rust/library ]]
}

if ! has_rust; then
    if [[ $EUID -ne 0 ]] || ! command -v apt-get >/dev/null; then
        skip "needs ${packages[*]} (to install them: root and apt-get)"
    fi
    echo "-- installing ${packages[*]} (about 700 MB)"
    apt-get update -qq || true
    DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends --no-remove \
        "${packages[@]}" >/dev/null || skip "${packages[*]} cannot be installed"
    has_rust || skip "${packages[*]} bring no source of the standard library"
fi
is_new_enough ||
    skip "Debian's $(/usr/bin/rustc --version) is too old; the security updates of Debian 12 have a newer one"

# A compiler that writes an empty file to the path after -o, and an archiver that creates the archive.
mkdir -p "$tools"
cat >"$tools/cc" <<'CC'
#!/bin/sh
while [ $# -gt 0 ]; do
    if [ "$1" = -o ]; then
        : >"$2"
        shift
    fi
    shift
done
CC
cat >"$tools/ar" <<'AR'
#!/bin/sh
for word; do
    case $word in *.a) : >"$word" ;; esac
done
AR
chmod +x "$tools/cc" "$tools/ar"

# The source of the standard library may only be built by a compiler that takes unstable options.
# cargo looks for its subcommands in ~/.cargo/bin first, where they are rustup's.
env -u RUSTUP_TOOLCHAIN -u RUSTFLAGS CARGO=/usr/bin/cargo \
    PATH=/usr/bin:/bin RUSTC=/usr/bin/rustc RUSTC_BOOTSTRAP=1 SDKROOT="$tools" \
    CARGO_TARGET_DIR="$build" CC_aarch64_apple_darwin="$tools/cc" \
    AR_aarch64_apple_darwin="$tools/ar" \
    /usr/bin/cargo-clippy clippy --locked -Zbuild-std=std,panic_abort --target "$target" -- -D warnings
