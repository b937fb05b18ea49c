#!/usr/bin/env bash
# Installs samocode: from a release archive beside this script, or built from source. Run it
# again to update.
#
#   ./install.sh                  into /usr/local as root, otherwise into ~/.local
#   ./install.sh --demo           the same, then plays a whole session
#   ./install.sh --prefix DIR     into DIR/bin and DIR/share
#   ./install.sh --binary FILE    installs this program instead of building one
#   ./install.sh --plugin         also installs the plugin for Claude Code
#   ./install.sh --uninstall      removes what it installed, but no sessions
#   ./install.sh --help
#
# To build it needs Rust 1.89 or later. On Debian, installs other missing packages with apt-get when it
# can: as root, or with a sudo that needs no password. Runs with the bash 3.2 and the tools of macOS.
set -euo pipefail

# The folder of this script, which may be started through a symbolic link.
folder_of() {
    local path=$1 link
    while [[ -L $path ]]; do
        link=$(readlink "$path")
        [[ $link == /* ]] || link=$(dirname "$path")/$link
        path=$link
    done
    cd "$(dirname "$path")" && pwd -P
}

# A path that need not exist, as an absolute one.
absolute() {
    [[ $1 == /* ]] && printf '%s\n' "$1" && return
    printf '%s\n' "$PWD/${1#./}"
}

here=$(folder_of "${BASH_SOURCE[0]}")
# Where documents come from: here, or an archive.
files=$here

say() {
    echo "install.sh: $*"
}

die() {
    echo "install.sh: $*" >&2
    exit 1
}

usage() {
    sed -n '2,/^set /{/^#/s/^# \{0,1\}//p;}' "${BASH_SOURCE[0]}"
}

# ---- the command line ----------------------------------------------------------

demo=false
plugin=false
uninstall=false
prefix=
binary=
unpacked=
while [[ $# -gt 0 ]]; do
    case $1 in
    --demo) demo=true ;;
    --plugin) plugin=true ;;
    --uninstall) uninstall=true ;;
    --prefix | --binary)
        [[ -n ${2:-} ]] || die "$1 needs a path, see ./install.sh --help"
        printf -v "${1#--}" %s "$(absolute "$2")"
        shift
        ;;
    --prefix=?* | --binary=?*)
        option=${1%%=*}
        printf -v "${option#--}" %s "$(absolute "${1#*=}")"
        ;;
    -h | --help)
        usage
        exit 0
        ;;
    *)
        echo "install.sh: unknown option '$1', see ./install.sh --help" >&2
        exit 2
        ;;
    esac
    shift
done
if [[ -z $prefix ]]; then
    if [[ $EUID -eq 0 ]]; then
        prefix=/usr/local
    else
        prefix=${HOME:?install.sh: HOME is not set; choose a folder with --prefix DIR}/.local
    fi
fi

program=$prefix/bin/samocode
bash_completion=$prefix/share/bash-completion/completions/samocode
zsh_completion=$prefix/share/zsh/site-functions/_samocode
fish_completion=$prefix/share/fish/vendor_completions.d/samocode.fish
manual=$prefix/share/man/man1
doc=$prefix/share/doc/samocode
# journalctl --update-catalog reads catalogs in /usr/lib and /usr/local/lib only.
catalog=lib/systemd/catalog/samocode.catalog

is_macos() {
    [[ $(uname -s) == Darwin ]]
}

# ---- Debian packages ----------------------------------------------------------

can_compile() {
    echo '#include <stdlib.h>
int main(void) { return EXIT_SUCCESS; }' | cc -x c -o /dev/null - 2>/dev/null
}

# Nothing works without these.
required_packages() {
    command -v git >/dev/null || echo git
    if [[ -z $binary ]]; then
        can_compile || printf '%s\n' gcc libc6-dev
        is_macos || [[ -e /etc/ssl/certs/ca-certificates.crt ]] || echo ca-certificates
    fi
}

# Where systemd runs, these give each user a service manager and a bus.
unit_packages() {
    [[ -d /run/systemd/system ]] || return 0
    compgen -G '/lib/*/security/pam_systemd.so' >/dev/null ||
        [[ -e /lib/security/pam_systemd.so ]] || echo libpam-systemd
    [[ -e /usr/lib/systemd/user/dbus.socket ]] || echo dbus-user-session
}

# Fails where it cannot become root without a password.
as_root() {
    if [[ $EUID -eq 0 ]]; then
        "$@"
    elif command -v sudo >/dev/null && sudo -n true 2>/dev/null; then
        sudo -n "$@"
    else
        return 1
    fi
}

# The command of Debian that installs these, for a person to paste.
apt_command() {
    if [[ $EUID -eq 0 ]]; then
        echo "apt-get install $*"
    elif command -v sudo >/dev/null; then
        echo "sudo apt-get install $*"
    else
        echo "su -c 'apt-get install $*'"
    fi
}

# Says what apt expects to download and to use.
apt_size() {
    LC_ALL=C apt-get install --assume-no --no-install-recommends "$@" 2>/dev/null |
        sed -n -e 's/^Need to get \(.*\) of archives.*/install.sh: \1 to download/p' \
            -e 's/^After this operation, \(.*\) of additional.*/install.sh: \1 on the disk/p' || true
}

# LOG COMMAND…: shows the output only if the command fails.
quietly() {
    local log=$1
    shift
    "$@" >"$log" 2>&1 && return
    tail -n 20 "$log" >&2
    return 1
}

install_packages() {
    local log code=0
    command -v apt-get >/dev/null && as_root true || return 1
    say "installing packages with apt-get: $*"
    log=$(mktemp)
    quietly "$log" as_root apt-get update || code=$?
    if [[ $code -eq 0 ]]; then
        apt_size "$@"
        quietly "$log" as_root env DEBIAN_FRONTEND=noninteractive \
            apt-get install -y --no-install-recommends "$@" || code=$?
    fi
    rm -f "$log"
    [[ $code -ne 0 ]] || say "installed packages: $*"
    return "$code"
}

ensure_packages() {
    local required units
    # Names of packages, so they may be split at spaces.
    required=$(required_packages | tr '\n' ' ')
    required=${required% }
    units=$(unit_packages | tr '\n' ' ')
    units=${units% }
    [[ -n $required$units ]] || return 0
    ! is_macos ||
        die "missing: $required; install the command line tools, then run ./install.sh again: xcode-select --install"
    # shellcheck disable=SC2086
    install_packages $required $units && return
    # shellcheck disable=SC2086
    [[ -z $required ]] ||
        die "missing packages: $required; install them, then run ./install.sh again: $(apt_command $required)"
    # shellcheck disable=SC2086
    say "missing packages: $units; without them only samocode run works, in the foreground; install them with: $(apt_command $units)"
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
        die "Rust is missing; samocode needs $wanted or later. Install it from https://rustup.rs, then run ./install.sh again${SUDO_USER:+ (or build as $SUDO_USER and use --binary)}"
    fi
    version=$("$cargo" --version | cut -d ' ' -f 2) ||
        die "cannot run $cargo; if it belongs to rustup, try: rustup default stable"
    printf '%s\n' "$wanted" "$version" | sort -V -C ||
        die "$cargo is $version; samocode needs $wanted or later: run rustup update stable, or install Rust from https://rustup.rs"
}

# A program that is built already: beside this script, as in an unpacked release, or in
# the newest archive for this machine beside it.
find_release() {
    local archive machine sum
    if [[ -x $here/samocode && -f $here/samocode ]]; then
        binary=$here/samocode
        return
    fi
    machine=$(uname -m)-$(uname -s | tr '[:upper:]' '[:lower:]')
    archive=$(compgen -G "$here/samocode-*-$machine.tar.gz" | sort -V | tail -n 1) || return 0
    [[ -n $archive ]] || return 0
    if [[ -e $archive.sha256 ]]; then
        sum=$(sha256sum "$archive" 2>/dev/null || shasum -a 256 "$archive")
        [[ ${sum%% *} == "$(cut -d ' ' -f 1 <"$archive.sha256")" ]] ||
            die "$archive does not match $archive.sha256; download it again"
    fi
    unpacked=$(mktemp -d)
    trap 'rm -rf "$unpacked"' EXIT
    tar -xzf "$archive" -C "$unpacked" || die "cannot unpack $archive"
    binary=$(compgen -G "$unpacked/*/samocode") || die "$archive does not contain the samocode program"
    files=$(dirname "$binary")
    say "installing from $archive"
}

build() {
    local target=${CARGO_TARGET_DIR:-$here/target}
    say "building in $target; the first build takes a few minutes and 400 MB"
    (cd "$here" && cargo build --release --locked --bin samocode --target-dir "$target") ||
        die "the build failed; nothing was installed"
    binary=$target/release/samocode
}

# FROM TO MODE: all or nothing, by a rename, so that a running worker keeps the
# program it was started from. Reports only what changed.
place() {
    local from=$1 to=$2 mode=$3 temporary
    if cmp -s "$from" "$to"; then
        return
    fi
    if ! { mkdir -p "$(dirname "$to")" && temporary=$(mktemp "$to.XXXXXX"); } 2>/dev/null; then
        die "cannot write to $(dirname "$to"); choose another folder with --prefix DIR, or run this as root"
    fi
    # Leaves no temporary file in a folder of programs.
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
        say "this samocode has no completions"
    fi
    rm -rf "$made"
}

manual_sum() {
    { cat "$manual"/samocode*.1 2>/dev/null || true; } | cksum
}

place_manual() {
    local made page before
    made=$(mktemp -d)
    before=$(manual_sum)
    # One that is older than this script has none.
    if "$program" man --dir "$made" >/dev/null 2>&1; then
        for page in "$made"/samocode*.1; do
            [[ ! -e $page ]] || place "$page" "$manual/$(basename "$page")" 644 >/dev/null
        done
    fi
    rm -rf "$made"
    [[ $before == "$(manual_sum)" ]] ||
        say "installed the manual pages in $manual: man samocode"
}

# What a person has to do themselves for completion in zsh and for Claude Code.
say_what_is_left() {
    local folder
    folder=$(dirname "$zsh_completion")
    # shellcheck disable=SC2016  # to be expanded by zsh and by the reader's shell
    if command -v zsh >/dev/null && ! zsh -fc 'print -l $fpath' | grep -qxF "$folder"; then
        say "zsh completes samocode once this line is in ~/.zshrc, above compinit: fpath=($folder "'$fpath)'
    fi
    command -v claude >/dev/null || ! $plugin ||
        say "the plugin was not installed: claude is not on PATH"
    if command -v claude >/dev/null && [[ ! -d $here/plugin ]]; then
        say "the plugin for Claude Code is in the archive: unpack it and run its install.sh --plugin"
    elif command -v claude >/dev/null; then
        name_foreign
        if $plugin; then
            place_plugin
        else
            say "to start and watch sessions from Claude Code: claude plugin marketplace add $(printf %q "$here") && claude plugin install samocode@samocode"
        fi
    fi
}

# Claude Code keeps a copy of its own, so an update has to be asked for.
place_plugin() {
    local log code=0
    log=$(mktemp)
    quietly "$log" claude plugin marketplace add "$here" || code=$?
    [[ $code -ne 0 ]] || quietly "$log" claude plugin install samocode@samocode || code=$?
    rm -f "$log"
    [[ $code -eq 0 ]] || die "Claude Code did not accept the plugin; samocode itself is installed"
    say "installed the plugin for Claude Code: /samocode:enable, or \"run samocode on this\""
}

# Skills, commands and agents of the user's with the names of ours, as the Python
# samocode installed them: theirs, so they stay.
name_foreign() {
    local own=${CLAUDE_CONFIG_DIR:-${HOME:-/root}/.claude} from name theirs=
    for from in "$here"/plugin/skills/*/ "$here"/plugin/commands/*.md "$here"/agents/*.md; do
        name=$(basename "$(dirname "$from")")/$(basename "$from")
        [[ ! -e $own/$name && ! -L $own/$name ]] || theirs+=" $name"
    done
    [[ -z $theirs ]] ||
        say "these in $own are not part of samocode's plugin and were left alone:$theirs; Claude Code lists them beside the plugin's, which begin with samocode:"
}

# The explanations that journalctl -x shows. There is no folder for those of a
# single user.
is_for_catalogs() {
    [[ $EUID -eq 0 && ($prefix == /usr || $prefix == /usr/local) ]]
}

update_catalogs() {
    # Without a journal there may be no folder for the index.
    journalctl --update-catalog >/dev/null 2>&1 ||
        say "journalctl --update-catalog failed, so journalctl -x does not show the change yet"
}

place_catalog() {
    command -v journalctl >/dev/null || return 0
    local from=$files/units/samocode.catalog
    if is_for_catalogs; then
        cmp -s "$from" "$prefix/$catalog" && return
        place "$from" "$prefix/$catalog" 644
        update_catalogs
    elif [[ $files == "$here" ]] && ! cmp -s "$from" "/usr/local/$catalog" && ! cmp -s "$from" "/usr/$catalog"; then
        say "to make journalctl -x explain samocode's messages, run as root: install -D -m 644 $(printf %q "$from") /usr/local/$catalog && journalctl --update-catalog"
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
            say "$file was left in place for other users of samocode; to remove it, as root: rm $file && journalctl --update-catalog"
    done
}

is_on_path() {
    [[ :$PATH: == *:"$prefix/bin":* ]]
}

install_all() {
    [[ -n $binary ]] || find_release
    [[ -z $binary || -x $binary ]] || die "$binary is not an executable file; --binary needs a samocode that is already built"
    [[ -n $binary ]] || find_cargo
    ensure_packages
    [[ -n $binary ]] || build
    local version before=none
    version=$("$binary" --version) || die "cannot run $binary --version"
    [[ ! -e $program ]] || before=$(cksum <"$program")
    place "$binary" "$program" 755
    place_completions
    place_manual
    place "$files/LICENSE" "$doc/LICENSE" 644
    place "$files/README.md" "$doc/README.md" 644
    place "$files/CHANGELOG.md" "$doc/CHANGELOG.md" 644
    place_catalog
    say "$version is installed in $prefix/bin"
    if [[ $before != none && $before != "$(cksum <"$program")" ]]; then
        say "running sessions keep the old version until they restart; to switch them now, in each project: samocode reload --all"
    fi
    say_what_is_left
    # shellcheck disable=SC2016  # to be expanded by the reader's shell
    is_on_path || say "$prefix/bin is not on PATH; add this line to ~/.profile: "'PATH='"$prefix/bin:"'$PATH'
}

# ---- uninstalling -------------------------------------------------------------

uninstall_all() {
    local file units user=${XDG_CONFIG_HOME:-${HOME:-/root}/.config}/systemd/user found=false
    name_running --user
    name_running --system
    for file in "$program" "$bash_completion" "$zsh_completion" "$fish_completion" \
        "$doc/LICENSE" "$doc/README.md" "$doc/CHANGELOG.md"; do
        if [[ -e $file ]]; then
            rm -f "$file" || die "cannot remove $file; run this as root"
            say "removed $file"
            found=true
        fi
    done
    if compgen -G "$manual/samocode*.1" >/dev/null; then
        rm -f "$manual"/samocode.1 "$manual"/samocode-*.1 ||
            die "cannot remove $manual/samocode.1; run this as root"
        say "removed the manual pages in $manual"
        found=true
    fi
    [[ ! -d $doc ]] || rmdir "$doc" 2>/dev/null || true
    remove_catalog
    $found || say "samocode is not installed in $prefix"
    for units in "$user" /etc/systemd/system; do
        compgen -G "$units/samocode*" >/dev/null || continue
        list_units "$units"
    done
    list_agents
    name_plugin
    say "sessions, worktrees and branches were not touched; nor were these folders:"
    for file in "${XDG_CONFIG_HOME:-${HOME:-/root}/.config}/samocode" \
        "${XDG_STATE_HOME:-${HOME:-/root}/.local/state}/samocode" \
        "${XDG_CACHE_HOME:-${HOME:-/root}/.cache}/samocode"; do
        [[ ! -d $file ]] || echo "  $file"
    done
}

# Says which sessions run: without the program they cannot restart.
name_running() {
    local running
    running=$(systemctl "$1" list-units 'samocode@*' --state=active,activating --plain \
        --no-legend 2>/dev/null | awk '{ printf "%s ", $1 }') || return 0
    [[ -z $running ]] ||
        say "still running, but cannot restart without the program: $running"
}

list_units() {
    local units=$1 scope=--user file
    [[ $units == /etc/* ]] && scope=--system
    say "these units remain in $units:"
    for file in "$units"/samocode*; do
        echo "  $(basename "$file")"
    done
    say "to stop and remove them:"
    echo "  systemctl $scope stop 'samocode*'"
    echo "  rm -rf $units/samocode* $units/*.wants/samocode*"
    echo "  systemctl $scope daemon-reload"
}

# The same for launchd.
list_agents() {
    local agents=${HOME:-/root}/Library/LaunchAgents file
    compgen -G "$agents/dev.samocode.*.plist" >/dev/null || return 0
    say "these agents remain in $agents:"
    for file in "$agents"/dev.samocode.*.plist; do
        echo "  $(basename "$file" .plist)"
    done
    say "to stop and remove them:"
    echo "  for agent in $(printf %q "$agents")/dev.samocode.*.plist; do launchctl bootout gui/$(id -u) \"\$agent\"; done"
    echo "  rm $(printf %q "$agents")/dev.samocode.*.plist"
}

# Claude Code's own command removes it, and tells running programs.
name_plugin() {
    local own=${CLAUDE_CONFIG_DIR:-${HOME:-/root}/.claude}
    ! grep -qs '"samocode@samocode"' "$own/plugins/installed_plugins.json" ||
        say "the plugin for Claude Code remains; to remove it: claude plugin uninstall samocode@samocode && claude plugin marketplace remove samocode"
}

# ---- all of it --------------------------------------------------------------------

if $uninstall; then
    uninstall_all
    exit
fi
install_all
if $demo; then
    [[ -z $unpacked ]] || rm -rf "$unpacked"
    exec "$program" demo
fi
