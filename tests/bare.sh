#!/usr/bin/env bash
# Shows that the README's two commands work on a Debian 12 that has nothing but
# ca-certificates, curl, git and Rust:
#
#   ./tests/bare.sh            takes about half an hour on two processors
#   ./tests/bare.sh --quick    with the tests of one subject only, as in CI: what is
#                              installed and fetched is the same
#   ./tests/bare.sh --shell    a root shell in such a system instead
#   ./tests/bare.sh --warm     with the dependencies that target/ has compiled already:
#                              quicker, for work on these scripts
#
# The system is a minimal one by debootstrap, kept in tests/.cache/bare/debian12; each
# run works in a fresh copy, which is removed at the end. Rust is this machine's own
# toolchain, mounted read-only. In the copy run, in this order:
#
#   as a user without sudo   both commands: each must name the missing packages in one
#                            line and change nothing
#   as root                  ./install.sh --demo, then ./tests/run.sh with no test skipped
#   as the user              ./install.sh --demo, into ~/.local
#
# Needs root, debootstrap, a cgroup2 mount, the network and 12 GB in tests/.cache/bare
# while it runs. apt's mirror, proxies, certificates and the configuration of npm and
# cargo are copied from this machine.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
# shellcheck source=tests/debian.sh
source tests/debian.sh

cache=$PWD/tests/.cache/bare
root=$cache/root
packages=(ca-certificates curl git)
user=dev

die() {
    echo "tests/bare.sh: $*" >&2
    exit 1
}

# ---- outside: the system ------------------------------------------------------

toolchain() {
    local sysroot
    sysroot=$(rustc --print sysroot) || die "rustc does not run; https://rustup.rs installs Rust"
    [[ $sysroot != /usr && -x $sysroot/bin/cargo ]] ||
        die "$sysroot is not a toolchain of rustup; https://rustup.rs installs one"
    echo "$sysroot"
}

make_debian12() {
    local made=$cache/debian12
    [[ ${packages[*]} == "$(cat "$made/.packages" 2>/dev/null)" ]] && return 0
    echo "== making a Debian 12 in tests/.cache/bare (about 2 minutes)"
    rm -rf --one-file-system "$made" "$made.new"
    debootstrap_into bookworm "$made.new" "${packages[@]}" >"$cache/debian12.log" 2>&1 || {
        tail -n 5 "$cache/debian12.log" >&2
        die "debootstrap failed, see $cache/debian12.log"
    }
    chroot "$made.new" git --version
    echo "${packages[*]}" >"$made.new/.packages"
    mv "$made.new" "$made"
}

# Variables that programs here need to reach the network, as NAME=value and a zero byte.
network_environment() {
    local name value
    while IFS='=' read -r -d '' name value; do
        case $name in
        *_proxy | *_PROXY | *CERT* | *_CA_* | *_CAINFO | npm_config_* | NPM_CONFIG_* | \
            CARGO_REGISTR* | CARGO_SOURCE_* | CARGO_HTTP_* | CARGO_NET_*)
            printf '%s=%s\0' "$name" "$value"
            # A file that it names must exist too.
            [[ ! -f $value || -e $root$value ]] || install -D -m 644 "$value" "$root$value"
            ;;
        esac
    done < <(env -0)
}

take_over_network() {
    local cargo_home=${CARGO_HOME:-$HOME/.cargo} home file
    cp -L /etc/resolv.conf /etc/hosts "$root/etc/"
    if command -v apt-config >/dev/null; then
        apt-config dump | grep -E '^Acquire::(https?|Retries|ForceIPv)' \
            >"$root/etc/apt/apt.conf.d/01outside" || true
    fi
    if compgen -G '/usr/local/share/ca-certificates/*.crt' >/dev/null; then
        cp -rL /usr/local/share/ca-certificates/. "$root/usr/local/share/ca-certificates/"
        chroot "$root" update-ca-certificates >/dev/null 2>&1
    fi
    [[ ! -f /etc/npmrc ]] || cp /etc/npmrc "$root/etc/"
    for home in "$root/root" "$root/home/$user"; do
        [[ ! -f $HOME/.npmrc ]] || install -m 600 "$HOME/.npmrc" "$home/.npmrc"
        mkdir -p "$home/.cargo/registry"
        for file in config.toml config credentials.toml registry/cache registry/index; do
            [[ ! -e $cargo_home/$file ]] || cp -r "$cargo_home/$file" "$home/.cargo/$file"
        done
    done
    network_environment >"$root/.environment"
}

