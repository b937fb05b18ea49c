//! A view of its own: a user, a mount and an IPC namespace in which only what is granted exists. The
//! rest of the home folder, other programs' sockets, temporary files, terminals and shared memory are
//! not there to be asked for. What may be done with what is there, Landlock says.
//!
//! All is prepared before the fork; the child makes system calls only.
#![allow(unsafe_code)]

mod plan;

use std::ffi::{CStr, CString};
use std::io;
use std::os::fd::{AsRawFd, FromRawFd as _, OwnedFd};
use std::os::unix::process::CommandExt as _;
use std::path::Path;
use std::process::Command;
use std::sync::OnceLock;

use plan::{Plan, Step, text};

use super::network::Listeners;
use crate::platform::confinement::Rules;

/// Where the new root is mounted before it becomes the root. What is there stays reachable below `/.old`.
const BASE: &CStr = c"/tmp";
/// Terminals, shared memory and temporary files of its own.
const TERMINALS: &str = "/dev/pts";
const SHARED_MEMORY: &str = "/dev/shm";
const TEMPORARY: &str = "/tmp";

/// A view that is ready to be entered.
#[derive(Debug)]
pub(super) struct View {
    steps: Vec<Step>,
    work: CString,
    /// Whether `/tmp` is its own, to be written.
    has_temporary: bool,
    uid_map: String,
    gid_map: String,
    /// Landlock's rights for the folders that only the view has.
    rights: Rights,
    /// What listens in a network of its own, if it gets one.
    listeners: Option<Listeners>,
}

/// Landlock's rights, as bits that this kernel knows.
#[derive(Debug, Clone, Copy)]
pub(super) struct Rights {
    pub(super) listing: u64,
    pub(super) terminals: u64,
    pub(super) shared_memory: u64,
}

impl View {
    /// A view with what the rules name.
    pub(super) fn of(
        rules: &Rules,
        rights: Rights,
        listeners: Option<Listeners>,
    ) -> io::Result<Self> {
        let Rules { paths, work, kept, .. } = rules;
        let own = [TERMINALS, SHARED_MEMORY, "/dev/ptmx"].map(Path::new);
        let mut plan = Plan::of(paths.iter().filter(|rule| !own.contains(&rule.path.as_path())));
        kept.iter().for_each(|path| plan.keep(path));
        let (uid, gid) = (rustix::process::geteuid(), rustix::process::getegid());
        let map = |id: u32| format!("{id} {id} 1");
        Ok(Self {
            steps: plan.steps()?,
            work: text(work)?,
            has_temporary: plan.is_free(Path::new(TEMPORARY)),
            uid_map: map(uid.as_raw()),
            gid_map: map(gid.as_raw()),
            rights,
            listeners,
        })
    }

