#!/usr/bin/env bash
# Makes a release archive, from which install.sh installs where there is no Rust.
#
#   ./release.sh                  builds, then writes dist/samocode-VERSION-ARCH-OS.tar.gz
#   ./release.sh --deb            the same, and a Debian package
#   ./release.sh --binary FILE    packs this program instead of building one
#   ./release.sh --into DIR       writes there instead of into dist/
#
# Beside the archive goes its SHA-256, which install.sh checks, and what the program consists of
# (CycloneDX). The program itself has that list, too: cargo audit bin samocode reads it. The same
# commit, compiler and linker give the same bytes, wherever it is built: ./reproduce.sh shows it.
set -euo pipefail

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)

die() {
    echo "release.sh: $*" >&2
    exit 1
}

binary=
deb=false
into=$here/dist
while [[ $# -gt 0 ]]; do
    case $1 in
    --deb) deb=true ;;
    --binary | --into)
        [[ -n ${2:-} ]] || die "$1 needs a path"
        printf -v "${1#--}" %s "$2"
        shift
        ;;
    -h | --help)
        sed -n '2,/^set /{/^#/s/^# \{0,1\}//p;}' "${BASH_SOURCE[0]}"
        exit 0
        ;;
    *) die "unknown option '$1', see ./release.sh --help" ;;
    esac
    shift
done

# The time of the commit stands for that of the build.
export SOURCE_DATE_EPOCH=${SOURCE_DATE_EPOCH:-$(git -C "$here" log -1 --format=%ct 2>/dev/null || echo 0)}
export LC_ALL=C TZ=UTC

temporary=$(mktemp -d)
trap 'rm -rf "$temporary"' EXIT
bom=
if [[ -z $binary ]]; then
    command -v python3 >/dev/null || die "python3 is missing, for the list of what is built"
    # Where the sources are is no part of the program. By a wrapper, since cargo would make other
    # names of other RUSTFLAGS.
    target=${CARGO_TARGET_DIR:-$here/target}
    wrapper=$target/rustc-for-a-release
    mkdir -p "$target"
    cat >"$wrapper" <<WRAPPER
#!/bin/sh
exec "\$@" --remap-path-prefix='$here=/samocode' \\
    --remap-path-prefix='${CARGO_HOME:-$HOME/.cargo}=/cargo' --remap-path-prefix='$(rustc --print sysroot)=/rust'
WRAPPER
    chmod 755 "$wrapper"
    (cd "$here" && RUSTC_WRAPPER=$wrapper cargo build --release --locked --bin samocode) ||
        die "the build failed"
    binary=$temporary/samocode.built
    cp "$target/release/samocode" "$binary"
    bom=$temporary/bom
    "$here/sbom.py" bom >"$bom" || die "the list of what is built cannot be made"
    if [[ $(uname -s) == Linux ]]; then
        command -v objcopy >/dev/null || die "objcopy is missing: install binutils"
        "$here/sbom.py" section >"$temporary/section" || die "the list for the program cannot be made"
        objcopy --add-section ".dep-v0=$temporary/section" "$binary" || die "objcopy failed"
    fi
