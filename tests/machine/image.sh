#!/usr/bin/env bash
# Makes what the virtual machine of the tests boots from:
#
#   image.sh DEBIAN OUT
#
# DEBIAN is the folder of a Debian 13 (tests/run.sh makes it). OUT becomes a
# folder with the kernel of that Debian (OUT/vmlinuz), an image of its root
# (OUT/base.img, sparse) and its emulator (OUT/bin): the one that this machine
# may have, or could install, differs from place to place. Needs root, the
# network and e2fsprogs; mounts nothing, installs nothing.
#
# Debian's cloud kernel has ext4, NVMe and the virtio console built in, so
# there is no initramfs, and no module is ever loaded.
set -euo pipefail

debian=$(realpath "$1")
out=$(realpath -m "$2")
new=$out.new
root=$new/root

rm -rf "$new"
mkdir -p "$new"
cp -a "$debian" "$root"

# ---- the kernel, unpacked and not installed ---------------------------------

apt=(-qq -o APT::Sandbox::User=root)
cp -L /etc/resolv.conf "$root/etc/resolv.conf"
chroot "$root" apt-get "${apt[@]}" update
image=$(chroot "$root" apt-cache depends linux-image-cloud-amd64 |
    sed -n 's/^ *Depends: \(linux-image-[0-9][^ ]*\)$/\1/p')
[[ -n $image ]] || {
    echo "linux-image-cloud-amd64 depends on no kernel" >&2
    exit 1
}
mkdir "$root/kernel"
chroot "$root" env -C /kernel apt-get "${apt[@]}" download "$image"
dpkg-deb --fsys-tarfile "$root"/kernel/*.deb |
    tar -x -C "$new" --strip-components=2 --wildcards './boot/vmlinuz-*'
mv "$new"/vmlinuz-* "$new/vmlinuz"

# ---- the emulator, likewise -------------------------------------------------

chroot "$root" apt-get "${apt[@]}" install -y --no-install-recommends --download-only \
    qemu-system-x86 qemu-utils
mkdir -p "$new/qemu" "$new/bin"
for package in "$root"/var/cache/apt/archives/*.deb; do
    dpkg-deb --extract "$package" "$new/qemu"
done
rm -rf "$new"/qemu/usr/share/{doc,man,locale,icons}
for program in qemu-system-x86_64 qemu-img; do
    cat >"$new/bin/$program" <<PROGRAM
#!/bin/sh
here=\$(dirname "\$(realpath "\$0")")/..
debian=\$here/$(realpath -m --relative-to="$out" "$debian")
lib=usr/lib/x86_64-linux-gnu
QEMU_MODULE_DIR=\$here/qemu/\$lib/qemu exec "\$debian/usr/lib64/ld-linux-x86-64.so.2" \\
    --library-path "\$here/qemu/\$lib:\$debian/\$lib" "\$here/qemu/usr/bin/$program" "\$@"
PROGRAM
    chmod 755 "$new/bin/$program"
done
rm -rf "$root/kernel" "$root"/var/cache/apt/archives/*.deb "$root"/var/cache/apt/*.bin "$root"/var/lib/apt/lists/*

# ---- the machine ------------------------------------------------------------

units=$root/etc/systemd/system
# No time synchronisation, no console but the log, nothing to fetch.
for unit in systemd-timesyncd.service timers.target getty.target \
    serial-getty@ttyS0.service systemd-hwdb-update.service ldconfig.service \
    systemd-journal-catalog-update.service systemd-firstboot.service \
    systemd-update-done.service systemd-binfmt.service \
    proc-sys-fs-binfmt_misc.automount modprobe@.service \
    systemd-modules-load.service dev-hugepages.mount \
    systemd-networkd.service systemd-networkd.socket \
    systemd-networkd-wait-online.service systemd-resolved.service; do
    ln -sf /dev/null "$units/$unit"
done
rm -rf "$root"/usr/share/{doc,man,locale}
: >"$root/etc/fstab"
echo machine >"$root/etc/hostname"
echo 7f0d5d4b6c3e4f5fa1c1d0e2b3a49586 >"$root/etc/machine-id"
mkdir -p "$root/var/log/journal"

# Runs the commands of the tests, which come through a port of the machine: a
# number, the bound in seconds and the script, each ended by a zero byte. The
# answer is a line with the number, the exit code and the lengths of stdout and
# stderr, and then those.
cat >"$root/usr/local/sbin/lab-shell" <<'SHELL'
#!/bin/bash
exec 3<>/dev/vport0p1
echo ready >&3
cd /run
while IFS= read -r -d '' -u 3 number && IFS= read -r -d '' -u 3 bound &&
    IFS= read -r -d '' -u 3 script; do
    timeout -s KILL "$bound" bash -c "$script" >lab.out 2>lab.err </dev/null 3>&-
    # A command's background jobs may still write: send exactly as many bytes as announced.
    sizes="$? $(stat -c %s lab.out lab.err | xargs)"
    read -r _ out err <<<"$sizes"
    { echo "$number $sizes"; head -c "$out" lab.out; head -c "$err" lab.err; } >&3
done
SHELL
chmod 755 "$root/usr/local/sbin/lab-shell"
cat >"$units/lab-shell.service" <<'UNIT'
[Unit]
Description=Runs the commands of the tests
After=multi-user.target

[Service]
ExecStart=/usr/local/sbin/lab-shell
Restart=always
RestartSec=100ms
StartLimitIntervalSec=0
# What a command leaves in the background is its own.
KillMode=process
OOMScoreAdjust=-1000
UNIT
mkdir -p "$units/multi-user.target.wants"
ln -s ../lab-shell.service "$units/multi-user.target.wants/"

# An ordinary user, whose services run without a login.
chroot "$root" useradd -m -s /bin/bash -u 1900 dev
mkdir -p "$root/var/lib/systemd/linger"
: >"$root/var/lib/systemd/linger/dev"

# ---- the image --------------------------------------------------------------

mke2fs -q -F -t ext4 -d "$root" -L lab "$new/base.img" 4096M
rm -rf "$root" "$out"
mv "$new" "$out"
