#!/usr/bin/env bash
# Everything that must hold before a change is good:
#
#   ./tests/run.sh            formatting, lints, shell scripts, licences, all tests
#   ./tests/run.sh FILTER     only the tests whose name contains FILTER
#
# Installs what is missing when it can (as root, with apt-get) and says what.
# Tests that lack something print SKIPPED and the reason; with CI=true that is
# a failure. The agent that the tests run and a Debian 13, for its newer systemd,
# are fetched into tests/.cache.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

filter=${1:-}
cache=$PWD/tests/.cache
tools=$cache/tools
passed=()
failed=()
notes=()

note() {
    notes+=("$*")
    echo "-- $*"
}

# Runs a step and goes on whatever comes of it: one run shows all that is wrong.
step() {
    local name=$1
    shift
    echo "== $name"
    if "$@"; then
        passed+=("$name")
    else
        failed+=("$name")
    fi
}

# ---- what must be there ----------------------------------------------------

# PACKAGE FILE...: wanted unless one of the files (patterns, or programs on
# PATH) is there.
missing_packages() {
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
hostname hostname
git git
shellcheck shellcheck
gcc cc
debootstrap debootstrap
libfaketime /usr/lib/*/faketime/libfaketime.so.1
openssl openssl
gnupg gpg
openssh-client ssh-keygen
e2fsprogs debugfs
LIST
    # npm only fetches the agent; any npm will do.
    if ! claude_is_current && ! command -v npm >/dev/null; then
        printf '%s\n' nodejs npm
    fi
}

install_packages() {
    local packages package
    mapfile -t packages < <(missing_packages)
    [[ ${#packages[@]} -gt 0 ]] || return 0
    if [[ $EUID -ne 0 ]] || ! command -v apt-get >/dev/null; then
        note "missing, and not installed (needs root and apt-get): ${packages[*]}"
        return 0
    fi
    echo "== installing ${packages[*]}"
    apt-get update -qq || true
    if apt_install "${packages[@]}"; then
        note "installed: ${packages[*]}"
        return 0
    fi
    # One that cannot be had must not keep the others away.
    for package in "${packages[@]}"; do
        if apt_install "$package"; then
            note "installed: $package"
        else
            note "could not install: $package"
        fi
    done
}

# Never at the cost of a package that is there: the machine is the developer's.
apt_install() {
    DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends --no-remove "$@"
}

claude_is_current() {
    cmp -s tests/lab/claude/package-lock.json "$cache/claude/package-lock.json" &&
        [[ -x $cache/claude/bin/claude ]]
}

# The versions and hashes are those of package-lock.json; no script of a
# package runs. The CLI is a native program, npm only brings it.
fetch_claude() {
    claude_is_current && return 0
    local new=$cache/claude.$$ program
    rm -rf "$new"
    mkdir -p "$new/bin"
    cp tests/lab/claude/package.json tests/lab/claude/package-lock.json "$new/"
    if ! (cd "$new" && npm ci --ignore-scripts --no-audit --no-fund --loglevel=error); then
        rm -rf "$new"
        return 1
    fi
    program=$(cd "$new" && compgen -G 'node_modules/@anthropic-ai/claude-code-*/claude' | head -n 1)
    if [[ -z $program ]]; then
        echo "npm brought no claude for this machine"
        rm -rf "$new"
        return 1
    fi
    ln -s "../$program" "$new/bin/claude"
    rm -rf "$cache/claude"
    mv "$new" "$cache/claude"
    note "fetched claude $("$cache/claude/bin/claude" --version)"
}

# Debian's newer systemd, for the tests that run on two of them.
debian13=(systemd systemd-sysv dbus dbus-user-session libpam-systemd git util-linux bsdutils
    procps hostname passwd ca-certificates)

