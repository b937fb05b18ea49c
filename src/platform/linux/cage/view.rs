//! A view of its own: a user, a mount and an IPC namespace in which only what is granted exists. The
//! rest of the home folder, other programs' sockets, temporary files, terminals and shared memory are
//! not there to be asked for. What may be done with what is there, Landlock says.
//!
//! All is prepared before the fork; the child makes system calls only.
#![allow(unsafe_code)]

use std::collections::BTreeSet;
use std::ffi::{CStr, CString};
use std::io;
use std::os::fd::{AsRawFd, FromRawFd as _, OwnedFd};
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::process::CommandExt as _;
use std::path::{Component, Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

use super::network::Listeners;
use crate::platform::confinement::{Access, Rule, Rules};

/// Where the new root is mounted before it becomes the root. What is there stays reachable below `OLD`.
const BASE: &CStr = c"/tmp";
/// The old root, until it is let go.
const OLD: &str = "/.old";
/// Most links that a path may lead through, as the kernel has it.
const MOST_LINKS: usize = 40;

/// The links that programs count on.
const LINKS: [(&str, &str); 6] = [
    ("/dev/fd", "/proc/self/fd"),
    ("/dev/stdin", "/proc/self/fd/0"),
    ("/dev/stdout", "/proc/self/fd/1"),
    ("/dev/stderr", "/proc/self/fd/2"),
    ("/dev/ptmx", "pts/ptmx"),
    // Temporary files that are to outlive a boot; nothing here does.
    ("/var/tmp", "/tmp"),
];

/// Terminals, shared memory and temporary files of its own.
const TERMINALS: &str = "/dev/pts";
const SHARED_MEMORY: &str = "/dev/shm";
const TEMPORARY: &str = "/tmp";

/// One step of building the view.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Step {
    Folder(CString),
    File(CString),
    Link {
        target: CString,
        at: CString,
    },
    Bind {
        from: CString,
        at: CString,
    },
    /// Makes what is there read-only, with the flags that its mount has.
    Keep {
        at: CString,
        flags: libc::c_ulong,
    },
}

/// A view that is ready to be entered.
#[derive(Debug)]
pub(super) struct View {
    steps: Vec<Step>,
    work: CString,
    /// Whether `/tmp` may be written: only if nothing is below it that may not.
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
    pub(super) terminals: u64,
    pub(super) shared_memory: u64,
}

/// What the view consists of, while it is planned.
#[derive(Debug, Default)]
struct Plan {
    /// What is bound: real paths.
    real: BTreeSet<PathBuf>,
    /// Links, with what they say.
    links: Vec<(PathBuf, PathBuf)>,
    /// What is made read-only: real paths, with the flags of their mounts.
    kept: Vec<(PathBuf, libc::c_ulong)>,
}

impl Plan {
    /// Adds a path and the links that it leads through. Returns where it really is, unless it does not
    /// exist.
    fn walk(&mut self, path: &Path, depth: usize) -> Option<PathBuf> {
        let mut real = PathBuf::from("/");
        for component in path.components() {
            match component {
                Component::RootDir | Component::CurDir | Component::Prefix(_) => {}
                Component::ParentDir => drop(real.pop()),
                Component::Normal(name) => {
                    let next = real.join(name);
                    let Ok(target) = std::fs::read_link(&next) else {
                        real = next;
                        continue;
                    };
                    if depth == 0 {
                        return None;
                    }
                    self.links.push((next, target.clone()));
                    real = self.walk(&real.join(target), depth - 1)?;
                }
            }
        }
        real.symlink_metadata().is_ok().then_some(real)
    }

    /// The steps: outer folders first; what is below something bound is there already.
    fn steps(&self) -> Result<Vec<Step>, std::ffi::NulError> {
        let mut bound: Vec<&Path> = Vec::new();
        for path in &self.real {
            if !bound.iter().any(|outer| path.starts_with(outer)) {
                bound.push(path);
            }
        }
        let mut steps = Vec::new();
        let mut made: BTreeSet<PathBuf> = BTreeSet::new();
        let mut above = |path: &Path, steps: &mut Vec<Step>| -> Result<(), std::ffi::NulError> {
            let mut outer: Vec<&Path> = path.ancestors().skip(1).collect();
            outer.reverse();
            for folder in outer.into_iter().filter(|folder| folder.parent().is_some()) {
                if made.insert(folder.to_owned()) {
                    steps.push(Step::Folder(text(folder)?));
                }
            }
            Ok(())
        };
        for path in &bound {
            above(path, &mut steps)?;
            let place = if path.is_dir() { Step::Folder } else { Step::File };
            steps.push(place(text(path)?));
            let from = [OLD.as_bytes(), path.as_os_str().as_bytes()].concat();
            steps.push(Step::Bind { from: CString::new(from)?, at: text(path)? });
        }
        for (at, target) in &self.links {
            if !bound.iter().any(|outer| at.starts_with(outer)) {
                above(at, &mut steps)?;
                steps.push(Step::Link { target: text(target)?, at: text(at)? });
            }
        }
        for (at, flags) in &self.kept {
            if bound.iter().any(|outer| at.starts_with(outer)) {
                steps.push(Step::Keep { at: text(at)?, flags: *flags });
            }
        }
        Ok(steps)
    }

    /// Adds what is to be read-only, unless it does not exist or is a link.
    fn keep(&mut self, path: &Path) {
        let is_link = |meta: std::fs::Metadata| meta.file_type().is_symlink();
        if path.symlink_metadata().map_or(true, is_link) {
            return;
        }
        if let (Ok(real), Ok(volume)) = (path.canonicalize(), rustix::fs::statvfs(path)) {
            // What a mount was given besides may not be taken from it.
            let flags = volume.f_flag.bits() & (libc::MS_NOSUID | libc::MS_NODEV | libc::MS_NOEXEC);
            self.kept.push((real, flags));
        }
    }
}

impl View {
    /// A view with what the rules name.
    pub(super) fn of(
        rules: &Rules,
        rights: Rights,
        listeners: Option<Listeners>,
    ) -> io::Result<Self> {
        let Rules { paths, work, kept, .. } = rules;
        let mut plan = Plan::default();
        let own = [TERMINALS, SHARED_MEMORY, "/dev/ptmx"].map(Path::new);
        for rule in paths.iter().filter(|rule| !own.contains(&rule.path.as_path())) {
            if let Some(real) = plan.walk(&rule.path, MOST_LINKS) {
                plan.real.insert(real);
            }
        }
        kept.iter().for_each(|path| plan.keep(path));
        let may_write =
            |rule: &Rule| !rule.path.starts_with(TEMPORARY) || rule.access == Access::Write;
        plan.links.extend(LINKS.map(|(at, target)| (at.into(), target.into())));
        let (uid, gid) = (rustix::process::geteuid(), rustix::process::getegid());
        let map = |id: u32| format!("{id} {id} 1");
        Ok(Self {
            steps: plan.steps()?,
            work: text(work)?,
            has_temporary: paths.iter().all(may_write),
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

/// Makes namespaces, these and those of every view, and an empty root with the old one in `OLD`.
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

fn text(path: &Path) -> Result<CString, std::ffi::NulError> {
    CString::new(path.as_os_str().as_bytes())
}