fi
version=$("$binary" --version) || die "cannot run $binary --version"
version=${version##* }
name=samocode-$version-$(uname -m)-$(uname -s | tr '[:upper:]' '[:lower:]')

root=$temporary/$name
mkdir -p "$root/units" "$into"
cp "$binary" "$root/samocode"
chmod 755 "$root/samocode"
cp "$here/install.sh" "$here/LICENSE" "$here/README.md" "$here/CHANGELOG.md" "$root/"
cp "$here/units/samocode.catalog" "$root/units/"
cp -R "$here/plugin" "$here/.claude-plugin" "$here/agents" "$root/"
# Beside the archive first and then renamed: never half of one.
# bsdtar cannot order what it packs.
options=()
tar --version | grep -q GNU &&
    options=(--sort=name --mtime="@$SOURCE_DATE_EPOCH" --owner=0 --group=0 --numeric-owner
        "--mode=go=rX,u+rw")
tar -c ${options[@]+"${options[@]}"} -C "$temporary" "$name" | gzip -9n >"$into/.$name.tar.gz"
mv "$into/.$name.tar.gz" "$into/$name.tar.gz"
(cd "$into" && { sha256sum "$name.tar.gz" 2>/dev/null || shasum -a 256 "$name.tar.gz"; } >"$name.tar.gz.sha256")
echo "release.sh: wrote $into/$name.tar.gz"
if [[ -n $bom ]]; then
    cp "$bom" "$into/$name.cdx.json"
    echo "release.sh: wrote $into/$name.cdx.json"
fi

# ---- a Debian package ------------------------------------------------------------

# The oldest glibc that the program runs with. Short relocations, which build.rs uses where it can,
# have a name of their own and came with 2.36.
glibc() {
    {
        grep -ao 'GLIBC_2\.[0-9]*' "$binary"
        ! grep -aq GLIBC_ABI_DT_RELR "$binary" || echo GLIBC_2.36
    } | sort -uV | tail -n 1 | cut -d _ -f 2
}

make_deb() {
    local tree=$temporary/deb arch file
    arch=$(dpkg --print-architecture)
    mkdir -p "$tree/DEBIAN"
    place() { install -D -m "$1" "$2" "$tree/$3"; }
    place 755 "$binary" usr/bin/samocode
    "$binary" man --dir "$temporary/man" >/dev/null
    for file in "$temporary"/man/*.1; do
        gzip -9n "$file"
        place 644 "$file.gz" "usr/share/man/man1/$(basename "$file").gz"
    done
    for shell in bash zsh fish; do
        "$binary" completions "$shell" >"$temporary/$shell"
    done
    place 644 "$temporary/bash" usr/share/bash-completion/completions/samocode
    place 644 "$temporary/zsh" usr/share/zsh/vendor-completions/_samocode
    place 644 "$temporary/fish" usr/share/fish/vendor_completions.d/samocode.fish
    place 644 "$here/units/samocode.catalog" usr/lib/systemd/catalog/samocode.catalog
    place 644 "$here/LICENSE" usr/share/doc/samocode/copyright
    place 644 "$here/README.md" usr/share/doc/samocode/README.md
    gzip -9nc "$here/CHANGELOG.md" >"$temporary/changelog.gz"
    place 644 "$temporary/changelog.gz" usr/share/doc/samocode/changelog.gz
    cat >"$tree/DEBIAN/control" <<CONTROL
Package: samocode
Version: $version
Architecture: $arch
Maintainer: The samocode authors <samocode@localhost>
Section: utils
Priority: optional
Depends: libc6 (>= $(glibc)), git
Recommends: dbus-user-session, libpam-systemd
Installed-Size: $(du -sk "$tree/usr" | cut -f 1)
Description: runs coding agents unattended, supervised by systemd
 Each session is a task with a folder of plain files, a git worktree and a unit.
 It works for hours or days, waits for answers and for the approval of its plan,
 and resumes after crashes, reboots and usage limits.
CONTROL
    # The explanations of journalctl -x; systemd has no trigger for them.
    for file in postinst postrm; do
        printf '#!/bin/sh\ncommand -v journalctl >/dev/null && journalctl --update-catalog >/dev/null 2>&1\nexit 0\n' >"$tree/DEBIAN/$file"
        chmod 755 "$tree/DEBIAN/$file"
    done
    dpkg-deb --root-owner-group --build "$tree" "$temporary/samocode.deb" >/dev/null
    mv "$temporary/samocode.deb" "$into/samocode_${version}_$arch.deb"
    echo "release.sh: wrote $into/samocode_${version}_$arch.deb"
}

if $deb; then
    command -v dpkg-deb >/dev/null || die "dpkg-deb is missing; a package is made on Debian"
    make_deb
fi
