//! seccomp's filters: the system calls that lead around Landlock, or that only attacks on the
//! kernel need.

use std::collections::BTreeMap;

use seccompiler::{
    BpfProgram, SeccompAction, SeccompCmpArgLen, SeccompCmpOp, SeccompCondition, SeccompFilter,
    SeccompRule, sock_filter,
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

/// The kinds of sockets that programs need, besides UNIX sockets. The kernel loads its module for any
/// other, and many of those have had faults.
const FAMILIES: &[libc::c_int] = &[libc::AF_INET, libc::AF_INET6, libc::AF_NETLINK];

/// Requests that type into a terminal, or read its screen: `TIOCSTI` and `TIOCLINUX`.
const TERMINAL: &[u64] = &[0x5412, 0x541C];

/// Calls that change the priority of processes, each with what stands for all of a user's:
/// `PRIO_USER` and `IOPRIO_WHO_USER`.
const PRIORITIES: &[(libc::c_long, u64)] = &[(libc::SYS_setpriority, 2), (libc::SYS_ioprio_set, 3)];

/// What is added to the numbers of the x32 ABI, whose calls have the same architecture as others.
const X32: u32 = 0x4000_0000;

/// The version of Landlock that holds truncate(2).
const HOLDS_TRUNCATE: u32 = 3;

type Table = BTreeMap<i64, Vec<SeccompRule>>;

/// The two filters: calls that fail as if the kernel did not have them, and calls that are refused.
pub(super) fn filters(sockets: Sockets, landlock: u32) -> Result<[BpfProgram; 2], CageError> {
    // Its flags are in memory, where no filter sees them; programs fall back to clone.
    let unknown = Table::from([(number(libc::SYS_clone3), Vec::new())]);
    let refused = refused(sockets, landlock)
        .map_err(|error| failed("write the filter for system calls", &error))?;
    let mut unknown = compile(unknown, libc::ENOSYS)?;
    if cfg!(target_arch = "x86_64") {
        unknown.splice(0..0, without_x32());
    }
    Ok([unknown, compile(refused, libc::EPERM)?])
}

/// The beginning of a filter for which no call of the x32 ABI exists: it would have another number than
/// those that are refused. Numbers of 32-bit programs end the process, as their architecture differs.
fn without_x32() -> [sock_filter; 3] {
    const LOAD: u32 = libc::BPF_LD | libc::BPF_W | libc::BPF_ABS;
    const UNLESS_LESS: u32 = libc::BPF_JMP | libc::BPF_JGE | libc::BPF_K;
    const RETURN: u32 = libc::BPF_RET | libc::BPF_K;
    let step = |code: u32, jf, k| sock_filter {
        code: u16::try_from(code).unwrap_or_default(),
        jt: 0,
        jf,
        k,
    };
    // The number is the first of what a filter is given.
    [
        step(LOAD, 0, 0),
        step(UNLESS_LESS, 1, X32),
        step(RETURN, 0, libc::SECCOMP_RET_ERRNO | libc::ENOSYS.unsigned_abs()),
    ]
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
    // So could their priorities, even those of all at once.
    for (call, of_a_user) in PRIORITIES {
        let others = vec![rule(0, Comparison::Is(*of_a_user))?, rule(1, Comparison::IsNot(0))?];
        table.insert(number(*call), others);
    }
    let mut families = FAMILIES.to_vec();
    if sockets == Sockets::Any || files::hold_sockets(landlock) {
        families.push(libc::AF_UNIX);
    }
    let others = |families: &[libc::c_int]| {
        let none = families.iter().map(|family| condition(0, Comparison::IsNot(unsigned(*family))));
        Ok::<_, seccompiler::BackendError>(vec![SeccompRule::new(none.collect::<Result<_, _>>()?)?])
    };
    table.insert(number(libc::SYS_socket), others(&families)?);
    table.insert(number(libc::SYS_socketpair), others(&[libc::AF_UNIX])?);
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
    SeccompRule::new(vec![condition(argument, comparison)?])
}

fn condition(
    argument: u8,
    comparison: Comparison,
) -> Result<SeccompCondition, seccompiler::BackendError> {
    let (operator, value) = match comparison {
        Comparison::Is(value) => (SeccompCmpOp::Eq, value),
        Comparison::IsNot(value) => (SeccompCmpOp::Ne, value),
        Comparison::Has(flag) => (SeccompCmpOp::MaskedEq(flag), flag),
    };
    SeccompCondition::new(argument, SeccompCmpArgLen::Dword, operator, value)
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

#[cfg(test)]
mod tests {
    use super::*;

    /// What the filter says of a call without arguments, as the kernel runs it.
    fn answer(program: &BpfProgram, call: u32) -> u32 {
        answer_to(program, call, 0)
    }

    /// What it says of one with a first argument.
    fn answer_to(program: &BpfProgram, call: u32, argument: i32) -> u32 {
        // Of x86_64 and aarch64.
        let arch = if cfg!(target_arch = "x86_64") { 0xC000_003E } else { 0xC000_00B7 };
        let (mut at, mut value) = (0, 0);
        loop {
            let step = &program[at];
            let hits = match u32::from(step.code) & 0xF7 {
                code if code == libc::BPF_RET => return step.k,
                code if code & 7 == libc::BPF_LD => {
                    value = [call, arch, 0, 0, argument.cast_unsigned()]
                        .get(step.k as usize / 4)
                        .copied()
                        .unwrap_or(0);
                    at += 1;
                    continue;
                }
                code if code == libc::BPF_JMP | libc::BPF_JA => {
                    at += 1 + step.k as usize;
                    continue;
                }
                code if code == libc::BPF_JMP | libc::BPF_JEQ => value == step.k,
                code if code == libc::BPF_JMP | libc::BPF_JGE => value >= step.k,
                code if code == libc::BPF_JMP | libc::BPF_JGT => value > step.k,
                code => panic!("{code:#x}"),
            };
            at += 1 + usize::from(if hits { step.jt } else { step.jf });
        }
    }

    #[test]
    fn sockets_are_of_the_kinds_that_programs_need_and_pairs_are_unix_sockets() {
        let of = |call: libc::c_long| u32::try_from(call).unwrap();
        let (socket, pair) = (of(libc::SYS_socket), of(libc::SYS_socketpair));
        let is_open = |sockets, call, family| {
            let [_, refused] = filters(sockets, 7).unwrap();
            answer_to(&refused, call, family) == libc::SECCOMP_RET_ALLOW
        };
        let open = |sockets, call| -> Vec<i32> {
            (0..48).filter(|family| is_open(sockets, call, *family)).collect()
        };
        let network = [libc::AF_INET, libc::AF_INET6, libc::AF_NETLINK];
        assert_eq!(open(Sockets::None, socket), network);
        let with_unix = [libc::AF_UNIX, libc::AF_INET, libc::AF_INET6, libc::AF_NETLINK];
        assert_eq!(open(Sockets::Any, socket), with_unix);
        assert_eq!(open(Sockets::None, pair), [libc::AF_UNIX]);
    }

    #[test]
    fn a_call_has_no_second_number_that_leads_around_the_filters() {
        let [unknown, refused] = filters(Sockets::None, 7).unwrap();
        let of = |call: libc::c_long| u32::try_from(call).unwrap();
        let mount = of(libc::SYS_mount);
        let refusal = libc::SECCOMP_RET_ERRNO | libc::EPERM.unsigned_abs();
        assert_eq!(answer(&refused, mount), refusal);
        assert_eq!(answer(&unknown, of(libc::SYS_read)), libc::SECCOMP_RET_ALLOW);
        let missing = libc::SECCOMP_RET_ERRNO | libc::ENOSYS.unsigned_abs();
        assert_eq!(answer(&unknown, of(libc::SYS_clone3)), missing);
        if cfg!(target_arch = "x86_64") {
            for call in [mount, of(libc::SYS_unshare), 514] {
                assert_eq!(answer(&unknown, X32 | call), missing, "{call}");
            }
        }
    }
}