# The files as they are here, committed or not, as a clone would have them.
clone_to() {
    mkdir -p "$1"
    git ls-files -z --cached --others --exclude-standard |
        tar --create --null --files-from=- --ignore-failed-read --warning=no-failed-read |
        tar --extract --directory="$1"
    git -C "$1" init --quiet
    git -C "$1" add --all
    git -C "$1" -c user.name=bare -c user.email=bare@localhost commit --quiet -m 'As it is'
}

# PROFILE TO: what cargo has compiled here, but for samocode itself: its tests carry the
# path of their tree.
copy_compiled() {
    local folder
    for folder in .fingerprint build deps; do
        [[ -d target/$1/$folder ]] || continue
        mkdir -p "$2/target/$1"
        cp -a "target/$1/$folder" "$2/target/$1/"
    done
    rm -rf "$2/target/$1"/.fingerprint/samocode-* "$2/target/$1"/build/samocode-* \
        "$2/target/$1"/deps/{,lib}samocode-*
}

make_root() {
    # No mount of an earlier run can be in it: they were private to that run.
    rm -rf --one-file-system "$root"
    # Not an overlay: the lab boots on an overlay of this root, and the kernel stacks two.
    cp -a "$cache/debian12" "$root"
    mkdir "$root/opt/rust"
    chroot "$root" useradd --create-home --shell /bin/bash "$user"
    take_over_network
    clone_to "$root/root/samocode"
    cp -a "$root/root/samocode" "$root/home/$user/"
    if $warm; then
        copy_compiled debug "$root/root/samocode"
        copy_compiled release "$root/root/samocode"
        copy_compiled release "$root/home/$user/samocode"
    fi
    chroot "$root" chown -R "$user:$user" "/home/$user"
}

# ---- outside: namespaces and a cgroup of its own ----------------------------------

cgroup=

clean_up() {
    [[ -z $cgroup ]] || remove_cgroup "$cgroup"
    rm -rf --one-file-system "$root"
}

# Ends what is still in it.
remove_cgroup() {
    local tries=0
    [[ -d $1 ]] || return 0
    echo 1 >"$1/cgroup.kill" 2>/dev/null || true
    until find "$1" -depth -type d -exec rmdir {} + 2>/dev/null || ((++tries > 100)); do
        sleep 0.1
    done
}

