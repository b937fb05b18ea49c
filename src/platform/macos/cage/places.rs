//! The places of the system that every program needs.

/// What is read and executed.
pub const SYSTEM: &[&str] = &[
    "/usr",
    "/bin",
    "/sbin",
    "/etc",
    "/opt",
    "/private/etc",
    "/private/var/db",
    "/System",
    "/Library",
    "/Applications",
];

/// Folders of these that are hidden: there are no views of their own.
pub const HIDDEN: &[&str] = &[];

/// Files that are often links to elsewhere.
pub const LINKED: &[&str] = &["/etc/resolv.conf", "/etc/localtime"];

/// Devices that every program may use.
pub const DEVICES: &[&str] =
    &["/dev/null", "/dev/zero", "/dev/random", "/dev/urandom", "/dev/tty", "/dev/ptmx", "/dev/fd"];

/// Where processes make memory that they share: nowhere in the file system.
pub const SHARED_MEMORY: &[&str] = &[];
