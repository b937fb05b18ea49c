#!/usr/bin/env bash
# Builds samocode and installs it. Doing it again brings it up to date.
#
#   ./install.sh                  into /usr/local as root, else into ~/.local
#   ./install.sh --demo           the same, then plays a whole session
#   ./install.sh --prefix DIR     into DIR/bin and DIR/share
#   ./install.sh --binary FILE    installs this program instead of building one
#   ./install.sh --uninstall      takes away what it installed; sessions stay
#   ./install.sh --help
#
# Needs Rust 1.89 or later. Other things that are missing are installed with
# apt-get where that is possible: as root, or with a sudo that asks nothing.
set -euo pipefail

here=$(dirname "$(realpath "${BASH_SOURCE[0]}")")

say() {
    echo "install.sh: $*"
}

die() {
    echo "install.sh: $*" >&2
    exit 1
}

usage() {
    sed -n '2,/^set /{/^#/s/^# \{0,1\}//p}' "${BASH_SOURCE[0]}"
}

# ---- what is asked ----------------------------------------------------------

demo=false
uninstall=false
prefix=
binary=
while [[ $# -gt 0 ]]; do
    case $1 in
    --demo) demo=true ;;
    --uninstall) uninstall=true ;;
    --prefix | --binary)
        [[ -n ${2:-} ]] || die "$1 needs a path: see ./install.sh --help"
        printf -v "${1#--}" %s "$(realpath -m -- "$2")"
        shift
        ;;
    --prefix=?* | --binary=?*)
        option=${1%%=*}
        printf -v "${option#--}" %s "$(realpath -m -- "${1#*=}")"
        ;;
    -h | --help)
        usage
        exit 0
        ;;
    *)
        echo "install.sh: there is no option '$1': see ./install.sh --help" >&2
        exit 2
        ;;
    esac
    shift
done
if [[ -z $prefix ]]; then
    if [[ $EUID -eq 0 ]]; then
        prefix=/usr/local
    else
        prefix=${HOME:?install.sh: HOME is not set: say where with --prefix DIR}/.local
    fi
fi

program=$prefix/bin/samocode
bash_completion=$prefix/share/bash-completion/completions/samocode
zsh_completion=$prefix/share/zsh/site-functions/_samocode
fish_completion=$prefix/share/fish/vendor_completions.d/samocode.fish
doc=$prefix/share/doc/samocode
# journalctl --update-catalog reads catalogs in /usr/lib and /usr/local/lib only.
catalog=lib/systemd/catalog/samocode.catalog

# ---- Debian packages ----------------------------------------------------------

can_compile() {
    echo '#include <stdlib.h>
int main(void) { return EXIT_SUCCESS; }' | cc -x c -o /dev/null - 2>/dev/null
}

# Without these nothing works.
required_packages() {
    command -v git >/dev/null || echo git
    if [[ -z $binary ]]; then
        can_compile || printf '%s\n' gcc libc6-dev
        [[ -e /etc/ssl/certs/ca-certificates.crt ]] || echo ca-certificates
    fi
}

# Where systemd runs: these bring each user a service manager and a bus.
unit_packages() {
    [[ -d /run/systemd/system ]] || return 0
    compgen -G '/lib/*/security/pam_systemd.so' >/dev/null ||
        [[ -e /lib/security/pam_systemd.so ]] || echo libpam-systemd
    [[ -e /usr/lib/systemd/user/dbus.socket ]] || echo dbus-user-session
}

# Prints nothing where it needs nothing, fails where it cannot.
as_root() {
    if [[ $EUID -eq 0 ]]; then
        "$@"
    elif command -v sudo >/dev/null && sudo -n true 2>/dev/null; then
        sudo -n "$@"
    else
        return 1
    fi
}

install_packages() {
    command -v apt-get >/dev/null && as_root true || return 1
    say "installing with apt-get: $*"
    as_root apt-get update -qq &&
        as_root env DEBIAN_FRONTEND=noninteractive \
            apt-get install -y -qq --no-install-recommends "$@" >/dev/null &&
        say "installed: $*"
}

