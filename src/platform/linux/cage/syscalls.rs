//! seccomp's filters: the system calls that lead around Landlock, or that only attacks on the
//! kernel need.

use std::collections::BTreeMap;

use seccompiler::{
    BpfProgram, SeccompAction, SeccompCmpArgLen, SeccompCmpOp, SeccompCondition, SeccompFilter,
    SeccompRule,
};

use super::files;
use crate::platform::confinement::{CageError, Sockets};

/// Refused whatever the arguments are.
const REFUSED: &[libc::c_long] = &[
    libc::SYS_setns,
    libc::SYS_mount,
    libc::SYS_umount2,
    libc::SYS_pivot_root,
    libc::SYS_chroot,
    libc::SYS_move_mount,
    libc::SYS_open_tree,
    libc::SYS_fsopen,
    libc::SYS_fsmount,
    libc::SYS_fsconfig,
    libc::SYS_fspick,
    libc::SYS_mount_setattr,
    libc::SYS_bpf,
    libc::SYS_perf_event_open,
    libc::SYS_userfaultfd,
    libc::SYS_io_uring_setup,
    libc::SYS_io_uring_enter,
    libc::SYS_io_uring_register,
    libc::SYS_keyctl,
    libc::SYS_add_key,
    libc::SYS_request_key,
    libc::SYS_open_by_handle_at,
];

/// `CLONE_NEWTIME`, which the flags of clone(2) do not have room for.
const NEW_TIME: libc::c_int = 0x80;

/// New namespaces, which would hide what is done from the rules of the host.
const NAMESPACES: &[libc::c_int] = &[
    libc::CLONE_NEWNS,
    libc::CLONE_NEWCGROUP,
    libc::CLONE_NEWUTS,
    libc::CLONE_NEWIPC,
    libc::CLONE_NEWUSER,
    libc::CLONE_NEWPID,
    libc::CLONE_NEWNET,
];

/// Kinds of sockets that no build needs. `AF_XDP` is 44.
const FAMILIES: &[libc::c_int] =
    &[libc::AF_PACKET, libc::AF_VSOCK, libc::AF_ALG, libc::AF_KEY, libc::AF_BLUETOOTH, 44];

/// Requests that type into a terminal, or read its screen: `TIOCSTI` and `TIOCLINUX`.
const TERMINAL: &[u64] = &[0x5412, 0x541C];

/// The version of Landlock that holds truncate(2).
const HOLDS_TRUNCATE: u32 = 3;

type Table = BTreeMap<i64, Vec<SeccompRule>>;

/// The two filters: calls that fail as if the kernel did not have them, and calls that are refused.
pub(super) fn filters(sockets: Sockets, landlock: u32) -> Result<[BpfProgram; 2], CageError> {
    // Its flags are in memory, where no filter sees them; programs fall back to clone.
    let unknown = Table::from([(number(libc::SYS_clone3), Vec::new())]);
    let refused = refused(sockets, landlock)
        .map_err(|error| failed("write the filter for system calls", &error))?;
    Ok([compile(unknown, libc::ENOSYS)?, compile(refused, libc::EPERM)?])
}

fn refused(sockets: Sockets, landlock: u32) -> Result<Table, seccompiler::BackendError> {
    let mut table: Table = REFUSED.iter().map(|call| (number(*call), Vec::new())).collect();
    let flags = |flags: &[libc::c_int]| -> Result<Vec<_>, _> {
        flags.iter().map(|flag| rule(0, Comparison::Has(unsigned(*flag)))).collect()
    };
    let mut unshared = flags(NAMESPACES)?;
    unshared.push(rule(0, Comparison::Has(unsigned(NEW_TIME)))?);
    table.insert(number(libc::SYS_clone), flags(NAMESPACES)?);
    table.insert(number(libc::SYS_unshare), unshared);
    let requests = TERMINAL.iter().map(|request| rule(1, Comparison::Is(*request)));
    table.insert(number(libc::SYS_ioctl), requests.collect::<Result<_, _>>()?);
    // The limits of any process of the user's could be changed; one's own go by 0.
    table.insert(number(libc::SYS_prlimit64), vec![rule(0, Comparison::IsNot(0))?]);
    let mut families = FAMILIES.to_vec();
    if sockets == Sockets::None && !files::hold_sockets(landlock) {
        families.push(libc::AF_UNIX);
    }
    let families = families.iter().map(|family| rule(0, Comparison::Is(unsigned(*family))));
    table.insert(number(libc::SYS_socket), families.collect::<Result<_, _>>()?);
    if landlock < HOLDS_TRUNCATE {
        table.insert(number(libc::SYS_truncate), Vec::new());
    }
    Ok(table)
}

/// How an argument is compared; only its lower 32 bits, as the kernel reads them.
enum Comparison {
    Is(u64),
    IsNot(u64),
    Has(u64),
}

fn rule(argument: u8, comparison: Comparison) -> Result<SeccompRule, seccompiler::BackendError> {
    let (operator, value) = match comparison {
        Comparison::Is(value) => (SeccompCmpOp::Eq, value),
        Comparison::IsNot(value) => (SeccompCmpOp::Ne, value),
        Comparison::Has(flag) => (SeccompCmpOp::MaskedEq(flag), flag),
    };
    let condition = SeccompCondition::new(argument, SeccompCmpArgLen::Dword, operator, value)?;
    SeccompRule::new(vec![condition])
}

fn compile(table: Table, errno: libc::c_int) -> Result<BpfProgram, CageError> {
    let compiled = std::env::consts::ARCH.try_into().and_then(|arch| {
        let refuse = SeccompAction::Errno(errno.unsigned_abs());
        SeccompFilter::new(table, SeccompAction::Allow, refuse, arch)?.try_into()
    });
    compiled.map_err(|error| failed("compile the filter for system calls", &error))
}

/// The number of a system call: the same on every 64-bit system, whatever libc's type for it is.
#[allow(clippy::useless_conversion, reason = "c_long is 32 bits long on some systems")]
fn number(call: libc::c_long) -> i64 {
    i64::from(call)
}

fn unsigned(number: libc::c_int) -> u64 {
    u64::from(number.unsigned_abs())
}

fn failed(doing: &str, error: &seccompiler::BackendError) -> CageError {
    CageError { doing: doing.to_owned(), why: error.to_string() }
}
