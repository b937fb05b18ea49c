//! Landlock's rules for files, sockets and signals.

use std::os::fd::OwnedFd;
use std::path::Path;

use landlock::{
    ABI, Access as _, AccessFs, BitFlags, PathBeneath, PathFd, Ruleset, RulesetAttr,
    RulesetCreated, RulesetCreatedAttr, RulesetError, Scope,
};

use super::view::Rights;
use crate::platform::confinement::{Access, CageError, Rules, Sockets};

/// The latest version whose rights are used; the crate leaves out those that the kernel lacks.
const LATEST: ABI = ABI::V9;

/// The version that holds connecting to sockets in the file system.
const HOLDS_SOCKETS: u32 = 9;

/// A ruleset in the kernel, ready to be applied.
pub(super) fn ruleset(rules: &Rules, landlock: u32) -> Result<OwnedFd, CageError> {
    let mut ruleset = create(rules).map_err(|error| failed("create Landlock's rules", &error))?;
    for rule in &rules.paths {
        // Nothing is granted below a path that does not exist, or cannot be opened even by us.
        let Ok(path) = PathFd::new(&rule.path) else { continue };
        let rights = rights(rule.access, &rule.path, rules.sockets);
        ruleset = ruleset.add_rule(PathBeneath::new(path, rights)).map_err(|error| {
            failed(&format!("open {} in the cage", rule.path.display()), &error)
        })?;
    }
    let descriptor: Option<OwnedFd> = ruleset.into();
    descriptor.ok_or_else(|| CageError {
        doing: "create Landlock's rules".to_owned(),
        why: format!("the kernel has no Landlock (version {landlock})"),
    })
}

fn create(rules: &Rules) -> Result<RulesetCreated, RulesetError> {
    let mut held = AccessFs::from_all(LATEST);
    if rules.sockets == Sockets::Any {
        held.remove(AccessFs::ResolveUnix);
    }
    Ruleset::default().handle_access(held)?.scope(Scope::from_all(LATEST))?.create()
}

/// Whether sockets in the file system are held by the rules for files, so that no filter is needed.
pub(super) const fn hold_sockets(landlock: u32) -> bool {
    landlock >= HOLDS_SOCKETS
}

/// The rights for the folders that only a view has, as far as this kernel knows them: an unknown one
/// is refused.
pub(super) fn own(landlock: u32) -> Rights {
    // The rights that versions brought: 13 with the first, then refer, truncate and ioctl.
    let known: u64 = match landlock {
        0 | 1 => 0x1FFF,
        2 => 0x3FFF,
        3 | 4 => 0x7FFF,
        5..HOLDS_SOCKETS => 0xFFFF,
        _ => 0x1_FFFF,
    };
    let of = |access| rights(access, Path::new("/"), Sockets::None).bits() & known;
    Rights {
        listing: AccessFs::ReadDir as u64,
        terminals: of(Access::Device),
        shared_memory: of(Access::Write),
    }
}

fn rights(access: Access, path: &Path, sockets: Sockets) -> BitFlags<AccessFs> {
    let mut rights = match access {
        Access::Read => AccessFs::from_read(LATEST),
        Access::Device => {
            AccessFs::from_read(LATEST)
                | AccessFs::WriteFile
                | AccessFs::Truncate
                | AccessFs::IoctlDev
        }
        Access::Write => {
            let mut all = AccessFs::from_all(LATEST);
            all.remove(AccessFs::MakeChar | AccessFs::MakeBlock);
            all
        }
    };
    if sockets == Sockets::Any {
        rights.remove(AccessFs::ResolveUnix);
    }
    // The kernel takes no right of a folder for a file.
    if path.is_dir() { rights } else { rights & AccessFs::from_file(LATEST) }
}

fn failed(doing: &str, error: &RulesetError) -> CageError {
    CageError { doing: doing.to_owned(), why: error.to_string() }
}