ensure_packages() {
    local required units
    mapfile -t required < <(required_packages)
    mapfile -t units < <(unit_packages)
    [[ $((${#required[@]} + ${#units[@]})) -gt 0 ]] || return 0
    install_packages "${required[@]}" "${units[@]}" && return
    [[ ${#required[@]} -eq 0 ]] ||
        die "missing, and cannot be installed from here: ${required[*]}; install them, as in: sudo apt-get install ${required[*]}"
    say "missing, and cannot be installed from here: ${units[*]}; samocode run works without them"
}

# ---- the program --------------------------------------------------------------

find_cargo() {
    local cargo version wanted
    wanted=$(sed -n 's/^rust-version = "\(.*\)"/\1/p' "$here/Cargo.toml")
    if command -v cargo >/dev/null; then
        cargo=cargo
    elif [[ -x ${CARGO_HOME:-$HOME/.cargo}/bin/cargo ]]; then
        cargo=${CARGO_HOME:-$HOME/.cargo}/bin/cargo
        PATH=$(dirname "$cargo"):$PATH
    else
        die "Rust is missing, samocode needs $wanted or later: https://rustup.rs installs it; then run ./install.sh again${SUDO_USER:+ (or build it as $SUDO_USER, and use --binary)}"
    fi
    version=$("$cargo" --version | cut -d ' ' -f 2) ||
        die "$cargo does not start: rustup default stable may mend it"
    printf '%s\n' "$wanted" "$version" | sort -V -C ||
        die "$cargo is $version, samocode needs $wanted or later: rustup update stable brings it, or https://rustup.rs"
}

build() {
    local target=${CARGO_TARGET_DIR:-$here/target}
    say "building in $target (a first build takes some minutes)"
    (cd "$here" && cargo build --release --locked --quiet --bin samocode --target-dir "$target")
    binary=$target/release/samocode
}

# FROM TO MODE: whole or not at all, by a rename, so that a worker that runs
# keeps the program it was started from. Says so when something changed.
place() {
    local from=$1 to=$2 mode=$3 temporary
    if cmp -s "$from" "$to"; then
        return
    fi
    if ! { mkdir -p "$(dirname "$to")" && temporary=$(mktemp "$to.XXXXXX"); } 2>/dev/null; then
        die "cannot write to $(dirname "$to"): use --prefix DIR, or sudo"
    fi
    # A temporary file must not stay behind in a folder of programs.
    if cp "$from" "$temporary" && chmod "$mode" "$temporary" && mv -f "$temporary" "$to"; then
        say "installed $to"
    else
        rm -f "$temporary"
        die "cannot write $to"
    fi
}

place_completions() {
    local made
    made=$(mktemp -d)
    if "$program" completions bash >"$made/bash" 2>/dev/null &&
        "$program" completions zsh >"$made/zsh" 2>/dev/null &&
        "$program" completions fish >"$made/fish" 2>/dev/null; then
        place "$made/bash" "$bash_completion" 644
        place "$made/zsh" "$zsh_completion" 644
        place "$made/fish" "$fish_completion" 644
    else
        say "this samocode makes no completions"
    fi
    rm -rf "$made"
}

# What journalctl -x explains samocode's messages with: no user has a place of
# their own for that.
is_for_catalogs() {
    [[ $EUID -eq 0 && ($prefix == /usr || $prefix == /usr/local) ]]
}

update_catalogs() {
    # Where there is no journal there may be no folder for the index.
    journalctl --update-catalog >/dev/null 2>&1 ||
        say "journalctl --update-catalog failed: journalctl -x does not know of the change yet"
}

place_catalog() {
    command -v journalctl >/dev/null || return 0
    local from=$here/units/samocode.catalog
    if is_for_catalogs; then
        cmp -s "$from" "$prefix/$catalog" && return
        place "$from" "$prefix/$catalog" 644
        update_catalogs
    elif ! cmp -s "$from" "/usr/local/$catalog" && ! cmp -s "$from" "/usr/$catalog"; then
        say "for explanations in journalctl -x, as root: install -D -m 644 $(printf %q "$from") /usr/local/$catalog && journalctl --update-catalog"
    fi
}

remove_catalog() {
    local file
    if is_for_catalogs && [[ -e $prefix/$catalog ]]; then
        rm -f "$prefix/$catalog" || die "cannot remove $prefix/$catalog"
        say "removed $prefix/$catalog"
        found=true
        ! command -v journalctl >/dev/null || update_catalogs
        return
    fi
    for file in "/usr/local/$catalog" "/usr/$catalog"; do
        [[ ! -e $file ]] ||
            say "$file is left, for any other samocode here; as root: rm $file && journalctl --update-catalog"
    done
}

is_on_path() {
    [[ :$PATH: == *:"$prefix/bin":* ]]
}

install_all() {
    [[ -z $binary || -x $binary ]] || die "$binary is no program: --binary wants one that is built"
    [[ -n $binary ]] || find_cargo
    ensure_packages
    [[ -n $binary ]] || build
    local version before=none
    version=$("$binary" --version) || die "$binary does not start"
    [[ ! -e $program ]] || before=$(cksum <"$program")
    place "$binary" "$program" 755
    place_completions
    place "$here/LICENSE" "$doc/LICENSE" 644
    place "$here/README.md" "$doc/README.md" 644
    place "$here/CHANGELOG.md" "$doc/CHANGELOG.md" 644
    place_catalog
    say "$version is in $prefix/bin"
    if [[ $before != none && $before != "$(cksum <"$program")" ]]; then
        say "sessions that run go on with the samocode they have; in a project: samocode reload --all"
    fi
    # shellcheck disable=SC2016  # to be expanded by the reader's shell
    is_on_path || say "$prefix/bin is not on PATH: add it in ~/.profile with: "'PATH='"$prefix/bin:"'$PATH'
}

# ---- taking it away -------------------------------------------------------------

uninstall_all() {
    local file units user=${XDG_CONFIG_HOME:-${HOME:-/root}/.config}/systemd/user found=false
    for file in "$program" "$bash_completion" "$zsh_completion" "$fish_completion" \
        "$doc/LICENSE" "$doc/README.md" "$doc/CHANGELOG.md"; do
        if [[ -e $file ]]; then
            rm -f "$file" || die "cannot remove $file: use sudo?"
            say "removed $file"
            found=true
        fi
    done
    [[ ! -d $doc ]] || rmdir --ignore-fail-on-non-empty "$doc"
    remove_catalog
    $found || say "nothing of samocode is in $prefix"
    for units in "$user" /etc/systemd/system; do
        compgen -G "$units/samocode*" >/dev/null || continue
        tell_units "$units"
    done
    say "sessions, worktrees, branches and ~/.config/samocode stay as they are"
}

tell_units() {
    local units=$1 scope=--user file
    [[ $units == /etc/* ]] && scope=--system
    say "units are left in $units:"
    for file in "$units"/samocode*; do
        echo "  $(basename "$file")"
    done
    say "stop and remove them with:"
    echo "  systemctl $scope stop 'samocode*'"
    echo "  rm -rf $units/samocode* $units/*.wants/samocode*"
    echo "  systemctl $scope daemon-reload"
}

# ---- all of it --------------------------------------------------------------------

if $uninstall; then
    uninstall_all
    exit
fi
install_all
if $demo; then
    exec "$program" demo
fi