outside() {
    local cgroups old rust
    [[ $EUID -eq 0 ]] || die "needs root"
    command -v debootstrap >/dev/null ||
        die "debootstrap is missing; install it with: apt-get install debootstrap"
    cgroups=$(awk '$3 == "cgroup2" { print $2; exit }' /proc/self/mounts)
    [[ -n $cgroups ]] || die "no cgroup2 hierarchy is mounted here"
    rust=$(toolchain)
    mkdir -p "$cache"
    exec 9>"$cache/lock"
    flock -n 9 || die "another one is running in $cache"
    make_debian12
    trap clean_up EXIT
    trap 'exit 1' HUP INT TERM
    echo "== preparing a copy"
    make_root
    for old in "$cgroups"/samocode-bare-*; do
        [[ -e /proc/${old##*-} ]] || remove_cgroup "$old"
    done
    cgroup=$cgroups/samocode-bare-$$
    mkdir "$cgroup"
    (
        echo "$BASHPID" >"$cgroup/cgroup.procs"
        exec 9>&-
        exec setpriv --pdeathsig KILL unshare --mount --pid --fork --ipc --uts --cgroup \
            --kill-child=SIGKILL --propagation private \
            bash "$PWD/tests/bare.sh" --inside "$rust" "$@"
    ) <&0 &
    # In the background, because only a wait is interrupted by a signal.
    wait $!
}

# ---- inside -----------------------------------------------------------------------

environment=()

mount_all() {
    local rust=$1
    mount --bind "$root" "$root"
    cd "$root"
    mount -t proc proc proc
    mount -t sysfs -o ro sysfs sys
    mount -t cgroup2 cgroup2 sys/fs/cgroup
    mount --rbind /dev dev
    mount -t tmpfs -o mode=755 run run
    mount --bind "$rust" opt/rust
    mount -o remount,bind,ro opt/rust
    mkdir old
    pivot_root . old
    umount -l old
    rmdir old
    cd /
    hostname bare
    mapfile -d '' -t environment </.environment
    rm /.environment
}

# NAME HOME COMMAND…: as a login of that user would, in their clone.
as() {
    local name=$1 home=$2
    shift 2
    setpriv --reuid="$name" --regid="$name" --init-groups -- \
        env -i -C "$home/samocode" "${environment[@]}" HOME="$home" USER="$name" LOGNAME="$name" \
        SHELL=/bin/bash LANG=C.UTF-8 TERM="${TERM:-dumb}" \
        PATH=/opt/rust/bin:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin "$@"
}

as_root() {
    as root /root "$@"
}

as_user() {
    as "$user" "/home/$user" "$@"
}

fail() {
    echo "FAILED  $*"
    exit 1
}

# Runs a part and says how long it took.
part() {
    local name=$1 start=$SECONDS
    shift
    echo "== $name"
    "$@"
    printf 'ok      %s, %d min %02d s\n' "$name" $(((SECONDS - start) / 60)) $(((SECONDS - start) % 60))
}

# As the user: fails in one line with the command that helps, and writes nothing.
refuses() {
    local output code=0 written
    touch /stamp
    output=$(as_user "$@" 2>&1) || code=$?
    echo "$output"
    [[ $code -ne 0 ]] || fail "it says nothing is wrong"
    [[ $(wc -l <<<"$output") -eq 1 ]] || fail "that is more than one line"
    [[ $output == *'apt-get install '*gcc* ]] || fail "it does not name the command that helps"
    written=$(find / -xdev -newer /stamp)
    [[ -z $written ]] || fail "it left something behind: $written"
}

demo() {
    "$@" ./install.sh --demo 2>&1 | tee /demo.log
    grep -q '^✓ The session is done' /demo.log || fail "the demo did not finish"
}

# What run.sh gets: nothing, or the name of a subject.
all_tests() {
    as_root ./tests/run.sh "$@" 2>&1 | tee /run.log
    tail -n 1 /run.log | grep -qE '^[1-9][0-9]* tests passed, 0 skipped, 0 failed; 0 steps failed$' ||
        fail "not every test ran"
}

inside() {
    local filter=()
    mount_all "$1"
    case ${2:-} in
    --shell)
        as_root bash -i || true
        return
        ;;
    --quick) filter=(phases::) ;;
    esac
    part "as a user without sudo: ./install.sh --demo" refuses ./install.sh --demo
    part "as a user without sudo: ./tests/run.sh" refuses ./tests/run.sh
    part "as root: ./install.sh --demo" demo as_root
    [[ -x /usr/local/bin/samocode ]] || fail "/usr/local/bin/samocode is missing"
    part "as root: ./tests/run.sh ${filter[*]}" all_tests "${filter[@]}"
    part "as a user without sudo: ./install.sh --demo" demo as_user
    as_user "/home/$user/.local/bin/samocode" --version
}

if [[ ${1:-} == --inside ]]; then
    inside "${@:2}"
    exit
fi
warm=false
mode=()
for option in "$@"; do
    case $option in
    --warm) warm=true ;;
    --shell | --quick) mode=("$option") ;;
    *)
        sed -n '2,/^set /{/^#/s/^# \{0,1\}//p}' tests/bare.sh >&2
        exit 2
        ;;
    esac
done
outside "${mode[@]}"
