#!/usr/bin/env bash
# Boots a private systemd on an overlay of this machine's root, or of another,
# and stays in the foreground until it is killed; everything inside dies with it.
#
#   boot.sh [--again] DIR [REPO [ROOT]]
#
# With --again it is a machine whose power can be cut: when its PID 1 is killed,
# and all else with it, it boots again on the same disk.
#
# DIR is a folder of this machine, one for each lab:
#   DIR/disk   becomes /srv/lab: files that must be on a real disk
#   DIR/bin    becomes /opt/samocode/bin, read-only: the program under test
#   DIR/pid    this machine's number of the private PID 1, written here
# REPO, when given, becomes /repo, read-only; its tests/.cache/claude becomes
# /opt/claude, and so do the other agents' CLIs.
# ROOT, when given, is the folder of a whole system that is used instead of this
# machine's root: another version of systemd.
#
# Prints one line, "ready", on stdout when the lab is up, at each boot. Both the tests
# (boot.rs) and the interactive lab (shell) start it this way.
set -euo pipefail

# The agents' CLIs that tests/run.sh fetches.
clis=(claude codex gemini opencode qwen)

die() {
    echo "boot.sh: $*" >&2
    exit 1
}

# ---- outside: a cgroup and namespaces of its own --------------------------

# Where the cgroup2 hierarchy is; a hybrid host has it beside the old ones.
cgroup2_root() {
    awk '$3 == "cgroup2" { print $2; exit }' /proc/self/mounts
}

