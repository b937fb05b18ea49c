#!/usr/bin/env bash
# Shows that a release can be reproduced: builds the commit once more, in another folder and with
# nothing built before, and compares the archives byte by byte.
#
#   ./reproduce.sh                compares two such builds
#   ./reproduce.sh ARCHIVE        compares one with a release archive that release.sh made here
#   ./reproduce.sh --sources      only shows that both folders would hold the same sources
#
# Takes minutes, and needs what release.sh needs. Exit code 0: they are the same.
set -euo pipefail

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)

die() {
    echo "reproduce.sh: $*" >&2
    exit 1
}

archive=
only_sources=false
case ${1:-} in
"") ;;
--sources) only_sources=true ;;
-h | --help)
    sed -n '2,/^set /{/^#/s/^# \{0,1\}//p;}' "${BASH_SOURCE[0]}"
    exit 0
    ;;
-*) die "unknown option '$1', see ./reproduce.sh --help" ;;
*) archive=$(realpath "$1") ;;
esac

temporary=$(mktemp -d)
trap 'rm -rf "$temporary"' EXIT

# FOLDER: the sources of the commit, without anything else.
export_to() {
    mkdir -p "$1"
    git -C "$here" archive --format=tar HEAD | tar -x -C "$1"
}

# FOLDER: builds there; prints the archive.
build_in() {
    (
        cd "$1"
        unset CARGO_TARGET_DIR
        SOURCE_DATE_EPOCH=$(git -C "$here" log -1 --format=%ct)
        export SOURCE_DATE_EPOCH
        ./release.sh --into "$1/dist" >&2
    ) || die "the build in $1 failed"
    echo "$1"/dist/samocode-*.tar.gz
}

# Paths of different lengths: one that is left in the program makes them differ.
first=$temporary/a second=$temporary/another/folder
export_to "$second"
if $only_sources; then
    export_to "$first"
    diff -r "$first" "$second" >/dev/null || die "the sources differ"
    echo "reproduce.sh: the same $(find "$first" -type f | wc -l) files"
    exit 0
fi
if [[ -z $archive ]]; then
    export_to "$first"
    archive=$(build_in "$first")
fi
again=$(build_in "$second")
if cmp -s "$archive" "$again"; then
    echo "reproduce.sh: the same, $(sha256sum <"$again" | cut -d ' ' -f 1)"
    exit 0
fi
# What differs, by name.
for one in "$archive" "$again"; do
    mkdir -p "$temporary/unpacked/${one//\//_}"
    tar -xzf "$one" -C "$temporary/unpacked/${one//\//_}"
done
diff -rq "$temporary"/unpacked/* >&2 || true
die "$archive and the build in another folder differ"