    /// Moves this process into the view, and adds to the rules what only the view has.
    /// Async-signal-safe.
    pub(super) fn enter(&self, ruleset: &OwnedFd) -> io::Result<()> {
        let network = if self.listeners.is_some() { libc::CLONE_NEWNET } else { 0 };
        new_root(&self.uid_map, &self.gid_map, network)?;
        if let Some(listeners) = &self.listeners {
            listeners.open()?;
        }
        for step in &self.steps {
            match step {
                Step::Folder(at) => make_folder(at)?,
                Step::File(at) => drop(open(at, libc::O_CREAT | libc::O_WRONLY)?),
                // SAFETY: two C strings.
                Step::Link { target, at } => {
                    exists_or(unsafe { libc::symlink(target.as_ptr(), at.as_ptr()) })?;
                }
                Step::Bind { from, at } => {
                    mount(from, at, None, libc::MS_BIND | libc::MS_REC, None)?;
                }
                Step::ReadOnly(at) => make_read_only(at)?,
                Step::Hide(at) => {
                    let flags = libc::MS_NOSUID | libc::MS_NODEV | libc::MS_RDONLY;
                    mount(c"tmpfs", at, Some(c"tmpfs"), flags, Some(c"mode=555"))?;
                }
                Step::Keep { at, flags } => {
                    mount(at, at, None, libc::MS_BIND, None)?;
                    let read_only = libc::MS_BIND | libc::MS_REMOUNT | libc::MS_RDONLY | flags;
                    mount(c"none", at, None, read_only, None)?;
                }
            }
        }
        make_folder(c"/dev/pts")?;
        make_folder(c"/dev/shm")?;
        let options = c"newinstance,ptmxmode=0666,mode=620";
        mount(
            c"devpts",
            c"/dev/pts",
            Some(c"devpts"),
            libc::MS_NOSUID | libc::MS_NOEXEC,
            Some(options),
        )?;
        let flags = libc::MS_NOSUID | libc::MS_NODEV;
        mount(c"tmpfs", c"/dev/shm", Some(c"tmpfs"), flags, Some(c"mode=1777"))?;
        // Nothing is there but what may be read.
        allow(ruleset, c"/", self.rights.listing)?;
        allow(ruleset, c"/dev/pts", self.rights.terminals)?;
        allow(ruleset, c"/dev/shm", self.rights.shared_memory)?;
        if self.has_temporary {
            make_folder(c"/tmp")?;
            // SAFETY: a C string.
            check(unsafe { libc::chmod(c"/tmp".as_ptr(), 0o1777) })?;
            allow(ruleset, c"/tmp", self.rights.shared_memory)?;
        }
        // SAFETY: C strings.
        unsafe {
            check(libc::umount2(c"/.old".as_ptr(), libc::MNT_DETACH))?;
            check(libc::rmdir(c"/.old".as_ptr()))?;
            check(libc::chdir(self.work.as_ptr()))
        }
    }
}

/// What this host lets an unprivileged process have of its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Possible {
    Nothing,
    View,
    /// A view, and a network.
    Network,
}

/// What is possible on this host: asked by making it, a network only if one is wanted.
pub(super) fn possible(wants_network: bool) -> Possible {
    static WITH_NETWORK: OnceLock<bool> = OnceLock::new();
    static VIEW: OnceLock<bool> = OnceLock::new();
    // Root's files belong to others there, whom it could no longer overrule.
    if rustix::process::geteuid().is_root() || rustix::process::getuid().is_root() {
        return Possible::Nothing;
    }
    if wants_network && *WITH_NETWORK.get_or_init(|| enters(libc::CLONE_NEWNET)) {
        return Possible::Network;
    }
    if *VIEW.get_or_init(|| enters(0)) { Possible::View } else { Possible::Nothing }
}

/// Whether a child can enter a view with these namespaces besides.
fn enters(more: libc::c_int) -> bool {
    /// What the child answers after it has entered; exec is not tried.
    const ENTERED: i32 = libc::ENOTRECOVERABLE;
    let map = |id: u32| format!("{id} {id} 1");
    let uid_map = map(rustix::process::geteuid().as_raw());
    let gid_map = map(rustix::process::getegid().as_raw());
    let mut command = Command::new("/proc/self/exe");
    let in_child = move || {
        new_root(&uid_map, &gid_map, more)?;
        Err(io::Error::from_raw_os_error(ENTERED))
    };
    // SAFETY: the closure makes system calls only.
    unsafe { command.pre_exec(in_child) };
    command.spawn().is_err_and(|error| error.raw_os_error() == Some(ENTERED))
}