# Removes what labs left behind whose owner is gone. A lab cannot tidy up
# after itself: it ends by SIGKILL.
sweep_cgroups() {
    local cgroup
    for cgroup in "$1"/samocode-lab-*; do
        [[ -d $cgroup ]] || continue
        [[ -e /proc/${cgroup##*-} ]] && continue
        find "$cgroup" -depth -type d -exec rmdir {} + 2>/dev/null || true
    done
}

outside() {
    local dir=$1 repo=$2 base=$3 cgroups home cgroup
    [[ $EUID -eq 0 ]] || die "needs root"
    cgroups=$(cgroup2_root)
    [[ -n $cgroups ]] || die "no cgroup2 hierarchy is mounted here"
    mkdir -p "$dir/disk" "$dir/bin" "$dir/root"
    rm -f "$dir/pid" "$dir/disk/.ready"
    mkfifo "$dir/disk/.ready"

    # Two labs in one cgroup would fight over system.slice.
    sweep_cgroups "$cgroups"
    home=$cgroups$(sed -n 's/^0:://p' /proc/self/cgroup)
    cgroup=$cgroups/samocode-lab-$$
    mkdir "$cgroup"
    echo $$ >"$cgroup/cgroup.procs"

    # The unit lab-ready.service writes into the pipe. 60 s is far beyond the
    # slowest boot seen (4 s). Then this process leaves the cgroup again: it is
    # outside the lab's PID namespace, and systemd cannot read a cgroup that
    # has such a process.
    (
        exec 3<>"$dir/disk/.ready"
        tries=0
        line=
        # A read that times out may have got the beginning of the line.
        until read -r -t 0.2 -u 3 part; do
            line+=$part
            kill -0 $$ 2>/dev/null && ((++tries < 300)) || exit 1
        done
        echo $$ >"$home/cgroup.procs"
        echo "$line$part"
    ) &

    exec unshare --mount --pid --fork --uts --ipc --cgroup \
        --kill-child=SIGKILL --propagation private \
        bash "${BASH_SOURCE[0]}" --inside "$dir" "$repo" "$base"
}

# The machine's disk is a tmpfs that this process keeps: it goes with it, and so
# does whatever runs.
machine() {
    local dir=$1
    mount -t tmpfs -o mode=755 lab "$dir/root"
    mkdir "$dir"/root/{upper,work,new,home,journal}
    while :; do
        setpriv --pdeathsig KILL bash "${BASH_SOURCE[0]}" "$@" || true
        [[ -s $dir/pid ]] || die "it did not get as far as PID 1"
    done
}

# ---- inside: a root that cannot hurt the host ------------------------------

make_dev() {
    local dev=$1 node numbers
    mount -t tmpfs -o mode=755 lab-dev "$dev"
    for node in null:1:3 zero:1:5 full:1:7 random:1:8 urandom:1:9 tty:5:0; do
        IFS=: read -r node numbers <<<"$node"
        mknod -m 666 "$dev/$node" c "${numbers%:*}" "${numbers#*:}"
    done
    mkdir "$dev/pts" "$dev/shm"
    mount -t devpts -o newinstance,ptmxmode=0666,mode=620 lab-pts "$dev/pts"
    mount -t tmpfs -o mode=1777 lab-shm "$dev/shm"
    ln -s pts/ptmx "$dev/ptmx"
    ln -s /proc/self/fd "$dev/fd"
    ln -s /proc/self/fd/0 "$dev/stdin"
    ln -s /proc/self/fd/1 "$dev/stdout"
    ln -s /proc/self/fd/2 "$dev/stderr"
}

# Read-only /sys keeps udevd away, read-only /proc/sys keeps sysctl.d from
# setting the host's kernel.
make_kernel_views() {
    local root=$1
    local boot_id=$root/proc/sys/kernel/random/boot_id
    mount -t proc proc "$root/proc"
    mount --bind "$root/proc/sys" "$root/proc/sys"
    # Each boot has an id of its own, though the kernel is the host's.
    cat /proc/sys/kernel/random/uuid >"$root/run/.boot_id"
    mount --bind "$root/run/.boot_id" "$boot_id"
    mount -o remount,bind,ro "$boot_id"
    mount -o remount,bind,ro "$root/proc/sys"
    mount -t sysfs -o ro sysfs "$root/sys"
    mount -t cgroup2 cgroup2 "$root/sys/fs/cgroup"
    mkdir "$root/sys/fs/cgroup/lab-commands"
}

# Nothing of the host's own services starts: a target of ours pulls in what
# the tests need, the host's fstab and timers are out.
configure() {
    local root=$1 unit units=$1/etc/systemd/system
    # systemd keeps an existing machine-id.
    tr -d - </proc/sys/kernel/random/uuid >"$root/etc/machine-id"
    echo lab >"$root/etc/hostname"
    : >"$root/etc/fstab"
    rm -rf "${units:?}"
    mkdir -p "$units"
    for unit in timers.target systemd-udevd.service systemd-udev-trigger.service \
        systemd-modules-load.service modprobe@.service systemd-binfmt.service \
        systemd-hwdb-update.service systemd-random-seed.service \
        systemd-remount-fs.service systemd-timesyncd.service \
        systemd-resolved.service systemd-networkd.service \
        systemd-firstboot.service systemd-journal-catalog-update.service \
        systemd-update-done.service ldconfig.service keyboard-setup.service \
        console-setup.service apparmor.service networking.service \
        proc-sys-fs-binfmt_misc.automount proc-sys-fs-binfmt_misc.mount \
        dev-hugepages.mount dev-mqueue.mount sys-kernel-debug.mount \
        sys-kernel-tracing.mount sys-kernel-config.mount \
        sys-fs-fuse-connections.mount; do
        ln -s /dev/null "$units/$unit"
    done
    cat >"$units/lab.target" <<'UNIT'
[Unit]
Description=The lab
Requires=basic.target
Wants=dbus.service systemd-logind.service lab-ready.service
After=basic.target
AllowIsolate=yes
UNIT
    cat >"$units/lab-ready.service" <<'UNIT'
[Unit]
Description=Tell whoever booted the lab that it is up
After=basic.target dbus.service systemd-logind.service

[Service]
Type=oneshot
RemainAfterExit=yes
ExecStart=/bin/sh -c 'echo ready >/srv/lab/.ready'
UNIT
    # A user's bus starts no desktop's notification service: there is a display in one test only.
    for unit in "$root"/usr/share/dbus-1/services/*.service; do
        if grep -qsx 'Name=org.freedesktop.Notifications' "$unit"; then rm -f "$unit"; fi
    done
    # Without persistent storage journald keeps one file for everybody, and
    # users cannot read it.
    mkdir -p "$root/etc/systemd/journald.conf.d" "$root/var/log/journal"
    printf '[Journal]\nStorage=persistent\nForwardToConsole=no\n' \
        >"$root/etc/systemd/journald.conf.d/lab.conf"
}

bind_read_only() {
    mkdir -p "$2"
    mount --bind "$1" "$2"
    mount -o remount,bind,ro "$2"
}

inside() {
    local dir=$1 repo=$2 base=$3 root=$1/root disk=$1/root pid folder
    # Still the host's /proc, so this is the host's number of this process,
    # which becomes the private PID 1.
    read -r pid _ </proc/self/stat

    # The overlay's root is a folder in a tmpfs of this namespace: it goes
    # when the last process of the lab has gone. A machine's disk is in it.
    if [[ ! -d $root/upper ]]; then
        mount -t tmpfs -o mode=755 lab "$root"
        mkdir "$root/upper" "$root/work" "$root/new"
    fi
    mount -t overlay -o "lowerdir=$base,upperdir=$root/upper,workdir=$root/work" \
        lab "$root/new"
    root=$root/new

    for folder in run tmp; do
        mount -t tmpfs "lab-$folder" "$root/$folder"
    done
    chmod 755 "$root/run"
    chmod 1777 "$root/tmp"
    make_dev "$root/dev"
    make_kernel_views "$root"
    # A machine is set up at its first boot.
    [[ -e $disk/is-set-up ]] || configure "$root"
    touch "$disk/is-set-up"
    for folder in home var/log/journal; do
        if [[ -d $disk/${folder##*/} ]]; then
            mount --bind "$disk/${folder##*/}" "$root/$folder"
        else
            mount -t tmpfs -o mode=755 "lab-${folder##*/}" "$root/$folder"
        fi
    done

    mkdir -p "$root/srv/lab"
    mount --bind "$dir/disk" "$root/srv/lab"
    bind_read_only "$dir/bin" "$root/opt/samocode/bin"
    if [[ -n $repo ]]; then
        bind_read_only "$repo" "$root/repo"
        for cli in "${clis[@]}"; do
            if [[ -d $repo/tests/.cache/$cli ]]; then
                bind_read_only "$repo/tests/.cache/$cli" "$root/opt/$cli"
            fi
        done
    fi
    hostname lab
    echo "$pid" >"$dir/pid.new"
    mv "$dir/pid.new" "$dir/pid"

    mkdir -p "$root/old"
    cd "$root"
    pivot_root . old
    umount -l /old
    rmdir /old
    # PID 1 keeps the booter's log, but not its stdout: whoever reads that must
    # see the end when the booter is gone.
    exec env -i container=lab LANG=C.UTF-8 \
        PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin \
        /lib/systemd/systemd --system --unit=lab.target --show-status=no \
        </dev/null >/dev/null
}

case ${1:-} in
--inside) inside "$2" "$3" "$4" ;;
--machine) machine "$2" "$3" "$4" ;;
--again)
    mkdir -p "$2/root"
    # What it mounts goes when it ends.
    exec unshare --mount --propagation private bash "${BASH_SOURCE[0]}" --machine \
        "$(realpath "$2")" "${3:+$(realpath "$3")}" "$(realpath "${4:-/}")"
    ;;
esac
[[ $# -ge 1 ]] || die "usage: boot.sh [--again] DIR [REPO [ROOT]]"
mkdir -p "$1"
outside "$(realpath "$1")" "${2:+$(realpath "$2")}" "$(realpath "${3:-/}")"