# The packages come from where this machine's come from, if that is Debian, or
# from debootstrap's own default.
make_debian13() {
    local root=$cache/debian13 new=$cache/debian13.$$ list=${debian13[*]} mirror='' proxy=''
    [[ $list == "$(cat "$root/.packages" 2>/dev/null)" ]] && return 0
    if [[ $EUID -ne 0 ]] || ! command -v debootstrap >/dev/null; then
        note "Debian 13 for the lab is not made (needs root and debootstrap)"
        return 0
    fi
    # shellcheck disable=SC2016  # apt-get's variables
    mirror=$(apt-get indextargets --format '$(REPO_URI)' 'Created-By: Packages' 'Origin: Debian' \
        'Component: main' 2>/dev/null | grep -v security | head -n 1) || true
    eval "$(apt-config shell proxy Acquire::http::Proxy)"
    # A mount namespace of its own: what debootstrap mounts goes when it ends.
    if ! http_proxy=${http_proxy:-$proxy} unshare --mount --propagation private \
        debootstrap --variant=minbase --include="${list// /,}" trixie "$new" ${mirror:+"$mirror"} \
        >"$cache/debian13.log" 2>&1; then
        tail -n 3 "$cache/debian13.log"
        note "Debian 13 for the lab could not be made, see tests/.cache/debian13.log"
        rm -rf "$new"
        return 0
    fi
    rm -rf "$new"/var/cache/apt/archives/*.deb "$new"/var/lib/apt/lists/* "$root"
    echo "$list" >"$new/.packages"
    mv "$new" "$root"
    note "made a Debian 13 for the lab, in tests/.cache/debian13"
}

# The virtual machine of the tests: a kernel and an image, made of that Debian 13.
make_machine() {
    local out=$cache/machine made_of proxy=''
    [[ -d $cache/debian13 ]] || return 0
    made_of=$(cat tests/machine/image.sh "$cache/debian13/.packages" | sha256sum)
    [[ $made_of == "$(cat "$out/.made_of" 2>/dev/null)" ]] && return 0
    if [[ $(uname -m) != x86_64 ]]; then
        note "the image of a machine is made for x86_64 only"
        return 0
    fi
    if [[ $EUID -ne 0 ]] || ! command -v mke2fs >/dev/null || ! command -v dpkg-deb >/dev/null; then
        note "the image of a machine is not made (needs root, mke2fs and dpkg-deb)"
        return 0
    fi
    eval "$(apt-config shell proxy Acquire::http::Proxy)"
    if ! http_proxy=${http_proxy:-$proxy} tests/machine/image.sh "$cache/debian13" "$out" \
        >"$cache/machine.log" 2>&1; then
        tail -n 3 "$cache/machine.log"
        note "the image of a machine could not be made, see tests/.cache/machine.log"
        return 0
    fi
    echo "$made_of" >"$out/.made_of"
    note "made the image of a machine, in tests/.cache/machine"
}

# ---- checks ----------------------------------------------------------------

shell_scripts() {
    command -v shellcheck >/dev/null || {
        echo "shellcheck is not installed"
        return 1
    }
    local scripts
    # Every tracked or new file that begins as a shell script.
    mapfile -t scripts < <(git ls-files --cached --others --exclude-standard |
        while read -r file; do
            [[ -f $file ]] && head -n 1 "$file" | grep -aqE '^#!.*\b(ba)?sh\b' && echo "$file"
        done)
    shellcheck "${scripts[@]}"
}

# Licences, sources and bans from what the lock file says; advisories from a
# database that has to be fetched.
dependencies() {
    PATH=$tools/bin:$PATH
    if ! cargo deny --version >/dev/null 2>&1; then
        if [[ ${CI:-} != true ]]; then
            note "cargo-deny is not installed, dependencies not checked (cargo install --locked cargo-deny)"
            return 0
        fi
        cargo install --locked --quiet cargo-deny --root "$tools" || return 1
        note "installed cargo-deny into tests/.cache/tools"
    fi
    cargo deny --log-level error check bans licenses sources || return 1
    if cargo deny --log-level error fetch db 2>/dev/null; then
        cargo deny --log-level error check --disable-fetch advisories
    else
        note "the advisory database could not be fetched, advisories not checked"
    fi
}

tests() {
    local log=$cache/test.log
    # SKIPPED goes past the capture of output, so that it is seen here.
    local which=(--skip machine::)
    [[ -z $filter ]] || which=("$filter")
    cargo test --locked --no-fail-fast -- "${which[@]}" 2>&1 | tee "$log"
}

# Emulated machines take all the processors there are: apart from the tests
# that wait for something to be quick.
machines() {
    cargo test --locked --no-fail-fast --test samocode machine:: 2>&1 | tee -a "$cache/test.log"
}

# ---- all of it --------------------------------------------------------------

command -v cargo >/dev/null || {
    echo "tests/run.sh: cargo is missing; https://rustup.rs installs it" >&2
    exit 1
}
mkdir -p "$cache"
: >"$cache/test.log"
install_packages
step "claude CLI" fetch_claude
step "Debian 13" make_debian13
step "machine" make_machine
if [[ -z $filter ]]; then
    step "formatting" cargo fmt --check
    step "clippy" cargo clippy --locked --all-targets -- -D warnings
    step "shell scripts" shell_scripts
    step "dependencies" dependencies
fi
step "tests" tests
[[ -n $filter ]] || step "tests in machines" machines

mapfile -t skipped < <(grep -ao 'SKIPPED: .*' "$cache/test.log" | sort -u)
total=$(sed -n 's/^test result: [^.]*\. \([0-9]*\) passed.*/\1/p' "$cache/test.log" |
    awk '{ sum += $1 } END { print sum + 0 }')
if [[ ${CI:-} == true && ${#skipped[@]} -gt 0 ]]; then
    failed+=("nothing skipped")
fi

echo
echo "== summary"
for name in "${passed[@]}"; do echo "ok      $name"; done
for line in "${skipped[@]}" "${notes[@]}"; do echo "note    $line"; done
for name in "${failed[@]}"; do echo "FAILED  $name"; done
# For cargo a skipped test has returned early and passed.
echo "$((total - ${#skipped[@]})) tests passed, ${#skipped[@]} skipped, ${#failed[@]} steps failed"
[[ ${#failed[@]} -eq 0 ]]
