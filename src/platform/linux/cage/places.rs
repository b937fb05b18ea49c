//! The places of the system that every program needs.

/// What is read and executed. `/var/lib` has the databases of packages.
pub const SYSTEM: &[&str] = &[
    "/usr",
    "/bin",
    "/sbin",
    "/lib",
    "/lib32",
    "/lib64",
    "/libx32",
    "/etc",
    "/opt",
    "/nix",
    "/var/lib",
    "/proc",
    "/sys",
    "/gnu",
    "/run/current-system",
    "/run/opengl-driver",
    "/home/linuxbrew/.linuxbrew",
];

/// Folders of these that have sockets of programs which do as root, or as another user, what they are asked.
/// A view hides them, unless they are named.
pub const HIDDEN: &[&str] = &[
    "/var/lib/containerd",
    "/var/lib/docker",
    "/var/lib/incus",
    "/var/lib/libvirt",
    "/var/lib/lxd",
    "/var/lib/mysql",
    "/var/lib/postgresql",
    "/nix/var/nix/daemon-socket",
];

/// Files that are often links to elsewhere.
pub const LINKED: &[&str] = &["/etc/resolv.conf", "/etc/localtime"];

/// Devices that every program may use.
pub const DEVICES: &[&str] = &[
    "/dev/null",
    "/dev/zero",
    "/dev/full",
    "/dev/random",
    "/dev/urandom",
    "/dev/tty",
    "/dev/ptmx",
    "/dev/pts",
];

/// Where processes make memory that they share.
pub const SHARED_MEMORY: &[&str] = &["/dev/shm"];