/// Makes namespaces, these and those of every view, and an empty root with the old one in `/.old`.
fn new_root(uid_map: &str, gid_map: &str, more: libc::c_int) -> io::Result<()> {
    let spaces = libc::CLONE_NEWUSER | libc::CLONE_NEWNS | libc::CLONE_NEWIPC | more;
    // SAFETY: system calls on numbers and C strings. A process that is not dumpable cannot write its
    // own maps; exec would make it dumpable a moment later.
    unsafe {
        check(libc::prctl(libc::PR_SET_DUMPABLE, 1, 0, 0, 0))?;
        check(libc::unshare(spaces))?;
    }
    write(c"/proc/self/setgroups", "deny")?;
    write(c"/proc/self/uid_map", uid_map)?;
    write(c"/proc/self/gid_map", gid_map)?;
    mount(c"none", c"/", None, libc::MS_REC | libc::MS_SLAVE, None)?;
    let flags = libc::MS_NOSUID | libc::MS_NODEV;
    mount(c"tmpfs", BASE, Some(c"tmpfs"), flags, Some(c"mode=755"))?;
    // SAFETY: C strings.
    unsafe {
        check(libc::chdir(BASE.as_ptr()))?;
        check(libc::mkdir(c".old".as_ptr(), 0o755))?;
        let (root, old) = (c".".as_ptr(), c".old".as_ptr());
        if libc::syscall(libc::SYS_pivot_root, root, old) != 0 {
            return Err(io::Error::last_os_error());
        }
        check(libc::chdir(c"/".as_ptr()))
    }
}

fn mount(
    from: &CStr,
    at: &CStr,
    kind: Option<&CStr>,
    flags: libc::c_ulong,
    options: Option<&CStr>,
) -> io::Result<()> {
    let pointer = |text: Option<&CStr>| text.map_or(std::ptr::null(), CStr::as_ptr);
    // SAFETY: C strings, or null where that is allowed.
    check(unsafe {
        libc::mount(from.as_ptr(), at.as_ptr(), pointer(kind), flags, pointer(options).cast())
    })
}

/// Makes a mount read-only, with those below it: what is in them keeps its mode, times and attributes.
fn make_read_only(at: &CStr) -> io::Result<()> {
    let attributes = libc::mount_attr {
        attr_set: libc::MOUNT_ATTR_RDONLY,
        attr_clr: 0,
        propagation: 0,
        userns_fd: 0,
    };
    // SAFETY: a C string, and a structure of the kernel's that lives until the call returns.
    let done = unsafe {
        libc::syscall(
            libc::SYS_mount_setattr,
            libc::AT_FDCWD,
            at.as_ptr(),
            libc::AT_RECURSIVE,
            &raw const attributes,
            size_of::<libc::mount_attr>(),
        )
    };
    if done == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}

fn make_folder(at: &CStr) -> io::Result<()> {
    // SAFETY: a C string.
    exists_or(unsafe { libc::mkdir(at.as_ptr(), 0o755) })
}

fn open(path: &CStr, flags: libc::c_int) -> io::Result<OwnedFd> {
    // SAFETY: a C string; the descriptor is ours alone.
    unsafe {
        let descriptor = libc::open(path.as_ptr(), flags | libc::O_CLOEXEC, 0o644);
        check(descriptor)?;
        Ok(OwnedFd::from_raw_fd(descriptor))
    }
}

fn write(path: &CStr, text: &str) -> io::Result<()> {
    let file = open(path, libc::O_WRONLY)?;
    rustix::io::write(&file, text.as_bytes()).map(drop).map_err(io::Error::from)
}

/// Adds a rule for a folder: `landlock_add_rule` with `LANDLOCK_RULE_PATH_BENEATH`.
fn allow(ruleset: &OwnedFd, path: &CStr, rights: u64) -> io::Result<()> {
    #[repr(C, packed)]
    struct PathBeneath {
        rights: u64,
        parent: libc::c_int,
    }
    const PATH_BENEATH: libc::c_int = 1;
    let folder = open(path, libc::O_PATH)?;
    let rule = PathBeneath { rights, parent: folder.as_raw_fd() };
    // SAFETY: the structure is the kernel's, and lives until the call returns.
    let done = unsafe {
        let rule = std::ptr::from_ref(&rule);
        libc::syscall(libc::SYS_landlock_add_rule, ruleset.as_raw_fd(), PATH_BENEATH, rule, 0)
    };
    if done == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}

fn check(result: libc::c_int) -> io::Result<()> {
    if result < 0 { Err(io::Error::last_os_error()) } else { Ok(()) }
}

fn exists_or(result: libc::c_int) -> io::Result<()> {
    match check(result) {
        Err(error) if error.raw_os_error() == Some(libc::EEXIST) => Ok(()),
        done => done,
    }
}
